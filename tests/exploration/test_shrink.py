"""Shrinks are exact: the smallest plan, at the earliest sites, in the smallest scenario."""

from __future__ import annotations

import pytest

from sagafuzz import Fault, Plan, Site
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import violates
from sagafuzz.exploration.shrink import shrink
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

SEED = load("seed")
CHARGED_TWICE = ("I1", "duplicate effect", "payment", "F")
PAYMENT_LEAKS = ("I5", "leaked effect", "payment", "F")


def fault(kind: str, subject: str, direction: str, phase: str, saga: str = "saga-1", occurrence: int = 1) -> Fault:
    return Fault(kind=kind, site=Site(saga, subject, direction, phase, occurrence))


DOUBLE_CHARGE = fault("duplicate", "payment", "F", "send")
NOISE = fault("duplicate", "order", "F", "send")


def setup_of(scenario: str) -> Setup:
    return Setup(adapter=SEED, scenario=SEED.scenario(scenario))


def test_a_fault_that_is_not_needed_goes() -> None:
    small = shrink(setup_of("succeeds"), Plan(faults=(NOISE, DOUBLE_CHARGE)), CHARGED_TWICE)
    assert small.plan == Plan(faults=(DOUBLE_CHARGE,))
    assert small.necessary


def test_a_saga_that_is_not_needed_goes() -> None:
    small = shrink(setup_of("two-on-one-item"), Plan(faults=(DOUBLE_CHARGE,)), CHARGED_TWICE)
    assert small.scenario.sagas == 1
    assert small.plan == Plan(faults=(DOUBLE_CHARGE,))


def test_a_fault_moves_to_the_earliest_site_that_shows_the_same() -> None:
    zombie = ("I13", "zombie", "inventory", "F")
    late = fault("crash-before-send", "payment", "F", "send")
    assert violates(setup_of("succeeds"), Plan(faults=(late,)), zombie)
    small = shrink(setup_of("succeeds"), Plan(faults=(late,)), zombie)
    assert small.plan == Plan(faults=(late,)), "before that site nothing of the inventory is in effect"
    early = fault("crash-after-ack", "inventory", "F", "ack")
    assert shrink(setup_of("succeeds"), Plan(faults=(early,)), zombie).plan == Plan(faults=(early,))


@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_every_plan_of_two_faults_shrinks_to_a_one_minimal_one(scenario: str) -> None:
    setup = setup_of(scenario)
    for number, case in enumerate(Enumerator(setup, 2).cases()):
        if len(case.plan) != 2 or number % 40 or violates(setup, case.plan, PAYMENT_LEAKS) is None:
            continue
        small = shrink(setup, case.plan, PAYMENT_LEAKS)
        assert small.necessary
        assert all(violates(setup, small.plan.without(n), PAYMENT_LEAKS) is None for n in range(len(small.plan)))
        assert small.violation.signature == PAYMENT_LEAKS


def test_a_plan_that_does_not_fail_cannot_be_shrunk() -> None:
    with pytest.raises(ValueError, match="does not show"):
        shrink(setup_of("succeeds"), Plan(), CHARGED_TWICE)
