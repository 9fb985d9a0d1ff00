"""Sagas that are steps of others, on real processes: the same code, judged the same."""

from __future__ import annotations

from sagafuzz import Plan
from sagafuzz.faults import AT_LOGGED
from sagafuzz.invariants import check
from sagafuzz.live.manifest import hosted
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import fault, run

NOTHING = Plan()


def setup(name: str) -> Setup:
    adapter = hosted(load(f"zoo:{name}"), name)
    return Setup(adapter=adapter, scenario=adapter.scenarios[0])


def violated(setup: Setup, plan: Plan = NOTHING) -> list[tuple[str, str, str]]:
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert len(live.run.fired) == len(plan)
    found = check(live.run.history(setup, plan)).violations
    return [(violation.invariant, violation.saga, violation.step) for violation in found]


def test_a_child_that_is_left_standing_is_seen_and_has_rows_of_its_own() -> None:
    assert violated(setup("child-left-standing")) == [("I5", "saga-1", "ship")]


def test_a_crash_in_the_midst_of_a_child_leads_to_two_shipments_of_the_order_that_begins_them_anew() -> None:
    crash = fault("crash-after-log", "outcome parcel", "", AT_LOGGED, saga="saga-1.ship")
    assert violated(setup("child-started-anew"), crash) == [("I1", "saga-1.ship", "parcel")]
