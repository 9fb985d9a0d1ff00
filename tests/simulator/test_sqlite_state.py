"""The state of a run with an SQLite database: alike where nobody can tell a difference, and only there."""

from __future__ import annotations

import logging
import sqlite3
import time
from typing import Any

import pytest

from sagafuzz import Fault, Order, Plan, Saga, Scenario, Step, World, adapter
from sagafuzz.faults import Site
from sagafuzz.simulator import Observer, Setup, observe
from sagafuzz.simulator.state import State

from .test_process_state import Body, charge, last_key, setup_of


def table(world: World) -> sqlite3.Connection:
    """A connection to a database in which "a" stands."""
    database = world.sqlite()
    database.execute("CREATE TABLE t (a)")
    database.execute("INSERT INTO t VALUES ('a')")
    database.commit()
    return database


def what_is_committed(world: World, other: bool) -> None:
    database = table(world)
    database.execute("UPDATE t SET a = ?", ("b" if other else "c",))
    database.commit()
    del other
    charge(world)


def what_is_written_ahead(world: World, other: bool) -> None:
    database = table(world)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("UPDATE t SET a = ?", ("b" if other else "c",))
    database.commit()
    del other
    charge(world)


def what_is_not_committed_to_who_writes_ahead(world: World, other: bool) -> None:
    database = table(world)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("UPDATE t SET a = ?", ("b" if other else "c",))
    del other
    charge(world)


def what_is_not_committed_yet(world: World, other: bool) -> None:
    database = table(world)
    database.execute("UPDATE t SET a = ?", ("b" if other else "c",))
    del other
    charge(world)


def whether_it_is_committed(world: World, other: bool) -> None:
    database = table(world)
    database.execute("UPDATE t SET a = 'b'")
    if other:
        database.commit()
    del other
    charge(world)


def what_was_before_the_transaction(world: World, other: bool) -> None:
    database = table(world)
    database.execute("UPDATE t SET a = ?", ("b" if other else "c",))
    database.commit()
    database.execute("UPDATE t SET a = 'd'")
    del other
    charge(world)


def how_a_transaction_was_begun(world: World, other: bool) -> None:
    database = table(world)
    database.execute("BEGIN EXCLUSIVE" if other else "BEGIN IMMEDIATE")
    database.execute("UPDATE t SET a = 'b'")
    del other
    charge(world)


def which_row_was_inserted_last(world: World, other: bool) -> None:
    database, beside = table(world), world.sqlite("beside")
    beside.execute("CREATE TABLE u (id INTEGER PRIMARY KEY)")
    beside.execute("INSERT INTO u VALUES (?)", (2 if other else 3,))
    beside.rollback()
    del other
    charge(world)
    database.close()


def how_many_rows_were_changed_last(world: World, other: bool) -> None:
    database = table(world)
    database.execute("UPDATE t SET a = 'a'" if other else "UPDATE t SET a = 'a' WHERE a = 'b'")
    database.rollback()
    del other
    charge(world)


def a_setting(world: World, other: bool) -> None:
    database = table(world)
    database.execute("PRAGMA foreign_keys = ON" if other else "PRAGMA foreign_keys = OFF")
    del other
    charge(world)


def the_last_of_two_settings(world: World, other: bool) -> None:
    database = table(world)
    for value in ("ON", "OFF", "ON") if other else ("ON", "OFF"):
        database.execute(f"PRAGMA foreign_keys = {value}")
    del other, value
    charge(world)


def who_opens_transactions(world: World, other: bool) -> None:
    database = table(world)
    database.isolation_level = "IMMEDIATE" if other else None
    del other
    charge(world)


def what_rows_are_made_of(world: World, other: bool) -> None:
    database = table(world)
    database.row_factory = sqlite3.Row if other else None
    del other
    charge(world)


def a_row(world: World, other: bool) -> None:
    database = table(world)
    database.row_factory = sqlite3.Row
    row = database.execute("SELECT a AS b FROM t" if other else "SELECT a AS c FROM t").fetchone()
    del other
    charge(world)
    str(row)


def what_a_cursor_was_told(world: World, other: bool) -> None:
    database = table(world)
    cursor = database.execute("SELECT a AS b FROM t" if other else "SELECT a AS c FROM t")
    cursor.fetchall()
    del other
    charge(world)
    str(cursor.description)
    database.close()


def whether_a_cursor_is_closed(world: World, other: bool) -> None:
    database = table(world)
    cursor = database.cursor()
    if other:
        cursor.close()
    del other
    charge(world)
    database.close()
    str(cursor)


def whether_it_is_closed(world: World, other: bool) -> None:
    database = table(world)
    if other:
        database.close()
    del other
    charge(world)
    str(database)


def which_of_two_connections_it_is(world: World, other: bool) -> None:
    one, two = table(world), world.sqlite()
    used = one if other else two
    del other
    charge(world)
    used.execute("BEGIN")
    str((one, two))


DIFFERENT = [
    *(what_is_written_ahead, what_is_not_committed_to_who_writes_ahead),
    *(what_is_committed, what_is_not_committed_yet, whether_it_is_committed, what_was_before_the_transaction),
    *(how_a_transaction_was_begun, which_row_was_inserted_last, how_many_rows_were_changed_last, a_setting),
    *(the_last_of_two_settings, who_opens_transactions, what_rows_are_made_of, a_row, what_a_cursor_was_told),
    *(whether_a_cursor_is_closed, whether_it_is_closed, which_of_two_connections_it_is),
]


@pytest.mark.parametrize("body", DIFFERENT, ids=lambda body: body.__name__)
def test_two_states_that_differ_in_one_thing_of_a_database_are_two(body: Body) -> None:
    setup = setup_of(body)
    keys = [last_key(setup, other=other) for other in (False, True, False)]
    assert all(keys)
    assert keys[0] == keys[2], "the same again is the same"
    assert keys[0] != keys[1]


def how_often_it_was_written(world: World, other: bool) -> None:
    database = table(world)
    file = database.execute("PRAGMA database_list").fetchone()[2]
    beside = sqlite3.Connection(file)  # of which the world knows nothing
    if other:
        beside.execute("UPDATE t SET a = 'b'")
        beside.commit()
        beside.execute("UPDATE t SET a = 'a'")
        beside.commit()
    beside.close()
    del other, file, beside
    charge(world)
    database.close()


def a_connection_that_nobody_holds(world: World, other: bool) -> None:
    database = table(world)
    if other:
        dropped = world.sqlite()
        dropped.execute("SELECT a FROM t").fetchall()
        del dropped
    del other
    charge(world)
    database.close()


def what_was_read_and_forgotten(world: World, other: bool) -> None:
    database = table(world)
    if other:
        database.execute("SELECT a FROM t").fetchone()
    del other
    charge(world)
    database.close()


@pytest.mark.parametrize(
    "body",
    [how_often_it_was_written, what_was_read_and_forgotten, a_connection_that_nobody_holds],
    ids=lambda body: body.__name__,
)
def test_what_leaves_nothing_behind_makes_no_other_state(body: Body) -> None:
    setup = setup_of(body)
    keys = [last_key(setup, other=other) for other in (False, True)]
    assert keys[0] == keys[1] != b""


def how_far_a_cursor_has_read(world: World, other: bool) -> None:
    database = table(world)
    database.execute("INSERT INTO t VALUES ('b')")
    database.commit()
    cursor = database.execute("SELECT a FROM t")
    charge(world)
    cursor.fetchall()


def how_far_a_cursor_has_read_that_is_kept_elsewhere(world: World, other: bool) -> None:
    database = table(world)
    database.execute("INSERT INTO t VALUES ('b')")
    database.commit()
    handler = logging.Handler()  # nobody looks into it
    handler.kept = database.execute("SELECT a FROM t")  # type: ignore[attr-defined]
    charge(world)
    str(handler)


def a_function_of_ones_own(world: World, other: bool) -> None:
    database = table(world)
    database.create_function("half", 1, lambda number: number / 2)
    charge(world)


def a_temporary_table(world: World, other: bool) -> None:
    database = table(world)
    database.execute("CREATE TEMP TABLE u (a)")
    charge(world)


def a_savepoint(world: World, other: bool) -> None:
    database = table(world)
    database.execute("SAVEPOINT one")
    database.execute("UPDATE t SET a = 'b'")
    charge(world)


def a_transaction_that_has_only_read(world: World, other: bool) -> None:
    database = table(world)
    database.execute("BEGIN")
    database.execute("SELECT a FROM t").fetchall()
    charge(world)


def who_is_alone_with_it(world: World, other: bool) -> None:
    database = table(world)
    database.execute("PRAGMA locking_mode = EXCLUSIVE")
    database.execute("PRAGMA journal_mode = WAL")
    charge(world)


def how_much_was_written_ahead(world: World, other: bool) -> None:
    database = table(world)
    database.execute("PRAGMA wal_checkpoint").fetchone()
    charge(world)


def whether_another_one_has_written(world: World, other: bool) -> None:
    database = table(world)
    database.execute("PRAGMA data_version").fetchone()
    charge(world)


def what_a_user_gave_a_connection(world: World, other: bool) -> None:
    database = table(world)
    database.since = 5  # type: ignore[attr-defined]
    charge(world)


def what_is_left_of_a_lock_that_was_refused(world: World, other: bool) -> None:
    database, beside = table(world), world.sqlite()
    beside.execute("UPDATE t SET a = 'b'")
    try:
        database.execute("UPDATE t SET a = 'c'")
    except sqlite3.OperationalError:
        database.rollback()
        beside.rollback()
    charge(world)


UNTOLD = [
    *(
        how_far_a_cursor_has_read,
        how_far_a_cursor_has_read_that_is_kept_elsewhere,
        a_function_of_ones_own,
        a_temporary_table,
        a_savepoint,
    ),
    *(
        a_transaction_that_has_only_read,
        who_is_alone_with_it,
        how_much_was_written_ahead,
        whether_another_one_has_written,
    ),
    *(what_a_user_gave_a_connection, what_is_left_of_a_lock_that_was_refused),
]


@pytest.mark.parametrize("body", UNTOLD, ids=lambda body: body.__name__)
def test_what_cannot_be_told_of_a_database_is_not(body: Body) -> None:
    assert last_key(setup_of(body), other=False) == b""


CRASH = Fault(kind="crash-after-log", site=Site("saga-1", "insert t", "", "logged", 1))
SECOND = Fault(kind="second-orchestrator", site=CRASH.site)


class Watching:
    """Remembers what it reads, which another process may have written, or one before it, or another task."""

    other = False

    def boot(self, world: World) -> None:
        self.world = world
        self.database = world.sqlite()
        self.database.execute("CREATE TABLE IF NOT EXISTS t (a)")
        self.database.commit()

    def run(self, order: Order) -> bool:
        self.recover(order.id)
        return True

    def recover(self, saga: str = "saga-1") -> None:
        self.seen = self.database.execute("SELECT a FROM t").fetchall()
        self.write("INSERT INTO t VALUES (?)", int(self.other))
        self.write("UPDATE t SET a = 1")
        self.world.call("order.create", saga=saga, key="1")

    def write(self, sql: str, *values: int) -> None:
        self.database.execute(sql, values)
        self.database.commit()


class LooksBeside(Watching):
    def recover(self, saga: str = "saga-1") -> None:
        self.world.spawn(self.look)
        self.write("INSERT INTO t VALUES (1)")
        self.world.sleep(1)
        self.world.call("order.create", saga=saga, key="1")

    def sleep(self, seconds: float) -> None:
        self.world.sleep(seconds)

    def look(self) -> None:
        self.sleep(0.0001 if self.other else 0.0003)
        self.seen = self.database.execute("SELECT a FROM t").fetchall()


class LooksBesideUnasked(LooksBeside):
    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def by_answers(made: type[Watching], *faults: Fault, other: bool = False) -> list[tuple[bytes, ...]]:
    """The keys of each moment after the faults, told by answers; none where they do not tell it."""
    saga = Saga("pair", [Step("order", "order.create"), Step("pay", "payment.charge", undo="payment.refund")])
    system = type("Watching", (made,), {"other": other})
    declared = adapter(saga=saga, name="watching")(system).__sagafuzz_adapter__  # type: ignore[attr-defined]
    found: list[tuple[bytes, ...]] = []

    def watch(observer: Observer) -> bool:
        found.append(State(observer, 0).by_answers())
        return False

    observe(Setup(adapter=declared, scenario=Scenario()), Plan(faults=faults), watch)
    return found


def test_what_one_process_alone_has_read_follows_from_what_it_found_and_its_answers() -> None:
    assert all(by_answers(Watching)) and all(by_answers(Watching, CRASH))


def test_what_a_process_reads_that_another_may_have_written_follows_from_no_answers() -> None:
    assert not all(by_answers(Watching, SECOND))


class WritesTheSame(Watching):
    def recover(self, saga: str = "saga-1") -> None:
        self.write("INSERT INTO t VALUES (1)")
        for _ in range(3):
            self.write("UPDATE t SET a = 1")
        self.world.call("order.create", saga=saga, key="1")


def test_how_far_a_process_is_that_writes_what_is_there_already_makes_two_states() -> None:
    keys = by_answers(WritesTheSame)
    assert all(keys) and len(set(keys)) == len(keys)


def test_what_a_process_found_makes_another_state_of_it_when_it_is_overwritten_too() -> None:
    one, two = (by_answers(Watching, CRASH, other=other) for other in (False, True))
    assert one[-1] and two[-1] and one[-1] != two[-1]


@pytest.mark.parametrize("made", [LooksBeside, LooksBesideUnasked])
def test_whether_a_task_looked_before_or_after_another_one_wrote_makes_two_states(made: type[Watching]) -> None:
    one, two = (by_answers(made, other=other) for other in (False, True))
    assert one[-1] and two[-1] and one[-1] != two[-1]


def test_a_connection_that_is_told_is_used_as_before() -> None:
    """To look at it leaves no trace in what it says of itself."""

    def body(world: World, other: bool) -> None:
        database = table(world)
        made: list[Any] = []
        database.row_factory = lambda cursor, row: made.append(row)
        cursor = database.execute("UPDATE t SET a = 'b'")
        charge(world)
        assert (made, cursor.rowcount, database.in_transaction) == ([], 1, True)
        database.execute("SELECT changes()").fetchone()
        assert made == [(1,)]

    assert last_key(setup_of(body), other=False)
