"""Tells sagafuzz of the asyncio checkout. ``async def run`` is all it takes."""

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


@sagafuzz.adapter(saga=PARALLEL, scenarios=SCENARIOS)
class AsyncShop:
    """Two steps at once with asyncio.gather, with a bug."""

    def boot(self, world):
        self.checkout = async_checkout.AsyncCheckout(db=world.store, call=world.call)

    async def run(self, order):
        return await self.checkout.place(order)

    async def recover(self):
        await self.checkout.resume_pending()


@sagafuzz.adapter(saga=PARALLEL, scenarios=SCENARIOS)
class AsyncShopFixed(AsyncShop):
    """The same, with the bug fixed."""

    def boot(self, world):
        self.checkout = async_checkout_fixed.AsyncCheckout(db=world.store, call=world.call)
