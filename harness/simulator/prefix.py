"""A run from the middle: the world at a moment when a process is about to act, to go on from many times.

What the harness holds (stores, participants, messages and timers in flight, the record) is copied. The
code under test cannot be; it is brought to the same place by its `ReplayLog`. Both are exact, so a run that
goes on from a prefix is the run that starts at the beginning, row by row. Where that cannot be had (two
processes alive, tasks that overlap, a database, chance, the time of day asked of the standard
library), there is no prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ..faults import Fault, Plan
from ..history import Row, marshalled, rows_digest
from .network import Message
from .participants import Ledger
from .patches import virtual
from .process import Process
from .replay_log import ReplayLog
from .setup import Setup
from .simulation import Run, Simulation

_NETWORK: Final = frozenset({"deliver", "_answer", "_arrive", "_expire", "_wait_no_more", "_run_out"})


class Strayed(Exception):
    """The code under test did not ask again what it had asked: it is not deterministic."""


class _Flight(NamedTuple):
    """What is under way by itself: the messages that the network holds, and the timers by their owner
    ("network", "sim", "kernel") and method."""

    held: list[Message]
    late: list[Message]
    waiting: list[list[Any]]
    timers: list[tuple[int, int, str, str, Any]]

    def copy(self, process: Process, twin: Process) -> _Flight:
        """The same, with ``twin`` in the place of ``process``."""
        known: dict[int, Message] = {}

        def of(thing: Any) -> Any:
            if isinstance(thing, tuple):
                return tuple(map(of, thing))
            if not isinstance(thing, Message):
                return thing
            found = known.get(id(thing))
            if found is None:
                found = known[id(thing)] = thing.copy()
                if thing.process is process:
                    found.process = twin
            return found

        return _Flight(
            [of(msg) for msg in self.held],
            [of(msg) for msg in self.late],
            [[of(msg), left] for msg, left in self.waiting],
            [(at, seq, owner, name, of(argument)) for at, seq, owner, name, argument in self.timers],
        )


class Prefix:
    """One moment of the run ``sim``, which may go on. ``sites`` is how many it has visited."""

    def __init__(self, sim: Simulation, process: Process, timers: list[tuple[int, int, str, str, Any]]) -> None:
        kernel, network, durable = sim.kernel, sim.network, sim.durable
        self.sites = len(sim.sites)
        self._sim = sim
        self._process = process
        self._lengths = (len(sim.rows), len(sim.fired), len(process.inputs))
        self._impossible = sim.impossible.copy()
        self._texts = durable.texts.copy()
        self._before = durable.before
        self._occurrences = durable.occurrences.copy()
        self._services = {name: service.copy() for name, service in sim.services.items()}
        self._flight = _Flight(network._held, network._late, network._waiting, timers).copy(process, process)
        self._stuck = network.stuck.copy()
        self._until = (network._cut.copy(), network._mute.copy(), network._down.copy())
        self._attempts = network._attempts.copy()
        self._numbers = (network._next, kernel._seq, kernel.ticks, kernel.now_us, kernel.horizon_us)
        self._next_look = sim._next_look
        self._marks = (sim.recovery, sim.compensation, sim.capped, sim.wall_offset_s, sim.clock_read)
        self._head: bytes | None = None
        self._incarnations = (sim._incarnations, sim._healed_incarnation, sim.booted_at)
        self._projection = sim.projection_by_now().copy()
        self._orders = process.orders if process.booted else sim._waiting.copy()

    def resume(self, faults: Sequence[Fault], watch: Callable[[Simulation], bool] | None = None) -> Run:
        """Run on under a plan that strikes the same until here. Raises Strayed."""
        services = {name: service.copy() for name, service in self._services.items()}
        sim = Simulation(self._sim.setup, faults, seed=self._sim.seed, services=services)
        sim.watch = watch
        process = self._revived(sim)
        self._restore_record(sim)
        self._restore_world(sim, process)
        with virtual(sim):
            process.spawn("boot", "", process.main)
            sim.finish()
        if process.replay_log is not None:
            raise Strayed
        run = sim.result()
        sim.dissolve()
        return run

    def digest(self, rows: Sequence[Row]) -> bytes:
        """`rows_digest` of a run that went on from here."""
        if self._head is None:
            self._head = marshalled(self._sim.rows[: self._lengths[0]])
        return rows_digest(rows, self._lengths[0], self._head)

    def _revived(self, sim: Simulation) -> Process:
        """The process, about to boot, with the answers that it is to be given."""
        inputs = self._process.inputs[: self._lengths[2]]
        process = sim.process = Process(sim, self._process.incarnation)
        process.upgraded = self._process.upgraded
        process.inputs = inputs
        process.forgotten = [each for each in self._process.forgotten if each[1] <= self._lengths[2]]
        sim.living.append(process)
        sim.record = _unrecorded

        def over() -> None:
            process.replay_log = None
            sim.record = sim.rows.append

        process.replay_log = ReplayLog(inputs, over, lambda: sim.kernel.abort(Strayed()))
        return process

    def _restore_record(self, sim: Simulation) -> None:
        rows, fired, _ = self._lengths
        sim.rows += self._sim.rows[:rows]
        sim.sites += self._sim.sites[: self.sites]
        sim.site_rows += self._sim.site_rows[: self.sites]
        sim.fired += self._sim.fired[:fired]
        sim.impossible.update(self._impossible)
        sim.recovery, sim.compensation, sim.capped, sim.wall_offset_s, sim.clock_read = self._marks
        sim._incarnations, sim._healed_incarnation, sim.booted_at = self._incarnations
        sim._next_look = self._next_look
        if sim.watch is not None and not sim.setup.judged_by_time:
            sim.projection_of_prefix = self._projection
        sim._waiting = self._orders.copy()

    def _restore_world(self, sim: Simulation, process: Process) -> None:
        kernel, network, durable = sim.kernel, sim.network, sim.durable
        durable.texts.update(self._texts)
        durable.before = self._before
        durable.occurrences.update(self._occurrences)
        network._next, kernel._seq, kernel.ticks, kernel.now_us, kernel.horizon_us = self._numbers
        network.stuck |= self._stuck
        for table, until in zip((network._cut, network._mute, network._down), self._until, strict=True):
            table.update(until)
        network._attempts.update(self._attempts)
        flight = self._flight.copy(self._process, process)
        network._held, network._late, network._waiting, timers = flight
        owners = {"network": network, "sim": sim, "kernel": kernel}
        kernel._heap += [(at, seq, getattr(owners[owner], name), thing) for at, seq, owner, name, thing in timers]


def _unrecorded(row: object) -> None:
    """What the process does again is in the record already."""


def prefix(sim: Simulation) -> Prefix | None:
    """This moment of ``sim``, when the running task asks a port to act; None where it cannot be had exactly."""
    process = sim.process
    if process is None or not (_follows(sim, process) and _copyable(sim)):
        return None
    timers = []
    for at, seq, function, argument in sim.kernel._heap:
        name = function.__name__
        if name in _NETWORK:
            timers.append((at, seq, "network", name, argument))
        elif name == "submit":
            timers.append((at, seq, "sim", name, argument))
        elif name == "wake" and argument.finished:
            timers.append((at, seq, "kernel", name, argument))
        else:
            return None
    return Prefix(sim, process, timers)


def _follows(sim: Simulation, process: Process) -> bool:
    """Whether all that code under test is doing follows from what ``process`` was answered."""
    kernel = sim.kernel
    return (
        sim.living == [process]
        and process.replayable
        and not process.paused_until_us
        and not kernel._runnable
        and all(task is kernel.current or task.finished for task in kernel.tasks)
    )


def _copyable(sim: Simulation) -> bool:
    """Whether the rest of the world is of a kind that can be copied."""
    stale = sim.durable.stale
    return not (
        sim.setup.is_async
        or sim.on_close
        or sim.durable.files
        or sim.chance is not None
        or (stale is not None and stale[2]())
        or any(not isinstance(service, Ledger) for service in sim.services.values())
    )


def prefixes(setup: Setup, plan: Plan, until: int, *, seed: int = 0) -> list[Prefix]:
    """Run ``plan`` as far as its site number ``until``: the moments from which its extensions can go on, the last
    one before its last fault strikes and those that follow."""
    sim = Simulation(setup, plan.faults, seed=seed)
    found: list[Prefix] = []

    def keep(sim: Simulation) -> None:
        if len(sim.sites) >= until:
            sim.kernel.stopped = "known"
            return
        here = prefix(sim)
        if here is not None:
            if len(sim.fired) < sim.planned:
                found.clear()
            found.append(here)

    sim.checkpoint = keep
    sim.complete()
    sim.dissolve()
    return found
