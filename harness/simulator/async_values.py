"""How what an event loop holds is written down: tasks, futures, and what is to be called when."""

from __future__ import annotations

import asyncio
import gc
from asyncio import tasks
from collections.abc import Callable, Mapping
from contextvars import Context
from typing import Any, Final

from .aio import Answer, SimFuture, SimLoop, SimTask, Soon
from .volatile import Teller


def tell_loop(teller: Teller, loop: SimLoop) -> None:
    """Write down what a loop will do: what it calls at its next turn, and later."""
    ready, scheduled = loop._ready, loop._scheduled  # type: ignore[attr-defined]
    teller.parts += (loop._asleep, loop._busy_turns, loop._kernel.now_us if loop.asked else -1)
    teller.tell_all([handle for handle in ready if not handle._cancelled])
    teller.parts.append("later")
    teller.tell_all(sorted((each for each in scheduled if not each._cancelled), key=lambda each: each._when))
    current = asyncio.current_task(loop)
    if current is not None:
        teller.tell(current)


def _task(teller: Teller, value: Any) -> None:
    if teller.met(value, "asyncio.Task"):
        return
    name = value.get_name()
    teller.parts.append("" if name[:5] == "Task-" else name)
    if value.done():
        _end(teller, value)
        return
    teller.parts += (value._must_cancel, value.cancelling())
    teller.tell(value.get_coro())
    teller.tell(value._fut_waiter)
    teller.tell(next((each for each in gc.get_referents(value) if type(each) is Context), None))
    _callbacks(teller, value)


def _future(teller: Teller, value: Any) -> None:
    if teller.met(value, "asyncio.Future"):
        return
    if value.done():
        _end(teller, value)
    else:
        _callbacks(teller, value)


def _end(teller: Teller, value: Any) -> None:
    if value.cancelled():
        teller.parts.append("cancelled")
    else:
        teller.tell_all((value._exception, value._result if value._exception is None else None))


def _callbacks(teller: Teller, value: Any) -> None:
    found = value._callbacks or ()
    teller.parts.append(len(found))
    teller.tell_all([call for call, _ in found])


def _gathering(teller: Teller, value: Any) -> None:
    _future(teller, value)
    teller.tell_all((value._children, value._cancel_requested))


def _handle(teller: Teller, value: Any) -> None:
    if teller.met(value, "handle"):
        return
    if value._cancelled:
        teller.parts.append("cancelled")
    else:
        teller.tell_all((value._callback, value._args, value._context))


def _timer(teller: Teller, value: Any) -> None:
    if value._scheduled and not value._cancelled and id(value) not in teller.seen:
        teller.parts.append(teller.until_us(value._when))
    _handle(teller, value)


def _timeout(teller: Teller, value: Any) -> None:
    if not teller.met(value, "timeout"):
        teller.tell_all((value._state, value._timeout_handler, value._task))


def _answer(teller: Teller, value: Any) -> None:
    teller.parts.append("answer")
    teller.tell_all((value._future, value._steps))


ASYNCIO: Final[Mapping[type, Callable[[Teller, Any], None]]] = {
    asyncio.Task: _task,
    SimTask: _task,
    asyncio.Future: _future,
    SimFuture: _future,
    tasks._GatheringFuture: _gathering,  # type: ignore[attr-defined]
    asyncio.Handle: _handle,
    Soon: _handle,
    asyncio.TimerHandle: _timer,
    asyncio.Timeout: _timeout,
    Answer: _answer,
}
"""How values of a type are written down."""
