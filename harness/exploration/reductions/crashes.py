"""Which crashes leave the same world behind: those with no event between them that outlives the process."""

from __future__ import annotations

from typing import Final

from ...history import ACK, CLOCK, DELIVER, DOWN, KIND, LOG, LOST, TIMEOUT
from ...simulator import Run

GONE_WITH_THE_PROCESS: Final = frozenset({LOG, ACK, TIMEOUT, DELIVER, LOST, DOWN, CLOCK})
"""Events that leave nothing behind when the orchestrator dies: it knew of them, or nobody did."""


def visible_before(run: Run) -> tuple[int, ...]:
    """Before each site of a run, the number of events that outlive the orchestrator. That an order was handed to a
    process counts as one: if it dies then, its client asks no other."""
    counts, count, done = [], 0, 0
    for index, rows_before in enumerate(run.site_rows):
        count += run.handed.count(index)
        for row in run.rows[done:rows_before]:
            count += row[KIND] not in GONE_WITH_THE_PROCESS
        done = rows_before
        counts.append(count)
    return tuple(counts)
