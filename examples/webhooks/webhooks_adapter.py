"""A shop that ships an order when the webhook of the payment service says that it was charged."""

import sagafuzz
from sagafuzz import CallTimeout, Outcome, Rejected, StoreUnavailable, Unavailable

SALE = sagafuzz.Saga(
    "sale",
    [
        sagafuzz.Step("order", "order.create", undo="order.cancel"),
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund", pivot=True),
        sagafuzz.Step("shipping", "shipping.send", retriable=True),
    ],
)

DECLARED = {
    "saga": SALE,
    "scenarios": [sagafuzz.Scenario(name="sold", about="one order that goes through")],
    "emits": {"payment.charge": "payment.charged"},
}


class Base:
    """Everything but what is done with a webhook."""

    def boot(self, world):
        self.world = world

    def run(self, order):
        self.keep(order.id, {"amount": order.amount, "state": "new"}, "create")
        return self.buy(order.id, order.amount)

    def recover(self):
        for _ in range(2):  # a replica that lags may not show an order at the first look
            for saga, record in self.world.store.items():
                if record["state"] == "new":
                    self.world.reply(saga, self.buy(saga, record["amount"]))
            self.world.sleep(1)

    def buy(self, saga, amount):
        self.ask("order.create", saga)
        try:
            self.ask("payment.charge", saga, amount=amount)
        except Rejected:
            self.ask("order.cancel", saga)
            return self.end(saga, Outcome.COMPENSATED)
        if self.world.store.get(saga)["state"] == "new":
            self.keep(saga, {"amount": amount, "state": "paid"}, "paid")
        return Outcome.PENDING

    def ship(self, saga):
        self.ask("shipping.send", saga)
        self.world.reply(saga, self.end(saga, Outcome.COMPLETED))

    def end(self, saga, outcome):
        self.keep(saga, {"state": "over", "outcome": outcome.value}, "terminal")
        return outcome

    def ask(self, operation, saga, **payload):
        return self.again(lambda: self.world.call(operation, saga=saga, key=f"{saga}/{operation}", **payload))

    def keep(self, saga, record, kind):
        self.again(lambda: self.world.store.put(saga, record, record=kind, saga=saga))

    def again(self, act):
        while True:
            try:
                return act()
            except (CallTimeout, Unavailable, StoreUnavailable):
                self.world.sleep(0.5)


@sagafuzz.adapter(**DECLARED)
class Shop(Base):
    """Ships what the record says is paid."""

    def receive(self, message):
        if self.world.store.get(message.saga)["state"] == "paid":
            self.ship(message.saga)


@sagafuzz.adapter(**DECLARED)
class ShopRight(Base):
    """Believes the webhook, and ships what is not over."""

    def receive(self, message):
        if self.world.store.get(message.saga, {"state": ""})["state"] != "over":
            self.ship(message.saga)
