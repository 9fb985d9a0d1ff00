"""Real engines: what each keeps of a checkout that is written as its documentation recommends, and of a hardened one.

Each row is a verdict that was looked into: what is violated there is a weakness of the saga on that engine, and none of
the harness. An engine that is not installed is skipped. Those that SAGAFUZZ_TEST_ENGINES names, or all, are required,
and run under every plan."""

from __future__ import annotations

import os
import shutil
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import sagafuzz.adapters
from sagafuzz.errors import UsageError
from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.invariants import check
from sagafuzz.live.manifest import manifest_of
from sagafuzz.loading import load
from sagafuzz.ports import Adapter
from sagafuzz.simulator import Setup

from .conftest import NOTHING, fault, run_plans

ADAPTERS = Path(sagafuzz.adapters.__path__[0])
REQUIRED = "SAGAFUZZ_TEST_ENGINES"


def required(name: str) -> bool:
    return not {name, "all"}.isdisjoint(os.environ.get(REQUIRED, "").split())


VIOLATED: dict[str, frozenset[str]] = {
    "absurd": frozenset(),
    "celery": frozenset({"I1", "I3", "I6", "I13"}),  # no keys; what a killed worker had taken is lost
    "celery-hardened": frozenset(),
    "celery-saga": frozenset({"I1", "I3", "I5", "I13"}),  # the same; what may have been applied is not undone
    "dbos": frozenset({"I1", "I2", "I6", "I11"}),  # the same; an undo that keeps failing ends the rollback
    "dbos-hardened": frozenset(),
    "dbos-ts": frozenset({"I1", "I2", "I6", "I11", "I15"}),  # no keys; an undo that keeps failing ends it
    "dbos-ts-hardened": frozenset(),
    "dtm": frozenset(),
    "dtm-server": frozenset(),
    "lra": frozenset({"I4"}),  # an undo that is not answered is asked for again after those before it
    "restate": frozenset(),
    "restate-server": frozenset(),
    "taskflow": frozenset({"I1", "I5", "I6"}),  # no keys; a task that failed is taken for one that did nothing
    "taskflow-hardened": frozenset(),
    "temporal": frozenset(),
    "temporal-server": frozenset(),
}
"""The invariants that some plan with one fault violates, by adapter."""


CRASHES = ("crash-after-effect", "crash-after-send", "crash-after-ack")

PATIENT = ("celery", "celery-saga", "temporal-server")
"""Engines that would take minutes for all crashes: they meet the first alone."""


def workloads(name: str) -> list[str]:
    """Those that its manifest lists."""
    manifest = manifest_of(load(name))
    assert manifest is not None
    listed: list[str] = tomllib.loads(manifest.file.read_text(encoding="utf-8"))["workloads"]
    return listed


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Adapter:
    """The adapter of that name, where all that it needs is there."""
    adapter = load(request.param)
    manifest = manifest_of(adapter)
    assert manifest is not None
    try:
        manifest.check_installed()
    except UsageError as error:
        if required(request.param):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return adapter


every_engine = pytest.mark.parametrize("engine", VIOLATED, indirect=True)
durable = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(name, marks=() if name in ("restate", "temporal") else pytest.mark.slow)
        for name, found in VIOLATED.items()
        if not found
    ],
    indirect=True,
)


@durable
def test_a_worker_that_is_killed_after_an_effect_leaves_a_saga_that_the_engine_completes(engine: Adapter) -> None:
    setup = Setup(adapter=engine, scenario=engine.scenario("succeeds"))
    plans = (NOTHING, fault("crash-after-effect", "inventory", "F", "effect"))
    for live, plan in zip(run_plans(setup, *plans), plans, strict=True):
        assert live.blocked == "" and len(live.run.fired) == len(plan)
        assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == [("completed",)]
        assert check(live.run.history(setup, plan)).violations == ()
        assert live.engine.startswith(engine.name.split("-")[0])


@pytest.mark.parametrize("engine", ["celery"], indirect=True)
def test_a_task_that_is_retried_without_a_key_is_done_twice(engine: Adapter) -> None:
    setup = Setup(adapter=engine, scenario=engine.scenario("succeeds"))
    plan = fault("timeout", "payment", "F", "send")
    (live,) = run_plans(setup, plan)
    assert live.blocked == ""
    assert {found.invariant for found in check(live.run.history(setup, plan)).violations} == {"I1"}


@pytest.mark.parametrize("engine", ["taskflow"], indirect=True)
def test_a_flow_that_had_failed_when_its_worker_was_killed_is_not_called_compensated_by_the_next_one(
    engine: Adapter,
) -> None:
    setup = Setup(adapter=engine, scenario=engine.scenario("declined"))
    plan = fault("crash-in-backoff", "order", "C", "effect")
    (live,) = run_plans(setup, plan)
    assert live.blocked == "" and len(live.run.fired) == len(plan)
    assert [row for row in live.run.rows if row[1] == "CLIENT_ACK" and row[9] == ("compensated",)] == []
    assert check(live.run.history(setup, plan)).violations == ()


WORKLOADS = [f"{name}@{each}" for name in VIOLATED if not VIOLATED[name] for each in workloads(name)]


@pytest.mark.slow
@pytest.mark.parametrize("engine", WORKLOADS, indirect=True)
def test_a_crash_at_the_start_leaves_each_workload_an_end(engine: Adapter) -> None:
    setup = Setup(adapter=engine, scenario=engine.scenario("succeeds"))
    plans = (NOTHING, fault("crash-after-effect", "order", "F", "effect"))
    for live, plan in zip(run_plans(setup, *plans), plans, strict=True):
        assert live.blocked == "" and len(live.run.fired) == len(plan)
        (told,) = [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"]
        assert told == ("completed",) or (plan is not NOTHING and engine.name.endswith("@retries"))
        assert check(live.run.history(setup, plan)).violations == ()


@pytest.mark.slow
@every_engine
def test_a_crash_shows_nothing_but_what_was_looked_into(engine: Adapter) -> None:
    if required(engine.name):
        pytest.skip("it runs under every plan")
    kinds = CRASHES[:1] if engine.name in PATIENT else CRASHES
    settings = Settings(max_faults=1, scenarios=(engine.scenario("succeeds"),), kinds=kinds)
    report = LiveCampaign(engine, settings).run()
    assert report.complete and report.counts.fired == report.counts.run > len(kinds)
    assert frozenset(report.distinct_invariants) <= VIOLATED[engine.name], [
        finding.violation.sentence for finding in report.findings
    ]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["lra"], indirect=True)
def test_a_coordinator_that_is_killed_goes_on_and_undoes_in_the_order_of_joining(
    engine: Adapter, tmp_path: Path
) -> None:
    shared = (ADAPTERS / "lra.toml").read_text(encoding="utf-8")
    own = shared.replace('preset = "lra"', 'preset = "lra"\nshared = false')
    (tmp_path / "lra.toml").write_text(own + 'crash = ["lra"]\nmax_recovery_ms = 10000\n', encoding="utf-8")
    shutil.copy(ADAPTERS / "lra_worker.py", tmp_path)
    killed = load(str(tmp_path / "lra.toml"))
    setup = Setup(adapter=killed, scenario=replace(killed.scenario("succeeds"), strikes=("lra",)))
    plan = fault("crash-after-effect", "payment", "F", "effect")
    (live,) = run_plans(setup, plan)
    assert live.blocked == ""
    assert [row[2] for row in live.run.rows if row[1] == "CRASH"] == ["lra"]
    assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == [("compensated",)]  # it gave up waiting
    assert {found.invariant for found in check(live.run.history(setup, plan)).violations} == {"I4"}


@pytest.mark.slow
@every_engine
def test_every_plan_with_one_fault_runs_to_the_verdict_that_was_looked_into(engine: Adapter) -> None:
    if not required(engine.name):
        pytest.skip(f"{REQUIRED} does not name {engine.name}: it takes minutes")
    scenarios = (engine.scenario("succeeds"), engine.scenario("declined"))
    report = LiveCampaign(engine, Settings(max_faults=1, scenarios=scenarios)).run()
    assert report.complete and report.counts.run > 150
    assert frozenset(report.distinct_invariants) == VIOLATED[engine.name], [
        finding.violation.sentence for finding in report.findings
    ]
