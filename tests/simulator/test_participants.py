"""The built-in participants are correct services: what a key, a tombstone and a counter do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sagafuzz import PortError, Saga, Scenario, Step, UsageError
from sagafuzz.invariants import check

from .conftest import Laboratory, Trial

SHOP = Saga(
    "shop",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("stock", "inventory.reserve", undo="inventory.release"),
        Step("pay", "payment.charge", undo="payment.refund"),
        Step("ship", "shipping.ship", undo="shipping.recall"),
    ],
)


@pytest.fixture
def calls(lab: Laboratory) -> Callable[..., Any]:
    """Make calls one after the other, each (operation, arguments); the trial and the answers."""

    def make(*requests: tuple[str, dict[str, Any]], scenario: Scenario | None = None) -> tuple[Any, list[Any]]:
        answers: list[Any] = []

        def run(world: Any, order: Any) -> bool:
            for operation, arguments in requests:
                try:
                    answers.append(world.call(operation, **{"saga": order.id, **arguments}))
                except PortError as error:
                    answers.append(f"{type(error).__name__}: {error}")
            return True

        system = lab.system(run, saga=SHOP, operations=["payment.balance"])
        return lab.trial(system, scenario=scenario), answers

    return make


def effects(trial: Trial) -> list[bool]:
    return [event.data[0] for event in trial.of("APPLY")]


def test_a_key_is_applied_once_and_answered_the_same(calls: Callable[..., Any]) -> None:
    trial, answers = calls(("payment.charge", {"key": "k"}), ("payment.charge", {"key": "k"}))
    assert effects(trial) == [True, False]
    assert answers[0] == answers[1] == {"id": "pay-1", "amount": 100}


def test_without_a_key_it_is_applied_each_time(calls: Callable[..., Any]) -> None:
    trial, answers = calls(("payment.charge", {}), ("payment.charge", {}))
    assert effects(trial) == [True, True]
    assert [answer["id"] for answer in answers] == ["pay-1", "pay-2"]


def test_what_the_caller_does_to_an_answer_does_not_change_the_memory_of_it(lab: Laboratory) -> None:
    answers: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        for _ in range(3):
            answer = world.call("payment.charge", saga=order.id, key="k")
            answers.append(dict(answer))
            answer["id"] = "spoilt"
        return True

    lab.trial(lab.system(run))
    assert answers == [{"id": "pay-1", "amount": 100}] * 3


def test_a_compensation_is_applied_once_per_key(calls: Callable[..., Any]) -> None:
    trial, _ = calls(
        ("payment.charge", {"key": "k"}), ("payment.refund", {"key": "r"}), ("payment.refund", {"key": "r"})
    )
    assert effects(trial) == [True, True, False]


@pytest.mark.parametrize("service", ["payment", "inventory"])
def test_an_undo_under_another_key_moves_the_amount_again(calls: Callable[..., Any], service: str) -> None:
    do, undo = {"payment": ("charge", "refund"), "inventory": ("reserve", "release")}[service]
    requests = [(f"{service}.{do}", {"key": "k"}), *[(f"{service}.{undo}", {"key": key}) for key in ("r1", "r2", "r1")]]
    trial, _ = calls(*requests)
    assert effects(trial) == [True, True, True, False]
    assert trial.of("APPLY")[2].data[2][2:4] == {"payment": (100_100, -100), "inventory": (11, -1)}[service]


def test_an_undo_that_names_the_id_of_what_it_undoes_moves_it_once(calls: Callable[..., Any]) -> None:
    undo = [("payment.refund", {"key": key, "charge": "pay-1"}) for key in ("r1", "r2")]
    trial, _ = calls(("payment.charge", {"key": "k"}), *undo)
    assert effects(trial) == [True, True, False]


def test_undos_of_nothing_move_nothing_whatever_their_keys(calls: Callable[..., Any]) -> None:
    trial, _ = calls(("payment.refund", {"key": "r1"}), ("payment.refund", {"key": "r2"}))
    assert effects(trial) == [False, False]


def test_what_is_no_amount_is_undone_once_whatever_the_keys(calls: Callable[..., Any]) -> None:
    trial, _ = calls(*[("order.create", {"key": "k"}), ("order.cancel", {"key": "a"}), ("order.cancel", {"key": "b"})])
    assert effects(trial) == [True, True, False]


INSTALMENTS = Saga(
    "instalments",
    [
        Step("deposit", "payment.charge_deposit", undo="payment.refund_deposit"),
        Step("balance", "payment.charge_balance", undo="payment.refund_balance"),
    ],
)


@pytest.mark.parametrize(
    ("scope", "accounts", "applied"),
    [
        ({}, ("one", "one"), [True, False]),
        ({"payment": "tenant"}, ("one", "other"), [True, False]),
        ({"payment": "account"}, ("one", "other"), [True, True]),
        ({"payment": "account"}, ("one", "one"), [True, False]),
        ({"payment": "operation"}, ("one", "one"), [True, True]),
    ],
)
def test_how_widely_a_key_is_known_is_declared(
    lab: Laboratory, scope: dict[str, str], accounts: tuple[str, str], applied: list[bool]
) -> None:
    def run(world: Any, order: Any) -> bool:
        for operation, account in zip(("charge_deposit", "charge_balance"), accounts, strict=True):
            world.call(f"payment.{operation}", saga=order.id, key="k", account=account)
        return True

    trial = lab.trial(lab.system(run, saga=INSTALMENTS, key_scope=scope))
    assert effects(trial) == applied
    assert ("key reused" in {found.anomaly for found in check(trial.history).violations}) == (False in applied)


def test_a_scope_that_there_is_not_is_refused(lab: Laboratory) -> None:
    with pytest.raises(UsageError, match=r"key_scope\['payment'\] is 'tenants' \(did you mean 'tenant'\?\)"):
        lab.system(lambda world, order: True, saga=INSTALMENTS, key_scope={"payment": "tenants"})


def test_a_compensation_that_comes_first_leaves_a_tombstone(calls: Callable[..., Any]) -> None:
    trial, answers = calls(("payment.refund", {"key": "k"}), ("payment.charge", {"key": "k"}))
    assert effects(trial) == [False]
    assert answers[1] == "Rejected: payment.charge: already compensated"


def test_a_refusal_is_remembered_with_its_key(calls: Callable[..., Any]) -> None:
    scenario = Scenario(rejections=((1, "payment.charge"),))
    trial, answers = calls(("payment.charge", {"key": "k"}), ("payment.charge", {"key": "k"}), scenario=scenario)
    assert answers == ["Rejected: payment.charge: refused by the business"] * 2
    assert len(trial.of("REJECT")) == 2


@pytest.mark.parametrize(
    ("operation", "scenario", "reason"),
    [
        ("inventory.reserve", Scenario(stock=1, quantity=2), "out of stock"),
        ("payment.charge", Scenario(funds=99), "insufficient funds"),
        ("payment.charge", Scenario(limit=99), "card declined: over the limit"),
    ],
)
def test_the_business_refuses_what_exceeds_its_means(
    calls: Callable[..., Any], operation: str, scenario: Scenario, reason: str
) -> None:
    _, answers = calls((operation, {"key": "k"}), scenario=scenario)
    assert answers == [f"Rejected: {operation}: {reason}"]


def test_stock_that_was_released_can_be_reserved_again(calls: Callable[..., Any]) -> None:
    trial, answers = calls(
        ("inventory.reserve", {"key": "a"}),
        ("inventory.release", {"key": "a"}),
        ("inventory.reserve", {"saga": "saga-2", "key": "b"}),
        scenario=Scenario(stock=1, sagas=2, gap_ms=1000),
    )
    assert answers[2] == {"id": "stock-1", "quantity": 1}
    assert trial.of("APPLY")[2].get("balance") == ("stock", "item-1", 0, 1, 1, 1)


def test_an_undo_without_a_key_and_without_a_forward_takes_effect_blindly_on_counters(
    calls: Callable[..., Any],
) -> None:
    trial, _ = calls(("payment.refund", {}), ("inventory.release", {}), ("order.cancel", {}), ("shipping.recall", {}))
    assert effects(trial) == [True, True, False, False]
    assert trial.of("APPLY")[0].get("balance") == ("money", "customer", 100_100, -100, 0, 100_000)


def test_an_undo_without_a_key_undoes_what_there_is(calls: Callable[..., Any]) -> None:
    trial, _ = calls(("payment.charge", {"amount": 7}), ("payment.refund", {"amount": 99}))
    assert trial.of("APPLY")[1].get("balance") == ("money", "customer", 100_000, 0, 0, 100_000)


@pytest.mark.parametrize(
    ("operation", "payload", "reason"),
    [
        ("payment.charge", {"amount": "many"}, "amount is 'many', not a number"),
        ("payment.charge", {"amount": None}, "amount is None, not a number"),
        ("payment.charge", {"amount": float("nan")}, "amount is nan, not a number"),
        ("payment.charge", {"amount": [1]}, "amount is of type list, not a number"),
        ("inventory.reserve", {"item": object()}, "item is of type object, not a string"),
    ],
)
def test_a_request_that_makes_no_sense_is_an_error_of_the_service(
    calls: Callable[..., Any], operation: str, payload: dict[str, Any], reason: str
) -> None:
    trial, answers = calls((operation, payload))
    assert answers == [f"Unavailable: {operation}: bad request: {reason}"]
    assert trial.end == "quiescent"


def test_an_operation_of_no_step_is_answered_without_effect_at_sites_of_its_own_name(calls: Callable[..., Any]) -> None:
    trial, answers = calls(("payment.balance", {}), ("payment.charge", {}), ("payment.balance", {}))
    assert (answers[0], answers[2]) == ({"applied": False}, {"applied": True})
    assert effects(trial) == [False, True, False]
    calls_of = [(site.subject, site.direction, site.occurrence) for site in trial.sites if site.phase == "send"]
    assert calls_of == [("payment.balance", "Q", 1), ("pay", "F", 1), ("payment.balance", "Q", 2)]


def test_the_payload_travels_as_it_was_sent(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        lines = [1]
        world.spawn(lines.append, 2)
        world.call("payment.charge", saga=order.id, lines=lines, note="n", things={1, 2})
        return True

    [sent] = lab.trial(lab.system(run)).of("SEND")
    assert sent.get("payload") == (("lines", "[1]"), ("note", "n"), ("things", '"<set>"'))


def test_two_sagas_interleave_at_every_port(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        for operation in ("order.create", "payment.charge"):
            world.call(operation, saga=order.id, key=order.id + operation)
        return True

    trial = lab.trial(lab.system(run), scenario=Scenario(sagas=2))
    assert [(event.saga, event.step) for event in trial.of("SEND")] == [
        ("saga-1", "order"),
        ("saga-2", "order"),
        ("saga-1", "pay"),
        ("saga-2", "pay"),
    ]
    assert trial.answers == ["completed", "completed"]


HANDED_OVER = Step("hand", "delivery.confirm", undo="delivery.retract")


@pytest.mark.parametrize(
    ("steps", "effective"),
    [([HANDED_OVER], True), ([Step("plan", "delivery.plan", undo="delivery.unplan", after=()), HANDED_OVER], False)],
    ids=["no other step", "nothing was reserved"],
)
def test_to_confirm_is_a_step_like_any_other_where_nothing_else_is_asked_for(
    lab: Laboratory, steps: list[Step], effective: bool
) -> None:
    def run(world: Any, order: Any) -> bool:
        try:
            world.call("delivery.confirm", saga=order.id, key=order.id)
        except PortError:
            return False
        return True

    trial = lab.trial(lab.system(run, saga=Saga("delivery", steps)))
    assert effects(trial) == ([True] if effective else [])
    assert [event.data[0] for event in trial.of("REJECT")] == ([] if effective else ["the reservation has run out"])
