"""A run from the middle: the world at a moment when a process is about to act, to go on from many times.

What the harness holds (stores, participants, messages and timers in flight, the record) is copied. The code under test
cannot be; it is brought to the same place by its `ReplayLog`, or, where it runs in an event loop, its `LoopReplay`.
Both are exact, so a run that goes on from a prefix is the run that starts at the beginning, row by row. Where that
cannot be had (two processes alive, another task that does more than sleep, a database, chance, the time of day asked of
the standard library), there is no prefix.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..faults import Fault, Plan
from ..history import Row, marshalled, rows_digest
from ..messages import USUAL
from .incarnation import TimedInputs
from .letter import Letter
from .loop_replay import LoopReplay
from .message import Message
from .observer import Observed, Observer
from .patches import virtual
from .process import RECEIVES, Process
from .replay_log import ReplayLog
from .retained import tellable
from .setup import Setup
from .simulation import Simulation
from .timers import LOOP, TASK, TIMERS, WAKE, Entry


class Strayed(Exception):
    """The code under test did not ask again what it had asked: it is not deterministic."""


class _Twins:
    """Copies of the messages of ``process`` and of others, one for each, that belong to ``twin`` in its place."""

    def __init__(self, process: Process, twin: Process) -> None:
        self._process = process
        self._twin = twin
        self._known: dict[int, Message] = {}
        self._letters: dict[int, Letter] = {}

    def of(self, msg: Message) -> Message:
        """The copy of a message."""
        found = self._known.get(id(msg))
        if found is None:
            found = self._known[id(msg)] = msg.copy()
            if msg.process is self._process:
                found.process = self._twin
        return found

    def of_letter(self, letter: Letter) -> Letter:
        """The copy of what is on its way to a process."""
        found = self._letters.get(id(letter))
        if found is None:
            found = self._letters[id(letter)] = letter.as_it_is()
        return found

    def under_way(self) -> dict[int, Message]:
        """The requests of an event loop whose answers are to come, by their numbers."""
        waiting = [msg for msg in self._known.values() if msg.process is self._twin and not msg.done]
        return {msg.on_done.args[0]: msg for msg in waiting}  # type: ignore[attr-defined]

    def of_timers(self, timers: Sequence[Entry]) -> list[Entry]:
        """The same timers, for the copies."""
        return [(due_us, order, what, self._of_any(whom)) for due_us, order, what, whom in timers]

    def _of_any(self, thing: Any) -> Any:
        if isinstance(thing, Message):
            return self.of(thing)
        if isinstance(thing, Letter):
            return self.of_letter(thing)
        return tuple(map(self._of_any, thing)) if isinstance(thing, tuple) else thing


class Prefix:
    """One moment of the run that ``observer`` looks at, which may go on. ``sites`` is how many it has visited."""

    def __init__(self, observer: Observer, process: Process) -> None:
        sim = observer.sim
        twins = _Twins(process, process)
        self.sites = len(sim.trace.sites)
        self._sim = sim
        self._process = process
        self._inputs = len(process.inputs)
        self._diary = process.diary[:]
        self._asked = process.asked
        self._turns = process.turns.copy()
        me = sim.kernel.current
        self._asleep = {task: task.number for task in process.tasks if not (task.finished or task is me)}
        self._extent = sim.trace.extent()
        self._kept = sim.durable.snapshot()
        self._services = {name: service.copy() for name, service in sim.services.items()}
        self._carried = sim.network.snapshot(twins.of)
        self._mail = None if sim.broker is None else sim.broker.snapshot(process, twins.of_letter)
        self._timers = twins.of_timers(sim.kernel.timers)
        self._moment = sim.kernel.moment()
        self._progress = sim.progress()
        self._projection = observer.projection_by_now().copy()
        self._head: bytes | None = None

    def resume(self, faults: Sequence[Fault], watch: Callable[[Observer], bool] | None = None) -> Observed:
        """Run on under a plan that strikes the same until here. Raises Strayed."""
        services = {name: service.copy() for name, service in self._services.items()}
        sim = Simulation(self._sim.setup, faults, seed=self._sim.seed, services=services)
        before = self._projection if watch is not None and not sim.setup.judged_by_time else None
        observer = Observer(sim, len(faults), watch, before) if watch is not None else None
        process = sim.process = sim.incarnate(self._process.incarnation)
        twins = _Twins(self._process, process)
        self._revive(sim, process, twins)
        sim.trace.repeat(self._sim.trace, self._extent)
        sim.restore(self._progress)
        self._restore_world(sim, process, twins)
        with virtual(sim):
            process.begin()
            sim.finish(sim.kernel.horizon_us)  # an operator may have been called
        if process.replay_log is not None:
            raise Strayed
        run = sim.result()
        observed = observer.completed(run) if observer is not None else Observed(run)
        sim.dissolve()
        return observed

    def digest(self, rows: Sequence[Row]) -> bytes:
        """`rows_digest` of a run that went on from here."""
        if self._head is None:
            self._head = marshalled(self._sim.trace.rows[: self._extent.rows])
        return rows_digest(rows, self._extent.rows, self._head)

    def _revive(self, sim: Simulation, process: Process, twins: _Twins) -> None:
        """Give the process, which is about to boot, the answers that it is to have."""
        process.upgraded = self._process.upgraded
        process.forgotten = [each for each in self._process.forgotten if each[1] <= self._inputs]
        process.turns = self._turns.copy()
        sim.trace.record = _unrecorded

        def over() -> None:
            process.replay_log = None
            sim.trace.record = sim.trace.rows.append
            if self._asleep:
                self._let_sleep(sim, process)

        def loop_over() -> dict[int, Message]:
            over()
            sim.kernel.now_us = self._moment.now_us
            return twins.under_way()

        def strayed() -> NoReturn:
            sim.kernel.abort(Strayed())
            raise Strayed

        inputs = self._process.inputs
        if isinstance(inputs, TimedInputs):
            process.inputs = inputs.first(self._inputs, sim.kernel)
            process.diary = self._diary[:]
            give_up = sim.network.give_up
            process.replay_log = LoopReplay(process, self._asked, over=loop_over, strayed=strayed, give_up=give_up)
            return
        process.inputs = inputs[: self._inputs]
        process.replay_log = ReplayLog(
            process,
            process.inputs[:],
            self._turns,
            hand=lambda entry, last: process.hand(_letter(sim, process, entry, last=last)),
            over=over,
            strayed=strayed,
        )

    def _let_sleep(self, sim: Simulation, process: Process) -> None:
        """The tasks that were asleep go on when those of the other run would have."""
        timers = sim.kernel.timers
        for index, (due_us, order, what, whom) in enumerate(timers):
            if what == WAKE and whom in self._asleep:
                twin = process.tasks[self._asleep[whom]]
                twin.asleep = True
                timers[index] = due_us, order, what, twin

    def _restore_world(self, sim: Simulation, process: Process, twins: _Twins) -> None:
        sim.durable.restore(self._kept)
        sim.network.restore(self._carried, twins.of)
        if sim.broker is not None and self._mail is not None:
            sim.broker.restore(self._mail, process, twins.of_letter)
        sim.kernel.restore(self._moment, twins.of_timers(self._timers))


def _letter(sim: Simulation, process: Process, entry: tuple[Any, ...], *, last: bool) -> Letter:
    """The message of an input: the one that the process has in hand, if it has not acknowledged it."""
    in_hand = sim.broker.in_hand(process) if sim.broker is not None and last else ()
    if in_hand:
        return in_hand[0]
    _, id, topic, saga, key, delivery, payload = entry
    letter = Letter(0, id, topic, saga, key, marshal.loads(payload), 0, USUAL, 0)
    letter.deliveries = delivery
    return letter


def _unrecorded(row: object) -> None:
    """What the process does again is in the record already."""


def _prefix(observer: Observer) -> Prefix | None:
    """This moment of a run, when the running task asks a port to act; None where it cannot be had exactly."""
    sim = observer.sim
    process = sim.process
    if process is None or not (_follows(sim, process) and _copyable(sim)):
        return None
    return Prefix(observer, process)


def _follows(sim: Simulation, process: Process) -> bool:
    """True if all that code under test is doing follows from what ``process`` was answered."""
    return (
        sim.living == [process]
        and process.replayable
        and (process.loop is None or (len(process.tasks) == 1 and sim.broker is None))
        and not process.paused_until_us
        and not sim.kernel.stopped  # else it is about to be looked at
        and not sim.foretold
        and sim.kernel.only_sleep_beside(process)
        and _handles_the_last(sim, process)
    )


def _handles_the_last(sim: Simulation, process: Process) -> bool:
    """True if the only message that a process has in hand, if one, is the last that it was handed, and the running task
    handles it."""
    in_hand = sim.broker.in_hand(process) if sim.broker is not None else ()
    handling = [task for task in process.tasks if task.label == RECEIVES] if in_hand else []
    return not in_hand or (len(in_hand) == 1 and handling[-1:] == [sim.kernel.current])


def _copyable(sim: Simulation) -> bool:
    """True if the rest of the world is of a kind that can be copied."""
    return not (
        sim.setup.scenario.actors
        or sim.setup.adapter.wrong_answers
        or sim.on_close
        or sim.durable.files
        or sim.chance is not None
        or (sim.durable.stale is not None and sim.durable.lags)
        or not all(map(tellable, sim.services.values()))
    ) and all(_can_be_had(what, whom) for _, _, what, whom in sim.kernel.timers)


def _can_be_had(what: str, whom: Any) -> bool:
    """True if a copy of the run can have a timer; of those for a task or a loop only one that does nothing any more, or
    wakes the task."""
    if what == LOOP:
        return not whom[0].waits
    timer = TIMERS[what]
    return timer.copyable and (timer.to != TASK or whom.finished or whom.asleep)


class _Keeper(Observer):
    """Keeps the moments of a run until it visits site number ``until``, where it ends."""

    __slots__ = ("_until", "found")

    def __init__(self, sim: Simulation, planned: int, until: int) -> None:
        super().__init__(sim, planned)
        sim.trace.on_ask = self._about_to_ask
        self._until = until
        self.found: list[Prefix] = []

    def _about_to_ask(self) -> None:
        """A process is about to ask a port to act."""
        trace = self.sim.trace
        if len(trace.sites) >= self._until:
            self.sim.kernel.stopped = "known"
            return
        here = _prefix(self)
        if here is not None:
            if len(trace.fired) < self.planned:
                self.found.clear()
            self.found.append(here)


def prefixes(setup: Setup, plan: Plan, until: int, *, seed: int = 0) -> list[Prefix]:
    """Run ``plan`` as far as its site number ``until``: the moments from which its extensions can go on, the last
    one before its last fault strikes and those that follow."""
    sim = Simulation(setup, plan.faults, seed=seed)
    keeper = _Keeper(sim, len(plan.faults), until)
    sim.complete()
    sim.dissolve()
    return keeper.found
