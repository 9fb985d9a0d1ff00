"""From what a user names to an adapter: a built-in, an entry point, ``module:attr``, ``file.py:attr``, a manifest."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from . import adapters
from .adapters import BUILT_IN, ZOO_MODULE
from .errors import UsageError, nearest
from .importing import import_place
from .live import manifest, manifest_file
from .ports import ADAPTER_ATTRIBUTE, Adapter, check_shape

GROUP = "sagafuzz.adapters"

LIVE_PREFIX = "live:"
"""Before the name of an adapter: run it as a real process."""
ZOO_PREFIX = "zoo:"
WRONG_PREFIX = "wrong-answers:"
"""Before the name of an adapter: search the kinds of faults that make answers wrong too."""


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
    for prefix, prefixed in _PREFIXED.items():
        if spec.startswith(prefix):
            return prefixed(spec, spec.removeprefix(prefix))
    base, _, workload = spec.rpartition(manifest_file.AT)
    if base.endswith(".toml") or names().get(base, "").endswith(".toml"):
        return manifest.as_adapter(manifest_file.read(_file_of(base), workload), spec)
    if spec.endswith(".toml"):
        return manifest.as_adapter(manifest_file.read(spec), spec)
    if ":" in spec:
        return _load_path(spec, spec)
    known = names()
    if spec not in known:
        if spec.endswith(".py") or Path(f"{spec.replace('.', '/')}.py").is_file():
            raise UsageError(_without_class(spec))
        raise UsageError(
            f"unknown adapter {spec!r}{nearest(spec, known)}; known are {', '.join(sorted(known))}; "
            f"or write module:attr, file.py:attr or manifest.toml"
        )
    if known[spec].endswith(".toml"):
        return manifest.as_adapter(manifest_file.read(_file_of(spec)), spec)
    return _load_path(known[spec], spec)


def _file_of(spec: str) -> str:
    """The manifest's file that is named, or that of the built-in system of that name."""
    return spec if spec.endswith(".toml") else str(Path(adapters.__file__).resolve().parent / names()[spec])


def found_from(spec: str, file: Path) -> str:
    """The name of the same adapter for `load`: where its file is not there from the current folder, from the nearest
    folder above ``file`` that has it."""
    for prefix in _PREFIXED:
        if spec.startswith(prefix):
            return prefix + found_from(spec.removeprefix(prefix), file)
    named = spec if spec.endswith(".toml") else spec.rpartition(":")[0]
    if not named.endswith((".py", ".toml")):
        where = f"{named.replace('.', '/')}.py"
        above = next((str(folder) for folder in file.parents if (folder / where).is_file()), "")
        if above and not Path(where).is_file() and above not in sys.path:
            sys.path.append(above)
        return spec
    if Path(named).is_file():
        return spec
    there = next((folder / named for folder in file.parents if (folder / named).is_file()), None)
    return spec if there is None else f"{there}{spec.removeprefix(named)}"


def with_wrong_answers(adapter: Adapter) -> Adapter:
    """The same adapter, searched with wrong answers too; its name for `load` says so."""
    if adapter.wrong_answers:
        return adapter
    return replace(adapter, wrong_answers=True, spec=f"{WRONG_PREFIX}{adapter.spec}" if adapter.spec else "")


def _mutant(spec: str, name: str) -> Adapter:
    zoo: Mapping[str, Any] = importlib.import_module(ZOO_MODULE).ZOO
    if name not in zoo:
        raise UsageError(f"the zoo has no {name!r}{nearest(name, zoo)}; `sagafuzz zoo` names them all")
    adapter: Adapter = zoo[name].adapter
    return replace(adapter, name=name, spec=spec)


_PREFIXED: Final[Mapping[str, Callable[[str, str], Adapter]]] = {
    WRONG_PREFIX: lambda spec, rest: with_wrong_answers(load(rest)),
    ZOO_PREFIX: _mutant,
    LIVE_PREFIX: lambda spec, rest: manifest.hosted(load(rest), spec),
}
"""What makes an adapter of a name with such a beginning, given all of it and what follows."""


def with_spec(adapter: Adapter) -> Adapter:
    """The adapter with the name that `load` knows its class by from the current folder, if there is one."""
    cls = adapter.factory
    place, path = getattr(cls, "__module__", ""), getattr(cls, "__qualname__", "")
    if adapter.spec or not path or "<" in path or as_adapter(cls) != adapter:
        return adapter
    for name, known in names().items():
        if known == f"{place}:{path}":
            return replace(adapter, spec=name)
    file = Path(getattr(sys.modules.get(place), "__file__", None) or "")
    if file.suffix == ".py" and file.is_relative_to(Path.cwd()):
        near = file.relative_to(Path.cwd())
        if ".".join(near.with_suffix("").parts) != place:
            place = near.as_posix()
    return replace(adapter, spec=f"{place}:{path}")


def names() -> dict[str, str]:
    """The adapters that can be named: built-in ones, then installed entry points."""
    table = dict(BUILT_IN)
    for point in entry_points(group=GROUP):
        table.setdefault(point.name, point.value)
    return table


def _without_class(spec: str) -> str:
    """What to write in the place of a name that says which module, and not which class in it."""
    declared = _declared(import_place(spec, f"adapter {spec!r}"))
    which = f"write {' or '.join(f'{spec}:{name}' for name in declared)}" if declared else "it declares none"
    return f"adapter {spec!r} names a module, and no class in it; {which}"


def _declared(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if hasattr(value, ADAPTER_ATTRIBUTE)]


def _load_path(path: str, spec: str) -> Adapter:
    place, _, attribute = path.rpartition(":")
    if not place or not attribute:
        raise UsageError(f"adapter {spec!r}: write module:attr, file.py:attr or manifest.toml")
    module = import_place(place, f"adapter {spec!r}")
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            declared = _declared(module)
            has = f"; it declares {', '.join(declared)}" if declared else ""
            raise UsageError(f"adapter {spec!r}: {place} has no {attribute!r}{nearest(attribute, vars(module))}{has}")
        found = getattr(found, part)
    return replace(as_adapter(found), spec=spec)
