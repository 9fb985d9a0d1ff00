"""Modules of the code under test, loaded anew for each of its processes: what they keep does not outlive it."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSet, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import CodeType, ModuleType
from typing import Any, Final, NamedTuple, Self

from .errors import UsageError

_CONSTANT: Final = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset)

_REMEMBERING: Final = ("fastapi",)
"""Libraries that cache facts about the functions and models of an app. They find them again when asked."""

_KEEPING: Final = {
    "blacksheep": ("blacksheep",),
    "bottle": ("bottle",),
    "celery": ("celery", "kombu"),
    "cherrypy": ("cherrypy",),
    "dramatiq": ("dramatiq",),
    "inject": ("inject",),
    "kombu": ("kombu",),
    "sanic": ("sanic",),
    "schedule": ("schedule",),
    "taskiq": ("taskiq",),
    "tortoise": ("tortoise",),
    "ulid": ("ulid",),
    "uuid6": ("uuid6",),
}
"""Libraries that keep things for their process in modules of their own, and what is loaded anew with code that uses
each."""

_IN_ORDER: Final = (
    "celery.bootsteps",
    "celery.worker.consumer.consumer",
    "kombu.asynchronous.hub",
    "kombu.transport.redis",
    "kombu.transport.virtual.base",
)
"""Modules of theirs that do things in the order of a set, where runs are to repeat."""

_POOLS: Final = {"kombu.pools": ("connections", "producers")}
"""Tables of connections that a library keeps for its process, by module: kombu empties them itself after a fork."""

_DEFAULTS: Final = {"boto3": "DEFAULT_SESSION"}
"""What a library makes for its process when it is first asked for it, by module."""

ANEW: Final = set[str]()
"""The modules that are being loaded anew, and packages of which all are."""


Names = Callable[[str], bool]
"""Tells of the name of a module whether it is one of those that are loaded anew."""


class Registries(NamedTuple):
    """What is to be called before modules are loaded anew for the first time, before each time, and when they are
    there. ``keep()`` returns what puts back what libraries keep now."""

    keep: Callable[[], Callable[[], None]]
    forget: Callable[[Names], None]
    adopt: Callable[[Names], None]


REGISTRIES: Final[list[Registries]] = []
"""What libraries keep of an app: see `simulator.registries`."""

LATE: Final = set[str]()
"""The modules that were loaded while a run went on: a process has such a one once it imports it, not before."""

_PACKAGES: Final = set[str]()
"""The packages whose modules are loaded anew for each process."""


def is_anew(name: str) -> bool:
    """True if the module of that name is being loaded anew."""
    return _is_in(name, ANEW)


def comes_late(name: str) -> bool:
    """True if a process that imports the module of that name now is to have one of its own."""
    return _is_in(name, _PACKAGES)


def load_late(name: str, load: Callable[[], Any]) -> Any:
    """What ``load`` answers, which imports that module, for one process, and what it needs of its package."""
    before = {*sys.modules}
    try:
        with _anew({}, [package for package in _PACKAGES if _is_in(name, (package,))]):
            return load()
    finally:
        LATE.update(each for each in sys.modules.keys() - before if comes_late(each))


def _is_in(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


_CACHE: Final = type(functools.cache(lambda: None))

_REPLACED: Final[dict[Fresh, dict[str, ModuleType]]] = {}
"""What was there before some modules were loaded anew."""

_KEPT: Final[list[Callable[[], None]]] = []
"""What puts back what libraries kept then."""


def put_back() -> None:
    """Let the modules be there again that were there before some were loaded anew: whoever imported from them, and
    names them by a string, as a test does that patches one, means the same ones."""
    replaced = [*reversed(_REPLACED.items())]  # of a module that several load anew the first one knows what was there
    _REPLACED.clear()
    for fresh, before in replaced:
        fresh.put_back(before)
    for act in _KEPT:
        act()
    _KEPT.clear()
    if replaced:
        _forget_in_django(lambda _: False)


class Fresh:
    """The modules of some packages. An adapter in module ``user`` took names of theirs; "" where none did."""

    def __init__(self, packages: Iterable[str], user: str = "") -> None:
        self._packages: tuple[str, ...] = ()
        self._within: tuple[str, ...] = ()  # what the names of modules in them begin with
        self._also(packages)
        _PACKAGES.update(self._packages)
        self._user = user
        self._taken: dict[str, tuple[str, str]] | None = None  # by name, of which attribute of which module each is
        self._caches: tuple[Any, ...] = ()  # what to clear before they are loaded the next time

    def load(self) -> None:
        """Load them anew, and let the adapter's names mean what is in them now. Raises UsageError where there is no
        such package. Where one of them raises, none is loaded."""
        try:
            self._load()
        except BaseException:
            for name in self._found():
                del sys.modules[name]
            raise
        as_at_the_start()
        self.adopt()
        self._point()

    def _point(self) -> None:
        """Let the adapter's names mean what is in the modules that are there."""
        user = sys.modules.get(self._user)  # whoever imported it may have forgotten it
        for name, (module, attribute) in (self._taken or {}).items() if user is not None else ():
            if (here := sys.modules.get(module)) is not None and (not attribute or hasattr(here, attribute)):
                setattr(user, name, getattr(here, attribute) if attribute else here)

    def put_back(self, before: Mapping[str, ModuleType]) -> None:
        """Let those modules be there again that were there before, and no other ones."""
        self._forget()
        for name in {**self._found(), **before}:
            package, _, attribute = name.rpartition(".")
            within = vars(sys.modules[package]) if package in sys.modules else {}
            if within.get(attribute) is sys.modules.pop(name, self):
                del within[attribute]
        for name, module in before.items():
            package, _, attribute = name.rpartition(".")
            sys.modules[name] = module
            if package in before:
                vars(before[package]).setdefault(attribute, module)
        self._point()

    def _load(self) -> None:
        before = self._found()
        if self not in _REPLACED:
            if not _REPLACED:
                _KEPT.extend(each.keep() for each in REGISTRIES)
            _REPLACED[self] = before
        used = {package for packages in _KEEPING.values() for package in packages if package in sys.modules}
        with _anew({}, self._packages):
            for package in self._packages:
                if package not in before:
                    self._forget()
                    _load(package)
        if self._taken is None:
            self._also(_used(self._found().values()))
            self._taken = dict(_names_of(vars(sys.modules[self._user]), self._found())) if self._user else {}
            self._caches = tuple(_caches())
        if not before and used.isdisjoint(self._packages):
            return  # each of them is new
        found = self._found()
        for cache in self._caches:
            cache.cache_clear()
        self._forget()
        for name in found:
            del sys.modules[name]
        held = {module for module, _ in self._taken.values()}
        with _anew(found):
            for name in found:
                if name in held or name not in LATE:
                    _load(name)

    def _forget(self) -> None:
        """Let libraries keep nothing of them."""
        _forget_in_django(self._has)
        for each in REGISTRIES:
            each.forget(self._has)

    def adopt(self) -> None:
        """What they have given to libraries by now is of the process that runs."""
        for each in REGISTRIES:
            each.adopt(self._has)

    def _also(self, packages: Iterable[str]) -> None:
        """Some packages more."""
        self._packages = tuple(dict.fromkeys((*self._packages, *packages)))
        self._within = tuple(f"{package}." for package in self._packages)

    def renewed(self, thing: Any) -> Any:
        """What a function or class of theirs is now; anything else as it is."""
        module, path = getattr(thing, "__module__", ""), getattr(thing, "__qualname__", "")
        if not self._has(module) or "<" in path:
            return thing
        found: Any = sys.modules[module]
        for part in path.split("."):
            found = getattr(found, part)
        return found

    def _has(self, module: str) -> bool:
        return module in self._packages or module.startswith(self._within)

    def _found(self) -> dict[str, ModuleType]:
        """Those that are loaded, but for the adapter's own."""
        near = self._packages  # the rest, thousands of them, is told from these at once
        names = [name for name in sys.modules if name.startswith(near)]
        return {name: sys.modules[name] for name in names if name != self._user and self._has(name)}


class _Compiled(SourceFileLoader):
    """Loads a module from the code that it had the last time, unless its file has changed since."""

    def get_code(self, fullname: str) -> CodeType | None:
        found = os.stat(self.path)  # noqa: PTH116, a Path takes longer than the rest of it
        return _compiled(fullname, self.path, found.st_mtime_ns, found.st_size)


@functools.lru_cache(maxsize=1024)
def _compiled(name: str, path: str, mtime_ns: int, size: int) -> CodeType | None:
    return SourceFileLoader(name, path).get_code(name)


class _Finder:
    """Finds modules where they were: to look for them again takes as long as to run them. Others that are being loaded
    anew it looks for. It remembers the compiled code of each."""

    def __init__(self, specs: Mapping[str, ModuleSpec]) -> None:
        self._specs = specs

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        spec = self._specs.get(name)
        if spec is None and is_anew(name):
            spec = PathFinder.find_spec(name, path)
        if spec is None or spec.origin is None or not isinstance(spec.loader, SourceFileLoader):
            return None
        return spec_from_file_location(
            name,
            spec.origin,
            loader=_Compiled(name, spec.origin),
            submodule_search_locations=spec.submodule_search_locations,
        )


@contextmanager
def _anew(modules: Mapping[str, ModuleType], packages: Iterable[str] = ()) -> Iterator[None]:
    """Meanwhile modules are loaded anew: these, where they were, and those of some packages. Compiled code is not
    written into files."""
    finder = _Finder({name: module.__spec__ for name, module in modules.items() if module.__spec__ is not None})
    sys.meta_path.insert(0, finder)
    names = {*modules, *packages}
    ANEW.update(names)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = written
        ANEW.difference_update(names)
        sys.meta_path.remove(finder)


def _used(modules: Iterable[ModuleType]) -> Iterator[str]:
    """The packages that keep things for their process, of the libraries that some modules use."""
    held = [value for module in modules for value in vars(module).values()]
    names = {str(getattr(value, "__module__", None) or getattr(value, "__name__", "")) for value in held}
    for library, packages in _KEEPING.items():
        if any(name.partition(".")[0] == library for name in names):
            yield from packages


class InOrder(MutableSet[Any]):
    """A set that gives its members as they came; those of a usual set in the order of their names."""

    def __init__(self, members: Iterable[Any] = ()) -> None:
        here = sorted(members, key=_name) if isinstance(members, set | frozenset) else members
        self._members = dict.fromkeys(here)

    def __contains__(self, member: object) -> bool:
        return member in self._members

    def __iter__(self) -> Iterator[Any]:
        return iter([*self._members])

    def __len__(self) -> int:
        return len(self._members)

    def add(self, value: Any) -> None:
        self._members[value] = None

    def discard(self, value: Any) -> None:
        self._members.pop(value, None)

    def update(self, *others: Iterable[Any]) -> None:
        for each in others:
            self._members |= InOrder(each)._members

    def copy(self) -> InOrder:
        return InOrder(self)


class Scheduled(tuple[Any, ...]):  # noqa: SLOT001, it has a number
    """A timer of kombu's: of two for one moment that comes first which was made first. There it is the one that lies
    first in memory."""

    number: int

    def __new__(cls, *eta_priority_entry: Any) -> Self:
        made = super().__new__(cls, eta_priority_entry)
        made.number = next(_numbers)
        return made

    def __lt__(self, other: Any) -> bool:
        return (*self[:2], self.number) < (*other[:2], other.number)


_numbers: Final = itertools.count()


def _name(member: Any) -> str:
    named = getattr(member, "__qualname__", None)
    return f"{member.__module__}.{named}" if named is not None else str(member)


def as_at_the_start() -> None:
    """Let libraries that are there have no connections yet, as in a process that begins, and do things in one order."""
    for name, tables in _POOLS.items():
        if name in sys.modules:
            for table in tables:
                getattr(sys.modules[name], table).clear()
    for name, default in _DEFAULTS.items():
        if name in sys.modules:
            setattr(sys.modules[name], default, None)
    for name in _IN_ORDER:
        if name.partition(".")[0] in sys.modules:
            vars(importlib.import_module(name))["set"] = InOrder
    if "kombu" in sys.modules:
        vars(importlib.import_module("kombu.asynchronous.timer"))["scheduled"] = Scheduled
        vars(importlib.import_module("kombu.common"))["generate_oid"] = lambda *_: str(uuid.uuid4())


def _load(name: str) -> None:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not _is_in(name, (str(error.name),)):
            raise
        raise UsageError(
            f"service: code names {name!r}, and there is no such module; name a package of yours"
        ) from None


def _forget_in_django(of: Names) -> None:
    """Let Django keep nothing of the modules of these names: no models, no routes, and what its cache in memory
    holds."""
    registry: Any = getattr(sys.modules.get("django.apps"), "apps", None)
    if registry is None:
        return
    for models in registry.all_models.values():
        for name in [name for name, model in models.items() if of(model.__module__)]:
            del models[name]
    registry.clear_cache()
    urls: Any = sys.modules.get("django.urls")
    if urls is not None:
        urls.clear_url_caches()
    memory: Any = sys.modules.get("django.core.cache.backends.locmem")
    if memory is not None:
        memory._caches.clear()


def _caches() -> Iterable[Any]:
    """The caches of libraries that remember what apps are made of: each would keep the modules of many runs."""
    for name, module in [*sys.modules.items()]:
        if name.partition(".")[0] in _REMEMBERING:
            yield from (each for each in vars(module).values() if isinstance(each, _CACHE))


def _names_of(values: Mapping[str, Any], modules: Mapping[str, ModuleType]) -> Iterable[tuple[str, tuple[str, str]]]:
    """The names among ``values`` that stand for one of the modules, or for something in one."""
    held = {
        id(value): (name, attribute)
        for name, module in modules.items()
        for attribute, value in vars(module).items()
        if not isinstance(value, (*_CONSTANT, ModuleType))
    }
    held |= {id(module): (name, "") for name, module in modules.items()}
    for name, value in values.items():
        if id(value) in held:
            yield name, held[id(value)]
