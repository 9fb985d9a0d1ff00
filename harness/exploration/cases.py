"""A plan that was run, and where in the life of a saga its last fault struck."""

from __future__ import annotations

from typing import Final, NamedTuple

from ..faults import Plan
from ..saga import COMPENSATION, QUERY
from ..simulator import Run
from ..verdict import MODES

FORWARD, COMPENSATING, RECOVERY = MODES

Operation = tuple[str, str, str]
"""Saga, step, direction."""

Hold = tuple[int, int, int]
"""A lock: the requests sent under it, and for how many µs it was held, and in doubt."""


class Told(NamedTuple):
    """The counts that a campaign takes of a history; its rows are not asked again. ``outcome`` is what the clients were
    told, ``events`` how many rows it has. ``sends``, ``completes`` and ``meant`` are whether a request was sent, a saga
    completed, and the orders were meant to go through; where an earlier history of the same part showed that, or the
    run without a fault, they are True. ``orders`` are the pairs of conflicting operations that were handled in this
    order, ``handled`` all of them, ``holds`` the locks that participants showed; ``trace`` is the class of a random
    plan's run."""

    outcome: str = ""
    events: int = 0
    sends: bool = True
    completes: bool = True
    meant: bool = True
    orders: tuple[tuple[Operation, Operation], ...] = ()
    handled: tuple[Operation, ...] = ()
    holds: tuple[Hold, ...] = ()
    trace: bytes = b""


NOTHING_TOLD: Final = Told()


class Case(NamedTuple):
    """One plan that was run. ``consequential`` says that its last fault changed what happened;
    ``mode`` is where in the saga that fault struck: forward, compensation or recovery. ``known`` says that
    the run was ended in a state whose future had been explored: it is not to be judged again.
    ``projection`` is what the invariants ask of the run, as `Observed` has it; empty where it is not known. ``told`` is
    what is counted of its history, ``earlier`` the modes of the faults before the last, where its sites are not
    kept."""

    plan: Plan
    run: Run
    digest: bytes
    fired: bool
    consequential: bool
    mode: str
    known: bool = False
    projection: bytes = b""
    told: Told = NOTHING_TOLD
    earlier: tuple[str, ...] = ()

    def kept(self, told: Told) -> Case:
        """The same with what is counted of its history, without the rows, which nobody asks again."""
        plan, run, digest, fired, consequential, mode, known, projection, _, earlier = self
        return Case(plan, run.without_rows, digest, fired, consequential, mode, known, projection, told, earlier)

    def mode_before(self, number: int) -> str:
        """Where its fault of that number struck, which is not the last."""
        if self.earlier:
            return self.earlier[number]
        site = self.plan.faults[number].site
        return mode_of(self.run, self.run.sites.index(site)) if site in self.run.sites else FORWARD

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
