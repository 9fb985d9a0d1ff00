"""The campaign store: what a campaign has found out, kept while it runs in one SQLite file.

It is only ever added to, each part in a transaction of its own. Write-ahead logging keeps it whole when the process
is killed at any moment; with synchronous=NORMAL, a machine that loses its power may forget the last parts, no more.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from . import __version__
from .errors import UsageError
from .sqlite import write_ahead

STORE_FILE: Final = "campaign.sqlite"
SCHEMA: Final = 4
APPLICATION: Final = 0x5A6AF022
"""SQLite's application_id, by which a file is known for a store of ours."""

_TABLES: Final = """
CREATE TABLE record (number INTEGER PRIMARY KEY, name TEXT NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TRIGGER kept_as_it_is BEFORE UPDATE ON record BEGIN SELECT RAISE(ABORT, 'a store is only added to'); END;
CREATE TRIGGER kept BEFORE DELETE ON record BEGIN SELECT RAISE(ABORT, 'a store is only added to'); END;
"""

CAMPAIGN: Final = "campaign"
"""The name of the first record: which campaign it is."""


class Store:
    """Records by name. Of several of one name the last counts."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self.path = path

    @property
    def campaign(self) -> dict[str, Any]:
        """Which campaign it is of."""
        found: dict[str, Any] = json.loads(self.get(CAMPAIGN) or "{}")
        return found

    def get(self, name: str) -> str | None:
        """The text kept under that name, or None. Raises UsageError where it is damaged."""
        with _damage_told(self.path):
            row = self._connection.execute(
                "SELECT body FROM record WHERE name = ? ORDER BY number DESC LIMIT 1", (name,)
            ).fetchone()
            return None if row is None else zlib.decompress(row[0]).decode()

    def names(self) -> tuple[str, ...]:
        """Of all records, each once, in the order in which they were first kept."""
        with _damage_told(self.path):
            rows = self._connection.execute("SELECT name FROM record GROUP BY name ORDER BY min(number)").fetchall()
            return tuple(row[0] for row in rows)

    @property
    def last(self) -> str:
        """The name of the record that was kept last."""
        with _damage_told(self.path):
            row = self._connection.execute("SELECT name FROM record ORDER BY number DESC LIMIT 1").fetchone()
            return str(row[0])

    def add(self, name: str, text: str) -> None:
        """Keep ``text``, for good when this returns."""
        with _damage_told(self.path), self._connection:
            self._connection.execute("INSERT INTO record (name, body) VALUES (?, ?)", (name, _packed(text)))

    def close(self) -> None:
        self._connection.close()


def create(folder: Path, campaign: dict[str, Any]) -> Store:
    """An empty store of ``campaign`` in ``folder``, in the place of an earlier one."""
    path = folder / STORE_FILE
    for ending in ("-wal", "-shm", ""):  # the file last: what is left of its log must not be taken for a new one's
        path.with_name(path.name + ending).unlink(missing_ok=True)
    with _damage_told(path):
        connection = _connect(path, "rwc")
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.strip().split("\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute(
                "INSERT INTO record (name, body) VALUES (?, ?)", (CAMPAIGN, _packed(json.dumps(campaign)))
            )
    return Store(connection, path)


def find(place: Path) -> Store | None:
    """The store at ``place``, a file or the folder of one; None where there is none, or its campaign was killed before
    the first record was kept. Raises UsageError for another schema, or a file that is no store."""
    path = place / STORE_FILE if place.is_dir() else place
    if not path.is_file():
        return None
    with _damage_told(path):
        connection = _connect(path, "rw")
        connection.execute("BEGIN")  # what is read is of one moment, also while another process creates it
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        empty = not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        connection.execute("COMMIT")
    if not empty and application == APPLICATION and version == SCHEMA:
        return Store(connection, path)
    connection.close()
    if empty and not application:
        return None
    if application != APPLICATION:
        raise UsageError(f"{str(path)!r} is no campaign store; name a report folder or its {STORE_FILE}")
    age = "newer" if version > SCHEMA else "older"
    raise UsageError(
        f"{str(path)!r} is a store of the {age} schema {version}, and this sagafuzz ({__version__}) reads schema "
        f"{SCHEMA}; use the sagafuzz that wrote it, or run the campaign again"
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    write_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode(), 3)


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, zlib.error, UnicodeDecodeError) as error:
        raise UsageError(
            f"the store {str(path)!r} cannot be used: {error}; name another, or run the campaign again"
        ) from None
