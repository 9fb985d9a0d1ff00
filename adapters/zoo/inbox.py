"""A correct checkout that is told by messages how it goes on, with a seam at each decision, for mutants to differ in.

The order is created and charged by requests; that the charge was made the payment service tells again by a message, and
what is shipped is shipped on that message. So it keeps these rules:

- whatever comes, whenever and however often, the record of the saga says whether it has been heard already;
- what follows from a message is asked for under a key of the saga, and is durable before the message is acknowledged;
- a message that comes after the end changes nothing, and one that comes too early is as good as one on time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Final

from ...messages import Message
from ...ports import Adapter, CallTimeout, Conflict, Rejected, StoreUnavailable, Unavailable, World
from ...saga import Outcome, Saga, Step
from ...scenario import Order, Scenario
from .parts import SUCCEEDS, declared, told

CHARGED: Final = "payment.charged"

SOLD: Final = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund", pivot=True),
        Step("shipping", "shipping.send", retriable=True),
    ],
)


class Checkout:
    """A checkout that ships when the payment service has told that it charged."""

    saga: ClassVar[Saga] = SOLD
    emits: ClassVar[Mapping[str, str]] = {"payment.charge": CHARGED}

    def boot(self, world: World) -> None:
        self.world = world

    def run(self, order: Order) -> Outcome:
        record = {"amount": order.amount, "state": "new", "outcome": ""}
        self.durably(lambda: self.world.store.put(key_of(order.id), record, record="create", saga=order.id))
        return self.begin(order.id)

    def recover(self) -> None:
        for look in range(2):  # a replica that lags may not show a saga at the first
            if look:
                self.world.sleep(1)
            for key, record in self.world.store.items(_PREFIX):
                self.go_on(key.removeprefix(_PREFIX), record)

    def go_on(self, saga: str, record: dict[str, Any]) -> None:
        """Take up a saga that an earlier process had in hand."""
        if record["state"] == "new" and (outcome := self.begin(saga)) is not Outcome.PENDING:
            self.world.reply(saga, outcome)

    def begin(self, saga: str) -> Outcome:
        """What is done before a message is waited for."""
        self.ask("order.create", saga)
        if not self.pay(saga):
            return self.give_up(saga)
        self.change(saga, "charged", only="new")
        return Outcome.PENDING

    def pay(self, saga: str) -> bool:
        """Charge; False where the business refuses."""
        try:
            self.ask("payment.charge", saga, amount=self.record(saga)["amount"])
        except Rejected:
            return False
        return True

    def give_up(self, saga: str) -> Outcome:
        self.ask("order.cancel", saga)
        return self.end(saga, Outcome.COMPENSATED)

    # -- messages ------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        if not self.record(message.saga)["outcome"]:
            self.ship(message)

    def ship(self, message: Message) -> None:
        self.ask("shipping.send", message.saga)
        self.world.reply(message.saga, self.end(message.saga, Outcome.COMPLETED))

    # -- records and requests --------------------------------------------------------------------

    def record(self, saga: str) -> dict[str, Any]:
        found: dict[str, Any] = self.world.store.get(key_of(saga), {"amount": 0, "state": "", "outcome": ""})
        return found

    def end(self, saga: str, outcome: Outcome) -> Outcome:
        """Make an end durable, unless there is one: that."""
        record = self.record(saga)
        if not record["outcome"]:
            record |= {"state": "over", "outcome": outcome.value}
            self.durably(lambda: self.world.store.put(key_of(saga), record, record="terminal", saga=saga))
        return Outcome(record["outcome"])

    def change(self, saga: str, state: str, *, only: str) -> bool:
        """Write a saga's state, where it is ``only`` that; whether it was, or is that state by now."""
        for wait in _waits():
            record = self.record(saga)
            if record["state"] != only:
                return bool(record["state"] == state)
            try:
                self.write(saga, {**record, "state": state}, state, {"state": only})
            except Conflict:  # somebody else wrote meanwhile, or this replica lags
                self.world.sleep(wait)
            else:
                return True
        raise AssertionError("the waits have no end")

    def write(self, saga: str, record: dict[str, Any], kind: str, guard: Mapping[str, Any]) -> None:
        self.durably(lambda: self.world.store.put(key_of(saga), record, record=kind, saga=saga, guard=guard))

    def ask(self, operation: str, saga: str, **payload: Any) -> Any:
        """A participant's answer; it is asked until it gives one."""
        for wait in _waits():
            try:
                return self.world.call(operation, saga=saga, key=self.key(operation, saga), **payload)
            except (CallTimeout, Unavailable):
                self.world.sleep(wait)
        raise AssertionError("the waits have no end")

    def key(self, operation: str, saga: str) -> str | None:
        return f"{saga}/{operation}"

    def durably(self, write: Callable[[], None]) -> None:
        for wait in _waits():
            try:
                return write()
            except StoreUnavailable:
                self.world.sleep(wait)
        raise AssertionError("the waits have no end")


_PREFIX: Final = "checkout/"


def key_of(saga: str) -> str:
    """Under which key the record of a saga is kept."""
    return _PREFIX + saga


def _waits() -> Iterator[float]:
    """Seconds, doubled each time, without end."""
    wait = 0.1
    while True:
        yield wait
        wait = min(2 * wait, 60.0)


def receiving(make: type[Checkout] = Checkout, scenario: Scenario = SUCCEEDS, **options: Any) -> Adapter:
    """The adapter that ``make`` is."""
    cls = type(make.__name__, (make,), {"__doc__": told(make)})
    return declared(cls, saga=make.saga, name=make.__name__, scenarios=[scenario], emits=make.emits, **options)
