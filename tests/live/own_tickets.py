"""A sale that hands a refund over to a person by a ticket, for the live world and the simulator alike."""

from __future__ import annotations

from typing import Any, ClassVar

import sagafuzz
from sagafuzz import Outcome, PortError, Rejected

SAGA = sagafuzz.Saga(
    "sale",
    [
        sagafuzz.Step("pay", "payment.charge", undo="payment.refund"),
        sagafuzz.Step("ship", "shipping.book"),
    ],
)
NO_CARRIER = sagafuzz.Scenario(name="no-carrier", rejections=[(1, "shipping.book")])


@sagafuzz.adapter(saga=SAGA, scenarios=[NO_CARRIER], operations=["desk.open"])
class Silent:
    """Opens a ticket, and does not declare what that is."""

    payload: ClassVar[dict[str, str]] = {"step": "pay"}

    def boot(self, world: Any) -> None:
        self.world = world

    def run(self, order: Any) -> Outcome:
        self.world.call("payment.charge", saga=order.id, key=f"{order.id}/charge", amount=order.amount)
        try:
            self.world.call("shipping.book", saga=order.id, key=f"{order.id}/book")
        except Rejected:
            return self.hand_over(order)
        return Outcome.COMPLETED

    def hand_over(self, order: Any) -> Outcome:
        for _ in range(3):
            try:
                self.world.call("desk.open", saga=order.id, key=f"{order.id}/ticket", **self.payload)
                break
            except PortError:
                self.world.sleep(1)
        return Outcome.STUCK


@sagafuzz.adapter(saga=SAGA, scenarios=[NO_CARRIER], operations=["desk.open"], tickets=["desk.open"])
class Declared(Silent):
    """Says that a ticket calls a person."""


@sagafuzz.adapter(saga=SAGA, scenarios=[NO_CARRIER], operations=["desk.open"], tickets=["desk.open"])
class OfTheWhole(Silent):
    """Puts the saga aside, and not a step of it."""

    payload: ClassVar[dict[str, str]] = {}
