"""Proof that a run goes round: where it is as it was before, and has not asked for the time since, it will do for ever
what it did meanwhile.

A run is as it was when everything on which its future depends is: what is durable, what the participants hold, what is
under way, the timers, and the code under test itself, told from the frames of its tasks. What cannot be told is never
taken for equal.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import logging
import random
import re
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final, NamedTuple, Protocol

from ..frames import is_ours, may_keep_state
from ..saga import Saga, Step
from ..scenario import Order
from .host import Host
from .kernel import EPOCH_S, Task
from .message import Message
from .network import Network
from .retained import Opaque, told
from .store import StorePort
from .timers import ANSWERING, DELIVERY, GIVE_UP, WAKE, Entry
from .world import SimWorld

_TIME: Final = re.compile(r"(?<![\w.])\d{10}\.\d+(?![\w.])")
"""A time of day in seconds, as a store of JSON texts has it."""

MOST: Final = 4_000
"""So many values are looked at in the code under test at most."""

_HEAP_TYPE: Final = 1 << 9
"""The flag of a class that is written in Python."""

_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes)
_CONSTANT: Final = (ModuleType, logging.Logger, CodeType, Order, Saga, Step)
_WORLD: Final = (SimWorld, StorePort)


class Running(Host, Protocol):
    """A run, as far as it is told where it is."""

    network: Network
    services: dict[str, Any]
    chance: random.Random | None
    incarnations: int
    waiting: list[Order]

    def only_pollers(self) -> bool:
        """True if every saga is over, and what still runs would run for ever."""


class Place(NamedTuple):
    """Where a run is, told in 16 bytes, apart from the ``times`` of day in seconds that are left out, which it was
    ``now_s``."""

    told: bytes
    times: tuple[float, ...]
    now_s: float

    def again(self, before: Place) -> bool:
        """True if it is where it was ``before``; of each time, that it is the same or the same time ago."""
        if self.told != before.told:
            return False
        passed = self.now_s - before.now_s
        return all(
            now == then or abs(now - then - passed) < _UNHEARD_S
            for now, then in zip(self.times, before.times, strict=True)
        )


_UNHEARD_S: Final = 1e-5
"""How much a time may be off that was rounded."""


def position(sim: Running, *, timed: bool = False) -> Place | None:
    """Where a run is: the same only where its future is, as long as nobody asks for the time and no fault strikes. None
    where that cannot be told. Where it is ``timed``, what looks like a time that was asked for is told apart: then the
    future is the same but for what depends on the time."""
    setup, network = sim.setup, sim.network
    hidden = sim.databases or sim.resources or sim.chance is not None or setup.adapter.participants
    beside = setup.scenario.actors or sim.broker is not None or setup.is_async
    if hidden or beside or network.stuck or (setup.judged_by_time and not sim.only_pollers()):
        return None
    now = sim.kernel.now_us
    teller = _Teller(now, timed=timed)
    try:
        for task in sim.kernel.tasks:
            if not task.finished:
                teller.tell_task(task)
        for key, text in sim.durable.texts.items():
            teller.tell_text(key, text)
        for value in (sim.durable.files, *_services(sim)):
            teller.tell(value)
        for msg, left in (*((msg, 0) for msg in (*network.held, *network.late)), *network.waiting):
            teller.tell_kept(msg, left)
        for table in (network.cut, network.mute, network.down):
            teller.tell({service: until - now for service, until in table.items() if until > now})
        for due_us, what, whom in _due(sim):
            teller.tell_timer(due_us, what, whom)
    except Opaque:
        return None
    teller.parts += [sim.incarnations, len(sim.living), len(sim.waiting), bool(sim.durable.lags), sim.wall_offset_s]
    told = hashlib.blake2b(repr(teller.parts).encode(), digest_size=16).digest()
    return Place(told, tuple(teller.times), now / 1e6 + EPOCH_S + sim.wall_offset_s)


def surface(sim: Running, *, timed: bool) -> tuple[Any, ...]:
    """What of a run's `position` costs little to be told."""
    due, network, texts = [entry[:2] for entry in _due(sim)], sim.network, sim.durable.texts
    return due, [*texts] if timed else texts.copy(), len(network.held), len(network.late), len(network.waiting)


def _due(sim: Running) -> list[tuple[int, str, Any]]:
    """What will happen by itself: in how many µs, what, and to whom. Where all that is left is tasks that sleep, how
    long the first of them does is seen by nobody, and counts as no time."""
    kernel, network = sim.kernel, sim.network
    timers = [entry for entry in sorted(kernel.timers, key=_by_time) if entry[2] != WAKE or not _is_over(entry[3])]
    lasts = network.held or network.late or network.waiting or network.outage_lasts
    asleep = not lasts and all(what == WAKE and whom.asleep for _, _, what, whom in timers)
    since = timers[0][0] if asleep and timers else kernel.now_us
    return [(due_us - since, what, whom) for due_us, _, what, whom in timers]


def _by_time(entry: Entry) -> tuple[int, int]:
    return entry[:2]


def _is_over(task: Task) -> bool:
    """True if a task does nothing any more."""
    return task.finished or task.process.dead


def _services(sim: Running) -> list[bytes]:
    """What each participant holds. Raises Opaque where that cannot be told."""
    try:
        return [told(service) for service in sim.services.values()]
    except ValueError:
        raise Opaque from None


class _Teller:
    """Writes values down, so that two are written alike only where code cannot tell them apart."""

    def __init__(self, now_us: int, *, timed: bool) -> None:
        self._now_us = now_us
        self._timed = timed
        self.parts: list[Any] = []
        self.times: list[float] = []  # those that are told apart
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._codes: set[CodeType] = set()

    def tell_task(self, task: Task) -> None:
        process = task.process
        frame = task.glet.gr_frame if task.glet is not None else None
        if frame is None or process.paused_until_us > self._now_us:
            raise Opaque
        self.parts += [task.label, task.saga, task.waiting, task.error is None]
        while frame is not None:
            if not is_ours(frame.f_code.co_filename):
                self._tell_frame(frame)
            frame = frame.f_back

    def _tell_frame(self, frame: FrameType) -> None:
        code, at = frame.f_code, frame.f_lasti
        if any(begin <= at < end for begin, end in _loops(code)):
            raise Opaque  # how far the iterator of a for loop has come is seen nowhere
        self.parts += ["frame", code.co_qualname, code.co_firstlineno, at]
        self.tell({**frame.f_locals})  # from Python 3.13 on they are no dict
        self._tell_names(code, frame.f_globals)

    def _tell_names(self, code: CodeType, names: Mapping[str, Any]) -> None:
        """Write down what a function, and those in it, may find under the global ``names`` that it uses."""
        if code in self._codes or not may_keep_state(code.co_filename):
            return
        self._codes.add(code)
        if _imports(code):
            raise Opaque
        for name in code.co_names:
            if name in names and name[0] != "@":  # those are of pytest, which rewrites assertions
                self.parts.append(name)
                self._tell_found(names[name], code)
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self._tell_names(inner, names)

    def _tell_found(self, value: Any, code: CodeType) -> None:
        """Write down a global value; of a module what the function may use of it."""
        if not isinstance(value, ModuleType):
            self.tell(value)
        elif _of_user(value):
            for name in code.co_names:
                if name in vars(value):
                    self.parts.append(name)
                    self.tell(vars(value)[name])

    def tell_text(self, key: str, text: str) -> None:
        """Write down what is durable under a key."""
        if self._timed:
            self.times += map(float, _TIME.findall(text))
            text = _TIME.sub("time", text)
        self.parts += [key, text]

    def tell_timer(self, due_us: int, what: str, whom: Any) -> None:
        self.parts += ["timer", due_us, what]
        if what == WAKE:
            self.parts += [whom.label, whom.saga, whom.finished]
        elif what in (DELIVERY, GIVE_UP):
            self._tell_message(whom)
        elif what == ANSWERING:
            self._tell_message(whom[0])
            self.parts += [whom[1].answer, repr(whom[1].value)]
        else:
            raise Opaque

    def tell_kept(self, msg: Message, left: int) -> None:
        """Write down a request that is kept until others were handled: ``left`` more of them."""
        self.parts += ["kept", left]
        self._tell_message(msg, waits=not (msg.done or msg.deaf or msg.process.dead))

    def _tell_message(self, msg: Message, *, waits: bool = True) -> None:
        about = (msg.operation, msg.saga, msg.step, msg.key, msg.deliveries, msg.done, msg.deaf, msg.process.dead)
        self.parts += [*about, msg.due_us - self._now_us if waits else 0]
        self.tell(msg.payload)

    def tell(self, value: Any) -> None:
        """Write down a value, and what can be reached from it. Raises Opaque where that cannot be done."""
        kind = type(value)
        if kind is float and self._timed and value > EPOCH_S:
            self.parts.append("time")
            self.times.append(value)
        elif kind in _PLAIN:
            self.parts.append((kind.__name__, value))
        elif isinstance(value, _WORLD):
            self.parts.append("world")  # what it shows is told by itself
        elif isinstance(value, ModuleType) and _of_user(value):
            raise Opaque  # what is used of it is seen nowhere
        elif isinstance(value, _CONSTANT):
            self.parts.append(
                ("constant", getattr(value, "__name__", "") or getattr(value, "name", "") or getattr(value, "id", ""))
            )
        elif isinstance(value, enum.Enum):
            self.parts.append((kind.__qualname__, value.name))
        elif id(value) in self._seen:
            self.parts.append(("seen", self._seen[id(value)]))
        elif isinstance(value, type):
            self._tell_class(value)
        else:
            self._tell_compound(value, kind)

    def _tell_class(self, value: type) -> None:
        """Write down what a class and those that it inherits from keep, and what their functions may use."""
        self._see(value)
        self.parts.append(("class", value.__qualname__))
        for kind in value.__mro__:
            if not _of_user(sys.modules.get(kind.__module__)):
                continue
            for name, each in vars(kind).items():
                shared = _behind(each)
                if isinstance(shared, FunctionType) or not (name[:2] == "__" or isinstance(shared, _DESCRIPTORS)):
                    self.parts.append(name)
                    self.tell(shared)

    def _tell_compound(self, value: Any, kind: type) -> None:
        self._see(value)
        self.parts.append((kind.__qualname__, len(value) if hasattr(kind, "__len__") else 0))
        for each in _within(value, kind):
            self.tell(each)
        if kind is FunctionType:
            self._tell_names(value.__code__, value.__globals__)
        elif kind.__flags__ & _HEAP_TYPE:
            self.tell(kind)

    def _see(self, value: Any) -> None:
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        if len(self._seen) > MOST:
            raise Opaque


def _within(value: Any, kind: type) -> list[Any]:
    """The values that one consists of. Raises Opaque where they cannot be told."""
    parts = _PARTS.get(kind)
    if parts is not None:
        return parts(value)
    if issubclass(kind, tuple):
        return [*value]
    if issubclass(kind, BaseException):
        return [value.args, vars(value)]
    if any(not base.__flags__ & _HEAP_TYPE and base is not object for base in kind.__mro__):
        raise Opaque  # it holds what only C knows of
    slots = [getattr(value, name, None) for each in kind.__mro__ for name in _slots(each)]
    return [*slots, getattr(value, "__dict__", None)]


def _of_user(module: ModuleType | None) -> bool:
    """False for modules of the harness, of the standard library and of the interpreter, which keep nothing of a run."""
    if module is None:
        return True
    if module.__name__ in sys.builtin_module_names:
        return False
    file = getattr(module, "__file__", None)
    return file is None or may_keep_state(file)


def _behind(value: Any) -> Any:
    """The function behind what a class holds for one."""
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, functools.cached_property):
        return value.func
    return value


def _of_a_set(value: Any) -> list[Any]:
    if not all(type(each) in _PLAIN for each in value):
        raise Opaque
    return sorted(value, key=repr)


def _contents(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty
        return None


def _slots(kind: type) -> tuple[str, ...]:
    found = vars(kind).get("__slots__", ())
    return (found,) if isinstance(found, str) else tuple(found)


_PARTS: Final[Mapping[type, Callable[[Any], list[Any]]]] = {
    **dict.fromkeys((tuple, list, deque), list),
    **dict.fromkeys(
        (dict, defaultdict, OrderedDict, Counter, MappingProxyType),
        lambda value: [each for pair in value.items() for each in pair],
    ),
    **dict.fromkeys((set, frozenset), _of_a_set),
    CellType: lambda value: [_contents(value)],
    FunctionType: lambda value: [
        value.__code__.co_qualname,
        value.__closure__,
        value.__defaults__,
        value.__kwdefaults__,
        vars(value),
    ],
    MethodType: lambda value: [value.__func__, value.__self__],
    functools.partial: lambda value: [value.func, value.args, value.keywords],
    property: lambda value: [value.fget, value.fset, value.fdel],
    BuiltinFunctionType: lambda value: [value.__name__, value.__self__],
}
"""The values that one of a kind consists of."""

_DESCRIPTORS: Final = (MemberDescriptorType, GetSetDescriptorType)
"""What a class holds for the slots of its instances."""


@functools.cache
def _imports(code: CodeType) -> bool:
    """True for a function that imports: what it then uses is found nowhere among its names."""
    return any(each.opname == "IMPORT_NAME" for each in dis.get_instructions(code))


@functools.cache
def _loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """From where to where each for loop of a function goes."""
    return tuple((each.offset, each.argval) for each in dis.get_instructions(code) if each.opname == "FOR_ITER")
