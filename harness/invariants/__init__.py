"""What must hold, as pure functions over a history, in one table.

`check` judges one history by all of them. A check that crashes makes the verdict inconclusive,
never consistent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final

from ..history import STILL_BUSY, WAITING, History
from ..verdict import Verdict, Violation
from . import (
    claims,
    conduct,
    durable,
    effects,
    isolation,
    limits,
    log,
    messages,
    order,
    owners,
    ownership,
    undoing,
    unknowns,
)
from .blocking import Hold, blocking
from .facts import Facts
from .own import Broken, Moment, View, catalogue_of, rules_of
from .registry import INVARIANTS, OURS, Catalogue, Invariant, catalogue_with, consequences

__all__ = [
    "INVARIANTS",
    "OURS",
    "Broken",
    "Catalogue",
    "Hold",
    "Invariant",
    "Moment",
    "View",
    "blocking",
    "catalogue_of",
    "catalogue_with",
    "check",
    "claims",
    "conduct",
    "consequences",
    "durable",
    "effects",
    "isolation",
    "limits",
    "log",
    "messages",
    "order",
    "owners",
    "ownership",
    "rules_of",
    "undoing",
    "unknowns",
]


CUT: Final[Mapping[str, str]] = {
    WAITING: "a run had to be ended while somebody still polled: what would have come of it is not known; poll at "
    "longer intervals, or wait for less",
    STILL_BUSY: "a case had to be ended while a saga was still running, or a request still under way, after twice "
    "max_recovery_ms: what would have come of it is not known; raise max_recovery_ms in the manifest to what the "
    "system needs, or bound what it waits for",
}
"""By why a run was ended that was not at rest: why nothing is said of what would have come of it."""


def check(history: History, only: Collection[str] | None = None, catalogue: Catalogue = OURS) -> Verdict:
    """Judge ``history`` by every invariant of ``catalogue``, or by those whose ids are in ``only``."""
    facts = Facts(history)
    violations: list[Violation] = []
    exercised: list[str] = []
    gave_up: dict[str, str] = {}
    cut = CUT.get(facts.end, "")
    asked = catalogue.by_id
    if only is not None:
        asked = {id: entry for id, entry in asked.items() if id in only}
    for id, entry in asked.items():
        if cut and entry.nature in ("liveness", "both"):
            gave_up[id] = cut
            continue
        try:
            judged = entry.check
            was_exercised, found = judged(facts)
        except Exception as error:  # a checker that crashes must not pass for a checker that is content
            gave_up[id] = f"{type(error).__name__}: {error}"
            continue
        if found:
            violations += found
        elif not was_exercised:
            continue
        exercised.append(id)
    if not (violations or gave_up):
        return _content(tuple(exercised))
    minimal, explained = _minimal(violations, catalogue)
    return Verdict(
        violations=tuple(minimal), explained=tuple(explained), exercised=frozenset(exercised), gave_up=gave_up
    )


@lru_cache(maxsize=1_024)
def _content(exercised: tuple[str, ...]) -> Verdict:
    """That nothing is wrong: one value for nearly all histories of a search, which are many."""
    return Verdict(exercised=frozenset(exercised))


def _minimal(violations: Iterable[Violation], catalogue: Catalogue) -> tuple[list[Violation], list[Violation]]:
    """Part the violations into causes and those that follow from a cause on the same saga, or on one that
    harms it."""
    every = list(violations)
    minimal: list[Violation] = []
    explained: list[Violation] = []
    for violation in every:
        follows = any(
            violation.invariant in consequences(cause.invariant, catalogue)
            and (cause.saga == "" or cause.is_about(violation.saga))
            for cause in every
        )
        (explained if follows else minimal).append(violation)
    return minimal, explained
