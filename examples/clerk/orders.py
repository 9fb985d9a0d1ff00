"""Orders whose money is held until the supplier accepts. Nothing of it knows a test tool."""

from sagafuzz import Conflict, Outcome, PortError, Rejected, StoreUnavailable

STEPS = [
    ("order.create", "order.cancel"),
    ("payment.hold", "payment.void"),
    ("supplier.accept", None),
    ("payment.capture", "payment.refund"),
]


class Orders:
    """One record an order: how many steps are done, whether they are being undone, and how it ended."""

    never_undone = ()

    def __init__(self, world):
        self.world = world

    def place(self, order):
        """Start an order, or say how it stands: its client may ask for it again."""
        new = {"id": order.id, "amount": order.amount, "done": 0, "undoing": False, "outcome": "pending"}
        known = self.world.store.get(order.id)
        if known is None:
            try:
                self.save(new, guard={})
            except Conflict:
                return Outcome.PENDING
            return self.drive(new)
        return Outcome(known["outcome"])

    def resume(self):
        """Go on with what has no end yet, as after a crash."""
        for _key, record in self.world.store.items(""):
            if record["outcome"] == "pending":
                self.drive(record)

    def drive(self, record):
        """Forward until a step is refused, then back."""
        while record["done"] < len(STEPS) and not record["undoing"]:
            if self.ask(record, STEPS[record["done"]][0]):
                record["done"] += 1
            else:
                record["undoing"] = True
            self.save(record)
        if record["undoing"]:
            for _, undo in reversed(STEPS[: record["done"]]):
                if undo is not None and undo not in self.never_undone:
                    self.ask(record, undo)
        record["outcome"] = "compensated" if record["undoing"] else "completed"
        self.save(record)
        return Outcome(record["outcome"])

    def ask(self, record, operation):
        """Ask under one key until the answer is definite; whether it is a yes."""
        while True:
            try:
                self.world.call(operation, saga=record["id"], key=f"{record['id']}/{operation}")
            except Rejected:
                return False
            except PortError:
                self.world.sleep(0.1)
            else:
                return True

    def save(self, record, guard=None):
        """Make the record durable. Raises Conflict where there was one already."""
        while True:
            try:
                return self.world.store.put(record["id"], record, saga=record["id"], guard=guard)
            except StoreUnavailable:
                if guard is not None and self.world.store.get(record["id"]) == record:
                    return None  # it is ours; only the answer was an error
                self.world.sleep(0.1)


class KeepsHolds(Orders):
    """Cancels an order and leaves its money held."""

    never_undone = ("payment.void",)
