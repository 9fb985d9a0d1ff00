"""The checkout saga that the built-in adapters run: order, inventory, payment."""

from __future__ import annotations

from ..saga import Saga, Step
from ..scenario import Scenario, default_scenarios

CHECKOUT = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("inventory", "inventory.reserve", undo="inventory.release"),
        Step("payment", "payment.charge", undo="payment.refund"),
    ],
)

OVER_THE_LIMIT = Scenario(
    name="over-the-limit",
    about="item 55 for $1500 on a card with a limit of $1000",
    items=("55",),
    amounts=(1500,),
    limit=1000,
)

SCENARIOS = default_scenarios(CHECKOUT)
