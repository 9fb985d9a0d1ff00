"""What every store of sagas keeps to, each against the real thing."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagafuzz import Conflict, Outcome, Rejected, StoreUnavailable
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.errors import UsageError
from sagafuzz.reference_saga import Definition, Orchestrator
from sagafuzz.reference_saga.runtime import Request, Runtime
from sagafuzz.reference_saga.stores import sqlite as on_sqlite

from ..live.store_contract import SAGA_CHECKS, STEP, record
from .stores import DURABLE, KINDS, POSTGRES, REDIS, Opener, address, open_store, opener, place

WRITER = Path(__file__).with_name("writer.py")


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    with opener(request.param, tmp_path) as found:
        yield found


@pytest.mark.parametrize("check", SAGA_CHECKS)
def test_the_contract_of_a_store_of_sagas(opened: Opener, check: str) -> None:
    SAGA_CHECKS[check](opened)


def test_of_two_that_write_at_once_one_is_refused(opened: Opener) -> None:
    opened().save(record("a", 1), STEP)
    wins: list[str] = []
    barrier = threading.Barrier(4)

    def write(name: str) -> None:
        store = opened()
        for revision in range(2, 12):
            barrier.wait(20)
            try:
                store.save(record("a", revision, by=name), STEP)
                wins.append(name)
            except Conflict:
                pass
            barrier.wait(20)

    threads = [threading.Thread(target=write, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = opened().load("a")
    assert len(wins) == 10 and found is not None and found["revision"] == 11


def test_a_saga_runs_on_it_and_another_process_can_tell_its_end(opened: Opener) -> None:
    seen: list[tuple[str, str]] = []

    def apply(request: Request) -> dict[str, int]:
        seen.append((request.operation, request.key))
        if request.operation == "payment.charge" and request["amount"] > 1000:
            raise Rejected("over the limit")
        return {"n": len(seen)}

    operations = dict.fromkeys(CHECKOUT.by_operation, apply)
    first = Orchestrator(Definition(CHECKOUT), ports=Runtime(operations), store=opened())
    assert first.execute("o-1", {"amount": 10}) is Outcome.COMPLETED
    assert first.execute("o-2", {"amount": 1500}) is Outcome.COMPENSATED
    assert [name for name, _ in seen[-2:]] == ["inventory.release", "order.cancel"]
    calls = len(seen)
    second = Orchestrator(Definition(CHECKOUT), ports=Runtime(operations), store=opened())
    assert second.execute("o-2", {"amount": 1500}) is Outcome.COMPENSATED
    assert len(seen) == calls


@pytest.mark.parametrize("kind", DURABLE)
def test_a_killed_writer_loses_nothing_that_was_acknowledged_and_tears_nothing(kind: str, tmp_path: Path) -> None:
    chance = random.Random(kind)
    with place(kind, tmp_path) as where:
        for _ in range(2):
            command = [sys.executable, str(WRITER), kind, where, "a"]
            writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert writer.stdout is not None
            first = int(writer.stdout.readline())
            time.sleep(chance.random() / 5)
            writer.kill()
            told = [first, *(int(line) for line in writer.stdout.read().split("\n")[:-1])]
            writer.stdout.close()
            writer.wait()
            store = open_store(kind, where)
            kept = store.load("a")
            listed = store.open()
            store.close()
            assert kept["revision"] in (told[-1], told[-1] + 1)
            assert kept["padding"] == str(kept["revision"]) * 500
            assert listed == [("a", kept["revision"])]


def test_a_new_sqlite_database_that_another_process_is_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.1, other.commit).start()
    assert on_sqlite.SQLiteStore(path).open() == []
    other.close()


def test_an_sqlite_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    old = on_sqlite.connect(tmp_path / "old.db")
    on_sqlite.migrate(old, on_sqlite.MIGRATIONS, upto=1)
    old.execute("INSERT INTO sagas VALUES ('a', 1, '', '{\"id\": \"a\"}')")
    old.close()
    store = on_sqlite.SQLiteStore(tmp_path / "old.db")
    assert store.open() == [("a", 1)] and store.load("a") == {"id": "a"}
    store.close()
    new = sqlite3.connect(tmp_path / "old.db")
    assert new.execute("PRAGMA user_version").fetchone() == (len(on_sqlite.MIGRATIONS),)
    new.execute("PRAGMA user_version = 99")
    new.close()
    with pytest.raises(UsageError, match="version 99 of the schema and this program knows 2; run a newer one"):
        on_sqlite.SQLiteStore(tmp_path / "old.db")


def test_a_postgres_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with place("postgres", tmp_path) as where:
        from sagafuzz.reference_saga.stores import postgres as on_postgres

        with on_postgres.connect(where) as old:
            on_postgres.migrate(old, upto=1)
            old.execute("INSERT INTO sagas VALUES ('a', 1, '', '{}')")
        store = on_postgres.PostgresStore(where)
        assert store.open() == [("a", 1)]
        store.close()
        with on_postgres.connect(where) as new:
            new.execute("INSERT INTO sagas_schema VALUES (99)")
        with pytest.raises(UsageError, match="version 99"):
            on_postgres.PostgresStore(where)


def test_redis_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    import redis

    with place("redis", tmp_path) as where:
        url, _, prefix = where.partition("#")
        client: Any = redis.Redis.from_url(url)
        client.sadd(f"{prefix}open", "a")
        client.hset(f"{prefix}saga:a", mapping={"revision": 7, "record": "{}"})
        store = open_store("redis", where)
        assert store.open() == [("a", 7)]
        store.close()
        client.set(f"{prefix}schema", 99)
        with pytest.raises(UsageError, match="version 99"):
            open_store("redis", where)
        client.close()


def test_redis_that_would_lose_sagas_is_refused_or_warned_of() -> None:
    import redis

    from sagafuzz.reference_saga.stores.redis import DurabilityWarning, RedisStore

    url = address(REDIS)
    client: Any = redis.Redis.from_url(url)
    client.config_set("appendfsync", "everysec")
    try:
        with pytest.raises(UsageError, match="appendfsync everysec, so a saga can be lost; set appendonly yes"):
            RedisStore(url)
        with pytest.warns(DurabilityWarning, match="appendfsync everysec"):
            RedisStore(url, prefix="{warned}:", allow_loss=True).close()
        client.delete("{warned}:schema")
    finally:
        client.config_set("appendfsync", "always")
        client.close()


def test_a_broken_connection_is_unknown_and_the_next_one_is_new(tmp_path: Path) -> None:
    import psycopg

    with place("postgres", tmp_path) as where:
        store = open_store("postgres", where)
        store.save(record("a", 1), STEP)
        with psycopg.connect(address(POSTGRES), autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND query LIKE 'INSERT INTO sagas %%'"
            )
        with pytest.raises(StoreUnavailable):
            store.save(record("a", 2), STEP)
        store.save(record("a", 2), STEP)
        store.close()
