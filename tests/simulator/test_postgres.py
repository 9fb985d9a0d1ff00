"""PostgreSQL below a service as it is: a real server, in whose databases each commit is a crash point."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import flask
import pg8000.dbapi
import psycopg
import pytest
import requests
from sqlalchemy import create_engine, exc, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from sagafuzz import Adapter, UsageError, service
from sagafuzz.ports import ADAPTER_ATTRIBUTE
from sagafuzz.postgres_server import SERVER, Login, address_of

from ..reference.stores import POSTGRES, address
from .conftest import Laboratory, Trial
from .http_clients import by_async_httpx
from .test_service import PAIR, ROUTES, declared, trial

DSN = "postgresql://shop:secret@db/shop"
TABLE = "CREATE TABLE IF NOT EXISTS orders (id text PRIMARY KEY, state text)"
ADD = "INSERT INTO orders VALUES ('saga-1', 'open')"
FIND = "SELECT id FROM orders"
INSERT = "'shop: insert orders'"


@pytest.fixture(autouse=True)
def server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER, address(POSTGRES))


# -- each client ------------------------------------------------------------------------------------


class Asyncpg:
    broken = (OSError, asyncpg.PostgresConnectionError)

    async def execute(self, sql: str, *more: str) -> list[Any]:
        connection = await asyncpg.connect(DSN)
        try:
            async with connection.transaction():
                found = [await connection.fetch(each) for each in (sql, *more)]
        finally:
            await connection.close()
        return [tuple(row) for row in found[-1]]


class AsyncEngine:
    broken = (OSError, exc.DBAPIError)

    async def execute(self, sql: str, *more: str) -> list[Any]:
        engine = create_async_engine("postgresql+asyncpg://shop:secret@db/shop", poolclass=NullPool)
        async with engine.begin() as connection:
            found = [await connection.execute(text(each)) for each in (sql, *more)]
        return [*map(tuple, found[-1])] if found[-1].returns_rows else []


class Pg8000:
    broken = (OSError, pg8000.dbapi.Error)

    def execute(self, sql: str, *more: str) -> list[Any]:
        connection = pg8000.dbapi.connect(user="shop", password="secret", host="db", database="shop")
        cursor = connection.cursor()
        for each in (sql, *more):
            cursor.execute(each)
        found = [*map(tuple, cursor.fetchall())] if cursor.description else []
        connection.commit()
        connection.close()
        return found


class Engine:
    broken = (OSError, exc.DBAPIError)

    def execute(self, sql: str, *more: str) -> list[Any]:
        engine = create_engine("postgresql+pg8000://shop:secret@db/shop", poolclass=NullPool)
        with engine.begin() as connection:
            found = [connection.execute(text(each)) for each in (sql, *more)]
            return [*map(tuple, found[-1])] if found[-1].returns_rows else []


CLIENTS: tuple[Any, ...] = (Asyncpg, AsyncEngine, Pg8000, Engine)


def threaded(handler: Callable[[str], Any], start: Callable[[], object]) -> Adapter:
    """The app of a client that waits for its answers."""

    def create_app() -> flask.Flask:
        app = flask.Flask("small")
        start()
        app.post("/orders")(lambda: ("", handler(flask.request.json["id"])))
        return app

    class Small:
        app = staticmethod(create_app)

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Small)
    found: Adapter = getattr(made, ADAPTER_ATTRIBUTE)
    return found


def storing(client: Any, found: list[Any], failed: list[Any]) -> Adapter:
    """An app that notes what it finds when it starts, inserts, and notes what it finds where that has failed."""
    if not asyncio.iscoroutinefunction(client.execute):

        def begin() -> None:
            client.execute(TABLE)
            found.append(client.execute(FIND))

        def handle(order: str) -> int:
            try:
                client.execute(ADD)
            except client.broken as error:
                failed.append(type(error))
                found.append(client.execute(FIND))
            return 200

        return threaded(handle, begin)

    async def start() -> None:
        await client.execute(TABLE)
        found.append(await client.execute(FIND))

    async def handler(order: str) -> int:
        try:
            await client.execute(ADD)
        except client.broken as error:
            failed.append(type(error))
            found.append(await client.execute(FIND))
        return 200

    return declared(handler, start)


# Python 3.13 tells when a file cannot write what it has left; pg8000's lies over a socket that is closed by then.
@pytest.mark.filterwarnings("ignore:.*BufferedRWPair:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("make", CLIENTS)
@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("crash-before-log", []),
        ("crash-after-log", [("saga-1",)]),
        ("store-error-before-commit", []),
        ("store-error-after-commit", [("saga-1",)]),
    ],
)
def test_a_commit_is_a_crash_point_and_may_be_lost_with_or_without_its_answer(make: Any, kind: str, kept: Any) -> None:
    found: list[Any] = []
    failed: list[Any] = []
    seen = trial(storing(make(), found, failed), f"{kind} {INSERT}")
    assert found == [[], kept]
    assert len(failed) == kind.startswith("store") and (seen.answers == ["completed"]) == kind.startswith("store")


@pytest.mark.parametrize("make", CLIENTS)
def test_a_database_is_empty_when_a_run_begins_and_its_commits_repeat(make: Any) -> None:
    found: list[Any] = []
    adapter = storing(make(), found, [])
    one, other = trial(adapter), trial(adapter)
    assert found == [[], []] and one.answers == other.answers == ["completed"]
    assert one.events == other.events
    assert [str(site) for site in one.sites] == [
        *["write 'shop: create orders'"] * 2,
        *["saga-1: write 'shop: insert orders'"] * 2,
    ]


def test_a_table_that_is_there_is_not_made_again_where_a_process_starts_anew() -> None:
    found: list[Any] = []
    seen = trial(storing(Asyncpg(), found, []), f"crash-after-log {INSERT}")
    assert found == [[], [("saga-1",)]] and len(seen.of("BOOT")) == 2
    assert [event.data[0] for event in seen.of("LOGACK")] == ["shop: create orders", "shop: insert orders"]


# -- transactions --------------------------------------------------------------------------------------


def asking(work: Callable[[str, asyncpg.Connection], Awaitable[Any]], *faults: str, orders: int = 1) -> Trial:
    """A run of an app that does the work for each order, on a connection of its own."""

    async def start() -> None:
        connection = await asyncpg.connect(DSN)
        await connection.execute(
            f"{TABLE}; INSERT INTO orders VALUES ('a', 'open'), ('b', 'open') ON CONFLICT DO NOTHING"
        )
        await connection.close()

    async def handler(order: str) -> int:
        connection = await asyncpg.connect(DSN)
        await work(order, connection)
        await connection.close()
        return 200

    adapter = declared(handler, start)
    scenario = adapter.scenario("two-on-one-item" if orders == 2 else "succeeds")
    return Laboratory().trial(adapter, *faults, scenario=scenario)


def commits(seen: Trial) -> list[str]:
    return [event.data[0] for event in seen.of("LOGACK") if event.saga]


def test_a_savepoint_and_what_is_rolled_back_are_no_crash_points() -> None:
    async def work(order: str, connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("UPDATE orders SET state = 'x'")
            async with connection.transaction():
                await connection.execute("DELETE FROM orders")
        undone = connection.transaction()
        await undone.start()
        await connection.execute("INSERT INTO orders VALUES ('c', '')")
        await undone.rollback()

    assert commits(asking(work)) == ["shop: update orders + delete orders"]


def test_what_the_server_refuses_is_not_durable() -> None:
    async def work(order: str, connection: asyncpg.Connection) -> None:
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO orders VALUES ($1, 'again')", "a")
        assert await connection.fetchval("SELECT state FROM orders WHERE id = 'a'") == "open"

    seen = asking(work)
    assert commits(seen) == [] and len(seen.of("LOG")) == 2 and seen.answers == ["completed"]


def test_rows_are_copied_and_many_are_inserted_at_once() -> None:
    async def work(order: str, connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.copy_records_to_table("orders", records=[(str(n), "") for n in range(2_000)])
            await connection.executemany("INSERT INTO orders VALUES ($1, '')", [(f"m{n}",) for n in range(2_000)])
        assert await connection.fetchval("SELECT count(*) FROM orders") == 4_002

    assert commits(asking(work)) == ["shop: copy orders + insert orders"]


def test_a_failed_statement_leaves_the_connection_as_it_was() -> None:
    async def work(order: str, connection: asyncpg.Connection) -> None:
        with pytest.raises(asyncpg.UndefinedTableError):
            await connection.fetch("SELECT * FROM nothing WHERE id = $1", order)
        assert await connection.fetchval("SELECT 1 + $1::int", 1) == 2

    assert asking(work).answers == ["completed"]


def test_what_a_dead_process_has_not_committed_is_rolled_back_before_anything_else() -> None:
    states: list[Any] = []

    async def start() -> None:
        connection = await asyncpg.connect(DSN)
        await connection.execute(TABLE)
        await connection.execute("INSERT INTO orders VALUES ('a', 'open') ON CONFLICT DO NOTHING")
        before = time.monotonic()
        states.append(await connection.fetchval("SELECT state FROM orders FOR UPDATE"))
        assert time.monotonic() == before
        await connection.close()

    async def handler(order: str) -> int:
        connection = await asyncpg.connect(DSN)
        async with connection.transaction():
            await connection.execute("UPDATE orders SET state = 'held'")
            await by_async_httpx("http://payment", ["/charge"], order)
        return 200

    trial(declared(handler, start), "crash-after-effect pay F")
    assert states == ["open", "open"]


# -- locks ---------------------------------------------------------------------------------------------


def test_who_waits_for_a_lock_waits_in_virtual_time() -> None:
    said: list[Any] = []

    async def work(order: str, connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("UPDATE orders SET state = $1 WHERE id = 'a'", order)
            said.append((order, "has it"))
            await asyncio.sleep(60)
            said.append((order, "gives it back"))

    seen = asking(work, orders=2)
    assert said == [(order, what) for order in ("saga-1", "saga-2") for what in ("has it", "gives it back")]
    assert seen.answers == ["completed", "completed"] and commits(seen) == ["shop: update orders"] * 2
    assert 120 <= seen.of("CLIENT_ACK")[-1].t_us / 1e6 < 121


def test_a_commit_that_waits_for_a_lock_is_durable_when_it_has_it() -> None:
    async def work(order: str, connection: asyncpg.Connection) -> None:
        if order == "saga-1":
            async with connection.transaction():
                await connection.execute("UPDATE orders SET state = 'mine' WHERE id = 'a'")
                await asyncio.sleep(60)
        else:
            await asyncio.sleep(1)
            await connection.execute("UPDATE orders SET state = state || '!' WHERE id = 'a'")
            assert await connection.fetchval("SELECT state FROM orders WHERE id = 'a'") == "mine!"

    seen = asking(work, orders=2)
    assert seen.answers == ["completed", "completed"]
    assert [event.saga for event in seen.of("LOGACK") if event.saga] == ["saga-1", "saga-2"]


def test_a_deadlock_is_ended_by_the_server_at_who_closed_it() -> None:
    lost: list[str] = []

    async def work(order: str, connection: asyncpg.Connection) -> None:
        first, second = ("a", "b") if order == "saga-1" else ("b", "a")
        try:
            async with connection.transaction():
                await connection.execute("UPDATE orders SET state = $1 WHERE id = $2", order, first)
                await asyncio.sleep(1)
                await connection.execute("UPDATE orders SET state = $1 WHERE id = $2", order, second)
        except asyncpg.DeadlockDetectedError:
            lost.append(order)

    seen = asking(work, orders=2)
    assert lost == ["saga-2"] and seen.answers == ["completed", "completed"] and len(commits(seen)) == 1


def test_a_client_cancels_what_waits_for_too_long() -> None:
    said: list[Any] = []

    async def work(order: str, connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            try:
                await connection.execute("UPDATE orders SET state = 'x' WHERE id = 'a'", timeout=5)
            except TimeoutError:
                said.append(time.monotonic())
                return
            said.append(connection.get_server_pid())
            await asyncio.sleep(60)

    seen = asking(work, orders=2)
    assert said[0] == 1_001 and 5 <= said[1] < 6 and seen.answers == ["completed", "completed"]


def test_two_threads_wait_for_each_other_at_the_server() -> None:
    said: list[str] = []

    def handler(order: str) -> int:
        connection = pg8000.dbapi.connect(user="shop", host="db", database="shop")
        cursor = connection.cursor()
        cursor.execute("SELECT pg_advisory_lock(7)")
        said.append(f"{order} begins")
        requests.post("http://payment/charge", json={"order": order}, timeout=2)
        said.append(f"{order} ends")
        connection.close()  # which gives back the lock
        return 200

    adapter = threaded(handler, lambda: None)
    seen = Laboratory().trial(adapter, scenario=adapter.scenario("two-on-one-item"))
    assert said == ["saga-1 begins", "saga-1 ends", "saga-2 begins", "saga-2 ends"]
    assert seen.answers == ["completed", "completed"]


# -- what is refused, and the server ------------------------------------------------------------------------


def refused(sql: str = "SELECT 1") -> str:
    async def handler(order: str) -> int:
        connection = await asyncpg.connect(DSN)
        await connection.execute(sql)
        return 200

    with pytest.raises(UsageError) as told:
        trial(declared(handler))
    assert "test_postgres.py:" in str(told.value)
    return str(told.value)


def test_without_a_server_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER)
    said = refused()
    assert "connects to PostgreSQL (shop at db:5432); SAGAFUZZ_POSTGRES names no server for it" in said


def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER, "postgresql://me@127.0.0.1:1/postgres")
    assert "SAGAFUZZ_POSTGRES names a PostgreSQL server that cannot be used" in refused()


def test_a_text_that_names_no_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERVER, "localhost")
    assert "SAGAFUZZ_POSTGRES='localhost' names no server" in refused()


@pytest.mark.parametrize("sql", ["CREATE DATABASE other", "DROP ROLE me", "LISTEN orders"])
def test_what_is_heard_of_outside_of_the_database_is_refused(sql: str) -> None:
    said = refused(f"SELECT ';create database'; {sql}")
    assert " ".join(sql.split()[:-1]) in said and "live mode" in said


@pytest.mark.parametrize("connect", [psycopg.connect, psycopg.AsyncConnection.connect])
def test_a_client_on_libpq_is_told_of_those_that_are_not_and_of_live_mode(connect: Any) -> None:
    async def handler(order: str) -> int:
        found = connect(DSN)
        await found
        return 200

    with pytest.raises(UsageError) as told:
        trial(declared(handler))
    said = str(told.value)
    assert "test_postgres.py:" in said and "connects to PostgreSQL by libpq" in said
    assert "asyncpg or pg8000" in said and "live mode" in said


def test_a_setting_that_there_is_not_is_the_clients_to_know() -> None:
    async def handler(order: str) -> int:
        with pytest.raises(asyncpg.PostgresError, match="unrecognized configuration parameter"):
            await asyncpg.connect(DSN, server_settings={"nothing.like": "x", "nothing": "x"})
        return 200

    assert trial(declared(handler)).answers == ["completed"]


def test_the_address_of_a_server_is_a_url_or_words() -> None:
    found = address_of("postgresql://me:p%40ss@there:6543/first")
    assert found == ("there", 6543, "me", "p@ss", "first")
    assert address_of("host=there port=6543 user=me password=p@ss dbname=first") == found
    assert address_of("postgresql://localhost") == ("localhost", 5432, "postgres", "", "postgres")


def test_a_password_is_proved_as_the_standard_says() -> None:
    login = Login(address_of("postgresql://user:pencil@there"))
    login.first = "n=user,r=rOprNGfwEbeRWgbNEkqO"  # RFC 7677, section 3
    challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    proof = login.answer(struct.pack("!i", 11) + challenge.encode())
    assert proof.endswith(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    assert login.answer(struct.pack("!i", 5) + b"salt").startswith(b"md5")
    assert login.answer(struct.pack("!i", 3)) == b"pencil\0" and login.answer(struct.pack("!i", 0)) == b""
