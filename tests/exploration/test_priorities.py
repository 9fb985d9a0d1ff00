"""Schedules of priorities: three sagas and more go in any order, and what an order shows is made small."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest

import sagafuzz
from sagafuzz import Plan, Request, Saga, Scenario, Site, Step, Transaction, UsageError
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.random_plans import CHANGES, random_plans, schedule
from sagafuzz.exploration.replay import from_text, replay, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate

REFERENCE = load("reference")
THREE = Setup(adapter=REFERENCE, scenario=Scenario(name="three", sagas=3))
SAGAS = ("saga-1", "saga-2", "saga-3")


def first(saga: str) -> Site:
    return Site(saga, "order", "F", "send", 1)


def handled(plan: Plan, step: str, setup: Setup = THREE) -> tuple[str, ...]:
    """The sagas in the order in which that step of theirs took effect."""
    rows = simulate(setup, plan).rows
    return tuple(row[3] for row in rows if row[1] == "APPLY" and (row[4], row[5]) == (step, "F"))


@pytest.mark.parametrize("order", list(permutations(SAGAS)))
def test_three_sagas_go_in_any_order(order: tuple[str, ...]) -> None:
    plan = Plan(yields=tuple(map(first, order[1:])))
    for step in ("order", "inventory", "payment"):
        assert handled(plan, step) == order


def test_a_saga_falls_behind_in_the_middle() -> None:
    plan = Plan(yields=(Site("saga-1", "payment", "F", "send", 1),))
    assert handled(plan, "inventory") == SAGAS
    assert handled(plan, "payment") == ("saga-2", "saga-3", "saga-1")


def test_who_waits_for_nobody_is_not_kept_waiting() -> None:
    alone = Setup(adapter=REFERENCE, scenario=REFERENCE.scenario("succeeds"))
    assert simulate(alone, Plan(yields=(first("saga-1"),))).rows == simulate(alone).rows


def test_nobody_loses_patience_by_waiting_its_turn() -> None:
    for case in random_plans(THREE, 30, 0, 0, priorities=True):
        assert not [row for row in case.run.rows if row[1] == "TIMEOUT"], str(case.plan)


def test_priorities_are_drawn_in_any_order_with_few_changes() -> None:
    plain = simulate(THREE)
    drawn = [schedule(plain, random.Random(number)) for number in range(200)]
    starts = {tuple(site.saga for site in sites[:2]) for sites in drawn}
    assert starts == set(permutations(SAGAS, 2))
    assert {len(sites) for sites in drawn} == {2 + changes for changes in range(CHANGES + 1)}
    assert all(len(set(sites)) == len(sites) for sites in drawn)


def test_one_seed_gives_one_sequence_and_two_sagas_need_none() -> None:
    plans = [case.plan for case in random_plans(THREE, 20, 7, 2, priorities=True)]
    assert [case.plan for case in random_plans(THREE, 20, 7, 2, priorities=True)] == plans
    assert all(plan.yields for plan in plans)
    two = Setup(adapter=REFERENCE, scenario=Scenario(sagas=2))
    assert not any(case.plan.yields for case in random_plans(two, 20, 7, 2, priorities=True))


def test_a_saga_gives_way_as_a_request_is_sent_and_nowhere_else() -> None:
    with pytest.raises(UsageError, match="name a request as it is sent"):
        Plan(yields=(Site("saga-1", "order", "F", "ack", 1),))


# -- what an order shows ---------------------------------------------------------------------------

PLAIN = Saga("plain", [Step("order", "order.create", undo="order.cancel")])


class Fickle:
    """Says yes to the second order where the third came before the first, and forgets it."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        came = list(tx.state.get("came", []))
        if request.direction == "C" or request.saga in came:
            return {}
        came.append(request.saga)
        if came == ["saga-3", "saga-1", "saga-2"]:
            return {}
        tx.state["came"] = came
        return {}


@sagafuzz.adapter(saga=PLAIN, scenarios=[Scenario(name="three", sagas=3)], participants={"order": Fickle})
class Careless:
    def boot(self, world: Any) -> None:
        self.world = world

    def run(self, order: sagafuzz.Order) -> bool:
        self.world.call("order.create", key=order.id)
        return True


def test_what_only_one_order_shows_is_found_shrunk_and_done_again() -> None:
    adapter = Careless.__sagafuzz_adapter__  # type: ignore[attr-defined]
    report = Campaign(adapter, Settings(max_faults=0, examples=0, random_plans=40)).run()
    (finding,) = report.findings
    assert finding.violation.invariant == "I23"
    assert finding.plan == Plan(yields=(first("saga-1"), first("saga-2"))), str(finding.plan)
    assert finding.necessary
    assert finding.explanation is not None
    assert [removed.what for removed in finding.explanation.removed] == [
        "saga-1 goes last from order forward on",
        "saga-2 goes last from order forward on",
    ]
    recorded = from_text(to_text(finding, "careless"), "F")
    assert recorded.plan == finding.plan
    assert replay(recorded, adapter).result == "STILL FAILS"


def test_the_reference_stands_three_sagas_in_any_order_with_faults() -> None:
    last_piece = Scenario(name="last piece", sagas=3, stock=1)
    report = Campaign(REFERENCE, Settings(max_faults=0, examples=0, random_plans=60, scenarios=(last_piece,))).run()
    assert (report.verdict, report.random_plans.violated) == ("consistent", 0)
