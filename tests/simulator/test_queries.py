"""A call that belongs to no step is struck as any other: its request, its answer, who handles it, who asks."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import PortError, Request, Scenario, Transaction
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.invariants import check
from sagafuzz.simulator import Setup

from .conftest import Laboratory

ASK = "payment.status"


def asking(world: Any, order: Any) -> bool:
    """Asks a query once, and tells in an alert what came of it."""
    try:
        said = world.call(ASK, saga=order.id)["applied"]
    except PortError as error:
        said = type(error).__name__
    world.alert(order.id, step="pay", reason=str(said))
    return True


@pytest.mark.parametrize(
    ("kind", "story", "said"),
    [
        ("lost-request", ["SEND", "LOST", "TIMEOUT"], "CallTimeout"),
        ("timeout", ["SEND", "TIMEOUT", "DELIVER", "APPLY"], "CallTimeout"),
        ("duplicate", ["SEND", "DELIVER", "APPLY", "DELIVER", "APPLY", "ACK"], "False"),
        ("error-before-effect", ["SEND", "DELIVER", "ERROR", "ACK"], "Unavailable"),
        ("error-after-effect", ["SEND", "DELIVER", "APPLY", "ACK"], "Unavailable"),
        ("participant-outage", ["SEND", "DELIVER", "DOWN", "ERROR", "ACK"], "Unavailable"),
        ("participant-restart", ["SEND", "DELIVER", "APPLY", "DOWN", "LOST", "TIMEOUT"], "CallTimeout"),
        ("lost-ack", ["SEND", "DELIVER", "APPLY", "LOST", "TIMEOUT"], "CallTimeout"),
        ("late-answer", ["SEND", "DELIVER", "APPLY", "TIMEOUT"], "CallTimeout"),
        ("partition", ["SEND", "LOST", "TIMEOUT"], "CallTimeout"),
    ],
)
def test_what_a_fault_does_to_a_query(lab: Laboratory, kind: str, story: list[str], said: str) -> None:
    trial = lab.trial(lab.system(asking, operations=(ASK,)), f"{kind} {ASK} Q")
    assert [event.kind for event in trial.events if event.kind in story] == story
    assert [event.data[0] for event in trial.of("ALERT")] == [said]


def test_a_process_dies_with_the_answer_of_a_query(lab: Laboratory) -> None:
    trial = lab.trial(lab.system(asking, operations=(ASK,)), f"crash-after-ack {ASK} Q")
    assert (len(trial.of("CRASH")), trial.of("ALERT")) == (1, [])


def test_kinds_that_are_about_a_step_do_not_strike_a_query() -> None:
    spared = {kind.name for kind in FAULT_KINDS.values() if "F" in kind.directions and "Q" not in kind.directions}
    refusals = {"reject", "refused-repeat", "refused-once"}
    resubmitted = {"resubmit", "resubmit-late", "resubmit-elsewhere"}
    effects = {"reordered", "cancel", "expiry", "key-expiry", "delayed-duplicate", "hollow-success"}
    assert spared == {*refusals, *resubmitted, *effects}


class Meter:
    """Counts how often it was read: an operation of no step that leaves something behind."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.state["read"] = tx.state.get("read", 0) + 1
        return {"read": tx.state["read"]}


def test_what_an_operation_of_no_step_does_twice_is_seen_by_who_asks(lab: Laboratory) -> None:
    seen: list[int] = []

    def run(world: Any, order: Any) -> bool:
        seen.append(world.call("meter.read", saga=order.id)["read"])
        seen.append(world.call("meter.read", saga=order.id)["read"])
        return True

    system = lab.system(run, operations=("meter.read",), participants={"meter": Meter})
    lab.trial(system, "duplicate meter.read Q")
    assert seen == [1, 3]


def believing(answer: bool) -> Any:
    """Charges unless it was paid already; what gets no answer is taken for ``answer``."""

    def run(world: Any, order: Any) -> bool:
        try:
            paid = world.call(ASK, saga=order.id)["applied"]
        except PortError:
            paid = answer
        world.call("order.create", saga=order.id, key=f"{order.id}/order")
        while not paid:
            try:
                world.call("payment.charge", saga=order.id, key=f"{order.id}/charge")
                paid = True
            except PortError:
                world.sleep(2)
        return True

    return run


@pytest.mark.parametrize(("answer", "violated"), [(True, True), (False, False)])
def test_who_takes_no_answer_for_yes_is_found(lab: Laboratory, answer: bool, violated: bool) -> None:
    system = lab.system(believing(answer), operations=(ASK,), scenarios=[Scenario(name="succeeds")])
    setup = Setup(adapter=system, scenario=system.scenarios[0])
    queries = [case for case in Enumerator(setup, 1).cases() if case.plan.faults and case.plan.faults[0].site[2] == "Q"]
    told = [case for case in queries if not any(FAULT_KINDS[f.kind].takes_over for f in case.plan.faults)]
    found = {v.invariant for case in told for v in check(case.run.history(setup, case.plan)).violations}
    assert len(told) > 8
    assert bool(found) == violated, found
