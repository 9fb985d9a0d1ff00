"""The table of invariants, and what `check` makes of it."""

from __future__ import annotations

import typing
from collections import Counter
from dataclasses import replace

import pytest

from sagafuzz.exploration.statistics import ScenarioStatistics, Statistics
from sagafuzz.invariants import INVARIANTS, Invariant, check
from sagafuzz.invariants.facts import Facts
from sagafuzz.invariants.registry import Checked, invariant
from sagafuzz.loading import load
from sagafuzz.simulator import Setup
from sagafuzz.verdict import CONSISTENT, GAVE_UP, HOLDS, INCONCLUSIVE, NOT_EXERCISED, VIOLATED

from .examples_effects import COMPLETED, HALF_WAY
from .language import history


@pytest.mark.parametrize("entry", INVARIANTS.values(), ids=INVARIANTS)
def test_an_entry_says_what_it_asks_what_breaks_it_and_what_to_do(entry: Invariant) -> None:
    for text in (entry.name, entry.holds_when, entry.cause, entry.repair):
        assert text.strip() == text != ""
        assert not text.endswith("."), "reports put it in sentences of their own"
    assert entry.check.__doc__
    assert entry.nature in typing.get_args(typing.get_type_hints(Invariant)["nature"])
    assert INVARIANTS[entry.id] is entry


def test_an_id_is_given_once() -> None:
    register = invariant("I1", "again", holds_when="x", cause="x", repair="x")
    with pytest.raises(ValueError, match="I1 is registered twice"):
        register(lambda facts: (True, ()))


def crashes(facts: Facts) -> Checked:
    raise ZeroDivisionError("by zero")


def test_a_checker_that_crashes_leaves_the_verdict_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(history(COMPLETED)).conclusion == CONSISTENT
    monkeypatch.setitem(INVARIANTS, "I1", replace(INVARIANTS["I1"], check=crashes))
    verdict = check(history(COMPLETED))
    assert verdict.gave_up == {"I1": "ZeroDivisionError: by zero"}
    assert verdict.conclusion == INCONCLUSIVE
    assert "I1" not in verdict.exercised
    assert "I23" in verdict.exercised, "the others are judged all the same"


def test_what_another_checker_finds_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INVARIANTS, "I1", replace(INVARIANTS["I1"], check=crashes))
    verdict = check(history(HALF_WAY))
    assert verdict.conclusion == VIOLATED
    assert verdict.gave_up == {"I1": "ZeroDivisionError: by zero"}


def test_only_those_that_are_asked_for_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(INVARIANTS, "I1", replace(INVARIANTS["I1"], check=crashes))
    verdict = check(history(HALF_WAY), only={"I3", "I17"})
    assert [violation.invariant for violation in verdict.violations] == ["I3"]
    assert verdict.exercised == {"I3"}
    assert verdict.gave_up == {}


def test_wrong_orders_are_told_in_the_order_of_the_undos() -> None:
    """Not in that of a set, which differs from one process to the next."""
    undos = ("order.cancel", "inventory.release", "payment.refund")
    calls = ("order.create", "inventory.reserve", "payment.charge", *undos)
    described = history("\n".join(("submit", *(f"call {operation}" for operation in calls), "tell compensated")))
    found = [violation.sentence for violation in check(described, only=("I4",)).violations]
    told = [tuple(undo for undo in undos if undo in sentence) for sentence in found]
    assert told == [undos[:2], (undos[0], undos[2]), undos[1:]]


def test_judging_changes_nothing_and_repeats() -> None:
    described = history(HALF_WAY)
    before = described.digest
    assert check(described) == check(described)
    assert described.digest == before == history(HALF_WAY).digest


# -- I27 is judged over a campaign -------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "fired", "sizes", "status"),
    [
        pytest.param(3, 3, {0: 1, 1: 2}, HOLDS, id="every planned fault struck"),
        pytest.param(3, 2, {0: 1, 1: 2}, GAVE_UP, id="a planned fault did not strike"),
        pytest.param(1, 1, {0: 1}, NOT_EXERCISED, id="no fault was planned"),
        pytest.param(0, 0, {}, NOT_EXERCISED, id="nothing was planned"),
    ],
)
def test_a_campaign_is_not_vacuous_when(run: int, fired: int, sizes: dict[int, int], status: str) -> None:
    statistics, seed = Statistics(), load("seed")
    setup = Setup(adapter=seed, scenario=seed.scenarios[0])
    counted = ScenarioStatistics(setup, run=run, fired=fired, by_faults=Counter(sizes))
    statistics.scenarios.append(counted)
    results = {result.id: result for result in statistics.invariants(type(statistics.checked)())}
    assert results["I27"].status == status
    said = (
        f"{fired} of {run} plans fired in full" if any(sizes[size] for size in sizes if size) else "no plan had a fault"
    )
    assert results["I27"].note == said
    assert results["I1"].status == NOT_EXERCISED, "what was never exercised does not pass"


def test_no_single_history_says_whether_a_campaign_is_vacuous() -> None:
    assert "I27" not in check(history(COMPLETED)).exercised
