"""Participants and rules of one's own are the same in the live world: one class, one rule, the same verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz import Plan
from sagafuzz.faults import AT_EFFECT
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Run, Setup, simulate

from .conftest import fault, run_plans

STOCK = Path(__file__).with_name("own_stock.py")


def seen(setup: Setup, plan: Plan, run: Run) -> tuple[list[str], list[tuple[object, ...]], list[str]]:
    """What is broken, what accounts came to hold, and which rules were exercised."""
    history = run.history(setup, plan)
    verdict = check(history, catalogue=setup.catalogue)
    entries = [event.data for event in history.events if event.kind == "ENTRY"]
    return [found.anomaly for found in verdict.violations], entries, sorted(verdict.exercised & {"R1", "R2"})


@pytest.mark.parametrize(
    ("name", "kind", "broken"),
    [
        ("Sale", "", []),
        ("Sale", "participant-restart", []),
        ("Forgetful", "", []),
        ("Forgetful", "participant-restart", ["hollow success", "told is settled"]),
    ],
)
def test_the_same_is_held_and_broken_in_both_worlds(name: str, kind: str, broken: list[str]) -> None:
    simulated, live = load(f"{STOCK}:{name}"), load(f"live:{STOCK}:{name}")
    plan = fault(kind, "hold", "F", AT_EFFECT) if kind else Plan()
    there = Setup(adapter=simulated, scenario=simulated.scenarios[0])
    expected = seen(there, plan, simulate(there, plan))
    assert expected[0] == broken
    here = Setup(adapter=live, scenario=live.scenarios[0])
    (ran,) = run_plans(here, plan)
    assert not ran.blocked
    assert len(ran.run.fired) == len(plan)
    assert seen(here, plan, ran.run) == expected


@pytest.mark.parametrize("name", ["Trusting", "TrustingTheirs"])
def test_the_harness_lets_a_hold_run_out_in_both_worlds(name: str) -> None:
    simulated, live = load(f"{STOCK}:{name}"), load(f"live:{STOCK}:{name}")
    plan = fault("expiry", "hold", "F", AT_EFFECT)
    there = Setup(adapter=simulated, scenario=simulated.scenarios[0])
    expected = seen(there, plan, simulate(there, plan))
    here = Setup(adapter=live, scenario=live.scenarios[0])
    assert "expiry" in here.kinds
    (ran,) = run_plans(here, plan)
    assert not ran.blocked and len(ran.run.fired) == 1
    assert "EXPIRE" in {row[1] for row in ran.run.rows}
    assert seen(here, plan, ran.run) == expected
    assert expected[1] == ([("held", 1, 1), ("held", -1, 0)] if name == "Trusting" else [])
