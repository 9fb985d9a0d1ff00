"""The desk under test, and one that takes everything for an order when it comes back."""

from desk import Desk

import sagafuzz

STOCK = sagafuzz.Step("stock", "inventory.reserve", undo="inventory.release")
PARCEL = sagafuzz.Step("parcel", "shipping.send", undo="shipping.recall")

ORDER = sagafuzz.Saga("order", [STOCK, sagafuzz.Step("payment", "payment.charge", undo="payment.refund"), PARCEL])
EXCHANGE = sagafuzz.Saga(
    "exchange", [STOCK, sagafuzz.Step("pickup", "returns.collect", undo="returns.bring_back"), PARCEL]
)
STEPS = {"order": ORDER.steps, "exchange": EXCHANGE.steps}

ONE_EACH = sagafuzz.Scenario(name="one-each", sagas=2, gap_ms=100, of=("order", "exchange"))
UNSENT = sagafuzz.Scenario(
    name="unsent", sagas=2, gap_ms=100, of=("order", "exchange"), rejections=((2, "shipping.send"),)
)
ONE_PROCESS = ("second-orchestrator", "pause", "stale-read", "lost-write")  # nothing keeps two of it apart
DECLARED = {"saga": ORDER, "sagas": [EXCHANGE], "scenarios": [ONE_EACH, UNSENT], "cannot_suffer": ONE_PROCESS}


@sagafuzz.adapter(**DECLARED)
class Shop:
    """Keeps with each order what it is of."""

    make = Desk

    def boot(self, world):
        self.desk = self.make(world, STEPS)

    def run(self, order):
        return self.desk.run(order.id, order.saga, {"item": order.item, "amount": order.amount})

    def recover(self):
        self.desk.resume()


class OrdersOnly(Desk):
    """Wrong: what is taken up after a restart is taken for an order."""

    def resume(self):
        self.steps = dict.fromkeys(self.steps, self.steps["order"])
        super().resume()


@sagafuzz.adapter(**DECLARED)
class Mixed(Shop):
    """Charges who only wanted to exchange something."""

    make = OrdersOnly
