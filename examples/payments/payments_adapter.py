"""A payment that is authorised when the order is placed and captured when it is packed, in three shops."""

import sagafuzz
from sagafuzz.reference_saga import Definition, Orchestrator, PortStore

PURCHASE = sagafuzz.Saga(
    "purchase",
    [
        sagafuzz.Step("hold", "payment.authorise", undo="payment.void", amount="amount"),
        sagafuzz.Step("parcel", "shipping.pack", undo="shipping.unpack"),
        sagafuzz.Step("capture", "payment.capture", undo="payment.refund", amount="amount", consumes="hold"),
        sagafuzz.Step("pickup", "shipping.collect", undo="shipping.recall"),
    ],
)

SCENARIOS = (
    sagafuzz.Scenario(name="bought", data={"packed": 60}),
    sagafuzz.Scenario(name="not-packed", data={"packed": 60}, rejections=((1, "shipping.pack"),)),
    sagafuzz.Scenario(name="not-collected", data={"packed": 60}, rejections=((1, "shipping.collect"),)),
)


def amounts(step, direction, request, answers):
    """What was ordered is authorised, what was packed is captured, and that is refunded."""
    if step.name == "hold" and direction == "F":
        return {"amount": request["ordered"]}
    return {"amount": request["packed"]} if step.name == "capture" else {}


def all_of_it(step, direction, request, answers):
    """Wrong: it refunds what was ordered."""
    refund = step.name == "capture" and direction == "C"
    return {"amount": request["ordered"]} if refund else amounts(step, direction, request, answers)


@sagafuzz.adapter(saga=PURCHASE, scenarios=SCENARIOS)
class Shop:
    """Voids what is held, and refunds what was captured."""

    arguments = staticmethod(amounts)

    def boot(self, world):
        definition = Definition(PURCHASE, arguments=self.arguments)
        self.orchestrator = Orchestrator(definition, ports=world, store=PortStore(world.store))

    def run(self, order):
        return self.orchestrator.execute(order.id, {"ordered": order.amount, "packed": order.data["packed"]})

    def recover(self):
        self.orchestrator.resume_pending()


@sagafuzz.adapter(saga=PURCHASE, scenarios=SCENARIOS)
class Generous(Shop):
    """Refunds what was ordered, which is more than was captured."""

    arguments = staticmethod(all_of_it)
