"""The reference orchestrator on the simulator's store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..ports import World, adapter
from ..reference_saga import Definition, Orchestrator, PortStore
from ..reference_saga.stores.sqlite import SQLiteStore
from ..saga import Outcome, Step
from ..scenario import Order
from .checkout import CHECKOUT, OVER_THE_LIMIT, SCENARIOS

WANTED = {"inventory": ("item", "quantity"), "payment": ("amount",)}


def arguments(step: Step, direction: str, request: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in WANTED.get(step.name, ())}


DEFINITION = Definition(CHECKOUT, arguments=arguments)
OPTIONS: Final[dict[str, Any]] = {
    "saga": CHECKOUT,
    "scenarios": (*SCENARIOS, OVER_THE_LIMIT),
    "max_attempts": {step.operation: DEFINITION.forward.attempts for step in CHECKOUT.steps},
}
"""What is declared of the reference on every store."""


@adapter(name="reference", **OPTIONS)
class Reference:
    """A durable orchestrator that keeps every rule."""

    def boot(self, world: World) -> None:
        # No lease: every process takes over what it finds, so that only the fence keeps two of them apart.
        self.orchestrator = Orchestrator(DEFINITION, ports=world, store=PortStore(world.store))

    def run(self, order: Order) -> Outcome:
        request = {"item": order.item, "quantity": order.quantity, "amount": order.amount}
        return self.orchestrator.execute(order.id, request)

    def cancel(self, order: Order) -> None:
        self.orchestrator.cancel(order.id)

    def recover(self) -> None:
        self.orchestrator.resume_pending()


@adapter(name="reference-sqlite", **OPTIONS)
class ReferenceOnSQLite(Reference):
    """The same on its SQLite store, a real database."""

    def boot(self, world: World) -> None:
        self.world = world
        connection = world.sqlite()
        connection.isolation_level = None
        self.orchestrator = Orchestrator(DEFINITION, ports=world, store=SQLiteStore(connection))

    def recover(self) -> None:
        for saga, outcome in self.orchestrator.resume_pending().items():
            self.world.reply(saga, outcome)  # the harness cannot read in SQLite that it has ended
