"""The orders under test, with a clerk beside them, and a client who may send an order again."""

from orders import KeepsHolds, Orders

import sagafuzz

SAGA = sagafuzz.Saga(
    "order",
    [
        sagafuzz.Step("order", "order.create", undo="order.cancel"),
        sagafuzz.Step("hold", "payment.hold", undo="payment.void"),
        sagafuzz.Step("supplier", "supplier.accept"),
        sagafuzz.Step("capture", "payment.capture", undo="payment.refund"),
    ],
)


def clerk(actor):
    """A day later the clerk goes through the list of payments, and captures what is still held."""
    actor.sleep(86_400)
    for order in actor.orders:
        if actor.call("payment.list", saga=order.id)["applied"]:
            actor.call("payment.capture", saga=order.id, key=f"{order.id}/payment.capture")


UNACCEPTED = sagafuzz.Scenario(name="unaccepted", rejections=((1, "supplier.accept"),), actors=("clerk",))
ACCEPTED = sagafuzz.Scenario(name="accepted", actors=("clerk",))
DECLARED = {
    "saga": SAGA,
    "scenarios": [UNACCEPTED, ACCEPTED],
    "operations": ["payment.list"],
    "actors": {"clerk": clerk},
    "resubmits": True,
    "cannot_suffer": ["pause", "second-orchestrator", "stale-read"],  # there is one process
}


@sagafuzz.adapter(**DECLARED)
class Shop:
    """Voids what it holds for an order that it cancels."""

    orders = Orders

    def boot(self, world):
        self.found = self.orders(world)

    def run(self, order):
        return self.found.place(order)

    def recover(self):
        self.found.resume()


@sagafuzz.adapter(**DECLARED)
class ShopKeepsHolds(Shop):
    """Cancels an order and leaves its money held, for a clerk to find."""

    orders = KeepsHolds
