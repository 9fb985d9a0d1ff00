"""The volatile state of a process, read off its frames: where its code stands, and the values that it holds.

Two processes that keep the same do the same from then on, whatever brought them there: a request that was lost and made
again leaves nothing behind once it is answered. Values are written down in the order in which code comes to them; one
that is met again is told as such, so that two names for one list are not two equal lists. What cannot be told raises
`Opaque`.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import datetime as dt
import decimal
import enum
import fractions
import functools
import gc
import itertools
import logging
import pathlib
import random
import re
import sys
import threading
import types
import uuid
import weakref
from collections.abc import Callable, Collection
from typing import Any, Final

from ..frames import is_ours, may_keep_state
from ..saga import Saga, Step
from ..scenario import Order, Scenario
from .files import FilePort
from .kernel import Kernel
from .message import Message
from .retained import Opaque
from .store import StorePort
from .value_stack import UNSET, held
from .world import SimWorld

MOST: Final = 2_000
"""So many values are written down at most: beyond, it costs more than it spares."""

_DEEPEST: Final = 60
"""So deep in one another values are looked at."""

PLAIN: Final = frozenset({type(None), bool, int, float, complex, str, bytes})

_HEAP_TYPE: Final = 1 << 9
"""The flag of a class that is written in Python."""


_are_plain: Final = PLAIN.issuperset


def unknown() -> list[Any]:
    """The errors that a frame is handling, where nobody can say. Raises Opaque."""
    raise Opaque


class Teller:
    """Writes values down into ``parts``, which are plain and can be marshalled. ``messages`` has a number for each
    request that is under way."""

    __slots__ = ("codes", "deep", "kept", "messages", "now_us", "parts", "seen")

    def __init__(self, now_us: int = 0, messages: dict[int, int] | None = None) -> None:
        self.now_us = now_us
        self.messages = messages or {}
        self.parts: list[Any] = []
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # so that no id is used twice
        self.codes: dict[int, Any] = {}  # code and classes whose surroundings matter, by id
        self.deep = 0

    def tell(self, value: Any) -> None:
        """Write down a value, and what can be reached from it. Raises Opaque where that cannot be done."""
        kind = type(value)
        if kind in PLAIN:
            self.parts.append(value)
            return
        act = TELLING.get(kind)
        if act is None:
            act = TELLING[kind] = _telling(kind)
        self.deep += 1
        if self.deep > _DEEPEST or len(self.parts) > MOST:
            raise Opaque
        act(self, value)
        self.deep -= 1

    def tell_all(self, values: Collection[Any]) -> None:
        """Write down some values, one after the other."""
        parts, tell = self.parts, self.tell
        if _are_plain(map(type, values)):
            parts.append((tuple(values),))  # one in another, since ("@", 5) stands for what was met
            return
        for value in values:
            if type(value) in PLAIN:
                parts.append(value)
            else:
                tell(value)

    def met(self, value: Any, name: str) -> bool:
        """True where a value was written down before, which is noted; else it begins here, under that name."""
        seen = self.seen
        number = len(seen)
        before = seen.setdefault(id(value), number)
        if before != number:
            self.parts.append(("@", before))
            return True
        self.kept.append(value)
        self.parts.append(name)
        return False

    def until_us(self, when_s: float) -> int:
        """In how many µs it will be that time of the clock that nobody sets."""
        return round(when_s * 1e6) - self.now_us

    def tell_frame(self, frame: types.FrameType, handled: Callable[[], list[Any]] = unknown) -> None:
        """Write down where a frame of code under test stands, and what it holds. ``handled()`` are the errors that it
        may be handling."""
        found = held(frame)
        if found is None:
            raise Opaque
        spot, values, called = found
        if not all(map(_shows_its_progress, called)):
            raise Opaque
        code = frame.f_code
        self.parts += (_name_of(code), spot.at, len(values))
        if may_keep_state(code.co_filename):
            self.codes[id(code)] = (code, frame.f_globals)
        self.tell_all(values)
        if spot.handles:
            self.tell_all(handled())


_names: Final[dict[int, tuple[types.CodeType, str]]] = {}


def _name_of(code: types.CodeType) -> str:
    found = _names.get(id(code))
    if found is None:
        found = _names[id(code)] = code, f"{code.co_filename}:{code.co_firstlineno}:{code.co_qualname}"
    return found[1]


def _shows_its_progress(called: Any) -> bool:
    """True for what is called and, until it returns, keeps nothing that the frames of Python do not show."""
    if isinstance(called, type):
        return bool(called.__flags__ & _HEAP_TYPE) and not issubclass(called, (list, set, dict, tuple, frozenset))
    if isinstance(called, functools.partial):
        return _shows_its_progress(called.func)
    if isinstance(called, (types.FunctionType, types.MethodType)):
        return isinstance(called, types.FunctionType) or _shows_its_progress(called.__func__)
    if isinstance(called, types.BuiltinFunctionType):
        return called.__name__ in _PASSING_ON
    found = next((vars(kind)["__call__"] for kind in type(called).__mro__ if "__call__" in vars(kind)), None)
    return isinstance(found, types.FunctionType)


_PASSING_ON: Final = frozenset({"next", "getattr", "setattr", "hasattr", "send", "throw", "close", "__next__", "anext"})
"""Functions of the interpreter that do nothing but what Python code underneath does."""


# -- how values of each type are written down ----------------------------------------------------------

_Act = Callable[[Teller, Any], None]


def _items(teller: Teller, value: Any) -> None:
    if teller.met(value, type(value).__qualname__):
        return
    teller.parts.append(len(value))
    teller.tell_all(value)


def _dict(teller: Teller, value: Any) -> None:
    if teller.met(value, "dict"):
        return
    teller.parts.append(len(value))
    teller.tell_all(value)
    teller.tell_all(value.values())


def _tuple(teller: Teller, value: Any) -> None:
    if value is UNSET:
        teller.parts.append("unset")
        return
    teller.parts.append(len(value))
    teller.tell_all(value)


def _set(teller: Teller, value: Any) -> None:
    if teller.met(value, type(value).__qualname__):
        return
    teller.parts.append(len(value))
    if _are_plain(map(type, value)):
        teller.parts.append((tuple(sorted(value, key=repr)),))
    elif len(value) == 1:
        teller.tell_all(value)
    elif all(isinstance(each, asyncio.Task) for each in value):
        teller.tell_all(sorted(value, key=lambda task: (len(task.get_name()), task.get_name())))
    else:
        raise Opaque  # in which order it is gone through, nobody can say


def _by_repr(teller: Teller, value: Any) -> None:
    teller.parts += (type(value).__qualname__, repr(value))


def _constant(name: str) -> _Act:
    return lambda teller, value: teller.parts.append(name)


def _function(teller: Teller, value: Any) -> None:
    code = value.__code__
    name = _name_of(code)
    if is_ours(code.co_filename):
        teller.parts.append(name)
        return
    if teller.met(value, name):
        return
    if may_keep_state(code.co_filename):
        teller.codes[id(code)] = (code, value.__globals__)
    for part in (value.__closure__, value.__defaults__, value.__kwdefaults__, value.__dict__):
        if part:
            teller.tell(part)


def _cell(teller: Teller, value: Any) -> None:
    if not teller.met(value, "cell"):
        teller.tell(content_of(value))


def content_of(cell: types.CellType) -> Any:
    """The content of a cell; `UNSET` where it holds nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET


def _method(teller: Teller, value: Any) -> None:
    teller.parts.append("method")
    teller.tell(value.__func__)
    teller.tell(value.__self__)


def _builtin(teller: Teller, value: Any) -> None:
    teller.parts.append(value.__qualname__)
    if not isinstance(value.__self__, (types.ModuleType, type)):
        teller.tell(value.__self__)


def _partial(teller: Teller, value: Any) -> None:
    teller.parts.append("partial")
    teller.tell_all((value.func, value.args, value.keywords, vars(value)))


def _class(teller: Teller, value: Any) -> None:
    teller.parts += ("class", f"{value.__module__}.{value.__qualname__}")
    note_class(teller, value)


def note_class(teller: Teller, value: type) -> None:
    """What a class keeps, and what its functions may use, is part of what is around."""
    if value.__flags__ & _HEAP_TYPE and id(value) not in teller.codes and not from_library(value):
        teller.codes[id(value)] = (value, None)


@functools.cache
def from_library(value: type) -> bool:
    """True for a class of the harness, or of the standard library, which keeps nothing of a run."""
    module = sys.modules.get(value.__module__)
    file = getattr(module, "__file__", None)
    return module is not None and (file is None or not may_keep_state(file)) and value.__module__ != "__main__"


def of_user(module: types.ModuleType) -> bool:
    """False for modules of the harness, of the standard library and of the interpreter, which keep nothing of a run."""
    if module.__name__ in sys.builtin_module_names:
        return False
    file = getattr(module, "__file__", None)
    return file is None or may_keep_state(file)


def _module(teller: Teller, value: Any) -> None:
    if of_user(value):
        raise Opaque  # what is used of it is seen nowhere
    teller.parts.append(value.__name__)


def _enum(teller: Teller, value: Any) -> None:
    teller.parts += (type(value).__qualname__, value.name)


def _reduced(teller: Teller, value: Any) -> None:
    """An iterator, which says how it would be copied: what of, and how far it has come."""
    if teller.met(value, type(value).__qualname__):
        return
    made = value.__reduce__()
    teller.kept.append(made)
    teller.tell_all(made[1:])


def referents(teller: Teller, value: Any) -> None:
    """Something that keeps nothing but other values."""
    if teller.met(value, type(value).__qualname__):
        return
    found = gc.get_referents(value)
    teller.kept.append(found)
    teller.tell_all([each for each in found if type(each) is not type])


def _frame_of(teller: Teller, value: Any) -> None:
    """A generator or a coroutine."""
    code = value.gi_code if isinstance(value, types.GeneratorType) else _code_of(value)
    if teller.met(value, _name_of(code)):
        return
    frame, running = _state_of(value)
    if running:
        teller.parts.append("running")  # among the frames of a task
    elif frame is None:
        teller.parts.append("over")
    else:
        teller.tell_frame(frame, lambda: [each for each in gc.get_referents(value) if isinstance(each, BaseException)])


def _code_of(value: Any) -> types.CodeType:
    code: types.CodeType = value.cr_code if isinstance(value, types.CoroutineType) else value.ag_code
    return code


def _state_of(value: Any) -> tuple[types.FrameType | None, bool]:
    if isinstance(value, types.CoroutineType):
        return value.cr_frame, value.cr_running
    if isinstance(value, types.GeneratorType):
        return value.gi_frame, value.gi_running
    return value.ag_frame, value.ag_running


def _error(teller: Teller, value: Any) -> None:
    if teller.met(value, type(value).__qualname__):
        return
    note_class(teller, type(value))
    teller.tell_all((value.args, vars(value), value.__cause__, value.__context__, value.__suppress_context__))


def _random(teller: Teller, value: Any) -> None:
    if not teller.met(value, "random"):
        teller.parts.append(value.getstate())


def _lock(teller: Teller, value: Any) -> None:
    if not teller.met(value, "lock"):
        teller.parts.append(value.locked())


def _weak(teller: Teller, value: Any) -> None:
    teller.parts.append("weak")
    teller.tell(value())


def _context(teller: Teller, value: Any) -> None:
    if teller.met(value, "context"):
        return
    for name, each in sorted(((var.name, var) for var in value), key=lambda pair: pair[0]):
        teller.parts.append(name)
        teller.tell(value[each])


def _local(teller: Teller, value: Any) -> None:
    if not teller.met(value, "local"):
        teller.tell(value.__dict__)


def _message(teller: Teller, value: Any) -> None:
    teller.parts.append(("message", teller.messages.get(id(value), -1)))


def _file(teller: Teller, value: Any) -> None:
    teller.parts += ("file", value._name, value._pending, value._written)


def _bare(teller: Teller, value: Any) -> None:
    teller.met(value, "object")


def _opaque(teller: Teller, value: Any) -> None:
    raise Opaque


_LISTED: Final = (list, collections.deque, bytearray)
_MAPPED: Final = (dict, collections.defaultdict, collections.OrderedDict, collections.Counter, types.MappingProxyType)
_WRITTEN: Final = (
    *(dt.datetime, dt.date, dt.time, dt.timedelta, dt.timezone, decimal.Decimal),
    *(fractions.Fraction, uuid.UUID, re.Pattern, range, slice, type(Ellipsis), type(NotImplemented)),
    *(pathlib.PurePosixPath, pathlib.PosixPath, pathlib.PureWindowsPath, pathlib.WindowsPath, types.CodeType),
)
_ITERATORS: Final[tuple[type, ...]] = (
    *(type(iter([])), type(iter(())), type(reversed([])), type(iter(range(0))), type(iter("")), type(iter(b""))),
    *(type(iter({})), type(iter({}.values())), type(iter({}.items())), type(reversed({})), type(iter(set()))),
    *(type(reversed({}.values())), type(reversed({}.items())), type(iter(bytearray())), type(iter(range(1 << 70)))),
    *(zip, map, filter, enumerate, reversed),
)
_ITERTOOLS: Final = (itertools.count, itertools.cycle, itertools.chain, itertools.islice, itertools.repeat)
_DESCRIPTORS: Final = (
    *(types.MemberDescriptorType, types.GetSetDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType),
    *(types.ClassMethodDescriptorType, types.MethodWrapperType),
)

TELLING: Final[dict[type, _Act]] = {
    **dict.fromkeys(_LISTED, _items),
    **dict.fromkeys(_MAPPED, _dict),
    tuple: _tuple,
    **dict.fromkeys((set, frozenset), _set),
    **dict.fromkeys(_WRITTEN, _by_repr),
    **dict.fromkeys(_ITERATORS, _reduced),
    **dict.fromkeys(_ITERTOOLS, _reduced if sys.version_info < (3, 12) else _opaque),
    **dict.fromkeys((types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType), _frame_of),
    **dict.fromkeys((type({}.keys()), type({}.values()), type({}.items())), _items),
    **dict.fromkeys(_DESCRIPTORS, lambda teller, value: teller.parts.append(value.__qualname__)),
    **dict.fromkeys((SimWorld, StorePort, Saga, Scenario, Kernel), _constant("world")),
    Order: lambda teller, value: teller.parts.append(("order", value.id)),
    Step: lambda teller, value: teller.parts.append(("step", value.name)),
    logging.Logger: lambda teller, value: teller.parts.append(("logger", value.name)),
    object: _bare,
    types.FunctionType: _function,
    types.CellType: _cell,
    types.MethodType: _method,
    types.BuiltinFunctionType: _builtin,
    functools.partial: _partial,
    type(functools.cache(len)): referents,
    type: _class,
    types.ModuleType: _module,
    types.TracebackType: _constant("traceback"),
    property: lambda teller, value: teller.tell_all((value.fget, value.fset, value.fdel)),
    **dict.fromkeys((staticmethod, classmethod), lambda teller, value: teller.tell(value.__func__)),
    random.Random: _random,
    type(threading.Lock()): _lock,
    weakref.ref: _weak,
    contextvars.Context: _context,
    contextvars.ContextVar: lambda teller, value: teller.parts.append(("variable", value.name)),
    threading.local: _local,
    types.GenericAlias: _by_repr,
    Message: _message,
    FilePort: _file,
}
"""How values of a type are written down; what is not named here is learnt by `_telling`."""


def _telling(kind: type) -> _Act:
    """How the values of a type are written down that was not met before."""
    if kind.__name__ in BY_NAME:
        return referents
    for base, act in _BY_BASE:
        if issubclass(kind, base):
            return act
    data = issubclass(kind, tuple) or any(
        {"__dataclass_fields__", "__call__"} & vars(each).keys() for each in kind.__mro__
    )
    if not data and is_ours(getattr(sys.modules.get(kind.__module__), "__file__", None) or "<none>"):
        return _constant("world") if kind.__name__ in _OF_A_RUN else _opaque
    base = next((each for each in kind.__mro__ if not each.__flags__ & _HEAP_TYPE), object)
    if base is object:
        return _instances(kind, None)
    inner = _INNER.get(base)
    return _opaque if inner is None else _instances(kind, inner)


_BY_BASE: Final[tuple[tuple[type, _Act], ...]] = (
    (enum.Enum, _enum),
    (type, _class),
    (BaseException, _error),
    (logging.Handler, _constant("handler")),
)
"""How the values of a type are written down that builds on another."""

BY_NAME: Final = frozenset(
    {"TaskStepMethWrapper", "FutureIter", "coroutine_wrapper", "async_generator_asend", "async_generator_athrow"}
)
"""Types that can be had under no name, by what they call themselves: they keep nothing but other values."""

_OF_A_RUN: Final = frozenset({"Simulation", "Process", "Network", "Trace", "Durable", "Setup", "Task", "SimLoop"})
"""Classes of the harness whose objects are what the state tells by itself."""


def _contents(teller: Teller, value: Any) -> None:
    teller.parts.append(len(value))
    teller.tell_all(value)


def _pairs(teller: Teller, value: Any) -> None:
    teller.parts.append(dict.__len__(value))
    for key, each in dict.items(value):
        teller.tell(key)
        teller.tell(each)


_INNER: Final[dict[type, _Act]] = {
    **dict.fromkeys((tuple, list, collections.deque), _contents),
    **dict.fromkeys((dict, collections.defaultdict, collections.OrderedDict), _pairs),
    str: lambda teller, value: teller.parts.append(str.__str__(value)),
    int: lambda teller, value: teller.parts.append(int(value)),
    float: lambda teller, value: teller.parts.append(float(value)),
    bytes: lambda teller, value: teller.parts.append(bytes(value)),
}
"""What the values of a class hold that builds on one of the interpreter's."""


def _instances(kind: type, inner: _Act | None) -> _Act:
    """How the objects of a class are written down: by what each has of its own."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    slots = tuple(
        slot.__get__
        for each in kind.__mro__
        for slot in vars(each).values()
        if isinstance(slot, types.MemberDescriptorType) and each.__flags__ & _HEAP_TYPE
    )
    has_dict = any("__dict__" in vars(each) for each in kind.__mro__)
    library = from_library(kind)
    key = id(kind)

    def act(teller: Teller, value: Any) -> None:
        if teller.met(value, name):
            return
        if not library and key not in teller.codes:
            teller.codes[key] = (kind, None)
        if inner is not None:
            inner(teller, value)
        for get in slots:
            try:
                each = get(value, kind)
            except AttributeError:
                each = UNSET
            teller.tell(each)
        if has_dict:
            own = object.__getattribute__(value, "__dict__")
            teller.parts.append([*own])  # names, so plain
            teller.tell_all(own.values())

    return act
