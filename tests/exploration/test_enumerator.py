"""The enumerator visits every plan once, and only plans whose faults fire."""

from __future__ import annotations

import itertools

import pytest

from sagafuzz import Plan
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge, outcome_of
from sagafuzz.exploration.reductions import ALL, Reduction
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate


def setup_of(adapter: str, scenario: str) -> Setup:
    loaded = load(adapter)
    return Setup(adapter=loaded, scenario=loaded.scenario(scenario))


def test_no_set_of_faults_is_visited_twice() -> None:
    cases = list(Enumerator(setup_of("seed", "declined"), 2).cases())
    plans = [frozenset(case.plan.faults) for case in cases]
    assert len(plans) == len(set(plans)) > 500


def test_every_planned_fault_fires() -> None:
    for adapter, faults in (("seed", 2), ("reference", 1)):
        for case in Enumerator(setup_of(adapter, "declined"), faults).cases():
            assert case.fired, f"{adapter}: {case.plan}"


def test_nothing_is_left_out() -> None:
    """Against the plain product: any two faults that fire together in some order were visited."""
    setup = setup_of("seed", "succeeds")
    cases = list(Enumerator(setup, 2, reductions=()).cases())
    visited = {frozenset(case.plan.faults) for case in cases}
    singles = [case.plan.faults[0] for case in cases if len(case.plan) == 1]
    for one, other in itertools.permutations(singles, 2):
        if one.site == other.site:
            continue
        plan = Plan(faults=(one, other))
        if len(simulate(setup, plan).fired) == 2:
            assert frozenset(plan.faults) in visited, str(plan)


def test_plans_come_with_fewer_faults_first_in_the_order_of_their_sites() -> None:
    setup = setup_of("seed", "succeeds")
    cases = list(Enumerator(setup, 2).cases())
    assert [len(case.plan) for case in cases] == sorted(len(case.plan) for case in cases)
    order = list(simulate(setup).sites)
    singles = [order.index(case.plan.faults[0].site) for case in cases if len(case.plan) == 1]
    assert singles == sorted(singles)


def test_the_reference_is_consistent_over_every_plan_with_one_fault() -> None:
    adapter = load("reference")
    for scenario in adapter.scenarios:
        setup = Setup(adapter=adapter, scenario=scenario)
        judge = Judge(setup)
        for case in Enumerator(setup, 1).cases():
            verdict, _ = judge.judge(case.plan, case.run, case.digest)
            assert verdict.conclusion == "consistent", f"{scenario.name}, {case.plan}: {verdict}"


def counts(scenario: str, faults: int) -> tuple[int, int]:
    """The plans of the unreduced search of the reference, and the distinct histories among their runs."""
    digests = [case.digest for case in Enumerator(setup_of("reference", scenario), faults, reductions=()).cases()]
    return len(digests), len(set(digests))


def test_plans_and_histories_of_the_reference_with_one_fault_are_pinned() -> None:
    """A change of these numbers is a change of what is searched: look at it, then write the new ones."""
    assert {scenario.name: counts(scenario.name, 1) for scenario in load("reference").scenarios} == {
        "succeeds": (94, 94),
        "declined": (148, 147),
        "two-on-one-item": (197, 193),
        "one-after-the-other": (100, 97),
        "over-the-limit": (148, 148),
    }


def test_no_fault_is_planned_for_a_saga_that_is_to_be_undisturbed() -> None:
    setup = setup_of("reference", "one-after-the-other")
    kinds = {"lost-ack", "crash-after-effect", "stale-read"}
    struck = {fault.site.saga for case in Enumerator(setup, 2, kinds).cases() for fault in case.plan.faults}
    assert struck == {"saga-2", ""}, "and the starts of processes, which are no saga's"


THREE = ("crash-after-send", "crash-after-ack", "crash-before-log", "lost-write", "timeout", "reject", "undo-fails")


def three_faults(reductions: tuple[Reduction, ...]) -> tuple[int, int, set[str]]:
    """Of up to three faults of some kinds on the reference: plans, distinct histories, distinct outcomes."""
    setup = setup_of("reference", "succeeds")
    cases = list(Enumerator(setup, 3, (*THREE, "duplicate"), reductions=reductions).cases())
    whole = [case for case in cases if not case.known]
    return len(cases), len({case.digest for case in whole}), {outcome_of(case.run, setup) for case in whole}


@pytest.mark.slow
def test_plans_histories_and_outcomes_with_three_faults_are_pinned_with_and_without_reductions() -> None:
    outcomes = {"completed", "compensated", "stuck", "no answer"}
    assert three_faults(()) == (4060, 4060, outcomes)
    assert three_faults(ALL) == (1171, 922, outcomes)  # looks that find little are given up


@pytest.mark.slow
def test_plans_and_histories_of_the_reference_with_two_faults_are_pinned() -> None:
    assert counts("succeeds", 2) == (6256, 6191)


@pytest.mark.parametrize("adapter", ["seed", "simple-saga"])
@pytest.mark.parametrize("invariant", ["I1", "I5", "I13"])
def test_one_fault_is_enough_to_find_out_a_naive_orchestrator(adapter: str, invariant: str) -> None:
    setup = setup_of(adapter, "succeeds")
    judge = Judge(setup)
    found = {
        violation.invariant
        for case in Enumerator(setup, 1).cases()
        for violation in judge.judge(case.plan, case.run, case.digest)[0].violations
    }
    assert invariant in found
