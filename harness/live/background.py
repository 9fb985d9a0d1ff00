"""What goes on beside a case's phases: tasks in the background, and the first failure, which ends the case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Background:
    """The tasks of one case. ``changed`` is called whenever one ends; ``over`` once nothing new is to begin."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.over = False

    @property
    def busy(self) -> bool:
        """True if a task is under way."""
        return bool(self._tasks)

    @property
    def failed(self) -> bool:
        """True if something has failed."""
        return self._failure.done()

    def fail(self, error: BaseException) -> None:
        """End the case with this error; only the first one counts."""
        if not self._failure.done():
            self._failure.set_result(error)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do it in a task; its failure ends the case."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._changed()
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    async def unless_failed(self, work: Coroutine[Any, Any, None]) -> None:
        """Do it, and leave off as soon as something beside it fails, whose error is raised."""
        task = asyncio.create_task(work)
        ends: tuple[asyncio.Future[Any], ...] = (task, self._failure)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._failure.done():
            raise self._failure.result()
        task.result()

    async def close(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
