"""Virtual time, and repeatable chance, for code under test that asks the standard library.

The functions of ``time`` and the sources of randomness are replaced once by dispatchers: inside
a simulated task they answer from the simulation, everywhere else they are what they were. Modules
that took a function by name before (``from time import sleep``) are given the dispatcher too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from greenlet import getcurrent

from .aio import SimLoop
from .host import Host
from .kernel import EPOCH_S, Spinning

SPIN_SECONDS: Final = 10.0
"""Real time after which code under test that touches no port is taken to spin."""


_current: Host | None = None
_installed = False


def _simulation() -> Host | None:
    """The simulation whose code is running in this very thread and greenlet, or None."""
    sim = _current
    if sim is None:
        return None
    kernel = sim.kernel
    task = kernel.current
    running = task.glet if task is not None else kernel.handler
    return sim if running is not None and running is getcurrent() else None


@contextmanager
def virtual(sim: Host) -> Iterator[None]:
    """Answer the standard library's questions from ``sim`` meanwhile."""
    global _current  # noqa: PLW0603
    install()
    previous, _current = _current, sim
    hooks = gc.callbacks[:]  # they may ask for the time, at moments that no plan determines
    gc.callbacks.clear()
    try:
        yield
    finally:
        _current = previous
        gc.callbacks.extend(hooks)


def install() -> None:
    """Put the dispatchers in place, once a process."""
    global _installed  # noqa: PLW0603
    if _installed:
        return
    _installed = True
    replacements: dict[int, Callable[..., Any]] = {}
    for module, name, inside in _TABLE:
        original = getattr(module, name)
        replacement = _Dispatcher(original, inside)
        replacements[id(original)] = replacement
        setattr(module, name, replacement)
    _replace_references(replacements)


class _Dispatcher:
    """A function of the standard library with a second life. No Python function: one of those, kept in
    the body of a class, would turn into a method where the builtin does not."""

    def __init__(self, original: Callable[..., Any], inside: Callable[..., Any]) -> None:
        self._original = original
        self._inside = inside
        self.__name__ = original.__name__
        self.__doc__ = original.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        sim = _simulation()
        if sim is None:
            return self._original(*args, **kwargs)
        if sim.kernel.current is not None:
            sim.kernel.current.process.replayable = False
        return self._inside(sim, *args, **kwargs)


def _replace_references(replacements: dict[int, Callable[..., Any]]) -> None:
    """Modules outside of the standard library that hold an original by name get the dispatcher."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in sys.stdlib_module_names or name.startswith(("sagafuzz.simulator", "greenlet")):
            continue
        for attribute, value in list(getattr(module, "__dict__", {}).items()):
            replacement = replacements.get(id(value))
            if replacement is not None:
                setattr(module, attribute, replacement)


# -- what the answers are inside ---------------------------------------------------------------


def _sleep(sim: Host, seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    delay_us = round(seconds * 1e6)
    if sim.kernel.current is None:  # a participant's code: its answer is late
        sim.kernel.handler_delay_us += delay_us
        return
    task = sim.task()
    task.process.check_alive()
    sim.kernel.sleep(task, delay_us)


def _now_us(sim: Host) -> int:
    """Virtual time as the running code sees it: for a participant's, with what it has slept."""
    kernel = sim.kernel
    return kernel.now_us if kernel.current is not None else kernel.now_us + kernel.handler_delay_us


def _wall_s(sim: Host) -> float:
    sim.clock_read = True
    return EPOCH_S + _asked_us(sim) / 1e6 + sim.wall_offset_s


def _wall_ns(sim: Host) -> int:
    sim.clock_read = True
    return (int(EPOCH_S) + sim.wall_offset_s) * 1_000_000_000 + _asked_us(sim) * 1000


def _monotonic_s(sim: Host) -> float:
    return _asked_us(sim) / 1e6


def _monotonic_ns(sim: Host) -> int:
    return _asked_us(sim) * 1000


def _asked_us(sim: Host) -> int:
    """The time, noted as something that the process now knows."""
    now = _now_us(sim)
    if sim.kernel.current is not None:
        sim.kernel.current.process.inputs.append(now)
    return now


def _urandom(sim: Host, size: int) -> bytes:
    return sim.random.randbytes(size)


def _new_event_loop(sim: Host) -> asyncio.AbstractEventLoop:
    """For `asyncio.run` inside a synchronous adapter."""
    return SimLoop(sim.kernel, sim.task())


def _chance(name: str) -> Callable[..., Any]:
    def inside(sim: Host, *args: Any, **kwargs: Any) -> Any:
        return getattr(sim.random, name)(*args, **kwargs)

    return inside


_CHANCE: Final = (
    "betavariate",
    "binomialvariate",
    "choice",
    "choices",
    "expovariate",
    "gammavariate",
    "gauss",
    "getrandbits",
    "getstate",
    "lognormvariate",
    "normalvariate",
    "paretovariate",
    "randbytes",
    "randint",
    "random",
    "randrange",
    "sample",
    "seed",
    "setstate",
    "shuffle",
    "triangular",
    "uniform",
    "vonmisesvariate",
    "weibullvariate",
)

_TABLE: Final[tuple[tuple[Any, str, Callable[..., Any]], ...]] = (
    (time, "sleep", _sleep),
    (time, "time", _wall_s),
    (time, "time_ns", _wall_ns),
    (time, "monotonic", _monotonic_s),
    (time, "monotonic_ns", _monotonic_ns),
    (time, "perf_counter", _monotonic_s),
    (time, "perf_counter_ns", _monotonic_ns),
    (os, "urandom", _urandom),
    (random, "_urandom", _urandom),  # what SystemRandom, and so secrets, took by name
    (asyncio, "new_event_loop", _new_event_loop),
    (asyncio.events, "new_event_loop", _new_event_loop),
    *((random, name, _chance(name)) for name in _CHANCE if hasattr(random, name)),
)


class Watch:
    """What a watchdog did: ``ended`` counts the runs that it had to end."""

    ended = 0


@contextmanager
def watchdog(seconds: float = SPIN_SECONDS) -> Iterator[Watch]:
    """Raise Spinning inside code under test that computes for ``seconds`` of real time without
    touching a port. Only where signals can be had: in the main thread, on POSIX."""
    watch = Watch()
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable or signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, signal.SIG_IGN, None):
        yield watch
        return
    last: list[Any] = [None]

    def alarm(signum: int, frame: Any) -> None:
        sim = _simulation()
        # The simulation itself, not its id: another one may come to lie where the last one lay.
        seen = (sim, sim.kernel.ticks, len(sim.trace.rows)) if sim is not None else None
        if sim is None or seen != last[0]:
            last[0] = seen
            return
        kernel = sim.kernel
        if kernel.stopped == "spins" and kernel.current is not None:  # it has swallowed the first one
            kernel.current.finished = True
            kernel.abandon()
        kernel.stopped = "spins"
        watch.ended += 1
        raise Spinning

    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds / 2, seconds / 2)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
