"""aiokafka by its calls, in a service as it is."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import aiokafka
import pytest
import redis.asyncio
from faststream import AckPolicy
from faststream.exceptions import NackMessage
from faststream.kafka import KafkaBroker

from sagafuzz import Outcome, Topic, UsageError
from sagafuzz.history import rows_digest
from sagafuzz.simulator.kafka import faked

from .conftest import Trial
from .test_service import declared, trial

Work = Callable[[Any, Any], Awaitable[object]]


async def send(order: str, topic: str = "orders", **more: Any) -> Any:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers="kafka:9092")
    await producer.start()
    try:
        return await producer.send_and_wait(topic, order.encode(), **{"key": order.encode(), **more})
    finally:
        await producer.stop()


async def done(order: str) -> None:
    async with redis.asyncio.Redis(host="cache") as cache:
        await cache.set(f"done:{order}", 1)


def consumed(work: Work, *faults: str, sends: Callable[[str], Awaitable[object]] = send, **options: Any) -> Trial:
    """A run in which each order is sent to a topic, and a consumer does ``work(consumer, record)`` with what comes."""

    async def consume() -> None:
        told = {"group_id": "workers", "enable_auto_commit": False, **options}
        consumer = aiokafka.AIOKafkaConsumer("orders", bootstrap_servers="kafka:9092", **told)
        await consumer.start()
        async for record in consumer:
            await work(consumer, record)

    async def handler(order: str) -> int:
        await sends(order)
        return 202

    kept: list[Any] = []

    async def start() -> None:
        kept.append(asyncio.create_task(consume()))

    adapter = declared(handler, start, topics={"orders": Topic(ordered=True)})
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]
    return trial(adapter, *faults)


@pytest.mark.parametrize(("first", "automatic", "times"), [(False, False, 2), (True, False, 1), (False, True, 1)])
def test_a_message_comes_again_to_the_next_process_unless_it_was_committed(
    first: bool, automatic: bool, times: int
) -> None:
    came: list[str] = []

    async def work(consumer: Any, record: Any) -> None:
        came.append(record.value.decode())
        if first:
            await consumer.commit()
        await done(record.value.decode())
        if not (first or automatic):
            await consumer.commit()

    consumed(work, "crash-before-log 'cache: set done'", enable_auto_commit=automatic)
    assert came == ["saga-1"] * times


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

    async def work(consumer: Any, record: Any) -> None:
        came.append(record.value.decode())
        await consumer.commit()

    consumed(work, fault)
    assert came == ["saga-1"] * times


def test_records_are_what_was_sent_in_the_order_of_their_key() -> None:
    came: list[Any] = []

    async def sends(order: str) -> None:
        for number in range(3):
            await send(f"{order} {number}", key=order.encode(), headers=[("n", b"%d" % number)])

    async def work(consumer: Any, record: Any) -> None:
        came.append((record.topic, record.key, record.value, record.headers, record.offset))
        await consumer.commit({aiokafka.TopicPartition("orders", 0): record.offset + 1})

    consumed(work, sends=sends, key_deserializer=bytes.decode)
    assert came == [
        ("orders", "saga-1", f"saga-1 {number}".encode(), (("n", b"%d" % number),), number) for number in range(3)
    ]


def test_what_is_sent_to_others_is_one_write() -> None:
    async def work(consumer: Any, record: Any) -> None:
        await send(record.value.decode(), "sold")
        await consumer.commit()

    seen = consumed(work)
    assert [(event.saga, event.data[0]) for event in seen.of("LOGACK")] == [("saga-1", "send sold")]


def test_runs_repeat() -> None:
    async def work(consumer: Any, record: Any) -> None:
        await done(record.value.decode())
        await consumer.commit()

    assert len({rows_digest(consumed(work, "message-twice orders M").run.rows) for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda consumer: consumer.highwater(None), "calls AIOKafkaConsumer.highwater, which"),
        (lambda consumer: consumer.seek(aiokafka.TopicPartition("orders", 0), 1), "seek to what it has committed"),
        (lambda consumer: consumer.subscribe(["others"]) or consumer.getone(), "reads 'others', which is no topic"),
        (lambda consumer: consumer.subscribe(pattern="o.*"), "subscribes to a pattern"),
    ],
)
def test_what_is_not_simulated_is_refused_by_its_name(call: Callable[[Any], Any], told: str) -> None:
    async def work(consumer: Any, record: Any) -> None:
        await call(consumer)

    with pytest.raises(UsageError, match=rf"test_kafka.py:\d+ .*{told}"):
        consumed(work)


@pytest.mark.parametrize(
    ("policy", "times"), [(AckPolicy.ACK, 2), (AckPolicy.NACK_ON_ERROR, 2), (AckPolicy.ACK_FIRST, 1)]
)
def test_faststream_runs_on_it(policy: AckPolicy, times: int) -> None:
    came: list[str] = []
    brokers: list[KafkaBroker] = []

    async def start() -> None:
        brokers[:] = [KafkaBroker("kafka:9092", logger=None)]

        @brokers[0].subscriber("orders", group_id="workers", ack_policy=policy)
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


def test_what_faststream_gives_back_comes_again_later() -> None:
    came: list[int] = []
    brokers: list[KafkaBroker] = []

    async def start() -> None:
        brokers[:] = [KafkaBroker("kafka:9092", logger=None)]

        @brokers[0].subscriber("orders", group_id="workers", ack_policy=AckPolicy.NACK_ON_ERROR)
        async def work(order: str) -> None:
            came.append(len(came))
            if came == [0]:
                raise NackMessage

        await brokers[0].start()

    async def handler(order: str) -> int:
        await brokers[0].publish(order, "orders")
        return 202

    adapter = declared(handler, start, topics={"orders": Topic()})
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]
    seen = trial(adapter)
    assert came == [0, 1] and len(seen.of("NACK")) == len(seen.of("HANDLED")) == 1


@pytest.mark.parametrize(
    ("begins", "spoken"),
    [
        (b"AMQP\0\0\x09\x01", "AMQP"),
        (b"\0\0\0\x10\0\x12\0\x03", "Kafka's protocol"),
        (b"\x42\x01\0\0\x01\0\0\0\0\0\0\0\xd4\x07\0\0", "MongoDB's protocol"),
        (b"\x42\x01\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0", "MongoDB's protocol"),
    ],
)
def test_the_wire_of_a_broker_is_refused_by_its_name(begins: bytes, spoken: str) -> None:
    async def handler(order: str) -> int:
        reader, writer = await asyncio.open_connection("broker", 5672)
        writer.write(begins)
        await reader.read()
        return 200

    with pytest.raises(UsageError, match=rf"test_kafka.py:\d+ .*speaks {spoken} with broker:5672; .* live mode"):
        trial(declared(handler))


def test_the_calls_are_those_of_the_library_with_its_parameters() -> None:
    for of, calls in faked():
        for name, inside in calls.items():
            theirs = [*inspect.signature(getattr(of, name)).parameters.values()]
            ours = [*inspect.signature(inside).parameters.values()][2:]
            if not any(each.kind is each.VAR_KEYWORD for each in ours):
                mine = [(each.name, each.kind) for each in ours[1:]]
                wanted = [(each.name, each.kind) for each in theirs[1:]]
                assert any(each.kind is each.VAR_POSITIONAL for each in ours) or mine == wanted, f"{of.__name__}.{name}"
