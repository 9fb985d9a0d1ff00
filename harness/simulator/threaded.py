"""The kernel of a service as it is, whose tasks are threads to the code in them.

Each task has thread-locals of its own, see `thread_locals`.
"""

from __future__ import annotations

import threading
from typing import Any, Final, NamedTuple

from .kernel import Kernel, Task
from .parking import Waiters
from .thread_locals import of_this_thread

_FIRST_IDENT: Final = 0x7F00_0000_1000
_IDENTS: Final = 0x1000


class Held(NamedTuple):
    """A lock that is taken: by which task (None: by one that does not own it), and how many times."""

    lock: Any
    task: Task | None
    times: int = 1


class Strand:
    """A task that is a thread: ``thread`` is its object, ``ident`` its number."""

    __slots__ = ("ident", "over", "task", "thread", "waiters")

    def __init__(self, task: Task, ident: int) -> None:
        self.task = task
        self.ident = ident
        self.thread: threading.Thread | None = None
        self.over = False
        self.waiters = Waiters()


class ThreadedKernel(Kernel):
    """A kernel whose tasks are threads. ``held`` has each lock that a task has taken, by its id; ``waiting`` who waits
    for one; ``blocked`` for what each task waits that waits for a lock or a thread, without a limit. ``strands`` are
    the tasks that asked which thread they are, or were started as one. ``absent`` are the modules that were looked for
    in vain, and where."""

    __slots__ = ("_beside", "_inside", "_locals", "_numbers", "absent", "blocked", "held", "strands", "waiting")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._locals = of_this_thread()
        self._beside: Any = None  # the thread-locals of whoever drives the run
        self._inside = False
        self._numbers: dict[object, int] = {}
        self.absent: dict[str, list[str]] = {}
        self.held: dict[int, Held] = {}
        self.waiting: dict[int, Waiters] = {}
        self.blocked: dict[Task, Any] = {}
        self.strands: dict[Task, Strand] = {}

    def number(self, what: object) -> int:
        """The next number for things of this kind, from 1 on."""
        found = self._numbers[what] = self._numbers.get(what, 0) + 1
        return found

    def strand(self, task: Task) -> Strand:
        """The thread that a task is."""
        found = self.strands.get(task)
        if found is None:
            ident = _FIRST_IDENT + _IDENTS * self.number(Strand)
            found = self.strands[task] = Strand(task, ident)
        return found

    def forget(self) -> None:
        """Cut what it knows of the tasks of a finished run."""
        for each in (self.held, self.waiting, self.blocked, self.strands, self._numbers):
            each.clear()

    # -- thread-locals -------------------------------------------------------------------------

    def carry_out(self, task: Task) -> None:
        self._enter(self._locals.none())
        try:
            super().carry_out(task)
        finally:
            self._go()
            self.blocked.pop(task, None)

    def block(self, me: Task) -> Any:
        mine = self._go()
        try:
            return super().block(me)
        finally:
            self._enter(mine)

    def _leave(self) -> None:
        super()._leave()
        self._go()

    def _enter(self, mine: Any) -> None:
        self._beside = self._locals.exchange(mine)
        self._inside = True

    def _go(self) -> Any:
        if not self._inside:  # it has left already, to end the run
            return self._locals.none()
        self._inside = False
        beside, self._beside = self._beside, None
        return self._locals.exchange(beside)
