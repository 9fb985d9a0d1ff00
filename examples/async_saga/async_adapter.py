"""Tells sagafuzz of the asyncio checkout. ``async def run`` is all it takes."""

import asyncio

import async_checkout
import async_checkout_fixed

import sagafuzz

PARALLEL = sagafuzz.Saga(
    "parallel-checkout",
    [
        sagafuzz.Step("order", "order.create", undo="order.cancel", after=()),
        sagafuzz.Step("inventory", "inventory.reserve", undo="inventory.release", after=()),
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund", after=("order", "inventory")),
    ],
)

SCENARIOS = (
    sagafuzz.Scenario(name="placed", about="one order that goes through"),
    sagafuzz.Scenario(name="order-refused", about="the order service refuses", rejections=((1, "order.create"),)),
)

# One process at a time, and a database without lagging replicas.
NOT_HERE = ("second-orchestrator", "pause", "stale-read")


@sagafuzz.adapter(saga=PARALLEL, scenarios=SCENARIOS, cannot_suffer=NOT_HERE)
class AsyncShop:
    """Two steps at once with asyncio.gather, with a bug."""

    def boot(self, world):
        self.checkout = async_checkout.AsyncCheckout(db=world.store, call=world.call)

    async def run(self, order):
        return await asyncio.shield(self.checkout.place(order))  # a client who leaves stops nothing

    async def recover(self):
        await self.checkout.resume_pending()


@sagafuzz.adapter(saga=PARALLEL, scenarios=SCENARIOS, cannot_suffer=NOT_HERE)
class AsyncShopFixed(AsyncShop):
    """The same, with the bug fixed."""

    def boot(self, world):
        self.checkout = async_checkout_fixed.AsyncCheckout(db=world.store, call=world.call)
