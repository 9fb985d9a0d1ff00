"""The state of a process, from the frames of its tasks."""

from __future__ import annotations

import contextvars
import inspect
import sys
from asyncio import BaseEventLoop, Handle
from collections.abc import Sequence
from functools import partial
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any, Final, Protocol

from ..frames import is_ours
from .aio import SimLoop
from .async_values import ASYNCIO, tell_loop
from .database import Database
from .kernel import Kernel, Task
from .message import Message
from .network import Network
from .process import Process
from .retained import Opaque
from .sqlite_values import SQLITE, tell_connections
from .surroundings import Reach, tell_surroundings
from .timers import ANSWER, OPEN_REQUEST, REQUEST, TIMERS
from .value_stack import READABLE, held
from .volatile import TELLING, Teller

TELLING.update({**ASYNCIO, **SQLITE})

_PASSES_ON: Final = frozenset(
    {
        *("kernel", "process", "incarnation", "observer", "state", "process_state", "state_memo", "enumerator"),
        *("trace", "simulation", "network", "injection", "replacing", "clocks", "replay_log", "world", "store"),
    }
)
"""Modules of the harness whose functions keep nothing on the stack of code under test, but for `_KEEPS`."""

_TURN: Final = ("turn",)
"""In the place of names: how many more calls the turn of an event loop has."""

_KEEPS: Final = {
    ("aio", "SimLoop._run_once"): _TURN,
    **{("aio", f"SimLoop.{name}"): () for name in ("run_forever", "run_until_dead", "wait", "poke", "rouse")},
    ("world", "SimWorld.call"): ("operation", "saga", "key", "timeout_ms", "epoch", "part", "payload"),
    ("world", "SimWorld.publish"): ("topic", "saga", "key", "delay_ms", "payload"),
    ("store", "durable_write"): ("saga", "subject", "writes"),
    ("sqlite", "WatchedCursor.execute"): ("sql", "parameters"),
    ("sqlite", "WatchedConnection.statement"): ("sql", "opens", "changes"),
    ("sqlite", "SimConnection.durable"): ("changes",),
    **{
        ("sqlite", f"WatchedConnection.{name}"): ()
        for name in ("execute", "commit", "_commits", "__exit__", "isolation_level")
    },
    **{("sqlite", f"SimConnection.{name}"): () for name in ("statement", "commit")},
}
"""Functions of the harness that keep what they were asked for, and under which names."""


class Running(Protocol):
    """A run, as far as it is asked what its processes keep."""

    kernel: Kernel
    network: Network
    databases: dict[str, Database]

    @property
    def living(self) -> Sequence[Process]:
        """The processes that live."""


def frames_of(sim: Running, process: Process, messages: list[Message]) -> list[Any]:
    """The volatile state of a process in which no task runs, as plain values. Raises Opaque."""
    return read(sim, process, messages, None)[0]


def read(
    sim: Running, process: Process, messages: list[Message], acting: FrameType | None
) -> tuple[list[Any], list[Reach]]:
    """The volatile state of a process, as plain values, and what its code and classes find around them; ``acting`` is
    the frame in which the task that runs, if any, is about to act. Raises Opaque."""
    if not READABLE:
        raise Opaque
    kernel = sim.kernel
    teller = Teller(kernel.now_us, {id(msg): number for number, msg in enumerate(messages)})
    parts, current = teller.parts, kernel.current
    for task in process.tasks:
        if task.finished:
            continue
        parts.append((task.label, task.saga, task is current, task.waiting))
        if task is current:
            _tell_stack(teller, acting, runs=True)
            context = contextvars.copy_context()
            if len(context):
                teller.tell(context)
        elif task.glet is None:
            teller.tell(task.main)
        else:
            _tell_stack(teller, task.glet.gr_frame, runs=False)
            teller.tell(task.glet.gr_context or None)  # one that is empty may have been made by whoever looked
            if not task.waiting:
                teller.tell_all((task.value, task.error))
    batches = process.world.store._batches
    if batches:
        parts.append([(getattr(task, "number", -1), [tuple(map(repr, writes))]) for task, writes in batches.items()])
    for msg in messages:
        _tell_caller(teller, process, msg)
    if process.loop is not None and not process.loop.is_closed():
        tell_loop(teller, process.loop)
        teller.tell(process._serving)
    teller.tell(process._subject)
    tell_connections(teller, process)
    return parts, tell_surroundings(teller)


def _tell_stack(teller: Teller, frame: FrameType | None, *, runs: bool) -> None:
    """Write down the frames of code under test, from the innermost out. Of a task that ``runs`` Python says which
    error is handled innermost; frames of functions around it hold theirs, those of coroutines do not."""
    asked: list[FrameType] = []

    def handled() -> list[Any]:
        asked.append(outer)
        if not runs or (len(asked) > 1 and any(each.f_code.co_flags & _SUSPENDS for each in asked)):
            raise Opaque
        return [sys.exc_info()[1]]

    while frame is not None:
        names = _names_of(frame.f_code)
        if names is None:
            outer = frame
            teller.tell_frame(frame, handled)
        elif names is _TURN:
            found = held(frame)
            assert found is not None
            parts = found[1][-1:]
            teller.parts += [each.__length_hint__() for each in parts if isinstance(each, _RANGE)]
        elif names:
            found = held(frame)
            assert found is not None
            values, all_names = found[1], frame.f_code.co_varnames
            teller.parts.append(frame.f_code.co_qualname)
            teller.tell_all([values[all_names.index(name)] for name in names])
        frame = frame.f_back


_SUSPENDS: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

_RANGE: Final[Any] = type(iter(range(1)))

_OF_THE_LOOP: Final = frozenset({BaseEventLoop.run_forever.__code__, Handle._run.__code__})
"""Functions of asyncio between a turn of the loop and what it calls."""

_kinds: Final[dict[int, tuple[CodeType, tuple[str, ...] | None]]] = {}


def _names_of(code: CodeType) -> tuple[str, ...] | None:
    """The names of what a function of the harness keeps; None where it is none of its own."""
    found = _kinds.get(id(code))
    if found is None:
        found = _kinds[id(code)] = code, _looked_up(code)
    return found[1]


def _looked_up(code: CodeType) -> tuple[str, ...] | None:
    if code in _OF_THE_LOOP:
        return ()
    if not is_ours(code.co_filename):
        return None
    module = PurePath(code.co_filename).stem
    names = _KEEPS.get((module, code.co_qualname))
    if names is None and module not in _PASSES_ON:
        raise Opaque
    return names or ()


def under_way(sim: Running) -> list[Message]:
    """The requests that are under way, each once, in the order of what will happen to them."""
    network = sim.network
    found: dict[int, Message] = {}
    for _, _, what, whom in sorted(sim.kernel.timers, key=lambda entry: entry[:2]):
        to = TIMERS[what].to
        if to in (REQUEST, OPEN_REQUEST):
            found.setdefault(id(whom), whom)
        elif to == ANSWER:
            found.setdefault(id(whom[0]), whom[0])
    for msg in (*network.held, *network.late, *[entry[0] for entry in network.waiting]):
        found.setdefault(id(msg), msg)
    return [*found.values()]


def _tell_caller(teller: Teller, process: Process, msg: Message) -> None:
    """Write down who of a process waits for the answer of a request. Raises Opaque."""
    if msg.done or msg.process is not process:
        teller.parts.append(-1)
        return
    whom = told_to(msg)
    if isinstance(whom[0], Task):
        teller.parts.append(whom[0].number)
    else:
        teller.tell(whom[1])


def told_to(msg: Message) -> tuple[Any, ...]:
    """Who waits for the answer of a request: a task, or the number of the request in an event loop, and its future.
    Raises Opaque."""
    on_done = msg.on_done
    if isinstance(on_done, partial) and on_done.args:
        of_a_loop = getattr(on_done.func, "__func__", None) is SimLoop.answer
        if of_a_loop or isinstance(on_done.args[0], Task):
            return on_done.args
    raise Opaque
