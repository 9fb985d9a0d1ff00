"""Fault kinds, the sites they strike, and the table that says which can strike where."""

from __future__ import annotations

import dataclasses

import pytest

from sagafuzz import Fault, Plan, Saga, Site, Step, UsageError
from sagafuzz.faults import AT_ACK, AT_EFFECT, AT_LOG, AT_LOGGED, AT_SEND, FAULT_KINDS, feasible_kinds

SAGA = Saga(
    "s",
    [
        Step("pay", "payment.charge", undo="payment.refund"),
        Step("ship", "shipping.ship", retriable=True),
    ],
)


ELEMENTARY = {
    "crash-before-send",
    "crash-after-send",
    "lost-request",
    "timeout",
    "duplicate",
    "delayed-duplicate",
    "reject",
    "error-before-effect",
    "error-after-effect",
    "crash-after-effect",
    "undo-fails",
    "lost-ack",
    "crash-after-ack",
    "crash-before-log",
    "crash-after-log",
}


def call(step: str, direction: str, phase: str) -> Site:
    return Site("saga-1", step, direction, phase, 1)


@pytest.mark.parametrize(
    ("site", "kinds"),
    [
        (
            call("pay", "F", AT_SEND),
            {"crash-before-send", "crash-after-send", "lost-request", "timeout", "duplicate", "delayed-duplicate"},
        ),
        (
            call("pay", "C", AT_SEND),
            {"crash-before-send", "crash-after-send", "lost-request", "timeout", "duplicate", "delayed-duplicate"},
        ),
        (call("pay", "F", AT_EFFECT), {"reject", "error-before-effect", "error-after-effect", "crash-after-effect"}),
        (
            call("pay", "C", AT_EFFECT),
            {"undo-fails", "error-before-effect", "error-after-effect", "crash-after-effect"},
        ),
        (call("ship", "F", AT_EFFECT), {"error-before-effect", "error-after-effect", "crash-after-effect"}),
        (call("pay", "F", AT_ACK), {"lost-ack", "crash-after-ack"}),
        (Site("saga-1", "intent pay", "", AT_LOG, 1), {"crash-before-log"}),
        (Site("saga-1", "intent pay", "", AT_LOGGED, 1), {"crash-after-log"}),
    ],
)
def test_which_of_the_elementary_kinds_can_strike_a_site(site: Site, kinds: set[str]) -> None:
    assert set(feasible_kinds(SAGA, site)) & ELEMENTARY == kinds


def test_a_kind_can_strike_what_its_row_of_the_table_says() -> None:
    for kind in FAULT_KINDS.values():
        assert kind.meaning
        assert kind.directions
        for direction in set(kind.directions) - {""}:
            assert Fault(kind=kind.name, site=call("pay", direction, kind.phase)).kind == kind.name


def test_a_fault_strikes_in_its_own_phase_only() -> None:
    with pytest.raises(UsageError, match=r"'lost-ack' strikes at 'ack', not at 'send'.*name a site of that phase"):
        Fault(kind="lost-ack", site=call("pay", "F", AT_SEND))


@pytest.mark.parametrize(
    ("kind", "site", "reason"),
    [
        ("reject", call("pay", "C", AT_EFFECT), "it strikes forward only"),
        ("undo-fails", call("pay", "F", AT_EFFECT), "it strikes compensation only"),
        ("crash-before-log", call("pay", "F", AT_LOG), "it strikes writes only"),
    ],
)
def test_a_fault_strikes_in_its_own_directions_only(kind: str, site: Site, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Fault(kind=kind, site=site)


def test_an_unknown_kind_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"unknown fault kind 'lost-akc' \(did you mean 'lost-ack'\?\)"):
        Fault(kind="lost-akc", site=call("pay", "F", AT_ACK))


def test_a_plan_strikes_a_site_once() -> None:
    site = call("pay", "F", AT_SEND)
    with pytest.raises(UsageError, match="two faults strike saga-1: pay forward, send; keep one of them"):
        Plan(faults=(Fault(kind="duplicate", site=site), Fault(kind="timeout", site=site)))


def test_a_plan_reads_as_a_sentence_and_can_lose_a_fault() -> None:
    first = Fault(kind="duplicate", site=call("pay", "F", AT_SEND))
    second = Fault(kind="crash-after-log", site=Site("saga-2", "undone pay", "", AT_LOGGED, 3))
    plan = Plan(faults=(first, second))
    assert str(plan) == ("duplicate at saga-1: pay forward, send + crash-after-log at saga-2: write 'undone pay' #3")
    assert (len(plan), plan.without(0), str(Plan())) == (2, Plan(faults=(second,)), "no fault")


@pytest.mark.parametrize(
    ("value", "field"),
    [
        (Plan(), "faults"),
        (Fault(kind="duplicate", site=call("pay", "F", AT_SEND)), "kind"),
        (FAULT_KINDS["reject"], "name"),
    ],
)
def test_faults_and_plans_are_frozen_and_hashable(value: object, field: str) -> None:
    assert isinstance(hash(value), int)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, ())
