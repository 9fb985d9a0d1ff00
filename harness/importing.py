"""A module or file of the user's, imported; what it raises is told in one line."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any, Final

from .errors import UsageError
from .frames import is_own, passed, place
from .pytest_settings import folders

EXTRAS: Final = {"simple_saga": "simple-saga", "psycopg": "postgres", "redis": "redis"}
"""Which extra installs a module that a built-in adapter needs."""


def import_place(named: str, whose: str) -> Any:
    """The module that is called so, or that lies in the file of that name. What it raises is told as a UsageError that
    begins with ``whose``, with the user's own line only. The clocks are replaced before, so that it takes none of the
    real ones by name."""
    from .simulator.patches import install  # slow to import, and many a command loads nothing

    install()
    try:
        if named.endswith(".py") or "/" in named:
            return _import_file(named, whose)
        if (cwd := str(Path.cwd())) not in sys.path and "" not in sys.path:
            sys.path.insert(0, cwd)
        _search(*folders("pythonpath", Path.cwd()))
        return importlib.import_module(named)
    except UsageError as error:
        raise UsageError(f"{error}{_users_line(error)}") from None
    except (Exception, SystemExit) as error:
        reason = " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())[:300]
        said = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
        raise UsageError(f"{whose} does not import: {said}{_users_line(error)}{_advice(error)}") from None


def _users_line(error: BaseException) -> str:
    """`` (file.py:12)``, the innermost line of the user's own code, "" where there is none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({Path(error.filename).name}:{error.lineno})"
    own = [frame for frame in passed(error) if is_own(frame[0].co_filename)]
    return f" ({place(own[0])})" if own else ""


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return f"; install it with: pip install 'sagafuzz[{EXTRAS[error.name]}]'"
    if isinstance(error, ModuleNotFoundError):
        return f"; is {error.name!r} installed, and do you run from the folder that holds it?"
    if isinstance(error, ImportError) and "relative import" in str(error):
        return "; name it by its module, package.adapter:attr, or put an __init__.py into its folder"
    return ""


def _import_file(named: str, whose: str) -> Any:
    file = Path(named)
    if not file.is_file():
        raise UsageError(f"{whose}: there is no file {named!r} here; name it from the current folder")
    file = file.resolve()
    for name in (file.stem, f"{file.stem}_{hashlib.blake2b(str(file).encode(), digest_size=4).hexdigest()}"):
        loaded = sys.modules.get(name)
        if loaded is None:
            break
        if getattr(loaded, "__file__", None) == str(file):
            return loaded  # else the name is another's, as that of json.py
    _search(file.parent, Path.cwd(), *folders("pythonpath", file.parent))
    module_spec = importlib.util.spec_from_file_location(name, file)
    if module_spec is None or module_spec.loader is None:
        raise UsageError(f"{whose}: {named!r} is no Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        module_spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[name]
        if not isinstance(error, ImportError) or "attempted relative import" not in str(error):
            raise
        return _import_in_package(file)
    return module


def _search(*wanted: Path) -> None:
    """Let imports look into these folders first, as pytest does: where the file is, where one works, and what
    ``pythonpath`` names."""
    for folder in reversed(list(map(str, wanted))):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _import_in_package(file: Path) -> Any:
    """A file that imports from the package in which it lies, as a module of that. A package without an `__init__.py`
    begins where imports look."""
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    if top == file.parent:
        top = next((each for each in file.parents[1:] if str(each) in sys.path), top)
    _search(top)
    return importlib.import_module(".".join(file.relative_to(top).with_suffix("").parts))
