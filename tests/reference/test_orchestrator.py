"""The reference keeps its promises under every plan with one fault, whatever of it is used."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sagafuzz import Adapter, Fault, Plan, Site
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.reference_saga import Definition, RetryPolicy
from sagafuzz.reference_saga.owner import Owner
from sagafuzz.simulator import Setup, simulate
from sagafuzz.verdict import Report

from .sagas import CHECKOUT_DEFINITION, HASTY, NEXT, TRIP, TRIP_SCENARIOS, asynchronous, sync


def search(adapter: Adapter, faults: int = 1) -> Report:
    with quiet():
        return Campaign(adapter, Settings(max_faults=faults, examples=0)).run()


def exercised(report: Report) -> set[str]:
    return {result.id for result in report.invariants if result.checked}


def assert_consistent(report: Report) -> None:
    assert report.verdict == "consistent", [
        (finding.violation.sentence, finding.plan and finding.plan.faults) for finding in report.findings
    ]


@pytest.mark.parametrize(
    "adapter",
    [
        pytest.param(sync(Definition(TRIP), scenarios=TRIP_SCENARIOS), id="branches and pivot, sync"),
        pytest.param(asynchronous(Definition(TRIP), TRIP_SCENARIOS), id="branches and pivot, asyncio"),
        pytest.param(asynchronous(CHECKOUT_DEFINITION), id="asyncio"),
        pytest.param(sync(CHECKOUT_DEFINITION, lease_s=5.0), id="lease shorter than a pause"),
        pytest.param(sync(CHECKOUT_DEFINITION, lease_s=15.0), id="lease longer than a pause"),
        pytest.param(sync(HASTY, deadline_ms=8_000), id="deadline"),
    ],
)
def test_consistent_under_every_fault(adapter: Adapter) -> None:
    assert_consistent(search(adapter))


def test_a_saga_ends_under_the_version_that_it_began_with() -> None:
    both = sync(NEXT, CHECKOUT_DEFINITION).factory
    adapter = sync(
        CHECKOUT_DEFINITION,
        upgrade=both,
        definitions={"checkout/1": CHECKOUT_DEFINITION.saga, "checkout/2": NEXT.saga},
    )
    report = search(adapter)
    assert_consistent(report)
    assert "I24" in exercised(report)


def test_a_version_that_is_not_known_is_refused_aloud() -> None:
    adapter = sync(
        CHECKOUT_DEFINITION,
        upgrade=sync(NEXT).factory,
        definitions={"checkout/1": CHECKOUT_DEFINITION.saga, "checkout/2": NEXT.saga},
    )
    report = search(adapter)
    assert "I24" in exercised(report) and "I24" not in report.distinct_invariants


def test_parallel_branches_are_asked_at_once_under_asyncio_and_their_undos_too() -> None:
    adapter = asynchronous(Definition(TRIP), TRIP_SCENARIOS)
    run = simulate(Setup(adapter=adapter, scenario=adapter.scenario("declined")))
    sent = {(row[4], row[5]): row[0] for row in run.rows if row[1] == "SEND"}
    assert sent["flight", "F"] == sent["hotel", "F"] > sent["order", "F"]
    assert sent["flight", "C"] == sent["hotel", "C"] < sent["order", "C"]


def test_a_saga_of_three_steps_takes_four_durable_writes() -> None:
    adapter = sync(CHECKOUT_DEFINITION)
    run = simulate(Setup(adapter=adapter, scenario=adapter.scenario("succeeds")))
    assert len([site for site in run.sites if site[3] == "log"]) == 4


SLOW_RETRIES = replace(CHECKOUT_DEFINITION, forward=RetryPolicy(first_backoff_s=30.0))


def owners(lease_s: float) -> int:
    """How many processes own a saga in turn whose payment fails once, so that its owner waits for thirty
    seconds, while a second one looks on from the start."""
    adapter = sync(SLOW_RETRIES, lease_s=lease_s)
    plan = Plan(
        faults=(
            Fault(kind="second-orchestrator", site=Site("saga-1", "create + intent order", "", "logged", 1)),
            Fault(kind="error-before-effect", site=Site("saga-1", "payment", "F", "effect", 1)),
        )
    )
    run = simulate(Setup(adapter=adapter, scenario=adapter.scenario("succeeds")), plan)
    assert len(run.fired) == 2
    assert [row[9][0] for row in run.rows if row[1] == "TERMINAL"] == ["completed"]
    return sum(row[1] == "ADOPT" for row in run.rows)


def test_an_owner_that_waits_renews_its_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    assert owners(lease_s=5.0) == 1
    monkeypatch.setattr(Owner, "_renewals", lambda *_: [])
    assert owners(lease_s=5.0) == 2, "without renewals it is thought to be dead"
    assert owners(lease_s=40.0) == 1, "the lease outlasts the wait"
