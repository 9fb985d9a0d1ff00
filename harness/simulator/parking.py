"""Tasks that wait for what another one does, or until a time is over: what threads and sockets are made of."""

from __future__ import annotations

from collections import deque

from .kernel import Kernel, Task
from .timers import PATIENCE


class Parked:
    """A task that waits. ``over`` once it was told to go on."""

    __slots__ = ("kernel", "over", "task")

    def __init__(self, kernel: Kernel, task: Task) -> None:
        self.kernel = kernel
        self.task = task
        self.over = False

    def go(self, *, in_time: bool) -> None:
        """Let the task go on, where it still waits; it learns whether that was ``in_time``."""
        if not self.over:
            self.over = True
            self.kernel.wake(self.task, in_time)


class Waiters:
    """Tasks that wait for the same thing, the first come first."""

    __slots__ = ("_parked",)

    def __init__(self) -> None:
        self._parked: deque[Parked] = deque()

    def wait(self, kernel: Kernel, task: Task, seconds: float | None = None) -> bool:
        """Suspend the calling ``task`` until it is its turn; False when that took longer than so many seconds."""
        parked = Parked(kernel, task)
        self._parked.append(parked)
        if seconds is not None:
            kernel.acts[PATIENCE] = _impatient
            kernel.at(max(1, round(seconds * 1e6)), PATIENCE, parked)
        try:
            return bool(kernel.block(task))
        finally:
            parked.over = True

    def next(self) -> None:
        """Let the first one go on that still waits."""
        while self._parked:
            parked = self._parked.popleft()
            if not parked.over:
                parked.go(in_time=True)
                return

    def all(self) -> None:
        """Let all go on."""
        while self._parked:
            self._parked.popleft().go(in_time=True)


def _impatient(parked: Parked) -> None:
    parked.go(in_time=False)
