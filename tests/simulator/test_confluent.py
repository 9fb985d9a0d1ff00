"""confluent-kafka by its calls, in a service as it is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import confluent_kafka
import confluent_kafka.aio
import pytest
import redis

from sagafuzz import Outcome, Topic, UsageError
from sagafuzz.history import rows_digest

from .conftest import Trial
from .test_service import declared, trial

BROKER = {"bootstrap.servers": "kafka:9092"}


def send(order: str) -> None:
    producer = confluent_kafka.Producer(BROKER)
    producer.produce("orders", order, key=order, headers={"n": b"1"})
    producer.flush()


def done(order: str) -> None:
    redis.Redis(host="cache").set(f"done:{order}", 1)


def consumed(
    work: Callable[[Any, Any], object], *faults: str, sends: Callable[[str], object] = send, **options: Any
) -> Trial:
    """A run in which each order is sent to a topic, and a thread does ``work(consumer, message)`` with what comes."""

    def consume() -> None:
        told = {"group.id": "workers", "enable.auto.commit": False, **options}
        consumer = confluent_kafka.Consumer(BROKER | told)
        consumer.subscribe(["orders"])
        for _ in range(20):
            message = consumer.poll(5.0)
            if message is not None:
                work(consumer, message)

    async def handler(order: str) -> int:
        await asyncio.to_thread(sends, order)
        return 202

    async def start() -> None:
        threading.Thread(target=consume).start()

    adapter = declared(handler, start, topics={"orders": Topic(ordered=True)})
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]
    return trial(adapter, *faults)


@pytest.mark.parametrize(
    ("first", "options", "times"),
    [
        (False, {}, 2),
        (True, {}, 1),
        (False, {"enable.auto.commit": True}, 1),
        (False, {"enable.auto.commit": True, "enable.auto.offset.store": False}, 2),
    ],
)
def test_a_message_comes_again_to_the_next_process_unless_it_was_committed(
    first: bool, options: dict[str, Any], times: int
) -> None:
    came: list[bytes] = []

    def work(consumer: Any, message: Any) -> None:
        came.append(message.value())
        if first:
            consumer.commit(message=message, asynchronous=False)
        done(message.value().decode())
        if "enable.auto.offset.store" in options:
            consumer.store_offsets(message=message)
        elif not (first or options):
            consumer.commit()

    consumed(work, "crash-before-log 'cache: set done'", **options)
    assert came == [b"saga-1"] * times


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        ("crash-before-publish orders M", 0),
        ("crash-after-publish orders M", 1),
        ("crash-before-message-ack orders M", 2),
        ("crash-after-message-ack orders M", 1),
        ("message-twice orders M", 2),
    ],
)
def test_the_faults_of_messages_strike(fault: str, times: int) -> None:
    came: list[bytes] = []

    def work(consumer: Any, message: Any) -> None:
        came.append(message.value())
        consumer.commit()

    consumed(work, fault)
    assert came == [b"saga-1"] * times


def test_messages_are_what_was_sent_and_their_sender_is_told() -> None:
    came: list[Any] = []

    def sends(order: str) -> None:
        producer = confluent_kafka.Producer(BROKER)
        producer.produce(
            "orders", order, order, on_delivery=lambda error, message: came.append((error, message.topic()))
        )
        assert len(producer) == 1 and producer.poll(0) == 1 and producer.flush() == len(producer) == 0

    def work(consumer: Any, message: Any) -> None:
        came.append((message.error(), message.topic(), message.key(), message.value(), message.offset()))
        consumer.commit()

    seen = consumed(work, sends=sends)
    assert came == [(None, "orders"), (None, "orders", b"saga-1", b"saga-1", 0)]
    assert {event.saga for event in seen.of("HANDLED")} == {"saga-1"}


def test_runs_repeat() -> None:
    def work(consumer: Any, message: Any) -> None:
        done(message.value().decode())
        consumer.commit()

    assert len({rows_digest(consumed(work, "message-twice orders M").run.rows) for _ in range(2)}) == 1


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda consumer: consumer.get_watermark_offsets(None), "calls Consumer.get_watermark_offsets, which"),
        (lambda consumer: consumer.subscribe(["others"]), "reads 'others', which is no topic"),
        (lambda consumer: confluent_kafka.SerializingProducer(BROKER), "calls SerializingProducer, which"),
        (lambda consumer: confluent_kafka.Producer({"transactional.id": "a"}), "makes a Producer with a transactional"),
        (lambda consumer: confluent_kafka.ShareConsumer({"group.id": "a"}), "makes a ShareConsumer, which"),
    ],
)
def test_what_is_not_simulated_is_refused_by_its_name(call: Callable[[Any], Any], told: str) -> None:
    with pytest.raises(UsageError, match=rf"test_confluent.py:\d+ .*{told}"):
        consumed(lambda consumer, message: call(consumer))


@pytest.mark.parametrize("name", ["AIOProducer", "AIOConsumer"])
def test_its_classes_for_asyncio_are_refused(name: str) -> None:
    async def handler(order: str) -> int:
        getattr(confluent_kafka.aio, name)({"bootstrap.servers": "kafka"})
        return 200

    with pytest.raises(UsageError, match=rf"test_confluent.py:\d+ .*{name}, which is not simulated"):
        trial(declared(handler))
