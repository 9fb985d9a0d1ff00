"""A proxy before a real store: a commit is cut off before it arrives or after it is durable, delayed, or shut out."""

from __future__ import annotations

import asyncio
import gc
import socket
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pg8000.dbapi
import pytest

from sagafuzz.faults import AT_LOG, AT_LOGGED, Fault, Site
from sagafuzz.live.manifest import manifest_of
from sagafuzz.live.proxy import StoreProxy
from sagafuzz.live.record import Record
from sagafuzz.live.writes import Writes
from sagafuzz.simulator import Setup

from ..reference.stores import POSTGRES, REDIS, address, place
from .conftest import Small

STORE = """
partition_ms = 300
slow_commit_ms = 150

[[component]]
role = "store"
name = "db"
address = "127.0.0.1:%s"
proxy = "%s"
"""
GOOD = "from sagafuzz import worker\nworker.serve(lambda saga: True)\n"


class Nobody:
    """A host that notes what it is to do."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.errors: list[BaseException] = []

    def known_as(self, label: str) -> str:
        return label

    def dead(self, label: str) -> bool:
        return False

    def spares(self, label: str) -> bool:
        return False

    async def crash(self, label: str, reason: str) -> None:
        self.asked.append((reason, label))

    async def restart(self, component: str) -> None:
        self.asked.append(("restart", component))

    def fail(self, error: BaseException) -> None:
        self.errors.append(error)


def behind(setup: Setup, work: Callable[[int], Any], *faults: Fault) -> tuple[Any, list[Site], Nobody]:
    """What ``work`` gives with the port of a proxy; the sites that were reached, and what was asked of the host."""
    manifest = manifest_of(setup.adapter)
    assert manifest is not None
    component = manifest.proxied[0]
    record, host = Record(setup=setup, faults=faults), Nobody()

    async def go() -> Any:
        proxy = StoreProxy(component, component.port, Writes(record), host, manifest)
        try:
            return await asyncio.to_thread(work, await proxy.open("orchestrator"))
        finally:
            await proxy.close()

    result = asyncio.run(go())
    assert host.errors == []
    return result, [Site._make(site) for site in record.sites], host


def at(kind: str, subject: str, phase: str, *, saga: str = "saga-1", number: int = 1) -> Fault:
    return Fault(kind=kind, site=Site(saga, subject, "", phase, number))


def subjects(sites: list[Site]) -> list[tuple[str, str, str, int]]:
    return [(site.saga, site.subject, site.phase, site.occurrence) for site in sites]


@pytest.mark.parametrize("turns", range(8))
def test_who_was_just_let_in_when_it_is_closed_is_not_left_waiting(small: Small, turns: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as store:
        setup = small(GOOD, capabilities=STORE % (store.getsockname()[1], "redis"))
        manifest = manifest_of(setup.adapter)
        assert manifest is not None

        async def go() -> socket.socket:
            writes = Writes(Record(setup=setup, faults=()))
            proxy = StoreProxy(manifest.proxied[0], manifest.proxied[0].port, writes, Nobody(), manifest)
            client = socket.create_connection(("127.0.0.1", await proxy.open("orchestrator")), timeout=5)
            for _ in range(turns):
                await asyncio.sleep(0)
            await proxy.close()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return client

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", ResourceWarning)
            with asyncio.run(go()) as client:
                gc.collect()
                with suppress(ConnectionResetError):
                    assert client.recv(1) == b""
        assert [str(warning.message) for warning in seen] == []


# -- PostgreSQL --------------------------------------------------------------------------------


@pytest.fixture
def postgres(small: Small, tmp_path: Any) -> Any:
    """A system with PostgreSQL behind a proxy, and how to connect to a schema with a table ``steps``, at a port."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'sagafuzz[postgres]'")
    words = dict(word.split("=", 1) for word in address(POSTGRES).split())
    setup = small(GOOD, capabilities=STORE % (words["port"], "postgresql"))
    with place("postgres", tmp_path) as conninfo:

        def connect(port: int | str = words["port"], **options: Any) -> Any:
            return psycopg.connect(conninfo, port=port, autocommit=True, **options)

        with connect() as direct:
            direct.execute("CREATE TABLE steps (saga TEXT, step TEXT UNIQUE)")
        yield setup, connect


def rows(connect: Any) -> list[str]:
    with connect() as direct:
        return [step for (step,) in direct.execute("SELECT step FROM steps ORDER BY step").fetchall()]


def insert(connection: Any, step: str = "order", saga: str = "saga-1") -> None:
    connection.execute("INSERT INTO steps VALUES (%s, %s)", (saga, step))


def breaks(work: Callable[[], object]) -> float:
    """Seconds until the connection broke."""
    import psycopg

    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError):
        work()
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("kind", "phase", "stays"),
    [
        ("store-error-before-commit", AT_LOG, []),
        ("store-error-after-commit", AT_LOGGED, ["order"]),
        ("crash-before-log", AT_LOG, []),
        ("crash-after-log", AT_LOGGED, ["order"]),
    ],
)
@pytest.mark.parametrize("explicit", [False, True])
def test_a_commit_is_cut_before_or_after_it_is_durable(
    postgres: Any, kind: str, phase: str, stays: list[str], explicit: bool
) -> None:
    setup, connect = postgres

    def work(port: int) -> None:
        connection = connect(port)
        if not explicit:
            breaks(lambda: insert(connection))
            return
        connection.execute("BEGIN")
        insert(connection)
        breaks(lambda: connection.execute("COMMIT"))

    _, _, host = behind(setup, work, at(kind, "insert steps", phase))
    assert rows(connect) == stays
    assert host.asked == ([(kind, "orchestrator")] if kind.startswith("crash") else [])


def test_a_commit_that_a_flush_follows_is_cut_before_it_is_durable(postgres: Any) -> None:
    setup, connect = postgres
    with connect() as direct:
        (schema,) = direct.execute("SELECT current_schema()").fetchone()

    def work(port: int) -> None:
        client = pg8000.dbapi.connect(user="sagafuzz", host="127.0.0.1", port=port, database="postgres")
        client.cursor().execute(f"INSERT INTO {schema}.steps VALUES ('saga-1', 'order')")
        with pytest.raises((OSError, pg8000.dbapi.Error)):
            client.commit()  # pg8000 sends a Flush and a Sync after it
        with suppress(OSError, pg8000.dbapi.Error):
            client.close()

    behind(setup, work, at("store-error-before-commit", "insert steps", AT_LOG))
    assert rows(connect) == []


def test_a_slow_commit_is_durable_and_answered_late(postgres: Any) -> None:
    setup, connect = postgres

    def work(port: int) -> float:
        with connect(port) as connection:
            began = time.monotonic()
            insert(connection)
            return time.monotonic() - began

    took, _, _ = behind(setup, work, at("slow-commit", "insert steps", AT_LOGGED))
    assert took >= 0.15 and rows(connect) == ["order"]


def test_an_outage_breaks_every_connection_and_lets_none_in_until_it_is_over(postgres: Any) -> None:
    setup, connect = postgres

    def work(port: int) -> None:
        writer, reader = connect(port), connect(port)
        breaks(lambda: insert(writer))
        breaks(lambda: reader.execute("SELECT 1"))
        breaks(lambda: connect(port))
        time.sleep(0.35)
        with connect(port) as again:
            insert(again, "again")

    behind(setup, work, at("store-outage", "insert steps", AT_LOG))
    assert rows(connect) == ["again"]


def test_what_changes_no_row_is_no_write(postgres: Any) -> None:
    setup, connect = postgres

    def work(port: int) -> None:
        with connect(port, prepare_threshold=0) as connection:
            for _ in range(2):  # the second time prepared
                with connection.transaction():
                    connection.execute("UPDATE steps SET step = 'x' WHERE saga = %s", ("nobody",))
                    connection.execute("SELECT 1")
                    connection.execute("DELETE FROM steps WHERE saga = 'nobody'")
            with connection.transaction():
                insert(connection, "order")
                connection.execute("UPDATE steps SET step = 'x' WHERE saga = 'nobody'")
            connection.execute("UPDATE steps SET step = 'x' WHERE saga = 'nobody'")
            connection.execute("UPDATE steps SET step = 'paid' WHERE saga = %s", ("saga-1",))
        with connect(port) as connection, connection.pipeline(), connection.transaction():
            connection.execute("UPDATE steps SET step = 'x' WHERE saga = 'nobody'")
            insert(connection, "shipped")

    _, sites, _ = behind(setup, work)
    assert subjects(sites) == [
        ("saga-1", "insert steps", AT_LOG, 1),
        ("saga-1", "insert steps", AT_LOGGED, 1),
        ("", "update steps", AT_LOG, 1),  # whether there is such a row is not known before
        ("saga-1", "update steps", AT_LOG, 1),
        ("saga-1", "update steps", AT_LOGGED, 1),
        ("saga-1", "update steps + insert steps", AT_LOG, 1),  # sent at once
        ("saga-1", "update steps + insert steps", AT_LOGGED, 1),
    ]
    assert rows(connect) == ["paid", "shipped"]


def test_sites_are_what_becomes_durable_by_the_saga_that_it_mentions(postgres: Any) -> None:
    setup, connect = postgres

    def work(port: int) -> None:
        with connect(port, prepare_threshold=0) as connection:
            connection.execute("SELECT 1 /* INSERT INTO steps */")  # reads
            insert(connection, "order")
            connection.execute("CREATE TABLE other (n INT)")
            with connection.transaction():
                connection.execute("SELECT * FROM steps FOR UPDATE")
                connection.execute("INSERT INTO other VALUES (1)")
                connection.execute("UPDATE steps SET step = 'paid' WHERE saga = %s", ("saga-1",))
            insert(connection, "order")  # prepared
            with connection.transaction(force_rollback=True):
                insert(connection, "rolled back")
            connection.execute("BEGIN")
            with pytest.raises(Exception, match="unique"):
                insert(connection, "order")
            connection.execute("COMMIT")  # of a transaction that failed
            with pytest.raises(Exception, match="unique"):
                insert(connection, "order")

    _, sites, _ = behind(setup, work)
    both = [("saga-1", "insert steps", 1), ("", "create other", 1), ("saga-1", "insert other + update steps", 1)]
    both.append(("saga-1", "insert steps", 2))
    expected = [(saga, subject, phase, n) for saga, subject, n in both for phase in (AT_LOG, AT_LOGGED)]
    expected.append(("saga-1", "insert steps", AT_LOG, 3))  # asked for, and refused
    assert subjects(sites) == expected
    assert rows(connect) == ["order", "paid"]


def test_a_table_is_made_once_by_whoever_asks_for_it_on_condition(postgres: Any) -> None:
    setup, connect = postgres

    def work(port: int) -> None:
        for _ in range(2):  # a process, and the one that is started after it
            with connect(port) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS other (n INT)")

    _, sites, _ = behind(setup, work)
    assert subjects(sites) == [("", "create other", AT_LOG, 1), ("", "create other", AT_LOGGED, 1)]


def test_what_is_pipelined_and_copied_passes(postgres: Any) -> None:
    setup, connect = postgres

    def work(port: int) -> list[str]:
        with connect(port) as connection:
            with connection.pipeline():
                for step in "abc":
                    insert(connection, step)
            with connection.transaction(), connection.cursor().copy("COPY steps FROM STDIN") as copy:
                copy.write_row(("saga-1", "d"))
            with connection.cursor().copy("COPY steps FROM STDIN") as copy:
                copy.write_row(("saga-1", "e"))
            with connection.cursor().copy("COPY (SELECT step FROM steps ORDER BY step) TO STDOUT") as copy:
                return [row[0] for row in copy.rows()]

    seen, sites, _ = behind(setup, work)
    assert seen == [*"abcde"]
    assert ("saga-1", "copy steps", AT_LOGGED, 1) not in subjects(sites)  # what it copies is not looked into
    assert ("", "copy steps", AT_LOGGED, 1) in subjects(sites)


def test_a_query_can_be_cancelled_through_it(postgres: Any) -> None:
    setup, connect = postgres

    def work(port: int) -> None:
        import threading

        with connect(port) as connection:
            canceller = threading.Timer(0.2, connection.cancel_safe)  # plain cancel() waits with the GIL held
            canceller.start()
            with pytest.raises(Exception, match="canceling statement"):
                connection.execute("SELECT pg_sleep(20)")
            canceller.join()  # it waits for its own connection's end
            assert connection.execute("SELECT 1").fetchone() == (1,)

    behind(setup, work)


# -- Redis -------------------------------------------------------------------------------------


@pytest.fixture
def redis(small: Small, tmp_path: Any) -> Any:
    """A system with Redis behind a proxy, how to connect to it at a port, and a prefix for keys."""
    redis = pytest.importorskip("redis", reason="redis is not installed: pip install 'sagafuzz[redis]'")
    port = address(REDIS).rpartition(":")[2].partition("/")[0]
    setup = small(GOOD, capabilities=STORE % (port, "redis"))
    with place("redis", tmp_path) as url:

        def connect(at: int | str = port, **options: Any) -> Any:
            return redis.Redis(host="127.0.0.1", port=int(at), retry=None, decode_responses=True, **options)

        yield setup, connect, url.partition("#")[2]


@pytest.mark.parametrize(
    ("kind", "phase", "stays"),
    [("store-error-before-commit", AT_LOG, None), ("store-error-after-commit", AT_LOGGED, "saga-1")],
)
@pytest.mark.parametrize("protocol", [2, 3])
def test_a_write_to_redis_is_cut(redis: Any, kind: str, phase: str, stays: str | None, protocol: int) -> None:
    setup, connect, prefix = redis

    def work(port: int) -> None:
        client = connect(port, protocol=protocol)
        assert client.get(f"{prefix}nothing") is None
        with pytest.raises(Exception, match=r"(?i)connection|reset|closed"):
            client.set(f"{prefix}order", "saga-1")

    behind(setup, work, at(kind, "set", phase))
    assert connect().get(f"{prefix}order") == stays


def test_sites_of_redis_are_its_writes(redis: Any) -> None:
    setup, connect, prefix = redis

    def work(port: int) -> None:
        client = connect(port)
        client.hset(f"{prefix}saga-1", mapping={"step": "order", "blob": "x" * 100_000 + "\r\n"})
        assert len(client.hgetall(f"{prefix}saga-1")["blob"]) == 100_002
        with client.pipeline() as pipe:  # MULTI … EXEC
            pipe.watch(f"{prefix}n")
            pipe.multi()
            pipe.incr(f"{prefix}n").rpush(f"{prefix}list", "saga-1").get(f"{prefix}n")
            assert pipe.execute() == [1, 1, "1"]
        with client.pipeline(transaction=False) as pipe:
            pipe.get(f"{prefix}n").incr(f"{prefix}n").get(f"{prefix}n")
            assert pipe.execute() == ["1", 2, "2"]
        with pytest.raises(Exception, match="WRONGTYPE"):
            client.incr(f"{prefix}list")
        assert client.eval("return redis.call('incr', KEYS[1])", 1, f"{prefix}n") == 3
        with client.pipeline() as pipe:
            pipe.watch(f"{prefix}n")
            connect().incr(f"{prefix}n")
            pipe.multi()
            pipe.incr(f"{prefix}n")
            with pytest.raises(Exception, match=r"(?i)watch"):
                pipe.execute()
        listener = client.pubsub()
        listener.subscribe(f"{prefix}news")
        assert listener.get_message(timeout=5)["type"] == "subscribe"
        client.publish(f"{prefix}news", "hello")
        assert listener.get_message(timeout=5)["data"] == "hello"
        listener.close()

    _, sites, _ = behind(setup, work)
    assert [site for site in subjects(sites) if site[2] == AT_LOGGED] == [
        ("saga-1", "hset", AT_LOGGED, 1),
        ("saga-1", "incrby + rpush", AT_LOGGED, 1),
        ("", "incrby", AT_LOGGED, 1),
        ("", "eval", AT_LOGGED, 1),
    ]
    assert len([site for site in sites if site.phase == AT_LOG]) == 6
