"""An asyncio event loop in virtual time, driven by the simulator's kernel.

It is asyncio's own base loop with the selector replaced by a wait in virtual time, so tasks,
``asyncio.sleep``, ``wait_for``, ``gather`` and the rest are the standard library's.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from heapq import heappop
from typing import Any, Final

from ..ports import ProcessCrashed
from .kernel import Kernel, Task
from .timers import LOOP

FREE_TURNS: Final = 100
"""Turns that an event loop with work to do may take in a row before each takes virtual time."""

TURN_US: Final = 10

LONGEST_WAIT_S: Final = 24 * 3600
"""So long asyncio's own loop waits at most in one turn."""

CLOSING_ROUNDS: Final = 20
"""How often tasks that make tasks while they are ended are ended in turn."""

_OF_ASYNCIO: Final = frozenset(
    module.__file__ for module in (asyncio.base_events, asyncio.timeouts, sys.modules[__name__])
)
"""The files of those who ask a loop for the time and keep it nowhere but in what is to be called then."""

current_saga: ContextVar[str] = ContextVar("sagafuzz_saga", default="")


class Answer(Coroutine[Any, Any, Any]):
    """What `World.call` gives inside an event loop. To asyncio it is a coroutine, as the call of a client
    library is: it can be awaited, gathered, waited for, made a task of. The request is sent already."""

    __slots__ = ("_future", "_steps")

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future
        self._steps: Generator[Any, None, Any] | None = None

    def __await__(self) -> Generator[Any, None, Any]:
        return self._future.__await__()

    def _begun(self) -> Generator[Any, None, Any]:
        if self._steps is None:
            self._steps = self._future.__await__()
        return self._steps

    def send(self, value: Any) -> Any:
        return self._begun().send(value)

    def throw(self, *error: Any) -> Any:
        return self._begun().throw(*error)

    def close(self) -> None:
        self._begun().close()


def settle(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    """Resolve ``future``, unless who waited for it gave it up."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


class SimTask(asyncio.Task[Any]):
    """A task that has its place in a set by when it was put there. Elsewhere that is its address, which differs from
    run to run, and with it the order in which an `asyncio.TaskGroup` cancels its tasks."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1  # all are alike: a set holds few


class SimFuture(asyncio.Future[Any]):
    """A future that has its place in a set by when it was put there."""

    __slots__ = ()

    def __hash__(self) -> int:
        return 1  # all are alike: a set holds few


class Soon(asyncio.Handle):
    """A call that a loop makes at its next turn, where it is not to debug."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., object], args: tuple[Any, ...], loop: SimLoop, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None  # asyncio's own asks the loop each time whether it is to keep one


class _VirtualSelector:
    """Stands in for a selector: waiting for I/O is waiting for the kernel."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.wait(timeout)
        return []


def _forget(ended: set[asyncio.Task[Any]]) -> None:
    """Take these out of the set in which asyncio looks for tasks, and those that are done: they stay there until their
    cycles are collected, and who closes a loop would walk through those of all runs before. anyio keeps a scope that
    was open when its process died for good, as the scope holds the task by which it is kept."""
    for name in ("_all_tasks", "_scheduled_tasks"):  # before Python 3.12, and since
        for task in tuple(getattr(asyncio.tasks, name, ())):
            if task.done() or task in ended:
                asyncio.tasks._unregister_task(task)
    states = getattr(sys.modules.get("anyio._backends._asyncio"), "_task_states", {})
    for task in ended:
        states.pop(task, None)


def _loop_timer(of: tuple[SimLoop, int]) -> None:
    of[0]._timer(of[1])


class SimLoop(asyncio.BaseEventLoop):
    """The event loop of one task of the kernel. ``poke`` is how the world outside calls into it."""

    def __init__(self, kernel: Kernel, task: Task) -> None:
        super().__init__()
        self._kernel = kernel
        kernel.acts[LOOP] = _loop_timer
        self._task = task
        self._selector: _VirtualSelector | None = _VirtualSelector(self)
        self._asleep = False
        self._wait_id = 0
        self._busy_turns = 0
        self.asked = False  # for the time, by other code than asyncio's own
        self._kept: set[asyncio.Task[Any]] = set()
        self._clock_resolution = 1e-6
        self.set_exception_handler(lambda loop, context: None)

    def time(self) -> float:
        if not self.asked and sys._getframe(1).f_code.co_filename not in _OF_ASYNCIO:
            self.asked = True
        return self._kernel.now_us / 1e6

    def wait(self, timeout: float | None) -> None:
        """Block the kernel's task for ``timeout`` seconds (None: until poked)."""
        task, kernel = self._task, self._kernel
        if task.process.dead:
            raise ProcessCrashed
        delay_us = None if timeout is None else math.ceil(timeout * 1e6 - 1e-3)
        if delay_us is not None and delay_us <= 0:
            self._busy_turns += 1
            if self._busy_turns <= FREE_TURNS:
                return
            delay_us = TURN_US  # who polls lets time pass, and lets others have their turn
        else:
            self._busy_turns = 0
        process = task.process
        if process.replay_log is not None:
            process.replay_log.waited()
            return
        self._asleep = True
        self._wait_id += 1
        if delay_us is not None:
            kernel.at(delay_us, LOOP, (self, self._wait_id))
        try:
            kernel.block(task)
        finally:
            self._asleep = False
        process.diary.append((kernel.now_us, len(process.inputs)))

    @property
    def waits(self) -> bool:
        """True while its task is blocked in `wait`."""
        return self._asleep

    def _timer(self, wait_id: int) -> None:
        if self._asleep and wait_id == self._wait_id:
            self._kernel.wake(self._task)

    def poke(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Run ``callback(*arguments)`` on the loop, waking it if it waits."""
        if self._task.process.dead or self.is_closed():
            return
        self.call_soon(callback, *arguments)
        self.rouse()

    def answer(self, number: int, future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
        """Settle the future of the request that was the process's of that ``number`` in an event loop."""
        self._task.process.diary.append(number)
        self.poke(settle, future, value, error)

    def rouse(self) -> None:
        """Let it go on, where it waits."""
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
        self.keep(self.create_task(main))
        self.run_forever()

    def run_forever(self) -> None:
        if self._kernel.current is not None:  # one thread may make it and another run it
            self._task = self._kernel.current
        self._task.loop = self
        try:
            super().run_forever()
        finally:
            self._task.loop = None

    def __del__(self) -> None:  # one that died with its process is not to complain that nobody closed it
        if not (self.is_closed() or self._task.process.dead):
            super().__del__()

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """A thread of its own for ``func``: here a task of the kernel."""
        future = SimFuture(loop=self)

        def main() -> None:
            value, error = None, None
            try:
                value = func(*args)
            except Exception as raised:
                error = raised
            self.poke(settle, future, value, error)

        self._task.process.spawn("executor", current_saga.get() or self._task.saga, main)
        return future

    def close(self) -> None:
        """End what is still suspended: ``finally`` blocks run, and can do nothing."""
        if self.is_closed():
            return
        ended: set[asyncio.Task[Any]] = set()
        for _ in range(CLOSING_ROUNDS):
            left = asyncio.all_tasks(self) - ended
            if not left:
                break
            for task in sorted(left, key=lambda task: (len(task.get_name()), task.get_name())):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coroutine = task.get_coro()
                with suppress(ProcessCrashed, SystemExit, asyncio.CancelledError, Exception, BaseExceptionGroup):
                    coroutine.close()
            ended |= left
        _forget(ended)
        self._ready.clear()  # type: ignore[attr-defined]
        self._selector = None
        self._scheduled.clear()  # type: ignore[attr-defined]
        super().close()

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        if self._task_factory is not None:  # type: ignore[attr-defined]
            return super().create_task(coro, **options)
        self._check_closed()  # type: ignore[attr-defined]
        return SimTask(coro, loop=self, **options)

    # What a loop without I/O does not need; one that is to tell of its own (`set_debug`) does all that asyncio's does.
    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        if self._debug or self._closed:  # type: ignore[attr-defined]
            return super().call_soon(callback, *args, context=context)
        handle = Soon(callback, args, self, context)
        self._ready.append(handle)  # type: ignore[attr-defined]
        return handle

    def _run_once(self) -> None:
        if self._debug:  # type: ignore[attr-defined]
            super()._run_once()  # type: ignore[misc]
            return
        scheduled, ready, kernel = self._scheduled, self._ready, self._kernel  # type: ignore[attr-defined]
        while scheduled and scheduled[0]._cancelled:
            self._timer_cancelled_count -= 1  # type: ignore[attr-defined]
            heappop(scheduled)._scheduled = False
        if not (ready or self._stopping):  # type: ignore[attr-defined]
            wait_s = min(max(0, scheduled[0]._when - kernel.now_us / 1e6), LONGEST_WAIT_S) if scheduled else None
            self.wait(wait_s)
        elif self._busy_turns < FREE_TURNS and not self._task.process.dead:
            self._busy_turns += 1  # as `wait` would: most turns are such
        else:
            self.wait(0)
        if scheduled:
            end = kernel.now_us / 1e6 + self._clock_resolution
            while scheduled and scheduled[0]._when < end:
                handle = heappop(scheduled)
                handle._scheduled = False
                ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()
        handle = None  # its callback may hold what is to be collected now

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
