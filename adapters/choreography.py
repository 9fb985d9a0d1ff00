"""The checkout by events, over the simulator's network.

Each service is a built-in participant with the choreography's code around it: inbox, effect and the events that it
emits are one local transaction, its effects are in the harness's ledger. Events are messages. The process that crashes
is the gateway, which takes orders from clients, with the consumer, which hands each event to the services that react.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..messages import Message
from ..participant import Request
from ..ports import LocalTransaction, Rejected, StoreUnavailable, World, adapter
from ..reference_saga.choreography import CHECKOUT_FLOW, Event, Reaction, react
from ..reference_saga.definition import RetryPolicy
from ..saga import Outcome
from ..scenario import Order, Scenario, default_scenarios

FLOW: Final = CHECKOUT_FLOW
RETRIES: Final = RetryPolicy(attempts=1, first_backoff_s=0.1, longest_backoff_s=60.0)
"""How long is waited before a write is tried again; it is tried until it succeeds."""

LOOK_S: Final = 1.0
"""The time between two looks for sagas after a start: a lagging replica may not show one at the first."""

NO_CARRIER: Final = Scenario(
    name="no-carrier", about="one order that nobody will ship", rejections=((1, "shipping.send"),)
)


class _Memory:
    """The inbox in the memory of a local transaction, which is the outbox as well: what it emits is durable with it."""

    def __init__(self, tx: LocalTransaction) -> None:
        self.tx = tx
        self.handled: dict[str, str] = tx.memory.setdefault("inbox", {})

    def recall(self, event: Event) -> str | None:
        return self.handled.get(event.id)

    def remember(self, event: Event, refusal: str) -> None:
        self.handled[event.id] = refusal

    def publish(self, event: Event) -> None:
        self.tx.emit(event.type, saga=event.saga, **event.data)


class ChoreographyParticipant:
    """What each of the services does with a delivery. Of a refusal it tells by an event, so that it answers alike."""

    def handle(self, request: Request, tx: LocalTransaction) -> Any:
        event = Event(type=request.payload["event"], saga=request.saga, data=_business(request.payload))
        reaction = FLOW.reaction(event.type, request.operation.partition(".")[0])
        assert reaction is not None
        refusal = react(self.inbox(tx), reaction, event, tx.apply)
        if refusal:
            raise Rejected(refusal)
        return None

    def inbox(self, tx: LocalTransaction) -> _Memory:
        return _Memory(tx)


def _business(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if name != "event"}


@adapter(
    saga=FLOW.saga,
    name="choreography",
    scenarios=(*default_scenarios(FLOW.saga), NO_CARRIER),
    around=dict.fromkeys(FLOW.services, ChoreographyParticipant),
    forgets_retries=True,
)
class Choreography:
    """Services that react to events, with inboxes and outboxes; no orchestrator."""

    def boot(self, world: World) -> None:
        self.world = world

    def run(self, order: Order) -> Outcome:
        data: dict[str, Any] = {
            "item": order.item,
            "quantity": order.quantity,
            "account": order.account,
            "amount": order.amount,
        }
        self.write(order.id, {"data": data, "outcome": ""}, "create")
        self.world.publish(FLOW.begin, saga=order.id, **data)
        return Outcome.PENDING

    def recover(self) -> None:
        """Publish again with what a saga begins, where its end is not known: a process may have died before it did."""
        begun = set()
        for look in range(2):
            if look:
                self.world.sleep(LOOK_S)
            for key, record in self.world.store.items(_PREFIX):
                if not record["outcome"] and key not in begun:
                    begun.add(key)
                    self.world.publish(FLOW.begin, saga=key.removeprefix(_PREFIX), **record["data"])

    def receive(self, message: Message) -> None:
        """Hand an event to those who react to it. Where one gives no answer the message comes again."""
        event = Event(type=message.topic, saga=message.saga, data=message.payload)
        for reaction in FLOW.on(event.type):
            self.hand_over(event, reaction)
        if event.type in FLOW.ends:
            self.ended(event)

    def hand_over(self, event: Event, reaction: Reaction) -> None:
        try:
            self.world.call(reaction.operation, saga=event.saga, key=event.id, event=event.type, **event.data)
        except Rejected:
            if not reaction.refused:  # else its service tells by an event
                raise

    def ended(self, event: Event) -> None:
        """An event tells the gateway how a saga ended."""
        outcome = FLOW.ends[event.type]
        if not self.world.store.get(_key(event.saga), {"outcome": ""})["outcome"]:
            self.write(event.saga, {"data": dict(event.data), "outcome": outcome.value}, "terminal")
        self.world.reply(event.saga, outcome)

    def write(self, saga: str, record: Mapping[str, Any], kind: str) -> None:
        """Write a saga's record; it is tried until it succeeds."""
        failures = 0
        while True:
            try:
                return self.world.store.put(_key(saga), record, record=kind, saga=saga)
            except StoreUnavailable:
                failures += 1
                self.world.sleep(RETRIES.backoff_s(failures))


_PREFIX: Final = "checkout/"


def _key(saga: str) -> str:
    return _PREFIX + saga
