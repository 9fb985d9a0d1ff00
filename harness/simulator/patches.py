"""Virtual time, and repeatable chance, for code under test that asks the standard library.

The functions of ``time`` and the sources of randomness are replaced once by dispatchers: inside
a simulated task they answer from the simulation, everywhere else they are what they were. Modules
that took a function by name before (``from time import sleep``) are given the dispatcher too.
"""

from __future__ import annotations

import functools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from greenlet import getcurrent

if TYPE_CHECKING:
    from .simulation import Simulation

SPIN_SECONDS: Final = 10.0
"""Real time after which code under test that touches no port is taken to spin."""


class Spinning(BaseException):
    """Raised by the watchdog inside code under test that computes for ever."""


_current: Simulation | None = None
_installed = False
_originals: dict[int, Callable[..., Any]] = {}


def _simulation() -> Simulation | None:
    """The simulation whose code is running in this very thread and greenlet, or None."""
    sim = _current
    if sim is None:
        return None
    kernel = sim.kernel
    if kernel.in_handler:
        return sim
    task = kernel.current
    return sim if task is not None and task.glet is getcurrent() else None


@contextmanager
def virtual(sim: Simulation) -> Iterator[None]:
    """Answer the standard library's questions from ``sim`` meanwhile."""
    global _current  # noqa: PLW0603
    install()
    previous, _current = _current, sim
    try:
        yield
    finally:
        _current = previous


def install() -> None:
    """Put the dispatchers in place, once a process."""
    global _installed  # noqa: PLW0603
    if _installed:
        return
    _installed = True
    replacements: dict[int, Callable[..., Any]] = {}
    for module, name, inside in _TABLE:
        original = getattr(module, name)
        replacement = _dispatcher(original, inside)
        replacements[id(original)] = replacement
        _originals[id(replacement)] = original
        setattr(module, name, replacement)
    _replace_references(replacements)


def _dispatcher(original: Callable[..., Any], inside: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def dispatch(*args: Any, **kwargs: Any) -> Any:
        sim = _simulation()
        return original(*args, **kwargs) if sim is None else inside(sim, *args, **kwargs)

    return dispatch


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


def _sleep(sim: Simulation, seconds: float) -> None:
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    delay_us = round(seconds * 1e6)
    if sim.kernel.in_handler:
        sim.kernel.handler_delay_us += delay_us
        return
    task = sim.task()
    task.process.check_alive()
    sim.kernel.sleep(task, delay_us)


def _wall_s(sim: Simulation) -> float:
    from .world import EPOCH_S

    return EPOCH_S + sim.kernel.now_us / 1e6


def _wall_ns(sim: Simulation) -> int:
    from .world import EPOCH_S

    return int(EPOCH_S) * 1_000_000_000 + sim.kernel.now_us * 1000


def _monotonic_s(sim: Simulation) -> float:
    return sim.kernel.now_us / 1e6


def _monotonic_ns(sim: Simulation) -> int:
    return sim.kernel.now_us * 1000


def _urandom(sim: Simulation, size: int) -> bytes:
    return sim.random.randbytes(size)


def _chance(name: str) -> Callable[..., Any]:
    def inside(sim: Simulation, *args: Any, **kwargs: Any) -> Any:
        return getattr(sim.random, name)(*args, **kwargs)

    return inside


_CHANCE: Final = (
    "betavariate",
    "choice",
    "choices",
    "expovariate",
    "gauss",
    "getrandbits",
    "normalvariate",
    "randbytes",
    "randint",
    "random",
    "randrange",
    "sample",
    "shuffle",
    "triangular",
    "uniform",
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
    *((random, name, _chance(name)) for name in _CHANCE),
)


@contextmanager
def watchdog(seconds: float = SPIN_SECONDS) -> Iterator[None]:
    """Raise Spinning inside code under test that computes for ``seconds`` of real time without
    touching a port. Only where signals can be had: in the main thread, on POSIX."""
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not usable or signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, signal.SIG_IGN, None):
        yield
        return
    last: list[Any] = [None]

    def alarm(signum: int, frame: Any) -> None:
        sim = _simulation()
        seen = (id(sim), sim.kernel.ticks, len(sim.rows)) if sim is not None else None
        if seen is not None and seen == last[0]:
            raise Spinning
        last[0] = seen

    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, seconds / 2, seconds / 2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
