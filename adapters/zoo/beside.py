"""Others act beside the orchestrator: a clerk, an operator, a customer who clicks twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from ...actors import Actor
from ...participant import Request, Transaction
from ...ports import CallTimeout, Unavailable
from ...saga import Outcome, Saga, Step
from ...scenario import Scenario
from .host import MutableOrchestrator
from .owners import DuplicateInstance
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


SENT_BY_HAND: Final = Saga(
    "order",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("shipping", "shipping.send", undo="shipping.recall"),
    ],
)
"""Nobody but a person packs and sends the parcel."""


def shipping(actor: Actor) -> None:
    """The clerk looks now and then whether it is paid for, and sends it."""
    for _ in range(5):
        actor.sleep(1)
        if actor.call("payment.look")["applied"]:
            actor.call("shipping.send", key="parcel-1")
            return


class WaitsForTheClerk(MutableOrchestrator):
    """Right: it waits until a clerk has sent the parcel; a cancelled order's parcel is called back, sent or not."""

    recalls = True

    def _request(self, state: Any, step: Step) -> Any:
        if step.name != "shipping":
            return super()._request(state, step)
        for _ in range(20):
            if self._cancelled(state):
                break
            with suppress(CallTimeout, Unavailable):
                if self._world.call("shipping.look", saga=state.id)["applied"]:
                    return {}
            self._world.sleep(0.5)
        raise CallTimeout("nobody sent it in time")

    def _compensate(self, state: Any) -> Outcome:
        if self.recalls and "shipping" not in state.begun:  # a clerk asks nobody before he begins
            state.begun.append("shipping")
            self._save(state, "intent", "shipping")
        elif not self.recalls and "shipping" in state.begun:
            state.begun.remove("shipping")
        return super()._compensate(state)


class CancelsWhatIsBeingShipped(WaitsForTheClerk):
    """Cancels an order for its customer while a clerk packs it: the parcel leaves all the same."""

    recalls = False


def refunding(actor: Actor) -> None:
    """The operator gives the money of a completed order back; where the page does not answer, with a second click."""
    if actor.wait() is Outcome.COMPLETED:
        for click in (1, 2):
            with suppress(CallTimeout, Unavailable):
                actor.call("payment.refund", key=f"click-{click}", amount=100)
                return


class Till(KeyedParticipant):
    """Right: it gives back what an order has paid, once."""

    def do(self, request: Request, tx: Transaction) -> Any:
        answer = super().do(request, tx)
        tx.state["taken"] = tx.state.get("taken", 0) + 100
        return answer

    def undo(self, request: Request, tx: Transaction) -> Any:
        if request.saga in tx.state:
            tx.state["taken"] -= 100
        return super().undo(request, tx)


class RefundsEachClick(Till):
    """Pays a refund for each request of an operator: nothing tells it that the order has been refunded."""

    def undo(self, request: Request, tx: Transaction) -> Any:
        tx.state["taken"] = tx.state.get("taken", 0) - 100
        return {}


class OrderEachClick(DuplicateInstance):
    """Makes an order of each request, also of the second one of a client who clicks twice."""

    asked = 0

    def execute(self, saga_id: str, request: Any) -> Outcome:
        self.asked += 1
        return self.start(saga_id, request, f"{self._world.process}-{self.asked}")


class KnowsOpenOrders(OrderEachClick):
    """Knows an order again as long as it is open; who asks once more after its end is given another."""

    def execute(self, saga_id: str, request: Any) -> Outcome:
        started = [record for _, record in self._store.items(f"saga/{saga_id}/")]
        if any(not record["outcome"] for record in started):
            return Outcome.PENDING
        return super().execute(saga_id, request)


class KnowsItsOwnOrders(OrderEachClick):
    """Knows in memory which orders it was asked for; another process knows nothing of them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.known: set[str] = set()

    def execute(self, saga_id: str, request: Any) -> Outcome:
        if saga_id in self.known:
            return Outcome.PENDING
        self.known.add(saga_id)
        return super().execute(saga_id, request)


CLERK: Final[dict[str, Any]] = {
    "saga": HELD,
    "scenario": UNSENT,
    "actors": {"clerk": capturing},
    "operations": ["payment.list"],
    "lease_s": LEASE_S,
}
RETURNS: Final[dict[str, Any]] = {
    "scenario": RETURNED,
    "actors": {"clerk": restocking},
    "operations": ["inventory.look"],
}
PACKS: Final[dict[str, Any]] = {
    "saga": SENT_BY_HAND,
    "scenario": Scenario(name="sent-by-hand", actors=("clerk",)),
    "actors": {"clerk": shipping},
    "operations": ["payment.look", "shipping.look"],
    "lease_s": LEASE_S,
}
REPAIRS: Final[dict[str, Any]] = {
    "scenario": Scenario(name="refunded", actors=("operator",)),
    "actors": {"operator": refunding},
}
ONE_ORDER: Final = system(resubmits=True, lease_s=LEASE_S)
"""Right: whoever asks for an order that there is learns how that one stands."""

MUTANTS: Final = (
    Mutant(
        name="capture-after-cancel",
        adapter=system(CancelKeepsHold, **CLERK),
        twin=system(**CLERK),
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
    Mutant(
        name="cancelled-while-shipped",
        adapter=system(CancelsWhatIsBeingShipped, **PACKS),
        twin=system(WaitsForTheClerk, **PACKS),
        invariants=("I2",),
        faults=1,
        schedule="cancel at saga-1: shipping forward, send",
        source="spree/spree#5203, OpenBazaar/openbazaar-go#757",
        concurrency=True,
        timing=True,
    ),
    Mutant(
        name="refund-each-click",
        adapter=with_service(RefundsEachClick, **REPAIRS),
        twin=with_service(Till, **REPAIRS),
        invariants=("I1",),
        faults=1,
        schedule="timeout at saga-1: payment compensation, send",
        source="coopcycle/coopcycle-web#4608",
    ),
    Mutant(
        name="order-each-click",
        adapter=system(OrderEachClick, resubmits=True, lease_s=LEASE_S),
        twin=ONE_ORDER,
        invariants=("I1",),
        faults=1,
        schedule="resubmit at saga-1: order forward, send",
        source="dancerfly/django-brambling#658",
        concurrency=True,
    ),
    Mutant(
        name="resubmitted-after-the-end",
        adapter=system(KnowsOpenOrders, resubmits=True, lease_s=LEASE_S),
        twin=ONE_ORDER,
        invariants=("I1",),
        faults=1,
        schedule="resubmit-late at saga-1: order forward, send",
        source="artefactual/archivematica#2352",
        timing=True,
    ),
    Mutant(
        name="resubmitted-elsewhere",
        adapter=system(KnowsItsOwnOrders, resubmits=True, lease_s=LEASE_S),
        twin=ONE_ORDER,
        invariants=("I1",),
        faults=1,
        schedule="resubmit-elsewhere at saga-1: order forward, send",
        source="hazelcast/hazelcast-reference-manual#530",
        concurrency=True,
    ),
)
