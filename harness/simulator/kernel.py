"""The virtual clock and the scheduler: tasks that block, timers that fire, one order for it all.

Code under test runs in greenlets. A task that blocks runs the scheduler itself, on its own
stack, until some task may go on; so a single saga needs no switch at all. Time is an integer
of microseconds, ties are broken by the order of scheduling: nothing here depends on the wall
clock, on hashing or on chance.
"""

from __future__ import annotations

import sys
import threading
from asyncio import events
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any, Final, NamedTuple, Protocol

from greenlet import GreenletExit, getcurrent, greenlet
from greenlet import error as greenlet_error

from ..ports import ProcessCrashed
from .timers import LETTER_DUE, LOOP, PATIENCE, RESUME, WAKE, Entry

EPOCH_S: Final = 1_770_000_000.0
"""The wall clock at the start of every run, in Unix seconds."""

MANUAL_TICKS: Final = 50_000
"""Timers fired in a run that is driven by hand before it is called a livelock."""

NO_LIMIT: Final = sys.maxsize

LIVELOCK: Final = "livelock"
"""Why a run was cut short: it goes round without an end."""

_WAITS: Final = (WAKE, LOOP, PATIENCE)
"""The timers of tasks that wait for a time to pass."""

MAX_DEAD_CALLS: Final = 1_000
"""Port calls that a dead incarnation may try before its task is abandoned."""


class Spinning(BaseException):
    """Raised by the watchdog inside code under test that computes for ever."""


_ABANDONED: list[greenlet] = []  # tasks that swallow their own death; kept, since collecting one would run it


class _Idle(threading.local):
    """The greenlets of this thread that wait for work: to start a new one costs more than a short task."""

    def __init__(self) -> None:
        self.workers: list[greenlet] = []


_idle = _Idle()


def _hire(hub: greenlet) -> greenlet:
    if not _idle.workers:
        return greenlet(_work, hub)  # no child of the task that happens to run
    worker = _idle.workers.pop()
    worker.gr_context = None  # what the task before left in its context variables is no business of this one
    return worker


def _work(job: Any) -> None:
    """Run tasks, one after the other, as long as the thread lives."""
    while True:
        kernel, task = job
        kernel.carry_out(task)
        hub = kernel.hub
        job = kernel = task = None  # who is idle keeps nothing alive
        _idle.workers.append(getcurrent())
        job = hub.switch()


class Owner(Protocol):
    """The process that a task is of, as far as the scheduler is concerned."""

    dead: bool
    paused_until_us: int
    running: int
    overlaps: bool
    inputs: list[Any]
    left_at: int
    diary: list[Any]
    at_work: Task | None
    replay_log: Any

    def takes_turn(self, task: Task) -> None:
        """Note that another of its tasks goes on than the one that did last."""

    def check_alive(self) -> None:
        """Raise ProcessCrashed where it is dead."""

    def spawn(self, label: str, saga: str, main: Callable[[], object]) -> Task:
        """Start a further task of the process."""


class Task:
    """A thread of control of the code under test, by its ``number`` in its process. ``saga`` is the saga it works for,
    if one; ``asleep`` says that it waits for nothing but a time."""

    __slots__ = (
        *("asleep", "error", "finished", "glet", "label", "loop", "main", "number", "process", "saga", "value"),
        "waiting",
    )

    def __init__(self, process: Owner, label: str, saga: str, number: int = 0) -> None:
        self.process = process
        self.number = number
        self.asleep = False
        self.label = label
        self.saga = saga
        self.glet: greenlet | None = None
        self.main: Callable[[], object] | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.finished = False
        self.waiting = False
        self.loop: events.AbstractEventLoop | None = None  # the event loop that it runs, if one


class Moment(NamedTuple):
    """Where the clock and the counters of a kernel stand."""

    order: int
    ticks: int
    now_us: int
    horizon_us: int


class Kernel:
    """One run's clock, timers and tasks. Created on, and driven from, the hub greenlet. ``timers`` is a heap;
    ``acts`` has, for each kind of timer that the run uses, what happens."""

    __slots__ = (
        "_order",
        "_runnable",
        "acts",
        "current",
        "fatal",
        "handler",
        "handler_delay_us",
        "horizon_us",
        "hub",
        "max_ticks",
        "now_us",
        "stopped",
        "tasks",
        "ticks",
        "timers",
    )

    def __init__(self, *, horizon_us: int, max_ticks: int = MANUAL_TICKS) -> None:
        self.now_us = 0
        self.horizon_us = horizon_us
        self.max_ticks = max_ticks
        self.ticks = 0
        self.stopped = ""  # why the run was cut short: LIVELOCK, `WAITING`, "spins", "known" or "fatal"
        self.fatal: BaseException | None = None
        self.current: Task | None = None
        self.handler: greenlet | None = None  # the greenlet that runs a participant's code, if one
        self.handler_delay_us = 0
        self.hub = getcurrent()
        self.tasks: list[Task] = []
        self.timers: list[Entry] = []
        self.acts: dict[str, Callable[[Any], object]] = {WAKE: self.wake, RESUME: self._resume}
        self._order = 0
        self._runnable: deque[Task] = deque()

    # -- timers and tasks ------------------------------------------------------------------

    def at(self, delay_us: int, what: str, whom: Any = None) -> None:
        """Let ``what``, a name of TIMERS, happen to ``whom`` after ``delay_us`` of virtual time."""
        self._order += 1
        heappush(self.timers, (self.now_us + delay_us, self._order, what, whom))

    @property
    def newest(self) -> int:
        """The order of the timer that was set last."""
        return self._order

    def moment(self) -> Moment:
        """Where its clock and counters stand, for `restore`."""
        return Moment(order=self._order, ticks=self.ticks, now_us=self.now_us, horizon_us=self.horizon_us)

    def restore(self, moment: Moment, timers: list[Entry]) -> None:
        """Go on from ``moment`` of another run, with these timers as they lie in its heap."""
        self._order, self.ticks, self.now_us, self.horizon_us = moment
        self.timers += timers

    @property
    def only_waits(self) -> bool:
        """True if all that will still happen is that tasks go on which wait for a time to pass."""
        return not self._runnable and all(what in _WAITS for _, _, what, _ in self.timers)

    def only_redelivers(self, times: int) -> bool:
        """True if all that will still happen is that messages come again which could not be handled so often."""
        again = all(what == LETTER_DUE and letter.deliveries >= times for _, _, what, letter in self.timers)
        return again and not self._runnable and bool(self.timers)

    def skip(self, by_us: int, since: int) -> bool:
        """Let time pass in which nobody does anything: whoever began to wait after the timer of order ``since``, and is
        due meanwhile, goes on when it is over, one after the other, but before something else is due. False where
        nothing can be skipped so."""
        left = [entry for entry in self.timers if entry[2] != PATIENCE or not entry[3].over]
        polls = sorted([entry for entry in left if entry[1] > since and entry[2] in _WAITS])
        others = [entry for entry in left if entry[1] <= since or entry[2] not in _WAITS]
        if self._runnable or not polls:
            return False
        if others:
            by_us = min(by_us, min(others)[0] - self.now_us - len(polls))
        if by_us <= 0:
            return False
        self.now_us += by_us
        late = [
            (max(due_us, self.now_us + n), order, what, whom) for n, (due_us, order, what, whom) in enumerate(polls)
        ]
        self.timers[:] = others + late
        heapify(self.timers)
        return True

    def leave_out(self, rounds_us: int, since: int) -> None:
        """Let whole rounds pass of those who began to wait after the timer of order ``since``: each goes on so much
        later. Nothing else is due until then."""
        self.now_us += rounds_us
        self.timers[:] = [
            (due_us + rounds_us if order > since else due_us, order, what, whom)
            for due_us, order, what, whom in self.timers
        ]
        heapify(self.timers)

    def only_sleep_beside(self, process: Owner) -> bool:
        """True if no task is about to run, and each that has not ended is the one that runs, or is asleep in the
        process."""
        if self._runnable:
            return False
        me = self.current
        for task in self.tasks:  # noqa: SIM110, a generator costs more than the comparison
            if not (task.finished or task is me or (task.asleep and task.process is process)):
                return False
        return True

    @property
    def at_rest_but_for_timers(self) -> bool:
        """True if no task is about to run, and each that has not ended is the one that runs."""
        return not self._runnable and all(task is self.current or task.finished for task in self.tasks)

    def spawn(self, task: Task, main: Callable[[], object]) -> None:
        """Make ``main`` runnable as ``task``."""
        task.main = main
        self.tasks.append(task)
        if task.process.paused_until_us > self.now_us:
            self._hold(task)
        else:
            self._runnable.append(task)

    def pause(self, process: Owner) -> None:
        """Keep the tasks of a process that were about to run from it until its pause is over."""
        for task in [task for task in self._runnable if task.process is process]:
            self._runnable.remove(task)
            self._hold(task)

    def _hold(self, task: Task) -> None:
        task.waiting = True
        self.at(task.process.paused_until_us - self.now_us, RESUME, task)

    def wake(self, task: Task, value: Any = None, error: BaseException | None = None) -> None:
        """Let a blocked task go on; a second wake before it runs is ignored, save for an error."""
        if task.finished:
            return
        if error is not None:
            task.error = error
        elif task.waiting:
            task.value = value
        if task.waiting:
            paused_us = task.process.paused_until_us - self.now_us
            if paused_us > 0 and task.error is None:
                self.at(paused_us, RESUME, task)
                return
            task.waiting = False
            self._runnable.append(task)

    def _resume(self, task: Task) -> None:
        """The process of a woken task goes on after a pause."""
        if task.waiting and not task.finished:
            task.waiting = False
            self._runnable.append(task)

    def block(self, me: Task) -> Any:
        """Suspend the calling task until it is woken; its value, or its error raised."""
        dead = me.error
        if dead is not None:  # its process died while it ran
            raise dead
        me.waiting = True
        process = me.process
        process.left_at = len(process.inputs)
        loop, main, hooks = me.loop, me.glet, None
        if loop is not None:
            hooks = _leave_loop()
            me.glet = getcurrent()  # it may be one that a library made in it
        try:
            self._schedule(me)
        except (ProcessCrashed, GreenletExit):  # thrown in from outside: this task is to end
            me.glet = main
            raise
        except BaseException as error:  # a defect of ours must not reach the code under test
            self.abort(error)
        self.current = me
        if process.overlaps and process.at_work is not me:
            process.takes_turn(me)
        if loop is not None:
            me.glet = main
            _enter_loop(loop, hooks)
        due = me.error
        if due is not None:
            if not isinstance(due, ProcessCrashed):  # its death is raised for ever after
                me.error = None
            try:
                raise due
            finally:
                del due  # else it, its traceback and this frame hold one another
        value, me.value = me.value, None
        return value

    def sleep(self, me: Task, delay_us: int) -> None:
        """Suspend the calling task for that long, and for a microsecond at least: who polls lets time pass."""
        until_us = self.now_us + (delay_us if delay_us > 0 else 1)
        heap = self.timers
        if (
            self._runnable
            or (heap and heap[0][0] <= until_us)
            or until_us > self.horizon_us
            or self.ticks >= self.max_ticks
            or self.stopped
            or me.error is not None
        ):
            self.at(until_us - self.now_us, WAKE, me)
            self.block(me)
        else:  # nothing else happens meanwhile
            self._order += 1
            self.ticks += 1
            self.now_us = until_us

    def abort(self, error: BaseException) -> None:
        """End the run with ``error``, raised on the hub. Never returns to the calling task."""
        if getcurrent() is self.hub:
            raise error
        self.fatal, self.stopped = error, "fatal"
        self._leave()
        while True:
            try:
                self.hub.switch()
            except greenlet_error:  # called from another thread, which can reach the hub only so
                raise error from None

    def _leave(self) -> None:
        if self.current is not None and self.current.loop is not None:
            _leave_loop()

    # -- the loop --------------------------------------------------------------------------

    def run(self) -> None:
        """Drive everything until nothing is left to do before the horizon."""
        outer, hooks = events._get_running_loop(), _leave_loop()
        try:
            while self.fatal is None and self._schedule(None):
                pass
        finally:
            _enter_loop(outer, hooks)
        if self.fatal is not None:
            raise self.fatal

    def _schedule(self, me: Task | None) -> bool:
        """Fire timers until a task may run, and run it. Returns when ``me`` is that task (or, on the
        hub, after each task); on the hub False when nothing is left."""
        runnable, heap, acts = self._runnable, self.timers, self.acts
        while True:
            if runnable:
                task = runnable.popleft()
                if task is not me:
                    if task.glet is not None:
                        task.glet.switch()
                    else:
                        task.glet = _hire(self.hub)
                        task.glet.switch((self, task))
                return True
            self.current = None
            if not heap or heap[0][0] > self.horizon_us or self.stopped:
                if me is None:
                    return False
                self.hub.switch()
                return True
            self.now_us, _, what, whom = heappop(heap)
            self.ticks += 1
            if self.ticks > self.max_ticks:
                self.stopped = LIVELOCK
            acts[what](whom)

    def carry_out(self, task: Task) -> None:
        """Run ``task`` to its end, in the calling greenlet."""
        self.current = task
        process = task.process
        process.running += 1
        if process.running > 1:
            process.overlaps = True
        if process.overlaps:
            process.takes_turn(task)
        try:
            if task.error is None and task.main is not None:
                task.main()
        except (ProcessCrashed, GreenletExit):
            pass
        except BaseException as error:
            self.fatal, self.stopped = error, "fatal"
        finally:
            task.finished = True
            process.running -= 1
            process.left_at = len(process.inputs)
            if process.replay_log is not None:
                process.replay_log.ended()

    def advance_to(self, t_us: int) -> None:
        """Run what is due until ``t_us`` and set the clock there."""
        self.horizon_us = t_us
        self.run()
        self.now_us = max(self.now_us, t_us)

    @property
    def idle(self) -> bool:
        """No timer and no runnable task is left."""
        return not self.timers and not self._runnable

    def bury(self, tasks: list[Task]) -> None:
        """Unwind what is left of ``tasks``, called on the hub. ``finally`` blocks of the code under
        test run, and every port they touch raises."""
        left = [task for task in tasks if not task.finished]
        outer, hooks = events._get_running_loop(), _leave_loop() if left else None
        for task in left:
            task.error = ProcessCrashed()
            if task.glet is None:
                task.finished = True  # never started
                continue
            self.current = task
            task.glet.throw(task.error)
            if not task.finished:
                _ABANDONED.append(task.glet)
        self.current = None
        if left:
            _enter_loop(outer, hooks)

    def abandon(self) -> None:
        """Leave the calling task for ever: it keeps calling ports although its process is dead."""
        self._leave()
        _ABANDONED.append(getcurrent())
        while True:
            self.hub.switch()


_NO_HOOKS: Final = (None, None)


def _leave_loop() -> Any:
    """Hide the running event loop from whatever runs next in this thread; what `_enter_loop` needs (None: there was
    nothing to hide)."""
    hooks = sys.get_asyncgen_hooks()
    if hooks == _NO_HOOKS and events._get_running_loop() is None:
        return None
    events._set_running_loop(None)
    sys.set_asyncgen_hooks(None, None)
    return hooks


def _enter_loop(loop: events.AbstractEventLoop | None, hooks: Any) -> None:
    if events._get_running_loop() is not loop:  # to set it costs far more than to ask
        events._set_running_loop(loop)
    if hooks is not None:
        sys.set_asyncgen_hooks(*hooks)
