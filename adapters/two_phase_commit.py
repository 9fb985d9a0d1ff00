"""The checkout as one atomic transaction, by two-phase commit: what the sagas are contrasted with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..participant import Participant, Request
from ..ports import ISOLATION, Rejected, World, adapter
from ..reference_saga.coordinator import Coordinator
from ..reference_saga.resource import Resource
from ..reference_saga.stores.port import PortStore
from ..reference_saga.two_phase_commit import PREPARE, VOTES, as_saga
from ..saga import Outcome
from ..scenario import Order, Scenario, default_scenarios
from .checkout import OVER_THE_LIMIT

PARTICIPANTS: Final = ("order", "inventory", "payment")
CHECKOUT: Final = as_saga("checkout", PARTICIPANTS)

STOCK: Final = 1
"""Pieces of each item at the start: two that want one are too many."""

FUNDS: Final = 1_000
"""What each account has at the start."""

AT_ONCE: Final = Scenario(
    name="two-at-once",
    about="two orders at once of different items, on one account",
    sagas=2,
    items=("item-1", "item-2"),
)

WANTED: Final = {"inventory": ("item", "quantity"), "payment": ("account", "amount")}


def payload(participant: str, request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in WANTED.get(participant, ())}


class Orders(Resource):
    """One row an order."""

    def rows(self, request: Request) -> tuple[str, ...]:
        return (request.saga,)

    def work(self, request: Request, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {request.saga: "placed"}


class Counted(Resource):
    """One row for each thing that there is a number of."""

    thing = ""
    number = ""
    endowment = 0
    short = ""

    def rows(self, request: Request) -> tuple[str, ...]:
        return (request.payload[self.thing],)

    def work(self, request: Request, values: Mapping[str, Any]) -> Mapping[str, Any]:
        ((row, value),) = values.items()
        left = (self.endowment if value is None else value) - request.payload[self.number]
        if left < 0:
            raise Rejected(self.short)
        return {row: left}


class Stock(Counted):
    """The pieces of each item."""

    thing, number, endowment, short = "item", "quantity", STOCK, "out of stock"


class Accounts(Counted):
    """The money in each account."""

    thing, number, endowment, short = "account", "amount", FUNDS, "insufficient funds"


RESOURCES: Final[Mapping[str, type[Participant]]] = {"order": Orders, "inventory": Stock, "payment": Accounts}


@adapter(
    saga=CHECKOUT,
    name="two-phase-commit",
    scenarios=(*default_scenarios(CHECKOUT), AT_ONCE, OVER_THE_LIMIT),
    participants=RESOURCES,
    max_attempts={f"{participant}.{PREPARE}": VOTES.attempts for participant in PARTICIPANTS},
    isolation=ISOLATION,
)
class TwoPhaseCommit:
    """Two-phase commit with presumed abort: atomic and isolated, and its rows stay locked while nobody decides."""

    def boot(self, world: World) -> None:
        self.coordinator = Coordinator(PARTICIPANTS, ports=world, store=PortStore(world.store), payload=payload)

    def run(self, order: Order) -> Outcome:
        request = {"item": order.item, "quantity": order.quantity, "account": order.account, "amount": order.amount}
        return self.coordinator.execute(order.id, request)

    def recover(self) -> None:
        self.coordinator.resume_pending()
