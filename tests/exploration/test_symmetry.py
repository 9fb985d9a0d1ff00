"""Identical sagas are submitted in one order only: the other order shows the same, under other names."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sagafuzz import Adapter, Scenario
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge, outcome_of
from sagafuzz.exploration.quiet import fewer_collections, quiet
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from ..quality.broken_systems import BROKEN, CLASSICS

Found = tuple[set[tuple[str, str, str, str]], set[str]]


def mirrored(scenario: Scenario) -> Scenario:
    """The same orders, the last one submitted first."""
    other = replace(scenario)
    vars(other)["orders"] = scenario.orders[::-1]
    return other


def search(adapter: Adapter, scenario: Scenario, faults: int = 1) -> Found:
    """Every anomaly, and every outcome in the order of submission."""
    setup = Setup(adapter=adapter, scenario=scenario)
    judge, signatures, outcomes = Judge(setup), set(), set()
    with quiet(), fewer_collections():
        for case in Enumerator(setup, faults, reductions=()).cases():
            verdict, _ = judge.judge(case.plan, case.run, case.digest)
            signatures.update(violation.signature for violation in verdict.violations)
            outcomes.add(outcome_of(case.run, setup))
    return signatures, outcomes


def test_a_mirrored_scenario_submits_the_last_order_first() -> None:
    scenario = mirrored(Scenario(sagas=3))
    assert [order.id for order in scenario.orders] == ["saga-3", "saga-2", "saga-1"]


@pytest.mark.parametrize("name", ["seed", "reference"])
@pytest.mark.parametrize("scenario", [Scenario(name="last piece", sagas=2, stock=1), Scenario(name="both", sagas=2)])
def test_the_other_order_shows_the_same(name: str, scenario: Scenario) -> None:
    found = search(load(name), scenario)
    assert found == search(load(name), mirrored(scenario))
    assert len(found[1]) > 1 and bool(found[0]) == (name == "seed")


BY_ID = {"torn-write"}
"""Whose recovery takes sagas up by their ids: who is taken up last shows in the outcomes."""

IDENTICAL = {kind: broken.adapter for kind, broken in BROKEN.items()} | dict(CLASSICS)


@pytest.mark.slow
@pytest.mark.parametrize("name", IDENTICAL)
def test_the_other_order_shows_the_same_of_every_broken_system(name: str) -> None:
    adapter = IDENTICAL[name]
    scenario = replace(adapter.scenarios[0], sagas=2, rejections=(), amounts=(100,))
    (anomalies, outcomes), (others, elsewhere) = search(adapter, scenario), search(adapter, mirrored(scenario))
    assert anomalies == others
    assert (outcomes == elsewhere) == (name not in BY_ID)
