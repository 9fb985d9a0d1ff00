"""Tasks that wait for what another one does, or until a time is over: what threads and sockets are made of."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Protocol

from .kernel import Kernel, Task
from .timers import PATIENCE


class Waiting(Protocol):
    """What waits until a time is over: ``over`` once it does not any more."""

    over: bool

    def go(self, *, in_time: bool) -> None:
        """Go on, now that the time is over."""


def expect(kernel: Kernel, delay_us: int, waiting: Waiting) -> None:
    """Let it go on in ``delay_us``, out of time."""
    kernel.acts[PATIENCE] = _impatient
    kernel.at(delay_us, PATIENCE, waiting)


def moment_us(kernel: Kernel, seconds: float) -> int:
    """Return the moment, in µs, at which so many seconds will be over: later than now, however few they are, so that
    code which waits again and again for what is left of a time lets it pass."""
    return kernel.now_us + (max(1, round(seconds * 1e6)) if seconds > 0 else 0)


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
            expect(kernel, max(1, round(seconds * 1e6)), parked)
        try:
            return bool(kernel.block(task))
        finally:
            parked.over = True
            with suppress(ValueError):  # whoever let it go on has taken it out
                self._parked.remove(parked)

    @property
    def none(self) -> bool:
        """True if nobody waits."""
        return not self._parked

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


def _impatient(waiting: Waiting) -> None:
    waiting.go(in_time=False)
