"""Threads of a service: each is a task of the simulator, which runs where no other one does, in an order that repeats.

One ends with its process. `locks` has what they wait for one another by; here is what starts them, what tells one from
another, and the queues by which work comes to them. So pools of threads are what they are, on these.
"""

from __future__ import annotations

import _thread
import atexit
import concurrent.futures.thread
import logging
import queue
import sys
import threading
import traceback
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from multiprocessing.util import Finalize
from queue import Empty, SimpleQueue
from typing import Any, Final
from weakref import WeakKeyDictionary

from greenlet import greenlet

from .aio import current_saga
from .clocks import monotonic_s
from .host import Host
from .incarnation import Incarnation
from .kernel import Task
from .locks import threaded, wait
from .parking import Waiters, moment_us
from .replacing import Answer, Instead, Served
from .streams import NetLoop
from .threaded import Strand, ThreadedKernel

_THREAD: Final = "thread"
"""The label of a task that was started as a thread: see `Incarnation.start_thread`."""

_STRAND: Final = "_sagafuzz_strand"
"""The name by which a thread keeps its strand. That knows its thread: of a table from one to the other neither would
ever be gone."""


def _strand_of(thread: threading.Thread) -> Strand | None:
    return vars(thread).get(_STRAND)


# -- threads -----------------------------------------------------------------------------------------


def _start(sim: Host, original: Callable[..., Any], thread: threading.Thread) -> None:
    kernel = threaded()
    started = getattr(thread, "_started", None)
    if kernel is None or kernel.current is None or started is None or started.is_set():
        original(thread)  # which is refused, by one or the other
        return
    process = kernel.current.process
    assert isinstance(process, Incarnation)
    process.check_alive()
    _forget_on_death(sim, process, sys._getframe(3).f_locals.get("self"))
    task = process.start_thread(process.current_saga(), partial(_run, kernel, thread))
    strand = kernel.strand(task)
    strand.thread = thread
    vars(thread)[_STRAND] = strand
    thread._ident = strand.ident  # type: ignore[attr-defined]
    started.set()


def _run(kernel: ThreadedKernel, thread: threading.Thread) -> None:
    try:
        thread.run()
    except SystemExit:
        pass  # ends a thread, and no more
    finally:
        strand: Strand = vars(thread)[_STRAND]
        strand.over = True
        strand.waiters.all()


def _forget_on_death(sim: Host, process: Incarnation, starter: Any) -> None:
    """A connection of aiosqlite that died with its process is not to complain, when it is collected, that it is
    open."""
    if type(starter).__module__.partition(".")[0] == "aiosqlite":
        forget = partial(setattr, starter, "_connection", None)
        process.on_death.append(forget)
        sim.on_close.append(forget)


_join, _is_alive = threading.Thread.join, threading.Thread.is_alive


def _joined(thread: threading.Thread, timeout: float | None = None) -> None:
    strand = _strand_of(thread)
    if strand is None:
        _join(thread, timeout)
        return
    kernel = threaded()
    if kernel is None or strand.over or kernel.current is None:
        return
    if strand.task is kernel.current:
        raise RuntimeError("cannot join current thread")
    if timeout is None:
        wait(kernel, kernel.current, strand.waiters, strand)
    else:
        strand.waiters.wait(kernel, kernel.current, max(timeout, 0))


def _alive(thread: threading.Thread) -> bool:
    strand = _strand_of(thread)
    if strand is None:
        return _is_alive(thread)
    return not (strand.over or strand.task.process.dead)


def _start_new_thread(
    sim: Host, original: Callable[..., Any], function: Callable[..., Any], args: Any, kwargs: Any = None
) -> int:
    thread = threading.Thread(target=function, args=args, kwargs=kwargs or {}, daemon=True)
    thread.start()
    return thread.ident or 0


# -- which thread it is --------------------------------------------------------------------------------


def _strand(sim: Host) -> Strand | None:
    """The thread that is calling; None in the code of a participant."""
    kernel = threaded()
    return None if kernel is None or kernel.current is None else kernel.strand(kernel.current)


def _get_ident(sim: Host, original: Callable[..., Any]) -> int:
    strand = _strand(sim)
    return int(original()) if strand is None else strand.ident


def _current_thread(sim: Host, original: Callable[..., Any]) -> threading.Thread:
    strand = _strand(sim)
    if strand is None:
        return threading.main_thread()
    if strand.thread is None:
        strand.thread = _thread_of(strand)
    return strand.thread


def _thread_of(strand: Strand) -> threading.Thread:
    """The object for a task that nobody started as a thread: it is one of the server, or its main one."""
    task = strand.task
    if getattr(task.process, "tasks", ())[:1] == [task]:
        return threading.main_thread()
    thread = threading.Thread(daemon=True)
    thread._ident = strand.ident  # type: ignore[attr-defined]
    thread._started.set()  # type: ignore[attr-defined]
    vars(thread)[_STRAND] = strand
    return thread


def _enumerate(sim: Host, original: Callable[..., Any]) -> list[threading.Thread]:
    kernel = threaded()
    if kernel is None or kernel.current is None:
        return [threading.main_thread()]
    process = kernel.current.process
    found = [each.thread for task, each in kernel.strands.items() if task.process is process and not each.over]
    started = [thread for thread in found if thread is not None and thread is not threading.main_thread()]
    return [threading.main_thread(), *started]


def _active_count(sim: Host, original: Callable[..., Any]) -> int:
    return len(threading.enumerate())


class _Counter:
    """What numbers the names of threads, and of pools: in each process from the start on."""

    def __init__(self, original: Callable[[], int], first: int) -> None:
        self._original = original
        self._first = first

    def __call__(self) -> int:
        kernel = threaded()
        if kernel is None or kernel.current is None:
            return self._original()
        return kernel.number((self, kernel.current.process)) - 1 + self._first


_ORDER: Final = "_sagafuzz_order"


def _hash(thing: Any) -> int:
    """For sets of threads and futures: what comes out of them is to follow from the order of their making."""
    found: int | None = vars(thing).get(_ORDER)
    if found is None:
        kernel = threaded()
        found = vars(thing)[_ORDER] = object.__hash__(thing) if kernel is None else kernel.number(_ORDER)
    return found


# -- work that comes by a queue --------------------------------------------------------------------------


class _Queue:
    """What is known of a queue: who waits for something in it, and for which saga each thing was put there, by its
    id."""

    __slots__ = ("sagas", "waiters")

    def __init__(self) -> None:
        self.sagas: dict[int, deque[str]] = {}
        self.waiters = Waiters()


_queues: Final[WeakKeyDictionary[Any, _Queue]] = WeakKeyDictionary()


def _known(of: Any) -> _Queue:
    """What is known of a queue."""
    found = _queues.get(of)
    if found is None:
        found = _queues[of] = _Queue()
    return found


def _put_for(known: _Queue, item: Any) -> None:
    task = _task()
    process = task.process if task is not None else None
    if isinstance(process, Incarnation):
        known.sagas.setdefault(id(item), deque()).append(process.current_saga())


def _taken(known: _Queue, item: Any) -> None:
    """A thread that was started to work goes on for the saga that its work is of."""
    sagas = known.sagas.get(id(item))
    saga = sagas.popleft() if sagas else ""
    if not sagas:
        known.sagas.pop(id(item), None)
    task = _task()
    if task is not None and task.label == _THREAD:
        task.saga = saga


def _task() -> Task | None:
    kernel = threaded()
    return None if kernel is None else kernel.current


def _waits(task: Task | None) -> None:
    """A thread that waits for work works for nobody."""
    if task is not None:
        works_for(task, "")


def works_for(task: Task, saga: str) -> None:
    """A thread works for a saga from now on, until it takes or awaits other work."""
    if task.label == _THREAD:
        task.saga = saga
        if not saga:
            current_saga.set("")


def _get(
    sim: Host, original: Callable[..., Any], of: SimpleQueue[Any], block: bool = True, timeout: float | None = None
) -> Any:
    if timeout is not None and timeout < 0:
        raise ValueError("'timeout' must be a non-negative number")
    known = _known(of)
    until_us = None if timeout is None else moment_us(sim.kernel, timeout)
    while True:
        task = sim.task()
        task.process.check_alive()
        try:
            found = original(of, False)
        except Empty:
            left = None if until_us is None else (until_us - sim.kernel.now_us) / 1e6
            if not block or (left is not None and left <= 0):
                raise
            _waits(task)
            known.waiters.wait(sim.kernel, task, left)
        else:
            _taken(known, found)
            return found


def _get_nowait(sim: Host, original: Callable[..., Any], of: SimpleQueue[Any]) -> Any:
    return of.get(False)


def _put(sim: Host, original: Callable[..., Any], of: SimpleQueue[Any], item: Any, *args: Any, **options: Any) -> None:
    known = _known(of)
    _put_for(known, item)
    original(of, item, *args, **options)
    known.waiters.next()


def _hand(sim: Host, original: Callable[..., Any], of: queue.Queue[Any], item: Any, *args: Any, **how: Any) -> None:
    _put_for(_known(of), item)
    original(of, item, *args, **how)


def _take(sim: Host, original: Callable[..., Any], of: queue.Queue[Any], *args: Any, **how: Any) -> Any:
    task = _task()
    if not of.queue:
        _waits(task)
    found = original(of, *args, **how)
    _taken(_known(of), found)
    return found


# -- the rest ------------------------------------------------------------------------------------------


def _log(sim: Host, original: Callable[..., Any], logger: logging.Logger, record: Any) -> None:
    task = _task()
    if task is None or not task.process.dead:  # who is dead says nothing
        original(logger, record)


def _format(sim: Host, original: Callable[..., str], *args: Any, **options: Any) -> str:
    task = _task()
    return original(*args, **options) if task is None or not task.process.dead else ""


def _made(sim: Host, original: Callable[..., Any], child: greenlet, *args: Any) -> None:
    original(child, *args)
    task = sim.kernel.current
    if task is not None and isinstance(task.loop, NetLoop):
        task.loop.made.append(weakref.ref(child))


def _finalized(sim: Host, original: Callable[..., Any], it: Finalize, *args: Any, **options: Any) -> None:
    """What is to be done when something is collected, or the process ends, is not done by one that has died."""
    original(it, *args, **options)
    process = sim.task().process
    if isinstance(process, Incarnation):
        process.on_death.append(it.cancel)
        sim.on_close.append(it.cancel)


def _at_exit(sim: Host, original: Callable[..., Any], act: Callable[..., Any], *_: Any, **__: Any) -> Any:
    """Register nothing: a process never exits here, it dies."""
    return act


_POOL: Final = concurrent.futures.ThreadPoolExecutor

THREADS: Final = (
    Served(threading.Thread, "start", _start),
    Instead(threading.Thread, "join", _joined),
    Instead(threading.Thread, "is_alive", _alive),
    Served(_thread, "start_new_thread", _start_new_thread),
    Served(_thread, "get_ident", _get_ident),
    Served(threading, "get_ident", _get_ident),
    Served(threading, "current_thread", _current_thread),
    Served(threading, "enumerate", _enumerate),
    Served(threading, "active_count", _active_count),
    Instead(threading, "_counter", _Counter(threading._counter, 1)),  # type: ignore[attr-defined]
    Instead(_POOL, "_counter", _Counter(_POOL._counter, 0)),  # type: ignore[attr-defined]
    Instead(threading.Thread, "__hash__", _hash),
    Instead(concurrent.futures.Future, "__hash__", _hash),
    Answer(threading, "_time", monotonic_s),
    Answer(queue, "time", monotonic_s),
    Served(SimpleQueue, "get", _get),
    Served(SimpleQueue, "get_nowait", _get_nowait),
    Served(SimpleQueue, "put", _put),
    Served(SimpleQueue, "put_nowait", _put),
    Served(queue.Queue, "put", _hand),
    Served(queue.Queue, "get", _take),
    Served(logging.Logger, "handle", _log),
    Served(traceback, "format_exc", _format),
    Served(greenlet, "__init__", _made),
    Served(Finalize, "__init__", _finalized),
    Served(atexit, "register", _at_exit),
)
"""What of threads, and of greenlets, is another thing in the code of a service."""
