"""Locks in the code of a service: who would wait for one waits in virtual time, and others run meanwhile.

What waits in Python is made of them: conditions, events, semaphores, barriers, queues, futures. A lock stays what it
is, whoever made it, and is taken for real; beside that, the kernel knows which task has it.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Final

from greenlet import getcurrent

from ..frames import Frame, line, place, running, users
from ..history import RAISED
from .host import Host
from .incarnation import Incarnation
from .inside import simulation
from .kernel import Task
from .parking import Waiters, expect, moment_us
from .replacing import Instead
from .threaded import Held, Strand, ThreadedKernel

_LOCK: Final = type(_thread.allocate_lock())
_RLOCK: Final = _thread.RLock

_take, _give = _LOCK.acquire, _LOCK.release
_take_again, _give_back, _owned = _RLOCK.acquire, _RLOCK.release, _RLOCK._is_owned  # type: ignore[attr-defined]
_save, _restore = _RLOCK._release_save, _RLOCK._acquire_restore  # type: ignore[attr-defined]

_CONDITION_WAITS: Final = threading.Condition.wait.__code__
"""Who waits for a condition takes a lock of its own twice, and somebody else gives it back."""

DEADLOCK: Final = "Deadlock"
"""The type of what is noted where tasks wait for one another."""

_SUSPECTED_US: Final = 60_000_000
"""For how long they have done so before it is."""


def threaded() -> ThreadedKernel | None:
    """The kernel whose task is calling, where that is a thread; None for everybody else."""
    sim = simulation()
    if sim is None:
        return None
    kernel = sim.kernel
    return kernel if isinstance(kernel, ThreadedKernel) and kernel.current is not None else None


def give_back(kernel: ThreadedKernel) -> None:
    """Give back what the tasks of a finished run have left taken: others use the same locks after it."""
    for held in kernel.held.values():
        for _ in range(held.times):
            (_give_back if isinstance(held.lock, _RLOCK) else _give)(held.lock)
    kernel.held.clear()


# -- waiting -----------------------------------------------------------------------------------------


def _until_free(kernel: ThreadedKernel, lock: Any, timeout: float) -> bool:
    """Wait until nobody has ``lock``, for so many seconds at most (-1: for ever)."""
    task = kernel.current
    assert task is not None
    waiters = kernel.waiting.setdefault(id(lock), Waiters())
    try:
        if timeout > 0:
            return waiters.wait(kernel, task, timeout)
        wait(kernel, task, waiters, lock)
        return True
    finally:
        if waiters.none:
            kernel.waiting.pop(id(lock), None)


def wait(kernel: ThreadedKernel, task: Task, waiters: Waiters, for_what: Any) -> None:
    """Wait without a limit for a lock, or for the end of a `Strand`."""
    kernel.blocked[task] = for_what
    try:
        _look_for_a_deadlock(kernel, task)
        waiters.wait(kernel, task)
    finally:
        kernel.blocked.pop(task, None)


def _next(kernel: ThreadedKernel, lock: Any) -> None:
    """It is free: let the first one try that waits for it."""
    waiters = kernel.waiting.get(id(lock))
    if waiters is not None:
        waiters.next()


def _left_by_the_dead(kernel: ThreadedKernel, lock: Any) -> bool:
    """True if the process that had it is dead, and so it is free for the next one."""
    held = kernel.held.get(id(lock))
    return held is not None and held.task is not None and held.task.process.dead and held.task.finished


# -- locks ---------------------------------------------------------------------------------------------


def _acquire(lock: Any, blocking: bool = True, timeout: float = -1) -> bool:
    kernel = threaded()
    if kernel is None or (timeout != -1 and (not blocking or timeout < 0)):
        return bool(_take(lock, blocking, timeout))
    until_us = moment_us(kernel, timeout)
    while not (_take(lock, False) or _left_by_the_dead(kernel, lock)):
        left = (until_us - kernel.now_us) / 1e6 if timeout > 0 else timeout
        if not blocking or (timeout >= 0 and left <= 0) or not _until_free(kernel, lock, left):
            return False
    owner = None if sys._getframe(1).f_code is _CONDITION_WAITS else kernel.current
    kernel.held[id(lock)] = Held(lock, owner)
    return True


def _enter(lock: Any) -> bool:
    return _acquire(lock)


def _release(lock: Any) -> None:
    kernel = threaded()
    if kernel is None:
        _give(lock)
    elif lock.locked() or not _dies(kernel):
        _give(lock)
        kernel.held.pop(id(lock), None)
        _next(kernel, lock)


def _dies(kernel: ThreadedKernel) -> bool:
    """True if the process of the calling task is dead: then it need not have what it gives back."""
    return kernel.current is not None and kernel.current.process.dead


def _exit(lock: Any, *_: Any) -> None:
    _release(lock)


# -- locks that their owner can take again -------------------------------------------------------------


def _acquire_again(lock: Any, blocking: bool = True, timeout: float = -1) -> bool:
    kernel = threaded()
    if kernel is None or (timeout != -1 and (not blocking or timeout < 0)):
        return bool(_take_again(lock, blocking, timeout))
    until_us = moment_us(kernel, timeout)
    while True:
        held = kernel.held.get(id(lock))
        if held is None or held.task is kernel.current:
            break
        if _left_by_the_dead(kernel, lock):
            for _ in range(held.times):
                _give_back(lock)
            held = None
            break
        left = (until_us - kernel.now_us) / 1e6 if timeout > 0 else timeout
        if not blocking or (timeout >= 0 and left <= 0) or not _until_free(kernel, lock, left):
            return False
    _take_again(lock)  # no task has it; a real thread may, for a moment
    kernel.held[id(lock)] = Held(lock, kernel.current, 1 + (0 if held is None else held.times))
    return True


def _enter_again(lock: Any) -> bool:
    return _acquire_again(lock)


def _release_again(lock: Any) -> None:
    kernel = threaded()
    if kernel is None:
        _give_back(lock)
        return
    held = kernel.held.get(id(lock))
    if held is None or held.task is not kernel.current:
        if not _dies(kernel):
            raise RuntimeError("cannot release un-acquired lock")
        return
    _give_back(lock)
    if held.times > 1:
        kernel.held[id(lock)] = held._replace(times=held.times - 1)
    else:
        del kernel.held[id(lock)]
        _next(kernel, lock)


def _exit_again(lock: Any, *_: Any) -> None:
    _release_again(lock)


def _is_owned(lock: Any) -> bool:
    kernel = threaded()
    if kernel is None:
        return bool(_owned(lock))
    held = kernel.held.get(id(lock))
    return held is not None and held.task is kernel.current


def _release_save(lock: Any) -> Any:
    kernel = threaded()
    saved = _save(lock)
    if kernel is not None:
        kernel.held.pop(id(lock), None)
        _next(kernel, lock)
    return saved


def _acquire_restore(lock: Any, saved: Any) -> None:
    kernel = threaded()
    if kernel is None:
        _restore(lock, saved)
        return
    _acquire_again(lock)
    _give_back(lock)
    _restore(lock, saved)
    kernel.held[id(lock)] = Held(lock, kernel.current, saved[0])


# -- tasks that wait for one another -------------------------------------------------------------------


def _holder(kernel: ThreadedKernel, what: Any) -> Task | None:
    """The task that something can be had from: it has the lock, or is the thread."""
    if isinstance(what, Strand):
        return what.task
    held = kernel.held.get(id(what))
    return None if held is None else held.task


def _ring(kernel: ThreadedKernel, task: Task) -> Iterator[Task]:
    """The tasks that one waits for, each for the next one."""
    at: Task | None = task
    seen: set[Task] = set()
    while at is not None and at in kernel.blocked and at not in seen:
        seen.add(at)
        yield at
        at = _holder(kernel, kernel.blocked[at])


class _Suspicion:
    """Tasks that seem to wait for one another. It may be that somebody else gives back what one of them has taken:
    whether nobody did is looked at later. It is asked as a `Parked` is."""

    over = False

    def __init__(self, sim: Host, ring: list[Task], blocked: dict[Task, Any]) -> None:
        self._sim = sim
        self._ring = ring
        self._waits = [blocked[task] for task in ring]

    def go(self, *, in_time: bool) -> None:
        sim, first = self._sim, self._ring[0]
        process = first.process
        assert isinstance(sim.kernel, ThreadedKernel)
        assert isinstance(process, Incarnation)
        now = [sim.kernel.blocked.get(task) for task in self._ring]
        if process.dead or any(one is not other for one, other in zip(now, self._waits, strict=True)):
            return
        frames = [_stands(task) for task in self._ring]
        where = [line(frame) or "an unknown line" for frame in frames]
        told = f"{where[0]} waits for what it has taken itself"
        if len(where) > 1:
            told = f"{' and '.join(where)} wait for one another"
        data = (DEADLOCK, told, f"thread: {place(frames[0]) or '?'}", False)
        sim.trace.add(RAISED, process.label, data, saga=first.saga)


def _look_for_a_deadlock(kernel: ThreadedKernel, task: Task) -> None:
    """Suspect it where a task is about to wait for one that, in the end, waits for it."""
    ring = [*_ring(kernel, task)]
    sim = simulation()
    if sim is not None and _holder(kernel, kernel.blocked[ring[-1]]) is task:
        expect(kernel, _SUSPECTED_US, _Suspicion(sim, ring, kernel.blocked))


def _stands(task: Task) -> Frame | None:
    """The user's line at which a task waits."""
    glet = task.glet
    return users(running(sys._getframe(1) if glet is getcurrent() or glet is None else glet.gr_frame))


LOCKS: Final = (
    Instead(_LOCK, "acquire", _acquire),
    Instead(_LOCK, "acquire_lock", _acquire),
    Instead(_LOCK, "release", _release),
    Instead(_LOCK, "release_lock", _release),
    Instead(_LOCK, "__enter__", _enter),
    Instead(_LOCK, "__exit__", _exit),
    Instead(_RLOCK, "acquire", _acquire_again),
    Instead(_RLOCK, "release", _release_again),
    Instead(_RLOCK, "__enter__", _enter_again),
    Instead(_RLOCK, "__exit__", _exit_again),
    Instead(_RLOCK, "_is_owned", _is_owned),
    Instead(_RLOCK, "_release_save", _release_save),
    Instead(_RLOCK, "_acquire_restore", _acquire_restore),
)
"""What stands in the types of locks, once a service is run: each knows itself where it is called."""


def locks_in_place() -> bool:
    """True if they do."""
    return _LOCK.acquire is _acquire


def renew_conditions(things: Iterable[Any]) -> None:
    """Let the conditions among things that were made before know of the above: each keeps methods of its lock."""
    for each in things:
        if type(each) is threading.Condition:
            for name in ("acquire", "release", "_is_owned", "_release_save", "_acquire_restore"):
                if name in vars(each) and hasattr(each._lock, name):  # type: ignore[attr-defined]
                    setattr(each, name, getattr(each._lock, name))  # type: ignore[attr-defined]
