"""Redis, by redis-py, in a service as it is."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from sagafuzz import Scenario, UsageError
from sagafuzz.resp_text import Failure, Pushed, Status, encoded, next_request
from sagafuzz.simulator.redis_names import about, named, subject

from .conftest import Laboratory, Trial, assert_repeats
from .test_service import declared, trial


def client(**options: Any) -> Any:
    return redis.Redis(host="cache", decode_responses=True, **{"socket_timeout": None, **options})


def served(
    work: Callable[[str], object], started: Callable[[], object] = lambda: None, *faults: str, **options: Any
) -> Trial:
    """A run of a service that does ``work(order)``, and ``started()`` in each process before."""

    async def handler(order: str) -> int:
        return await asyncio.to_thread(work, order) or 200  # type: ignore[return-value]

    async def start() -> None:
        await asyncio.to_thread(started)

    return Laboratory().trial(declared(handler, start), *faults, **options)


def writes(seen: Trial) -> list[str]:
    return [event.data[0] for event in seen.of("LOGACK")]


# -- each write is a crash point ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "kept"), [("crash-before-log", None), ("crash-after-log", "saga-1"), ("lost-write", None)]
)
def test_a_write_is_a_crash_point_and_outlives_its_process(kind: str, kept: str | None) -> None:
    found: list[Any] = []
    work = lambda order: client().set("a", order) and None  # noqa: E731
    seen = served(work, lambda: found.append(client().get("a")), f"{kind} 'cache: set a'")
    assert len(seen.of("CRASH")) == 1 and found == [None, kept]


def test_the_async_client_is_served_as_the_other_one() -> None:
    found: list[Any] = []

    async def handler(order: str) -> int:
        async with redis.asyncio.Redis(host="cache", decode_responses=True) as cache:
            await cache.set(f"order:{order}", "open")
        return 200

    async def start() -> None:
        async with redis.asyncio.Redis(host="cache", decode_responses=True) as cache:
            found.append(await cache.get("order:saga-1"))

    seen = trial(declared(handler, start), "crash-after-log 'cache: set order'")
    assert found == [None, "open"] and seen.end == "quiescent"


def test_a_transaction_is_one_write() -> None:
    def work(order: str) -> None:
        with client().pipeline() as both:
            both.incr("n")
            both.set("a", order)
            both.get("a")
            assert both.execute() == [1, True, order]

    found: list[Any] = []
    look = lambda: found.append(client().mget("n", "a"))  # noqa: E731
    served(work, look, "crash-before-log 'cache: incrby n + set a'")
    served(work, look, "crash-after-log 'cache: incrby n + set a'")
    assert found == [[None, None], [None, None], [None, None], ["1", "saga-1"]]


def test_what_changes_nothing_is_no_write() -> None:
    def work(order: str) -> None:
        cache = client()
        cache.set("a", order)
        assert cache.set("a", "other", nx=True) is None
        assert (cache.delete("b"), cache.lpop("c"), cache.zrem("d", "e"), cache.expire("f", 1)) == (0, None, 0, False)
        cache.xgroup_create("s", "g", id="0", mkstream=True)
        for _ in range(3):
            assert not cache.xreadgroup("g", "one", {"s": ">"})

    assert writes(served(work)) == ["cache: set a", "cache: xgroup create s", "cache: xreadgroup s"]


def test_a_store_that_fails_breaks_the_connection_off_and_the_client_tries_again() -> None:
    """redis-py sends a command again: one that is no repetition takes effect twice."""
    found: list[Any] = []
    work = lambda order: found.append(client().incr("n"))  # noqa: E731
    served(work, lambda: None, "store-error-before-commit 'cache: incrby n'")
    served(work, lambda: None, "store-error-after-commit 'cache: incrby n'")
    assert found == [1, 2]


def test_a_client_that_does_not_try_again_is_told_what_it_is_told_elsewhere() -> None:
    said: list[Any] = []

    def work(order: str) -> None:
        try:
            client(retry=Retry(NoBackoff(), 0)).set("a", order)
        except redis.ConnectionError as error:
            said.append(type(error))

    served(work, lambda: None, "store-error-after-commit 'cache: set a'")
    assert said == [redis.ConnectionError]


def test_a_run_begins_with_an_empty_server() -> None:
    def work(order: str) -> int:
        cache = client()
        return 200 if cache.incr("n") == 1 and cache.dbsize() == 1 else 409

    assert [served(work).answers for _ in range(2)] == [["completed"]] * 2


# -- time ----------------------------------------------------------------------------------------------


def test_a_server_says_of_itself_what_clients_ask_for() -> None:
    found: list[Any] = []

    def work(order: str) -> None:
        with client().pipeline() as pipe:
            pipe.set("a", order).info("server").info()
            found.extend(pipe.execute()[1:])

    served(work)
    version, whole = found
    assert version["redis_version"].split(".")[0].isdigit() and set(version) == {"redis_version", "redis_mode"}
    assert (whole["role"], whole["used_memory_human"], whole["db0"]["keys"]) == ("master", "0B", 1)


def test_keys_expire_and_commands_wait_in_virtual_time() -> None:
    said: list[Any] = []

    def work(order: str) -> None:
        cache = client()
        cache.set("a", order, ex=5)
        begun = time.monotonic()
        said.extend([cache.get("a"), cache.blpop(["queue"], timeout=6), cache.get("a")])
        said.append(round(time.monotonic() - begun))

    assert served(work).answers == ["completed"]
    assert said == ["saga-1", None, None, 6]


def test_a_client_that_waits_for_longer_than_its_own_time_gives_up() -> None:
    said: list[Any] = []

    def work(order: str) -> None:
        begun = time.monotonic()
        try:
            client(socket_timeout=5, retry=Retry(NoBackoff(), 0)).blpop(["queue"], timeout=6)
        except redis.TimeoutError:
            said.append(round(time.monotonic() - begun))

    served(work)
    assert said == [5]


def test_who_waits_is_given_what_comes() -> None:
    said: list[Any] = []

    def wait() -> None:
        said.append(client().blpop(["queue"]))
        said.append(client().xread({"log": "$"}, block=0)[0][1][0][1])

    def work(order: str) -> None:
        time.sleep(1)
        client().rpush("queue", order)
        time.sleep(1)
        client().xadd("log", {"order": order})

    served(work, lambda: threading.Thread(target=wait).start())
    assert said == [("queue", "saga-1"), {"order": "saga-1"}]


def test_a_message_that_was_popped_by_who_died_is_lost() -> None:
    said: list[Any] = []

    def consume() -> None:
        while True:
            said.append(client().blpop(["queue"])[1])

    served(
        lambda order: client().rpush("queue", order) and None,
        lambda: threading.Thread(target=consume).start(),
        "crash-after-log 'cache: blpop queue'",
    )
    assert said == []


def test_a_lock_is_had_by_one_at_a_time_and_runs_out_when_its_holder_has_died() -> None:
    spans: list[tuple[float, float]] = []

    def work(order: str) -> None:
        with client().lock("seats", timeout=30, blocking_timeout=100):
            begun = time.monotonic()
            client().incr("taken")
            time.sleep(1)
            spans.append((begun, time.monotonic()))

    served(work, scenario=Scenario(name="two", sagas=2))
    (first, second) = spans
    assert first[1] <= second[0]

    def again() -> None:
        if client().exists("seats"):
            work("")

    spans.clear()
    served(work, again, "crash-after-log 'cache: incrby taken'")
    assert len(spans) == 1 and 30 <= spans[0][0] < 40


def test_two_who_watch_the_same_do_not_overwrite_one_another() -> None:
    async def handler(order: str) -> int:
        async with redis.asyncio.Redis(host="cache") as cache:

            async def raised(pipe: Any) -> None:
                count = int(await pipe.get("n") or 0)
                await asyncio.sleep(0.1)
                pipe.multi()
                pipe.set("n", count + 1)

            await cache.transaction(raised, "n")
            found.append(int(await cache.get("n")))
        return 200

    found: list[int] = []
    Laboratory().trial(declared(handler), scenario=Scenario(name="two", sagas=2))
    assert found == [1, 2]


def test_subscribers_are_told() -> None:
    said: list[Any] = []

    def listen() -> None:
        channel = client().pubsub()
        channel.subscribe("news")
        said.extend(next(channel.listen())["type"] for _ in range(2))
        said.append(None)

    def work(order: str) -> None:
        time.sleep(1)
        client().publish("news", order)
        time.sleep(1)

    served(work, lambda: threading.Thread(target=listen).start())
    assert said == ["subscribe", "message", None]


# -- streams -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ack_first", "done"), [(False, ["saga-1"]), (True, [])])
def test_a_message_comes_again_after_its_time_unless_it_was_acknowledged(ack_first: bool, done: list[str]) -> None:
    """A consumer that dies between its work and its acknowledgement gets the message again; one that acknowledges first
    loses it."""
    worked: list[Any] = []

    def consume() -> None:
        queue = client()
        if not queue.exists("orders"):
            queue.xgroup_create("orders", "workers", id="0", mkstream=True)
        for _ in range(20):
            _, stale, _ = queue.xautoclaim("orders", "workers", "one", min_idle_time=30_000)
            new = queue.xreadgroup("workers", "one", {"orders": ">"}, block=5_000)
            for id, fields in [*stale, *(entry for _, entries in new or () for entry in entries)]:
                if ack_first:
                    queue.xack("orders", "workers", id)
                queue.set(f"done:{fields['order']}", 1)
                worked.append(fields["order"])
                if not ack_first:
                    queue.xack("orders", "workers", id)

    seen = served(
        lambda order: client().xadd("orders", {"order": order}) and None,
        lambda: threading.Thread(target=consume).start(),
        "crash-before-log 'cache: set done'",
    )
    assert worked == done
    about_it = {event.saga for event in seen.of("LOG") if "done" in event.data[0] or "xack" in event.data[0]}
    assert about_it == {"saga-1"}


REPEATED = """
import os
import subprocess
import sys
sys.path[:0] = {path!r}
from sagafuzz.history import rows_digest
from tests.simulator.test_redis import consumed
for kind in ("crash-after-log", "store-error-after-commit", "lost-write"):
    print(rows_digest(consumed(f"{{kind}} 'cache: xack orders'").run.rows).hex())
"""


def consumed(*faults: str) -> Trial:
    """A run in which a task works off a stream, by the async client, under a lock."""

    async def consume() -> None:
        async with redis.asyncio.Redis(host="cache", socket_timeout=None) as queue:
            if not await queue.exists("orders"):
                await queue.xgroup_create("orders", "workers", id="0", mkstream=True)
            for _ in range(20):
                _, stale, _ = await queue.xautoclaim("orders", "workers", "one", min_idle_time=30_000)
                new = await queue.xreadgroup("workers", "one", {"orders": ">"}, block=5_000)
                fresh = new.items() if isinstance(new, dict) else new
                for id, fields in [*stale, *(entry for _, entries in fresh for entry in entries)]:
                    async with queue.lock("seats", timeout=30):
                        await queue.sadd("done", fields[b"order"], str(await queue.smembers("done")))
                    await queue.xack("orders", "workers", id)

    async def start() -> None:
        tasks.append(asyncio.create_task(consume()))

    async def handler(order: str) -> int:
        async with redis.asyncio.Redis(host="cache") as queue:
            await queue.xadd("orders", {"order": order})
        return 200

    tasks: list[Any] = []
    return trial(declared(handler, start), *faults)


def test_runs_with_redis_repeat_whatever_the_hash_seed() -> None:
    root = Path(__file__).parents[2]
    program = REPEATED.format(path=[str(root)])
    assert_repeats(program)


# -- what is said of it --------------------------------------------------------------------------------


def test_without_fakeredis_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.endswith(("simulator.resp", "simulator.redis_state"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fakeredis", None)
    with pytest.raises(UsageError) as told:
        served(lambda order: client().set("a", order))
    assert "test_redis.py:" in str(told.value) and "pip install 'sagafuzz[service-redis]'" in str(told.value)


def test_a_site_is_named_by_the_command_and_the_kind_of_its_key() -> None:
    def told(*words: str, saga: str = "") -> str:
        return subject([(words[0], [word.encode() for word in words])], saga)

    assert told("set", "order:saga-1:state", "x", saga="saga-1") == "set order"
    assert told("set", "celery-task-meta-3f2a9c1b-77aa") == "set celery-task-meta"
    assert told("zadd", "unacked_index", "1", "tag") == "zadd unacked_index"
    assert told("xreadgroup", "GROUP", "g", "c", "STREAMS", "orders", ">") == "xreadgroup orders"
    assert told("evalsha", "5b", "1", "seats", "token") == "evalsha seats"
    assert told("flushall") == "flushall"


def test_a_command_is_about_the_saga_that_it_names() -> None:
    known = ["saga-1", "saga-12"]
    assert named([b'{"order": "saga-12"}'], known) == "saga-12"
    assert named([b"saga-1", b"saga-12"], known) == named([b"saga-123"], known) == ""
    assert about([[b"xack", b"orders", b"g", b"1-0"]], known, {(b"orders", b"1-0"): "saga-1"}) == "saga-1"


def test_a_request_is_read_when_it_is_all_there() -> None:
    whole = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
    for end in range(len(whole)):
        assert next_request(bytearray(whole[:end])) is None
    left = bytearray(whole * 2)
    assert next_request(left) == [b"GET", b"a"] and left == whole
    with pytest.raises(ValueError, match="is no request of Redis"):
        next_request(bytearray(b"GET a\r\n"))


@pytest.mark.parametrize(
    ("value", "old", "new"),
    [
        (None, b"$-1\r\n", b"_\r\n"),
        (Status(b"OK"), b"+OK\r\n", b"+OK\r\n"),
        (Failure(b"ERR no"), b"-ERR no\r\n", b"-ERR no\r\n"),
        (True, b":1\r\n", b"#t\r\n"),
        (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
        ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
        ({b"b", b"a"}, b"*2\r\n$1\r\na\r\n$1\r\nb\r\n", b"~2\r\n$1\r\na\r\n$1\r\nb\r\n"),
        (Pushed((b"message",)), b"*1\r\n$7\r\nmessage\r\n", b">1\r\n$7\r\nmessage\r\n"),
    ],
)
def test_a_reply_travels_as_the_version_of_the_protocol_has_it(value: Any, old: bytes, new: bytes) -> None:
    assert (encoded(value, 2), encoded(value, 3)) == (old, new)
