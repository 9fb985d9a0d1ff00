"""An order of several lines: each is reserved by a request of its own, under a key of its own."""

from sagafuzz import CallTimeout, Outcome, Rejected, Unavailable


class Checkout:
    def __init__(self, world):
        self.world, self.store = world, world.store

    def run(self, id, lines, amount):
        return self.drive({"id": id, "lines": lines, "amount": amount, "revision": 0, "undoing": False, "over": False})

    def resume(self):
        for key, _ in self.store.items("order/"):
            state = self.store.get(key)
            if not state["over"]:
                self.world.reply(state["id"], self.drive(state))

    def drive(self, state):
        if not state["undoing"]:
            self.save(state, "create" if not state["revision"] else "adopt")
            try:
                for line in state["lines"]:
                    self.ask(state, "inventory.reserve", line, part=line, item=line)
                self.ask(state, "payment.charge", "payment", amount=state["amount"])
            except Rejected:
                state["undoing"] = True
        outcome = Outcome.COMPLETED
        if state["undoing"]:
            self.save(state, "compensating")
            outcome = self.undo(state)
        state["over"] = True
        self.save(state, "terminal")
        return outcome

    def undo(self, state):
        """Undo whatever may have been taken: what was not is answered with success as well."""
        outcome = Outcome.COMPENSATED
        for line in ("payment", *reversed(self.reserved(state))):
            try:
                if line == "payment":
                    self.ask(state, "payment.refund", line, attempts=5, amount=state["amount"])
                else:
                    self.ask(state, "inventory.release", line, attempts=5, part=line, item=line)
            except (CallTimeout, Unavailable):
                outcome = Outcome.STUCK
                self.world.dead_letter(state["id"], reason=f"the undo of {line} keeps failing")
                self.world.alert(state["id"], reason=f"undo {line} by hand")
        return outcome

    def reserved(self, state):
        return state["lines"]

    def ask(self, state, operation, what, attempts=1000, **payload):
        """Ask until there is an answer, each time under the same key."""
        key = f"{state['id']}/{what}"
        return self.insist(lambda: self.world.call(operation, saga=state["id"], key=key, **payload), attempts)

    def save(self, state, record):
        state["revision"] += 1
        self.insist(lambda: self.store.put(f"order/{state['id']}", state, record=record, saga=state["id"]))

    def insist(self, act, attempts=1000):
        while True:
            try:
                return act()
            except (CallTimeout, Unavailable):
                attempts -= 1
                if not attempts:
                    raise
                self.world.sleep(10)
