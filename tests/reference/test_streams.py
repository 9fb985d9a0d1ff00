"""Events over a real Redis: consumers, relays and clients are killed, and no saga is lost or doubled."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagafuzz import UsageError
from sagafuzz.reference_saga.choreography import CHECKOUT_FLOW, Event
from sagafuzz.reference_saga.choreography.sql import EventService, published, unpublished
from sagafuzz.reference_saga.choreography.streams import Consumer, Stream, relay
from sagafuzz.reference_saga.services import CHECKOUT, Services

from .stores import REDIS, address, open_event_database, place

WORKER = Path(__file__).with_name("stream_worker.py")

DONE = Counter(step.operation for step in CHECKOUT.steps)
UNDONE = [Counter(op for step in CHECKOUT.steps[:n] for op in (step.operation, step.undo)) for n in (1, 2)]
"""What is left where the item is out of stock, and where the card is declined."""

_numbers = itertools.count()


@pytest.fixture
def stream() -> Iterator[Stream]:
    made = Stream(address(REDIS), f"events-{os.getpid()}-{next(_numbers)}")
    yield made
    made.client.delete(made.name)
    made.close()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    opened = open_event_database("sqlite", str(tmp_path / "shop.db"))
    Services(opened).endow(stock={"plenty": 10}, accounts={"rich": 1_000})
    yield opened
    opened.close()


def buy(database: Any, saga: str, **data: Any) -> None:
    order = {"item": "plenty", "quantity": 1, "account": "rich", "amount": 100, **data}
    EventService("order", database).receive(Event(type=CHECKOUT_FLOW.begin, saga=saga, data=order))


def run_dry(database: Any, stream: Stream, takeover_ms: int = 0) -> None:
    """Relay and handle events until there are none."""
    services = (EventService(service, database) for service in CHECKOUT_FLOW.services)
    consumers = [Consumer(stream, service, "c", takeover_ms=takeover_ms) for service in services]
    while relay(database, stream) + sum(consumer.work(block_ms=1) for consumer in consumers):
        pass


def test_an_order_goes_its_way_by_events(database: Any, stream: Stream) -> None:
    buy(database, "s1")
    buy(database, "s2", amount=5_000)
    run_dry(database, stream)
    done = Services(database).ledger()
    assert [operation for saga, operation in done if saga == "s1"] == [step.operation for step in CHECKOUT.steps]
    assert [operation for saga, operation in done if saga == "s2"] == [
        "order.create", "inventory.reserve", "inventory.release", "order.cancel",
    ]  # fmt: skip
    assert stream.idle()


def test_what_is_published_twice_has_its_effect_once(database: Any, stream: Stream) -> None:
    buy(database, "s1")
    buy(database, "s1")  # the client asks again
    for _ in CHECKOUT.steps:
        stream.publish(unpublished(database))  # a relay that dies before it has taken the events out
        run_dry(database, stream)
    assert Counter(Services(database).ledger()) == Counter({("s1", step.operation): 1 for step in CHECKOUT.steps})


def test_what_a_dead_consumer_had_taken_another_one_claims(database: Any, stream: Stream) -> None:
    buy(database, "s1")
    stream.group("inventory")
    relay(database, stream)
    taken = stream.client.xreadgroup("inventory", "dead", {stream.name: ">"})
    assert taken[0][1]
    run_dry(database, stream)
    assert Counter(Services(database).ledger())[("s1", "order.confirm")] == 1


def test_an_event_that_cannot_be_handled_keeps_back_no_other(database: Any, stream: Stream) -> None:
    stream.publish([Event(type="order.created", saga="poison", data={})])  # it does not say what was ordered
    buy(database, "s1")
    run_dry(database, stream, takeover_ms=60_000)
    assert Counter(Services(database).ledger())[("s1", "order.confirm")] == 1
    assert stream.client.xpending(stream.name, "inventory")["pending"] == 1
    assert not stream.idle()


def test_an_effect_its_memory_and_its_event_are_one_transaction(database: Any) -> None:
    buy(database, "s1")
    (created,) = unpublished(database)
    published(database, [created])
    with pytest.raises(KeyError):  # the effect fails after the inbox was written
        EventService("inventory", database).receive(Event(type="order.created", saga="s1", data={}))
    assert unpublished(database) == []
    assert EventService("inventory", database).receive(created) == ""
    assert [event.type for event in unpublished(database)] == ["stock.reserved"]


def test_a_server_that_can_lose_events_is_refused(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sagafuzz.reference_saga.stores.redis.durability", lambda client: "it runs without a disk")
    with pytest.raises(UsageError, match="Stream: it runs without a disk"):
        Stream(address(REDIS), stream.name)


def start(kind: str, where: str, stream: Stream, name: str) -> subprocess.Popen[str]:
    words = [sys.executable, str(WORKER), kind, where, address(REDIS), stream.name, name]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def killed_at_random(kind: str, where: str, stream: Stream, moments: int) -> set[str]:
    """Two processes at a time, of which one is killed at each moment. The orders that clients were told of."""
    chance, told = random.Random(f"{kind} {moments}"), set[str]()
    workers = [start(kind, where, stream, "w0"), start(kind, where, stream, "w1")]
    for n in range(moments):
        victim = workers.pop(0)
        assert victim.stdout is not None
        lines = [victim.stdout.readline() for _ in range(3)]  # it works
        time.sleep(chance.random() / 2)
        victim.kill()
        lines += victim.stdout.read().split("\n")[:-1]  # the last line may be half of one
        victim.stdout.close()
        assert victim.wait() == -9, "it had ended by itself"
        told.update(line.strip() for line in lines)
        workers.append(start(kind, where, stream, f"w{n + 2}"))
    for worker in workers:
        worker.kill()
        worker.communicate()
    last = start(kind, where, stream, "-")
    last.communicate(timeout=120)
    assert last.returncode == 0
    return told


def judge(kind: str, where: str, told: set[str]) -> Counter[str]:
    """Every order that a client was told of has an end, and its effects are those of that end, each once."""
    database = open_event_database(kind, where)
    effects: dict[str, Counter[str]] = {}
    for saga, operation in Services(database).ledger():
        effects.setdefault(saga, Counter())[operation] += 1
    assert told <= set(effects), "an order is lost"
    outcomes = Counter[str]()
    for saga, found in effects.items():
        assert found == DONE or found in UNDONE, f"{saga}: {found}"
        outcomes["completed" if found == DONE else "compensated"] += 1
    with database.transaction() as execute:
        assert execute("SELECT sum(available) FROM stock")[0][0] == 10**6 + 20 - outcomes["completed"]
        assert execute("SELECT sum(balance) FROM accounts")[0][0] == 10**9 - 100 * outcomes["completed"]
        assert execute("SELECT count(*) FROM orders WHERE state = 'PENDING'")[0][0] == 0
    database.close()
    return outcomes


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.parametrize("moments", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_killed_at_random_moments_no_saga_is_lost_or_doubled(
    kind: str, moments: int, tmp_path: Path, stream: Stream
) -> None:
    with place(kind, tmp_path) as where:
        outcomes = judge(kind, where, killed_at_random(kind, where, stream, moments))
    assert set(outcomes) == {"completed", "compensated"}
