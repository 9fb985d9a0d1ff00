"""What must hold, as pure functions over a history, in one table.

`check` judges one history by all of them. A check that crashes makes the verdict inconclusive,
never consistent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

from ..errors import UsageError
from ..history import History
from ..verdict import Verdict, Violation
from . import claims, conduct, effects, isolation, limits, log, order, owners, undoing, unknowns
from .blocking import Hold, blocking
from .facts import Facts
from .registry import INVARIANTS, Checked, Invariant

__all__ = [
    "INVARIANTS",
    "Hold",
    "Invariant",
    "blocking",
    "check",
    "claims",
    "conduct",
    "effects",
    "extended",
    "isolation",
    "limits",
    "log",
    "only_ours",
    "order",
    "owners",
    "undoing",
    "unknowns",
]


_OURS = frozenset(INVARIANTS)


def only_ours() -> bool:
    """Whether histories are judged by the invariants of the table alone, whose questions the search knows."""
    return INVARIANTS.keys() == _OURS


def check(history: History, only: Collection[str] | None = None) -> Verdict:
    """Judge ``history`` by every invariant, or by those whose ids are in ``only``."""
    facts = Facts(history)
    violations: list[Violation] = []
    exercised: list[str] = []
    gave_up: dict[str, str] = {}
    for id, entry in INVARIANTS.items():
        if only is not None and id not in only:
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
    minimal, explained = _minimal(violations)
    return Verdict(
        violations=tuple(minimal), explained=tuple(explained), exercised=frozenset(exercised), gave_up=gave_up
    )


def _minimal(violations: Iterable[Violation]) -> tuple[list[Violation], list[Violation]]:
    """Part the violations into causes and those that follow from a cause on the same saga."""
    every = list(violations)
    minimal: list[Violation] = []
    explained: list[Violation] = []
    for violation in every:
        follows = any(
            violation.invariant in consequences(cause.invariant) and cause.saga in ("", violation.saga)
            for cause in every
        )
        (explained if follows else minimal).append(violation)
    return minimal, explained


@cache
def consequences(id: str) -> frozenset[str]:
    """All invariants whose violation follows, directly or not, from that of ``id``."""
    reached: set[str] = set()
    todo = [id]
    while todo:
        for follower in INVARIANTS[todo.pop()].explains:
            if follower not in reached:
                reached.add(follower)
                todo.append(follower)
    return frozenset(reached - {id})


@contextmanager
def extended(more: Iterable[Invariant]) -> Iterator[None]:
    """Within, histories are judged by these beside those of the table. UsageError where one does not fit beside them:
    its id is no capital letter and a number, is taken, or it explains what there is not."""
    given: dict[str, Invariant] = {}
    for entry in more:
        taken = entry.id in INVARIANTS or entry.id in given
        if taken or not re.fullmatch(r"[A-Z][0-9]{1,4}", entry.id):
            reason = "is taken" if taken else "is no capital letter and a number"
            raise UsageError(f"invariant {entry.id!r}: its id {reason}; write another, S1 for instance")
        given[entry.id] = replace(entry, check=_speaking_for_itself(entry))
    for id, entry in given.items():
        if unknown := set(entry.explains) - {*INVARIANTS, *given}:
            raise UsageError(f"invariant {id!r} explains {min(unknown)!r}, which is none; take it out")
    INVARIANTS.update(given)
    consequences.cache_clear()
    try:
        yield
    finally:
        for id in given:
            del INVARIANTS[id]
        consequences.cache_clear()


def _speaking_for_itself(entry: Invariant) -> Callable[[Facts], Checked]:
    """Its check, which may give no violation of another invariant."""

    def check(facts: Facts) -> Checked:
        exercised, violations = entry.check(facts)
        for violation in violations:
            if violation.invariant != entry.id:
                raise ValueError(f"it gave a violation of {violation.invariant!r}")
        return exercised, violations

    return check
