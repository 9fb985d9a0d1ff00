"""The checkout by events, over the simulator's network.

Each service is a built-in participant with the choreography's code around it: its inbox and outbox are in its
local transaction, its effects are in the harness's ledger. The process that crashes is the gateway, which takes
orders from clients, with the relay, which reads the outboxes and delivers what is in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..participant import Request
from ..ports import CallTimeout, LocalTransaction, Rejected, StoreUnavailable, Unavailable, World, adapter
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
    forgets_retries=True,
)
class Choreography:
    """Services that react to events, with outboxes, inboxes and a relay; no orchestrator."""

    def boot(self, world: World) -> None:
        self.world = world
        self.mine: set[str] = set()

    def run(self, order: Order) -> Outcome:
        data = {"item": order.item, "quantity": order.quantity, "account": order.account, "amount": order.amount}
        request = {"data": data, "outcome": ""}
        self.insist(lambda: self.world.store.put(_key(order.id), request, record="create", saga=order.id))
        begin = _begin(order.id, data)
        return self.carry_on(begin, [_Found(begin)])

    def recover(self) -> None:
        for look in range(2):
            if look:
                self.world.sleep(LOOK_S)
            for key, record in self.world.store.items(_PREFIX):
                saga = key.removeprefix(_PREFIX)
                if not record["outcome"] and saga not in self.mine:
                    self.mine.add(saga)
                    self.world.spawn(self.take_up, _begin(saga, record["data"]))

    def take_up(self, begin: Event) -> None:
        """Carry on what another process has begun; each saga is a task of its own, so that none waits for another."""
        self.world.reply(begin.saga, self.carry_on(begin, []))

    def carry_on(self, begin: Event, found: list[_Found]) -> Outcome:
        """Relay the events of the saga that begins with ``begin``, of which ``found`` are known: how it ended; PENDING
        where nothing is left to deliver and no event has told of an end."""
        self.mine.add(begin.saga)
        try:
            return _Relay(self, begin, found).carry_on()
        finally:
            self.mine.discard(begin.saga)

    def outcome(self, saga: str) -> str:
        """What is durably known of a saga's end; "" where it is open."""
        return str(self.world.store.get(_key(saga), {"outcome": ""})["outcome"])

    def ended(self, event: Event) -> None:
        """An event tells the gateway how a saga ended."""
        record = {"data": dict(event.data), "outcome": FLOW.ends[event.type].value}
        if not self.outcome(event.saga):
            self.insist(lambda: self.world.store.put(_key(event.saga), record, record="terminal", saga=event.saga))

    def insist(self, act: Callable[[], Any]) -> Any:
        """Try it until it is known how it went: the answer, None for a refusal."""
        failures = 0
        while True:
            try:
                return act()
            except Rejected:
                return None
            except (CallTimeout, Unavailable, StoreUnavailable):
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


class _Relay:
    """Delivers what is in the outboxes for one saga, each event at least once, until the saga has ended."""

    def __init__(self, gateway: Choreography, begin: Event, found: list[_Found]) -> None:
        self._gateway, self._begin, self._found = gateway, begin, found

    def carry_on(self) -> Outcome:
        """How the saga ended, PENDING where nothing tells."""
        looks = LOOKS
        while True:
            outcome = self._gateway.outcome(self._begin.saga)
            if outcome or not looks:
                return Outcome(outcome or Outcome.PENDING)
            if not self._found:
                self._read(FLOW.services)
            if self._found:
                self._found.sort(key=lambda found: FLOW.place(found.event.type))
                self._deliver(self._found.pop(0))
            else:  # it has not begun, or another relay has it in hand just now
                looks -= 1
                self._found = [_Found(self._begin)]
                self._gateway.world.sleep(RETRIES.backoff_s(1))

    def _deliver(self, found: _Found) -> None:
        event = found.event
        if event.type in FLOW.ends:
            self._gateway.ended(event)
        reactions = FLOW.on(event.type)
        for reaction in reactions:  # of a refusal its service tells by an event
            self._ask(reaction.operation, key=event.id, event=event.type, **event.data)
        if found.service:
            self._ask(f"{found.service}.published", event=event.type)
        self._read(reaction.service for reaction in reactions)

    def _read(self, services: Iterable[str]) -> None:
        """Look into the outboxes of services."""
        for service in services:
            for entry in self._ask(f"{service}.outbox"):
                event = Event(type=entry["type"], saga=self._begin.saga, data=entry["data"])
                if all(event.id != known.event.id for known in self._found):
                    self._found.append(_Found(event, service))

    def _ask(self, operation: str, **payload: Any) -> Any:
        gateway = self._gateway
        return gateway.insist(lambda: gateway.world.call(operation, saga=self._begin.saga, **payload))
