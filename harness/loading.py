"""From what a user names to an adapter: a built-in, an entry point, ``module:attr`` or ``file.py:attr``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from .adapters import BUILT_IN
from .errors import UsageError, nearest
from .ports import ADAPTER_ATTRIBUTE, Adapter, check_shape

GROUP = "sagafuzz.adapters"


def as_adapter(thing: Any) -> Adapter:
    """An `Adapter` from itself, from a declared class, or from a name."""
    if isinstance(thing, Adapter):
        return thing
    if isinstance(thing, str):
        return load(thing)
    declared = getattr(thing, ADAPTER_ATTRIBUTE, None)
    if not isinstance(declared, Adapter):
        name = getattr(thing, "__name__", repr(thing))
        check_shape(thing, name)
        raise UsageError(f"{name!r} is not declared; put @sagafuzz.adapter(saga=...) above the class")
    if declared.factory is not thing:
        check_shape(thing, thing.__name__)
        return replace(declared, factory=thing, name=thing.__name__)
    return declared


def load(spec: str) -> Adapter:
    """Load the adapter that ``spec`` names. Raises UsageError in one line that says what to write."""
    if ":" in spec:
        return _load_path(spec, spec)
    known = names()
    if spec not in known:
        raise UsageError(
            f"unknown adapter {spec!r}{nearest(spec, known)}; known are {', '.join(sorted(known))}; "
            f"or write module:attr or file.py:attr"
        )
    return _load_path(known[spec], spec)


def names() -> dict[str, str]:
    """The adapters that can be named: built-in ones, then installed entry points."""
    table = dict(BUILT_IN)
    for point in entry_points(group=GROUP):
        table.setdefault(point.name, point.value)
    return table


def _load_path(path: str, spec: str) -> Adapter:
    place, _, attribute = path.rpartition(":")
    if not place or not attribute:
        raise UsageError(f"adapter {spec!r}: write module:attr or file.py:attr")
    module = _import(place, spec)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            declared = [name for name, value in vars(module).items() if hasattr(value, ADAPTER_ATTRIBUTE)]
            has = f"; it declares {', '.join(declared)}" if declared else ""
            raise UsageError(f"adapter {spec!r}: {place} has no {attribute!r}{nearest(attribute, vars(module))}{has}")
        found = getattr(found, part)
    return replace(as_adapter(found), spec=spec)


def _import(place: str, spec: str) -> Any:
    """Import a module or file. What it raises is told with the user's own line only."""
    try:
        if place.endswith(".py") or "/" in place:
            return _import_file(place, spec)
        if (cwd := str(Path.cwd())) not in sys.path and "" not in sys.path:
            sys.path.insert(0, cwd)
        return importlib.import_module(place)
    except UsageError:
        raise
    except Exception as error:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if not frame.filename.startswith("<") and frame.filename != __file__ and "importlib" not in frame.filename
        ]
        where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
        if isinstance(error, SyntaxError):
            where = f" ({Path(error.filename or place).name}:{error.lineno})"
        reason = " ".join(str(error).split())[:300]
        raise UsageError(
            f"adapter {spec!r} does not import: {type(error).__name__}: {reason}{where}{_advice(error)}"
        ) from None


def _advice(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "simple_saga":
        return "; install it with: pip install 'sagafuzz[simple-saga]'"
    if isinstance(error, ModuleNotFoundError):
        return f"; is {error.name!r} installed, and do you run from the folder that holds it?"
    return ""


def _import_file(place: str, spec: str) -> Any:
    file = Path(place)
    if not file.is_file():
        raise UsageError(f"adapter {spec!r}: there is no file {place!r} here; name it from the current folder")
    name = file.stem
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module_spec = importlib.util.spec_from_file_location(name, file)
    if module_spec is None or module_spec.loader is None:
        raise UsageError(f"adapter {spec!r}: {place!r} is no Python file; name one that ends in .py")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    module_spec.loader.exec_module(module)
    return module
