"""What the state memo keeps of a past decides the verdict: whatever else differs, no invariant asks for it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from sagafuzz import Adapter
from sagafuzz.adapters.zoo import ZOO
from sagafuzz.exploration.cases import Case
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.quiet import quiet
from sagafuzz.history import CAUSE, CRASH, DATA, DELIVER, KIND, LOGACK, LOGLOST, MSG, PUBLISH, SEND, T_US, History, Row
from sagafuzz.invariants import INVARIANTS, Invariant, check
from sagafuzz.invariants.memories import MEMORIES
from sagafuzz.loading import load
from sagafuzz.simulator import Run, Setup
from sagafuzz.simulator.asked import Asked
from sagafuzz.simulator.past import begun
from sagafuzz.simulator.projection import Projection
from sagafuzz.simulator.setup import TIMED

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
from .tables import BAD, GOOD, Example, every


def findings(told: History) -> set[tuple[object, ...]]:
    verdict = check(told)
    return {(found.signature, found.saga) for found in (*verdict.violations, *verdict.explained)}


def lanes(told: History, rows: Sequence[Row]) -> object:
    """With what is left out where retries are forgotten, unless requests are counted."""
    return Projection(rows, len(told.sagas), forgets="max_attempts" not in told.declared).lanes


def memories(told: History, rows: Sequence[Row]) -> object:
    """What the monitor remembers of them."""
    adapter: Any = SimpleNamespace(declared=told.declared, known=told.known, saga=told.saga)
    definitions = {saga: told.definition(saga) for saga in told.sagas}
    past = begun(Asked(adapter, definitions, followed=followed(told), forgets=False))
    past.follow(rows)
    return past.lanes


def followed(told: History) -> bool:
    """True if the search would use the monitor for such a system."""
    return not (told.actors or told.known.children or TIMED & told.declared.keys())


def reordered(
    told: History, chance: random.Random, lanes: Callable[[History, Sequence[Row]], object]
) -> tuple[Row, ...]:
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
    """Without those that declare what is judged by the time, and those of live systems, whose writes are hidden: there
    no states are compared."""
    apart = TIMED | {"hidden_writes"}
    return [each for each in examples if not apart & history(each.text, each.definition).declared.keys()]


@pytest.mark.parametrize("kept", [lanes, memories])
@pytest.mark.parametrize("example", untimed([*every(GOOD), *every(BAD)]), ids=str)
def test_an_order_that_the_past_does_not_keep_changes_no_verdict(
    example: Example, kept: Callable[[History, Sequence[Row]], object]
) -> None:
    told = history(example.text, example.definition)
    for seed in range(3):
        rows = reordered(told, random.Random(seed), kept)
        assert findings(replace(told, rows=rows)) == findings(told)


@pytest.mark.parametrize("kept", [lanes, memories])
def test_the_examples_are_indeed_reordered(kept: Callable[[History, Sequence[Row]], object]) -> None:
    told = [history(example.text, example.definition) for example in every(BAD)]
    moved = [reordered(each, random.Random(0), kept) != each.rows for each in told]
    assert sum(moved) > len(moved) / 3


QUICK = [mutant.adapter for mutant in [*ZOO.values()][:6] if mutant.name != "immortal-key"]  # which never gives up
SYSTEMS: list[Adapter] = [load("seed"), *QUICK]


@pytest.mark.parametrize("kept", [lanes, memories])
def test_equal_pasts_have_equal_verdicts(kept: Callable[[History, Sequence[Row]], object]) -> None:
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
                past, found = repr(kept(told, told.rows)), findings(told)
                shared += past in known
                assert known.setdefault(past, found) == found, f"{adapter.name}: {case.plan}"
    assert shared > 50


def quiet_moments(rows: Sequence[Row]) -> Iterator[int]:
    """How many events come before each moment at which no message is under way."""
    last = {row[MSG]: at for at, row in enumerate(rows) if row[MSG]}
    until = 0
    for at, row in enumerate(rows):
        if at and at > until:
            yield at
        until = max(until, last.get(row[MSG], 0))


def joined(beginning: Run, until: int, end: Run, since: int) -> tuple[Row, ...]:
    """The first events of one run, and then those of another one from there on, with messages of their own."""
    head, tail = beginning.rows[:until], end.rows[since:]
    later = max(head[-1][T_US] - end.rows[since - 1][T_US], 0)
    number = 1_000 + max(row[MSG] for row in head)
    moved = ((row[T_US] + later, *row[KIND:MSG], row[MSG] and row[MSG] + number, row[DATA]) for row in tail)
    return (*head, *moved)  # type: ignore[arg-type]


@pytest.mark.parametrize("adapter", SYSTEMS, ids=lambda adapter: adapter.name)
def test_what_comes_after_equal_memories_is_judged_alike(adapter: Adapter) -> None:
    """The beginning of any run with one fault, and the end of any other one, from a moment on at which the memories are
    the same, are judged as that other run is."""
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    moments: dict[str, list[tuple[Case, int]]] = {}
    with quiet():
        for case in Enumerator(setup, 1, reductions=()).cases():
            told = case.run.history(setup, case.plan)
            for at in quiet_moments(case.run.rows) if case.plan.faults else ():
                moments.setdefault(repr(memories(told, told.rows[:at])), []).append((case, at))
    compared = 0
    for alike in moments.values():
        (first, until), others = alike[0], {case.run.rows[:at]: (case, at) for case, at in alike[1:]}
        for other, since in [*others.values()][:2]:
            told = other.run.history(setup, other.plan)
            rows = joined(first.run, until, other.run, since)
            assert findings(replace(told, rows=rows)) == findings(told), f"{first.plan}, {until}; {other.plan}, {since}"
            compared += 1
    assert compared > 50


def test_each_invariant_says_what_it_remembers_and_every_memory_is_asked_for() -> None:
    said = [name for entry in INVARIANTS.values() for name in entry.remembers or ()]
    assert {entry.id for entry in INVARIANTS.values() if entry.remembers is None} == {
        entry.id for entry in INVARIANTS.values() if entry.nature == "meta"
    }
    assert {*said, "shown"} == MEMORIES.keys()


def test_where_an_invariant_does_not_say_what_it_remembers_all_of_the_past_counts() -> None:
    silent = Invariant(
        id="S1", name="silent", holds_when="", cause="", repair="", nature="safety", check=lambda facts: (True, ())
    )
    loaded = load("reference")
    setup = Setup(adapter=loaded, scenario=loaded.scenarios[0])
    assert setup.asked.followed
    assert not replace(setup, adapter=replace(loaded, invariants=(silent,))).asked.followed


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
