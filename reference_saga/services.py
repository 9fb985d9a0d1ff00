"""The services of the example: order, inventory, payment and shipping, as a service ought to be.

Each request is one local transaction, on SQLite or PostgreSQL, that holds its effect and the memory of its
key, so neither is durable without the other. From that memory follow:

- *idempotency*: a key that was seen is answered as it was the first time, a refusal too;
- *null compensation*: an undo that comes before its step changes nothing, succeeds, and leaves a tombstone;
- *no effect after compensation*: a step that finds its tombstone is refused;
- *fencing*: a request of an owner that was superseded (its epoch is lower than one seen for the saga) is
  refused as unavailable, not as a business refusal: it says nothing of the step;
- *retention*: `Services.forget` drops keys of sagas that were last heard of long ago.

An order and a reservation are PENDING until the saga's last step confirms them (`order.confirm`), so that
others can tell what may yet be undone: the semantic lock.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from ..ports import Rejected, Unavailable
from ..saga import COMPENSATION as UNDO
from ..saga import FORWARD, Saga, Step
from .runtime import Request, StepFunction
from .stores.sqlite import connect as connect_sqlite
from .stores.sqlite import migrate as migrate_sqlite
from .threads import PerThread

MIGRATIONS: Final = (
    """CREATE TABLE requests (
        id TEXT NOT NULL, direction TEXT NOT NULL, saga TEXT NOT NULL,
        answer TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, PRIMARY KEY (id, direction)
    )""",
    "CREATE TABLE owners (saga TEXT PRIMARY KEY, epoch INTEGER NOT NULL)",
    "CREATE TABLE orders (saga TEXT PRIMARY KEY, state TEXT NOT NULL)",
    "CREATE TABLE stock (item TEXT PRIMARY KEY, available INTEGER NOT NULL CHECK (available >= 0))",
    """CREATE TABLE reservations (
        saga TEXT PRIMARY KEY, item TEXT NOT NULL, quantity INTEGER NOT NULL, state TEXT NOT NULL
    )""",
    "CREATE TABLE accounts (account TEXT PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0))",
    "CREATE TABLE charges (saga TEXT PRIMARY KEY, account TEXT NOT NULL, amount INTEGER NOT NULL)",
    "CREATE TABLE parcels (saga TEXT PRIMARY KEY)",
    """CREATE TABLE ledger (saga TEXT NOT NULL, operation TEXT NOT NULL, at DOUBLE PRECISION NOT NULL)""",
)
"""One statement a version. ``ledger`` has a row for each effect: by it a judge tells what was done, and how often."""

PENDING: Final = "PENDING"
CONFIRMED: Final = "CONFIRMED"

CHECKOUT: Final = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("inventory", "inventory.reserve", undo="inventory.release"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("shipping", "shipping.send", pivot=True),
        Step("confirmation", "order.confirm", retriable=True),
    ],
)
"""The checkout that these services serve. Its request has ``item``, ``quantity``, ``account`` and ``amount``."""


class Database(Protocol):
    """What the services need of a database: statements with ? for each value, inside a transaction."""

    def transaction(self) -> AbstractContextManager[Execute]: ...

    def close(self) -> None: ...


Execute = Callable[..., list[Any]]
"""Runs a statement with its values and gives the rows."""

Effect = Callable[[Execute, Request], Any]


class SQLiteDatabase:
    """A connection a thread; a transaction is the only writer while it lasts."""

    def __init__(self, path: str | Path, migrations: Sequence[str] = MIGRATIONS) -> None:
        self._connections = PerThread(lambda: connect_sqlite(path))
        migrate_sqlite(self._connections.get(), migrations)

    @contextmanager
    def transaction(self) -> Any:
        connection = self._connections.get()
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield lambda statement, *values: connection.execute(statement, values).fetchall()
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise Unavailable(f"SQLite: {error}") from error

    def close(self) -> None:
        self._connections.close()


class PostgresDatabase:
    """A connection a thread; requests of one saga wait for each other."""

    def __init__(self, conninfo: str, migrations: Sequence[str] = MIGRATIONS) -> None:
        from .stores.postgres import connect, migrate

        self._connections = PerThread(lambda: connect(conninfo))
        migrate(self._connections.get(), migrations, table="services_schema")

    @contextmanager
    def transaction(self) -> Any:
        import psycopg

        connection = self._connections.get()

        def execute(statement: str, *values: Any) -> list[Any]:
            cursor = connection.execute(statement.replace("?", "%s"), values)
            return list(cursor.fetchall()) if cursor.description else []

        try:
            with connection.transaction():
                yield execute
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._connections.drop()
            raise Unavailable(f"PostgreSQL: {error}") from error

    def close(self) -> None:
        self._connections.close()


class Services:
    """The four services on one database each, or on the same. ``operations`` are what a `Runtime` takes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.operations: dict[str, StepFunction] = {
            name: self._operation(CHECKOUT.by_operation[name][1], effect) for name, effect in EFFECTS.items()
        }

    def _operation(self, direction: str, effect: Effect) -> StepFunction:
        def handle(request: Request) -> Any:
            with self._database.transaction() as execute:
                answer = _answer(execute, request, direction, effect)
            if "refused" in answer:  # only now: a refusal is remembered too
                raise Rejected(answer["refused"])
            return answer["value"]

        return handle

    def endow(self, *, stock: Mapping[str, int], accounts: Mapping[str, int]) -> None:
        """Put items on the shelves and money into accounts that are not there yet."""
        with self._database.transaction() as execute:
            for item, available in stock.items():
                execute("INSERT INTO stock VALUES (?, ?) ON CONFLICT DO NOTHING", item, available)
            for account, balance in accounts.items():
                execute("INSERT INTO accounts VALUES (?, ?) ON CONFLICT DO NOTHING", account, balance)

    def forget(self, *, older_than_s: float) -> None:
        """Drop what is remembered of sagas that were last heard of that long ago. It must be longer than any
        saga lasts: a request that comes after it is a new one."""
        last = "SELECT saga FROM requests GROUP BY saga HAVING max(at) < ?"
        before = time.time() - older_than_s
        with self._database.transaction() as execute:
            execute(f"DELETE FROM owners WHERE saga IN ({last})", before)
            execute(f"DELETE FROM requests WHERE saga IN ({last})", before)

    def ledger(self) -> list[tuple[str, str]]:
        """Every effect as (saga, operation), in the order of their time."""
        with self._database.transaction() as execute:
            return [(row[0], row[1]) for row in execute("SELECT saga, operation FROM ledger ORDER BY at")]


def _answer(execute: Execute, request: Request, direction: str, effect: Effect) -> dict[str, Any]:
    _fence(execute, request)
    mine = execute("SELECT answer FROM requests WHERE id = ? AND direction = ?", request.key, direction)
    if mine:
        return dict(json.loads(mine[0][0]))
    answer: dict[str, Any]
    undone = direction == FORWARD and execute(
        "SELECT 1 FROM requests WHERE id = ? AND direction = ?", request.key, UNDO
    )
    if undone:
        answer = {"refused": "already compensated"}
    else:
        try:
            answer = {"value": effect(execute, request)}
        except Rejected as refusal:
            answer = {"refused": str(refusal)}
    values = (request.key, direction, request.saga, json.dumps(answer), time.time())
    execute("INSERT INTO requests VALUES (?, ?, ?, ?, ?)", *values)
    return answer


def _fence(execute: Execute, request: Request) -> None:
    """Let only the latest owner of a saga act; the row also makes requests of one saga wait for each other."""
    execute(
        "INSERT INTO owners VALUES (?, ?) ON CONFLICT (saga) DO UPDATE SET epoch = "
        "CASE WHEN excluded.epoch > owners.epoch THEN excluded.epoch ELSE owners.epoch END",
        request.saga,
        request.epoch,
    )
    (latest,) = execute("SELECT epoch FROM owners WHERE saga = ?", request.saga)[0]
    if request.epoch < latest:
        raise Unavailable(f"{request.operation}: epoch {request.epoch} of saga {request.saga} has ended")


def _done(execute: Execute, request: Request) -> None:
    execute("INSERT INTO ledger VALUES (?, ?, ?)", request.saga, request.operation, time.time())


def _create(execute: Execute, request: Request) -> dict[str, str]:
    execute("INSERT INTO orders VALUES (?, ?)", request.saga, PENDING)
    _done(execute, request)
    return {"order": request.saga}


def _cancel(execute: Execute, request: Request) -> None:
    if execute("DELETE FROM orders WHERE saga = ? RETURNING saga", request.saga):
        _done(execute, request)


def _confirm(execute: Execute, request: Request) -> None:
    execute("UPDATE orders SET state = ? WHERE saga = ?", CONFIRMED, request.saga)
    execute("UPDATE reservations SET state = ? WHERE saga = ?", CONFIRMED, request.saga)
    _done(execute, request)


def _reserve(execute: Execute, request: Request) -> dict[str, int]:
    item, quantity = request["item"], request["quantity"]
    taken = "UPDATE stock SET available = available - ? WHERE item = ? AND available >= ? RETURNING available"
    left = execute(taken, quantity, item, quantity)
    if not left:
        raise Rejected("out of stock")
    execute("INSERT INTO reservations VALUES (?, ?, ?, ?)", request.saga, item, quantity, PENDING)
    _done(execute, request)
    return {"quantity": quantity}


def _release(execute: Execute, request: Request) -> None:
    for item, quantity in execute("DELETE FROM reservations WHERE saga = ? RETURNING item, quantity", request.saga):
        execute("UPDATE stock SET available = available + ? WHERE item = ?", quantity, item)
        _done(execute, request)


def _charge(execute: Execute, request: Request) -> dict[str, int]:
    account, amount = request["account"], request["amount"]
    paid = "UPDATE accounts SET balance = balance - ? WHERE account = ? AND balance >= ? RETURNING balance"
    if not execute(paid, amount, account, amount):
        raise Rejected("insufficient funds")
    execute("INSERT INTO charges VALUES (?, ?, ?)", request.saga, account, amount)
    _done(execute, request)
    return {"amount": amount}


def _refund(execute: Execute, request: Request) -> None:
    for account, amount in execute("DELETE FROM charges WHERE saga = ? RETURNING account, amount", request.saga):
        execute("UPDATE accounts SET balance = balance + ? WHERE account = ?", amount, account)
        _done(execute, request)


def _send(execute: Execute, request: Request) -> None:
    execute("INSERT INTO parcels VALUES (?)", request.saga)
    _done(execute, request)


EFFECTS: Final[Mapping[str, Effect]] = {
    "order.create": _create,
    "order.cancel": _cancel,
    "order.confirm": _confirm,
    "inventory.reserve": _reserve,
    "inventory.release": _release,
    "payment.charge": _charge,
    "payment.refund": _refund,
    "shipping.send": _send,
}
"""What each operation does inside a transaction, each time it is called. Raises `sagafuzz.Rejected`, without effect."""
