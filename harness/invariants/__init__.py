"""What must hold, as pure functions over a history, in one table.

`check` judges one history by all of them. A check that crashes makes the verdict inconclusive,
never consistent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from ..history import WAITING, History
from ..verdict import Verdict, Violation
from . import claims, conduct, effects, isolation, limits, log, messages, order, owners, undoing, unknowns
from .blocking import Hold, blocking
from .facts import Facts
from .registry import INVARIANTS, OURS, Catalogue, Invariant, catalogue_with, consequences

__all__ = [
    "INVARIANTS",
    "OURS",
    "Catalogue",
    "Hold",
    "Invariant",
    "blocking",
    "catalogue_with",
    "check",
    "claims",
    "conduct",
    "consequences",
    "effects",
    "isolation",
    "limits",
    "log",
    "messages",
    "order",
    "owners",
    "undoing",
    "unknowns",
]


CUT: Final = (
    "a run had to be ended while somebody still polled: what would have come of it is not known; poll at longer "
    "intervals, or wait for less"
)


def check(history: History, only: Collection[str] | None = None, catalogue: Catalogue = OURS) -> Verdict:
    """Judge ``history`` by every invariant of ``catalogue``, or by those whose ids are in ``only``."""
    facts = Facts(history)
    violations: list[Violation] = []
    exercised: list[str] = []
    gave_up: dict[str, str] = {}
    for id, entry in catalogue.by_id.items():
        if only is not None and id not in only:
            continue
        if facts.end == WAITING and entry.nature in ("liveness", "both"):
            gave_up[id] = CUT
            continue
        try:
            was_exercised, found = entry.check(facts)
        except Exception as error:  # a checker that crashes must not pass for a checker that is content
            gave_up[id] = f"{type(error).__name__}: {error}"
            continue
        if was_exercised or found:
            exercised.append(id)
        violations.extend(found)
    if not violations:
        return Verdict(exercised=frozenset(exercised), gave_up=gave_up)
    minimal, explained = _minimal(violations, catalogue)
    return Verdict(
        violations=tuple(minimal), explained=tuple(explained), exercised=frozenset(exercised), gave_up=gave_up
    )


def _minimal(violations: Iterable[Violation], catalogue: Catalogue) -> tuple[list[Violation], list[Violation]]:
    """Part the violations into causes and those that follow from a cause on the same saga."""
    every = list(violations)
    minimal: list[Violation] = []
    explained: list[Violation] = []
    for violation in every:
        follows = any(
            violation.invariant in consequences(cause.invariant, catalogue) and cause.saga in ("", violation.saga)
            for cause in every
        )
        (explained if follows else minimal).append(violation)
    return minimal, explained
