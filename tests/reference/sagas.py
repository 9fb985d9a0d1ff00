"""Reference orchestrators with more than the built-in adapter shows, each a system for the simulator."""

from __future__ import annotations

from typing import Any

import sagafuzz
from sagafuzz import Adapter, Order, Outcome, Saga, Scenario, Step, World
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.adapters.reference import arguments
from sagafuzz.loading import as_adapter
from sagafuzz.reference_saga import Definition, Orchestrator, PortStore, RetryPolicy
from sagafuzz.reference_saga.aio import AsyncOrchestrator, in_place

TRIP = Saga(
    "trip",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("flight", "flight.book", undo="flight.cancel", after=("order",)),
        Step("hotel", "hotel.book", undo="hotel.cancel", after=("order",)),
        Step("payment", "payment.charge", pivot=True, after=("flight", "hotel")),
        Step("ticket", "ticket.send", retriable=True, after=("payment",)),
        Step("points", "points.add", retriable=True, after=("payment",)),
    ],
)
"""Two branches, a pivot, and two retriable steps after it."""

TRIP_SCENARIOS = (
    Scenario(name="booked"),
    Scenario(name="no-room", rejections=((1, "hotel.book"),)),
    Scenario(name="declined", rejections=((1, "payment.charge"),)),
)

SUCCEEDS = (Scenario(), Scenario(name="declined", rejections=((1, "payment.charge"),)))


def sync(
    *definitions: Definition,
    scenarios: tuple[Scenario, ...] = SUCCEEDS,
    lease_s: float = 0.0,
    upgrade: Any = None,
    **options: Any,
) -> Adapter:
    """An adapter of the orchestrator for threads."""

    class System:
        def boot(self, world: World) -> None:
            self.orchestrator = Orchestrator(*definitions, ports=world, store=PortStore(world.store), lease_s=lease_s)

        def run(self, order: Order) -> Outcome:
            request = {"item": order.item, "quantity": order.quantity, "amount": order.amount}
            return self.orchestrator.execute(order.id, request)

        def cancel(self, order: Order) -> None:
            self.orchestrator.cancel(order.id)

        def recover(self) -> None:
            self.orchestrator.resume_pending()

    saga = definitions[0].saga
    return as_adapter(sagafuzz.adapter(saga=saga, scenarios=scenarios, upgrade=upgrade, **options)(System))


def asynchronous(definition: Definition, scenarios: tuple[Scenario, ...] = SUCCEEDS) -> Adapter:
    """An adapter of the orchestrator for asyncio."""

    class System:
        def boot(self, world: World) -> None:
            store = PortStore(world.store)
            self.orchestrator = AsyncOrchestrator(definition, ports=world, store=store, ask_store=in_place)

        async def run(self, order: Order) -> Outcome:
            request = {"item": order.item, "quantity": order.quantity, "amount": order.amount}
            return await self.orchestrator.execute(order.id, request)

        async def cancel(self, order: Order) -> None:
            await self.orchestrator.cancel(order.id)

        async def recover(self) -> None:
            await self.orchestrator.resume_pending()

    return as_adapter(sagafuzz.adapter(saga=definition.saga, scenarios=scenarios)(System))


CHECKOUT_DEFINITION = Definition(CHECKOUT, arguments=arguments)

HASTY = Definition(CHECKOUT, version="hasty", arguments=arguments, deadline_s=2.0, undo=RetryPolicy(attempts=3))

NEXT_CHECKOUT = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("inventory", "inventory.reserve", undo="inventory.release"),
    ],
)
"""The same steps in another order."""

NEXT = Definition(NEXT_CHECKOUT, version="2", arguments=arguments)
