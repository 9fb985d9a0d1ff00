"""A durable checkout: it notes each finished step, asks again when no answer comes, and rolls back."""

import time

from sagafuzz import CallTimeout, Rejected, Unavailable

STEPS = {"order.create": "order.cancel", "inventory.reserve": "inventory.release", "payment.charge": "payment.refund"}


class Checkout:
    def __init__(self, db, call):
        self.db, self.call = db, call

    def place(self, order):
        request = {"inventory": {"item": order.item}, "payment": {"amount": order.amount}}
        return self.drive(self.save({"id": order.id, "request": request, "done": [], "undoing": False}))

    def resume_pending(self):
        for _, saga in self.db.items("checkout/"):
            self.drive(saga)

    def drive(self, saga):
        try:
            for step in STEPS:
                if step not in saga["done"] and not saga["undoing"]:
                    self.ask(step, saga, attempts=2)
                    self.save(saga, done=[*saga["done"], step])
        except (Rejected, Unavailable, CallTimeout):
            self.save(saga, undoing=True)
        while saga["undoing"] and saga["done"]:
            self.ask(STEPS[saga["done"][-1]], saga)
            self.save(saga, done=saga["done"][:-1])
        return not saga["undoing"]

    def ask(self, operation, saga, attempts=1000):
        data = saga["request"].get(operation.split(".")[0], {})
        return insist(lambda: self.call(operation, saga=saga["id"], key=f"{saga['id']}/{operation}", **data), attempts)

    def save(self, saga, **changes):
        saga.update(changes)
        insist(lambda: self.db.put(f"checkout/{saga['id']}", saga))
        return saga


def insist(act, attempts=1000):
    while True:
        try:
            return act()
        except (Unavailable, CallTimeout):
            attempts -= 1
            if not attempts:
                raise
        time.sleep(10)
