"""The one table of what spares runs: a row says of each reduction what it spares, and why nothing is lost by it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from ...faults import FAULT_KINDS
from ...rules import HISTORY, MOMENTS, READS
from ...simulator import Setup

On = Callable[[Setup, Collection[str] | None], bool]
"""Whether a reduction can be used for a setup and the fault kinds that are searched (None: all)."""


def always(setup: Setup, only: Collection[str] | None) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Reduction:
    """A row. ``spares`` is what is not run, ``assumes`` the condition under which that loses nothing, ``because`` why.

    ``shapes_plans``: without it the space of plans is another one. ``keeps`` is how much of a run (`rules.READS`) an
    invariant of a user may read and still find all that it would without; where one reads more, or where it is "" and
    there is one, it is off. ``on`` says for which systems it can be used."""

    name: str
    spares: str
    assumes: str
    because: str
    shapes_plans: bool = False
    keeps: str = MOMENTS
    on: On = always

    def usable(self, setup: Setup, only: Collection[str] | None) -> bool:
        """True if it loses nothing there."""
        reads = setup.catalogue.reads
        kept = not reads or (self.keeps and READS.index(reads) <= READS.index(self.keeps))
        return bool(kept) and self.on(setup, only)


def _recovery_is_durable(setup: Setup, only: Collection[str] | None) -> bool:
    return setup.adapter.durable_recovery and not setup.scenario.actors


def _can_be_resumed(setup: Setup, only: Collection[str] | None) -> bool:
    return setup.adapter.service is None and not setup.scenario.actors


def _delays_are_searched(setup: Setup, only: Collection[str] | None) -> bool:
    return only is None or any(FAULT_KINDS[kind].only_delays for kind in only)


CRASH_EQUIVALENCE: Final = Reduction(
    name="crash equivalence",
    spares="all but one of the crashes with nothing between them that outlives the process",
    assumes="recovery reads durable state only: `durable_recovery`, which `sagafuzz doctor` tests; nobody acts beside "
    "the orchestrator",
    because="no durable write, message, or deed of a participant lies between them: they leave the same world behind",
    on=_recovery_is_durable,
)
STATE_MEMO: Final = Reduction(
    name="state memo",
    spares="the rest of a run, and the plans that strike later, where an earlier run was in the same state; the plans "
    "that strike later also where the run itself was in that state, as beside somebody who polls for ever; of one who "
    "polls by the clock, those that strike after the round that is proven to be the one before but for the time; each "
    "until the run is at rest: where the harness goes on with it then, what follows is struck, but what was done in "
    "those rounds too",
    assumes="the state can be told: no database but small ones of SQLite, no chance, nobody who acts beside the "
    "orchestrator, no saga that is a step of another, and no message on its way to a process; a process is told by "
    "the answers that it has had, or by its frames: where its code stands, and what its variables, globals and classes "
    "hold; a fault that strikes who polls by the clock shows in one round what it shows in each that is the same but "
    "for the time",
    because="after all its faults it has the same future: that was judged, and longer plans were run from there, or "
    "are, a round earlier; who polls by the clock is watched for a day, and no plan is spared where it then does "
    "something else; one in 199 runs that are spared so is run all the same, and compared",
)
FORGOTTEN_RETRIES: Final = Reduction(
    name="forgotten retries",
    spares="through the state memo, what a failed try of a request or write that was then answered would make another "
    "state",
    assumes="the adapter declares `forgets_retries`, and nothing counts its requests (`max_attempts`); "
    "`sagafuzz doctor` tests the declaration",
    because="the process keeps nothing of it, so the run comes back into that of the run without the fault; a try of "
    "a step counts without a key, and any as long as what became of it is under way",
)
PREFIX_SHARING: Final = Reduction(
    name="prefix sharing",
    spares="no plan: the run up to the fault that is added is not repeated",
    assumes="as for the state memo, and no database at all, but for sagas that are steps of others, and messages, "
    "which are handed over again where run is not async",
    because="all extensions of a plan are the same until the fault that is added strikes; each run is what it would be "
    "from the start",
    keeps=HISTORY,
    on=_can_be_resumed,
)
UNREAD_CLOCK: Final = Reduction(
    name="unread clock",
    spares="a jump of the clock as the last of two or more faults, or as the first of two",
    assumes="no code asks for the time of day in that run, or in any with one fault",
    because="the run with it is the run without, which was judged, and one event that nobody sees; where that has "
    "settled its sagas, no restart is due to the jump",
)
SYMMETRY: Final = Reduction(
    name="symmetry",
    spares="the other orders in which sagas that differ in their ids only can be submitted",
    assumes="an id is only a name, see below",
    because="every other order is the same under other names; whether that is so is looked at",
    shapes_plans=True,
    keeps=HISTORY,
)
INDEPENDENCE: Final = Reduction(
    name="independence",
    spares="overtaking among requests of different sagas on different data",
    assumes="the participants keep those apart, which is told by what each request is about; and `slow-answer` is "
    "among the kinds, which delays a saga as being overtaken does",
    because="such requests commute; who is overtaken is late as well, and that delay is run without the other order",
    shapes_plans=True,
    keeps="",
    on=_delays_are_searched,
)

REDUCTIONS: Final[Mapping[str, Reduction]] = MappingProxyType(
    {
        row.name: row
        for row in (
            CRASH_EQUIVALENCE,
            STATE_MEMO,
            FORGOTTEN_RETRIES,
            PREFIX_SHARING,
            UNREAD_CLOCK,
            SYMMETRY,
            INDEPENDENCE,
        )
    }
)
"""All of them by name, in the order in which they are told."""

ALL: Final = tuple(REDUCTIONS.values())

SHAPING: Final = tuple(row for row in ALL if row.shapes_plans)
"""Those without which the space of plans is another one; with them alone, every plan of a scenario is run."""


def named(names: Iterable[str]) -> list[Reduction]:
    return [REDUCTIONS[name] for name in names]
