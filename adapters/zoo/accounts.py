"""Accounts and stocks of participants of one's own: none holds less than nothing, and each change counts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from ...actors import Actor
from ...participant import Request, Transaction
from ...ports import CallTimeout, Rejected, Unavailable
from ...saga import Outcome, Step
from ...scenario import Scenario
from .host import MutableOrchestrator
from .parts import DECLINED, LEASE_S, Mutant, system, told


class Reserves:
    """Right: what is held for a saga is given back once, and only what is held."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        closed, done = f"closed {request.saga}", f"done {request.operation} {request.key}"
        if done in tx.memory:
            return None
        if request.direction == "F":
            if closed in tx.memory:
                raise Rejected("already given back")
            tx.balance("reserved", request.saga, 1)
        else:
            tx.balance("reserved", request.saga, -self.back(tx.balance("reserved", request.saga)))
            tx.memory[closed] = True
        self.note(request, tx, done)
        return None

    def back(self, held: int) -> int:
        """How much an undo gives back of what is held."""
        return held

    def note(self, request: Request, tx: Transaction, done: str) -> None:
        """Remember that a request was handled."""
        tx.memory[done] = True


class CancelsTwice(Reserves):
    """Adds what was reserved to the stock at each cancellation, however often it is told."""

    def back(self, held: int) -> int:
        return 1

    def note(self, request: Request, tx: Transaction, done: str) -> None:
        if request.direction == "F":
            super().note(request, tx, done)


class PhantomRefund(Reserves):
    """Gives back what was asked for, without a look at whether it was ever taken."""

    def back(self, held: int) -> int:
        return 1


class Acquirer:
    """Right: what a bank has charged back is not there to be refunded."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen = f"{request.operation} {request.key}"
        if seen in tx.memory:
            return {}
        if request.direction == "F":
            if "closed" in tx.memory:
                raise Rejected("already refunded")
            tx.balance("taken", request.saga, request.payload["amount"])
        else:
            tx.memory["closed"] = True
            self.give_back(request, tx)
        tx.memory[seen] = True
        return {}

    def give_back(self, request: Request, tx: Transaction) -> None:
        """Refund, or take back for the bank, what is left."""
        tx.owner(request.saga)
        tx.balance("taken", request.saga, -tx.balance("taken", request.saga))


class RefundsWhatWasChargedBack(Acquirer):
    """Refunds a payment that the customer disputes: his bank has taken the money back already."""

    def give_back(self, request: Request, tx: Transaction) -> None:
        tx.balance("taken", request.saga, -100)


def disputing(actor: Actor) -> None:
    """The customer's bank takes the money back, a day later."""
    if actor.wait() is Outcome.COMPLETED:
        actor.sleep(86_400)
        _until_answered(actor, "payment.charge_back", "dispute-1")


def refunding(actor: Actor) -> None:
    """The merchant refunds the same order, a day after that."""
    if actor.wait() is Outcome.COMPLETED:
        actor.sleep(2 * 86_400)
        _until_answered(actor, "payment.refund", "refund-1")


def _until_answered(actor: Actor, operation: str, key: str) -> None:
    for _ in range(10):
        with suppress(CallTimeout, Unavailable):
            actor.call(operation, key=key)
            return
        actor.sleep(60)


class Shelf:
    """Right: tells how much is left, and counts down by one where nobody tells it what to save."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen = f"{request.operation} {request.key}"
        if request.operation == "inventory.look":
            return {"left": tx.read("left", tx.stock)}
        if seen in tx.memory:
            return {}
        if request.direction == "F":
            self.take(request, tx)
        else:
            tx.owner(request.saga)
            tx.memory[f"released {request.saga}"] = True
            if tx.state.pop(f"taken {request.saga}", False):
                tx.add("left", 1)
        tx.memory[seen] = True
        return {}

    def take(self, request: Request, tx: Transaction) -> None:
        if f"released {request.saga}" in tx.memory:
            raise Rejected("already released")
        tx.state[f"taken {request.saga}"] = True
        tx.state.setdefault("left", tx.stock)
        if "left" in request.payload:
            tx.write("left", request.payload["left"])
        else:
            tx.add("left", -1)


class CountsInTheDatabase(MutableOrchestrator):
    """Right: looks whether there is enough, and lets the database count down."""

    def _request(self, state: Any, step: Step) -> Any:
        if step.name == "inventory":
            state.done["left"] = self._look(state)
            if state.done["left"] < 1:
                raise Rejected("sold out")
        return super()._request(state, step)

    def _look(self, state: Any) -> int:
        for wait in self._policy.backoffs():
            with suppress(CallTimeout, Unavailable):
                return int(self._world.call("inventory.look", saga=state.id)["left"])
            self._world.sleep(wait)
        raise AssertionError("the waits have no end")


class SavesTheProduct(CountsInTheDatabase):
    """Reads the product, counts one down in memory, and saves it: of two that do so at once one counts for nothing."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        if operation != "inventory.reserve":
            return super()._call(state, step, operation)
        key = f"{state.id}/{step.name}"
        return self._world.call(operation, saga=state.id, key=key, epoch=state.epoch, left=state.done["left"] - 1)


def _stock(make: type[Reserves]) -> Any:
    about = "" if make is Reserves else told(make)
    return system(MutableOrchestrator, about=about, scenario=DECLINED, participants={"inventory": make})


def _disputed(make: type[Acquirer]) -> Any:
    about = "" if make is Acquirer else told(make)
    return system(
        MutableOrchestrator,
        about=about,
        scenario=Scenario(name="disputed", actors=("bank", "merchant")),
        participants={"payment": make},
        actors={"bank": disputing, "merchant": refunding},
        operations=["payment.charge_back"],
        lease_s=LEASE_S,
    )


def _counted(make: type[CountsInTheDatabase]) -> Any:
    return system(
        make,
        scenario=Scenario(name="two-at-once", sagas=2),
        participants={"inventory": Shelf},
        operations=["inventory.look"],
        isolation=["lost-update"],
    )


RESERVES: Final = _stock(Reserves)

MUTANTS: Final = (
    Mutant(
        name="cancels-reservation-twice",
        adapter=_stock(CancelsTwice),
        twin=RESERVES,
        invariants=("I17", "I9"),
        faults=1,
        schedule="partition-answers at saga-1: inventory forward, send",
        source="mollie/magento2#500",
    ),
    Mutant(
        name="phantom-refund",
        adapter=_stock(PhantomRefund),
        twin=RESERVES,
        invariants=("I17", "I7"),
        faults=1,
        schedule="partition at saga-1: inventory forward, send",
        source="Scottcjn/Rustchain#7951",
    ),
    Mutant(
        name="chargeback-and-refund",
        adapter=_disputed(RefundsWhatWasChargedBack),
        twin=_disputed(Acquirer),
        invariants=("I17",),
        faults=0,
        schedule="no fault",
        source="antiwork/gumroad#4372, Automattic/woocommerce-payments#6378",
        timing=True,
    ),
    Mutant(
        name="stock-lost-update",
        adapter=_counted(SavesTheProduct),
        twin=_counted(CountsInTheDatabase),
        invariants=("I25",),
        faults=0,
        schedule="no fault",
        source="nopSolutions/nopCommerce#8085, jingfreeks/dells-softwares#365",
        concurrency=True,
    ),
)
