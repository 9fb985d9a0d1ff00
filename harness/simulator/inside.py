"""Whose code is running: that of a simulation, or anything else in this process."""

from __future__ import annotations

from greenlet import getcurrent

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
    return sim if running is not None and running is getcurrent() else None
