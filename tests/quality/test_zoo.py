"""The bugs of the field are found, each by its smallest schedule, and nothing correct is flagged."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from sagafuzz import Adapter
from sagafuzz.adapters.zoo import ZOO
from sagafuzz.exploration.detecting import find_out
from sagafuzz.exploration.judge import Judge
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.random_plans import random_plans
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .judging import assert_not_blamed

PAGE = Path(__file__).resolve().parents[2] / "docs" / "detection-table.md"

TWINS = {
    next(other.name for other in ZOO.values() if other.twin is mutant.twin): mutant.twin for mutant in ZOO.values()
}
"""Each correct system once, by the first mutant that differs from it."""

RARE = [name for name, mutant in ZOO.items() if mutant.faults > 1]
"""Those that no plan with one fault shows."""

BUDGET = 3_000
"""Random plans in which a rare one has to be found."""


@pytest.mark.parametrize("name", ZOO)
def test_it_is_found_by_its_smallest_schedule(name: str) -> None:
    mutant = ZOO[name]
    with quiet():
        search = find_out(mutant.adapter, mutant.invariants, mutant.faults)
    assert search.shrunk is not None, f"{search.schedules} schedules show none of {mutant.invariants}"
    assert search.shrunk.violation.invariant in mutant.invariants
    assert str(search.shrunk.plan) == mutant.schedule
    assert len(search.shrunk.plan) == mutant.faults


@pytest.mark.parametrize("name", [name for name, mutant in ZOO.items() if mutant.faults])
def test_fewer_faults_do_not_show_it(name: str) -> None:
    mutant = ZOO[name]
    with quiet():
        assert find_out(mutant.adapter, mutant.invariants, mutant.faults - 1).shrunk is None


@pytest.mark.parametrize("beside", TWINS)
def test_its_correct_twin_is_left_alone(beside: str) -> None:
    assert_not_blamed(TWINS[beside], 1, more_than=30)


@pytest.mark.slow
@pytest.mark.parametrize("beside", TWINS)
def test_two_faults_do_not_make_a_twin_look_guilty(beside: str) -> None:
    assert_not_blamed(TWINS[beside], 2)


@pytest.mark.slow
@pytest.mark.parametrize("name", RARE)
def test_random_plans_find_a_rare_one_in_nineteen_of_twenty_seeds(name: str) -> None:
    found = sum(_found_at_random(ZOO[name].adapter, ZOO[name].invariants, seed) for seed in range(20))
    assert found >= 19


def _found_at_random(adapter: Adapter, invariants: tuple[str, ...], seed: int) -> bool:
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    judge = Judge(setup)
    for case in itertools.islice(random_plans(setup, BUDGET, seed, 3), BUDGET):
        verdict, _ = judge.judge(case.plan, case.run, case.digest)
        if any(found.invariant in invariants for found in verdict.violations):
            return True
    return False


def test_there_are_ten_that_came_when_the_invariants_stood() -> None:
    assert sum(mutant.late for mutant in ZOO.values()) == 10
    assert len(ZOO) >= 50


def test_the_page_names_each_with_its_schedule() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for name, mutant in ZOO.items():
        (line,) = [line for line in lines if line.startswith(f"| {name} ")]
        assert mutant.schedule in line.replace("\\", "")


def test_a_mutant_is_an_adapter() -> None:
    adapter = load("zoo:unstable-key")
    assert (adapter.name, adapter.spec) == ("unstable-key", "zoo:unstable-key")
