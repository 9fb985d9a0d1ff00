"""Checkouts that are wrong in one thing that has to do with messages: one for every kind of fault that strikes them.

Each differs from the right one in one behaviour. What a late message shows, an even later one often shows too: the
table says which other kinds lead to the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sagafuzz import Adapter, Message, Outcome, Topic
from sagafuzz.adapters.zoo.inbox import CHARGED, Checkout, receiving

WANTED = "parcel.wanted"
CREATED = "order.created"


class ByItself(Checkout):
    """Right: that a parcel is to be sent it tells itself, and then notes that it did."""

    emits: Mapping[str, str] = {}

    def begin(self, saga: str) -> Outcome:
        outcome = super().begin(saga)
        if outcome is Outcome.PENDING:
            self.pass_on(saga)
        return outcome

    def go_on(self, saga: str, record: dict[str, Any]) -> None:
        super().go_on(saga, record)
        if record["state"] == "charged":
            self.pass_on(saga)

    def pass_on(self, saga: str) -> None:
        self.world.publish(WANTED, saga=saga)
        self.change(saga, "passed on", only="charged")


class NotesFirst(ByItself):
    """Notes that it told, and then tells."""

    def pass_on(self, saga: str) -> None:
        if self.change(saga, "passed on", only="charged"):
            self.world.publish(WANTED, saga=saga)


class ShipsEachMessage(ByItself):
    """Ships once for each message that it knows by its id."""

    def ship(self, message: Message) -> None:
        self.ask("order.confirm", message.saga)

    def receive(self, message: Message) -> None:
        self.message = message
        self.ask("shipping.send", message.saga)
        self.world.reply(message.saga, self.end(message.saga, Outcome.COMPLETED))

    def key(self, operation: str, saga: str) -> str | None:
        return self.message.id if operation == "shipping.send" else super().key(operation, saga)


class WaitsForTheRecord(Checkout):
    """Drops what it is told of a saga that it does not know as charged."""

    def receive(self, message: Message) -> None:
        if self.record(message.saga)["state"] == "charged":
            super().receive(message)


class WaitsForTheAnswer(Checkout):
    """Takes a message of an open saga only once its process was answered; then the record has to say so as well."""

    def boot(self, world: Any) -> None:
        super().boot(world)
        self.answered: set[str] = set()

    def ask(self, operation: str, saga: str, **payload: Any) -> Any:
        answer = super().ask(operation, saga, **payload)
        self.answered.add(saga)
        return answer

    def receive(self, message: Message) -> None:
        if message.saga not in self.answered and not self.record(message.saga)["outcome"]:
            raise LookupError("come again")
        if self.record(message.saga)["state"] != "new":
            super().receive(message)


class LosesPatience(Checkout):
    """Ships by itself after five seconds, under another key than on the message."""

    def begin(self, saga: str) -> Outcome:
        outcome = super().begin(saga)
        if outcome is Outcome.PENDING:
            self.world.sleep(5)
            if not self.record(saga)["outcome"]:
                self.world.call("shipping.send", saga=saga, key=f"{saga}/by itself")
        return outcome


class KnowsTheOrderFirst(Checkout):
    """Drops what it is told of the payment of an order of which it was told nothing."""

    emits: Mapping[str, str] = {"order.create": CREATED, "payment.charge": CHARGED}

    def receive(self, message: Message) -> None:
        if message.topic == CREATED:
            self.durably(lambda: self.world.store.put(f"known/{message.saga}", True))
        elif self.world.store.get(f"known/{message.saga}"):
            super().receive(message)


class TakesTurns(KnowsTheOrderFirst):
    """Right: what it was not told of yet it has told again."""

    def receive(self, message: Message) -> None:
        if message.topic == CHARGED and not self.world.store.get(f"known/{message.saga}"):
            raise LookupError("come again")
        super().receive(message)


class ShipsAfterTheEnd(Checkout):
    """Gives up after a minute, and ships when it is told all the same."""

    def begin(self, saga: str) -> Outcome:
        outcome = super().begin(saga)
        if outcome is Outcome.PENDING:
            self.world.sleep(60)
            if not self.record(saga)["outcome"]:
                self.ask("payment.refund", saga)
                outcome = self.give_up(saga)
        return outcome

    def receive(self, message: Message) -> None:
        if self.record(message.saga)["outcome"] != "completed":
            self.ship(message)


class LooksAndThenActs(Checkout):
    """Looks whether it has shipped, and ships without a key."""

    def key(self, operation: str, saga: str) -> str | None:
        return None if operation == "shipping.send" else super().key(operation, saga)


class ForgetsWhatIsOver(LooksAndThenActs):
    """Forgets in an hour which sagas are over."""

    def receive(self, message: Message) -> None:
        if self.change(message.saga, "shipping", only="charged") or not self.record(message.saga)["state"]:
            self.ship(message)
            self.world.sleep(3600)
            self.durably(lambda: self.world.store.delete(f"checkout/{message.saga}", saga=message.saga))


class ServesItsOwn(Checkout):
    """Drops what it is told of sagas that its process does not know yet."""

    def boot(self, world: Any) -> None:
        super().boot(world)
        self.mine: set[str] = set()

    def begin(self, saga: str) -> Outcome:
        self.mine.add(saga)
        return super().begin(saga)

    def recover(self) -> None:
        self.world.sleep(0.05)
        self.mine.update(key.partition("/")[2] for key, _ in self.world.store.items("checkout/"))
        super().recover()

    def receive(self, message: Message) -> None:
        if message.saga in self.mine:
            super().receive(message)


class RemembersInItsProcess(Checkout):
    """Knows what it has handled as long as its process lives; then it acknowledges, and does the rest."""

    def boot(self, world: Any) -> None:
        super().boot(world)
        self.seen: set[str] = set()

    def receive(self, message: Message) -> None:
        if message.id not in self.seen:
            self.seen.add(message.id)
            self.world.call("shipping.send", saga=message.saga)
            self.world.reply(message.saga, Outcome.COMPLETED)


class CountsDeliveries(Checkout):
    """Takes a second delivery for a second parcel."""

    def receive(self, message: Message) -> None:
        self.nth = message.delivery
        self.ship(message)

    def key(self, operation: str, saga: str) -> str | None:
        return f"{saga}/{self.nth}" if operation == "shipping.send" else super().key(operation, saga)


class AcknowledgesFirst(Checkout):
    """Acknowledges, and then does what it was told to do."""

    def receive(self, message: Message) -> None:
        self.world.spawn(super().receive, message)


class AsksAgain(Checkout):
    """Right where messages can be lost: ships when the charge was answered, or when it is told of it."""

    def begin(self, saga: str) -> Outcome:
        outcome = super().begin(saga)
        if outcome is Outcome.PENDING and not self.record(saga)["outcome"]:
            self.ask("shipping.send", saga)
            outcome = self.end(saga, Outcome.COMPLETED)
        return outcome

    def go_on(self, saga: str, record: dict[str, Any]) -> None:
        if record["state"] in ("new", "charged"):
            self.world.reply(saga, self.begin(saga))


@dataclass(frozen=True, kw_only=True)
class BrokenByMessages:
    """A system that one kind of fault finds out, by a violation of ``invariant``, and ``also`` these others do."""

    adapter: Adapter
    invariant: str
    also: frozenset[str] = field(default_factory=frozenset)


LOSSY = {CHARGED: Topic(may_lose=True)}
PUT_ASIDE = {CHARGED: Topic(max_deliveries=3)}
REPLAYED = {CHARGED: Topic(max_deliveries=3, replayed=True)}


def _broken(make: type[Checkout], invariant: str, *also: str, **options: Any) -> BrokenByMessages:
    return BrokenByMessages(adapter=receiving(make, **options), invariant=invariant, also=frozenset(also))


SOONER = ("message-early", "message-before-save")

BROKEN: Mapping[str, BrokenByMessages] = {
    "crash-before-publish": _broken(NotesFirst, "I13"),
    "crash-after-publish": _broken(ShipsEachMessage, "I1"),
    "message-lost": _broken(Checkout, "I41", topics=LOSSY),
    "message-early": _broken(WaitsForTheRecord, "I40", "message-before-save"),
    "message-before-save": _broken(WaitsForTheAnswer, "I40", "message-early", "crash-at-receipt"),
    "message-late": _broken(LosesPatience, "I1", "message-overtaken", "message-after-end"),
    "message-overtaken": _broken(
        KnowsTheOrderFirst, "I40", "message-late", "message-after-end", *SOONER, "crash-at-receipt"
    ),
    "message-after-end": _broken(ShipsAfterTheEnd, "I10", "message-overtaken"),
    "message-twice": _broken(LooksAndThenActs, "I1"),
    "message-again-at-end": _broken(ForgetsWhatIsOver, "I1", *SOONER, "crash-before-message-ack", "lost-message-ack"),
    "crash-at-receipt": _broken(ServesItsOwn, "I40"),
    "message-parked": _broken(Checkout, "I41", topics=PUT_ASIDE),
    "crash-before-message-ack": _broken(RemembersInItsProcess, "I1"),
    "lost-message-ack": _broken(CountsDeliveries, "I1", "crash-before-message-ack"),
    "crash-after-message-ack": _broken(AcknowledgesFirst, "I40"),
}
"""For each kind of fault that strikes messages a system that it finds out."""

RIGHT = receiving(Checkout)
SOUND: Mapping[str, Adapter] = {
    "crash-before-publish": receiving(ByItself),
    "crash-after-publish": receiving(ByItself),
    "message-lost": receiving(AsksAgain, topics=LOSSY),
    "message-overtaken": receiving(TakesTurns),
    "message-parked": receiving(Checkout, topics=REPLAYED),
}
"""Right systems that can suffer a kind which the right checkout cannot."""
