"""An asyncio event loop in virtual time, driven by the simulator's kernel.

It is asyncio's own base loop with the selector replaced by a wait in virtual time, so tasks,
``asyncio.sleep``, ``wait_for``, ``gather`` and the rest are the standard library's.
"""

from __future__ import annotations

import asyncio
import math
from asyncio import events
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ..ports import ProcessCrashed
from .kernel import Kernel, Task

current_saga: ContextVar[str] = ContextVar("sagafuzz_saga", default="")


class _VirtualSelector:
    """Stands in for a selector: waiting for I/O is waiting for the kernel."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.wait(timeout)
        return []


class SimLoop(asyncio.BaseEventLoop):
    """The event loop of one process. ``poke`` is how the world outside calls into it."""

    def __init__(self, kernel: Kernel, task: Task) -> None:
        super().__init__()
        self._kernel = kernel
        self._task = task
        self._selector = _VirtualSelector(self)
        self._asleep = False
        self._wait_id = 0
        self._kept: set[asyncio.Task[Any]] = set()
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        return self._kernel.now_us / 1e6

    def wait(self, timeout: float | None) -> None:
        """Block the process's greenlet for ``timeout`` seconds (None: until poked)."""
        if timeout is not None and timeout <= 0:
            if self._task.process.dead:
                raise ProcessCrashed
            return
        self._asleep = True
        self._wait_id += 1
        if timeout is not None:
            self._kernel.at(math.ceil(timeout * 1e6 - 1e-3), self._timer, self._wait_id)
        try:
            self._kernel.block(self._task)
        finally:
            self._asleep = False

    def _timer(self, wait_id: int) -> None:
        if self._asleep and wait_id == self._wait_id:
            self._kernel.wake(self._task)

    def poke(self, callback: Callable[[], object]) -> None:
        """Run ``callback`` on the loop, waking it if it waits."""
        if self._task.process.dead or self.is_closed():
            return
        self.call_soon(callback)
        if self._asleep:
            self._kernel.wake(self._task)

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Hold a strong reference: asyncio itself keeps weak ones."""
        self._kept.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._kept.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None and not isinstance(error, ProcessCrashed):
                self._kernel.abort(error)

    def run_until_dead(self, main: Coroutine[Any, Any, None]) -> None:
        """Run ``main`` and everything it starts until the process dies."""
        self._task.loop = self
        self.keep(self.create_task(main))
        self.run_forever()

    def bury(self) -> None:
        """End what is still suspended: ``finally`` blocks run, and can do nothing."""
        self._task.loop = None
        for task in sorted(asyncio.all_tasks(self), key=lambda task: task.get_name()):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            with suppress(ProcessCrashed, Exception):
                coroutine.close()
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        events._set_running_loop(None)
        self.close()

    # What a loop without I/O does not need.
    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
