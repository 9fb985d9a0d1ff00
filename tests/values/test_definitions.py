"""Definitions beside one another: children that are steps of others, and several in one adapter."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

import sagafuzz
from sagafuzz import Adapter, History, Order, Outcome, Plan, Saga, Scenario, Step, UsageError
from sagafuzz.definitions import child_id, definition_of, parent_of, root_of, united
from sagafuzz.plain import from_plain, to_plain
from sagafuzz.ports import ADAPTER_ATTRIBUTE
from sagafuzz.simulator import Setup, simulate

CUSTOMS = Saga("customs", [Step("declare", "customs.declare", undo="customs.withdraw")])
SHIPMENT = Saga(
    "shipment", [Step("parcel", "warehouse.pack", undo="warehouse.unpack"), Step("clearance", child=CUSTOMS)]
)
ORDER = Saga("order", [Step("payment", "payment.charge", undo="payment.refund"), Step("ship", child=SHIPMENT)])
GIFT = Saga("gift", [Step("payment", "payment.charge", undo="payment.refund"), Step("card", "post.send")])


def declared(cls: type | None = None, **options: Any) -> Adapter:
    made = type("Shop", (Shop,), {}) if cls is None else cls
    found = getattr(sagafuzz.adapter(**{"saga": ORDER, **options})(made), ADAPTER_ATTRIBUTE)
    assert isinstance(found, Adapter)
    return found


class Shop:
    """Does the steps of an order, and those of its children."""

    def boot(self, world: sagafuzz.World) -> None:
        self.world = world

    def run(self, order: Order) -> Outcome:
        self.do(order, {"order": ORDER, "gift": GIFT}[order.saga])
        return Outcome.COMPLETED

    def do(self, order: Order, saga: Saga) -> None:
        for step in saga.steps:
            if step.child is not None:
                self.do(order.children[step.name], step.child)
            else:
                self.world.call(step.operation, saga=order.id, key=f"{order.id}/{step.name}")


def test_a_step_that_is_a_saga_is_read_again_as_it_was_written() -> None:
    assert from_plain(Saga, to_plain(ORDER)) == ORDER


def test_an_id_tells_whose_child_a_saga_is_and_what_it_does() -> None:
    id = child_id(child_id("saga-1", "ship"), "clearance")
    assert (id, parent_of(id), root_of(id)) == ("saga-1.ship.clearance", "saga-1.ship", "saga-1")
    assert definition_of(ORDER, id) is CUSTOMS
    assert definition_of(ORDER, "saga-1") is ORDER


def test_a_child_is_called_by_the_name_of_its_saga_and_can_be_undone_where_one_of_its_steps_can() -> None:
    ship = ORDER.by_name["ship"]
    assert (ORDER.operation("ship", "F"), ORDER.operation("ship", "C")) == ("shipment", "shipment (undo)")
    assert ship.can_be_undone
    assert not Step("card", child=Saga("post", [Step("send", "post.send")])).can_be_undone
    assert "child: shipment" in ship.notes
    assert set(ORDER.by_operation) == {"payment.charge", "payment.refund"}


def test_what_is_known_of_a_single_definition_without_children_is_itself() -> None:
    assert united((GIFT,)) is GIFT


def test_all_definitions_together_know_the_steps_and_operations_of_each() -> None:
    known = united((ORDER, GIFT))
    assert list(known.by_name) == ["payment", "ship", "parcel", "clearance", "declare", "card"]
    assert known.by_operation["customs.withdraw"][0].name == "declare"


def test_an_order_knows_its_definition_and_its_children() -> None:
    adapter = declared(sagas=[GIFT], scenarios=[Scenario(sagas=3, of=("order", "gift"))])
    first, second, third = adapter.orders(adapter.scenarios[0])
    assert [order.saga for order in (first, second, third)] == ["order", "gift", "order"]
    assert not second.children
    child = third.children["ship"]
    assert (child.id, child.saga, child.parent) == ("saga-3.ship", "shipment", "saga-3")
    assert child.children["clearance"].id == "saga-3.ship.clearance"
    assert (child.item, child.amount) == (third.item, third.amount)


def test_a_run_of_several_definitions_with_children_is_judged_by_what_each_is_to_do() -> None:
    adapter = declared(sagas=[GIFT], scenarios=[Scenario(sagas=2, of=("order", "gift"))])
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    history = simulate(setup).history(setup, Plan())
    assert sagafuzz.check(history).violations == ()
    assert history.definition("saga-1.ship.clearance") == CUSTOMS
    assert history.definition("saga-2") == GIFT
    again = History.from_ndjson(history.to_ndjson())
    assert again == history
    assert again.definition("saga-2") == GIFT


def test_an_order_of_another_definition_that_lacks_a_step_is_hollow() -> None:
    class Forgetful(Shop):
        def do(self, order: Order, saga: Saga) -> None:
            super().do(order, Saga("gift", GIFT.steps[:1]) if saga is GIFT else saga)

    adapter = declared(Forgetful, sagas=[GIFT], scenarios=[Scenario(sagas=2, of=("order", "gift"))])
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    (found,) = sagafuzz.check(simulate(setup).history(setup, Plan())).violations
    assert (found.invariant, found.saga, found.step) == ("I23", "saga-2", "card")


def test_what_the_business_refuses_an_order_it_refuses_its_children() -> None:
    scenario = Scenario(rejections=((1, "customs.declare"),))
    adapter = declared(scenarios=[scenario])
    run = simulate(Setup(adapter=adapter, scenario=scenario))
    assert [(row[3], row[4]) for row in run.rows if row[1] == "REJECT"] == [("saga-1.ship.clearance", "declare")]


def test_who_names_a_child_that_there_is_not_is_told_the_ids_that_there_are() -> None:
    class Elsewhere(Shop):
        def run(self, order: Order) -> Outcome:
            self.world.call("warehouse.pack", saga="saga-1.shipment")
            return Outcome.COMPLETED

    adapter = declared(Elsewhere)
    with pytest.raises(UsageError, match=re.escape("saga-1, saga-1.ship, saga-1.ship.clearance")):
        simulate(Setup(adapter=adapter, scenario=Scenario()))


PIVOT = Saga("shipment", [Step("parcel", "warehouse.pack", pivot=True)])


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Step("ship"), "its operation is ''"),
        (lambda: Step("ship", child="shipment"), "write a Saga, child=Saga(name, [steps])"),  # type: ignore[arg-type]
        (lambda: Step("ship", "a.b", child=SHIPMENT), "leave operation out"),
        (lambda: Step("ship", undo="a.b", child=SHIPMENT), "leave undo out"),
        (lambda: Step("ship", child=SHIPMENT, many=True), "leave many out"),
        (lambda: Step("to.ship", child=SHIPMENT), "write it without any of . / : [ ]"),
        (lambda: Step("ship", child=PIVOT), "write pivot=True, or retriable=True after the pivot"),
        (
            lambda: Saga("order", [Step("ship", child=SHIPMENT), Step("bill", "b.ill", consumes="ship")]),
            "which is a saga of its own; name a step that asks a participant",
        ),
        (
            lambda: united((ORDER, Saga("gift", [Step("pay", "payment.charge")]))),
            "is step 'payment' of saga 'order' and step 'pay' of saga 'gift'; call the step the same in both",
        ),
        (
            lambda: united((ORDER, Saga("gift", [Step("payment", "card.charge")]))),
            "step 'payment' of saga 'gift' is another one than step 'payment' of saga 'order'; name them apart",
        ),
        (lambda: united((ORDER, Saga("shipment", GIFT.steps))), "two sagas are called 'shipment' and differ"),
        (lambda: declared(sagas=[ORDER]), "two of its sagas are called 'order'; give each its own name"),
        (lambda: declared(sagas=["gift"]), "write sagas=[sagafuzz.Saga(name, [steps])]"),
        (lambda: declared(sagas=[Saga("gift", [Step("pay", "payment.charge")])]), "adapter 'Shop': operation"),
        (
            lambda: declared(sagas=[GIFT], scenarios=[Scenario(of=("gifts",))]),
            "of has 'gifts' (did you mean 'gift'?); adapter 'Shop' has order, gift",
        ),
        (lambda: Scenario(of="order"), "write a tuple of the names of sagas"),  # type: ignore[arg-type]
    ],
)
def test_what_is_wrong_with_these_words_is_said(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(UsageError, match=re.escape(problem)):
        make()
