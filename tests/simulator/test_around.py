"""Code under test around a built-in participant shares its local transaction, and what it lets through takes effect."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import LocalTransaction, PortError, Rejected, Request, Scenario, UsageError, adapter

from .conftest import Laboratory, Trial


class Door:
    """Lets through what it has not noted yet, and counts its deliveries in the memory of the process."""

    def __init__(self) -> None:
        self.deliveries = 0

    def handle(self, request: Request, tx: LocalTransaction) -> Any:
        self.deliveries += 1
        tx.memory["last"] = request.operation
        if request.direction == "F" and request.key not in tx.memory:
            tx.memory[request.key or ""] = tx.apply()
        return {"deliveries": self.deliveries, "noted": sorted(tx.memory)}


class OpenDoor(Door):
    def handle(self, request: Request, tx: LocalTransaction) -> Any:
        return tx.apply()


class NotesThenFails(Door):
    def handle(self, request: Request, tx: LocalTransaction) -> Any:
        known = sorted(tx.memory)
        tx.memory[f"note {len(known)}"] = True
        tx.apply()
        if not known and request.payload.get("fail"):
            raise RuntimeError("after the effect, before the commit")
        return known


@pytest.fixture
def ask(lab: Laboratory) -> Any:
    """Charge ``times`` times with one key; the trial and what came back."""

    def make(door: Any, *faults: str, times: int = 1, scenario: Scenario | None = None, **data: Any) -> Any:
        answers: list[Any] = []

        def run(world: Any, order: Any) -> bool:
            for _ in range(times):
                try:
                    answers.append(world.call("payment.charge", saga=order.id, key="k", amount=5, **data))
                except PortError as error:
                    answers.append(f"{type(error).__name__}: {error}")
            return True

        return lab.trial(lab.system(run, around={"payment": door}), *faults, scenario=scenario), answers

    return make


def effects(trial: Trial) -> int:
    return sum(event.data[0] for event in trial.of("APPLY"))


def test_what_is_let_through_takes_effect_each_time(ask: Any) -> None:
    assert effects(ask(Door, times=3)[0]) == 1
    assert effects(ask(OpenDoor, times=3)[0]) == 3


def test_a_restart_keeps_what_was_in_the_transaction_only(ask: Any) -> None:
    _, answers = ask(Door, "participant-restart pay F", times=2)
    assert "no answer" in answers[0]
    assert answers[1] == {"deliveries": 1, "noted": ["k", "last"]}


def test_effect_and_memory_are_rolled_back_together(ask: Any) -> None:
    trial, answers = ask(NotesThenFails, times=2, fail=True)
    assert "Unavailable" in answers[0]
    assert "Unavailable" in answers[1], "the note of the first delivery was kept"
    assert effects(trial) == 0


def test_a_refusal_keeps_what_was_noted(ask: Any) -> None:
    class Notes(Door):
        def handle(self, request: Request, tx: LocalTransaction) -> Any:
            if "why" in tx.memory:
                raise Rejected(f"again: {tx.memory['why']}")
            try:
                return tx.apply()
            except Rejected as refused:
                tx.memory["why"] = str(refused)
                raise

    _, answers = ask(Notes, times=2, scenario=Scenario(limit=3))
    assert answers == [
        "Rejected: payment.charge: card declined: over the limit",
        "Rejected: payment.charge: again: card declined: over the limit",
    ]


def test_a_delivery_is_one_request(ask: Any) -> None:
    class Twice(Door):
        def handle(self, request: Request, tx: LocalTransaction) -> Any:
            return tx.apply(), tx.apply()

    with pytest.raises(UsageError, match="a second time"):
        ask(Twice)


def test_a_question_has_no_effect_to_apply(lab: Laboratory) -> None:
    system = lab.system(
        lambda world, order: world.call("payment.ask"), around={"payment": OpenDoor}, operations=("payment.ask",)
    )
    with pytest.raises(UsageError, match=r"'payment\.ask', which is no step's"):
        lab.trial(system)


def test_a_planned_refusal_is_given_where_it_is_let_through(ask: Any) -> None:
    trial, answers = ask(Door, "reject pay F")
    assert answers == ["Rejected: payment.charge: refused by the business"]
    assert effects(trial) == 0


def test_a_participant_is_ones_own_or_has_code_around_it(lab: Laboratory) -> None:
    system = lab.system(lambda world, order: True)
    with pytest.raises(UsageError, match="name it in one of them"):
        adapter(saga=system.saga, participants={"payment": Door}, around={"payment": Door})(system.factory)
