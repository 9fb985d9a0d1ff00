"""What mutants and their correct twins are made of: adapters around a host, services, scenarios."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from ...participant import Participant, Request, Transaction
from ...ports import ADAPTER_ATTRIBUTE, Adapter, Rejected, World, adapter
from ...saga import Outcome, Saga, Step
from ...scenario import Order, Scenario
from ..checkout import CHECKOUT
from .host import MutableOrchestrator, RetryPolicy

SUCCEEDS: Final = Scenario()
DECLINED: Final = Scenario(name="declined", rejections=((1, "payment.charge"),))
ONE_AFTER_THE_OTHER: Final = Scenario(name="one-after-the-other", sagas=2, gap_ms=500)
SECOND_DECLINED: Final = replace(ONE_AFTER_THE_OTHER, name="second-declined", rejections=((2, "payment.charge"),))
UNSHIPPED: Final = Scenario(name="unshipped", rejections=((1, "shipping.send"),))

LEASE_S: Final = 15.0
"""Longer than any pause: who waits for so long before taking a saga over has nobody beside him."""

RECALLABLE: Final = Saga("checkout", [*CHECKOUT.steps, Step("shipping", "shipping.send", undo="shipping.recall")])
"""With a step after the payment, so that a payment that went through may have to be refunded."""

SHIPPED: Final = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund", pivot=True),
        Step("shipping", "shipping.send", retriable=True),
    ],
)
"""With a pivot, and a step behind it that must come through."""

DEFAULT_POLICY: Final = RetryPolicy()


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A system that is wrong in one thing, as a system in the field was.

    ``twin`` is the same without the fault. One of ``invariants`` must be named among the causes (not only among
    the consequences) by some plan of at most ``faults`` faults; ``schedule`` is what that shrinks to.
    ``concurrency`` and ``timing`` say what it takes beside faults. ``late`` marks those that were added
    when the invariants stood.
    """

    name: str
    adapter: Adapter
    twin: Adapter
    invariants: tuple[str, ...]
    faults: int
    schedule: str
    source: str
    concurrency: bool = False
    timing: bool = False
    late: bool = False

    @property
    def about(self) -> str:
        """What it does wrong, in a sentence."""
        return self.adapter.about


def system(
    make: Callable[..., MutableOrchestrator] = MutableOrchestrator,
    *,
    saga: Saga = CHECKOUT,
    scenario: Scenario = SUCCEEDS,
    lease_s: float = 0.0,
    policy: RetryPolicy = DEFAULT_POLICY,
    about: str = "",
    **options: Any,
) -> Adapter:
    """An adapter whose orchestrator ``make`` makes; after a restart it waits ``lease_s`` before it recovers."""

    class System:
        def boot(self, world: World) -> None:
            self.world = world
            self.host = make(saga=saga, world=world, policy=policy, arguments=_arguments)

        def run(self, order: Order) -> Outcome:
            return self.host.execute(order.id, {"item": order.item, "amount": order.amount, **order.data})

        def cancel(self, order: Order) -> None:
            self.host.cancel(order.id)

        def recover(self) -> None:
            self.world.sleep(lease_s)
            self.host.resume_pending()

    System.__doc__ = about or told(make)
    options.setdefault("forgets_retries", make is MutableOrchestrator)  # a mutant may do otherwise
    return declared(
        System, saga=saga, name=getattr(make, "__name__", "MutableOrchestrator"), scenarios=[scenario], **options
    )


def told(thing: object) -> str:
    """What a class says of itself in its first paragraph, as one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def declared(cls: type, **options: Any) -> Adapter:
    """The adapter that declaring ``cls`` makes."""
    found = getattr(adapter(**options)(cls), ADAPTER_ATTRIBUTE)
    assert isinstance(found, Adapter)
    return found


def with_service(service: Callable[[], Participant], step: str = "payment", **options: Any) -> Adapter:
    """The host with a participant of the mutant's, which is what it is about."""
    return system(about=told(service), participants={step: service}, **options)


_WANTED: Final = {"inventory": "item", "payment": "amount"}
"""What of the order each step is told."""


def _arguments(step: Step, request: Mapping[str, Any]) -> dict[str, Any]:
    wanted = _WANTED.get(step.name)
    return {wanted: request[wanted]} if wanted else {}


CORRECT: Final = system()
CORRECT_DECLINED: Final = system(scenario=DECLINED)
"""The host on one order that goes through, and on one whose card is declined."""


class Keyed(MutableOrchestrator):
    """Right; its idempotency key can be chosen."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        payload = self._arguments(step, state.request)
        key = self.key(state, step, operation)
        return self._world.call(operation, saga=state.id, key=key, epoch=state.epoch, **payload)

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return f"{state.id}/{step.name}"


class KeyedParticipant:
    """A participant with one effect a key, and a tombstone for what is undone; all of it durable."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        mark = f"{request.direction} {request.key}"
        if mark not in tx.memory:
            tx.memory[mark] = self.undo(request, tx) if request.direction == "C" else self.do(request, tx)
        return tx.memory[mark]

    def do(self, request: Request, tx: Transaction) -> Any:
        if f"C {request.key}" in tx.memory:
            raise Rejected("it was undone already")
        tx.state[request.saga] = tx.state.get(request.saga, 0) + 1
        return {}

    def undo(self, request: Request, tx: Transaction) -> Any:
        tx.state.pop(request.saga, None)
        return {}


def by_name(mutants: Iterable[Mutant]) -> dict[str, Mutant]:
    return {mutant.name: mutant for mutant in mutants}
