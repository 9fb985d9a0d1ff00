"""A real engine: DBOS Transact, killed at its fault points and recovered by itself."""

from __future__ import annotations

import pytest

pytest.importorskip("dbos", reason="the engine is not installed: pip install 'sagafuzz[dbos]'")

import asyncio
import os

from sagafuzz import Adapter
from sagafuzz.adapters.postgres_server import binaries
from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import AT_LOG, AT_LOGGED, Plan
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.live.world import LiveWorld
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from ..reference.stores import REQUIRED
from .conftest import fault, in_a_world, run_plans

PLANS = (
    Plan(),
    fault("crash-after-send", "payment", "F", "send"),
    fault("lost-ack", "inventory", "C", "ack"),
    fault("crash-after-ack", "order", "F", "ack"),
)


def violated(name: str, **plans: tuple[Plan, ...]) -> list[set[str]]:
    """What is violated by each of these plans, which are given by their scenarios: all in one world."""
    adapter = load(name)
    cases = [
        (Setup(adapter=adapter, scenario=adapter.scenario(scenario)), plan)
        for scenario, some in plans.items()
        for plan in some
    ]

    async def work(world: LiveWorld) -> list[LiveRun]:
        return list(await asyncio.gather(*(world.run(*case) for case in cases)))

    runs = in_a_world(work)
    assert [live.blocked for live in runs] == [""] * len(cases)
    assert all(live.engine.startswith("dbos ") for live in runs)
    return [
        {violation.invariant for violation in check(live.run.history(*case)).violations}
        for live, case in zip(runs, cases, strict=True)
    ]


def test_the_recommended_checkout_is_fine_without_a_fault_and_makes_a_killed_request_twice() -> None:
    assert violated("dbos", succeeds=PLANS[:2]) == [set(), {"I1"}]


def test_the_hardened_checkout_makes_it_once_and_survives_its_own_rollback() -> None:
    assert violated("dbos-hardened", succeeds=PLANS[1:2], declined=PLANS[1:]) == [set()] * 4


@pytest.mark.slow
def test_every_plan_with_one_fault_completes() -> None:
    dbos = load("dbos")
    report = LiveCampaign(dbos, Settings(max_faults=1, scenarios=(dbos.scenario("succeeds"),))).run()
    assert report.complete and report.counts.run > 50
    assert "I1" in report.distinct_invariants


@pytest.mark.slow
def test_the_hardened_checkout_survives_every_plan_with_one_fault() -> None:
    report = LiveCampaign(load("dbos-hardened"), Settings(max_faults=1)).run()
    assert report.complete and report.counts.fired == report.counts.run > 200
    assert report.distinct_invariants == (), [finding.violation.sentence for finding in report.findings]


# -- on PostgreSQL, through the proxy ----------------------------------------------------------

COMMITS = ("crash-before-log", "crash-after-log", "store-error-before-commit", "store-error-after-commit")


@pytest.fixture
def postgres() -> Adapter:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'sagafuzz[postgres]'")
    try:
        binaries()
    except SystemExit as error:
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(str(error))
        pytest.skip(str(error))
    return load("dbos-postgres")


def test_a_kill_or_a_cut_at_a_commit_of_dbos_is_survived(postgres: Adapter) -> None:
    setup = Setup(adapter=postgres, scenario=postgres.scenario("succeeds"))
    recorded = "insert operation_outputs"
    plans = (
        fault("crash-before-log", recorded, "", AT_LOG),
        fault("store-error-after-commit", recorded, "", AT_LOGGED, attempt=2),
        fault("crash-after-log", "insert workflow_status + insert workflow_input", "", AT_LOGGED),
    )
    for live, plan in zip(run_plans(setup, *plans), plans, strict=True):
        assert live.blocked == "" and len(live.run.fired) == 1
        assert check(live.run.history(setup, plan)).violations == ()


@pytest.mark.slow
def test_every_kill_and_cut_at_a_commit_of_dbos_is_survived(postgres: Adapter) -> None:
    settings = Settings(max_faults=1, kinds=COMMITS, scenarios=(postgres.scenario("succeeds"),))
    report = LiveCampaign(postgres, settings).run()
    assert report.complete and report.counts.fired == report.counts.run
    assert 20 < report.counts.run < 60
    assert report.distinct_invariants == ()
