"""The values that code finds beside its frames: the global names that it uses, and what its classes keep.

Which these are follows from the code, so it is found out once for the same functions and classes and kept; each time
it is looked whether they still mean what they meant, and what can change inside is written down anew.
"""

from __future__ import annotations

import dis
import functools
import hashlib
import types
from collections.abc import Iterator, Mapping
from itertools import repeat
from operator import is_
from typing import Any, Final

from ..frames import may_keep_state
from ..sql import Effect
from .dict_changes import Changes
from .retained import Opaque
from .volatile import PLAIN, Teller, content_of, from_library, of_user

MOST: Final = 6_000
"""So many names are followed at most."""

_KEPT: Final = 512
"""The surroundings of so many sets of functions and classes are kept at most."""

_GONE: Final = object()

_DESCRIPTORS: Final = (
    *(types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType),
    *(types.ClassMethodDescriptorType, types.BuiltinFunctionType, type(Effect.kind)),
)


class Reach:
    """The values that some functions and classes find around them. ``moving`` are values that can change inside."""

    def __init__(self, roots: Mapping[int, Any]) -> None:
        self.roots = [*roots.values()]  # kept, so that their ids stay theirs
        self.names: dict[int, tuple[Mapping[str, Any], dict[str, Any]]] = {}  # where they stand, by its id; what of it
        self.contents: list[tuple[Mapping[str, Any], list[Any]]] = []  # of classes, and defaults by name
        self.cells: list[tuple[types.CellType, Any]] = []
        self.defaults: list[tuple[types.FunctionType, tuple[Any, ...] | None, dict[str, Any] | None]] = []
        self.bare: list[dict[str, Any]] = []  # what functions keep that keep nothing,
        self.filled: list[dict[str, Any]] = []  # and those that keep something
        self.moving: list[Any] = []
        self._fixed: list[Any] = []
        self._seen: set[int] = set()
        self._to_do: list[Any] = [*roots.values()]
        self._kept: list[Any] = []
        while self._to_do:
            owner, names = self._to_do.pop()
            if isinstance(owner, types.CodeType):
                self._follow_code(owner, names)
            else:
                self._follow_class(owner)
            if sum(len(each) for _, each in self.names.values()) > MOST:
                raise Opaque
        self.fixed = hashlib.blake2b(repr(self._fixed).encode(), digest_size=8).digest()
        del self._to_do, self._fixed, self._seen
        self._changes = Changes([*[each for each, _ in self.names.values()], *[each for each, _ in self.contents]])

    @property
    def holds(self) -> bool:
        """True if every name still means what it did."""
        if any(self.bare) or not all(self.filled):
            return False
        for function, defaults, by_name in self.defaults:
            if function.__defaults__ is not defaults or function.__kwdefaults__ is not by_name:
                return False
        for cell, value in self.cells:
            if content_of(cell) is not value:
                return False
        return self._changes.none_since() or self._names_hold()

    def _names_hold(self) -> bool:
        for mapping, meant in self.names.values():
            if not all(map(is_, map(mapping.get, meant, repeat(_GONE)), meant.values())):
                return False
        for content, values in self.contents:
            if len(content) != len(values) or not all(map(is_, content.values(), values)):
                return False
        self._changes.seen()
        return True

    def _new(self, value: Any) -> bool:
        if id(value) in self._seen:
            return False
        self._seen.add(id(value))
        self._kept.append(value)
        return True

    def _follow_code(self, code: types.CodeType, names: Mapping[str, Any]) -> None:
        if not self._new(code) or not may_keep_state(code.co_filename):
            return
        if _imports(code):
            raise Opaque
        for name in code.co_names:
            if name[0] != "@":  # those are of pytest, which rewrites assertions
                self._name(names, name, code)
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                self._to_do.append((inner, names))

    def _name(self, names: Mapping[str, Any], name: str, code: types.CodeType) -> None:
        value = names.get(name, _GONE)
        self.names.setdefault(id(names), (names, {}))[1][name] = value  # once, however much code uses it
        if isinstance(value, types.ModuleType):
            inside = vars(value)
            for each in code.co_names if of_user(value) else ():
                if not isinstance(inside.get(each), types.ModuleType):
                    self._name(inside, each, code)
        elif value is not _GONE:  # a name that is nowhere yet, or belongs to Python
            self._value(name, value)

    def _value(self, name: str, value: Any) -> None:
        """A value that is found by a name."""
        kind = type(value)
        if kind in PLAIN:
            self._fixed += (name, value)
        elif isinstance(value, types.FunctionType):
            self._function(name, value)
        elif isinstance(value, type):
            self._fixed.append((name, value.__qualname__))
            self._to_do.append((value, None))
        elif isinstance(value, (staticmethod, classmethod)):
            self._value(name, value.__func__)
        elif isinstance(value, property):
            for each in (value.fget, value.fset, value.fdel):
                if each is not None:
                    self._value(name, each)
        elif isinstance(value, functools.cached_property):
            self._value(name, value.func)
        elif _is_fixed(value):
            self._fixed += (name, value)
        elif kind is tuple and all(isinstance(each, type) for each in value):  # errors that are handled alike
            for each in value:
                self._value(name, each)
        elif not isinstance(value, _DESCRIPTORS) and self._new(value):
            self.moving.append(value)

    def _function(self, name: str, value: types.FunctionType) -> None:
        code = value.__code__
        self._fixed.append((name, code.co_qualname, code.co_firstlineno))
        if not may_keep_state(code.co_filename) or not self._new(value):
            return
        self._to_do.append((code, value.__globals__))
        for free, cell in zip(code.co_freevars, value.__closure__ or (), strict=True):
            self._cell(free, cell)
        if value.__defaults__ or value.__kwdefaults__:
            self.defaults.append((value, value.__defaults__, value.__kwdefaults__))
            for each in value.__defaults__ or ():
                self._value("default", each)
            self._content(value.__kwdefaults__ or {})
        if value.__dict__:
            self.moving.append(value.__dict__)
        (self.filled if value.__dict__ else self.bare).append(value.__dict__)

    def _content(self, content: Mapping[str, Any]) -> None:
        self.contents.append((content, [*content.values()]))
        for name, each in content.items():
            self._value(name, each)

    def _cell(self, name: str, cell: types.CellType) -> None:
        """Follow a variable that a function found around it. A value that is neither a class nor a function may be
        another in each run: it is told each time, or each run would be looked through anew."""
        value = content_of(cell)
        if isinstance(value, (type, types.FunctionType)):
            self.cells.append((cell, value))
            self._value(name, value)
        else:
            self.moving.append(cell)

    def _follow_class(self, kind: type) -> None:
        for each in kind.__mro__:
            if each is object or from_library(each) or not self._new(each):
                continue
            content = vars(each)
            self.contents.append((content, [*content.values()]))
            for name, value in content.items():
                dunder = name[:2] == "__" == name[-2:] and not isinstance(value, types.FunctionType)
                if not dunder and name not in _UNASKED:
                    self._value(name, value)


def _is_fixed(value: Any) -> bool:
    """True for a plain value, and for a tuple of such."""
    kind = type(value)
    return kind in PLAIN or (kind is tuple and all(map(_is_fixed, value)))


_UNASKED: Final = frozenset({"_abc_impl", "_member_map_", "_member_names_", "_value2member_map_"})
"""What Python itself keeps in classes of some kinds."""


_reaches: Final[dict[tuple[int, ...], Reach]] = {}


def tell_surroundings(teller: Teller) -> list[Reach]:
    """Write down what can change around the code and the classes that were met: what is in reach of them. Raises
    Opaque."""
    told = 0
    found: list[Reach] = []
    while told < len(teller.codes):  # what is told may be of further classes
        roots = dict(list(teller.codes.items())[told:])
        told = len(teller.codes)
        key = tuple(roots)
        reach = _reaches.get(key)
        if reach is None or not reach.holds:
            if len(_reaches) >= _KEPT:
                _reaches.clear()
            reach = _reaches[key] = Reach(roots)
        teller.parts.append(reach.fixed)
        teller.tell_all(reach.moving)
        found.append(reach)
    return found


@functools.cache
def _imports(code: types.CodeType) -> bool:
    """True for a function that imports modules of a user: what it then uses is found nowhere among its names."""
    return any(_is_user(each) for each in _imported(code))


def _imported(code: types.CodeType) -> Iterator[str]:
    for each in dis.get_instructions(code):
        if each.opname == "IMPORT_NAME":
            yield each.argval


def _is_user(name: str) -> bool:
    import importlib.util

    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return True
    return spec is None or (spec.has_location and may_keep_state(spec.origin or ""))
