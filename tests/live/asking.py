"""A checkout that asks before it charges, for both worlds; and what it makes of no answer."""

from __future__ import annotations

import time
from typing import ClassVar

from sagafuzz import CallTimeout, Order, Saga, Scenario, Step, Unavailable, World, adapter

SAGA = Saga("paid", [Step("order", "order.create", retriable=True), Step("payment", "payment.charge", retriable=True)])
ASK = "payment.status"


class Asks:
    """Charges unless the payment service says that it has: what gets no answer is taken for ``believed``."""

    believed: ClassVar[bool]

    def boot(self, world: World) -> None:
        self.world = world

    def run(self, order: Order) -> bool:
        self.world.store.put(order.id, {"open": True}, record="create", saga=order.id)
        return self.drive(order.id)

    def recover(self) -> None:
        for saga, record in self.world.store.items():
            if record["open"]:
                self.world.reply(saga, self.drive(saga))

    def drive(self, saga: str) -> bool:
        self.insist("order.create", saga)
        try:
            paid = self.world.call(ASK, saga=saga)["applied"]
        except (CallTimeout, Unavailable):
            paid = self.believed
        if not paid:
            self.insist("payment.charge", saga)
        self.world.store.put(saga, {"open": False}, record="terminal", saga=saga)
        return True

    def insist(self, operation: str, saga: str) -> None:
        while True:
            try:
                self.world.call(operation, saga=saga, key=f"{saga}/{operation}")
            except (CallTimeout, Unavailable):
                time.sleep(0.1)
            else:
                return


SCENARIOS = [Scenario(name="succeeds")]
ONE_PROCESS = ("second-orchestrator", "pause", "stale-read")


@adapter(saga=SAGA, scenarios=SCENARIOS, operations=(ASK,), cannot_suffer=ONE_PROCESS)
class Careful(Asks):
    believed = False


@adapter(saga=SAGA, scenarios=SCENARIOS, operations=(ASK,), cannot_suffer=ONE_PROCESS)
class Hopeful(Asks):
    believed = True


@adapter(saga=SAGA, scenarios=SCENARIOS, cannot_suffer=ONE_PROCESS)
class Undeclared(Careful):
    """Asks for what nobody has declared."""
