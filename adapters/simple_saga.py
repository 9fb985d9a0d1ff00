"""The published package ``simple-saga``, unmodified, running the checkout as its own guide shows.

https://pypi.org/project/simple-saga/
"""

from __future__ import annotations

from simple_saga import Saga

from ..ports import PortError, World, adapter
from ..scenario import Order
from .checkout import CHECKOUT, OVER_THE_LIMIT, SCENARIOS


@adapter(saga=CHECKOUT, name="simple-saga", scenarios=(*SCENARIOS, OVER_THE_LIMIT))
class SimpleSagaCheckout:
    """simple-saga from PyPI, as its quick start shows it."""

    def boot(self, world: World) -> None:
        self.world = world

    async def run(self, order: Order) -> bool:
        call = self.world.call
        try:
            async with Saga() as saga:
                await saga.step(
                    action=lambda: call("order.create"),
                    compensation=lambda created: call("order.cancel", order=created["id"]),
                )
                await saga.step(
                    action=lambda: call("inventory.reserve", item=order.item),
                    compensation=lambda reserved: call("inventory.release", item=order.item, id=reserved["id"]),
                )
                await saga.step(
                    action=lambda: call("payment.charge", amount=order.amount),
                    compensation=lambda paid: call("payment.refund", amount=paid["amount"], id=paid["id"]),
                )
        except PortError:
            return False
        return True
