"""The client sends its order again: at once, after no answer, to another process. One order is one saga."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Outcome
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.invariants import check
from sagafuzz.simulator import Setup

from .conftest import Laboratory

RESUBMITS = [kind.name for kind in FAULT_KINDS.values() if kind.needs == "resubmit"]


def once(world: Any, order: Any) -> Outcome:
    """Knows an order again by its record."""
    found = world.store.get(order.id)
    if found is not None:
        return Outcome(found["outcome"])
    world.store.put(order.id, {"outcome": "pending"}, record="create", saga=order.id, guard={})
    for operation in ("order.create", "payment.charge"):
        world.call(operation, key=operation)
    world.store.put(order.id, {"outcome": "completed"}, record="terminal", saga=order.id)
    return Outcome.COMPLETED


def each(world: Any, order: Any) -> bool:
    """Makes an order of each request."""
    for operation in ("order.create", "payment.charge"):
        world.call(operation, key=f"{operation} {world.random.random()}")
    return True


def test_there_are_three() -> None:
    assert RESUBMITS == ["resubmit", "resubmit-late", "resubmit-elsewhere"]


@pytest.mark.parametrize("kind", RESUBMITS)
def test_they_need_that_the_adapter_declares_it(lab: Laboratory, kind: str) -> None:
    plain, declared = (lab.system(once, resubmits=told) for told in (False, True))
    assert kind not in Setup(adapter=plain, scenario=plain.scenarios[0]).kinds
    assert kind in Setup(adapter=declared, scenario=declared.scenarios[0]).kinds
    assert "resubmits=True" in Setup(adapter=plain, scenario=plain.scenarios[0]).refusal(kind)


@pytest.mark.parametrize("kind", RESUBMITS)
def test_who_makes_an_order_of_each_request_is_found_out(lab: Laboratory, kind: str) -> None:
    trial = lab.trial(lab.system(each, resubmits=True), f"{kind} pay F")
    assert len(trial.of("SUBMIT")) == 2
    assert "I1" in {violation.invariant for violation in check(trial.history).violations}


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("resubmit", ["pending", "completed"]),
        ("resubmit-late", ["completed", "completed"]),
        ("resubmit-elsewhere", ["pending", "completed"]),
    ],
)
def test_who_knows_an_order_again_is_not(lab: Laboratory, kind: str, told: list[str]) -> None:
    trial = lab.trial(lab.system(once, resubmits=True), f"{kind} pay F")
    assert trial.answers == told
    assert len(trial.of("SEND")) == 2
    assert not check(trial.history).violations


def test_the_late_one_comes_a_minute_later(lab: Laboratory) -> None:
    first, again = lab.trial(lab.system(once, resubmits=True), "resubmit-late order F").of("SUBMIT")
    assert again.t_us - first.t_us == pytest.approx(60_000_000, abs=1_000_000)


def test_another_process_takes_the_order_while_the_first_lives_on(lab: Laboratory) -> None:
    trial = lab.trial(lab.system(once, resubmits=True), "resubmit-elsewhere pay F")
    assert [event.process for event in trial.of("BOOT")] == ["orchestrator", "orchestrator#2"]
    assert not trial.of("CRASH")


def test_an_order_that_is_sent_again_while_nobody_runs_waits(lab: Laboratory) -> None:
    trial = lab.trial(lab.system(once, resubmits=True), "resubmit-late order F", "crash-after-log 'terminal'")
    assert trial.answers == ["completed"]  # the first process had told nobody
