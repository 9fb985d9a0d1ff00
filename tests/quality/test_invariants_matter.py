"""Each invariant is needed: there is a system that only it finds out, or its docstring says which other one does."""

from __future__ import annotations

import pytest

from sagafuzz.invariants import INVARIANTS, check
from sagafuzz.simulator import Setup, simulate
from sagafuzz.verdict import Verdict

from .lone_systems import LONE

META = {id for id, entry in INVARIANTS.items() if entry.nature == "meta"}
NEVER_ALONE = {"I17"}
"""What the participants that come with sagafuzz cannot show without another invariant."""


def verdict_on(id: str) -> Verdict:
    lone = LONE[id]
    setup = Setup(adapter=lone.adapter, scenario=lone.adapter.scenarios[0])
    run = simulate(setup, lone.plan)
    assert len(run.fired) == len(lone.plan), f"{lone.plan} did not strike"
    verdict = check(run.history(setup, lone.plan))
    assert not verdict.gave_up
    return verdict


def test_there_is_one_for_each() -> None:
    assert set(LONE) == set(INVARIANTS) - META - NEVER_ALONE


@pytest.mark.parametrize("id", LONE)
def test_it_is_what_is_reported(id: str) -> None:
    verdict = verdict_on(id)
    assert {violation.invariant for violation in verdict.violations} == {id}, verdict.violations
    if LONE[id].alone:
        assert {violation.invariant for violation in verdict.explained} <= {id}


@pytest.mark.parametrize("id", [*(id for id, lone in LONE.items() if not lone.alone), *sorted(NEVER_ALONE)])
def test_where_others_see_it_too_its_docstring_says_which(id: str) -> None:
    note = str(INVARIANTS[id].check.__doc__)
    assert any(f"{other}" in note for other in INVARIANTS if other != id), note


@pytest.mark.parametrize("id", LONE)
def test_without_the_faults_only_what_is_always_wrong_is_found(id: str) -> None:
    lone = LONE[id]
    if not lone.plan.faults:
        return
    setup = Setup(adapter=lone.adapter, scenario=lone.adapter.scenarios[0])
    assert check(simulate(setup).history(setup, type(lone.plan)())).violations == ()
