"""RabbitMQ by the calls of aio-pika, in a service as it is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aio_pika
import aiormq.connection
import pytest
import redis.asyncio
from faststream import AckPolicy
from faststream.exceptions import NackMessage
from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue

from sagafuzz import Outcome, Topic, UsageError
from sagafuzz.history import rows_digest
from sagafuzz.simulator.rabbit import CALLS

from .conftest import Trial
from .test_service import declared, trial

Work = Callable[[Any], Awaitable[object]]
Sends = Callable[[Any, str], Awaitable[object]]
URL = "amqp://guest:guest@rabbit/"


async def send(channel: Any, order: str, queue: str = "orders", **more: Any) -> None:
    await channel.default_exchange.publish(aio_pika.Message(order.encode(), **more), queue)


async def done(order: str) -> None:
    async with redis.asyncio.Redis(host="cache") as cache:
        await cache.set(f"done:{order}", 1)


async def iterate(channel: Any, queue: Any, work: Work) -> None:
    async with queue.iterator() as messages:
        async for message in messages:
            await work(message)


async def call_back(channel: Any, queue: Any, work: Work) -> None:
    await queue.consume(work)


async def poll(channel: Any, queue: Any, work: Work) -> None:
    while True:
        message = await queue.get(fail=False)
        if message is not None:
            await work(message)
        await asyncio.sleep(1)


def consumed(
    work: Work, *faults: str, sends: Sends = send, by: Any = iterate, prefetch: int = 1, **options: Any
) -> Trial:
    """A run in which each order is sent to a queue, and a consumer does ``work(message)`` with what comes."""
    kept: list[Any] = []

    async def start() -> None:
        connection = await aio_pika.connect_robust(URL)
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=prefetch)
        queue = await channel.declare_queue("orders", durable=True, **options)
        kept[:] = [connection, channel, asyncio.create_task(by(channel, queue, work))]

    async def handler(order: str) -> int:
        await sends(kept[1], order)
        return 202

    adapter = declared(handler, start, topics={"orders": Topic(), "dead": Topic()})
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]
    return trial(adapter, *faults)


@pytest.mark.parametrize("by", [iterate, call_back, poll])
@pytest.mark.parametrize(("first", "times"), [(False, 2), (True, 1)])
def test_a_message_comes_again_to_the_next_process_unless_it_was_acknowledged(by: Any, first: bool, times: int) -> None:
    came: list[tuple[str, bool]] = []

    async def work(message: Any) -> None:
        came.append((message.body.decode(), message.redelivered))
        if first:
            await message.ack()
        await done(message.body.decode())
        if not first:
            await message.ack()

    consumed(work, "crash-before-log 'cache: set done'", by=by)
    assert came == [("saga-1", False), ("saga-1", True)][:times]


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        ("crash-before-publish orders M", 0),
        ("crash-after-publish orders M", 1),
        ("crash-at-receipt orders M", 1),
        ("crash-before-message-ack orders M", 2),
        ("crash-after-message-ack orders M", 1),
        ("lost-message-ack orders M", 2),
        ("message-twice orders M", 2),
    ],
)
def test_the_faults_of_messages_strike(fault: str, times: int) -> None:
    came: list[str] = []

    async def work(message: Any) -> None:
        async with message.process():
            came.append(message.body.decode())

    consumed(work, fault)
    assert came == ["saga-1"] * times


def test_who_wants_no_acknowledgement_has_lost_what_it_dies_over() -> None:
    came: list[str] = []

    async def unheard(channel: Any, queue: Any, work: Work) -> None:
        await queue.consume(work, no_ack=True)

    async def work(message: Any) -> None:
        came.append(message.body.decode())
        await done(message.body.decode())

    consumed(work, "crash-before-log 'cache: set done'", by=unheard)
    assert came == ["saga-1"]


def test_messages_are_what_was_sent() -> None:
    came: list[Any] = []

    async def sends(channel: Any, order: str) -> None:
        await send(channel, order, headers={"n": 1}, correlation_id="c", content_type="text/plain", message_id="m")

    async def work(message: Any) -> None:
        came.append((message.body, message.headers, message.correlation_id, message.content_type, message.message_id))
        await message.ack()

    consumed(work, sends=sends)
    assert came == [(b"saga-1", {"n": 1}, "c", "text/plain", "m")]


@pytest.mark.parametrize(
    ("kind", "bound", "sent", "comes"),
    [
        ("direct", "new", "new", True),
        ("direct", "new", "old", False),
        ("fanout", "", "any", True),
        ("topic", "order.*", "order.new", True),
        ("topic", "order.*", "order.new.big", False),
        ("topic", "order.#", "order.new.big", True),
        ("topic", "#", "order", True),
        ("topic", "*.new", "order.old", False),
    ],
)
def test_an_exchange_knows_its_queues_by_their_keys(kind: str, bound: str, sent: str, comes: bool) -> None:
    came: list[Any] = []

    async def by(channel: Any, queue: Any, work: Work) -> None:
        await queue.bind(await channel.declare_exchange("events", kind), bound)
        await iterate(channel, queue, work)

    async def sends(channel: Any, order: str) -> None:
        exchange = await channel.get_exchange("events", ensure=False)
        await exchange.publish(aio_pika.Message(order.encode()), sent)

    async def work(message: Any) -> None:
        came.append((message.exchange, message.routing_key))
        await message.ack()

    seen = consumed(work, by=by, sends=sends)
    assert came == [("events", sent)] * comes
    assert [event.data[0] for event in seen.of("LOGACK")] == ["send events"] * (not comes)


@pytest.mark.parametrize("fault", ["crash-before-publish orders M", "crash-after-publish orders M"])
def test_what_is_sent_to_two_queues_is_in_both_or_in_none(fault: str) -> None:
    came: list[str] = []

    async def by(channel: Any, queue: Any, work: Work) -> None:
        exchange = await channel.declare_exchange("events", "fanout")
        for each in (queue, await channel.declare_queue("dead")):
            await each.bind(exchange)
            await each.consume(work)

    async def sends(channel: Any, order: str) -> None:
        exchange = await channel.get_exchange("events", ensure=False)
        await exchange.publish(aio_pika.Message(order.encode()), "")

    async def work(message: Any) -> None:
        async with message.process():
            came.append(message.consumer_tag)

    consumed(work, fault, by=by, sends=sends)
    assert len(came) == (2 if "after" in fault else 0)


def test_what_is_given_back_comes_again_and_what_is_rejected_does_not() -> None:
    came: list[int] = []

    async def work(message: Any) -> None:
        came.append(len(came))
        await (message.nack() if came == [0] else message.reject())

    seen = consumed(work)
    assert came == [0, 1] and len(seen.of("NACK")) == len(seen.of("HANDLED")) == 1


def test_a_dead_letter_goes_to_the_queue_that_its_own_names() -> None:
    came: list[Any] = []

    async def by(channel: Any, queue: Any, work: Work) -> None:
        dead = await channel.declare_queue("dead")
        await asyncio.gather(iterate(channel, queue, work), iterate(channel, dead, bury))

    async def work(message: Any) -> None:
        with suppress(ValueError):
            async with message.process():
                raise ValueError

    async def bury(message: Any) -> None:
        deaths = message.headers["x-death"]
        came.append((message.body, message.routing_key, deaths[0]["queue"], deaths[0]["count"]))
        await message.ack()

    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}
    consumed(work, by=by, arguments=arguments)
    assert came == [(b"saga-1", "dead", "orders", 1)]


@pytest.mark.parametrize("most", [1, 2, 0])
def test_a_consumer_has_no_more_messages_at_a_time_than_it_asks_for(most: int) -> None:
    at_once: list[int] = []
    has: list[str] = []

    async def sends(channel: Any, order: str) -> None:
        for number in range(3):
            await send(channel, f"{order} {number}")

    async def work(message: Any) -> None:
        has.append(message.body.decode())
        at_once.append(len(has))
        await asyncio.sleep(1)
        has.remove(message.body.decode())
        await message.ack()

    consumed(work, sends=sends, by=call_back, prefetch=most)
    assert len(at_once) == 3 and max(at_once) == (most or 3)


def test_what_is_not_acknowledged_when_its_channel_closes_comes_again() -> None:
    came: list[bool] = []

    async def by(channel: Any, queue: Any, work: Work) -> None:
        other = await (await aio_pika.connect(URL)).channel()
        message = None
        while message is None:
            await asyncio.sleep(1)
            message = await (await other.get_queue("orders")).get(fail=False)
        await other.close()
        await iterate(channel, queue, work)

    async def work(message: Any) -> None:
        came.append(message.redelivered)
        await message.ack()

    consumed(work, by=by)
    assert came == [True]


@pytest.mark.parametrize("by", [iterate, call_back, poll])
def test_what_is_done_about_a_message_is_done_for_its_order(by: Any) -> None:
    kept: list[Any] = []

    async def keeping(channel: Any, queue: Any, work: Work) -> None:
        kept[:] = [channel]
        await by(channel, queue, work)

    async def work(message: Any) -> None:
        await send(kept[0], "anything", "sold")
        await message.ack()

    seen = consumed(work, by=keeping)
    assert [(event.saga, event.data[0]) for event in seen.of("LOGACK")] == [("saga-1", "send sold")]


def test_runs_repeat() -> None:
    async def work(message: Any) -> None:
        async with message.process():
            await done(message.body.decode())

    assert len({rows_digest(consumed(work, "message-twice orders M").run.rows) for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda channel: channel.declare_queue("q", arguments={"x-message-ttl": 1}), "'q' with x-message-ttl, which"),
        (lambda channel: channel.declare_queue("q", exclusive=True), "a queue that goes with its consumer"),
        (lambda channel: channel.declare_exchange("e", "headers"), "an exchange of type 'headers'"),
        (lambda channel: channel.transaction().select(), "asks RabbitMQ for Tx.Select"),
        (lambda channel: channel.set_qos(1, global_=True), "limits all consumers of a channel"),
        (lambda channel: send(channel, "saga-1", expiration=1), "sends a message that expires"),
        (lambda channel: send(channel, "nobody"), "to 'orders' that names no order"),
    ],
)
def test_what_is_not_simulated_is_refused_by_its_name(call: Callable[[Any], Any], told: str) -> None:
    async def by(channel: Any, queue: Any, work: Work) -> None:
        plain = await (await aio_pika.connect(URL)).channel(publisher_confirms=False)
        await call(plain if "Tx" in told else channel)

    async def work(message: Any) -> None: ...

    with pytest.raises(UsageError, match=rf"test_rabbit.py:\d+ .*{told}"):
        consumed(work, by=by)


def test_a_queue_that_is_read_is_declared() -> None:
    async def by(channel: Any, queue: Any, work: Work) -> None:
        await iterate(channel, await channel.declare_queue("others"), work)

    async def work(message: Any) -> None: ...

    with pytest.raises(UsageError, match="reads 'others', which is no topic; declare it"):
        consumed(work, by=by)


def test_another_client_than_the_one_that_is_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiormq.connection, "__version__", "6.9.9")

    async def work(message: Any) -> None: ...

    with pytest.raises(UsageError, match=r"test_rabbit.py:\d+ .*connects by aiormq 6.9.9, .*take aio-pika 10"):
        consumed(work)


def test_the_calls_are_those_of_the_library_with_its_parameters() -> None:
    for name, inside in CALLS.items():
        theirs = [*inspect.signature(getattr(aiormq.Channel, name)).parameters.values()][1:]
        ours = [*inspect.signature(inside).parameters.values()][3:]
        mine = [(each.name, each.kind) for each in ours if each.kind is not each.VAR_KEYWORD]
        assert mine == [(each.name, each.kind) for each in theirs][: len(mine)], name


@pytest.mark.parametrize(
    ("policy", "times"), [(AckPolicy.ACK, 2), (AckPolicy.NACK_ON_ERROR, 2), (AckPolicy.ACK_FIRST, 1)]
)
def test_faststream_runs_on_it(policy: AckPolicy, times: int) -> None:
    came: list[str] = []
    brokers: list[RabbitBroker] = []

    async def start() -> None:
        brokers[:] = [RabbitBroker(URL, logger=None)]

        @brokers[0].subscriber("orders", ack_policy=policy)
        async def work(order: str) -> None:
            came.append(order)
            await done(order)

        await brokers[0].start()

    async def handler(order: str) -> int:
        await brokers[0].publish(order, "orders")
        return 202

    adapter = declared(handler, start, topics={"orders": Topic()})
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]
    trial(adapter, "crash-before-log 'cache: set done'")
    assert came == ["saga-1"] * times


def test_faststream_gives_back_and_routes_by_exchanges() -> None:
    came: list[int] = []
    brokers: list[RabbitBroker] = []

    async def start() -> None:
        brokers[:] = [RabbitBroker(URL, logger=None)]
        exchange = RabbitExchange("events", type=ExchangeType.TOPIC)

        @brokers[0].subscriber(
            RabbitQueue("orders", routing_key="order.*"), exchange, ack_policy=AckPolicy.REJECT_ON_ERROR
        )
        async def work(order: str) -> None:
            came.append(len(came))
            if came == [0]:
                raise NackMessage
            raise ValueError(order)

        await brokers[0].start()

    async def handler(order: str) -> int:
        await brokers[0].publish(order, "order.new", "events")
        return 202

    adapter = declared(handler, start, topics={"orders": Topic()})
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]
    seen = trial(adapter)
    assert came == [0, 1] and len(seen.of("NACK")) == len(seen.of("HANDLED")) == 1
