"""`world.sqlite()`: a real SQLite database that survives crashes, each commit a crash point."""

from __future__ import annotations

import gc
import itertools
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache, lru_cache, partial, wraps
from multiprocessing.util import Finalize
from typing import Any, Final, TypeVar
from weakref import WeakMethod, ref

from ..ports import StoreUnavailable
from ..records import Write
from ..sqlite import WatchedConnection, WatchedCursor, sets_up
from .clocks import utc, utc_of, wall_ns
from .database import VFS, Database
from .host import Host
from .incarnation import Incarnation
from .inside import enter
from .retained import Opaque
from .store import durable_write

_T = TypeVar("_T")

MAIN: Final = "main"
"""The database whose name does not stand in the names of its sites."""

_MEMORY: Final = "/dev/shm"
_numbers: Final = itertools.count()

_MANY: Final = 64
"""Cursors that a connection remembers before it forgets those that are gone."""

_BUSY_MS: Final = 5_000
_DELAYS_MS: Final = (1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50)
_LAST_DELAY_MS: Final = 100
"""How long SQLite's busy handler waits from one look to the next."""


_MOMENTS: Final = {
    "current_timestamp": "%Y-%m-%d %H:%M:%S",
    "current_date": "%Y-%m-%d",
    "current_time": "%H:%M:%S",
}
"""SQL's own clock, and the form of what it says."""


_OF_A_MOMENT: Final = {"date": 0, "time": 0, "datetime": 0, "julianday": 0, "unixepoch": 0, "strftime": 1}
"""SQL's functions of a moment, which is now where none is given, and how many arguments come before it."""


def _of_a_moment(host: Host, name: str, before: int, *values: Any) -> Any:
    """What the function of SQL says, in a simulation whose time is not the machine's."""
    if len(values) == before:
        values = (*values, "now")
    now = next((n for n, value in enumerate(values) if isinstance(value, str) and value.lower() == "now"), -1)
    if now >= before:
        moment = wall_ns(host) // 1_000_000
        values = (*values[:now], f"{utc_of(moment // 1000)}.{moment % 1000:03}", *values[now + 1 :])
    places = ", ".join("?" * len(values))
    return sqlite3.Cursor(_calculator()).execute(f"SELECT {name}({places})", values).fetchone()[0]


def _random(host: Host) -> int:
    """`random()` of SQL: an integer of 64 bits, with a sign."""
    return host.random.getrandbits(64) - 2**63


def _randomblob(host: Host, size: int | None) -> bytes:
    """`randomblob(size)` of SQL: one byte at least."""
    return host.random.randbytes(max(size or 1, 1))


_OF_CHANCE: Final[dict[str, tuple[int, Callable[..., Any]]]] = {"random": (0, _random), "randomblob": (1, _randomblob)}
"""SQL's sources of randomness, with how many arguments each takes, and what they say in a simulation."""


@cache
def _calculator() -> sqlite3.Connection:
    """A database without tables, for whoever asks what a function says."""
    return sqlite3.Connection(":memory:", check_same_thread=False)


def connect(
    host: Host,
    process: Incarnation,
    name: str,
    *,
    busy_ms: int = _BUSY_MS,
    factory: Any = sqlite3.Connection,
    **options: Any,
) -> sqlite3.Connection:
    """A connection to the database ``name`` of this run, with the ``options`` of `sqlite3.connect`. It dies with its
    process."""
    database = host.databases.get(name)
    if database is None:
        database = host.databases[name] = Database(f"{_folder(os.getpid())}/{next(_numbers)}")
        host.on_close.append(partial(_remove, database.path))
    database.used_by(process)
    connection = _simulated(factory)(f"file:{database.path}{VFS}", uri=True, timeout=0, **options)
    connection.attach(host, process, "" if name == MAIN else f"{name}: ", busy_ms)
    shut = WeakMethod(connection.shut)  # one that the code drops gives back its locks
    process.on_death.append(partial(_shut, shut))
    process.connections.append(ref(connection))
    host.on_close.append(partial(_shut, shut))
    connection.unheld = sys.getrefcount(connection)
    return connection


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108, a run makes one, and a Path takes longer than the rest of it


def _shut(shut: WeakMethod[Callable[[], None]]) -> None:
    if (act := shut()) is not None:
        act()


def is_reading(cursor: sqlite3.Cursor) -> bool:
    """True if the statement of a cursor has not come to its end: it has further rows, and holds a lock."""
    return any(type(each).__name__ == "Statement" for each in gc.get_referents(cursor))


class _TakenBack(Exception):
    """Another user of the connection rolled back what was to be committed."""


_WRITTEN: Final = ("put", None)
_WAITED: Final = ("put", "locked")
"""What tells how far a process is that has waited for a write, or for a lock: an answer comes of neither."""


class SimConnection(WatchedConnection):
    """Commits are durable writes of the process: a crash before loses the transaction, one after keeps it."""

    _host: Host
    _process: Incarnation
    _label: str
    unheld: int  # how many references there are where one name stands for it: sqlite3 has some that go in a circle

    def attach(self, host: Host, process: Incarnation, label: str, busy_ms: int) -> None:
        self._host, self._process, self._label = host, process, label
        self._busy_ms = busy_ms
        self._settings: dict[str, None] = {}  # statements that set something of it, the last ones last
        self._begun: str | None = None  # the statement that opened the transaction, where one did
        self._has_read = False  # in the transaction that is open
        self._committing: list[list[str]] = []  # the changes of each commit that is under way, none once they are gone
        self._altered = False  # by calls of which nobody can say what they come to
        self._cursors: list[ref[sqlite3.Cursor]] = []  # to be closed: SQLite keeps their locks
        define = sqlite3.Connection.create_function
        for name, form in _MOMENTS.items():
            define(self, name, 0, partial(utc, host, form))
        for name, before in _OF_A_MOMENT.items():
            define(self, name, -1, partial(_of_a_moment, host, name, before), deterministic=True)
        for name, (arguments, says) in _OF_CHANCE.items():
            define(self, name, arguments, partial(says, host))
        _spare_the_disk(self)

    def cursor(self, factory: Any = None) -> Any:
        cursor = sqlite3.Connection.cursor(self, WatchedCursor) if factory is None else super().cursor(factory)
        if len(self._cursors) >= _MANY:
            self._cursors = [each for each in self._cursors if each() is not None]
        self._cursors.append(ref(cursor))
        return cursor

    def statement(self, sql: Any, act: Callable[[], object], parameters: Any) -> None:
        if self._process.dead:
            self._process.check_alive()
        sets, reads, waits = _traits(sql) if isinstance(sql, str) else (False, False, False)
        if sets:
            self._settings.pop(sql, None)
            self._settings[sql] = None
        was_open = self._transaction.open
        super().statement(sql, act, parameters)
        if not was_open and self._transaction.open:
            self._begun = sql
        elif was_open and reads:
            self._has_read = True
        if waits:
            self._wait_in_virtual_time()

    def _settle(self) -> None:
        super()._settle()
        if not self._transaction.open:
            self._begun, self._has_read = None, False

    @property
    def is_open(self) -> bool:
        """False once it is closed."""
        try:
            return self.in_transaction is not None
        except sqlite3.ProgrammingError:
            return False

    def kept(self) -> tuple[Any, ...]:
        """What is told of it beside the content of its database and its factories: plain values. Raises Opaque."""
        transaction = self._transaction
        cursors = [cursor for each in self._cursors if (cursor := each()) is not None]
        hidden = self._apart or self._altered or self._users_authorizer or vars(self).keys() - _ATTRIBUTES
        if hidden or any(map(is_reading, cursors)) or any(map(_SHOWS_OTHERS.search, self._settings)):
            raise Opaque
        if self.in_transaction and (not transaction.written or transaction.has_savepoints):
            raise Opaque  # which locks it holds is told by that it has written
        counts = sqlite3.Cursor(self).execute("SELECT last_insert_rowid(), changes(), total_changes()").fetchone()
        autocommit = getattr(self, "autocommit", None)
        if any(not changes for changes in self._committing):
            raise Opaque
        about = self._label, self._busy_ms, self.isolation_level, autocommit, tuple(self._settings)
        return (*about, self._begun, transaction.since(0), transaction.failed, counts)

    def _wait_in_virtual_time(self) -> None:
        """Take over the time limit that a statement has set."""
        cursor = sqlite3.Cursor(self)
        (limit,) = cursor.execute("PRAGMA busy_timeout").fetchone()
        if limit:
            self._busy_ms = limit
            cursor.execute("PRAGMA busy_timeout = 0").close()

    def commit(self) -> None:
        self._process.check_alive()
        super().commit()

    def rollback(self) -> None:
        if not self._process.dead:  # else it is rolled back already
            super().rollback()
            for changes in self._committing:
                changes.clear()

    def durable(self, changes: tuple[str, ...], act: Callable[[], _T]) -> _T:
        """One crash point around ``act``. Nothing is durable where another user of the connection rolls back first: to
        whoever commits then SQLite says yes all the same."""
        saga, subject = self._process.current_saga(), self._label + " + ".join(changes)
        writes = (Write(saga, "", subject),)
        done: list[_T] = []
        left = [*changes]

        def commit(*_: object) -> None:
            done.append(self.patiently(act))
            if not left:
                raise _TakenBack

        self._committing.append(left)
        try:
            if self._process.participant is not None:
                self._process.participant.commit(saga, subject, commit)
                return done[0]
            durable_write(self._host, self._process, saga, subject, writes, commit)
        except StoreUnavailable as error:
            raise sqlite3.OperationalError("disk I/O error") from error
        except _TakenBack:
            pass
        finally:
            self._committing = [each for each in self._committing if each is not left]
        self._process.inputs.append(_WRITTEN)
        return done[0]

    @property
    def _reads_only(self) -> bool:
        """True if it has read in its transaction, and written nothing. SQLite waits for no lock to write then: of
        two of that kind each would wait for the other, and what was read may be out of date."""
        return self._has_read and not self._transaction.written

    def patiently(self, act: Callable[[], _T]) -> _T:
        """Wait for another connection's lock as SQLite's busy handler would, in virtual time."""
        left, delays = self._busy_ms, None
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if left <= 0 or "locked" not in str(error) or self._reads_only:
                    self._altered = self._altered or "locked" in str(error)  # it may hold more of the lock than before
                    raise
            delays = delays or iter(_DELAYS_MS)
            delay_ms = min(left, next(delays, _LAST_DELAY_MS))
            left -= delay_ms
            self._host.kernel.sleep(self._host.task(), delay_ms * 1_000)
            self._process.inputs.append(_WAITED)

    def shut(self) -> None:
        """Roll back and close, as the death of the process does: also what somebody still holds a cursor to."""
        for each in self._cursors:
            cursor = each()
            if cursor is not None:
                with suppress(sqlite3.Error):
                    cursor.close()
        super().close()

    def __del__(self) -> None:  # from Python 3.13 on it would warn that nobody has closed it
        with suppress(sqlite3.Error):
            sqlite3.Connection.close(self)


def _spare_the_disk(connection: sqlite3.Connection) -> None:
    """Only processes die here, and no machine. A database that writes ahead goes on to do so, and one that somebody
    has locked is left as it is: who connects waits for no lock."""
    with closing(sqlite3.Cursor(connection)) as setting, suppress(sqlite3.OperationalError):
        setting.execute("PRAGMA synchronous = OFF")
        if setting.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            setting.execute("PRAGMA journal_mode = MEMORY")


_ALTERS: Final = (
    *("create_function", "create_aggregate", "create_window_function", "create_collation", "set_progress_handler"),
    *("set_trace_callback", "enable_load_extension", "load_extension", "setlimit", "setconfig", "deserialize"),
    *("blobopen", "backup"),
)
"""Calls after which a connection is another one, and nobody can say which."""


def _altering(name: str) -> Callable[..., Any]:
    act = getattr(sqlite3.Connection, name)

    @wraps(act)
    def alter(self: SimConnection, *args: Any, **options: Any) -> Any:
        self._altered = True
        return act(self, *args, **options)

    return alter


for _name in _ALTERS:
    if hasattr(sqlite3.Connection, _name):
        setattr(SimConnection, _name, _altering(_name))


_ATTRIBUTES: Final = frozenset(
    {
        *(
            "_altered",
            "_apart",
            "_asking",
            "_begun",
            "_busy_ms",
            "_committing",
            "_cursors",
            "_has_read",
            "_host",
            "_known",
            "_label",
            "_process",
        ),
        *("_ready", "_settings", "_transaction", "_users_authorizer", "unheld"),
    }
)
"""What a connection has of its own: whatever else it has, a user gave it."""

_OF_TABLES: Final = re.compile(r"\bfrom\b", re.IGNORECASE)
"""In statements: what takes a lock to read."""

_SHOWS_OTHERS: Final = re.compile("data_version|cache|checkpoint", re.IGNORECASE)
"""In settings: what shows how often was written, or lets what is not committed reach the file."""


@lru_cache(1_024)
def _traits(sql: str) -> tuple[bool, bool, bool]:
    """Whether a statement may set something of its connection, takes a lock to read, and may say how long the
    connection waits for one."""
    return sets_up(sql), _OF_TABLES.search(sql) is not None, "busy_timeout" in sql or "BUSY_TIMEOUT" in sql


@cache
def _simulated(factory: Any) -> type[SimConnection]:
    """A class of connections, and that they are of the world."""
    if issubclass(SimConnection, factory):
        return SimConnection
    return type(factory.__name__, (SimConnection, factory), {})


@cache
def _folder(process: int) -> str:
    """Where a process of the harness keeps its databases: in memory, where the system offers it as files. It is gone
    when that process ends."""
    running = enter(None)  # its name is drawn, and not from what the run draws from
    folder = tempfile.mkdtemp(prefix="sagafuzz-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None)
    enter(running)
    Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=0)
    return folder
