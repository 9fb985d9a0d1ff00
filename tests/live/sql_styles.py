"""Sagas whose SQL is written as generators, old hands and libraries write it, for both worlds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from sagafuzz import CallTimeout, Order, Saga, Scenario, Step, Unavailable, World, adapter

SAGA = Saga("notes", [Step("order", "order.create", retriable=True), Step("payment", "payment.charge", retriable=True)])
SCENARIOS = [Scenario(name="succeeds")]


def by_comment(db: sqlite3.Connection, values: tuple[str, str]) -> None:
    db.execute("-- name: AddStep :exec\n/* generated */ INSERT INTO steps VALUES (?, ?)", values)
    db.commit()


def by_with(db: sqlite3.Connection, values: tuple[str, str]) -> None:
    db.execute("WITH new (saga, step) AS (VALUES (?, ?)) INSERT INTO steps SELECT * FROM new", values)


def by_savepoint(db: sqlite3.Connection, values: tuple[str, str]) -> None:
    db.execute("SAVEPOINT outer")
    db.execute('UPDATE "main"."counts" SET n = n + 1')
    db.execute("SAVEPOINT inner")
    db.execute("DELETE FROM steps")
    db.execute("ROLLBACK TO inner")
    db.execute("INSERT OR IGNORE INTO main.steps VALUES (?, ?)", values)
    db.execute("RELEASE outer")


@adapter(saga=SAGA, scenarios=SCENARIOS)
class Careful:
    """Goes forward, by keys, from what its database has."""

    key: Callable[[str, str], str | None] = staticmethod(lambda saga, step: f"{saga}/{step}")

    def boot(self, world: World) -> None:
        self.world, self.db = world, world.sqlite()
        self.db.executescript("""
            CREATE TABLE IF NOT EXISTS steps (saga TEXT, step TEXT, PRIMARY KEY (saga, step));
            CREATE TABLE IF NOT EXISTS counts (n INTEGER);
        """)

    def run(self, order: Order) -> bool:
        self._insist(lambda: self._note(by_comment, order.id, "begun"))
        for write, step in ((by_with, "order"), (by_savepoint, "payment")):
            if not self._has(order.id, step):
                operation = SAGA.by_name[step].operation
                self._insist(lambda: self.world.call(operation, saga=order.id, key=self.key(order.id, step)))  # noqa: B023
                self._insist(lambda: self._note(write, order.id, step))  # noqa: B023
        return True

    def recover(self) -> None:
        for (saga,) in self.db.execute("SELECT DISTINCT saga FROM steps ORDER BY saga").fetchall():
            self.world.reply(saga, self.run(Order(id=saga, item="", quantity=0, amount=0, account="")))

    def _has(self, saga: str, step: str) -> bool:
        return bool(self.db.execute("SELECT 1 FROM steps WHERE saga = ? AND step = ?", (saga, step)).fetchall())

    def _note(self, write: Callable[[sqlite3.Connection, tuple[str, str]], None], saga: str, step: str) -> None:
        if not self._has(saga, step):
            write(self.db, (saga, step))

    def _insist(self, act: Callable[[], Any]) -> None:
        for pause in _pauses():
            try:
                act()
            except (Unavailable, CallTimeout):
                self.world.sleep(pause)
            except sqlite3.OperationalError:
                if self.db.in_transaction:
                    self.db.rollback()
            else:
                return


@adapter(saga=SAGA, scenarios=SCENARIOS)
class Forgetful(Careful):
    """The same without keys: what was done and not noted is done again."""

    key = staticmethod(lambda saga, step: None)


def _pauses() -> Iterator[float]:
    while True:
        yield 1.0
