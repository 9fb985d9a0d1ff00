"""What is spared of systems that keep their sagas in SQLite: the same outcomes and anomalies as the full search."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from sagafuzz import Order, PortError, Saga, Scenario, Step, World, adapter
from sagafuzz.exploration import enumerator
from sagafuzz.exploration.reductions import ALL
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .test_reductions import expect_the_same, searched

PAIR = Saga(
    "pair",
    [Step("order", "order.create", undo="order.cancel"), Step("pay", "payment.charge", undo="payment.refund")],
)
KINDS = {"lost-ack", "lost-request", "crash-after-effect", "crash-after-log", "store-error-after-commit", "duplicate"}
NOT_SAVED = (PortError, sqlite3.Error)


class Shop:
    """Takes up what is open where it stopped, in transactions that Python opens."""

    def boot(self, world: World) -> None:
        self.world = world
        self.database = self.connected()
        self.database.execute("CREATE TABLE IF NOT EXISTS sagas (id TEXT PRIMARY KEY, at INT)")
        self.database.commit()

    def connected(self) -> sqlite3.Connection:
        return self.world.sqlite()

    def run(self, order: Order) -> bool:
        return self.go_on(order.id)

    def recover(self) -> None:
        for saga in self.open():
            self.world.reply(saga, self.go_on(saga))

    def open(self) -> list[str]:
        return [row[0] for row in self.database.execute("SELECT id FROM sagas WHERE at < 2 ORDER BY id").fetchall()]

    def go_on(self, saga: str) -> bool:
        for number, operation in enumerate(("order.create", "payment.charge")):
            if self.at(saga) <= number:
                self.ask(saga, operation)
                self.save(saga, number + 1)
        return True

    def at(self, saga: str) -> int:
        found = self.database.execute("SELECT at FROM sagas WHERE id = ?", (saga,)).fetchone()
        return int(found[0]) if found else self.save(saga, 0)

    def save(self, saga: str, at: int) -> int:
        while True:
            try:
                self.database.execute("INSERT OR REPLACE INTO sagas VALUES (?, ?)", (saga, at))
                self.database.commit()
                return at
            except NOT_SAVED:
                self.wait()

    def wait(self) -> None:
        self.world.sleep(1)

    def key(self, saga: str, operation: str) -> str:
        return f"{saga}/{operation}"

    def ask(self, saga: str, operation: str) -> None:
        while True:
            try:
                self.world.call(operation, saga=saga, key=self.key(saga, operation))
                return
            except PortError:
                self.world.sleep(1)


class CountsItsWrites(Shop):
    """Its keys hang on what its connection has counted: after a crash they are others."""

    def key(self, saga: str, operation: str) -> str:
        return f"{saga}/{operation}/{self.database.total_changes}"


class KeysByRow(Shop):
    """A write that was made twice, since it was not known to be done, leaves another row than one."""

    def key(self, saga: str, operation: str) -> str:
        (row,) = self.database.execute("SELECT max(rowid) FROM sagas").fetchone()
        return f"{saga}/{operation}/{row}"


class CountsItsStarts(Shop):
    """Notes each start in a database of its own: from the third on it asks under another key."""

    def boot(self, world: World) -> None:
        super().boot(world)
        self.starts = world.sqlite("starts")
        self.starts.execute("CREATE TABLE IF NOT EXISTS starts (at INT)")
        with suppress(*NOT_SAVED):
            self.starts.execute("INSERT INTO starts VALUES (0)")
            self.starts.commit()

    def key(self, saga: str, operation: str) -> str:
        (starts,) = self.starts.execute("SELECT count(*) FROM starts").fetchone()
        return f"{saga}/{operation}/{starts > 2}"


class AsksInATransaction(Shop):
    """Holds what it has written until it has asked: after a crash nobody knows that it has."""

    def go_on(self, saga: str) -> bool:
        self.at(saga)
        self.database.execute("UPDATE sagas SET at = 1 WHERE id = ?", (saga,))
        self.ask(saga, "order.create")
        self.save(saga, 1)
        self.ask(saga, "payment.charge")
        self.save(saga, 2)
        return True


class CommitsByItself(Shop):
    def connected(self) -> sqlite3.Connection:
        database = self.world.sqlite()
        database.isolation_level = None
        return database


class WritesAhead(Shop):
    def connected(self) -> sqlite3.Connection:
        database = self.world.sqlite()
        database.execute("PRAGMA journal_mode = WAL")
        return database


class AsksOnceMore(Shop):
    """Reads beside others: whoever finds that it is not alone asks under its own key."""

    def boot(self, world: World) -> None:
        super().boot(world)
        self.database.execute("CREATE TABLE IF NOT EXISTS hosts (name)")
        self.database.execute("INSERT INTO hosts SELECT count(*) FROM hosts")
        self.database.commit()

    def key(self, saga: str, operation: str) -> str:
        (hosts,) = self.database.execute("SELECT count(*) FROM hosts").fetchone()
        return f"{saga}/{operation}/{hosts}"


class Concurrent(Shop):
    """asyncio code, which reads and writes between its requests."""

    async def run(self, order: Order) -> bool:  # type: ignore[override]
        return await self.go_on_async(order.id)

    async def recover(self) -> None:  # type: ignore[override]
        for saga in self.open():
            self.world.reply(saga, await self.go_on_async(saga))

    def wait(self) -> None:
        """It tries at once: who sleeps would have to await that."""

    async def go_on_async(self, saga: str) -> bool:
        for number, operation in enumerate(("order.create", "payment.charge")):
            while self.at(saga) <= number:
                with suppress(PortError):
                    await self.world.call(operation, saga=saga, key=self.key(saga, operation))
                    self.save(saga, number + 1)
        return True


class LooksBeside(Shop):
    """A task of its own looks how far the saga is, and asks once more under a key that hangs on it."""

    def run(self, order: Order) -> bool:
        self.world.spawn(self.look, order.id)
        return super().run(order)

    def look(self, saga: str) -> None:
        self.world.sleep(0.0011)
        at = self.at(saga)
        self.world.sleep(0.0011)
        with suppress(PortError):
            self.world.call("order.create", saga=saga, key=f"{saga}/{at}")


SYSTEMS: list[type[Shop]] = [
    *(Shop, CountsItsWrites, KeysByRow, CountsItsStarts, AsksInATransaction, CommitsByItself, WritesAhead),
    *(AsksOnceMore, Concurrent, LooksBeside),
]


def setup_of(made: type[Shop]) -> Setup:
    declared: Any = adapter(saga=PAIR, name="shop")(made)
    return Setup(adapter=declared.__sagafuzz_adapter__, scenario=Scenario())


@pytest.fixture
def every_merge(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each run that is ended in a known state is run to its end too."""
    monkeypatch.setattr(enumerator, "TRIED_EVERY", 1)
    return


@pytest.mark.usefixtures("every_merge")
@pytest.mark.parametrize("made", SYSTEMS, ids=lambda made: made.__name__)
def test_two_faults_show_the_same_with_and_without(made: type[Shop]) -> None:
    spared, search = expect_the_same(setup_of(made), 2, KINDS | {"second-orchestrator"})
    assert spared > 0 and not search.mistakes


@pytest.mark.parametrize("made", [CountsItsWrites, CountsItsStarts, AsksOnceMore], ids=lambda made: made.__name__)
def test_what_is_wrong_after_two_faults_only_is_found(made: type[Shop]) -> None:
    (found, _), *_ = searched(setup_of(made), ALL, 2, KINDS)
    assert "I1" in {invariant for invariant, *_ in found}


@pytest.mark.parametrize("scenario", [each.name for each in load("reference-sqlite").scenarios])
def test_one_fault_shows_the_same_of_the_reference_with_and_without(scenario: str) -> None:
    loaded = load("reference-sqlite")
    expect_the_same(Setup(adapter=loaded, scenario=loaded.scenario(scenario)), 1)


@pytest.mark.slow
@pytest.mark.usefixtures("every_merge")
@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_two_faults_show_the_same_of_the_reference_with_and_without(scenario: str) -> None:
    loaded = load("reference-sqlite")
    expect_the_same(Setup(adapter=loaded, scenario=loaded.scenario(scenario)), 2)


def test_four_runs_in_ten_of_the_reference_are_spared() -> None:
    loaded = load("reference-sqlite")
    setup = Setup(adapter=loaded, scenario=loaded.scenario("succeeds"))
    kinds = {"lost-ack", "crash-after-log", "store-error-before-commit", "duplicate"}
    whole = sum(not case.known for case in enumerator.Enumerator(setup, 2, kinds).cases())
    assert whole < 0.6 * searched(setup, (), 2, kinds)[1]
