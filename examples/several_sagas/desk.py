"""A desk that serves two kinds of orders: what is sold, and what is exchanged. Each has steps of its own."""

from sagafuzz import CallTimeout, Outcome, Rejected, Unavailable


class Desk:
    def __init__(self, world, steps):
        self.world, self.store, self.steps = world, world.store, steps

    def run(self, id, kind, payload):
        return self.drive({"id": id, "kind": kind, "payload": payload, "undoing": False, "over": False})

    def resume(self):
        for _, state in self.store.items("desk/"):
            if not state["over"]:
                self.world.reply(state["id"], self.drive(state))

    def drive(self, state):
        if not state["undoing"]:
            self.save(state, "create")
            try:
                for step in self.sequence(state):
                    self.ask(state, step, step.operation)
            except Rejected:
                state["undoing"] = True
        outcome = Outcome.COMPLETED
        if state["undoing"]:
            self.save(state, "compensating")
            outcome = self.undo(state)
        state["over"] = True
        self.save(state, "terminal")
        return outcome

    def sequence(self, state):
        return self.steps[state["kind"]]

    def undo(self, state):
        """Undo whatever may have been done: what was not is answered with success as well."""
        outcome = Outcome.COMPENSATED
        for step in reversed(self.sequence(state)):
            try:
                self.ask(state, step, step.undo, attempts=5)
            except (CallTimeout, Unavailable):
                outcome = Outcome.STUCK
                self.world.dead_letter(state["id"], reason=f"{step.undo} keeps failing")
                self.world.alert(state["id"], reason=f"{step.undo} by hand")
        return outcome

    def ask(self, state, step, operation, attempts=1000):
        """Ask until there is an answer, each time under the same key."""
        id, key = state["id"], f"{state['id']}/{step.name}"
        self.insist(lambda: self.world.call(operation, saga=id, key=key, **state["payload"]), attempts)

    def save(self, state, record):
        self.insist(lambda: self.store.put(f"desk/{state['id']}", state, record=record, saga=state["id"]))

    def insist(self, act, attempts=1000):
        while True:
            try:
                return act()
            except (CallTimeout, Unavailable):
                attempts -= 1
                if not attempts:
                    raise
                self.world.sleep(10)
