"""Each invariant is needed: there is a system that only it finds out, or its docstring says which other one does."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from sagafuzz.exploration.statistics import ScenarioStatistics, Statistics
from sagafuzz.invariants import INVARIANTS, blocking, check
from sagafuzz.simulator import Setup, simulate
from sagafuzz.verdict import CONSISTENT, GAVE_UP, HOLDS, Verdict

from .lone_systems import FIGURES, LONE

NEVER_ALONE = {"I17", "I42"}
"""What the participants that come with sagafuzz cannot show without another invariant, and what only a live system
can show: tests/live/test_durable_execution.py has one that is found by it alone."""


OTHER = re.compile(r"\b[IC]\d+\b")
"""The id of an invariant in a docstring, which says that this one sees the same."""


def verdict_on(id: str) -> Verdict:
    lone = LONE[id]
    setup = Setup(adapter=lone.adapter, scenario=lone.adapter.scenarios[0])
    run = simulate(setup, lone.plan)
    assert len(run.fired) == len(lone.plan), f"{lone.plan} did not strike"
    verdict = check(run.history(setup, lone.plan))
    assert not verdict.gave_up
    return verdict


@pytest.mark.parametrize("id", INVARIANTS)
def test_it_has_a_system_or_a_note(id: str) -> None:
    if INVARIANTS[id].nature == "meta":
        assert id in FIGURES
        return
    alone = id in LONE and LONE[id].alone
    assert alone or OTHER.search(str(INVARIANTS[id].check.__doc__)), f"{id}: no system that only it finds, and no note"


def test_nothing_else_is_listed() -> None:
    assert {*LONE, *NEVER_ALONE, *FIGURES} == set(INVARIANTS)


@pytest.mark.parametrize("id", LONE)
def test_it_is_what_is_reported(id: str) -> None:
    verdict = verdict_on(id)
    assert {violation.invariant for violation in verdict.violations} == {id}, verdict.violations
    if LONE[id].alone:
        assert {violation.invariant for violation in verdict.explained} <= {id}


@pytest.mark.parametrize("id", [*(id for id, lone in LONE.items() if not lone.alone), *sorted(NEVER_ALONE)])
def test_where_others_see_it_too_its_docstring_says_which(id: str) -> None:
    named = set(OTHER.findall(str(INVARIANTS[id].check.__doc__))) - {id}
    assert named and named <= set(INVARIANTS)


def test_a_lock_across_the_network_shows_in_the_figures_of_blocking_only() -> None:
    lone = FIGURES["I26"]
    setup = Setup(adapter=lone.adapter, scenario=lone.adapter.scenarios[0])
    history = simulate(setup, lone.plan).history(setup, lone.plan)
    verdict = check(history)
    assert verdict.violations == verdict.explained == ()
    (hold,) = blocking(history)
    assert (hold.entity, hold.released, hold.waits) == ("row", True, 4)
    assert hold.in_doubt_us >= 100_000, "nobody could decide while the orchestrator was down"


def test_a_fault_that_never_struck_shows_in_the_count_of_those_that_did_only() -> None:
    """A saga that takes nothing is not struck by what is planned for its steps, and everything else is content."""
    lone = FIGURES["I27"]
    setup = Setup(adapter=lone.adapter, scenario=lone.adapter.scenarios[0])
    run = simulate(setup, lone.plan)
    assert check(run.history(setup, lone.plan)).conclusion == CONSISTENT
    statistics = Statistics()
    statistics.scenarios.append(ScenarioStatistics(setup, run=1, fired=len(run.fired)))
    results = {result.id: result.status for result in statistics.invariants(Counter())}
    assert results["I27"] == GAVE_UP and HOLDS not in results.values()


@pytest.mark.parametrize("id", LONE)
def test_without_the_faults_only_what_is_always_wrong_is_found(id: str) -> None:
    lone = LONE[id]
    if not lone.plan.faults:
        return
    setup = Setup(adapter=lone.adapter, scenario=lone.adapter.scenarios[0])
    assert check(simulate(setup).history(setup, type(lone.plan)())).violations == ()
