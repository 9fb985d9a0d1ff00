"""How functions of the standard library are replaced by stand-ins, which act differently inside a simulation only.

A stand-in takes the place of a function in its module, or of a method in its class, types made in C too: so the class
stays what it is to `isinstance` and to pickle, and who imported it before has it all the same. Who took a function by
name before (``from time import sleep``, ``def __init__(self, clock=time.time)``) is given the stand-in too.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import gc
import importlib
import importlib.util
import itertools
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from ..frames import is_own
from .inside import simulation


class Answer(NamedTuple):
    """What ``holder.name(*args)`` gives inside: ``inside(simulation, *args)``; of a method ``args`` begin with its
    object or class."""

    holder: Any
    name: str
    inside: Callable[..., Any]


class Check(NamedTuple):
    """What is asked inside before ``holder.name(*args)`` does what it does: ``ask(simulation, *args)``."""

    holder: Any
    name: str
    ask: Callable[..., object]


class Around(NamedTuple):
    """What ``holder.name(*args)`` gives inside: ``inside(original, *args)``, where ``original`` does what it does
    elsewhere."""

    holder: Any
    name: str
    inside: Callable[..., Any]


class Served(NamedTuple):
    """What ``holder.name(*args)`` gives inside the code of a service as it is: ``inside(simulation, original, *args)``,
    where ``original`` does what it does elsewhere."""

    holder: Any
    name: str
    inside: Callable[..., Any]


class Instead(NamedTuple):
    """What stands in ``holder`` under ``name`` from now on; it knows itself where it is called."""

    holder: Any
    name: str
    value: Any


Acting = Answer | Check | Around | Served
Entry = Acting | Instead


class _Function:
    """A function with a second life. No Python function: one of those, kept in the body of a class, would turn into
    a method where a builtin does not."""

    def __init__(self, entry: Acting, original: Callable[..., Any]) -> None:
        self.__wrapped__ = original
        self.__name__ = entry.name
        self.__qualname__ = entry.name
        self.__module__ = entry.holder.__name__
        self.__doc__ = original.__doc__
        self._act = _act(entry, original)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        sim = simulation()
        return self.__wrapped__(*args, **kwargs) if sim is None else self._act(sim, *args, **kwargs)

    def __reduce__(self) -> str:
        return self.__name__


def _act(entry: Acting, original: Callable[..., Any]) -> Callable[..., Any]:
    """What a stand-in does inside."""
    if isinstance(entry, Answer):
        inside = entry.inside

        def answer(sim: Any, *args: Any, **kwargs: Any) -> Any:
            if sim.kernel.current is not None:
                sim.kernel.current.process.replayable = False
            return inside(sim, *args, **kwargs)

        return answer
    if isinstance(entry, Around):
        around = entry.inside
        return lambda sim, *args, **kwargs: around(original, *args, **kwargs)
    if isinstance(entry, Served):
        within = entry.inside

        def served(sim: Any, *args: Any, **kwargs: Any) -> Any:
            if sim.setup.adapter.service is None:
                return original(*args, **kwargs)
            return within(sim, original, *args, **kwargs)

        return served
    ask = entry.ask

    def checked(sim: Any, *args: Any, **kwargs: Any) -> Any:
        ask(sim, *args, **kwargs)
        return original(*args, **kwargs)

    return checked


def _method(entry: Acting, raw: Any) -> Any:
    """The same for a method, or a class method, whose entry in the class is ``raw``."""
    of_class = isinstance(raw, classmethod | types.ClassMethodDescriptorType)

    def original(subject: Any, *args: Any, **kwargs: Any) -> Any:
        return raw.__get__(None, subject)(*args, **kwargs) if of_class else raw(subject, *args, **kwargs)

    act = _act(entry, original)

    @functools.wraps(raw)
    def stand_in(subject: Any, *args: Any, **kwargs: Any) -> Any:
        sim = simulation()
        return original(subject, *args, **kwargs) if sim is None else act(sim, subject, *args, **kwargs)

    return classmethod(stand_in) if of_class else stand_in


def _stand_in(entry: Entry, raw: Any) -> Any:
    if isinstance(entry, Instead):
        return entry.value
    return _method(entry, raw) if isinstance(entry.holder, type) else _Function(entry, raw)


def _raw(holder: Any, name: str) -> Any:
    """What stands under ``name``, unbound: for a class its own entry, or one that it inherits."""
    if not isinstance(holder, type):
        return getattr(holder, name)
    return next(vars(base)[name] for base in holder.__mro__ if name in vars(base))


def _put(holder: Any, name: str, value: Any) -> None:
    try:
        setattr(holder, name, value)
    except TypeError:  # a type made in C: its dictionary is written to, and what was looked up there is forgotten
        gc.get_referents(holder.__dict__)[0][name] = value
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(holder))


class Replacements:
    """The stand-ins for the entries of some tables."""

    def __init__(self, *tables: Iterable[Entry]) -> None:
        self._entries: Final[dict[tuple[int, str], list[Entry]]] = {}
        for entry in itertools.chain.from_iterable(tables):
            if hasattr(entry.holder, entry.name):
                self._entries.setdefault((id(entry.holder), entry.name), []).append(entry)
        self._stand_ins: dict[tuple[int, str], Any] = {}

    @property
    def in_place(self) -> bool:
        """True if they are: a tool that stops the clock for a while puts back what it found when it was imported."""
        return isinstance(time.time, _Function)

    def put(self) -> None:
        """Put them in place, where they are not."""
        _before_others_look()
        originals: dict[int, Any] = {}
        methods: set[tuple[type, str]] = set()
        for key, entries in self._entries.items():
            holder, name = entries[0].holder, entries[0].name
            raw = _raw(holder, name)
            if raw is self._stand_ins.get(key):
                continue
            stand_in = raw
            for entry in entries:  # each may leave it to those before it
                stand_in = _stand_in(entry, stand_in)
            self._stand_ins[key] = stand_in
            _put(holder, name, stand_in)
            if isinstance(holder, type):
                methods.add((holder, name))
            else:
                originals[id(raw)] = stand_in
        _replace_references(originals, methods)


def _before_others_look() -> None:
    """time-machine keeps what it finds in C structures when it is imported, and ends the interpreter where that is no
    builtin function. So it is to find those."""
    if importlib.util.find_spec("time_machine") is not None:
        importlib.import_module("time_machine")


# -- who took one by name before -----------------------------------------------------------------


_BY_DEFAULT: Final = ("botocore.retries.standard",)
"""Modules of libraries that have one as an argument by default."""


def _replace_references(originals: dict[int, Any], methods: set[tuple[type, str]]) -> None:
    """Give the stand-in to those who hold an original: modules that are not the standard library's, and in the user's
    own also classes, arguments by default, closures and fields."""

    def other(value: Any) -> Any:
        """The stand-in for ``value``, or ``value``."""
        found = originals.get(id(value))
        if found is not None:
            return found
        of = value.__self__ if type(value) is types.BuiltinMethodType else None
        if isinstance(of, type) and any((base, value.__name__) in methods for base in of.__mro__):
            return getattr(of, value.__name__)
        return value

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in sys.stdlib_module_names or name.startswith(("sagafuzz.simulator", "greenlet")):
            continue
        values = getattr(module, "__dict__", None)
        if values is None:
            continue
        _in_attributes(module, values, other)
        if name in _BY_DEFAULT or is_own(getattr(module, "__file__", None) or "<"):
            for thing in _things(values, name, set()):
                _in_thing(thing, other)


def _in_attributes(holder: Any, values: Any, other: Callable[[Any], Any]) -> None:
    for attribute, value in list(values.items()):
        held = value.__func__ if issubclass(type(value), staticmethod) else value
        if (found := other(held)) is not held:
            setattr(holder, attribute, staticmethod(found) if held is not value else found)


def _things(values: Any, module: str, seen: set[int]) -> Iterator[Any]:
    """The classes and functions of a module, and those in its classes."""
    for value in list(values.values()):
        try:
            thing = getattr(value, "__func__", getattr(value, "fget", value))
            of = getattr(thing, "__module__", None)
        except Exception:  # it stands for what is not there now, as Flask's request does
            continue
        if id(thing) in seen or of != module:
            continue
        seen.add(id(thing))
        if isinstance(thing, type):
            yield thing
            yield from _things(vars(thing), module, seen)
        elif isinstance(thing, types.FunctionType):
            yield thing


def _in_thing(thing: Any, other: Callable[[Any], Any]) -> None:
    if isinstance(thing, type):
        _in_attributes(thing, vars(thing), other)
        if dataclasses.is_dataclass(thing):
            for field in dataclasses.fields(thing):
                field.default_factory = other(field.default_factory)
        return
    if thing.__defaults__:
        thing.__defaults__ = tuple(map(other, thing.__defaults__))
    for name, value in (thing.__kwdefaults__ or {}).items():
        thing.__kwdefaults__[name] = other(value)
    for cell in thing.__closure__ or ():
        try:
            value = cell.cell_contents
        except ValueError:  # it is empty yet
            continue
        if (found := other(value)) is not value:
            cell.cell_contents = found
