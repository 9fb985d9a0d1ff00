"""Bugs of systems that are told by messages how they go on: webhooks, events, timers, approvals, outboxes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ...effects import Effect, Lag
from ...faults import FAULT_KINDS
from ...message_effects import HoldMessage, ParkMessage
from ...messages import Message, Topic
from ...ports import Conflict, Rejected, World
from ...saga import Outcome
from ...scenario import Order, Scenario
from .inbox import CHARGED, Checkout, key_of, receiving
from .parts import Mutant

CREATED: Final = "order.created"
APPROVED: Final = "order.approved"
TIME_IS_UP: Final = "time.is.up"
SHIP_LATER: Final = "ship.later"
WANTED: Final = "parcel.wanted"
DAY_MS: Final = 24 * 3_600_000

TWO_AT_ONCE: Final = Scenario(name="two-at-once", sagas=2)


def _that_do(effect: type[Effect]) -> tuple[str, ...]:
    return tuple(kind.name for kind in FAULT_KINDS.values() if any(isinstance(each, effect) for each in kind.effects))


QUEUED: Final[Mapping[str, Any]] = {
    "topics": {CREATED: Topic(max_deliveries=2, replayed=True)},
    "cannot_suffer": _that_do(HoldMessage),
}
"""A queue that keeps nothing back for long, but for what it puts aside."""

TRIED_TWICE: Final[Mapping[str, Any]] = {
    "topics": {CHARGED: Topic(max_deliveries=2)},
    "cannot_suffer": _that_do(ParkMessage),
}
"""What could not be handled twice is put aside, and nobody looks."""


ONE_STORE: Final[Mapping[str, Any]] = {"cannot_suffer": _that_do(Lag)}
"""A store without replicas: what has been saved is found."""


# -- webhooks ----------------------------------------------------------------------------------


class NeedsTheResponse(Checkout):
    """Looks the payment up by what the response said; a webhook that comes before it is acknowledged and dropped."""

    def receive(self, message: Message) -> None:
        if self.record(message.saga)["state"] == "charged":
            super().receive(message)


class KeyForEachCall(Checkout):
    """Looks whether the order is shipped, and ships it under a key made for the call: two webhooks at once do both."""

    handlings = 0

    def receive(self, message: Message) -> None:
        self.handlings += 1
        super().receive(message)

    def key(self, operation: str, saga: str) -> str | None:
        made = f"/{self.world.process}/{self.handlings}" if operation == "shipping.send" else ""
        return f"{saga}/{operation}{made}"


class LeavesItToTheRun(Checkout):
    """Right: what comes while the payment is being made it notes in the record, for the run to go on from there."""

    def begin(self, saga: str) -> Outcome:
        found = self.record(saga)
        self.ask("order.create", saga)
        if not self.pay(saga):
            return self.give_up(saga)
        if not self.save(saga, found):
            return Outcome.PENDING
        return self.send(saga)

    def save(self, saga: str, found: dict[str, Any]) -> bool:
        """Note the answer; whether the webhook has come before."""
        return not self.change(saga, "charged", only="new") and self.record(saga)["state"] == "paid"

    def receive(self, message: Message) -> None:
        state = self.record(message.saga)["state"]
        if not state:
            raise LookupError("no such order yet; come again")
        if state == "new" and self.change(message.saga, "paid", only="new"):
            return
        if self.record(message.saga)["state"] in ("charged", "paid"):
            self.world.reply(message.saga, self.send(message.saga))

    def go_on(self, saga: str, record: dict[str, Any]) -> None:
        if record["state"] in ("new", "paid"):
            self.world.reply(saga, self.begin(saga))

    def send(self, saga: str) -> Outcome:
        self.ask("shipping.send", saga)
        return self.end(saga, Outcome.COMPLETED)


class SavesWhatItRead(LeavesItToTheRun):
    """Saves the record as it was read before the payment: the webhook that came meanwhile is overwritten."""

    def save(self, saga: str, found: dict[str, Any]) -> bool:
        after = {**found, "state": "charged"}
        self.durably(lambda: self.world.store.put(key_of(saga), after, record="charged", saga=saga))
        return False


class SavesFirst(Checkout):
    """Right: an order is on record before anything is asked for it; what is told of it then finds it."""

    emits: ClassVar[Mapping[str, str]] = {"order.create": CREATED}

    def begin(self, saga: str) -> Outcome:
        self.ask("order.create", saga)
        return Outcome.PENDING

    def receive(self, message: Message) -> None:
        record = self.record(message.saga)
        if record["state"] and not record["outcome"]:
            paid = self.pay(message.saga)
            self.world.reply(message.saga, self.sent(message.saga) if paid else self.give_up(message.saga))

    def sent(self, saga: str) -> Outcome:
        self.ask("shipping.send", saga)
        return self.end(saga, Outcome.COMPLETED)


class AsksFirst(SavesFirst):
    """Asks for the order, and saves the saga then: a quick reply finds no saga, and is dropped."""

    def run(self, order: Order) -> Outcome:
        self.ask("order.create", order.id)
        return super().run(order)


class AcknowledgesFirst(Checkout):
    """Acknowledges the message, and then does what it says."""

    def receive(self, message: Message) -> None:
        self.world.spawn(super().receive, message)


# -- approvals and timers ------------------------------------------------------------------------


class AwaitsApproval(Checkout):
    """Right: charges and ships an order when it is approved; an approval that comes early is kept."""

    emits: ClassVar[Mapping[str, str]] = {"order.create": APPROVED}

    def begin(self, saga: str) -> Outcome:
        self.ask("order.create", saga)
        self.change(saga, "waiting", only="new")
        return self.sell(saga) if self.world.store.get(f"approved/{saga}") else Outcome.PENDING

    def receive(self, message: Message) -> None:
        self.durably(lambda: self.world.store.put(f"approved/{message.saga}", True, record="approved"))
        if self.record(message.saga)["state"] == "waiting":
            self.world.reply(message.saga, self.sell(message.saga))

    def go_on(self, saga: str, record: dict[str, Any]) -> None:
        if record["state"] == "new" or (record["state"] == "waiting" and self.world.store.get(f"approved/{saga}")):
            self.world.reply(saga, self.begin(saga))

    def sell(self, saga: str) -> Outcome:
        if not self.pay(saga):
            return self.give_up(saga)
        self.ask("shipping.send", saga)
        return self.end(saga, Outcome.COMPLETED)


class WaitsFromNowOn(AwaitsApproval):
    """Hears an approval from when it waits for one; an earlier one is acknowledged and dropped."""

    def receive(self, message: Message) -> None:
        if self.record(message.saga)["state"] == "waiting":
            self.world.reply(message.saga, self.sell(message.saga))


class WaitsADay(AwaitsApproval):
    """Right: an order that is not approved within a day is cancelled; who decides it first has decided it."""

    def begin(self, saga: str) -> Outcome:
        self.ask("order.create", saga)
        self.world.publish(TIME_IS_UP, saga=saga, delay_ms=DAY_MS)
        self.change(saga, "waiting", only="new")
        return Outcome.PENDING

    def receive(self, message: Message) -> None:
        if self.record(message.saga)["state"] == "new":
            raise LookupError("the order does not wait yet; come again")
        if message.topic == TIME_IS_UP:
            self.time_is_up(message.saga)
        else:
            self.approved(message.saga)

    def time_is_up(self, saga: str) -> None:
        if self.change(saga, "expired", only="waiting"):
            self.world.reply(saga, self.give_up(saga))

    def approved(self, saga: str) -> None:
        if self.change(saga, "approved", only="waiting"):
            self.world.reply(saga, self.sell(saga))

    def go_on(self, saga: str, record: dict[str, Any]) -> None:
        if record["state"] == "new":
            self.begin(saga)


class ApprovesAtAnyTime(WaitsADay):
    """Sells on an approval, whether or not the time for it is over."""

    def approved(self, saga: str) -> None:
        self.world.reply(saga, self.sell(saga))


class ExpiresAtAnyTime(WaitsADay):
    """Cancels an order when its time is up, whatever became of it meanwhile: nobody takes the timer back."""

    def time_is_up(self, saga: str) -> None:
        self.world.reply(saga, self.give_up(saga))

    def end(self, saga: str, outcome: Outcome) -> Outcome:
        record = self.record(saga) | {"state": "over", "outcome": outcome.value}
        self.durably(lambda: self.world.store.put(key_of(saga), record, record="terminal", saga=saga))
        return outcome


class ShipsByTimer(Checkout):
    """Right: ships a minute after the payment; a timer that is set twice ships once."""

    emits: ClassVar[Mapping[str, str]] = {}

    def begin(self, saga: str) -> Outcome:
        self.ask("order.create", saga)
        if not self.pay(saga):
            return self.give_up(saga)
        self.world.publish(SHIP_LATER, saga=saga, delay_ms=60_000)
        self.change(saga, "charged", only="new")
        return Outcome.PENDING

    def receive(self, message: Message) -> None:
        self.ask("shipping.send", message.saga)
        self.world.reply(message.saga, self.end(message.saga, Outcome.COMPLETED))


class ShipsForEachTimer(ShipsByTimer):
    """Knows each timer by an id of its own: one that is set again after a crash ships again."""

    def receive(self, message: Message) -> None:
        self.timer = message.id
        super().receive(message)

    def key(self, operation: str, saga: str) -> str | None:
        return self.timer if operation == "shipping.send" else super().key(operation, saga)


# -- events --------------------------------------------------------------------------------------


class InAnyOrder(Checkout):
    """Right: an event of the payment that comes before the one of the order is told again later."""

    emits: ClassVar[Mapping[str, str]] = {"order.create": CREATED, "payment.charge": CHARGED}

    def receive(self, message: Message) -> None:
        if message.topic == CREATED:
            self.durably(lambda: self.world.store.put(f"known/{message.saga}", True, saga=message.saga))
        elif self.world.store.get(f"known/{message.saga}"):
            super().receive(message)
        else:
            self.unknown(message)

    def unknown(self, message: Message) -> None:
        raise LookupError("no such order yet; come again")


class TakesThemAsTheyCome(InAnyOrder):
    """Takes an event of an order that it was not told of for somebody else's, and drops it."""

    def unknown(self, message: Message) -> None:
        pass


class GathersTwo(Checkout):
    """Right: ships when it was told of the order and of the payment; what it was told is one record, guarded."""

    emits: ClassVar[Mapping[str, str]] = {"order.create": CREATED, "payment.charge": CHARGED}

    def receive(self, message: Message) -> None:
        heard = self.world.store.get(f"heard/{message.saga}", {"topics": []})
        self.world.sleep(0.01)  # what it does beside
        topics = sorted({*heard["topics"], message.topic})
        guard = heard if heard["topics"] else {}
        self.keep(message.saga, {"topics": topics}, guard)
        if len(topics) == 2:
            super().receive(message)

    def keep(self, saga: str, heard: dict[str, Any], guard: dict[str, Any]) -> None:
        key = f"heard/{saga}"
        try:
            self.durably(lambda: self.world.store.put(key, heard, record="heard", saga=saga, guard=guard))
        except Conflict:
            if self.world.store.get(key) != heard:
                raise  # somebody else was told something meanwhile; then this comes again


class GathersBlindly(GathersTwo):
    """Writes what it was told over what another message has written meanwhile."""

    def keep(self, saga: str, heard: dict[str, Any], guard: dict[str, Any]) -> None:
        self.durably(lambda: self.world.store.put(f"heard/{saga}", heard, record="heard", saga=saga))


# -- queues ----------------------------------------------------------------------------------------


class GivesUpAfterAnHour(Checkout):
    """Right: an order that is not paid within an hour is cancelled, and what is told of it then changes nothing."""

    def begin(self, saga: str) -> Outcome:
        self.ask("order.create", saga)
        self.world.publish(TIME_IS_UP, saga=saga, delay_ms=3_600_000)
        return Outcome.PENDING

    def go_on(self, saga: str, record: dict[str, Any]) -> None:
        if record["state"] == "new":
            self.begin(saga)

    def receive(self, message: Message) -> None:
        if message.topic == TIME_IS_UP:
            if self.change(message.saga, "expired", only="new"):
                self.world.reply(message.saga, self.give_up(message.saga))
        elif self.may_sell(message.saga):
            self.sell(message.saga)

    def may_sell(self, saga: str) -> bool:
        return self.change(saga, "selling", only="new")

    def sell(self, saga: str) -> None:
        if not self.pay(saga):
            self.world.reply(saga, self.give_up(saga))
            return
        self.ask("shipping.send", saga)
        self.world.reply(saga, self.end(saga, Outcome.COMPLETED))

    emits: ClassVar[Mapping[str, str]] = {"order.create": CREATED}


class SellsWhatIsReplayed(GivesUpAfterAnHour):
    """Sells an order whenever it is told of it, also when that comes out of the dead-letter queue a day later."""

    def may_sell(self, saga: str) -> bool:
        super().may_sell(saga)
        return True


class TriesTwice(NeedsTheResponse):
    """Cannot handle a webhook before its payment is recorded, and is given it twice: then nobody looks any more."""

    def receive(self, message: Message) -> None:
        if self.record(message.saga)["state"] == "new":
            raise LookupError("no such payment yet")
        super().receive(message)


class Relays(Checkout):
    """Right: an outbox of numbered rows, and a relay that publishes each that it has not published yet."""

    emits: ClassVar[Mapping[str, str]] = {}

    def boot(self, world: World) -> None:
        super().boot(world)
        self.last = max((_number(row) for row, _ in world.store.items("outbox/")), default=0)
        self.mark = 0
        self.published: set[str] = set()
        world.spawn(self.relay)

    def begin(self, saga: str) -> Outcome:
        self.last += 1
        row = f"outbox/{self.last:04}/{saga}"  # the sequence gives a number before the transaction commits
        try:
            self.ask("order.create", saga)
        except Rejected:
            return self.end(saga, Outcome.COMPENSATED)
        if not self.pay(saga):
            return self.give_up(saga)
        self.durably(lambda: self.world.store.put(row, saga, record="outbox", saga=saga))
        self.change(saga, "charged", only="new")
        self.world.spawn(self.relay)
        return Outcome.PENDING

    def relay(self) -> None:
        for _ in range(20):
            for row, saga in self.world.store.items("outbox/"):
                if self.is_new(row):
                    self.world.publish(WANTED, saga=saga)
            self.world.sleep(0.1)

    def is_new(self, row: str) -> bool:
        new = row not in self.published
        self.published.add(row)
        return new


def _number(row: str) -> int:
    return int(row.split("/")[1])


class RelaysBehindAMark(Relays):
    """Reads the outbox from the highest number that it has seen: a row with a lower one that commits later is never
    read."""

    def is_new(self, row: str) -> bool:
        if _number(row) <= self.mark:
            return False
        self.mark = _number(row)
        return True


CORRECT: Final = receiving()
APPROVAL: Final = receiving(WaitsADay)

MUTANTS: Final = (
    Mutant(
        name="webhook-before-response",
        adapter=receiving(NeedsTheResponse),
        twin=CORRECT,
        invariants=("I40",),
        faults=1,
        schedule="timeout at saga-1: payment forward, send",
        source="duncanmcclean/statamic-cargo#190",
    ),
    Mutant(
        name="webhook-twice",
        adapter=receiving(KeyForEachCall),
        twin=CORRECT,
        invariants=("I1",),
        faults=1,
        schedule="message-twice at saga-1: payment.charged message, publish",
        source="mollie/WooCommerce#1063",
        concurrency=True,
    ),
    Mutant(
        name="webhook-overwritten",
        adapter=receiving(SavesWhatItRead),
        twin=receiving(LeavesItToTheRun),
        invariants=("I2", "I10"),
        faults=1,
        schedule="crash-after-send at saga-1: payment forward, send",
        source="duncanmcclean/statamic-cargo#195",
        timing=True,
    ),
    Mutant(
        name="reply-before-save",
        adapter=receiving(AsksFirst, **ONE_STORE),
        twin=receiving(SavesFirst, **ONE_STORE),
        invariants=("I40",),
        faults=1,
        schedule="timeout at saga-1: order forward, send",
        source="rebus-org/Rebus#795, rebus-org/Rebus#958",
        timing=True,
    ),
    Mutant(
        name="acknowledged-before-commit",
        adapter=receiving(AcknowledgesFirst),
        twin=CORRECT,
        invariants=("I40",),
        faults=1,
        schedule="crash-after-message-ack at saga-1: payment.charged message, handled",
        source="Particular/NServiceBus.RabbitMQ#122",
    ),
    Mutant(
        name="approval-before-subscription",
        adapter=receiving(WaitsFromNowOn),
        twin=receiving(AwaitsApproval),
        invariants=("I40",),
        faults=1,
        schedule="crash-after-send at saga-1: order forward, send",
        source="microsoft/pg_durable#272",
    ),
    Mutant(
        name="approval-after-timeout",
        adapter=receiving(ApprovesAtAnyTime),
        twin=APPROVAL,
        invariants=("I8", "I15", "I2", "I10"),
        faults=1,
        schedule="message-overtaken at saga-1: order.approved message, publish",
        source="dapr/dotnet-sdk#1683",
    ),
    Mutant(
        name="timer-after-the-end",
        adapter=receiving(ExpiresAtAnyTime),
        twin=APPROVAL,
        invariants=("I15", "I10", "I2"),
        faults=0,
        schedule="no fault",
        source="MassTransit/MassTransit#525",
    ),
    Mutant(
        name="timer-twice",
        adapter=receiving(ShipsForEachTimer),
        twin=receiving(ShipsByTimer),
        invariants=("I1",),
        faults=1,
        schedule="second-orchestrator at saga-1: write 'create'",
        source="Particular/docs.particular.net#6573",
    ),
    Mutant(
        name="events-out-of-order",
        adapter=receiving(TakesThemAsTheyCome),
        twin=receiving(InAnyOrder),
        invariants=("I40",),
        faults=1,
        schedule="message-late at saga-1: order.created message, publish",
        source="stripe/stripe-cli#418",
    ),
    Mutant(
        name="fan-in-lost-update",
        adapter=receiving(GathersBlindly),
        twin=receiving(GathersTwo),
        invariants=("I10",),
        faults=0,
        schedule="no fault",
        source="JasperFx/wolverine#3414",
        concurrency=True,
    ),
    Mutant(
        name="dead-letter-replay",
        adapter=receiving(SellsWhatIsReplayed, **QUEUED),
        twin=receiving(GivesUpAfterAnHour, **QUEUED),
        invariants=("I8", "I15", "I2", "I10"),
        faults=1,
        schedule="message-parked at saga-1: order.created message, receipt",
        source="paolosalvatori/ServiceBusExplorer#342",
    ),
    Mutant(
        name="retries-exhausted",
        adapter=receiving(TriesTwice, **TRIED_TWICE),
        twin=receiving(LeavesItToTheRun, **TRIED_TWICE),
        invariants=("I41",),
        faults=1,
        schedule="partition-answers at saga-1: payment forward, send",
        source="looplab/eventhorizon#381",
    ),
    Mutant(
        name="outbox-skips-a-late-commit",
        adapter=receiving(RelaysBehindAMark, TWO_AT_ONCE),
        twin=receiving(Relays, TWO_AT_ONCE),
        invariants=("I3", "I10"),
        faults=1,
        schedule="lost-request at saga-1: order forward, send",
        source="kamu-data/kamu-cli#1398",
        concurrency=True,
        timing=True,
    ),
)
