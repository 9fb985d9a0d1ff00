"""Which line of the code under test recorded an event."""

from __future__ import annotations

from collections.abc import Callable

from ..faults import Plan
from ..frames import calling_line
from ..history import Row
from .setup import Setup
from .simulation import Simulation, begun


def line_of(setup: Setup, plan: Plan, position: int) -> str:
    """Run the plan and say which line of the code under test recorded the row at ``position``."""
    sim = begun(setup, plan)
    line = noted_line(sim, position)
    sim.complete()
    sim.dissolve()
    return line()


def noted_line(sim: Simulation, position: int) -> Callable[[], str]:
    """Note which line of the code under test records the row at ``position`` of ``sim``; that line, "" before."""
    lines: list[str] = []

    def record(row: Row) -> None:
        if len(sim.trace.rows) == position:
            lines.append(calling_line())
        sim.trace.rows.append(row)

    sim.trace.record = record
    return lambda: lines[0] if lines else ""
