"""The examples hold each invariant in place: one that is dropped, negated or weakened contradicts some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sagafuzz.history import History
from sagafuzz.invariants import INVARIANTS
from sagafuzz.invariants.facts import Facts
from sagafuzz.verdict import Violation

from . import (  # noqa: F401 - they fill the tables
    examples_claims,
    examples_durable,
    examples_effects,
    examples_isolation,
    examples_limits,
    examples_log,
    examples_order,
    examples_owners,
    examples_undoing,
    examples_unknowns,
)
from .language import history
from .tables import BAD, GOOD

Judgement = Callable[[str, History], list[Violation]]

META = {id for id, entry in INVARIANTS.items() if entry.nature == "meta"}


def as_it_is(id: str, told: History) -> list[Violation]:
    return list(INVARIANTS[id].check(Facts(told))[1])


def dropped(id: str, told: History) -> list[Violation]:
    return []


def negated(id: str, told: History) -> list[Violation]:
    example = BAD[id][0]
    return [] if as_it_is(id, told) else as_it_is(id, history(example.text, example.definition))


def blind_to_the_end(id: str, told: History) -> list[Violation]:
    return as_it_is(id, replace(told, rows=told.rows[: len(told.rows) // 3]))


def blind_to_saga_1(id: str, told: History) -> list[Violation]:
    return [found for found in as_it_is(id, told) if found.saga != "saga-1"]


def contradictions(id: str, judge: Judgement) -> int:
    """How many examples of an invariant a judgement of it contradicts."""
    good = sum(bool(judge(id, history(example.text, example.definition))) for example in GOOD[id])
    bad = sum(
        [found.anomaly for found in judge(id, history(example.text, example.definition))] != [example.anomaly]
        for example in BAD[id]
    )
    return good + bad


@pytest.mark.parametrize("id", sorted(set(INVARIANTS) - META))
def test_as_it_is_it_contradicts_none(id: str) -> None:
    assert contradictions(id, as_it_is) == 0


@pytest.mark.parametrize("mutated", [dropped, negated, blind_to_the_end, blind_to_saga_1], ids=lambda it: it.__name__)
@pytest.mark.parametrize("id", sorted(set(INVARIANTS) - META))
def test_mutated_it_contradicts_some(id: str, mutated: Judgement) -> None:
    if mutated is blind_to_saga_1 and all(example.saga != "saga-1" for example in BAD[id]):
        mutated = dropped  # an invariant that blames no saga
    assert contradictions(id, mutated) > 0
