"""One correct orchestrator on each of the inventories, asked for two orders of which the first is declined."""

from inventory import Locking, Plain

import sagafuzz
from sagafuzz.reference_saga import Definition, Orchestrator, PortStore, RetryPolicy

PURCHASE = sagafuzz.Saga(
    "purchase",
    [
        sagafuzz.Step("inventory", "inventory.reserve", undo="inventory.release"),
        sagafuzz.Step("payment", "payment.charge", pivot=True),
        sagafuzz.Step("confirmation", "inventory.confirm", retriable=True),
    ],
)

SCENARIOS = (
    sagafuzz.Scenario(
        name="first-declined",
        about="two orders for one item, the card of the first is declined",
        sagas=2,
        rejections=((1, "payment.charge"),),
    ),
)


def arguments(step, direction, request, answers):
    amount = {"amount": answers["inventory"]["price"]} if step.name == "payment" else {}
    return {"item": request["item"], **amount}


PATIENT = RetryPolicy(attempts=20, longest_backoff_s=1.0)  # who finds an item PENDING asks again
DEFINITION = Definition(PURCHASE, arguments=arguments, retries={"inventory.reserve": PATIENT})


def on(inventory):
    return sagafuzz.adapter(
        saga=PURCHASE, scenarios=SCENARIOS, participants={"inventory": inventory}, isolation=sagafuzz.ports.ISOLATION
    )


@on(Plain)
class Unlocked:
    """Nothing keeps one saga from what another one may take back."""

    def boot(self, world):
        self.orchestrator = Orchestrator(DEFINITION, ports=world, store=PortStore(world.store))

    def run(self, order):
        return self.orchestrator.execute(order.id, {"item": order.item})

    def recover(self):
        self.orchestrator.resume_pending()


@on(Locking)
class Locked(Unlocked):
    """An item is PENDING until the saga that reserved it has ended."""
