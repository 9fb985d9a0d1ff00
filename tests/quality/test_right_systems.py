"""Correct systems in many styles are told right, each for the reason that it states."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from sagafuzz import Fault, Plan, Site
from sagafuzz.history import CLIENT_ACK, TERMINAL
from sagafuzz.invariants import check
from sagafuzz.invariants.facts import PENDING
from sagafuzz.simulator import Setup, simulate

from .judging import assert_not_blamed
from .right_systems import RIGHT


def test_there_are_a_dozen_and_more_each_with_its_reason() -> None:
    assert len(RIGHT) >= 12
    for name, adapter in RIGHT.items():
        assert len((inspect.getdoc(adapter.factory) or "").split("\n\n")) == 2, f"{name} does not say why it is right"


@pytest.mark.parametrize("name", RIGHT)
def test_it_comes_to_its_end_when_nothing_fails(name: str) -> None:
    for scenario in RIGHT[name].scenarios:
        setup = Setup(adapter=RIGHT[name], scenario=scenario)
        rows = simulate(setup).rows
        told = {row[3] for row in rows if row[1] in (CLIENT_ACK, TERMINAL) and row[9][0] != PENDING}
        assert told == set(setup.orders)


@pytest.mark.parametrize("name", RIGHT)
def test_one_fault_makes_it_no_wrong_one_alone_or_while_another_order_is_under_way(name: str) -> None:
    """There is another order in its last scenario, which has the most to undo."""
    *alone, last = RIGHT[name].scenarios
    assert_not_blamed(replace(RIGHT[name], scenarios=(*alone, replace(last, sagas=2))), 1, more_than=75)


def test_to_poll_while_two_undos_fail_is_no_livelock_since_an_operator_comes() -> None:
    setup = Setup(adapter=RIGHT["Outbox"], scenario=RIGHT["Outbox"].scenario("declined"))
    sites = [Site("saga-1", step, "C", "effect", 1) for step in ("inventory", "order")]
    plan = Plan(faults=tuple(Fault(kind="undo-fails", site=site) for site in sites))
    rows = simulate(setup, plan).rows
    assert rows[-1][9] == ("quiescent",)
    assert check(simulate(setup, plan).history(setup, plan)).violations == ()


def test_a_request_that_is_lost_twice_is_no_round() -> None:
    """After the second loss a relay stands where it stood after the first: it goes on all the same."""
    setup = Setup(adapter=RIGHT["Outbox"], scenario=RIGHT["Outbox"].scenario("succeeds"))
    kinds = enumerate(("timeout", "lost-request"), start=1)
    plan = Plan(faults=tuple(Fault(kind=kind, site=Site("saga-1", "payment", "F", "send", nth)) for nth, kind in kinds))
    run = simulate(setup, plan)
    assert (len(run.fired), run.rows[-1][9]) == (2, ("quiescent",))


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGHT)
def test_two_faults_make_it_no_wrong_one(name: str) -> None:
    assert_not_blamed(RIGHT[name], 2, more_than=500)
