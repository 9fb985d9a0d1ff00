"""One run of an adapter under a plan: the pieces put together, driven to quiescence, recorded."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from greenlet import getcurrent

from ..errors import UsageError
from ..faults import AT_BOOT, AT_LOG, AT_SEND, Fault, Plan, Site
from ..history import (
    ALERT,
    APPLY,
    BOOT,
    CANCEL,
    CLIENT_ACK,
    CLOCK,
    CRASH,
    DEAD_LETTER,
    END,
    EXPIRE,
    HEAL,
    LOGACK,
    LOGLOST,
    NONSENSE,
    PAUSE,
    RAISED,
    SUBMIT,
    TERMINAL,
    Fired,
    History,
    Row,
)
from ..saga import COMPENSATION, FORWARD, Outcome
from ..scenario import Order
from .kernel import MAX_TICKS, Kernel, Task
from .network import MAX_ATTEMPT, Network
from .patches import Spinning, virtual
from .priorities import Priorities
from .process import ORCHESTRATOR, Process, calling_line
from .projection import Projection
from .setup import Setup
from .store import Durable

HORIZON_US: Final = 30 * 24 * 3_600_000_000
"""Virtual time after which a run is cut: thirty days, beyond any backoff."""

OPERATOR_US: Final = 3_600_000_000
"""When, after it was struck, an operator repairs a compensation that fails: one hour, or when all is at rest."""

HEALING: Final = "heal"
"""Why a process is started when all faults are over and a saga is open."""

PAUSE_US: Final = 10_000_000
LAG_US: Final = 50_000
"""How long a paused process stands still, and how long a replica lags after a restart."""

SETTLE_CHECK_TICKS: Final = 2_000
IDLE_TICKS: Final = 4_000
"""Timers that fire without anything being recorded before a run counts as at rest."""

MAX_IDLE_TICKS: Final = 40_000
"""The same while a saga, or a recovery, is under way and may only be waiting for long."""

MAX_OCCURRENCE: Final = 64

_ENDS: Final = frozenset({CLIENT_ACK, TERMINAL, DEAD_LETTER, RAISED, NONSENSE})


class Run(NamedTuple):
    """What one simulation leaves. ``sites`` are those it reached, in order; from ``recovery`` on
    they lie after a restart, from ``compensation`` on after the first undo was asked (-1: none).
    ``fired`` are (rows before it, index of the fault in the plan). ``impossible`` maps the index of a
    site to the kinds that could not have taken effect there. ``capped`` says that there were more
    attempts or writes than are struck. ``site_rows`` are the rows before each site. ``known_at`` is the
    number of sites after which the run was ended because the caller knew the rest (-1: it ran to its
    end), ``clock_read`` whether the code under test asked for the wall clock. ``projection`` is what the
    invariants ask of all this, as 16 bytes (see `Projection`); empty where nobody compares pasts."""

    rows: tuple[Row, ...]
    sites: tuple[Site, ...]
    recovery: int
    compensation: int
    fired: tuple[tuple[int, int], ...]
    capped: bool
    impossible: Mapping[int, tuple[str, ...]]
    site_rows: tuple[int, ...]
    known_at: int
    clock_read: bool
    projection: bytes = b""

    def history(self, setup: Setup, plan: Plan) -> History:
        return History(
            saga=setup.adapter.saga,
            sagas=tuple(setup.orders),
            rows=self.rows,
            fired=tuple(Fired(position=position, fault=plan.faults[index]) for position, index in self.fired),
            adapter=setup.adapter.name,
            scenario=setup.scenario.name,
            declared=setup.adapter.declared,
        )


def unsettled(setup: Setup, rows: Sequence[Row]) -> set[str]:
    """The sagas that are neither all done, nor all undone, nor handed to a person; also those that are not begun
    and were made durable, after the last start, by a process that then died: nobody has had a chance to see them."""
    done: set[str] = set()
    for row in rows:
        if row[1] in (CLIENT_ACK, TERMINAL) and row[9][0] != Outcome.PENDING.value:
            done.add(row[3])
        elif row[1] == LOGLOST and row[9][0] == "terminal":
            done.discard(row[3])
    handed = {row[3] for row in rows if row[1] == DEAD_LETTER} & {row[3] for row in rows if row[1] == ALERT}
    left = [saga for saga in setup.orders if saga not in done and saga not in handed]
    if not left:
        return set()
    binding = {step.name for step in setup.adapter.saga.steps if step.undo is not None or step.pivot}
    everything = {step.name for step in setup.adapter.saga.steps}
    unseen = _unseen(rows)
    found: set[str] = set()
    for saga in left:
        net: dict[str, int] = {}
        for row in rows:
            if row[3] == saga and (row[1] == EXPIRE or (row[1] == APPLY and row[9][0])):
                lasts = row[1] == APPLY and row[5] == FORWARD
                net[row[4]] = net.get(row[4], 0) + (1 if lasts else -1)
        begun = any(net.get(step) for step in binding) and not all(net.get(step) == 1 for step in everything)
        if begun or (saga in unseen and not net):
            found.add(saga)
    return found


def _unseen(rows: Sequence[Row]) -> set[str]:
    started = max((number for number, row in enumerate(rows) if row[1] == BOOT), default=0)
    since = rows[started:]
    dead = {row[2] for row in since if row[1] == CRASH}
    return {row[3] for row in since if row[1] == LOGACK and row[9][0] == "create" and row[2] in dead}


class Simulation:
    """The state of one run. Build it, then ``complete()``; or drive it by hand with ``manual=True``."""

    __slots__ = (
        "_faults",
        "_healed_incarnation",
        "_incarnations",
        "_next_look",
        "_strike",
        "_waiting",
        "about_to_write",
        "booted_at",
        "capped",
        "chance",
        "checkpoint",
        "clock_read",
        "compensation",
        "databases",
        "durable",
        "fired",
        "impossible",
        "kernel",
        "known_at",
        "living",
        "manual",
        "network",
        "on_close",
        "planned",
        "priorities",
        "process",
        "projection",
        "projection_of_prefix",
        "record",
        "recovery",
        "resources",
        "rows",
        "seed",
        "services",
        "setup",
        "site_rows",
        "sites",
        "wall_offset_s",
        "watch",
    )

    def __init__(
        self,
        setup: Setup,
        faults: Sequence[Fault] = (),
        *,
        manual: bool = False,
        seed: int = 0,
        services: dict[str, Any] | None = None,
    ) -> None:
        self.setup = setup
        self.manual = manual
        self.rows: list[Row] = []
        self.record = self.rows.append
        self.sites: list[Any] = []
        self.site_rows: list[int] = []
        self.watch: Callable[[Simulation], bool] | None = None
        self.checkpoint: Callable[[Simulation], object] | None = None  # told when a process is about to act
        self.projection: Projection | None = None  # as far as it was asked for
        self.projection_of_prefix: Projection | None = None  # that of the run from which this one goes on
        self.about_to_write = False  # when `watch` is asked: whether a write is what the process is about to do
        self.known_at = -1
        self.planned = len(faults)
        self.living: list[Process] = []
        self.impossible: dict[int, tuple[str, ...]] = {}
        self.fired: list[tuple[int, int]] = []
        self.recovery = -1
        self.compensation = -1
        self.capped = False
        self.databases: dict[str, str] = {}
        self.resources: dict[str, Any] = {}
        self.on_close: list[Callable[[], None]] = []
        self.durable = Durable()
        self.services = setup.ledgers() if services is None else services
        self.kernel = Kernel(horizon_us=0 if manual else HORIZON_US)
        self.network = Network(self, manual=manual)
        self.process: Process | None = None
        self.priorities: Priorities | None = None
        self.wall_offset_s = 0
        self.clock_read = False
        for fault in faults:
            if fault.kind not in setup.kinds:
                raise UsageError(f"the plan names {fault.kind!r}: {setup.refusal(fault.kind)}")
        self._faults = {tuple(fault.site): (fault.kind, index) for index, fault in enumerate(faults)}
        self._strike: tuple[str, int] = ("", -1)
        self.booted_at = 0  # the rows before the last start of a process
        self._incarnations = 0
        self._waiting: list[Order] = []
        self.seed = seed
        self.chance: random.Random | None = None  # the source of randomness, once it was asked for
        self._healed_incarnation = 0
        self._next_look: tuple[int, int, int] | None = None  # see `_run_to_rest`

    # -- what the ports use ------------------------------------------------------------------

    def visit(self, site: tuple[str, str, str, str, int], impossible: tuple[str, ...] = ()) -> str | None:
        """A site is reached: the kind of fault that the plan has for it, if any. ``impossible`` are the
        kinds that could not take effect here, as things stand."""
        if site[4] > (MAX_ATTEMPT if site[2] else MAX_OCCURRENCE):
            self.capped = True
            return None
        if self.compensation < 0 and site[2] == COMPENSATION:
            self.compensation = len(self.sites)
        if self.watch is not None and site[3] in _ABOUT_TO_ACT:
            self._watched(site)
        if impossible:
            self.impossible[len(self.sites)] = impossible
        self.sites.append(site)
        self.site_rows.append(len(self.rows))
        found = self._faults.get(site)
        if found is None:
            return None
        self._strike = found
        return found[0]

    def _watched(self, site: tuple[str, str, str, str, int]) -> None:
        """At a moment when a process is about to act, and every fault has struck: does the caller know
        the rest? Then the run ends here."""
        self.about_to_write = site[3] == AT_LOG
        if self.watch is not None and self.known_at < 0 and len(self.fired) >= self.planned and self.watch(self):
            self.known_at = len(self.sites)
            self.kernel.stopped = "known"

    def projection_by_now(self) -> Projection:
        """What the rows so far leave to the invariants."""
        if self.projection is None:
            before = self.projection_of_prefix
            self.projection = (
                before.copy() if before else Projection((), len(self.setup.orders), self.setup.forgets_retries)
            )
        self.projection.follow(self.rows)
        return self.projection

    def struck(self) -> None:
        """The fault of the site visited last takes its effect now."""
        self.fired.append((len(self.rows), self._strike[1]))

    def crash(self, process: Process, reason: str) -> None:
        """Kill an orchestrator. Where it was the newest one, another starts after the adapter's restart time."""
        self.record((self.kernel.now_us, CRASH, process.label, "", "", "", 0, None, 0, (reason,)))
        process.die()
        self.living.remove(process)
        if process is not self.process:
            return
        self.process = None
        if not self.manual:
            self.kernel.at(int(self.setup.adapter.restart_ms * 1000), self.start, "crash")

    def pause(self, process: Process) -> None:
        """Let a process stand still, with all its tasks, while another one starts."""
        now = self.kernel.now_us
        self.record((now, PAUSE, process.label, "", "", "", 0, None, 0, (PAUSE_US // 1000,)))
        process.paused_until_us = now + PAUSE_US
        self.kernel.pause(process)
        if process is self.process:
            self.kernel.at(int(self.setup.adapter.restart_ms * 1000), self._start_beside, process)
        self.kernel.sleep(self.task(), PAUSE_US)

    def _start_beside(self, paused: Process) -> None:
        if self.process is paused:
            self.start("pause")

    def cancel(self, process: Process, saga: str) -> None:
        """The client cancels its saga."""
        self.record((self.kernel.now_us, CANCEL, "client", saga, "", "", 0, None, 0, ()))
        process.cancel(self.setup.orders[saga])

    def jump_clock(self, by_s: int) -> None:
        """Set the wall clock ahead or back."""
        self.wall_offset_s += by_s
        self.record((self.kernel.now_us, CLOCK, "harness", "", "", "", 0, None, 0, (by_s,)))

    def start(self, reason: str) -> None:
        """Start a new incarnation of the orchestrator."""
        self._incarnations += 1
        if self._incarnations > 1 and self.recovery < 0:
            self.recovery = len(self.sites)
        process = self.process = Process(self, self._incarnations)
        self.living.append(process)
        if self._incarnations > 1 and not self.manual:
            self._strike_boot(process)
        process.start(reason)

    def _strike_boot(self, process: Process) -> None:
        kind = self.visit(("", ORCHESTRATOR, "", AT_BOOT, process.incarnation))
        if kind is None:
            return
        self.struck()
        if kind == "upgrade":
            process.upgraded = True
        elif kind == "stale-read":
            until_us = self.kernel.now_us + LAG_US
            self.durable.lag(process, lambda: self.kernel.now_us < until_us)

    def task(self) -> Task:
        """The task that is running; UsageError where a port is used outside of any."""
        task = self.kernel.current
        if task is None or task.glet is not getcurrent():
            self.refuse(
                UsageError(
                    f"adapter {self.setup.adapter.name!r}: a port was used outside of boot, run, recover and "
                    f"world.spawn (from a thread, or from a participant); use world.spawn for work beside the sagas"
                )
            )
        return task

    def refuse(self, error: UsageError) -> NoReturn:
        """End the run: the adapter is used wrongly. Not catchable by the code under test."""
        self.kernel.abort(error)
        raise error

    def stopped_by(self, error: BaseException) -> bool:
        """Whether ``error`` is the watchdog's, which ends the run."""
        if isinstance(error, Spinning):
            self.kernel.stopped = "spins"
            return True
        return False

    @property
    def random(self) -> random.Random:
        if self.chance is None:
            self.chance = random.Random(self.seed)
        return self.chance

    # -- the client --------------------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """The client asks for ``order``; while the orchestrator is down it waits."""
        data = (order.item, order.quantity, order.amount)
        self.record((self.kernel.now_us, SUBMIT, "client", order.id, "", "", 0, None, 0, data))
        if self.process is not None and self.process.booted:
            self.process.replayable = False  # when it comes is no answer of a port
            self.process.submit(order)
        else:
            self._waiting.append(order)

    def serve_waiting(self, process: Process) -> None:
        """Hand the orders that came while nobody could take them to a process that has booted."""
        waiting, self._waiting = self._waiting, []
        process.orders = waiting
        for order in waiting:
            process.submit(order)

    # -- the whole run -----------------------------------------------------------------------

    def complete(self) -> Run:
        """Run the scenario to its end under the plan, heal what lasts, and close."""
        with virtual(self):
            self.start("start")
            for n, order in enumerate(self.setup.scenario.orders):
                if n and self.setup.scenario.gap_ms:
                    self.kernel.at(n * self.setup.scenario.gap_ms * 1000, self.submit, order)
                else:
                    self.submit(order)
            self.finish()
        return self.result()

    def finish(self) -> None:
        """Let everything come to rest: faults end, every process runs, nothing stays in flight."""
        kernel, network = self.kernel, self.network
        kernel.horizon_us = HORIZON_US
        try:
            while True:
                self._run_to_rest()
                if kernel.stopped:
                    break
                if network.flush():
                    continue
                if network.stuck:
                    self._heal()
                    continue
                if self._needs_restart():
                    self._restart()
                    continue
                break
            self.record((kernel.now_us, END, "harness", "", "", "", 0, None, 0, (kernel.stopped or "quiescent",)))
        finally:
            self.close()

    def _run_to_rest(self) -> None:
        """Run until nothing is left to do, or until only tasks that poll for ever are."""
        kernel = self.kernel
        if self._next_look is None:  # else this is a copy of a run that was in the midst of it
            self._look_again(len(self.rows), kernel.ticks)
        while self._next_look is not None:
            seen, since, kernel.max_ticks = self._next_look
            kernel.run()
            if kernel.stopped != "livelock" or kernel.ticks >= MAX_TICKS:
                break
            kernel.stopped = ""
            if len(self.rows) > seen:
                seen, since = len(self.rows), kernel.ticks
            if self.network.stuck:
                self._heal()
            elif self._only_pollers() or kernel.ticks - since >= (MAX_IDLE_TICKS if self._serves() else IDLE_TICKS):
                break
            self._look_again(seen, since)
        self._next_look = None
        kernel.max_ticks = MAX_TICKS

    def _look_again(self, seen: int, since: int) -> None:
        """Look after some ticks whether all is at rest: since tick ``since`` nothing came after ``seen`` rows."""
        self._next_look = (seen, since, min(self.kernel.ticks + SETTLE_CHECK_TICKS, MAX_TICKS))

    def call_operator(self) -> None:
        """A compensation fails for good: time stops an hour from now at the latest, for somebody to repair it."""
        self.kernel.horizon_us = min(self.kernel.horizon_us, self.kernel.now_us + OPERATOR_US)

    def _heal(self) -> None:
        """An operator repairs the compensations that fail."""
        self.network.stuck.clear()
        self.kernel.horizon_us = HORIZON_US
        self.record((self.kernel.now_us, HEAL, "harness", "", "", "", 0, None, 0, ()))

    def _only_pollers(self) -> bool:
        """Every saga has come to its end, and what still runs would run for ever."""
        if self.process is None or self._serves():
            return False
        ended = {row[3] for row in self.rows if row[1] in _ENDS and row[9][0] != Outcome.PENDING.value}
        return ended.issuperset(self.setup.orders) and not unsettled(self.setup, self.rows)

    def _serves(self) -> bool:
        return self.process is not None and self.process.serving > 0

    def _needs_restart(self) -> bool:
        """Liveness is judged after every process was restarted once without a fault: where the last
        incarnation suffered one and a saga is open, it gets that chance."""
        if self.manual and self.process is None:
            return True
        if not self.setup.recovers or not self.fired or self._healed_incarnation >= self._incarnations:
            return False
        return self.fired[-1][0] >= self.booted_at and bool(unsettled(self.setup, self.rows))

    def _restart(self) -> None:
        if self.process is not None:
            self.record((self.kernel.now_us, CRASH, self.process.label, "", "", "", 0, None, 0, ("final restart",)))
            self.process.die()
            self.living.remove(self.process)
            self.kernel.run()
        self._healed_incarnation = self._incarnations + 1
        self.kernel.horizon_us = self.kernel.now_us + HORIZON_US
        self.start(HEALING)

    def result(self) -> Run:
        return Run(
            rows=tuple(self.rows),
            sites=tuple(self.sites),
            recovery=self.recovery,
            compensation=self.compensation,
            fired=tuple(self.fired),
            capped=self.capped,
            impossible=self.impossible,
            site_rows=tuple(self.site_rows),
            known_at=self.known_at,
            clock_read=self.clock_read,
            projection=self.projection_by_now().digest
            if (self.projection or self.projection_of_prefix) and self.known_at < 0
            else b"",
        )

    def close(self) -> None:
        """Unwind what is still suspended and give back what the run held."""
        for process in {id(task.process): task.process for task in self.kernel.tasks}.values():
            process.dead = True
        self.kernel.bury(self.kernel.tasks)
        while self.on_close:
            self.on_close.pop()()

    def dissolve(self) -> None:
        """Cut what the parts of a finished run know of each other, so that its memory is free at once. To leave
        that to the garbage collector costs a search half its speed: no two runs share a cache."""
        for process in {id(task.process): task.process for task in self.kernel.tasks}.values():
            process.dissolve()
        self.kernel.tasks.clear()
        self.kernel._heap.clear()
        self.living.clear()
        self.process = None
        del self.network.sim


_ABOUT_TO_ACT: Final = (AT_SEND, AT_LOG)


def simulate(
    setup: Setup, plan: Plan = Plan(), *, seed: int = 0, watch: Callable[[Simulation], bool] | None = None
) -> Run:
    """Run ``setup`` under ``plan`` in the simulator. ``watch`` is asked whenever a process is about to act
    after every fault has struck, and ends the run by answering True."""
    sim = _begun(setup, plan, seed)
    sim.watch = watch
    run = sim.complete()
    sim.dissolve()
    return run


def _begun(setup: Setup, plan: Plan, seed: int = 0) -> Simulation:
    sim = Simulation(setup, plan.faults, seed=seed)
    sim.priorities = Priorities(plan.yields) if plan.yields else None
    return sim


def line_of(setup: Setup, plan: Plan, position: int) -> str:
    """Run the plan and say which line of the code under test recorded the row at ``position``."""
    sim = _begun(setup, plan)
    lines: list[str] = []

    def record(row: Row) -> None:
        if len(sim.rows) == position:
            lines.append(calling_line())
        sim.rows.append(row)

    sim.record = record
    sim.complete()
    sim.dissolve()
    return lines[0] if lines else ""
