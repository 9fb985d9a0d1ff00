"""What one incarnation of a process is to the world around it: whether it lives, and what it was answered."""

from __future__ import annotations

import asyncio
import marshal
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Final, Protocol
from weakref import ref

from ..effects import DEAD
from ..inbox import Inbox
from ..ports import ProcessCrashed
from ..scenario import Order
from .aio import SimLoop, current_saga
from .kernel import MAX_DEAD_CALLS, Kernel, Task
from .replay_log import SLEPT
from .wires import Net

ORCHESTRATOR: Final = "orchestrator"

LATELY: Final = 100
"""So many of a process's last inputs tell what it polls."""

_FAILED_TRIES: Final = frozenset({"CallTimeout", "Unavailable", "StoreUnavailable"})


def of_a_clock(entry: Any) -> bool:
    """True if an input tells the time."""
    return type(entry) in (int, float) or entry[:1] == ("now",)


def _failed(entry: Any) -> bool:
    """True if an input says that what was asked came to nothing, or nobody knows to what."""
    return type(entry) is tuple and len(entry) in (4, 5) and entry[1] in _FAILED_TRIES


class TimedInputs(list[Any]):
    """The inputs of a process that runs an event loop, which may ask for the time at any of them. ``came_us`` is when
    each came."""

    __slots__ = ("_kernel", "came_us")

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self._kernel = kernel
        self.came_us: list[int] = []

    def first(self, count: int, kernel: Kernel) -> TimedInputs:
        """The first so many, for a process of that kernel."""
        copy = TimedInputs(kernel)
        copy.extend(self[:count])
        copy.came_us += self.came_us[:count]
        return copy

    def append(self, entry: Any) -> None:
        self.came_us.append(self._kernel.now_us)
        super().append(entry)


class Committing(Protocol):
    """A participant whose app runs in a process of its own. ``folder`` is where its databases lie."""

    folder: str

    def commit(self, saga: str, subject: str, act: Callable[[], object]) -> None:
        """Make one transaction durable, by ``act()``. Raises ProcessCrashed where the process dies of a fault."""

    def fall(self) -> None:
        """Its process dies; another starts after a while."""


class Incarnation:
    """The state that dies with a crash, as ports, messages and the scheduler see it."""

    # A search makes one for each run and asks it at each step: slots are faster than so many names in a dict.
    __slots__ = (
        *("_clock_at", "_dead_calls", "_looked_through", "asked", "at_work", "bars", "booted", "connections", "dead"),
        *("diary", "forgotten"),
        *("incarnation", "inputs", "kernel", "label", "left_at", "loop", "named", "net", "on_death", "overlaps"),
        *("participant", "paused_until_us", "replay_log", "replayable", "running", "tasks", "turns", "upgraded"),
    )

    def __init__(self, kernel: Kernel, number: int) -> None:
        self.kernel = kernel
        self.incarnation = number
        self.label = ORCHESTRATOR if number == 1 else f"{ORCHESTRATOR}#{number}"
        self.dead = False
        self.bars = 0  # what bars faults from its requests: bits of `sagafuzz.effects.REASONS`
        self.paused_until_us = 0
        self.booted = False
        self.upgraded = False
        self.named = False  # whether its code has asked for its label
        self.inputs: list[Any] = []  # every answer that a port gave it, in order: (port, ...), see `ReplayLog`
        self._looked_through = 0  # how many of them were looked at by `reads_clock`
        self._clock_at = -1  # the last of those that tells the time
        self.forgotten: list[tuple[int, int, tuple[Any, ...]]] = []  # see `forget_tries`
        self.diary: list[Any] = []  # what its event loops met, in order: see `SimLoop.wait` and `SimLoop.answer`
        self.asked = 0  # requests that code in an event loop has made
        self.replay_log: Any = None  # a `ReplayLog` or `LoopReplay`, while answers of another run are given again
        self.replayable = True  # whether what it did so far follows from its inputs, and whose turn it was
        self.running = 0  # tasks that have begun and not ended
        self.overlaps = False  # whether there were ever two such
        self.turns: list[tuple[int, int]] = []  # since then: (how many inputs it had, the task that went on, by number)
        self.left_at = 0  # how many inputs it had when a task of it stopped last
        self.at_work: Task | None = None  # the task of it that went on last
        self.tasks: list[Task] = []
        self.loop: SimLoop | None = None
        self.net: Net | None = None  # what its sockets reach, where it is a service as it is
        self.participant: Committing | None = None  # whose process it is, where it is none of the orchestrator's
        self.on_death: list[Callable[[], None]] = []
        self.connections: list[ref[Any]] = []  # to SQLite databases, as long as somebody holds them
        self._dead_calls = 0

    def spawn(self, label: str, saga: str, main: Callable[[], object]) -> Task:
        """Start a further task of the process."""
        task = Task(self, label, saga, len(self.tasks))
        self.tasks.append(task)
        self.kernel.spawn(task, main)
        return task

    def takes_turn(self, task: Task) -> None:
        """Note that another of its tasks goes on than the one that did last: what a process is answered, together with
        whose turn it was, makes it what it is."""
        self.at_work = task
        if self.replay_log is None:
            self.turns.append((self.left_at, task.number))
        else:
            self.replay_log.went_on(task.number)

    @abstractmethod
    def serving_task(self, saga: str) -> asyncio.Task[Any] | None:
        """asyncio's task that runs the order of ``saga``, where there is one."""

    @abstractmethod
    def spawn_user(self, function: Callable[..., Any], *args: Any) -> None:
        """`World.spawn`: a task of the user's own beside the sagas."""

    @abstractmethod
    def start_thread(self, saga: str, main: Callable[[], object]) -> Task:
        """Start a thread of the user's own, which works for a saga."""

    @property
    def inbox(self) -> Inbox | None:
        """Where messages wait for consumers of a service's own; None where there are none."""
        return None

    @abstractmethod
    def receive(self, letter: Any) -> None:
        """Let the adapter handle a message (a `Letter`), beside whatever else it does."""

    @abstractmethod
    def cancel(self, order: Order) -> None:
        """The client cancels ``order``."""

    def die(self) -> None:
        """Kill every task. They unwind when the scheduler reaches them; the caller must raise
        ProcessCrashed itself where it is one of them."""
        self.dead = True
        self.bars = DEAD
        for release in self.on_death:
            release()
        for task in self.tasks:
            self.kernel.wake(task, None, ProcessCrashed())

    def check_alive(self) -> None:
        """Every port begins with this: a dead incarnation can do nothing more."""
        if self.dead:
            self._dead_calls += 1
            if self._dead_calls > MAX_DEAD_CALLS:
                self.kernel.abandon()
            raise ProcessCrashed

    def current_saga(self) -> str:
        """The saga that the calling code works for; "" where it works for none in particular."""
        if self.loop is not None:
            saga = current_saga.get()
            if saga:
                return saga
        task = self.kernel.current
        return task.saga if task is not None else ""

    def current_task(self) -> object:
        """The thread of control that is calling: asyncio's task where there is one, else the kernel's."""
        task = self.kernel.current
        if task is not None and task.loop is not None:
            return asyncio.current_task(task.loop) or task
        return task

    # -- what it was answered ----------------------------------------------------------------

    def packed(self, value: Any) -> Any:
        """An answer's value as it is kept among the inputs."""
        try:
            return marshal.dumps(value, 2)
        except ValueError:  # no plain data
            self.replayable = False
            return repr(value)

    def forget_tries(self, about: object, instead: tuple[Any, ...] = (), *, after: int = 0) -> None:
        """What is ``about`` this is being answered: the failed tries in the same words before it, and the waits between
        them, are no longer part of what the process knows. So are the ``after`` last inputs, which settled it;
        ``instead`` is what it knows in place of them all."""
        end = len(self.inputs)
        start = end - after
        while start:
            last = start - 1
            while last and self.inputs[last] == SLEPT:
                last -= 1
            entry = self.inputs[last]
            if not _failed(entry) or entry[3] != about:
                break
            start = last
        if start < end - after:
            self.forgotten.append((start, end, instead))

    @property
    def reads_clock(self) -> bool:
        """True if it has asked for the time lately."""
        end = len(self.inputs)
        for at in range(self._looked_through, end):
            if of_a_clock(self.inputs[at]):
                self._clock_at = at
        self._looked_through = end
        return self._clock_at >= max(end - LATELY, 0)

    @property
    def may_forget(self) -> bool:
        """True if what comes next can be a retry."""
        if not self.inputs:
            return False
        last = self.inputs[-1]
        return _failed(last) or last == SLEPT

    @property
    def known(self) -> tuple[Any, ...]:
        """Its inputs without what is forgotten."""
        if not self.forgotten:
            return tuple(self.inputs)
        left: list[Any] = []
        done = 0
        for start, end, instead in self.forgotten:
            left += self.inputs[done:start]
            left += instead
            done = end
        return (*left, *self.inputs[done:])
