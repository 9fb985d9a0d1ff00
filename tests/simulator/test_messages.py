"""What a message does in the simulator: when it comes, how often, to whom, and what becomes of one that fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sagafuzz import (
    Fault,
    LocalTransaction,
    Message,
    Order,
    Outcome,
    Plan,
    Rejected,
    Request,
    Saga,
    Scenario,
    Site,
    Step,
    Topic,
    Transaction,
    UsageError,
    World,
    adapter,
    check,
)
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import HANDLED, NACK, PARKED, PUBLISH, RECEIVE, REDRIVE, Event, History
from sagafuzz.simulator import Setup, simulate

SAGA = Saga("checkout", [Step("order", "order.create", undo="order.cancel"), Step("payment", "payment.charge")])


class Shop:
    """Creates an order and publishes; what it was sent it keeps in a list."""

    def boot(self, world: World) -> None:
        self.world = world
        self.came: list[Message] = []

    def run(self, order: Order) -> Outcome:
        self.world.call("order.create", saga=order.id, key=order.id)
        self.publish(order)
        return Outcome.PENDING

    def publish(self, order: Order) -> None:
        self.world.publish("asked", by="shop")

    def receive(self, message: Message) -> None:
        self.came.append(message)


def setup(shop: type = Shop, sagas: int = 1, **options: Any) -> Setup:
    scenario = Scenario(sagas=sagas)
    declared: Any = adapter(saga=SAGA, scenarios=[scenario], **options)(type("Shop", (shop,), {}))
    return Setup(adapter=declared.__sagafuzz_adapter__, scenario=scenario)


def history(of: Setup, *faults: str) -> History:
    """The run under faults written ``KIND TOPIC``; the first site of that kind's phase."""
    planned = [words.split() for words in faults]
    plan = Plan(
        faults=tuple(
            Fault(kind=kind, site=Site("saga-1", topic, "M", FAULT_KINDS[kind].phase, 1)) for kind, topic in planned
        )
    )
    run = simulate(of, plan)
    assert len(run.fired) == len(plan)
    return run.history(of, plan)


def of_kind(found: History, *kinds: str) -> list[Event]:
    return [event for event in found.events if event.kind in kinds]


def milliseconds(found: History, kind: str) -> list[float]:
    return [event.t_us / 1000 for event in of_kind(found, kind)]


def test_a_message_is_delivered_and_acknowledged_by_returning() -> None:
    published, received, handled = of_kind(history(setup()), PUBLISH, RECEIVE, HANDLED)
    assert (published.kind, published.get("topic"), published.get("payload")) == (PUBLISH, "asked", (("by", "shop"),))
    assert (received.kind, received.process, received.get("nth")) == (RECEIVE, "orchestrator", 1)
    assert handled.kind == HANDLED and published.msg == received.msg == handled.msg != 0


def test_a_delay_makes_a_timer_of_it() -> None:
    class Timed(Shop):
        def publish(self, order: Order) -> None:
            self.world.publish("time is up", delay_ms=86_400_000)

    found = history(setup(Timed))
    assert milliseconds(found, RECEIVE)[0] - milliseconds(found, PUBLISH)[0] == 86_400_005


def test_a_handler_that_raises_has_it_again_after_a_time_that_doubles() -> None:
    class Moody(Shop):
        def receive(self, message: Message) -> None:
            if message.delivery < 4:
                raise LookupError("not yet")

    found = history(setup(Moody))
    assert [event.get("nth") for event in of_kind(found, RECEIVE)] == [1, 2, 3, 4]
    assert [round(at) for at in milliseconds(found, RECEIVE)] == [7, 1007, 3007, 7007]
    first = of_kind(found, NACK)[0]
    assert first.get("reason") == "LookupError: not yet" and "test_messages.py" in first.get("where")


def test_after_so_many_failures_it_is_put_aside_and_an_operator_may_replay_it() -> None:
    class Broken(Shop):
        def receive(self, message: Message) -> None:
            raise LookupError

    aside = history(setup(Broken, topics={"asked": Topic(max_deliveries=2)}))
    assert [event.kind for event in of_kind(aside, NACK, PARKED, REDRIVE)] == [NACK, NACK, PARKED]
    replayed = history(setup(Broken, topics={"asked": Topic(max_deliveries=1, replayed=True)}))
    assert [event.kind for event in of_kind(replayed, NACK, PARKED, REDRIVE)] == [NACK, PARKED, REDRIVE, NACK, PARKED]


class Numbered(Shop):
    """Publishes three in a row; handling one takes a second."""

    def publish(self, order: Order) -> None:
        for number in range(3):
            self.world.publish("asked", number=number)

    def receive(self, message: Message) -> None:
        self.world.sleep(1)


def test_messages_of_one_key_come_one_after_the_other_where_that_is_declared() -> None:
    at_once = milliseconds(history(setup(Numbered)), RECEIVE)
    in_turn = milliseconds(history(setup(Numbered, topics={"asked": Topic(ordered=True)})), RECEIVE)
    assert [round(at) for at in at_once] == [7, 7, 7]
    assert [round(at) for at in in_turn] == [7, 1007, 2007]


def test_one_that_is_late_keeps_back_those_behind_it_where_order_is_kept() -> None:
    ordered = setup(Numbered, topics={"asked": Topic(ordered=True)})
    assert [round(at) for at in milliseconds(history(ordered, "message-late asked"), RECEIVE)] == [10007, 11007, 12007]
    assert "message-overtaken" in simulate(ordered).impossible[simulate(ordered).sites.index(PUBLISHED)]


PUBLISHED = ("saga-1", "asked", "M", "publish", 1)


@pytest.mark.parametrize(
    ("kind", "times"),
    [
        ("message-early", [2]),
        ("message-late", [10_007]),
        ("message-after-end", [7]),  # all else is at rest at once
        ("message-twice", [7, 7]),
        ("message-again-at-end", [7, 12]),
        ("lost-message-ack", [7, 2007]),
        ("crash-after-publish", [102]),
        ("crash-before-message-ack", [7, 107]),
        ("crash-after-message-ack", [7]),
    ],
)
def test_when_it_comes_under_each_kind(kind: str, times: list[int]) -> None:
    assert [round(at) for at in milliseconds(history(setup(), f"{kind} asked"), RECEIVE)] == times


def test_nothing_is_published_by_a_process_that_dies_before() -> None:
    assert not of_kind(history(setup(), "crash-before-publish asked"), PUBLISH)


def test_what_a_built_in_participant_emits_says_what_it_answered() -> None:
    found = history(setup(Quiet, emits={"order.create": "order.created"}))
    (published,) = of_kind(found, PUBLISH)
    assert (published.process, published.get("payload")) == ("order", (("id", "order-1"),))
    assert published.get("cause") == 1


class Quiet(Shop):
    """Publishes nothing itself."""

    def publish(self, order: Order) -> None:
        pass


class Emitting:
    """Emits in its transaction, and refuses or fails then."""

    error: type[Exception] | None = None

    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.emit("order.created", size=len(request.saga))
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(("error", "emitted"), [(None, 1), (Rejected, 1), (RuntimeError, 0)])
def test_what_a_participant_of_ones_own_emits_is_published_with_its_transaction(error: Any, emitted: int) -> None:
    class Patient(Quiet):
        def run(self, order: Order) -> Outcome:
            try:
                return super().run(order)
            except Exception:
                return Outcome.PENDING

    service = type("Service", (Emitting,), {"error": error})
    assert len(of_kind(history(setup(Patient, participants={"order": service})), PUBLISH)) == emitted


def test_code_around_a_participant_emits_in_its_transaction() -> None:
    class Surrounded:
        def handle(self, request: Request, tx: LocalTransaction) -> Any:
            tx.emit("order.created", key="k")
            return tx.apply()

    (published,) = of_kind(history(setup(Quiet, around={"order": Surrounded})), PUBLISH)
    assert (published.process, published.key) == ("order", "k")


def test_an_async_adapter_receives_in_its_event_loop() -> None:
    class Awaiting:
        def boot(self, world: World) -> None:
            self.world = world

        async def run(self, order: Order) -> Outcome:
            await self.world.call("order.create", saga=order.id)
            self.world.publish("asked")
            return Outcome.PENDING

        async def receive(self, message: Message) -> None:
            await self.world.call("payment.charge", key="k")

    found = history(setup(Awaiting))
    assert [event.kind for event in of_kind(found, RECEIVE, HANDLED)] == [RECEIVE, HANDLED]
    assert of_kind(found, HANDLED)[0].saga == "saga-1"


def test_competing_processes_take_turns() -> None:
    class Slow(Numbered):
        def run(self, order: Order) -> Outcome:
            self.world.store.put(order.id, 1, record="create", saga=order.id)
            self.world.sleep(1)
            return super().run(order)

        def recover(self) -> None:
            pass

    shared = setup(Slow, topics={"asked": Topic(shared=True)})
    plan = Plan(faults=(Fault(kind="second-orchestrator", site=Site("saga-1", "create", "", "logged", 1)),))
    found = simulate(shared, plan).history(shared, plan)
    assert {event.process for event in of_kind(found, RECEIVE)} == {"orchestrator", "orchestrator#2"}


class Silent:
    """Receives nothing."""

    boot, run, publish = Shop.boot, Shop.run, Shop.publish


def declaring(options: Mapping[str, Any], shop: type = Shop) -> None:
    setup(shop, **options)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda: history(setup(Silent)), "'asked' is published, and nobody receives it; add 'def receive"),
        (lambda: declaring({"topics": {"asked": Topic()}}, Silent), "it declares messages, and nobody receives them"),
        (lambda: declaring({"topics": {"asked": {"ordered": True}}}), "write a sagafuzz.Topic"),
        (lambda: declaring({"emits": {"order.creat": "x"}}), "'order.creat'.*did you mean 'order.create'"),
        (lambda: declaring({"emits": {"order.create": ""}}), "write the topic, a non-empty string"),
        (lambda: Topic(max_deliveries=0), "max_deliveries=0; write a whole number, 1 or more"),
        (lambda: Topic(replayed=True), "say after how many a message is put aside"),
    ],
)
def test_what_is_declared_wrongly_is_told(act: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        act()


@pytest.mark.parametrize("kind", ["message-late", "message-after-end", "message-twice", "message-again-at-end"])
def test_a_timer_is_never_early(kind: str) -> None:
    class Timed(Shop):
        def publish(self, order: Order) -> None:
            self.world.publish("asked", delay_ms=60_000)

    found = history(setup(Timed), f"{kind} asked")
    assert all(at > 60_000 for at in milliseconds(found, RECEIVE))
    assert "message-early" in simulate(setup(Timed)).impossible[simulate(setup(Timed)).sites.index(PUBLISHED)]


@pytest.mark.parametrize("days", [0, 40])
def test_what_nobody_can_handle_is_not_waited_for_once_nothing_else_is_to_come(days: int) -> None:
    class Refused(Shop):
        def run(self, order: Order) -> Outcome:
            self.publish(order)
            self.world.sleep(days * 86_400)
            return Outcome.COMPENSATED

        def receive(self, message: Message) -> None:
            raise LookupError("the order does not wait yet")

    found = history(setup(Refused))
    assert found.events[-1].get("reason") == "quiescent"
    assert max(30, days) <= len(of_kind(found, NACK)) <= days + 60
    assert [each.anomaly for each in check(found, only={"I41"}).violations] == ["comes for ever"]
