"""Which lines of the code under test recorded events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..faults import Plan
from ..frames import Caller
from ..history import DATA, HANDLED, KIND, LOG, PUBLISH, SAGA, SEND, Row
from .messaging import ACKNOWLEDGED
from .setup import Setup
from .simulation import Simulation, begun
from .whose import calling


def caller_of(setup: Setup, plan: Plan, position: int) -> Caller:
    """Run the plan and say where the code under test recorded the row at ``position``."""
    sim = begun(setup, plan)
    noted = noted_caller(sim, position)
    sim.complete()
    sim.dissolve()
    return noted()


def callers_of(setup: Setup, plan: Plan) -> dict[int, Caller]:
    """Run the plan and say where the code under test sent each request and message, acknowledged each message, and
    asked for each durable write, by the positions of these rows."""
    sim = begun(setup, plan)
    found: dict[int, Caller] = {}
    behind = _behind(sim)

    def record(row: Row) -> None:
        if row[KIND] in _ACTS:
            found[len(sim.trace.rows)] = behind(row)
        sim.trace.rows.append(row)

    sim.trace.record = record
    sim.complete()
    sim.dissolve()
    return found


_ACTS: Final = frozenset({SEND, LOG, PUBLISH, HANDLED})


def noted_caller(sim: Simulation, position: int) -> Callable[[], Caller]:
    """Note where the code under test records the row at ``position`` of ``sim``; what was noted when it is asked."""
    found: list[Caller] = []
    behind = _behind(sim)

    def record(row: Row) -> None:
        if len(sim.trace.rows) == position:
            found.append(behind(row))
        sim.trace.rows.append(row)

    sim.trace.record = record
    return lambda: found[0] if found else Caller()


def _behind(sim: Simulation) -> Callable[[Row], Caller]:
    """Which lines are behind a row of ``sim`` that is recorded now. An acknowledgement is noted when it is asked
    for."""
    acknowledged: dict[tuple[str, str], Caller] = {}
    sim.remembered[ACKNOWLEDGED] = acknowledged

    def behind(row: Row) -> Caller:
        return acknowledged.get((row[SAGA], row[DATA][0]), Caller()) if row[KIND] == HANDLED else calling(sim)

    return behind
