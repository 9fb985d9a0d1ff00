"""The checkout by events, over the simulator's network.

Each service is a built-in participant with the choreography's code around it: its inbox and outbox are in its
local transaction, its effects are in the harness's ledger. The process that crashes is the gateway, which takes
orders from clients, with the relay, which reads the outboxes and delivers what is in them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from ..ports import CallTimeout, LocalTransaction, Rejected, Request, StoreUnavailable, Unavailable, World, adapter
from ..reference_saga.choreography import CHECKOUT_FLOW, Event, react
from ..reference_saga.definition import RetryPolicy
from ..saga import Outcome
from ..scenario import Order, Scenario, default_scenarios

FLOW: Final = CHECKOUT_FLOW
RETRIES: Final = RetryPolicy(attempts=1, first_backoff_s=0.1, longest_backoff_s=60.0)
"""How long is waited before a delivery is tried again; it is tried until it is answered."""

LOOK_S: Final = 1.0
"""The time between two looks for sagas after a start: a lagging replica may not show one at the first."""

LOOKS: Final = 5
"""How often a relay finds nothing to deliver before it leaves a saga to others."""

NO_CARRIER: Final = Scenario(
    name="no-carrier", about="one order that nobody will ship", rejections=((1, "shipping.send"),)
)


class _Memory:
    """The inbox and the outbox in the memory of a local transaction."""

    def __init__(self, tx: LocalTransaction) -> None:
        self.handled: dict[str, str] = tx.memory.setdefault("inbox", {})
        self.outbox: list[dict[str, Any]] = tx.memory.setdefault("outbox", [])

    def recall(self, event: Event) -> str | None:
        return self.handled.get(event.id)

    def remember(self, event: Event, refusal: str) -> None:
        self.handled[event.id] = refusal

    def publish(self, event: Event) -> None:
        self.outbox.append({"type": event.type, "saga": event.saga, "data": dict(event.data)})


class ChoreographyParticipant:
    """What each of the services does with a delivery, and with the questions of the relay."""

    def handle(self, request: Request, tx: LocalTransaction) -> Any:
        verb = request.operation.partition(".")[2]
        if verb == "outbox":
            return [entry for entry in self.inbox(tx).outbox if entry["saga"] == request.saga]
        if verb == "published":
            outbox = self.inbox(tx).outbox
            outbox[:] = [e for e in outbox if (e["saga"], e["type"]) != (request.saga, request.payload["event"])]
            return None
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


def questions(services: Iterable[str]) -> tuple[str, ...]:
    """What the relay asks beside the deliveries."""
    return tuple(f"{service}.{verb}" for service in services for verb in ("outbox", "published"))


@adapter(
    saga=FLOW.saga,
    name="choreography",
    scenarios=(*default_scenarios(FLOW.saga), NO_CARRIER),
    around=dict.fromkeys(FLOW.services, ChoreographyParticipant),
    operations=questions(FLOW.services),
)
class Choreography:
    """Services that react to events, with outboxes, inboxes and a relay; no orchestrator."""

    def boot(self, world: World) -> None:
        self.world = world
        self.mine: set[str] = set()

    def run(self, order: Order) -> Outcome:
        data = {"item": order.item, "quantity": order.quantity, "account": order.account, "amount": order.amount}
        request = {"data": data, "outcome": ""}
        self._durably(lambda: self.world.store.put(_key(order.id), request, record="create", saga=order.id))
        relay = _Relay(self)
        relay.take(_begin(order.id, data), new=True)
        return relay.carry_on()[order.id]

    def recover(self) -> None:
        for look in range(2):
            if look:
                self.world.sleep(LOOK_S)
            relay = _Relay(self)
            for key, record in self.world.store.items(_PREFIX):
                saga = key.removeprefix(_PREFIX)
                if not record["outcome"] and saga not in self.mine:
                    relay.take(_begin(saga, record["data"]))
            for saga, outcome in relay.carry_on().items():
                self.world.reply(saga, outcome)

    def outcome(self, saga: str) -> str:
        """What is durably known of a saga's end; "" where it is open."""
        return str(self.world.store.get(_key(saga), {"outcome": ""})["outcome"])

    def ended(self, event: Event) -> None:
        """An event tells the gateway how a saga ended."""
        record = {"data": dict(event.data), "outcome": FLOW.ends[event.type].value}
        if not self.outcome(event.saga):
            self._durably(lambda: self.world.store.put(_key(event.saga), record, record="terminal", saga=event.saga))

    def _durably(self, act: Callable[[], object]) -> None:
        failures = 0
        while True:
            try:
                act()
                return
            except StoreUnavailable:
                failures += 1
                self.world.sleep(RETRIES.backoff_s(failures))


_PREFIX: Final = "checkout/"


def _key(saga: str) -> str:
    return _PREFIX + saga


def _begin(saga: str, data: Mapping[str, Any]) -> Event:
    return Event(type=FLOW.begin, saga=saga, data=data)


@dataclass(frozen=True)
class _Found:
    """An event that is to be delivered, and the service in whose outbox it is, if in one."""

    event: Event
    service: str = ""


@dataclass
class _Held:
    """A saga that a relay has in hand."""

    begin: Event
    found: list[_Found] = field(default_factory=list)
    failures: int = 0
    looks: int = LOOKS


class _Relay:
    """Delivers what is in the outboxes, each event at least once, until the sagas in hand have ended. While one
    waits for a service that does not answer, the others go on."""

    def __init__(self, gateway: Choreography) -> None:
        self._gateway, self._world = gateway, gateway.world
        self._held: dict[str, _Held] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._agenda: list[tuple[float, int, str]] = []
        self._turns = 0
        self._waited_s = 0.0

    def take(self, begin: Event, *, new: bool = False) -> None:
        """Take the saga in hand that begins with the event; of a new one nothing else has happened."""
        self._gateway.mine.add(begin.saga)
        self._held[begin.saga] = _Held(begin, [_Found(begin)] if new else [])
        self._again(begin.saga, 0.0)

    def carry_on(self) -> dict[str, Outcome]:
        """How each saga ended; PENDING where nothing is left to deliver and no event has told of an end."""
        try:
            while self._agenda:
                due, _, saga = heapq.heappop(self._agenda)
                if due > self._waited_s:
                    self._world.sleep(due - self._waited_s)
                    self._waited_s = due
                outcome = self._gateway.outcome(saga)
                if outcome or not self._held[saga].looks:
                    self._outcomes[saga] = Outcome(outcome or Outcome.PENDING)
                else:
                    self._again(saga, self._step(self._held[saga]))
        finally:
            self._gateway.mine.difference_update(self._held)
        return self._outcomes

    def _again(self, saga: str, seconds: float) -> None:
        self._turns += 1
        heapq.heappush(self._agenda, (self._waited_s + seconds, self._turns, saga))

    def _step(self, held: _Held) -> float:
        """Deliver one event, the one that comes first in the flow. After how many seconds to go on."""
        try:
            if not held.found:
                self._read(held, FLOW.services)
            if held.found:
                held.found.sort(key=lambda found: FLOW.place(found.event.type))
                self._deliver(held, held.found[0])
                del held.found[0]
                held.failures = 0
                return 0.0
            # it has not begun, or another relay has it in hand just now
            held.looks -= 1
            held.found = [_Found(held.begin)]
        except (CallTimeout, Unavailable):
            pass
        held.failures += 1
        return RETRIES.backoff_s(held.failures)

    def _read(self, held: _Held, services: Iterable[str]) -> None:
        """Look into the outboxes of services."""
        saga = held.begin.saga
        for service in services:
            for entry in self._world.call(f"{service}.outbox", saga=saga):
                event = Event(type=entry["type"], saga=saga, data=entry["data"])
                if all(event.id != known.event.id for known in held.found):
                    held.found.append(_Found(event, service))

    def _deliver(self, held: _Held, found: _Found) -> None:
        event = found.event
        if event.type in FLOW.ends:
            self._gateway.ended(event)
        reactions = FLOW.on(event.type)
        for reaction in reactions:
            with suppress(Rejected):  # its service has told of it, by an event
                self._world.call(reaction.operation, saga=event.saga, key=event.id, event=event.type, **event.data)
        if found.service:
            self._world.call(f"{found.service}.published", saga=event.saga, event=event.type)
        self._read(held, [reaction.service for reaction in reactions])
