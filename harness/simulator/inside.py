"""Whose code is running: that of a simulation, or anything else in this process."""

from __future__ import annotations

from greenlet import getcurrent, greenlet

from .host import Host

_current: Host | None = None


def enter(sim: Host | None) -> Host | None:
    """Let ``sim`` be the one that runs in this process; the one before."""
    global _current
    previous, _current = _current, sim
    return previous


def simulation() -> Host | None:
    """The simulation whose code under test is running in this very thread and greenlet, or None."""
    sim = _current
    if sim is None:
        return None
    kernel = sim.kernel
    task = kernel.current
    running = task.glet if task is not None else kernel.handler
    if running is None:
        return None
    here = getcurrent()
    return sim if here is running or within(running, here) else None


def within(running: greenlet, here: greenlet) -> bool:
    """True if ``here`` is a greenlet that code under test made in ``running``, as SQLAlchemy does."""
    above = here.parent
    while above is not None and above is not running:
        above = above.parent
    return above is running
