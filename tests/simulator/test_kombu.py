"""kombu over Redis, in a service as it is: its consumers, its pools, its poller, what it does when all is over."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import kombu
import kombu.pools
import pytest
import redis

from sagafuzz import Outcome
from sagafuzz.history import rows_digest
from sagafuzz.simulator.redis_names import named

from .conftest import Trial
from .test_service import declared, trial

URL = "redis://broker/0"
QUEUE = kombu.Queue("orders", routing_key="orders")
KOMBU = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "kombu"}


@pytest.fixture(autouse=True)
def its_own_kombu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test of Celery may have loaded another one meanwhile."""
    for name, module in KOMBU.items():
        monkeypatch.setitem(sys.modules, name, module)


def publish(order: str) -> None:
    with kombu.pools.producers[kombu.Connection(URL)].acquire() as producer:
        producer.publish({"order": order}, routing_key="orders", declare=[QUEUE])


def consume(work: Callable[[str, Any], object]) -> None:
    """Work off the queue for ever. What is not acknowledged is looked after at every tenth time that nothing came."""
    with kombu.Connection(URL, transport_options={"visibility_timeout": 60}) as connection:
        callback = lambda body, message: work(body["order"], message)  # noqa: E731
        with kombu.Consumer(connection, queues=[QUEUE], callbacks=[callback], accept=["json"]):
            while True:
                try:
                    connection.drain_events(timeout=0.5)
                except TimeoutError:
                    continue


def worked(work: Callable[[str, Any], object], *faults: str) -> Trial:
    """A run in which each order is published, and a thread works off what there is."""

    async def handler(order: str) -> int:
        await asyncio.to_thread(publish, order)
        return 202

    async def start() -> None:
        threading.Thread(target=consume, args=[work]).start()

    adapter = declared(handler, start)
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]  # what comes of it is waited for
    return trial(adapter, *faults)


def done(order: str) -> None:
    redis.Redis(host="cache").set(f"done:{order}", 1)


@pytest.mark.parametrize(("ack_first", "times"), [(False, 2), (True, 1)])
def test_a_message_comes_again_after_its_visibility_timeout_unless_it_was_acknowledged(
    ack_first: bool, times: int
) -> None:
    came: list[str] = []

    def work(order: str, message: Any) -> None:
        came.append(order)
        if ack_first:
            message.ack()
        done(order)
        if not ack_first:
            message.ack()

    seen = worked(work, "crash-before-log 'cache: set done'")
    assert came == ["saga-1"] * times
    again = [event for event in seen.of("LOG") if "rpush orders" in event.data[0]]
    assert [event.t_us > 60_000_000 for event in again] == [True] * (times - 1)


def test_a_message_is_lost_by_who_dies_between_taking_it_and_noting_that_it_is_not_acknowledged() -> None:
    came: list[str] = []
    worked(lambda order, message: came.append(order), "crash-after-log 'broker: brpop orders'")
    assert came == []


def test_runs_repeat_although_kombu_keeps_its_connections_for_its_process() -> None:
    def work(order: str, message: Any) -> None:
        done(order)
        message.ack()

    fault = "crash-after-log 'broker: zrem unacked_index + hdel unacked'"
    assert len({rows_digest(worked(work, fault).run.rows) for _ in range(2)}) == 1


def test_the_saga_of_a_message_is_read_in_its_body() -> None:
    message = b'{"body": "eyJvcmRlciI6ICJzYWdhLTEifQ==", "content-encoding": "utf-8"}'
    assert named([message], ["saga-1", "saga-2"]) == "saga-1"
    assert named([message], ["saga-2"]) == ""
