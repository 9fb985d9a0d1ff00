"""A bank that captures after it has answered: from its memory, which is wrong, or from what is durable."""

import sagafuzz

CAPTURE = sagafuzz.Saga("capture", [sagafuzz.Step("capture", "bank.capture", undo="bank.refund")])


class Bank:
    """Answers at once, and captures half a second later. ``volatile`` work is gone where it restarts."""

    volatile = False

    def handle(self, request, tx):
        if request.key in tx.memory:
            return
        tx.memory[request.key] = True
        if request.direction == "F":
            tx.later("capture", delay_ms=500, volatile=self.volatile, amount=request.payload["amount"])
        else:
            tx.owner(request.saga)
            tx.balance("captured", request.saga, -tx.balance("captured", request.saga))

    def work(self, job, tx):
        tx.balance("captured", job.saga, job.payload["amount"])
        tx.effect(job.saga, job.step)


class InMemory(Bank):
    """Wrong: it has answered, and remembers only in memory that it is still to capture."""

    volatile = True


@sagafuzz.rule(reads="rest")
def captured_once(view):
    """Of who was told to be completed exactly the order's amount is captured."""
    for saga, outcome in view.rest.told.items():
        captured = view.rest.balance("bank.captured", saga)
        if outcome == "completed" and captured != view.orders[saga].amount:
            yield f"{saga} is completed, and {captured} is captured of {view.orders[saga].amount}"


ONE = (sagafuzz.Scenario(),)
DIES = ("crash-before-send", "crash-after-send", "crash-after-effect", "crash-after-ack")


@sagafuzz.adapter(
    saga=CAPTURE, scenarios=ONE, participants={"bank": Bank}, invariants=[captured_once], cannot_suffer=DIES
)
class Captures:
    """Asks until it is answered, and gives the bank time."""

    def boot(self, world):
        self.world = world

    def run(self, order):
        while True:
            try:
                self.world.call("bank.capture", saga=order.id, key=order.id, amount=order.amount)
                break
            except sagafuzz.Rejected:
                return False
            except sagafuzz.PortError:
                self.world.sleep(0.2)
        self.world.sleep(2)
        return True


@sagafuzz.adapter(
    saga=CAPTURE, scenarios=ONE, participants={"bank": InMemory}, invariants=[captured_once], cannot_suffer=DIES
)
class CapturesFromMemory(Captures):
    """The same at the bank that keeps its work in memory."""
