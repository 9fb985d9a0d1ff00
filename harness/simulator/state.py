"""The state of a run, as far as its future depends on it, in a few bytes.

A deterministic process is what its inputs made it: its volatile state is a function of the answers
that it has had since it started. So two runs whose durable state, messages in flight, timers
(relative to now) and answers agree have the same futures, whatever struck them before.
"""

from __future__ import annotations

import hashlib
import marshal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, Final, NamedTuple

from ..saga import FORWARD
from ..trace import MAX_ATTEMPT
from .message import Message
from .observer import Observer
from .participants import Ledger
from .past import Past
from .process_state import under_way
from .projection import Projection
from .readings import Readings
from .retained import Opaque, told
from .simulation import Simulation
from .sqlite_values import contents, found
from .timers import ANSWER, BEGINNING, DELIVERY, LOOP, OPEN_REQUEST, REQUEST, TASK, TIMERS

_SPARE: Final = 3
"""Attempts that must be left to be struck for their number not to matter."""


_FAR_US: Final = 10**10
"""A horizon farther off than this is the usual one, which nothing reaches."""


class _Moment(NamedTuple):
    """What is looked at: ``left`` is how many faults may strike yet, two standing for more."""

    sim: Simulation
    projection: Past | Projection
    left: int
    about_to_write: bool


def state_keys(observer: Observer, most: int = 2) -> tuple[bytes, ...]:
    """What two runs share only if their futures, and what the invariants know of their pasts, are the same: 16 bytes
    each for futures in which no fault strikes, one, or more, as far as ``most`` (0, 1, or 2 for more) asks for.
    Empty where that cannot be told."""
    state = State(observer, most)
    return state.by_answers() or state.by_frames(Readings())


class State:
    """The state of a run, with the keys that two runs share only if their futures, and what the invariants know of
    their pasts, are the same: 16 bytes each for futures in which no fault strikes, one, or more, as far as ``most``
    (0, 1, or 2 for more) asks for. ``world`` tells, in 16 bytes, of all but the processes; b"" where that cannot be
    told."""

    __slots__ = ("_around", "_sim", "world")

    def __init__(self, observer: Observer, most: int) -> None:
        self._sim = observer.sim
        self._around = _around(observer, most)
        self.world = self._around[0].digest() if self._around else b""

    def by_answers(self) -> tuple[bytes, ...]:
        """The keys, with processes told by the answers that each has had; empty where that cannot be."""
        return self._keys(_answers) if self._around else ()

    def by_frames(self, readings: Readings) -> tuple[bytes, ...]:
        """The keys, with processes told by their frames, which takes longer; empty where that cannot be."""
        return self._keys(partial(_frames, readings)) if self._around else ()

    def _keys(self, kept: Callable[[Simulation], list[Any]]) -> tuple[bytes, ...]:
        try:
            processes = marshal.dumps(_processes(self._sim, kept(self._sim)), 2)
        except (Opaque, ValueError):
            return ()
        keys = [each.copy() for each in self._around]
        for key in keys:
            key.update(processes)
        return tuple([key.digest() for key in keys])


def _around(observer: Observer, most: int) -> list[hashlib.blake2b]:
    """What is told of all but the processes, for each number of faults to come; empty where it cannot be told."""
    sim = observer.sim
    hidden = sim.resources or sim.chance is not None or (sim.broker is not None and sim.broker.busy)
    unsaid = sim.setup.scenario.actors or sim.setup.adapter.wrong_answers or sim.setup.nested
    if hidden or unsaid or sim.setup.judged_by_time:
        return []
    projection = observer.projection_by_now()
    try:
        world = (_durable(sim), _services(sim), projection.lanes)
        whatever_follows = hashlib.blake2b(marshal.dumps(world, 2), digest_size=16)
        writes = observer.about_to_write
        moments = [_Moment(sim, projection, left, writes) for left in range(most + 1)]
        return [_told(whatever_follows.copy(), at) for at in moments]
    except (Opaque, ValueError):
        return []


def _told(key: hashlib.blake2b, at: _Moment) -> hashlib.blake2b:
    before = () if _replaced(at) else tuple(at.sim.durable.before)
    key.update(marshal.dumps((at.left, before, _network(at), _timers(at)), 2))
    return key


def _processes(sim: Simulation, kept: list[Any]) -> tuple[Any, ...]:
    """Each process that lives, with what it ``kept``."""
    now = sim.kernel.now_us
    current = sim.kernel.current
    return tuple(
        [
            (
                process is sim.process,
                process.booted,
                process.upgraded,
                process.label if process.named else "",
                max(process.paused_until_us - now, 0),
                each,
                tuple([(t.label, t.saga, t is current, t.waiting) for t in process.tasks if not t.finished]),
            )
            for process, each in zip(sim.living, kept, strict=True)
        ]
    )


def _answers(sim: Simulation) -> list[Any]:
    """What each process was answered since it began: it is what that made it."""
    if sim.setup.is_async:
        raise Opaque  # in which order an event loop took its turns is no answer
    if sim.databases:
        if sim.setup.adapter.service is not None:
            raise Opaque
        came = found(sim.databases)  # what was read since then follows from that, the answers, and whose turn it was
        return [(_time(sim), came, tuple(process.inputs), tuple(process.turns)) for process in sim.living]
    return [(_time(sim), process.known) for process in sim.living]


def _frames(readings: Readings, sim: Simulation) -> list[Any]:
    """The contents of each process, read off its frames, and who waits for which request."""
    messages, acting = under_way(sim), _acting()
    return [(_time(sim), readings.of(sim, process, messages, acting)) for process in sim.living]


def _acting() -> FrameType | None:
    """The frame in which the current task is about to act: whoever looks at it stands further in."""
    start = frame = sys._getframe(1)
    while frame.f_code is not Observer._about_to_act.__code__:
        if frame.f_back is None:
            return start
        frame = frame.f_back
    return frame


def _time(sim: Simulation) -> int:
    """The time in µs where a clock was read, else 0: a time that is kept means something else at another time."""
    return sim.kernel.now_us if sim.time_read >= 0 else 0


def restart_due(sim: Simulation) -> bool:
    """True if `Simulation` would restart the last process if the run came to its end unsettled and no further fault
    struck. No part of the keys, since it matters only where that end is not settled."""
    fired = sim.trace.fired
    return bool(fired) and fired[-1][0] >= sim.booted_at


def _durable(sim: Simulation) -> tuple[Any, ...]:
    durable = sim.durable
    if durable.lags:
        raise Opaque
    files = tuple(sorted(durable.files.items()))
    return tuple(sorted(durable.texts.items())), files, contents(sim.databases), sim.wall_offset_s


def _replaced(at: _Moment) -> bool:
    """True if no process can come to read what was there before the last write, as a replica that lags shows it: the
    fault that makes one lag, or the one that starts a process before the next write, is no longer to strike."""
    if at.left != 1:
        return at.left == 0
    sim = at.sim
    alone = len(sim.living) == 1 and not any(TIMERS[what].starts for _, _, what, _ in sim.kernel.timers)
    return alone and at.about_to_write


def _services(sim: Simulation) -> tuple[Any, ...]:
    return tuple([(name, told(service)) for name, service in sim.services.items()])


def _network(at: _Moment) -> tuple[Any, ...]:
    sim = at.sim
    network, now = sim.network, sim.kernel.now_us
    lasting = tuple(
        [
            tuple(sorted([(service, until - now) for service, until in table.items() if until > now]))
            for table in (network.cut, network.mute, network.down)
        ]
    )
    spent = (
        [] if not at.left else sorted([(*call, n) for call, n in network.attempts.items() if n > MAX_ATTEMPT - _SPARE])
    )
    held = tuple(
        [tuple([_message(at, msg) for msg in some if not _idle(at, msg)]) for some in (network.held, network.late)]
    )
    waiting = tuple([(_message(at, entry[0]), entry[1]) for entry in network.waiting])
    return lasting, tuple(sorted(network.stuck)), tuple(spent), held, waiting


def _idle(at: _Moment, msg: Message) -> bool:
    """True if a request that is under way will change nothing and tell nobody anything: nobody waits for its answer,
    its participant will answer as it has answered before, and no other request waits for this one."""
    network, service = at.sim.network, at.sim.services[msg.service]
    unheard = msg.done or msg.deaf or msg.process.dead
    if not unheard or at.projection.undone or network.waiting or not isinstance(service, Ledger) or service.since:
        return False
    if msg.direction != FORWARD or msg.key is None or (at.left and not msg.deliveries):
        return False
    return service.decided(msg)


def _message(at: _Moment, msg: Message) -> tuple[Any, ...]:
    waits = not (msg.done or msg.deaf or msg.process.dead)
    due = msg.due_us - at.sim.kernel.now_us if waits else 0
    payload = tuple(sorted((name, repr(value)) for name, value in msg.payload.items()))
    about = msg.operation, msg.saga, msg.step, msg.direction, msg.key, payload
    deliveries = 0 if not at.left else min(msg.deliveries, 2)
    return about, waits, due, deliveries, at.projection.sent(msg.id)


def _timers(at: _Moment) -> tuple[Any, ...]:
    """What will still happen by itself, in order, relative to now."""
    found, sim = [], at.sim
    for due_us, _, what, whom in sorted(sim.kernel.timers, key=lambda entry: entry[:2]):
        shown = _timer(at, what, whom)
        if shown is not None:
            found.append((due_us - sim.kernel.now_us, what, shown))
    waiting = tuple([order.id for order in sim.waiting])
    left_us = sim.kernel.horizon_us - sim.kernel.now_us
    return tuple(found), waiting, left_us if left_us < _FAR_US else -1


def _timer(at: _Moment, what: str, whom: Any) -> Any:
    """A timer as a value; None for one that will do nothing."""
    to = TIMERS[what].to
    if to == REQUEST:
        return None if what == DELIVERY and _idle(at, whom) else _message(at, whom)
    if to == ANSWER:
        msg, reply = whom[0], whom[1]
        heard = not (msg.done or msg.process.dead)
        to_come = len(whom) > 2 and whom[2] is not None  # a fault that strikes when it has arrived
        return (_message(at, msg), reply.answer, repr(reply.value), msg.deaf, to_come) if heard else None
    if to == OPEN_REQUEST:
        return None if whom.done or whom.process.dead else _message(at, whom)
    if to == TASK:
        return None if whom.finished or whom.process.dead else (whom.label, whom.saga)
    if what == LOOP:
        loop, number = whom
        awaited = loop._asleep and loop._wait_id == number and not loop._task.process.dead
        return ("loop", loop._task.process is at.sim.process) if awaited else None
    if to == BEGINNING:
        return str(getattr(whom, "id", whom))
    raise Opaque
