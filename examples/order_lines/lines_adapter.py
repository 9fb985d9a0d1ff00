"""The checkout of several lines, and one that forgets the lines before the one that was refused."""

from checkout import Checkout

import sagafuzz

ORDER = sagafuzz.Saga(
    "order",
    [
        sagafuzz.Step("reserve", "inventory.reserve", undo="inventory.release", many=True),
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
    ],
)

LINES = {"lines": ["bolt", "nut"]}
SCENARIOS = (
    sagafuzz.Scenario(name="two-lines", data=LINES),
    sagafuzz.Scenario(name="declined", data=LINES, rejections=((1, "payment.charge"),)),
    sagafuzz.Scenario(name="no-nuts", data=LINES, rejections=((1, "inventory.reserve[nut]"),)),
)
ONE_PROCESS = ("second-orchestrator", "pause", "stale-read", "lost-write")  # nothing keeps two of it apart


@sagafuzz.adapter(saga=ORDER, scenarios=SCENARIOS, cannot_suffer=ONE_PROCESS)
class Order:
    """Gives back every line that it may have got."""

    make = Checkout

    def boot(self, world):
        self.checkout = self.make(world)

    def run(self, order):
        return self.checkout.run(order.id, order.data["lines"], order.amount)

    def recover(self):
        self.checkout.resume()


class OnlyTheLast(Checkout):
    """Wrong: the step failed at its last line, and so only that one is undone."""

    def reserved(self, state):
        return state["lines"][-1:]


@sagafuzz.adapter(saga=ORDER, scenarios=SCENARIOS, cannot_suffer=ONE_PROCESS)
class Leaking(Order):
    """Leaves the earlier lines where they are."""

    make = OnlyTheLast
