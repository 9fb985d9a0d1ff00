"""Others act beside the orchestrator: a clerk, an operator, a customer who clicks twice."""

from __future__ import annotations

from typing import Any, Final

from ...actors import Actor
from ...ports import Request, Transaction
from ...saga import Saga, Step
from ...scenario import Scenario
from .host import MutableOrchestrator
from .parts import LEASE_S, KeyedParticipant, Mutant, system, with_service

HELD: Final = Saga(
    "order",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("hold", "payment.hold", undo="payment.void"),
        Step("shipping", "shipping.send"),
        Step("capture", "payment.capture", undo="payment.refund"),
    ],
)
"""The money is held first, and captured when the parcel has left."""

UNSENT: Final = Scenario(name="unsent", rejections=((1, "shipping.send"),), actors=("clerk",))
RETURNED: Final = Scenario(name="returned", rejections=((1, "payment.charge"),), actors=("clerk",))


def capturing(actor: Actor) -> None:
    """A day later the clerk goes through the payments that are not captured, and captures them."""
    actor.sleep(86_400)
    if actor.call("payment.list")["applied"]:
        actor.call("payment.capture", key="saga-1/capture", amount=100)


class CancelKeepsHold(MutableOrchestrator):
    """Cancels an order and leaves the money held; a clerk finds it among the uncaptured payments, and captures it."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        return step.name == "hold" or super()._undo(state, step, operation)


def restocking(actor: Actor) -> None:
    """The clerk sees that the order took something from stock, and puts it back."""
    actor.sleep(0.005)
    if actor.call("inventory.look")["taken"]:
        actor.call("inventory.release", key="return-1")


class Shelf(KeyedParticipant):
    """Right: what an order took is put back once, whoever puts it back."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        if request.operation == "inventory.look":
            return {"taken": request.saga in tx.state}
        return super().handle(request, tx)

    def do(self, request: Request, tx: Transaction) -> Any:
        answer = super().do(request, tx)
        tx.state["free"] = tx.state.get("free", 10) - 1
        return answer

    def undo(self, request: Request, tx: Transaction) -> Any:
        if request.saga in tx.state:
            tx.state["free"] += 1
        return super().undo(request, tx)


class RestocksTwice(Shelf):
    """Puts what a cancelled order had taken back in stock, whether or not a clerk has done so already."""

    def undo(self, request: Request, tx: Transaction) -> Any:
        tx.state["free"] = tx.state.get("free", 10) + 1
        return KeyedParticipant.undo(self, request, tx)


CLERK: Final[dict[str, Any]] = {
    "saga": HELD,
    "scenario": UNSENT,
    "actors": {"clerk": capturing},
    "operations": ["payment.list"],
}
RETURNS: Final[dict[str, Any]] = {
    "scenario": RETURNED,
    "actors": {"clerk": restocking},
    "operations": ["inventory.look"],
}

MUTANTS: Final = (
    Mutant(
        name="capture-after-cancel",
        adapter=system(CancelKeepsHold, lease_s=LEASE_S, **CLERK),
        twin=system(lease_s=LEASE_S, **CLERK),
        invariants=("I5", "I15"),
        faults=0,
        schedule="no fault",
        source="Automattic/woocommerce-payments#5605",
        timing=True,
    ),
    Mutant(
        name="restock-twice",
        adapter=with_service(RestocksTwice, "inventory", **RETURNS),
        twin=with_service(Shelf, "inventory", **RETURNS),
        invariants=("I1",),
        faults=0,
        schedule="no fault",
        source="woocommerce/woocommerce#22489",
        concurrency=True,
    ),
)
