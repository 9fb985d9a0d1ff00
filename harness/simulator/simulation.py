"""One run of an adapter under a plan: the pieces put together, driven to quiescence, recorded."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, NoReturn

from greenlet import getcurrent

from ..definitions import root_of
from ..effects import AT_BOOT, BEFORE, SIMULATED, Doings, Effect, Lag, Upgrade, check_doings, doing
from ..errors import UsageError
from ..faults import FAULT_KINDS, Fault, FaultKind, Plan
from ..history import (
    APPLY,
    CANCEL,
    CLIENT_ACK,
    CLOCK,
    CRASH,
    DATA,
    EFFECTIVE,
    END,
    FINAL_RESTART,
    HEAL,
    KIND,
    OUTCOME,
    PAUSE,
    SAGA,
    STEP,
    SUBMIT,
    UNCALLED,
)
from ..saga import Outcome
from ..scenario import Order
from ..trace import Run, SiteKind, Trace, called_to
from . import app_life, broker, injection, store
from .acting import Acting, Actors
from .apps import apps_of
from .broker import Broker
from .database import Database
from .durable import Durable
from .idle import Signs, without_idle
from .incarnation import ORCHESTRATOR, Incarnation
from .inside import within
from .kernel import LIVELOCK, NO_LIMIT, Kernel, Task
from .locks import give_back
from .network import Network
from .patches import made_inside, virtual
from .priorities import Priorities
from .process import Process
from .resting import Look, first_look, goes_round_at, looked
from .settled import ENDS, binding_steps, tells_of_ends, unsettled
from .setup import Setup
from .threaded import ThreadedKernel
from .timers import RESUBMIT, START, START_BESIDE
from .timers import SUBMIT as SUBMIT_DUE

HORIZON_US: Final = 10 * 365 * 24 * 3_600_000_000
"""Virtual time after which a run is at rest, whatever is still due: ten years. Nobody waits for longer."""

OPERATOR_US: Final = 3_600_000_000
"""For how long a compensation fails at most: one hour. An operator repairs it as soon as all is at rest, if called."""

HEALING: Final = "heal"
"""Why a process is started when all faults are over and a saga is open."""


class Progress(NamedTuple):
    """How far a run has come, apart from what its parts hold: the fields of `Simulation` of the same names."""

    incarnations: int
    booted_at: int
    look: Look | None
    called_at: int
    wall_offset_s: int
    clock_read: int
    time_read: int
    waiting: tuple[Order, ...]
    restarted_at: int


class Stretch(NamedTuple):
    """A part of a run, until it came to rest: how many sites there were then, the number of the site from which on it
    did before what it had done already, but for the time (-1: none), and what was ``foretold`` by then (see
    `Resting`)."""

    sites: int
    goes_round_at: int
    foretold: frozenset[SiteKind]


class Simulation:
    """One run: its parts, and who starts and ends its processes. Build it, then ``complete()``; or drive it by hand
    with ``manual=True``. To its ports it is a `Host`."""

    __slots__ = (
        *("_over", "_processes", "actors", "alone", "apps", "booted_at", "broker", "called_at", "chance"),
        *("clock_read", "databases", "durable", "foretold", "forgets", "incarnations", "kernel", "living", "look"),
        *("manual", "network", "on_close", "process", "remembered", "resources", "restarted_at", "seed", "services"),
        *("setup", "stretches", "time_read", "trace", "waiting", "wall_offset_s"),
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
        adapter, scenario, kinds = setup.adapter, setup.scenario, setup.kinds
        for fault in faults:
            name = fault.kind
            if name not in kinds:
                raise UsageError(f"the plan names {name!r}: {setup.refusal(name)}")
            kind = FAULT_KINDS[name]
            if _can_be_done.get(name) is not kind:  # asked here, where no code under test can catch the error
                for effect in kind.effects:
                    doing(DOINGS[kind.phase, effect.at(kind.phase)], effect)
                _can_be_done[name] = kind
        self.setup = setup
        self.manual = manual
        self.on_close: list[Callable[[], None]] = []
        horizon_us = 0 if manual else HORIZON_US
        self.kernel = kernel = Kernel(horizon_us=horizon_us) if adapter.service is None else self._threaded(horizon_us)
        self.trace = Trace(faults, lambda: kernel.now_us, scenario.spared)
        self.durable = Durable()
        self.services: dict[str, Any] = {} if services is None else services
        self.network = Network(self, self.services, injection.DOINGS, manual=manual)
        self.broker = Broker(self, self.network) if setup.receives else None
        kernel.acts |= {
            START: self.start,
            START_BESIDE: self._start_beside,
            SUBMIT_DUE: self.submit,
            RESUBMIT: self._submit_again,
        }
        self.databases: dict[str, Database] = {}
        self.resources: dict[str, Any] = {}
        self.remembered: dict[str, Any] = {}
        self.actors = Actors() if scenario.actors else _NOBODY
        self.living: list[Process] = []
        self._processes: list[Process] = []
        self.process: Process | None = None
        self.wall_offset_s = 0
        self.clock_read = self.time_read = -1  # the rows when the wall clock, or any, was last asked for
        self.forgets = False
        self.alone: set[int] = set()  # the rows before a process stood still while nothing else was under way
        self.booted_at = 0  # the rows before the last start of a process
        self.restarted_at = -1  # the row at which the harness ended a process, to start another
        self.incarnations = 0  # processes started so far
        self.waiting: list[Order] = []  # those that came while nobody could take them
        self.seed = seed
        self.chance: random.Random | None = None  # the source of randomness, once it was asked for
        self.look: Look | None = None  # see `_run_to_rest`
        self.stretches: list[Stretch] = []  # each time that it came to rest
        self.foretold: frozenset[SiteKind] = frozenset()  # see `Resting`
        self._over = (-1, False)  # how many rows there were when `only_pollers` read them, and what it read
        self.called_at = 0  # the ticks by which a compensation began to fail for good
        if services is None:
            theirs = adapter.participants or adapter.around
            self.services |= made_inside(self, setup.ledgers) if theirs else setup.ledgers()
        self.apps = apps_of(self, self.network)

    def _threaded(self, horizon_us: int) -> Kernel:
        """Make the kernel of a service, whose tasks are threads."""
        kernel = ThreadedKernel(horizon_us=horizon_us)
        self.on_close.append(partial(give_back, kernel))
        return kernel

    def progress(self) -> Progress:
        """How far it has come, for `restore`: as it was before a process that has booted took its orders."""
        process = self.process
        return Progress(
            incarnations=self.incarnations,
            booted_at=self.booted_at,
            look=self.look,
            called_at=self.called_at,
            wall_offset_s=self.wall_offset_s,
            clock_read=self.clock_read,
            time_read=self.time_read,
            waiting=tuple(process.orders if process is not None and process.booted else self.waiting),
            restarted_at=self.restarted_at,
        )

    def restore(self, progress: Progress) -> None:
        """Go on from where another run was."""
        self.incarnations = progress.incarnations
        self.booted_at = progress.booted_at
        self.look = progress.look
        self.called_at = progress.called_at
        self.wall_offset_s = progress.wall_offset_s
        self.clock_read = progress.clock_read
        self.time_read = progress.time_read
        self.waiting = [*progress.waiting]
        self.restarted_at = progress.restarted_at

    # -- what the ports use ------------------------------------------------------------------

    def crash(self, process: Incarnation, reason: str) -> None:
        """Kill an orchestrator. Where it was the newest one, another starts after the adapter's restart time."""
        self.trace.add(CRASH, process.label, (reason,))
        self._bury(process)
        if process is not self.process:
            return
        self.process = None
        if not self.manual:
            self.kernel.at(int(self.setup.adapter.restart_ms * 1000), START, "crash")

    def _bury(self, process: Incarnation) -> None:
        process.die()
        self.living = [each for each in self.living if each is not process]

    def pause(self, process: Incarnation, for_us: int) -> None:
        """Let a process stand still for so long, with all its tasks, while another one starts."""
        if self.network.idle:
            self.alone.add(len(self.trace.rows))
        self.trace.add(PAUSE, process.label, (for_us // 1000,))
        process.paused_until_us = self.kernel.now_us + for_us
        self.kernel.pause(process)
        if process is self.process:
            self.kernel.at(int(self.setup.adapter.restart_ms * 1000), START_BESIDE, process)
        self.kernel.sleep(self.task(), for_us)

    def _start_beside(self, paused: Process) -> None:
        if self.process is paused:
            self.start("pause")

    def cancel(self, process: Incarnation, saga: str) -> None:
        """The client cancels its saga, at the process that is about to act; at the newest where an actor is."""
        saga = root_of(saga)
        self.trace.add(CANCEL, "client", saga=saga)
        if not isinstance(process, Acting):
            process.cancel(self.setup.orders[saga])
        elif self.process is not None and self.process.booted:
            self.process.cancel(self.setup.orders[saga])

    def resubmit(self, saga: str, after_us: int) -> None:
        """The client sends its order again, after so long."""
        saga = root_of(saga)
        if after_us:
            self.kernel.at(after_us, RESUBMIT, self.setup.orders[saga])
        else:
            self._submit_again(self.setup.orders[saga])

    def _submit_again(self, order: Order) -> None:
        if self.process is not None:
            self.process.inputs.append(("submit", order.id))  # what a process is asked twice it may remember
        self.submit(order)

    def resubmit_elsewhere(self, saga: str) -> None:
        """Another process starts, and the client sends its order again, to that one."""
        self.process = None  # the one that lives on is the newest no more
        self.submit(self.setup.orders[root_of(saga)])
        self.start("second")

    def told(self, saga: str, outcome: Outcome) -> None:
        """The client of a saga is told an outcome."""
        self.trace.add(CLIENT_ACK, "client", (outcome.value,), saga=saga)
        if self.actors is not _NOBODY:
            self.actors.told(saga)
        self.look_soon()

    def look_soon(self) -> None:
        """Look at the run as soon as all its tasks wait, where somebody works beside the sagas: who polls may be all
        that is left."""
        process = self.process
        if self.look is None or process is None or process.replay_log is not None or self.kernel.stopped:
            return
        if self.setup.is_async:
            return
        for task in process.tasks[1:]:
            if not (task.saga or task.finished):
                self.kernel.stopped = LIVELOCK
                return

    def jump_clock(self, by_s: int) -> None:
        """Set the wall clock ahead or back."""
        self.wall_offset_s += by_s
        self.trace.add(CLOCK, "harness", (by_s,))

    def start(self, reason: str) -> None:
        """Start a new incarnation of the orchestrator."""
        self.incarnations += 1
        if self.incarnations > 1:
            self.trace.restarted()
        else:
            self.network.show_states()
            for app in self.apps:
                app.start()
        process = self.process = self.incarnate(self.incarnations)
        if self.incarnations > 1 and not self.manual and reason != HEALING:  # nothing strikes what the harness does
            self._strike_boot(process)
        self.booted_at = len(self.trace.rows)
        process.start(reason)
        if self.incarnations == 1:
            self.actors.begin(self, self.network)

    def incarnate(self, number: int) -> Process:
        """A process that lives, and has done nothing yet."""
        process = Process(self, self.network, number, self._serve_waiting)
        self.living.append(process)
        self._processes.append(process)
        return process

    def _strike_boot(self, process: Process) -> None:
        strike = self.trace.visit(("", ORCHESTRATOR, "", AT_BOOT, process.incarnation))
        if strike is not None:
            self.trace.struck(strike.number)
            for effect in strike.kind.effects:
                doing(_BOOTING, effect)(self, effect, process)

    def _upgrade(self, effect: Upgrade, process: Process) -> None:
        process.upgraded = True

    def _lag(self, effect: Lag, process: Process) -> None:
        until_us = self.kernel.now_us + int(effect.for_ms * 1000)
        self.durable.lag(process, lambda: self.kernel.now_us < until_us)

    def task(self) -> Task:
        """The task that is running; UsageError where a port is used outside of any."""
        task = self.kernel.current
        if task is None or not (task.glet is getcurrent() or _is_of(task)):
            self.refuse(
                UsageError(
                    f"adapter {self.setup.adapter.name!r}: a port was used outside of boot, run, recover and "
                    f"world.spawn (from a thread, or from a participant); use world.spawn for work beside the sagas"
                )
            )
        return task

    def refuse(self, error: Exception) -> NoReturn:
        """End the run: the adapter is used wrongly. Not catchable by the code under test."""
        self.kernel.abort(error)
        raise error

    @property
    def random(self) -> random.Random:
        if self.chance is None:
            self.chance = random.Random(self.seed)
        return self.chance

    # -- the client --------------------------------------------------------------------------

    def submit(self, order: Order) -> None:
        """The client asks for ``order``; while the orchestrator is down it waits."""
        data = (order.item, order.quantity, order.amount)
        self.trace.add(SUBMIT, "client", data, saga=order.id)
        if self.process is not None and self.process.booted:
            self.process.replayable = False  # when it comes is no answer of a port
            self.process.submit(order)
        else:
            self.waiting.append(order)

    def _serve_waiting(self, process: Process) -> None:
        """Hand the orders that came while nobody could take them to a process that has booted."""
        waiting, self.waiting = self.waiting, []
        process.orders = waiting
        if waiting:
            self.trace.hands_over(process.label)
        for order in waiting:
            process.submit(order)
        if self.broker is not None:
            self.broker.booted()

    # -- the whole run -----------------------------------------------------------------------

    def complete(self) -> Run:
        """Run the scenario to its end under the plan, heal what lasts, and close."""
        with virtual(self):
            self.start("start")
            for n, order in enumerate(self.setup.orders.values()):
                if n and self.setup.scenario.gap_ms:
                    self.kernel.at(n * self.setup.scenario.gap_ms * 1000, SUBMIT_DUE, order)
                else:
                    self.submit(order)
            self.finish()
        return self.result()

    def finish(self, horizon_us: int = HORIZON_US) -> None:
        """Let everything come to rest, by ``horizon_us``: faults end, every process runs, nothing stays in flight."""
        kernel, network = self.kernel, self.network
        kernel.horizon_us = horizon_us
        try:
            while True:
                self._run_to_rest()
                if kernel.stopped:
                    break
                if network.flush() or (self.broker is not None and self.broker.flush()):
                    continue
                if network.stuck and self.operator_comes(waited=bool(kernel.timers)):
                    continue
                if self._needs_restart():
                    self._restart()
                    continue
                break
            if self.setup.shown_states:
                network.show_states(at_rest=True)
            self.trace.add(END, "harness", (kernel.stopped or "quiescent",))
        finally:
            self.close()

    def _run_to_rest(self) -> None:
        """Run until nothing is left to do, or until it can be told what becomes of it: see `resting`."""
        kernel = self.kernel
        if self.look is None:  # else this is a copy of a run that was in the midst of it
            self.look = first_look(self)
        last = self.look
        while self.look is not None:
            last = self.look
            kernel.max_ticks = last.next
            kernel.run()
            if kernel.stopped != LIVELOCK:
                break
            kernel.stopped = ""
            self.look = looked(self, last)
        self.stretches.append(Stretch(len(self.trace.sites), goes_round_at(self, last), self.foretold))
        self.look = None
        kernel.max_ticks = NO_LIMIT

    def call_operator(self) -> None:
        """A compensation fails for good: time stops an hour from now at the latest, for somebody to repair it."""
        self.called_at = self.kernel.ticks
        self.kernel.horizon_us = min(self.kernel.horizon_us, self.kernel.now_us + OPERATOR_US)

    def operator_comes(self, *, waited: bool) -> bool:
        """An operator repairs the compensations that fail and to which somebody was called; whether there were such.
        The others fail on, until somebody has ``waited`` for them as long as anybody does: by then they have shown
        what they keep back, and are judged by it."""
        stuck = self.network.stuck
        heard = called_to(stuck, self.trace.rows)
        mended = set(stuck) if waited else heard
        if mended:
            self.trace.add(HEAL, "harness", () if mended == heard else (UNCALLED,))
            stuck -= mended
            self.kernel.horizon_us = self.kernel.now_us + HORIZON_US
        return bool(mended)

    def only_pollers(self) -> bool:
        """Every saga has come to its end, or was begun and nothing of it is open any more; what still runs would run
        for ever."""
        if self.process is None or self.serves() or not self.actors.at_rest or any(app.serves for app in self.apps):
            return False
        rows, (read, over) = self.trace.rows, self._over
        if read < 0 or self.setup.nested or any(map(tells_of_ends, rows[read:])):  # it is asked at each tick
            over = self._all_over()
        self._over = len(rows), over
        return over

    def _all_over(self) -> bool:
        over: set[str] = set()
        binding = binding_steps(self.setup)
        for row in self.trace.rows:
            if row[KIND] == APPLY:
                ends = row[DATA][EFFECTIVE] and row[STEP] in binding
            else:
                ends = row[KIND] in ENDS and row[DATA][OUTCOME] != Outcome.PENDING.value
            if ends:
                over.add(row[SAGA])
        return over.issuperset(self.setup.orders) and not unsettled(self.setup, self.trace.rows)

    def serves(self) -> bool:
        """True if a process is in boot, run or recover."""
        return any(process.serving for process in self.living)

    def _needs_restart(self) -> bool:
        """True if a saga is open, and some fault has struck since a process was started last: what a restart without
        a fault frees is told from what nothing frees."""
        if self.manual and self.process is None:
            return True
        fired = self.trace.fired
        if not (self.setup.recovers and fired and fired[-1][0] >= self.booted_at):
            return False
        return bool(unsettled(self.setup, self.trace.rows))

    def _restart(self) -> None:
        if self.process is not None:
            self.restarted_at = len(self.trace.rows)
            self.trace.add(CRASH, self.process.label, (FINAL_RESTART,))
            self._bury(self.process)
            self.kernel.horizon_us = self.kernel.now_us  # it ends now; another that lives may poll for ever
            self.kernel.run()
        self.kernel.horizon_us = self.kernel.now_us + HORIZON_US
        if self.network.stuck:
            self.call_operator()
        for lasting in (self.network.cut, self.network.mute, self.network.down):
            lasting.clear()  # as in live mode: a start amid a partition does not tell what a restart frees
        self.start(HEALING)

    def result(self) -> Run:
        """What is recorded so far. A run that was cut short does not tell what would have been noticed."""
        run = self.trace.run(clock_read=self.clock_read >= 0)
        certain = self.kernel.stopped == "known" or not run.fired or not self.trace.may_be_idle
        return run if certain else without_idle(run, self.trace.strikes(), self._signs)

    def _signs(self) -> Signs:
        shared = self.databases or self.resources or self.durable.files or self.broker or self.setup.scenario.actors
        used = {p.label for p in self._processes if shared or p.inputs or p.overlaps or not p.replayable}
        return Signs(
            rows=self.trace.rows,
            clock_read=self.clock_read,
            time_read=self.time_read,
            alone=self.alone,
            behind=self.durable.behind,
            restarted_at=self.restarted_at,
            used=used,
            left_open=lambda: self.setup.recovers and bool(unsettled(self.setup, self.trace.rows)),
        )

    def close(self) -> None:
        """Unwind what is still suspended and give back what the run held."""
        for process in self._processes:
            process.dead = True
        for app in self.apps:
            app.close()
        if self.actors is not _NOBODY:
            self.actors.close()
        self.kernel.bury(self.kernel.tasks)
        while self.on_close:
            self.on_close.pop()()

    def dissolve(self) -> None:
        """Cut what the parts of a finished run know of each other, so that its memory is free at once. To leave
        that to the garbage collector costs a search half its speed: no two runs share a cache."""
        for process in self._processes:
            process.dissolve()
        self.kernel.tasks.clear()
        self.kernel.timers.clear()
        self.kernel.acts.clear()
        self.trace.on_act = self.trace.on_ask = None
        if self.broker is not None:
            self.broker.dissolve()
        if self.actors is not _NOBODY:
            self.actors.dissolve()
        for app in self.apps:
            app.dissolve()
        self.living.clear()
        self._processes.clear()
        self.process = None
        del self.network.host, self.network.put_off


def _is_of(task: Task) -> bool:
    """True if what runs is a greenlet that the task made."""
    return task.glet is not None and within(task.glet, getcurrent())


_BOOTING: Final[Mapping[type[Effect], Callable[[Simulation, Any, Process], None]]] = {
    Lag: Simulation._lag,
    Upgrade: Simulation._upgrade,
}

DOINGS: Final[Doings] = {
    **injection.DOINGS,
    **store.DOINGS,
    **broker.DOINGS,
    **app_life.DOINGS,
    (AT_BOOT, BEFORE): _BOOTING,
}
"""All that is done in the simulated world, by the moment."""

check_doings(SIMULATED, DOINGS)

_NOBODY: Final = Actors()
"""Those of a scenario in which nobody acts beside the orchestrators."""

_can_be_done: Final[dict[str, FaultKind]] = {}  # the kinds that were looked at: a plan of a search names few of them


def begun(setup: Setup, plan: Plan, seed: int = 0) -> Simulation:
    """A run under ``plan`` in which nothing has happened yet."""
    sim = Simulation(setup, plan.faults, seed=seed)
    sim.network.priorities = Priorities(plan.yields) if plan.yields else None
    return sim


def simulate(setup: Setup, plan: Plan = Plan(), *, seed: int = 0) -> Run:
    """Run ``setup`` under ``plan`` in the simulator."""
    sim = begun(setup, plan, seed)
    run = sim.complete()
    sim.dissolve()
    return run
