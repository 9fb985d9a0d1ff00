"""The reference on each of its stores, and the choreography, under every plan with two faults."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import UsageError
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.verdict import Report

from .stores import POSTGRES, REDIS, address

SERVERS = {"reference-postgres": ("SAGAFUZZ_POSTGRES", POSTGRES), "reference-redis": ("SAGAFUZZ_REDIS", REDIS)}

STORE_KINDS = (
    "crash-before-log",
    "crash-after-log",
    "store-error-before-commit",
    "store-error-after-commit",
    "second-orchestrator",
    "pause",
    "cancel",
    "lost-ack",
)
"""What a store takes part in: its own faults, two owners of one saga, and unknown outcomes."""


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, tested in SERVERS.values():
        monkeypatch.setenv(variable, address(tested))


def search(name: str, faults: int, *scenarios: str, **options: Any) -> Report:
    adapter = load(name)
    chosen = tuple(map(adapter.scenario, scenarios))
    with quiet():
        return Campaign(adapter, Settings(max_faults=faults, examples=0, scenarios=chosen, **options)).run()


def assert_consistent(report: Report, plans: int) -> None:
    """And that it is no small thing: so many plans at least, all of which fired."""
    assert report.verdict == "consistent", [finding.violation.sentence for finding in report.findings]
    assert report.counts.fired == report.counts.run >= plans


@pytest.mark.usefixtures("servers")
def test_consistent_on_real_servers_under_one_fault_and_by_the_histories_of_the_simulated_store() -> None:
    digests = set()
    for name in ("reference", *SERVERS):
        report = search(name, 1, "two-on-one-item", kinds=STORE_KINDS, reductions=())
        assert_consistent(report, plans=50)
        digests.add(report.digest)
    assert len(digests) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize("name", SERVERS)
def test_consistent_on_a_real_server_under_two_faults_of_the_store(name: str) -> None:
    report = search(name, 2, "two-on-one-item", kinds=STORE_KINDS)
    assert_consistent(report, plans=1_000)


@pytest.mark.slow
def test_consistent_under_two_faults_with_sagas_in_parallel_and_two_owners() -> None:
    report = search("reference-sqlite", 2, "two-on-one-item")
    assert_consistent(report, plans=13_000)
    assert sum(cell.fired for cell in report.coverage if cell.kind == "second-orchestrator") > 500


@pytest.mark.slow
def test_the_choreography_is_consistent_under_two_faults_also_of_its_events() -> None:
    """The scenario that is refused half way; to add one with two sagas would take twice as long."""
    report = search("choreography", 2, "no-carrier")
    assert_consistent(report, plans=27_000)
    struck = {cell.site.subject for cell in report.covered.sites if cell.fired}
    assert {"checkout.requested", "payment.declined", "parcel.refused", "order.cancelled"} <= struck


@pytest.mark.parametrize("name", SERVERS)
def test_without_an_address_it_says_which_variable_to_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, _ = SERVERS[name]
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=f"{variable} names no server; write for example {variable}="):
        search(name, 0)


@pytest.mark.parametrize(
    ("name", "address"), [("reference-postgres", "host=127.0.0.1 port=1"), ("reference-redis", "redis://127.0.0.1:1")]
)
def test_a_server_that_is_not_there_is_named(name: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable, _ = SERVERS[name]
    monkeypatch.setenv(variable, address)
    with pytest.raises(UsageError, match=f"{variable}='{address}'"):
        search(name, 0)
