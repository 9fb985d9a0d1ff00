"""A plan that was run, and where in the life of a saga its last fault struck."""

from __future__ import annotations

from typing import NamedTuple

from ..faults import Plan
from ..saga import COMPENSATION, QUERY
from ..simulator import Run
from ..verdict import MODES

FORWARD, COMPENSATING, RECOVERY = MODES


class Case(NamedTuple):
    """One plan that was run. ``consequential`` says that its last fault changed what happened;
    ``mode`` is where in the saga that fault struck: forward, compensation or recovery. ``known`` says that
    the run was ended in a state whose future had been explored: it is not to be judged again.
    ``projection`` is what the invariants ask of the run, as `Observed` has it; empty where it is not known."""

    plan: Plan
    run: Run
    digest: bytes
    fired: bool
    consequential: bool
    mode: str
    known: bool = False
    projection: bytes = b""

    @property
    def idle(self) -> bool:
        """True if one of its faults changed nothing: it shows what a plan without that one shows."""
        return bool(self.run.idle)


def mode_of(run: Run, index: int) -> str:
    """Where in the life of a saga the site at ``index`` lies."""
    if 0 <= run.recovery <= index:
        return RECOVERY
    direction = run.sites[index][2]
    if direction == COMPENSATION or (direction in ("", QUERY) and 0 <= run.compensation <= index):
        return COMPENSATING
    return FORWARD
