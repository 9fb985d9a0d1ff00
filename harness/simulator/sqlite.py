"""`world.sqlite()`: a real SQLite database that survives crashes, each commit a crash point."""

from __future__ import annotations

import itertools
import re
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any, Final

from ..ports import StoreUnavailable
from .host import Host
from .incarnation import Incarnation
from .store import Write, durable_write

_WRITES: Final = re.compile(
    r"\s*(INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM"
    r"|CREATE\s+\w+(?:\s+IF\s+NOT\s+EXISTS)?|DROP\s+\w+(?:\s+IF\s+EXISTS)?|ALTER\s+TABLE)\s+[\"'`\[]?(\w+)",
    re.IGNORECASE,
)
_COMMIT: Final = re.compile(r"\s*(COMMIT|END)\b", re.IGNORECASE)
_DDL: Final = ("CREATE", "DROP", "ALTER")
_BUSY_US: Final = 5_000_000
_RETRY_US: Final = 1_000
_databases = itertools.count()


def connect(host: Host, process: Incarnation, name: str) -> sqlite3.Connection:
    """A connection to the database ``name`` of this run. It dies with its process."""
    path = host.databases.get(name)
    if path is None:
        path = f"file:sagafuzz-{next(_databases)}?mode=memory&cache=shared"
        host.databases[name] = path
        keeper = sqlite3.connect(path, uri=True)  # the database lives as long as one connection does
        host.on_close.append(keeper.close)
    connection = sqlite3.connect(path, uri=True, factory=SimConnection, timeout=0)
    connection.attach(host, process)
    process.on_death.append(connection.shut)
    host.on_close.append(connection.shut)
    return connection


class SimCursor(sqlite3.Cursor):
    """A cursor whose statements pass the crash points of its connection."""

    def execute(self, sql: str, parameters: Any = ()) -> SimCursor:
        connection: SimConnection = self.connection  # type: ignore[assignment]
        connection.statement(sql, lambda: super(SimCursor, self).execute(sql, parameters))
        return self

    def executemany(self, sql: str, parameters: Iterable[Any]) -> SimCursor:
        connection: SimConnection = self.connection  # type: ignore[assignment]
        rows = list(parameters)
        connection.statement(sql, lambda: super(SimCursor, self).executemany(sql, rows))
        return self

    def executescript(self, sql: str) -> SimCursor:
        connection: SimConnection = self.connection  # type: ignore[assignment]
        connection.durable("script", lambda: super(SimCursor, self).executescript(sql))
        return self


class SimConnection(sqlite3.Connection):
    """Commits are durable writes of the process: a crash before loses the transaction, one after keeps it."""

    _host: Host
    _process: Incarnation
    _touched: str

    def attach(self, host: Host, process: Incarnation) -> None:
        self._host, self._process, self._touched = host, process, ""

    def cursor(self, factory: Any = SimCursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        return self.cursor().execute(sql, parameters)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Any:
        return self.cursor().executemany(sql, parameters)

    def executescript(self, sql: str) -> Any:
        return self.cursor().executescript(sql)

    def commit(self) -> None:
        self._process.check_alive()
        if self.in_transaction:
            touched, self._touched = self._touched or "commit", ""
            self.durable(touched, super().commit)

    def __exit__(self, kind: object, error: object, trace: object) -> Any:
        if kind is None:
            self.commit()
        elif not self._process.dead:
            self.rollback()
        return False

    def statement(self, sql: str, run: Callable[[], object]) -> None:
        """Run one statement; what makes it durable at once is a durable write."""
        self._process.check_alive()
        if self.in_transaction and _COMMIT.match(sql):
            touched, self._touched = self._touched or "commit", ""
            self.durable(touched, run)
            return
        found = _WRITES.match(sql)
        label = ""
        if found:
            verb = found.group(1).split()[0]
            label = f"{verb.lower()} {found.group(2)}"
            autocommit = not self.in_transaction and (self.isolation_level is None or verb.upper() in _DDL)
            if autocommit:
                self.durable(label, run)
                return
        self._patiently(run)
        if label and not self._touched:
            self._touched = label

    def durable(self, subject: str, commit: Callable[[], object]) -> None:
        """One crash point around ``commit``."""
        self._process.check_alive()
        saga = self._process.current_saga()
        writes = (Write(saga, "", subject),)
        try:
            durable_write(self._host, self._process, saga, subject, writes, lambda _: self._patiently(commit))
        except StoreUnavailable as error:
            raise sqlite3.OperationalError("disk I/O error") from error

    def _patiently(self, run: Callable[[], object]) -> None:
        """Wait for another connection's lock as SQLite's busy timeout would, in virtual time."""
        waited = 0
        while True:
            try:
                run()
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or waited >= _BUSY_US:
                    raise
            waited += _RETRY_US
            self._host.kernel.sleep(self._host.task(), _RETRY_US)

    def shut(self) -> None:
        """Roll back and close, as the death of the process does."""
        super().close()
