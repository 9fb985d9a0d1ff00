"""Sagas in an SQLite database: the default."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ...errors import UsageError
from ...ports import Conflict, StoreUnavailable
from ...sqlite import write_ahead
from ..ports import Listed
from ..threads import PerThread

MIGRATIONS: Final = (
    """CREATE TABLE sagas (
        id TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        outcome TEXT NOT NULL,
        record TEXT NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX open_sagas ON sagas (id, revision) WHERE outcome = ''",
)
"""One statement a version of the schema; PRAGMA user_version tells how many a database has had."""

_BUSY_S: Final = 10.0


class SQLiteStore:
    """A row a saga. Every write is synced to disk before it is answered (WAL, synchronous=FULL).

    Given a path, each thread has a connection of its own; given a connection, that one is used, as it is. It
    may be one in autocommit mode only (``isolation_level=None``).
    """

    def __init__(self, database: str | Path | sqlite3.Connection) -> None:
        self._shared = database if isinstance(database, sqlite3.Connection) else None
        if self._shared is not None and self._shared.isolation_level is not None:
            raise UsageError("SQLiteStore: the connection opens transactions by itself; set isolation_level=None")
        path = "" if isinstance(database, sqlite3.Connection) else database
        self._connections = PerThread(lambda: connect(path))
        with _errors():
            migrate(self._connection, MIGRATIONS)

    def save(self, record: Mapping[str, Any], entries: Sequence[tuple[str, str]]) -> None:
        saga, revision = record["id"], record["revision"]
        text = json.dumps(record, separators=(",", ":"))
        with _errors():
            if revision == 1:
                done = self._connection.execute(
                    "INSERT INTO sagas VALUES (?, 1, ?, ?) ON CONFLICT DO NOTHING", (saga, record["outcome"], text)
                )
            else:
                done = self._connection.execute(
                    "UPDATE sagas SET revision = ?, outcome = ?, record = ? WHERE id = ? AND revision = ?",
                    (revision, record["outcome"], text, saga, revision - 1),
                )
        if done.rowcount != 1:
            raise Conflict(f"saga {saga!r} is not at revision {revision - 1}")

    def load(self, saga_id: str) -> dict[str, Any] | None:
        with _errors():
            row = self._connection.execute("SELECT record FROM sagas WHERE id = ?", (saga_id,)).fetchone()
        return None if row is None else json.loads(row[0])

    def open(self) -> list[Listed]:
        with _errors():
            rows = self._connection.execute("SELECT id, revision FROM sagas WHERE outcome = '' ORDER BY id").fetchall()
        return [Listed(*row) for row in rows]

    def close(self) -> None:
        """Close the connections that this store has opened."""
        self._connections.close()

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._connections.get() if self._shared is None else self._shared


def connect(path: str | Path) -> sqlite3.Connection:
    """A connection in autocommit mode that waits for others and loses nothing that it acknowledged."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
    write_ahead(connection, _BUSY_S)
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def migrate(connection: sqlite3.Connection, migrations: Sequence[str], upto: int | None = None) -> None:
    """Bring a database to the newest schema, or to version ``upto``. Raises UsageError for one that is newer."""
    wanted = len(migrations) if upto is None else upto
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > len(migrations):
        raise UsageError(
            f"the database has version {found} of the schema and this program knows {len(migrations)}; "
            f"run a newer one, or name another database"
        )
    if found >= wanted:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = connection.execute("PRAGMA user_version").fetchone()[0]  # another process may have been quicker
        for statement in migrations[found:wanted]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {max(found, wanted)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise StoreUnavailable(f"SQLite: {error}") from error
