"""Threads as tasks of the simulator, as far as a library is known to need them: aiosqlite's, one for each connection.

Each runs in the order in which it was woken, and dies with its process. So do the greenlets that SQLAlchemy makes.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Final
from weakref import WeakKeyDictionary

from greenlet import greenlet

from .aio import current_saga
from .host import Host
from .incarnation import Incarnation
from .parking import Waiters
from .replacing import Served
from .streams import NetLoop

_KNOWN: Final = "aiosqlite"
"""The package whose threads are tasks."""


class _Queue:
    """What is known of a queue: who waits for something in it, and for which saga each thing in it was put there."""

    __slots__ = ("sagas", "waiters")

    def __init__(self) -> None:
        self.sagas: deque[str] = deque()
        self.waiters = Waiters()


_queues: Final[WeakKeyDictionary[Any, _Queue]] = WeakKeyDictionary()


def _start(sim: Host, original: Callable[..., Any], thread: threading.Thread) -> None:
    starter = sys._getframe(3)
    if starter.f_globals.get("__name__", "").partition(".")[0] != _KNOWN:
        original(thread)  # which is refused
        return
    process = sim.task().process
    assert isinstance(process, Incarnation)
    process.check_alive()
    forget = partial(_forget, starter.f_locals.get("self"))
    process.on_death.append(forget)
    sim.on_close.append(forget)
    process.spawn("thread", "", thread.run)


def _forget(connection: Any) -> None:
    """A connection of a dead process is not open: it is not to complain of that when it is collected."""
    connection._connection = None


def _get(
    sim: Host, original: Callable[..., Any], queue: SimpleQueue[Any], block: bool = True, timeout: float | None = None
) -> Any:
    known = _queues.setdefault(queue, _Queue())
    while True:
        sim.task().process.check_alive()
        try:
            found = original(queue, False)
        except Empty:
            if not block or not known.waiters.wait(sim.kernel, sim.task(), timeout):
                raise
        else:
            current_saga.set(known.sagas.popleft() if known.sagas else "")  # on whose behalf it goes on
            return found


def _put(
    sim: Host, original: Callable[..., Any], queue: SimpleQueue[Any], item: Any, *args: Any, **options: Any
) -> None:
    original(queue, item, *args, **options)
    known = _queues.setdefault(queue, _Queue())
    process = sim.task().process
    known.sagas.append(process.current_saga() if isinstance(process, Incarnation) else "")
    known.waiters.next()


def _made(sim: Host, original: Callable[..., Any], child: greenlet, *args: Any) -> None:
    original(child, *args)
    task = sim.kernel.current
    if task is not None and isinstance(task.loop, NetLoop):
        task.loop.made.append(weakref.ref(child))


THREADS: Final = (
    Served(threading.Thread, "start", _start),
    Served(SimpleQueue, "get", _get),
    Served(SimpleQueue, "put", _put),
    Served(SimpleQueue, "put_nowait", _put),
    Served(greenlet, "__init__", _made),
)
"""What of threads, and of greenlets, is another thing in the code of a service."""
