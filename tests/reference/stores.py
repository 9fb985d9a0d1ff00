"""One place to open each store afresh, and to open it again as another process would."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.reference_saga.ports import SagaStore

POSTGRES = "SAGAFUZZ_TEST_POSTGRES"
REDIS = "SAGAFUZZ_TEST_REDIS"
REQUIRED = "SAGAFUZZ_TEST_SERVERS"

KINDS = ("memory", "sqlite", "postgres", "redis")
DURABLE = KINDS[1:]

_numbers = itertools.count()


def address(variable: str) -> str:
    """The server that a variable names. Without one the test is skipped, or fails where servers are required."""
    found = os.environ.get(variable, "")
    if not found:
        reason = f"{variable} names no server; start some with tools/servers.sh"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def place(kind: str, folder: Path) -> Iterator[str]:
    """Where a store of the kind can be opened, any number of times, with `open_store`; empty at first."""
    name = f"sagafuzz_{os.getpid()}_{next(_numbers)}"
    if kind == "postgres":
        import psycopg

        conninfo = address(POSTGRES)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}")
            try:
                yield f"{conninfo} options=-csearch_path={name}"
            finally:
                connection.execute(f"DROP SCHEMA {name} CASCADE")
    elif kind == "redis":
        import redis

        url = address(REDIS)
        try:
            yield f"{url}#{{{name}}}:"
        finally:
            client: Any = redis.Redis.from_url(url)
            for key in client.scan_iter(f"{{{name}}}:*"):
                client.delete(key)
            client.close()
    else:
        yield str(folder / f"{name}.db")


def open_store(kind: str, where: str) -> Any:
    """The store at a `place`, as a process opens it."""
    if kind == "sqlite":
        from sagafuzz.reference_saga.stores.sqlite import SQLiteStore

        return SQLiteStore(where)
    if kind == "postgres":
        from sagafuzz.reference_saga.stores.postgres import PostgresStore

        return PostgresStore(where)
    if kind == "redis":
        from sagafuzz.reference_saga.stores.redis import RedisStore

        url, _, prefix = where.partition("#")
        return RedisStore(url, prefix=prefix)
    from sagafuzz.reference_saga.stores.memory import MemoryStore

    return MemoryStore()


def open_database(kind: str, where: str) -> Any:
    """The services' database beside the store at a `place`."""
    from sagafuzz.reference_saga.services import PostgresDatabase, SQLiteDatabase

    return PostgresDatabase(where) if kind == "postgres" else SQLiteDatabase(f"{where}.services")


def open_event_database(kind: str, where: str) -> Any:
    """A database of services that react to events, at a `place`."""
    from sagafuzz.reference_saga.choreography.sql import MIGRATIONS
    from sagafuzz.reference_saga.services import PostgresDatabase, SQLiteDatabase

    return (PostgresDatabase if kind == "postgres" else SQLiteDatabase)(where, MIGRATIONS)


Opener = Callable[[], SagaStore]


@contextmanager
def opener(kind: str, folder: Path) -> Iterator[Opener]:
    """Opens the same store again at each call; closed at the end."""
    opened: list[Any] = []
    kept = open_store("memory", "")
    with place(kind, folder) as where:

        def open_it() -> SagaStore:
            if kind != "memory":
                opened.append(open_store(kind, where))
            return opened[-1] if opened else kept

        try:
            yield open_it
        finally:
            for store in opened:
                store.close()
