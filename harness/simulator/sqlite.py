"""`world.sqlite()`: a real SQLite database that survives crashes, each commit a crash point."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ..ports import StoreUnavailable
from ..records import Write
from ..sqlite import WatchedConnection
from .host import Host
from .incarnation import Incarnation
from .store import durable_write

_T = TypeVar("_T")

MAIN: Final = "main"
"""The database whose name does not stand in the names of its sites."""

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
    connection.attach(host, process, "" if name == MAIN else f"{name}: ")
    process.on_death.append(connection.shut)
    host.on_close.append(connection.shut)
    return connection


class SimConnection(WatchedConnection):
    """Commits are durable writes of the process: a crash before loses the transaction, one after keeps it."""

    _host: Host
    _process: Incarnation
    _label: str

    def attach(self, host: Host, process: Incarnation, label: str) -> None:
        self._host, self._process, self._label = host, process, label

    def told(self, sql: str, parameters: Any) -> None:
        self._process.check_alive()

    def commit(self) -> None:
        self._process.check_alive()
        super().commit()

    def rollback(self) -> None:
        if not self._process.dead:  # else it is rolled back already
            super().rollback()

    def durable(self, changes: tuple[str, ...], act: Callable[[], _T]) -> _T:
        """One crash point around ``act``."""
        saga, subject = self._process.current_saga(), self._label + " + ".join(changes)
        writes = (Write(saga, "", subject),)
        done: list[_T] = []
        try:
            durable_write(self._host, self._process, saga, subject, writes, lambda _: done.append(self.patiently(act)))
        except StoreUnavailable as error:
            raise sqlite3.OperationalError("disk I/O error") from error
        return done[0]

    def patiently(self, act: Callable[[], _T]) -> _T:
        """Wait for another connection's lock as SQLite's busy timeout would, in virtual time."""
        waited = 0
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or waited >= _BUSY_US:
                    raise
            waited += _RETRY_US
            self._host.kernel.sleep(self._host.task(), _RETRY_US)

    def shut(self) -> None:
        """Roll back and close, as the death of the process does."""
        super().close()
