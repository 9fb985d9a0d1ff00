"""What the state memo keeps of a past decides the verdict: whatever else differs, no invariant asks for it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from sagafuzz import Adapter
from sagafuzz.adapters.zoo import ZOO
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.quiet import quiet
from sagafuzz.history import CAUSE, CRASH, DELIVER, LOGACK, LOGLOST, PUBLISH, SEND, History, Row
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Setup
from sagafuzz.simulator.projection import Projection
from sagafuzz.simulator.setup import TIMED

from . import (  # noqa: F401 - they fill the tables
    examples_claims,
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
from .tables import BAD, GOOD, Example, every


def findings(told: History) -> set[tuple[object, ...]]:
    verdict = check(told)
    return {(found.signature, found.saga) for found in (*verdict.violations, *verdict.explained)}


def lanes(told: History, rows: Sequence[Row]) -> object:
    """With what is left out where retries are forgotten, unless requests are counted."""
    return Projection(rows, len(told.sagas), forgets="max_attempts" not in told.declared).lanes


def reordered(told: History, chance: random.Random) -> tuple[Row, ...]:
    """The same events in an order that could have been, and that leaves the same past."""
    rows, wanted = list(told.rows), lanes(told, told.rows)
    for _ in range(4 * len(rows)):
        at = chance.randrange(len(rows) - 1)
        one, other = rows[at], rows[at + 1]
        same_message = one[8] and one[8] == other[8]
        caused = other[1] == PUBLISH and other[9][CAUSE] and one[8] == other[9][CAUSE]  # it is of that transaction
        if same_message or caused or (DELIVER in (one[1], other[1]) and one[2] == other[2]):
            continue
        rows[at], rows[at + 1] = other, one
        if lanes(told, rows) != wanted:
            rows[at], rows[at + 1] = one, other
    return tuple(rows)


def untimed(examples: list[Example]) -> list[Example]:
    """Without those that declare what is judged by the time: there no states are compared."""
    return [each for each in examples if not TIMED & history(each.text, each.definition).declared.keys()]


@pytest.mark.parametrize("example", untimed([*every(GOOD), *every(BAD)]), ids=str)
def test_an_order_that_the_past_does_not_keep_changes_no_verdict(example: Example) -> None:
    told = history(example.text, example.definition)
    for seed in range(3):
        rows = reordered(told, random.Random(seed))
        assert findings(replace(told, rows=rows)) == findings(told)


def test_the_examples_are_indeed_reordered() -> None:
    told = [history(example.text, example.definition) for example in every(BAD)]
    moved = [reordered(each, random.Random(0)) != each.rows for each in told]
    assert sum(moved) > len(moved) / 3


QUICK = [mutant.adapter for mutant in [*ZOO.values()][:8] if mutant.name != "immortal-key"]  # which never gives up
SYSTEMS: list[Adapter] = [load("seed"), *QUICK]


def test_equal_pasts_have_equal_verdicts() -> None:
    """Over every plan with one fault, of a few broken systems."""
    shared = 0
    for adapter in SYSTEMS:
        setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
        known: dict[str, set[tuple[object, ...]]] = {}
        with quiet():
            for case in Enumerator(setup, 1, reductions=()).cases():
                if not case.plan.faults:
                    continue
                told = case.run.history(setup, case.plan)
                past, found = repr(lanes(told, told.rows)), findings(told)
                shared += past in known
                assert known.setdefault(past, found) == found, f"{adapter.name}: {case.plan}"
    assert shared > 50


@pytest.mark.parametrize(
    ("text", "leaves_nothing"),
    [
        ("submit\nwrite create\nwrite intent order\nlost-write intent order\ncrash", True),
        ("submit\nwrite create\nlost-write create\ncrash", False),
        ("submit\nwrite create\nwrite intent order\nlost-write intent order\nwrite outcome order\ncrash", False),
    ],
)
def test_a_lost_write_leaves_nothing_where_nobody_could_tell(text: str, leaves_nothing: bool) -> None:
    told = history(text)
    kept = [row for row in told.rows if row[1] != LOGLOST and not (row[1] == LOGACK and row[9][0] == lost(told))]
    assert any(row[1] == CRASH for row in kept)
    assert (lanes(told, told.rows) == lanes(told, kept)) is leaves_nothing


def lost(told: History) -> str:
    """The record that was lost."""
    return next(str(row[9][0]) for row in told.rows if row[1] == LOGLOST)


def test_data_that_cannot_be_hashed_is_told_apart_all_the_same() -> None:
    """An adapter may pass a list where a number is meant."""
    told = history("submit\nwrite create\nsend order.create key=k -> m")
    of_epoch = [
        lanes(told, [(*row[:9], (*row[9][:2], [epoch])) if row[1] == SEND else row for row in told.rows])  # type: ignore[misc]
        for epoch in (1, 2, 1)
    ]
    assert of_epoch[0] == of_epoch[2] != of_epoch[1]
