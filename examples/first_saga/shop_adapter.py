"""Tells sagafuzz what the checkout should do, and how to run it."""

import checkout
import checkout_fixed

import sagafuzz

CHECKOUT = sagafuzz.Saga(
    "checkout",
    [
        sagafuzz.Step("order", "order.create", undo="order.cancel"),
        sagafuzz.Step("inventory", "inventory.reserve", undo="inventory.release"),
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
    ],
)


@sagafuzz.adapter(saga=CHECKOUT, cannot_suffer=["stale-read"])  # its database has no replicas
class ShopCheckout:
    """The checkout of the shop, with a bug."""

    def boot(self, world):  # a new process: at the start, and again after each crash
        self.checkout = checkout.Checkout(db=world.store, call=world.call)

    def run(self, order):  # what a client asks for
        return self.checkout.place(order)

    def recover(self):  # after a restart
        self.checkout.resume_pending()


@sagafuzz.adapter(saga=CHECKOUT, cannot_suffer=["stale-read"])
class ShopCheckoutFixed(ShopCheckout):
    """The same, with the bug fixed."""

    def boot(self, world):
        self.checkout = checkout_fixed.Checkout(db=world.store, call=world.call)
