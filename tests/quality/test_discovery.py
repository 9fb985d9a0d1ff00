"""What a campaign finds in each broken system, and exactly how small it makes it.

A change of a line here is a change of what people are shown: look at it, and then write the new one.
"""

from __future__ import annotations

import pytest

from sagafuzz import Adapter
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load

from .broken_systems import BROKEN, CLASSICS

ORDER, INVENTORY, PAYMENT = (f"saga-1: {name} forward" for name in ("order", "inventory", "payment"))

NAIVE = {
    ("I1", "duplicate effect", "payment", "F"): f"duplicate at {PAYMENT}, send",
    ("I1", "duplicate effect", "inventory", "F"): f"duplicate at {INVENTORY}, send",
    ("I1", "duplicate effect", "order", "F"): f"duplicate at {ORDER}, send",
    ("I1", "duplicate effect", "inventory", "C"): f"lost-request at {PAYMENT}, send"
    " + duplicate at saga-1: inventory compensation, send",
    ("I2", "partial", "payment", "F"): f"duplicate at {PAYMENT}, send + reject at {PAYMENT}, effect",
    ("I5", "leaked effect", "payment", "F"): f"timeout at {PAYMENT}, send",
    ("I5", "leaked effect", "inventory", "F"): f"timeout at {INVENTORY}, send",
    ("I5", "leaked effect", "order", "F"): f"timeout at {ORDER}, send",
    ("I11", "undo given up", "inventory", "C"): f"lost-request at {PAYMENT}, send"
    " + lost-request at saga-1: inventory compensation, send",
    ("I11", "undo kept back", "payment", "C"): f"timeout at {PAYMENT}, send"
    " + lost-request at saga-1: inventory compensation, send",
    ("I13", "zombie", "payment", "F"): f"timeout at {PAYMENT}, send"
    " + crash-after-send at saga-1: inventory compensation, send",
    ("I13", "zombie", "inventory", "F"): f"crash-after-send at {INVENTORY}, send",
    ("I13", "zombie", "order", "F"): f"crash-after-send at {ORDER}, send",
}
"""What seed and simple-saga share on one order that goes through."""

ONLY_SEED = {
    ("I11", "undo kept back", "order", "C"): f"lost-request at {PAYMENT}, send"
    " + lost-request at saga-1: inventory compensation, send",
}
ONLY_SIMPLE_SAGA = {
    ("I2", "partial", "order", "F"): f"cancel at {ORDER}, send",
    ("I4", "wrong order", "order", "C"): f"lost-request at {PAYMENT}, send"
    " + timeout at saga-1: inventory compensation, send",
}


def found(adapter: Adapter, scenario: str, faults: int) -> dict[tuple[str, ...], str]:
    """Each violation with the plan that it was shrunk to; each fault of a plan is necessary."""
    settings = Settings(max_faults=faults, examples=0, scenarios=(adapter.scenario(scenario),))
    with quiet():
        report = Campaign(adapter, settings).run()
    assert report.verdict == "violated" and report.complete
    assert all(finding.necessary for finding in report.findings)
    return {finding.violation.signature: str(finding.plan) for finding in report.findings}


@pytest.mark.parametrize(("name", "own"), [("seed", ONLY_SEED), ("simple-saga", ONLY_SIMPLE_SAGA)])
def test_a_naive_system_is_found_out_by_at_most_two_faults(name: str, own: dict[tuple[str, ...], str]) -> None:
    schedules = found(load(name), "succeeds", 2)
    assert {signature: schedules.get(signature) for signature in NAIVE | own} == NAIVE | own


@pytest.mark.parametrize(
    ("kind", "signature", "schedule"),
    [
        (
            "crash-after-effect",
            ("I1", "duplicate effect", "payment", "F"),
            "crash-after-send at saga-1: registry.note query, send #2",
        ),
        ("torn-write", ("C1", "JSONDecodeError escapes", "", ""), "torn-write at saga-1: write 'create'"),
        ("timeout", ("I1", "duplicate effect", "order", "C"), "timeout at saga-1: order compensation, send"),
        (
            "participant-restart",
            ("I1", "duplicate effect", "payment", "F"),
            f"participant-restart at {PAYMENT}, effect",
        ),
        ("key-expiry", ("I1", "duplicate effect", "payment", "F"), f"key-expiry at {PAYMENT}, effect #2"),
        ("pause", ("I15", "two ends", "", ""), f"pause at {PAYMENT}, send"),
        ("overtaken", ("I23", "hollow success", "inventory", "F"), f"overtaken at {INVENTORY}, send"),
        ("cancel", ("I2", "partial", "order", "F"), f"cancel at {ORDER}, send"),
    ],
)
def test_one_fault_is_enough(kind: str, signature: tuple[str, ...], schedule: str) -> None:
    adapter = BROKEN[kind].adapter
    assert found(adapter, adapter.scenarios[0].name, 1)[signature] == schedule


@pytest.mark.parametrize(
    ("name", "signature", "schedule"),
    [
        ("no-key", ("I1", "duplicate effect", "payment", "F"), "second-orchestrator at saga-1: write 'intent payment'"),
        ("in-memory", ("I13", "zombie", "inventory", "F"), f"crash-after-send at {INVENTORY}, send"),
        ("failed-step-omitted", ("I5", "leaked effect", "payment", "F"), f"partition-answers at {PAYMENT}, send"),
    ],
)
def test_what_everybody_writes_first_is_found_out(name: str, signature: tuple[str, ...], schedule: str) -> None:
    assert found(CLASSICS[name], "succeeds", 1)[signature] == schedule


@pytest.mark.slow
def test_a_restart_and_what_comes_with_it_are_both_needed() -> None:
    stale = found(BROKEN["stale-read"].adapter, "succeeds", 2)
    assert stale["I13", "zombie", "", ""] == (
        "crash-after-log at saga-1: write 'create' + stale-read at start 2 of the orchestrator"
    )
