"""The reference orchestrator on the simulator's store."""

from __future__ import annotations

from ..ports import World, adapter
from ..reference_saga import Orchestrator
from ..saga import Outcome, Step
from ..scenario import Order
from .checkout import CHECKOUT, OVER_THE_LIMIT, SCENARIOS


@adapter(saga=CHECKOUT, name="reference", scenarios=(*SCENARIOS, OVER_THE_LIMIT))
class Reference:
    """A durable orchestrator that keeps every rule."""

    def boot(self, world: World) -> None:
        self.orchestrator = Orchestrator(saga=CHECKOUT, world=world, arguments=self._arguments)

    def run(self, order: Order) -> Outcome:
        request = {"item": order.item, "quantity": order.quantity, "amount": order.amount}
        return self.orchestrator.execute(order.id, request)

    def cancel(self, order: Order) -> None:
        self.orchestrator.cancel(order.id)

    def recover(self) -> None:
        self.orchestrator.resume_pending()

    @staticmethod
    def _arguments(step: Step, request: object) -> dict[str, object]:
        assert isinstance(request, dict)
        wanted = {"inventory": ("item", "quantity"), "payment": ("amount",)}.get(step.name, ())
        return {name: request[name] for name in wanted}
