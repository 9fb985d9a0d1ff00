"""How SQLite databases are written down: what one holds, and what connections to it and cursors keep.

A database is what its file holds: outside of a transaction that is all that was committed. What only the connection
knows, as settings and the transaction that is open, is told with the process that has it.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..sqlite import WatchedCursor
from .database import Database, digest
from .incarnation import Incarnation
from .retained import Opaque
from .sqlite import SimConnection, is_reading
from .volatile import Teller


def contents(databases: Mapping[str, Database]) -> tuple[tuple[str, bytes], ...]:
    """Each database by its name, with what was committed to it. Raises Opaque."""
    return tuple([(name, database.content) for name, database in sorted(databases.items())])


def found(databases: Mapping[str, Database]) -> tuple[tuple[str, bytes], ...]:
    """Each database with what the process found there that came last: with what it was answered since, and what it
    wrote, that is all that it has read. Raises Opaque where others write there too."""
    told = []
    for name, database in sorted(databases.items()):
        if database.shared or database.found is None:
            raise Opaque
        told.append((name, database.found))
    return tuple(told)


def tell_connections(teller: Teller, process: Incarnation) -> None:
    """Write down what the code of a process has open, in the order in which it was opened, whoever holds it. One that
    nobody holds any more does nothing, unless it is in a transaction; when Python takes it away nobody can say."""
    for connection in process.connections:
        each = connection()
        if each is not None and each.is_open and (each.in_transaction or sys.getrefcount(each) > each.unheld):
            teller.tell(each)


def _connection(teller: Teller, value: Any) -> None:
    if teller.met(value, "sqlite3.Connection"):
        return
    if not value.is_open:
        teller.parts.append("closed")
        return
    teller.parts += value.kept()
    if value.in_transaction:
        teller.parts.append(digest(value.serialize()))
    teller.tell_all((value.row_factory, value.text_factory))


def _cursor(teller: Teller, value: Any) -> None:
    if teller.met(value, "sqlite3.Cursor"):
        return
    if is_reading(value):
        raise Opaque
    teller.tell_all(
        (value.connection, value.rowcount, value.lastrowid, value.arraysize, value.description, value.row_factory)
    )
    teller.tell_all((_is_closed(value), vars(value)))


def _is_closed(cursor: sqlite3.Cursor) -> bool:
    """True for a cursor, none that reads, that refuses to be used."""
    try:
        sqlite3.Cursor.fetchone(cursor)
    except sqlite3.ProgrammingError:
        return True
    return False


def _row(teller: Teller, value: Any) -> None:
    teller.parts.append("sqlite3.Row")
    teller.tell_all((value.keys(), tuple(value)))


SQLITE: Final[Mapping[type, Callable[[Teller, Any], None]]] = {
    SimConnection: _connection,
    WatchedCursor: _cursor,
    sqlite3.Row: _row,
}
"""How values of a type are written down."""
