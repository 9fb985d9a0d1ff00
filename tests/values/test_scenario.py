"""Scenarios: the orders that they make, what they refuse, those an adapter gets when it brings none."""

from __future__ import annotations

import dataclasses

import pytest

from sagafuzz import Saga, Scenario, Step, UsageError
from sagafuzz.scenario import default_scenarios

CHECKOUT = Saga(
    "checkout",
    [Step("order", "order.create", undo="order.cancel"), Step("pay", "payment.charge", undo="payment.refund")],
)


def test_orders_are_numbered_and_take_amounts_items_and_accounts_in_turn() -> None:
    scenario = Scenario(sagas=3, amounts=(5, 7), items=("a", "b", "c"), accounts=("x",), quantity=2, data={"note": 1})
    assert [(order.id, order.item, order.amount, order.account) for order in scenario.orders] == [
        ("saga-1", "a", 5, "x"),
        ("saga-2", "b", 7, "x"),
        ("saga-3", "c", 5, "x"),
    ]
    assert {order.quantity for order in scenario.orders} == {2}
    assert scenario.orders[0].data == {"note": 1}


def test_rejections_name_the_saga_by_its_number() -> None:
    scenario = Scenario(sagas=2, rejections=[[2, "payment.charge"]])  # type: ignore[arg-type]
    assert scenario.refused == {("saga-2", "payment.charge")}


def test_the_number_of_sagas_can_be_changed_and_nothing_else_with_it() -> None:
    scenario = Scenario(name="n", amounts=(9,), sagas=3, rejections=((3, "payment.charge"),))
    assert scenario.with_sagas(2) == dataclasses.replace(scenario, sagas=2)
    assert len(scenario.with_sagas(2).orders) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sagas": 0}, "sagas=0; write a whole number, 1 or more"),
        ({"sagas": "2"}, "sagas='2'; write a whole number, 1 or more"),
        ({"name": ""}, "its name is not a non-empty string"),
        ({"amounts": ()}, "amounts=(); write a tuple with at least one entry"),
        ({"items": "ab"}, "items='ab'; write a tuple with at least one entry"),
        ({"items": (1,)}, "items=(1,); write a string each"),
        ({"amounts": (1, -2)}, "amounts=(1, -2); write a whole number, 0 or more, each"),
        ({"amounts": (1.5,)}, "amounts=(1.5,); write a whole number"),
        ({"stock": -1}, "stock=-1; write a whole number, 0 or more"),
        ({"gap_ms": None}, "gap_ms=None; write a whole number, 0 or more"),
        ({"undisturbed": 1}, "undisturbed=1 of 1 sagas; leave at least one to be struck"),
        ({"limit": -1}, "limit=-1; write a whole number, 0 or more, or leave it out"),
        ({"rejections": ((0, "p.x"),)}, "rejections has (0, 'p.x'); write (saga number from 1, operation)"),
        ({"rejections": ("payment.charge",)}, "rejections has 'payment.charge'; write (saga number from 1, operation)"),
    ],
)
def test_a_scenario_that_makes_no_sense_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Scenario(**{"name": "odd", **fields})  # type: ignore[arg-type]
    assert message in str(refusal.value)


def test_a_scenario_is_frozen_and_hashable() -> None:
    scenario = Scenario(data={"k": []})
    with pytest.raises(dataclasses.FrozenInstanceError):
        scenario.sagas = 4  # type: ignore[misc]
    assert hash(scenario) == hash(Scenario(data={"k": []}))
    assert hash(scenario.orders[0]) == hash(scenario.orders[0])


def test_by_default_one_order_succeeds_one_card_is_declined_two_contend_and_two_succeed() -> None:
    succeeds, declined, contended, in_turn = default_scenarios(CHECKOUT)
    assert (succeeds.name, succeeds.sagas, succeeds.rejections) == ("succeeds", 1, ())
    assert (declined.name, declined.refused) == ("declined", {("saga-1", "payment.charge")})
    assert (contended.name, contended.sagas, contended.stock, contended.items) == (
        "two-on-one-item",
        2,
        1,
        ("item-1",),
    )
    assert (in_turn.name, in_turn.sagas, in_turn.refused) == ("one-after-the-other", 2, frozenset())
    assert in_turn.spared == {"saga-1"}, "so that it costs no more than one order"
    assert len({order.account for order in in_turn.orders}) == 1


def test_of_one_saga_none_is_undisturbed() -> None:
    in_turn = default_scenarios(CHECKOUT)[-1]
    assert in_turn.with_sagas(1).spared == frozenset()
    assert in_turn.with_sagas(3).spared == {"saga-1"}


def test_where_nothing_is_paid_the_last_step_that_can_be_refused_is() -> None:
    saga = Saga("s", [Step("a", "x.a", undo="x.b"), Step("c", "y.c", retriable=True)])
    declined = default_scenarios(saga)[1]
    assert declined.refused == {("saga-1", "x.a")}
    assert "x.a is refused" in declined.about


def test_where_nothing_can_be_refused_nothing_is() -> None:
    saga = Saga("s", [Step("a", "x.a", retriable=True)])
    assert [scenario.name for scenario in default_scenarios(saga)] == [
        "succeeds",
        "two-on-one-item",
        "one-after-the-other",
    ]
