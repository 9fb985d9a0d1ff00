"""A correct orchestrator on two payment services, so that a finding can only be the service's."""

from payments import CheckThenAct, RemembersKeys

import sagafuzz
from sagafuzz.reference_saga import Definition, Orchestrator, PortStore

BOOKING = sagafuzz.Saga(
    "booking",
    [
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
        sagafuzz.Step("shipping", "shipping.book", undo="shipping.cancel"),
    ],
)

SCENARIOS = (
    sagafuzz.Scenario(name="booked", about="one order that goes through"),
    sagafuzz.Scenario(name="no-carrier", about="shipping refuses", rejections=((1, "shipping.book"),)),
)


@sagafuzz.adapter(saga=BOOKING, scenarios=SCENARIOS, participants={"payment": CheckThenAct})
class Booking:
    """Booking on the payment service that checks and then acts."""

    def boot(self, world):
        self.orchestrator = Orchestrator(Definition(BOOKING), ports=world, store=PortStore(world.store))

    def run(self, order):
        return self.orchestrator.execute(order.id, {"amount": order.amount})

    def recover(self):
        self.orchestrator.resume_pending()


@sagafuzz.adapter(saga=BOOKING, scenarios=SCENARIOS, participants={"payment": RemembersKeys})
class BookingRight(Booking):
    """Booking on the payment service that remembers keys."""
