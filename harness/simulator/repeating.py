"""Proof that a run goes round: where it is as it was before, and has not asked for the time since, it will do for ever
what it did meanwhile.

A run is as it was when everything on which its future depends is: what is durable, what the participants hold, what is
under way, the timers, and the code under test itself, told from the frames of its tasks. What cannot be told is never
taken for equal.
"""

from __future__ import annotations

import hashlib
import marshal
import random
import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from ..scenario import Order
from .acting import Actors
from .host import Host
from .kernel import EPOCH_S, Task
from .message import Message
from .network import Network
from .process import Process
from .process_state import frames_of, under_way
from .retained import Opaque, told
from .sqlite_values import contents
from .timers import ANSWERING, DELIVERY, GIVE_UP, WAKE, Entry

_TIME: Final = re.compile(r"(?<![\w.])\d{10}\.\d+(?![\w.])")
"""A time of day in seconds, as a store of JSON texts has it."""


class Running(Host, Protocol):
    """A run, as far as it is told where it is."""

    network: Network
    actors: Actors
    services: dict[str, Any]
    chance: random.Random | None
    incarnations: int
    waiting: list[Order]

    @property
    def living(self) -> Sequence[Process]:
        """The processes that live."""

    def only_pollers(self) -> bool:
        """True if every saga is over, and what still runs would run for ever."""


FOR_EVER: Final = -1
"""For how long who waits for nothing else goes round."""


class Due(NamedTuple):
    """A timer: its order, when it is due in µs, and whether it wakes a task that is ``asleep``."""

    order: int
    at_us: int
    asleep: bool


class Waits(NamedTuple):
    """When what will happen by itself is ``due``, at ``now_us``. Where all that is left is tasks that sleep, how long
    the first of them does is seen by nobody: it is ``unseen``, and counts as no time. ``last`` is the order of the last
    timer that was begun."""

    due: tuple[Due, ...]
    unseen: bool
    now_us: int
    last: int

    def rounds_us(self, before: Waits) -> int:
        """For how long those who were woken since ``before``, and wait as they did then, go round until one of the
        others is woken, in whole rounds; `FOR_EVER` where there are no others, 0 where they do not wait so."""
        others = [each for each in self.due if each.order <= before.last]
        mine = [each for each in self.due if each.order > before.last]
        kept = {each.order for each in others}
        then = [each for each in before.due if each.order not in kept]
        if not mine or self.unseen != before.unseen:
            return 0
        now_us, then_us = (mine[0].at_us, then[0].at_us) if self.unseen and then else (self.now_us, before.now_us)
        if [each.at_us - now_us for each in mine] != [each.at_us - then_us for each in then] or now_us == then_us:
            return 0
        if not others:
            return FOR_EVER
        left_us = others[0].at_us - mine[-1].at_us - 1
        round_us = now_us - then_us
        return left_us // round_us * round_us if left_us > 0 and all(each.asleep for each in mine) else 0


class Place(NamedTuple):
    """Where a run is, told in 16 bytes, apart from what `Waits` tell, and from the ``times`` of day in seconds that are
    left out, which it was ``now_s``."""

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
    hidden = sim.resources or sim.chance is not None or setup.adapter.service is not None
    beside = not sim.actors.at_rest or setup.is_async
    lasts = network.stuck or sim.durable.lags  # for a while
    if hidden or beside or lasts or (setup.judged_by_time and not sim.only_pollers()):
        return None
    now, messages = sim.kernel.now_us, under_way(sim)
    if any(process.paused_until_us > now for process in sim.living):
        return None
    times: list[float] = []
    try:
        parts: list[Any] = [
            [frames_of(sim, process, messages) for process in sim.living],
            (sorted(sim.durable.texts.items()), sorted(sim.durable.files.items())),
            [told(service) for service in sim.services.values()],
            [
                _kept(sim, msg, left)
                for msg, left in (*((msg, 0) for msg in (*network.held, *network.late)), *network.waiting)
            ],
            [
                sorted([(service, until - now) for service, until in table.items() if until > now])
                for table in (network.cut, network.mute, network.down)
            ],
            [_timer(sim, what, whom) for _, _, what, whom in _timers(sim)],
            (sim.incarnations, len(sim.living), len(sim.waiting), sim.wall_offset_s),
            contents(sim.databases),
            _events(sim),
        ]
        written = marshal.dumps(_without(times, parts) if timed else parts, 2)
    except (Opaque, ValueError):
        return None
    told_in = hashlib.blake2b(written, digest_size=16).digest()
    return Place(told_in, tuple(times), now / 1e6 + EPOCH_S + sim.wall_offset_s)


def _without(times: list[float], value: Any) -> Any:
    """A value of lists, tuples and plain ones with the times of day in it put apart, also those in texts."""
    kind = type(value)
    if kind is float and value > EPOCH_S:
        times.append(value)
        return "time"
    if kind is str and (found := _TIME.findall(value)):
        times += map(float, found)
        return _TIME.sub("time", value)
    if kind is list or kind is tuple:
        return [kind.__name__, *[_without(times, each) for each in value]]
    return value


def _timer(sim: Running, what: str, whom: Any) -> tuple[Any, ...]:
    """What will happen by itself, whenever that is. Raises Opaque where that cannot be told."""
    if what == WAKE:
        return what, whom.label, whom.saga, whom.finished
    if what in (DELIVERY, GIVE_UP):
        return what, _message(sim, whom)
    if what == ANSWERING:
        return what, _message(sim, whom[0]), whom[1].answer, repr(whom[1].value)
    raise Opaque


def _kept(sim: Running, msg: Message, left: int) -> tuple[Any, ...]:
    """A request that is kept until others were handled: ``left`` more of them."""
    return left, _message(sim, msg, waits=not (msg.done or msg.deaf or msg.process.dead))


def _message(sim: Running, msg: Message, *, waits: bool = True) -> tuple[Any, ...]:
    about = (msg.operation, msg.saga, msg.step, msg.key, msg.deliveries, msg.done, msg.deaf, msg.process.dead)
    payload = sorted((name, repr(value)) for name, value in msg.payload.items())
    return *about, msg.due_us - sim.kernel.now_us if waits else 0, payload


def surface(sim: Running, *, timed: bool) -> tuple[Any, ...]:
    """What of a run's `position` costs little to be told."""
    network, texts = sim.network, sim.durable.texts
    written = [*texts] if timed else texts.copy()
    return written, len(network.held), len(network.late), len(network.waiting), _events(sim)


def _events(sim: Running) -> int:
    """How many events there were, where something is kept that changes only with one and cannot be told; else 0."""
    by_events = sim.setup.adapter.participants or (sim.broker is not None and sim.broker.busy)
    return len(sim.trace.rows) if by_events else 0


def first_due(sim: Running) -> int:
    """The order of the next timer that wakes a task that lives, or is none of a task; -1 where there is none."""
    return min((entry[:2] for entry in sim.kernel.timers if _does_something(entry)), default=(0, -1))[1]


def waits(sim: Running) -> Waits:
    """When what will happen by itself is due."""
    network = sim.network
    due = [Due(order, due_us, asleep=what == WAKE and whom.asleep) for due_us, order, what, whom in _timers(sim)]
    lasts = network.held or network.late or network.waiting or network.outage_lasts
    return Waits(
        due=tuple(due),
        unseen=not lasts and all(each.asleep for each in due),
        now_us=sim.kernel.now_us,
        last=sim.kernel.newest,
    )


def _timers(sim: Running) -> list[Entry]:
    """What will happen by itself, in its order."""
    return [entry for entry in sorted(sim.kernel.timers, key=_by_time) if _does_something(entry)]


def _by_time(entry: Entry) -> tuple[int, int]:
    return entry[:2]


def _does_something(entry: Entry) -> bool:
    return entry[2] != WAKE or not _is_over(entry[3])


def _is_over(task: Task) -> bool:
    """True if a task does nothing any more."""
    return task.finished or task.process.dead
