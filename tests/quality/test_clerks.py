"""Who acts beside the orchestrator, on participants with amounts: a clerk puts one piece back, and the cancellation the
rest; a clerk captures what a cancelled order still holds; what a customer returns of an order is no other end of it."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Actor, Adapter, Outcome, Rejected, Request, Saga, Scenario, Step, Transaction
from sagafuzz.adapters.zoo.host import MutableOrchestrator
from sagafuzz.adapters.zoo.parts import LEASE_S, system
from sagafuzz.exploration.detecting import find_out
from sagafuzz.exploration.quiet import quiet

from .judging import assert_not_blamed

PIECES = Saga(
    "order",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("inventory", "inventory.reserve", undo="inventory.release", amount="quantity"),
        Step("parcel", "shipping.pack", undo="shipping.unpack"),
    ],
)
RETURNED = Scenario(
    name="returned-one", quantity=2, rejections=((1, "shipping.pack"),), actors=("clerk",), data={"pieces": 2}
)


def clerk(actor: Actor) -> None:
    """Puts one of the two pieces back while the order is under way."""
    actor.sleep(0.005)
    actor.call("inventory.release", key="return-1", quantity=1)


class Shelf:
    """Gives out pieces, and takes back what it gave out; remembers keys, and that an order was released."""

    careful = True

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.operation == "inventory.look":
            return {"out": tx.state.get(request.saga, 0)}
        seen = f"{request.operation} {request.key}"
        if seen not in tx.memory:
            pieces = request.payload.get("quantity", 2)
            if request.direction == "F":
                if f"released {request.saga}" in tx.memory:
                    raise Rejected("it was released")
                tx.state[request.saga] = pieces
            else:
                self.release(request.saga, pieces, tx)
            tx.memory[seen] = {"quantity": pieces}
        return tx.memory[seen]

    def release(self, saga: str, pieces: int, tx: Transaction) -> None:
        if self.careful and pieces > tx.state.get(saga, pieces):
            raise Rejected("so many are not out")
        tx.memory[f"released {saga}"] = True
        if not self.careful or saga in tx.state:
            tx.state[saga] = tx.state.get(saga, 0) - pieces


class ShelfTakesAll(Shelf):
    """Takes back whatever is said."""

    careful = False


class PutsBackAll(MutableOrchestrator):
    """Puts back what was ordered."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        if step.name != "inventory":
            return super()._call(state, step, operation)
        key = f"{state.id}/{step.name}"
        return self._world.call(operation, saga=state.id, key=key, epoch=state.epoch, quantity=2)


class PutsBackTheRest(PutsBackAll):
    """Looks how many are out before it puts them back, and again where somebody was faster."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        if operation != "inventory.release":
            return super()._call(state, step, operation)
        out = self._world.call("inventory.look", saga=state.id)["out"]
        key = f"{state.id}/rest-{out}"
        return self._world.call(operation, saga=state.id, key=key, epoch=state.epoch, quantity=out)


def returned(make: Any, shelf: Any) -> Adapter:
    return system(
        make,
        saga=PIECES,
        scenario=RETURNED,
        participants={"inventory": shelf},
        actors={"clerk": clerk},
        operations=["inventory.look"],
        lease_s=LEASE_S,
    )


def test_a_piece_that_is_put_back_twice_is_more_than_there_was() -> None:
    with quiet():
        found = find_out(returned(PutsBackAll, ShelfTakesAll), ("I17",), 0).shrunk
    assert found is not None
    assert found.violation.invariant == "I17"
    assert "3" in found.violation.sentence and "2" in found.violation.sentence


def test_who_puts_back_the_rest_is_right() -> None:
    assert_not_blamed(returned(PutsBackTheRest, Shelf), 1, more_than=100)


@pytest.mark.slow
def test_two_faults_do_not_make_it_look_guilty() -> None:
    assert_not_blamed(returned(PutsBackTheRest, Shelf), 2)


def refunding(actor: Actor) -> None:
    """A customer sends the order back, and is given the money in two parts."""
    if actor.wait() is Outcome.COMPLETED:
        for part in (1, 2):
            actor.call("payment.refund", key=f"part-{part}", amount=50)


def test_what_is_returned_in_parts_after_the_end_is_no_other_end() -> None:
    paid = Saga("paid", [Step("payment", "payment.charge", undo="payment.refund", amount="amount")])

    class Bank:
        def handle(self, request: Request, tx: Transaction) -> Any:
            if str(request.key) not in tx.memory:
                forward = request.direction == "F"
                if forward and "undone" in tx.memory:
                    raise Rejected("it was undone")
                if forward or request.saga in tx.state:
                    amount = request.payload["amount"]
                    tx.state[request.saga] = tx.state.get(request.saga, 0) + (amount if forward else -amount)
                tx.memory["charged" if forward else "undone"] = tx.memory[str(request.key)] = True
            return {}

    class Pays(MutableOrchestrator):
        def _call(self, state: Any, step: Step, operation: str) -> Any:
            return self._world.call(operation, saga=state.id, key=operation, epoch=state.epoch, amount=100)

    bought = Scenario(name="bought", actors=("customer",))
    adapter = system(
        Pays,
        saga=paid,
        scenario=bought,
        participants={"payment": Bank},
        actors={"customer": refunding},
        lease_s=LEASE_S,
    )
    assert_not_blamed(adapter, 1)


def test_a_scenario_with_actors_goes_through_a_file() -> None:
    from sagafuzz.plain import from_plain, to_plain

    assert from_plain(Scenario, to_plain(RETURNED)) == RETURNED
