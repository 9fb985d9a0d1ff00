"""SQLite, watched: a connection that says what is about to become durable, before it does.

SQLite's authorizer tells what a statement would do when it is prepared, so that nothing is read out of SQL but what
Python's module reads there too: whether it opens a transaction for it. Both worlds build their connections on this.
"""

from __future__ import annotations

import re
import sqlite3
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, lru_cache, partial
from typing import Any, Final, Literal, TypeVar

from .sql import Effect, Transaction

_T = TypeVar("_T")

_CHANGES: Final = {
    getattr(sqlite3, f"SQLITE_{action}"): action.partition("_")[0].lower()
    for action in (
        *("INSERT", "UPDATE", "DELETE", "ALTER_TABLE", "CREATE_VTABLE", "DROP_VTABLE"),
        *(f"{verb}_{thing}" for verb in ("CREATE", "DROP") for thing in ("TABLE", "INDEX", "VIEW", "TRIGGER")),
    )
}
"""The authorizer's actions that last, and the verb of the change. What is temporary has actions of its own."""

_DEFINES: Final = frozenset(action for action, verb in _CHANGES.items() if verb in ("create", "alter", "drop"))

_APART: Final = frozenset(
    getattr(sqlite3, f"SQLITE_{action}")
    for action in ("ATTACH", "CREATE_VTABLE", *(f"CREATE_TEMP_{thing}" for thing in ("TABLE", "VIEW", "TRIGGER")))
)
"""The actions after which a table's name may mean another one in this connection than in the others."""

_EFFECTS: Final[dict[tuple[int, str], Any]] = {
    (sqlite3.SQLITE_TRANSACTION, "BEGIN"): "begin",
    (sqlite3.SQLITE_TRANSACTION, "COMMIT"): "commit",
    (sqlite3.SQLITE_TRANSACTION, "ROLLBACK"): "rollback",
    (sqlite3.SQLITE_SAVEPOINT, "BEGIN"): "savepoint",
    (sqlite3.SQLITE_SAVEPOINT, "RELEASE"): "release",
    (sqlite3.SQLITE_SAVEPOINT, "ROLLBACK"): "rollback to",
}
_TO_LOOK: Final = 2
"""For so much a definition asks the authorizer at most before it looks whether what it defines is there; it goes on to
ask where that is not."""

_OF_NO_TABLE: Final = frozenset({sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT, sqlite3.SQLITE_PRAGMA})
_FILE_PRAGMAS: Final = ("user_version", "application_id")
_NOTHING: Final = Effect()
_COMMIT: Final = Effect("commit")
_ROLLBACK: Final = Effect("rollback")

_BEFORE_A_STATEMENT: Final = re.compile(r"(?:\s+|--[^\n]*|/\*.*?(?:\*/|\Z))*", re.DOTALL)
_OPENED_BY_PYTHON: Final = re.compile(r"insert|update|delete|replace", re.IGNORECASE)
_ON_CONDITION: Final = re.compile(r"\bif\b", re.IGNORECASE)
_READS: Final = re.compile(r"(?:select|values|explain)\b", re.IGNORECASE)

_OF_ROWS: Final = re.compile(
    r"(?:select|values|explain|with|insert|update|delete|replace|create|drop|alter|begin|commit|end|rollback|savepoint"
    r"|release)\b",
    re.IGNORECASE,
)

_LEGACY: Final = -1  # sqlite3.LEGACY_TRANSACTION_CONTROL, since Python 3.12
_LEVEL: Final[Any] = sqlite3.Connection.isolation_level
_AUTOCOMMIT: Final[Any] = getattr(sqlite3.Connection, "autocommit", None)
_ROW_COUNT: Final[Any] = sqlite3.Cursor.rowcount

_MAX_KNOWN: Final = 1_024
_by_text: Final[dict[str, Effect]] = {}  # of statements that are the same in every database
_of_tables: Final[dict[str, Effect]] = {}  # of those that are so wherever they can be prepared: who runs a statement
# in one new database after the other need not ask what it does, only whether its tables are there


def write_ahead(connection: sqlite3.Connection, patience_s: float = 10.0) -> None:
    """Switch the database to a write-ahead log. Raises OperationalError after that many seconds of a lock.

    SQLite does not wait for a lock here, whatever the connection's timeout: of two processes that open a new
    database at once, one is told at once that it is locked."""
    end = time.monotonic() + patience_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.002)
        else:
            return


class WatchedConnection(sqlite3.Connection):
    """Whatever becomes durable passes `durable`; each other statement passes `patiently`. Else it is as any other.

    What is written through a blob or by a backup is not seen."""

    def __init__(self, database: Any, *args: Any, **options: Any) -> None:
        self._transaction = Transaction()
        self._known: dict[str, Effect] = {}  # of statements that could be prepared here
        self._apart = False  # whether names may mean something of this connection alone
        self._ready: dict[str, Any] = {}  # statements that are prepared, and not taken yet
        self._asking = threading.Lock()
        self._users_authorizer: Any = None
        super().__init__(database, *args, **options)
        self._settle()  # without autocommit a transaction is open from the start

    # -- what a world says ---------------------------------------------------------------------

    def durable(self, changes: tuple[str, ...], act: Callable[[], _T]) -> _T:
        """Do ``act``, which makes these changes durable, each as ``insert orders``."""
        return self.patiently(act)

    def patiently(self, act: Callable[[], _T]) -> _T:
        """Do ``act``, which may find the database locked."""
        return act()

    def told(self, sql: str, parameters: Any) -> None:
        """A statement is about to be executed."""

    # -- sqlite3.Connection --------------------------------------------------------------------

    def cursor(self, factory: Any = None) -> Any:
        return super().cursor(_watched(factory) if isinstance(factory, type) else factory or WatchedCursor)

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any, /) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql: str, /) -> Any:
        return self.cursor().executescript(sql)

    def commit(self) -> None:
        self._commits(super().commit)

    def _commits(self, act: Callable[[], object]) -> None:
        changes = self._transaction.durable(_COMMIT)
        try:
            if changes:
                self.durable(changes, act)
            else:
                self.patiently(act)
            self._transaction.done(_COMMIT)
        finally:
            self._settle()

    def rollback(self) -> None:
        try:
            super().rollback()
            self._transaction.done(_ROLLBACK)
        finally:
            self._settle()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> Literal[False]:
        if getattr(self, "autocommit", _LEGACY) is True:
            return False
        if kind is not None:
            self.rollback()
            return False
        try:
            self.commit()
        except BaseException:
            with suppress(sqlite3.Error):
                self.rollback()
            raise
        return False

    @property  # type: ignore[override]
    def isolation_level(self) -> str | None:
        level: str | None = _LEVEL.__get__(self)
        return level

    @isolation_level.setter
    def isolation_level(self, level: str | None) -> None:
        if level is None:
            self.commit()  # as sqlite3 does
        _LEVEL.__set__(self, level)

    if sys.version_info >= (3, 12):

        @property
        def autocommit(self) -> Any:
            return _AUTOCOMMIT.__get__(self)

        @autocommit.setter
        def autocommit(self, value: Any) -> None:
            """True commits, False opens a transaction."""
            if value is True:
                self._commits(partial(_AUTOCOMMIT.__set__, self, value))
            else:
                _AUTOCOMMIT.__set__(self, value)
                self._settle()

    def set_authorizer(self, authorizer_callback: Any) -> None:
        self._users_authorizer = authorizer_callback
        super().set_authorizer(authorizer_callback)

    # -- statements ----------------------------------------------------------------------------

    def __call__(self, sql: str, /) -> Any:
        """A prepared statement, as sqlite3's own cache asks for it."""
        return self._ready.pop(sql, None) or super().__call__(sql)

    def statement(self, sql: object, act: Callable[[], object], parameters: Any) -> None:
        """Execute one statement by ``act``."""
        if not isinstance(sql, str):
            act()  # which says what is wrong
            return
        self.told(sql, parameters)
        effect = self._known.get(sql) or _by_text.get(sql) or self.patiently(partial(self._effect_of, sql))
        opens = not self._transaction.open and self._opens(sql)
        if not (effect.kind or opens):
            self.patiently(act)
            return
        transaction, written = self._transaction, self.total_changes
        changes = () if opens else transaction.durable(effect)
        try:
            if changes:
                self.durable(changes, act)
            else:
                self.patiently(act)
            transaction.open = transaction.open or opens
            transaction.done(effect)
        except sqlite3.Error:
            if self.in_transaction and self.total_changes > written:  # a part of it stays
                transaction.open = True
                transaction.done(effect)
            raise
        finally:
            self._settle()

    def changes(self, sql: str) -> tuple[str, ...]:
        """What a statement that was executed just now changes."""
        return self._known.get(sql, _NOTHING).changes

    def open_for(self, act: Callable[[], object]) -> None:
        """Do ``act``, which writes nothing and may open a transaction."""
        self.patiently(act)
        self._settle()

    def script(self, sql: str) -> None:
        """Execute the statements of a script, in a transaction only where it opens one."""
        legacy = getattr(self, "autocommit", _LEGACY) == _LEGACY
        if legacy:
            self.commit()
        level = _LEVEL.__get__(self)
        if legacy:
            _LEVEL.__set__(self, None)  # else Python would open one
        try:
            for part in _parts(sql):
                self.statement(part, lambda part=part: sqlite3.Cursor(self).execute(part).fetchall(), ())  # type: ignore[misc]
        finally:
            if legacy and level is not None:
                with suppress(sqlite3.ProgrammingError):
                    _LEVEL.__set__(self, level)

    def _settle(self) -> None:
        try:
            is_open = self.in_transaction
        except sqlite3.ProgrammingError:  # it is closed
            return
        transaction = self._transaction
        if is_open is not transaction.open or transaction.failed:
            transaction.settle(is_open=is_open)

    def _opens(self, sql: str) -> bool:
        """True if Python opens a transaction before this statement: not before one that begins with WITH."""
        if getattr(self, "autocommit", _LEGACY) != _LEGACY or _LEVEL.__get__(self) is None:
            return False
        return _changes_rows(sql)

    def _effect_of(self, sql: str) -> Effect:
        """What a statement does. It is prepared for that; what cannot be fails again where it is executed."""
        if _READS.match(sql, _start(sql)):
            _keep(_by_text, sql, _NOTHING)
            return _NOTHING
        known = _of_tables.get(sql) if not (self._apart or self._users_authorizer) else None
        if known is not None and self._prepares(sql):
            _keep(self._known, sql, known)
            return known
        return self._asked_for(sql)

    def _prepares(self, sql: str) -> bool:
        """True if a statement can be prepared: then it is, and ready to be taken."""
        with self._asking:
            try:
                self._ready[sql] = super().__call__(sql)
            except (sqlite3.Error, sqlite3.Warning):
                return False
        return True

    def _asked_for(self, sql: str) -> Effect:
        """What the authorizer is asked for while a statement is prepared."""
        found: list[Effect] = []
        asked: list[int] = []

        def authorize(action: int, first: str | None, second: str | None, database: str | None, by: str | None) -> int:
            asked.append(action)
            if not found and by is None:
                found.extend(_effects(action, first or "", second or "", database))
            return sqlite3.SQLITE_OK

        conditional = _ON_CONDITION.search(sql)
        with self._asking:
            super().set_authorizer(authorize)
            try:
                if conditional:  # what others have defined meanwhile is seen by who reads
                    sqlite3.Cursor(self).execute("SELECT 1 FROM sqlite_master LIMIT 0").close()
                    asked.clear()
                self._ready[sql] = super().__call__(sql)
                if found and conditional and not _DEFINES.isdisjoint(asked) and len(asked) <= _TO_LOOK:
                    found[0] = _NOTHING  # what it defines IF NOT EXISTS is there
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    raise
                return _NOTHING
            except (sqlite3.Error, sqlite3.Warning, TypeError, ValueError):
                return _NOTHING
            finally:
                super().set_authorizer(self._users_authorizer)
        effect = found[0] if found else _NOTHING
        if not _APART.isdisjoint(asked):
            self._apart = True
            self._known.clear()
        elif asked and _DEFINES.isdisjoint(asked):  # else it is another one where there is another schema
            if _OF_NO_TABLE.issuperset(asked):
                _keep(_by_text, sql, effect)
            else:
                _keep(self._known, sql, effect)
                if not self._apart:
                    _keep(_of_tables, sql, effect)
        return effect


class WatchedCursor(sqlite3.Cursor):
    """A cursor whose statements pass its connection."""

    _rows: deque[Any] | None = None  # of a statement that has to end to be durable
    _count: int | None = None

    def execute(self, sql: str, parameters: Any = (), /) -> Any:
        self._rows = self._count = None
        connection: Any = self.connection
        execute, fetchall = super().execute, super().fetchall

        def act() -> None:
            execute(sql, parameters)
            if self.description is not None and not connection.in_transaction and connection.changes(sql):
                self._rows = deque(fetchall())  # what it RETURNS

        connection.statement(sql, act, parameters)
        return self

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> Any:
        """Row by row: each is durable by itself where no transaction is open."""
        self._rows = self._count = None
        connection: Any = self.connection
        many = super().executemany
        connection.open_for(lambda: many(sql, ()))  # or it is refused
        count = _ROW_COUNT.__get__(self)
        for row in parameters:
            connection.statement(sql, lambda row=row: many(sql, (row,)), row)
            count += max(_ROW_COUNT.__get__(self), 0)
        self._count = count
        return self

    def executescript(self, sql: str, /) -> Any:
        if not isinstance(sql, str) or "\0" in sql:
            return super().executescript(sql)  # which says what is wrong
        connection: Any = self.connection
        connection.script(sql)
        return self

    def fetchone(self) -> Any:
        return super().fetchone() if self._rows is None else self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        wanted = self.arraysize if size is None else size
        if self._rows is None:
            return super().fetchmany(wanted)
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        if self._rows is None:
            return super().fetchall()
        rows, self._rows = [*self._rows], deque()
        return rows

    def __next__(self) -> Any:
        if self._rows is None:
            return super().__next__()
        if not self._rows:
            raise StopIteration
        return self._rows.popleft()

    @property
    def rowcount(self) -> int:
        count: int = _ROW_COUNT.__get__(self) if self._count is None else self._count
        return count


@cache
def _watched(factory: type) -> type:
    """A class of cursors, and that they are watched: below what it makes of a statement, as Django's does."""
    if issubclass(factory, WatchedCursor):
        return factory
    if issubclass(WatchedCursor, factory):
        return WatchedCursor
    return type(factory.__name__, (factory, WatchedCursor), {})


def _effects(action: int, first: str, second: str, database: str | None) -> Iterator[Effect]:
    """What the authorizer is asked for, where it is something that lasts, or a transaction."""
    if verb := _CHANGES.get(action):
        altered = action == sqlite3.SQLITE_ALTER_TABLE  # there, the database stands before the table
        table, database = (second, first) if altered else (first, database)
        if database != "temp" and not table.startswith("sqlite_"):
            yield Effect("change", (f"{verb} {table.lower()}",))
    elif action == sqlite3.SQLITE_PRAGMA:
        if second and first.lower() in _FILE_PRAGMAS:
            yield Effect("change", (f"pragma {first.lower()}",))
    elif kind := _EFFECTS.get((action, first)):
        yield Effect(kind, name=second.lower())


@lru_cache(_MAX_KNOWN)
def _changes_rows(sql: str) -> bool:
    """True if a statement begins with one of the words before which Python opens a transaction."""
    return _OPENED_BY_PYTHON.match(sql, _start(sql)) is not None


def sets_up(sql: str) -> bool:
    """True if a statement is of another kind than those that read, write, define, or have to do with transactions: it
    may set something of the connection."""
    return _OF_ROWS.match(sql, _start(sql)) is None


def _keep(known: dict[str, Effect], sql: str, effect: Effect) -> None:
    if len(known) >= _MAX_KNOWN:
        known.clear()
    known[sql] = effect


def _start(sql: str) -> int:
    """Where a statement begins, after blanks and comments."""
    found = _BEFORE_A_STATEMENT.match(sql)
    return found.end() if found else 0


def _parts(script: str) -> Iterator[str]:
    """The statements of a script, as SQLite itself knows their ends."""
    part = ""
    for piece in re.findall(r"[^;]*;|[^;]+$", script):
        part += piece
        if sqlite3.complete_statement(part):
            yield part
            part = ""
    if part:
        yield part
