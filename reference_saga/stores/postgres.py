"""Sagas in PostgreSQL, by psycopg 3: ``pip install 'sagafuzz[postgres]'``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

import psycopg
from psycopg.types.json import Jsonb

from ...errors import UsageError
from ...ports import Conflict, StoreUnavailable
from ..ports import Listed
from ..threads import PerThread

MIGRATIONS: Final = (
    """CREATE TABLE sagas (
        id text COLLATE "C" PRIMARY KEY,
        revision bigint NOT NULL,
        outcome text NOT NULL,
        record jsonb NOT NULL
    )""",
    "CREATE INDEX open_sagas ON sagas (id, revision) WHERE outcome = ''",
)
"""One statement a version of the schema; the table sagas_schema tells how many a database has had."""

_LOCK: Final = 0x5A6A  # so that two processes do not migrate at once

_T = TypeVar("_T")


class PostgresStore:
    """A row a saga, in the schema that the connection's search_path names.

    Each thread has a connection of its own; one that breaks is replaced at the next call. Raises UsageError
    where the server would lose what it has acknowledged (``fsync = off``).
    """

    def __init__(self, conninfo: str) -> None:
        self._connections = PerThread(lambda: connect(conninfo))
        try:
            self._ask(_refuse_loss)
            self._ask(migrate)
        except BaseException:
            self.close()
            raise

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        saga, revision, outcome = record["id"], record["revision"], record["outcome"]
        statement: str = "INSERT INTO sagas VALUES (%s, 1, %s, %s) ON CONFLICT DO NOTHING"
        values: tuple[Any, ...] = (saga, outcome, Jsonb(record))
        if revision > 1:
            statement = "UPDATE sagas SET revision = %s, outcome = %s, record = %s WHERE id = %s AND revision = %s"
            values = (revision, outcome, Jsonb(record), saga, revision - 1)
        if self._ask(lambda connection: connection.execute(statement, values).rowcount) != 1:
            raise Conflict(f"saga {saga!r} is not at revision {revision - 1}")

    def load(self, saga_id: str) -> dict[str, Any] | None:
        query = "SELECT record FROM sagas WHERE id = %s"
        row = self._ask(lambda connection: connection.execute(query, (saga_id,)).fetchone())
        return None if row is None else row[0]

    def open(self) -> list[Listed]:
        query = "SELECT id, revision FROM sagas WHERE outcome = '' ORDER BY id"
        return [Listed(*row) for row in self._ask(lambda connection: connection.execute(query).fetchall())]

    def close(self) -> None:
        self._connections.close()

    def _ask(self, act: Callable[[psycopg.Connection[Any]], _T]) -> _T:
        try:
            return act(self._connections.get())
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._connections.drop()
            raise StoreUnavailable(f"PostgreSQL: {error}") from error


def connect(conninfo: str) -> psycopg.Connection[Any]:
    """A connection in autocommit mode whose commits are on disk when they are answered."""
    connection = psycopg.connect(conninfo, autocommit=True)
    connection.execute("SET synchronous_commit = on")
    return connection


def _refuse_loss(connection: psycopg.Connection[Any]) -> None:
    row = connection.execute("SHOW fsync").fetchone()
    if row is not None and row[0] == "off":
        raise UsageError("PostgresStore: the server runs with fsync = off, so a saga can be lost; set fsync = on")


def migrate(
    connection: psycopg.Connection[Any],
    migrations: Sequence[str] = MIGRATIONS,
    upto: int | None = None,
    table: str = "sagas_schema",
) -> None:
    """Bring a database to the newest schema, or to version ``upto``. Raises UsageError for one that is newer."""
    wanted = len(migrations) if upto is None else upto
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (version integer NOT NULL)")
        row = connection.execute(f"SELECT max(version) FROM {table}").fetchone()
        found = (row[0] if row else None) or 0
        if found > len(migrations):
            raise UsageError(
                f"the database has version {found} of {table} and this program knows {len(migrations)}; "
                f"run a newer one, or name another database"
            )
        for version, statement in enumerate(migrations[found:wanted], found + 1):
            connection.execute(statement)
            connection.execute(f"INSERT INTO {table} VALUES (%s)", (version,))
