"""A user's own participant: durable through its transaction only, struck by the same faults."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from sagafuzz import PortError, Rejected, Request, Scenario, Transaction

from .conftest import Laboratory


class Bank:
    """Keeps balances in its transaction and a count of its calls in the process's memory."""

    def __init__(self) -> None:
        self.handled = 0

    def handle(self, request: Request, tx: Transaction) -> Any:
        self.handled += 1
        if request.key in tx.memory:
            return tx.memory[request.key]
        taken = tx.state.get("taken", 0) + (1 if request.direction == "F" else -1)
        tx.state["taken"] = taken
        answer = {"taken": taken, "handled": self.handled, "operation": request.operation}
        if request.key is not None:
            tx.memory[request.key] = answer
        return answer


class Forgetful(Bank):
    """Without a memory of keys."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.state["taken"] = tx.state.get("taken", 0) + 1
        return {"taken": tx.state["taken"]}


@pytest.fixture
def ask(lab: Laboratory) -> Any:
    """Charge ``times`` times with one key; the trial and what came back."""

    def make(bank: Any, *faults: str, times: int = 1, scenario: Scenario | None = None) -> tuple[Any, list[Any]]:
        answers: list[Any] = []

        def run(world: Any, order: Any) -> bool:
            for _ in range(times):
                try:
                    answers.append(world.call("payment.charge", saga=order.id, key="k", amount=5, lines=[1]))
                except PortError as error:
                    answers.append(f"{type(error).__name__}: {error}")
            return True

        system = lab.system(run, participants={"payment": bank})
        return lab.trial(system, *faults, scenario=scenario), answers

    return make


def test_it_is_effective_when_its_state_changed(ask: Any) -> None:
    trial, answers = ask(Bank, times=2)
    assert [event.data[:2] for event in trial.of("APPLY")] == [(True, None), (False, None)]
    assert answers == [{"taken": 1, "handled": 1, "operation": "payment.charge"}] * 2


def test_one_that_forgets_keys_is_found_out_by_a_duplicate(ask: Any) -> None:
    trial, _ = ask(Forgetful, "duplicate pay F")
    assert [event.data[0] for event in trial.of("APPLY")] == [True, True]


def test_one_that_remembers_keys_is_not(ask: Any) -> None:
    trial, _ = ask(Bank, "duplicate pay F")
    assert [event.data[0] for event in trial.of("APPLY")] == [True, False]


@pytest.mark.parametrize(
    ("fault", "story"),
    [
        ("lost-request pay F", ["SEND", "LOST", "TIMEOUT"]),
        ("lost-ack pay F", ["SEND", "DELIVER", "APPLY", "LOST", "TIMEOUT"]),
        ("timeout pay F", ["SEND", "TIMEOUT", "DELIVER", "APPLY"]),
        ("error-before-effect pay F", ["SEND", "DELIVER", "ERROR", "ACK"]),
        ("error-after-effect pay F", ["SEND", "DELIVER", "APPLY", "ACK"]),
        ("reject pay F", ["SEND", "DELIVER", "REJECT", "ACK"]),
        ("delayed-duplicate pay F", ["SEND", "DELIVER", "APPLY", "ACK", "DELIVER", "APPLY"]),
        ("crash-after-effect pay F", ["SEND", "DELIVER", "APPLY"]),
    ],
)
def test_the_faults_strike_it_like_a_built_in_one(ask: Any, fault: str, story: list[str]) -> None:
    trial, _ = ask(Bank, fault)
    assert trial.story("pay") == story


def test_a_refusal_rolls_back_and_is_definite(ask: Any) -> None:
    class Refusing(Bank):
        def handle(self, request: Request, tx: Transaction) -> Any:
            super().handle(request, tx)
            raise Rejected("no credit")

    trial, answers = ask(Refusing, times=2)
    assert answers == ["Rejected: payment.charge: no credit"] * 2
    assert trial.of("APPLY") == []


@pytest.mark.parametrize("error", [ValueError("no such account"), SystemExit("bye")])
def test_whatever_it_raises_rolls_back_and_is_an_error_answer(ask: Any, error: BaseException) -> None:
    class Failing(Bank):
        def handle(self, request: Request, tx: Transaction) -> Any:
            answer = super().handle(request, tx)
            if self.handled == 1:
                raise error
            return answer

    trial, answers = ask(Failing, times=2)
    assert answers[0] == f"Unavailable: payment.charge: {type(error).__name__}: {error}"
    assert answers[1] == {"taken": 1, "handled": 2, "operation": "payment.charge"}
    assert [event.kind for event in trial.of("ERROR", "APPLY")] == ["ERROR", "APPLY"]


def test_the_scenario_can_have_it_refuse(ask: Any) -> None:
    trial, answers = ask(Bank, times=2, scenario=Scenario(rejections=((1, "payment.charge"),)))
    assert answers == ["Rejected: payment.charge: refused by the business"] * 2
    assert trial.of("APPLY") == []


def test_its_state_is_its_own_whatever_the_caller_does_to_answers_and_payloads(lab: Laboratory) -> None:
    class Open:
        def handle(self, request: Request, tx: Transaction) -> Any:
            request.payload["lines"].append("seen")  # type: ignore[union-attr]
            tx.state.setdefault("lines", []).extend(request.payload["lines"])
            return tx.state["lines"]

    seen: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        lines = ["a"]
        for _ in range(2):
            answer = world.call("payment.charge", saga=order.id, lines=lines)
            seen.append(list(answer))
            answer.clear()
        seen.append(lines)
        return True

    lab.trial(lab.system(run, participants={"payment": Open}))
    assert seen == [["a", "seen"], ["a", "seen", "a", "seen"], ["a"]]


def test_a_state_that_cannot_be_copied_is_an_error_answer(ask: Any) -> None:
    class Locked:
        def handle(self, request: Request, tx: Transaction) -> Any:
            tx.state["lock"] = threading.Lock()

    _, answers = ask(Locked, times=2)
    assert answers[0] is None
    assert str(answers[1]).startswith("Unavailable: payment.charge: TypeError: cannot pickle")


def test_one_that_is_slow_answers_late_in_virtual_time(ask: Any) -> None:
    class Slow(Bank):
        def handle(self, request: Request, tx: Transaction) -> Any:
            before = time.monotonic()
            time.sleep(0.5 if self.handled == 0 else 2)
            assert time.monotonic() - before in (0.5, 2)
            return super().handle(request, tx)

    trial, answers = ask(Slow, times=2)
    first, second = trial.of("ACK", "TIMEOUT")
    assert (first.kind, first.t_us) == ("ACK", 502_000)
    assert (second.kind, second.t_us) == ("TIMEOUT", 502_000 + 1_000_000)
    assert str(answers[1]).startswith("CallTimeout")


def test_an_error_struck_after_a_slow_answer_is_not_slow_itself(ask: Any) -> None:
    class Slow(Bank):
        def handle(self, request: Request, tx: Transaction) -> Any:
            time.sleep(0.5)
            return super().handle(request, tx)

    trial, _ = ask(Slow, "error-before-effect pay F #2", times=2)
    sent = trial.of("SEND")[1].t_us
    assert trial.of("ACK")[1].t_us == sent + 2000


def test_each_run_has_participants_of_its_own(ask: Any) -> None:
    assert ask(Bank)[1] == ask(Bank)[1]


class Shop:
    """One piece. Remembers each answer with its key, refusals too."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.key not in tx.memory:
            tx.memory[request.key] = "sold out" if tx.state else "yours"
            tx.state["touched"] = tx.state.get("touched", 0) + 1
        if tx.memory[request.key] == "sold out":
            raise Rejected("sold out")
        return tx.memory[request.key]


class Clumsy(Shop):
    """Fails after it has written everything."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.memory["seen"] = tx.memory.get("seen", 0) + 1
        if tx.memory["seen"] == 1:
            raise RuntimeError("out of order")
        return tx.memory["seen"]


def asked(lab: Laboratory, participant: Any, *keys: str) -> list[Any]:
    answers: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        for key in keys:
            try:
                answers.append(world.call("payment.charge", saga=order.id, key=key))
            except PortError as error:
                answers.append(str(error))
        return True

    lab.trial(lab.system(run, participants={"payment": participant}))
    return answers


def test_it_can_remember_that_it_refused_and_a_refusal_changes_nothing_else(lab: Laboratory) -> None:
    refused = "payment.charge: sold out"
    assert asked(lab, Shop, "a", "b", "b", "a") == ["yours", refused, refused, "yours"]


def test_a_failure_keeps_nothing(lab: Laboratory) -> None:
    assert asked(lab, Clumsy, "a", "b") == ["payment.charge: RuntimeError: out of order"] * 2


def test_what_the_business_refused_stays_refused_under_any_key_and_without_one(ask: Any) -> None:
    _, answers = ask(Bank, "reject pay F", times=3)
    assert answers == ["Rejected: payment.charge: refused by the business"] * 3


def test_a_refusal_of_what_was_applied_hides_the_effect_where_it_is_declared(lab: Laboratory) -> None:
    answers: list[str] = []

    def run(world: Any, order: Any) -> bool:
        for _ in range(3):
            try:
                answers.append(str(world.call("payment.charge", saga=order.id, key="k")["taken"]))
            except PortError as error:
                answers.append(type(error).__name__)
        return True

    system = lab.system(run, participants={"payment": Bank}, refusing_repeats=("payment",))
    trial = lab.trial(system, "lost-ack pay F", "refused-repeat pay F #2")
    assert answers == ["CallTimeout", "Rejected", "1"]
    assert [event.data[0] for event in trial.of("APPLY")] == [True, False]
    spared = lab.unchecked(system, "refused-repeat pay F")
    assert spared.fired == [], "nothing was applied yet"


def test_what_it_is_made_with_is_of_the_world_as_well(ask: Any) -> None:
    class Dated(Bank):
        def __init__(self) -> None:
            super().__init__()
            self.since = time.time()

        def handle(self, request: Request, tx: Transaction) -> Any:
            return self.since

    _, answers = ask(Dated)
    assert answers == [1_770_000_000.0]
