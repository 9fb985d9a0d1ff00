"""Every word means the same on real processes: what is wrong about it in the simulator is so there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import FAULT_KINDS, Plan
from sagafuzz.invariants import check
from sagafuzz.live.manifest import hosted
from sagafuzz.simulator import Setup

from ..quality.every_word import WORDS
from .conftest import run_plans

TRIES = 5


@pytest.mark.parametrize("word", [name for name, word in WORDS.items() if word.live])
def test_a_finding_of_the_simulator_is_one_of_real_processes(word: str) -> None:
    told = WORDS[word]
    wrong = told.wrong
    with quiet():
        report = Campaign(wrong, Settings(max_faults=told.faults, examples=0)).run()
    live = replace(hosted(wrong, f"live:{told.spec}"), envelope=told.envelope)
    plans = [
        (found, found.plan)
        for found in report.findings
        if found.plan is not None and all(FAULT_KINDS[fault.kind].live for fault in found.plan.faults)
    ]
    assert plans, [str(found.plan) for found in report.findings]
    found, plan = plans[0]
    setup = Setup(adapter=live, scenario=found.scenario)
    assert any(_shows(setup, plan, found.violation.invariant) for _ in range(TRIES))


def _shows(setup: Setup, plan: Plan, invariant: str) -> bool:
    """True if this run of the plan breaks the invariant; which of two threads comes first is not ours to say."""
    (ran,) = run_plans(setup, Plan(faults=plan.faults))
    assert not ran.blocked, ran.blocked
    verdict = check(ran.run.history(setup, plan), catalogue=setup.catalogue)
    return invariant in {violation.invariant for violation in (*verdict.violations, *verdict.explained)}
