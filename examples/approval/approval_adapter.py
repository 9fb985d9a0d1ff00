"""A purchase that a clerk has to approve within a day; a timer ends the wait."""

import sagafuzz
from sagafuzz import CallTimeout, Conflict, Outcome, Rejected, StoreUnavailable, Unavailable

DAY_MS = 24 * 3_600_000

PURCHASE = sagafuzz.Saga(
    "purchase",
    [
        sagafuzz.Step("order", "order.create", undo="order.cancel"),
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
    ],
)


def clerk(actor):
    """Comes an hour later, and approves."""
    actor.sleep(3_600)
    actor.signal("approved")


DECLARED = {
    "saga": PURCHASE,
    "scenarios": [sagafuzz.Scenario(name="approved", about="a clerk approves in time", actors=("clerk",))],
    "actors": {"clerk": clerk},
}


class Base:
    """Everything but who decides."""

    def boot(self, world):
        self.world = world

    def run(self, order):
        record = {"amount": order.amount, "state": "new"}
        self.again(lambda: self.world.store.put(order.id, record, record="create", saga=order.id))
        return self.wait(order.id)

    def recover(self):
        for _ in range(2):  # a replica that lags may not show an order at the first look
            for saga, record in self.world.store.items():
                if record["state"] == "new":
                    self.world.reply(saga, self.wait(saga))
            self.world.sleep(1)

    def wait(self, saga):
        try:
            self.ask("order.create", saga)
        except Rejected:  # then there is nothing to approve
            self.change(saga, "new", "refused")
            return Outcome.COMPENSATED
        self.world.publish("time is up", saga=saga, delay_ms=DAY_MS)
        self.change(saga, "new", "waiting")
        return Outcome.PENDING

    def buy(self, saga):
        try:
            self.ask("payment.charge", saga, amount=self.world.store.get(saga)["amount"])
        except Rejected:
            self.cancel_it(saga)
        else:
            self.end(saga, Outcome.COMPLETED)

    def cancel_it(self, saga):
        self.ask("order.cancel", saga)
        self.end(saga, Outcome.COMPENSATED)

    def end(self, saga, outcome):
        record = self.world.store.get(saga) | {"outcome": outcome.value}
        self.again(lambda: self.world.store.put(saga, record, record="terminal", saga=saga))
        self.world.reply(saga, outcome)

    def change(self, saga, before, after):
        """Decide: whether the record is in the state ``after`` now, by us or by a delivery before."""
        while (record := self.world.store.get(saga))["state"] == before:
            try:
                self.again(
                    lambda: self.world.store.put(
                        saga, record | {"state": after}, record=after, saga=saga, guard={"state": before}
                    )
                )
            except Conflict:  # somebody else decided meanwhile, or this replica lags
                self.world.sleep(0.1)
        return record["state"] == after

    def ask(self, operation, saga, **payload):
        return self.again(lambda: self.world.call(operation, saga=saga, key=f"{saga}/{operation}", **payload))

    def again(self, act):
        while True:
            try:
                return act()
            except (CallTimeout, Unavailable, StoreUnavailable):
                self.world.sleep(0.5)


@sagafuzz.adapter(**DECLARED)
class Purchase(Base):
    """Buys when it is approved, cancels when the time is up."""

    def receive(self, message):
        if message.topic == "approved":
            self.buy(message.saga)
        elif "outcome" not in self.world.store.get(message.saga):
            self.cancel_it(message.saga)


@sagafuzz.adapter(**DECLARED)
class PurchaseRight(Base):
    """Lets the first of the two decide, durably, and the other one change nothing."""

    def receive(self, message):
        record = self.world.store.get(message.saga, {"state": "new"})
        if record["state"] == "new":
            raise LookupError("the order does not wait yet")  # then the message comes again
        if message.topic == "approved":
            if self.change(message.saga, "waiting", "approved"):
                self.buy(message.saga)
        elif self.change(message.saga, "waiting", "expired"):
            self.cancel_it(message.saga)
