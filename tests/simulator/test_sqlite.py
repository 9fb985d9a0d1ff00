"""`world.sqlite()`: real SQLite, durable over crashes, each commit a crash point."""

from __future__ import annotations

import gc
import sqlite3
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from sagafuzz import Fault, Plan, Scenario, Site
from sagafuzz.faults import AT_LOG, FAULT_KINDS
from sagafuzz.simulator import Setup, simulate
from sagafuzz.sqlite import WatchedConnection

from .conftest import Laboratory, Trial


def boot(world: Any) -> None:
    world.db = world.sqlite()
    world.db.execute("CREATE TABLE IF NOT EXISTS notes (saga TEXT, note TEXT)")
    world.found = world.db.execute("SELECT note FROM notes ORDER BY note").fetchall()


def system(lab: Laboratory, body: Any, found: list[Any] | None = None, **options: Any) -> Any:
    """An adapter with a table ``notes`` whose saga is ``body(db, world, order)``; what each boot finds."""

    def booted(world: Any) -> None:
        boot(world)
        if found is not None:
            found.append([note for (note,) in world.found])

    return lab.system(lambda world, order: body(world.db, world, order) or True, boot=booted, **options)


def in_a_block(db: Any, world: Any, order: Any) -> None:
    with db:
        db.execute("INSERT INTO notes VALUES (?, ?)", (order.id, "a"))
        db.executemany("INSERT INTO notes VALUES (?, ?)", [(order.id, "b"), (order.id, "c")])


def by_commit(db: Any, world: Any, order: Any) -> None:
    cursor = db.cursor()
    cursor.execute("INSERT INTO notes VALUES (?, 'a')", (order.id,))
    cursor.executemany("INSERT INTO notes VALUES (?, ?)", ((order.id, note) for note in "bc"))
    db.commit()


def by_statement(db: Any, world: Any, order: Any) -> None:
    db.isolation_level = None
    db.execute("BEGIN IMMEDIATE")
    for note in "abc":
        db.execute("INSERT INTO notes VALUES (?, ?)", (order.id, note))
    db.execute("COMMIT")


def by_itself(db: Any, world: Any, order: Any) -> None:
    db.isolation_level = None
    db.execute("INSERT INTO notes VALUES (?, 'a'), (?, 'b'), (?, 'c')", (order.id,) * 3)


def by_script(db: Any, world: Any, order: Any) -> None:
    db.executescript("BEGIN; INSERT INTO notes VALUES ('s', 'a'), ('s', 'b'), ('s', 'c'); COMMIT")


def by_with(db: Any, world: Any, order: Any) -> None:
    db.execute("-- name: Add\nWITH n (note) AS (VALUES ('a'), ('b'), ('c')) INSERT INTO notes SELECT 's', note FROM n")


def by_release(db: Any, world: Any, order: Any) -> None:
    db.execute("SAVEPOINT outer")
    db.execute("INSERT INTO main.notes VALUES ('s', 'a'), ('s', 'b'), ('s', 'c')")
    db.execute("SAVEPOINT inner")
    db.execute("INSERT INTO notes VALUES ('s', 'd')")
    db.execute("ROLLBACK TO inner")
    db.execute("RELEASE inner")
    db.execute("RELEASE outer")


def by_returning(db: Any, world: Any, order: Any) -> None:
    db.isolation_level = None
    cursor = db.execute("INSERT INTO notes VALUES ('s', 'a'), ('s', 'b'), ('s', 'c') RETURNING note")
    assert (cursor.fetchone(), cursor.fetchmany(1), [*cursor], cursor.rowcount) == (("a",), [("b",)], [("c",)], 3)


WAYS = [in_a_block, by_commit, by_statement, by_itself, by_script, by_with, by_release, by_returning]


@pytest.mark.parametrize("body", WAYS)
def test_each_commit_is_one_crash_point(lab: Laboratory, body: Any) -> None:
    trial = lab.trial(system(lab, body))
    assert [(site.saga, site.subject, site.phase) for site in trial.sites if site.subject != "create notes"] == [
        ("saga-1", "insert notes", "log"),
        ("saga-1", "insert notes", "logged"),
    ]
    assert trial.answers == ["completed"]


@pytest.mark.parametrize("body", WAYS)
@pytest.mark.parametrize(("kind", "left"), [("crash-before-log", []), ("crash-after-log", ["a", "b", "c"])])
def test_a_crash_before_the_commit_loses_all_and_one_after_it_nothing(
    lab: Laboratory, body: Any, kind: str, left: list[str]
) -> None:
    found: list[Any] = []
    trial = lab.trial(system(lab, body, found), f"{kind} 'insert notes'")
    assert found == [[], left]
    assert trial.end == "quiescent"


def test_a_site_is_named_by_all_that_becomes_durable(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        with db:
            db.execute("INSERT INTO notes VALUES (?, 'a')", (order.id,))
            db.execute('UPDATE "main"."notes" SET note = 1')
            db.execute("REPLACE INTO notes VALUES (?, 'b')", (order.id,))
        db.isolation_level = None
        db.execute("INSERT INTO notes VALUES (?, 'c')", (order.id,))
        db.executemany("DELETE FROM notes WHERE note = ?", ["b", "c"])
        other = world.sqlite("other")
        other.executescript("CREATE TABLE a (n); CREATE INDEX i ON a (n)")

    trial = lab.trial(system(lab, body))
    assert [(site.subject, site.occurrence) for site in trial.sites if site.saga and site.phase == "log"] == [
        ("insert notes + update notes", 1),
        ("insert notes", 1),
        ("delete notes", 1),  # without a transaction each of many is durable by itself
        ("delete notes", 2),
        ("other: create a", 1),
        ("other: create i", 1),
    ]


def test_a_table_that_is_there_already_is_no_crash_point(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        for statement in (
            "CREATE TABLE IF NOT EXISTS notes (saga TEXT, note TEXT)",
            "/* */ create index if not exists by_note on notes (note)",
            "create index if not exists by_note on notes (note)",
            "DROP TABLE IF EXISTS other",
        ):
            db.execute(statement)

    trial = lab.trial(system(lab, body))
    assert [site.subject for site in trial.sites if site.phase == AT_LOG] == ["create notes", "create by_note"]


ON_CONDITION = (
    ("CREATE TABLE IF NOT EXISTS t (n)", "CREATE TABLE t (n)"),
    ("CREATE TABLE IF NOT EXISTS t (n TEXT PRIMARY KEY)", "CREATE TABLE t (n)"),
    ("CREATE TABLE IF NOT EXISTS t AS SELECT 1 AS n", "CREATE TABLE t (n)"),
    ("CREATE TABLE IF NOT EXISTS t (n PRIMARY KEY) WITHOUT ROWID", "CREATE VIEW t AS SELECT n FROM u"),
    ("CREATE UNIQUE INDEX IF NOT EXISTS i ON u (n)", "CREATE INDEX i ON u (n)"),
    ("CREATE VIEW IF NOT EXISTS v AS SELECT n FROM u", "CREATE VIEW v AS SELECT 1 AS n"),
    (
        "CREATE TRIGGER IF NOT EXISTS r AFTER INSERT ON u BEGIN DELETE FROM u; END",
        "CREATE TRIGGER r AFTER INSERT ON u BEGIN SELECT 1; END",
    ),
    ("DROP TABLE IF EXISTS t", "CREATE TABLE t (n)"),
    ("DROP INDEX IF EXISTS i", "CREATE INDEX i ON u (n)"),
    ("DROP VIEW IF EXISTS v", "CREATE VIEW v AS SELECT 1 AS n"),
    ("DROP TRIGGER IF EXISTS r", "CREATE TRIGGER r AFTER INSERT ON u BEGIN SELECT 1; END"),
)
"""Statements that define or drop something on condition, and what makes the thing be there."""


@pytest.mark.parametrize("there", [False, True], ids=["absent", "there"])
@pytest.mark.parametrize(("statement", "first"), ON_CONDITION)
def test_a_definition_is_a_change_just_where_sqlite_would_write(statement: str, first: str, *, there: bool) -> None:
    noted: list[tuple[str, ...]] = []

    class Noting(WatchedConnection):
        def durable(self, changes: tuple[str, ...], act: Callable[[], Any]) -> Any:
            noted.append(changes)
            return act()

    database = sqlite3.connect(":memory:", factory=Noting, isolation_level=None)
    database.execute("CREATE TABLE u (n)")
    if there:
        database.execute(first)
    plan = sqlite3.Cursor(database).execute(f"EXPLAIN {statement}").fetchall()
    writes = any(step[1] == "Transaction" and step[3] for step in plan)
    noted.clear()
    database.execute(statement)
    assert bool(noted) is writes


HERE = "CREATE TABLE IF NOT EXISTS here (n)"


def rolled_back(db: Any, world: Any) -> None:
    db.execute("BEGIN")
    db.execute(HERE)
    db.execute("ROLLBACK")


def back_to_a_savepoint(db: Any, world: Any) -> None:
    db.execute("BEGIN")
    db.execute("SAVEPOINT s")
    db.execute(HERE)
    db.execute("ROLLBACK TO s")
    db.execute("COMMIT")


def committed(db: Any, world: Any) -> None:
    db.execute("BEGIN")
    db.execute(HERE)
    db.execute("COMMIT")


def by_another(db: Any, world: Any) -> None:
    world.sqlite().execute(HERE)


def taken_over(db: Any, world: Any) -> None:
    other = world.sqlite("other")
    other.execute(HERE)
    db.execute("CREATE TABLE gone (n)")
    other.backup(db)


def dropped(db: Any, world: Any) -> None:
    db.execute(HERE)
    db.execute("DROP TABLE here")


@pytest.mark.parametrize(
    ("before", "times"),
    [(rolled_back, 1), (back_to_a_savepoint, 1), (committed, 1), (by_another, 1), (taken_over, 0), (dropped, 2)],
)
def test_whether_a_table_is_there_is_seen_whoever_defined_it(
    lab: Laboratory, before: Callable[[Any, Any], None], times: int
) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        db.isolation_level = None
        before(db, world)
        db.execute(HERE)

    for trial in (lab.trial(system(lab, body)), lab.trial(system(lab, body))):
        subjects = [site.subject for site in trial.sites if site.phase == AT_LOG]
        assert subjects.count("create here") == times, subjects


@pytest.mark.parametrize(("kind", "times"), [("crash-before-log", 2), ("crash-after-log", 1)])
def test_what_was_defined_before_a_crash_is_there_after_it(lab: Laboratory, kind: str, times: int) -> None:
    setup = Setup(adapter=system(lab, lambda db, world, order: None), scenario=Scenario())
    phase = FAULT_KINDS[kind].phase
    site = next(Site._make(site) for site in simulate(setup).sites if site[1] == "create notes" and site[3] == phase)
    for _ in range(2):
        run = simulate(setup, Plan(faults=(Fault(kind=kind, site=site),)))
        assert run.struck == 1
        assert [visited[1] for visited in run.sites if visited[3] == AT_LOG].count("create notes") == times


MOMENTS = {
    "SELECT datetime('now')": "2026-02-02 03:40:00",
    "SELECT datetime()": "2026-02-02 03:40:00",
    "SELECT date('NOW', '+1 day')": "2026-02-03",
    "SELECT time('now', 'start of day')": "00:00:00",
    "SELECT strftime('%s')": "1770003600",
    "SELECT strftime('%H:%M', 'now', '-13 minutes')": "03:27",
    "SELECT round(julianday('now'), 3)": 2461073.653,
    "SELECT CURRENT_TIMESTAMP": "2026-02-02 03:40:00",
    "SELECT CURRENT_DATE || ' ' || CURRENT_TIME": "2026-02-02 03:40:00",
    "SELECT datetime('2024-02-28 12:00', '+1 day')": "2024-02-29 12:00:00",
    "SELECT strftime('%Y', 86400, 'unixepoch')": "1970",
    "SELECT datetime('never')": None,
    "INSERT INTO dated (n) VALUES (1) RETURNING at || '/' || until": "2026-02-02 03:40:00/2026-02-03",
}


def test_sqls_own_clock_is_that_of_the_world(lab: Laboratory) -> None:
    found: dict[str, Any] = {}

    def body(db: Any, world: Any, order: Any) -> None:
        db.execute(
            "CREATE TABLE dated (n, at DEFAULT CURRENT_TIMESTAMP, until DEFAULT (date('now', '+1 day')),"
            " CHECK (date(at) IS NOT NULL))"
        )
        db.execute("CREATE INDEX by_day ON dated (date(at))")
        world.sleep(3600 - world.now() % 100)
        for statement in MOMENTS:
            ((found[statement],),) = db.execute(statement).fetchall()

    lab.trial(system(lab, body))
    assert found == MOMENTS


def test_what_is_temporary_or_only_explained_is_no_crash_point(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        db.isolation_level = None
        db.execute("CREATE TEMP TABLE passing (n)")
        db.execute("INSERT INTO passing VALUES (1)")
        db.execute("EXPLAIN INSERT INTO notes VALUES (1, 2)").fetchall()
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)

    trial = lab.trial(system(lab, body))
    assert {site.subject for site in trial.sites} == {"create notes"}


def test_what_a_statement_does_in_another_database_says_nothing_of_this_one(lab: Laboratory) -> None:
    """What is known of it by its text is so wherever it can be prepared; a name may mean something temporary here."""
    statement = "INSERT INTO tellings VALUES ('a')"

    def sites(definition: str) -> list[str]:
        def body(db: Any, world: Any, order: Any) -> None:
            db.isolation_level = None
            if definition:
                db.execute(definition)
            try:
                db.execute(statement)
            except sqlite3.OperationalError:
                assert not definition

        trial = lab.trial(system(lab, body))
        return [site.subject for site in trial.sites if site.phase == AT_LOG and "tellings" in site.subject]

    assert sites("CREATE TABLE tellings (note TEXT)") == ["create tellings", "insert tellings"]
    assert sites("") == []
    assert sites("CREATE TEMPORARY TABLE tellings (note TEXT)") == []
    assert sites("CREATE TABLE tellings (note TEXT)") == ["create tellings", "insert tellings"]


def test_a_commit_that_fails_in_a_block_is_rolled_back(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), db:
            db.execute("INSERT INTO notes VALUES (?, 'lost')", (order.id,))
        assert not db.in_transaction
        with db:
            db.execute("INSERT INTO notes VALUES (?, 'kept')", (order.id,))
        assert db.execute("SELECT note FROM notes").fetchall() == [("kept",)]

    trial = lab.trial(system(lab, body), "store-error-before-commit 'insert notes'")
    assert (trial.raised, trial.answers) == ([], ["completed"])


def test_a_process_that_a_fault_keeps_from_booting_ends_and_is_started_again(lab: Laboratory) -> None:
    adapter = system(lab, in_a_block)
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    site = Site("", "create notes", "", AT_LOG, 1)
    plan = Plan(faults=(Fault(kind="store-error-before-commit", site=site),))
    trial = Trial(setup, plan, simulate(setup, plan))
    assert [event.get("reason") for event in trial.of("CRASH")] == ["it could not boot"]
    assert trial.answers == ["completed"]


def test_what_is_not_committed_dies_with_the_process(lab: Laboratory) -> None:
    found: list[Any] = []

    def body(db: Any, world: Any, order: Any) -> None:
        db.execute("INSERT INTO notes VALUES ('s', 'uncommitted')")
        world.call("payment.charge", saga=order.id)

    trial = lab.trial(system(lab, body, found), "crash-after-effect pay F")
    assert found == [[], []]
    assert trial.raised == []


def test_the_idiom_of_rolling_back_what_failed_can_do_nothing_when_dead(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        db.execute("INSERT INTO notes VALUES ('s', 'n')")
        try:
            world.call("payment.charge", saga=order.id)
            db.commit()
        except BaseException:
            db.rollback()
            raise
        finally:
            db.close()

    found: list[Any] = []
    trial = lab.trial(system(lab, body, found), "crash-after-effect pay F")
    assert (found, trial.raised, trial.answers) == ([[], []], [], [])


def test_an_exception_in_the_block_rolls_back(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        try:
            with db:
                db.execute("INSERT INTO notes VALUES ('s', 'n')")
                raise ZeroDivisionError
        except ZeroDivisionError:
            world.alert(order.id)
        assert db.execute("SELECT count(*) FROM notes").fetchone() == (0,)

    trial = lab.trial(system(lab, body))
    assert (len(trial.of("ALERT")), trial.answers) == (1, ["completed"])
    assert "insert notes" not in {site.subject for site in trial.sites}


def test_a_commit_of_nothing_is_no_crash_point(lab: Laboratory) -> None:
    trial = lab.trial(system(lab, lambda db, world, order: db.commit()))
    assert {site.subject for site in trial.sites} == {"create notes"}


def test_a_writer_waits_for_another_connection_in_virtual_time(lab: Laboratory) -> None:
    waited: list[float] = []

    def body(db: Any, world: Any, order: Any) -> None:
        own = world.sqlite()
        before = world.now()
        with own:
            own.execute("INSERT INTO notes VALUES (?, 'n')", (order.id,))
            waited.append(round(world.now() - before, 3))
            world.sleep(1)
        own.close()

    trial = lab.trial(system(lab, body), scenario=Scenario(sagas=2))
    assert trial.answers == ["completed", "completed"]
    assert waited[0] == 0
    assert waited[1] == pytest.approx(1, abs=0.1)


def test_who_waits_too_long_is_told_that_the_database_is_locked(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        own = world.sqlite()
        with own:
            own.execute("INSERT INTO notes VALUES (?, 'n')", (order.id,))
            world.sleep(10)

    trial = lab.trial(system(lab, body), scenario=Scenario(sagas=2))
    assert [raised[0] for raised in trial.raised] == ["OperationalError"]
    assert "locked" in trial.raised[0][1]
    assert trial.answers == ["completed"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("read", ["SELECT note FROM notes", "SELECT 1"])
def test_who_has_read_in_his_transaction_does_not_wait_to_write(lab: Laboratory, read: str, mode: str) -> None:
    """As SQLite has it: two of that kind would wait for one another."""
    waited: list[float] = []

    def body(db: Any, world: Any, order: Any) -> None:
        db.execute(f"PRAGMA journal_mode = {mode}")
        other = world.sqlite()
        other.isolation_level = None
        other.execute("BEGIN")
        other.execute(read).fetchall()
        db.execute("INSERT INTO notes VALUES (?, 'first')", (order.id,))
        before = world.now()
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            other.execute("INSERT INTO notes VALUES (?, 'second')", (order.id,))
        waited.append(world.now() - before)
        other.execute("ROLLBACK")
        db.commit()

    trial = lab.trial(system(lab, body))
    assert (trial.raised, trial.answers) == ([], ["completed"])
    assert waited == [pytest.approx(0 if "FROM" in read else 5, abs=0.2)]


def test_a_lock_held_by_the_dead_is_released(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        db.execute("INSERT INTO notes VALUES (?, 'n')", (order.id,))
        world.call("payment.charge", saga=order.id)
        db.commit()

    trial = lab.trial(system(lab, body), "crash-after-effect pay F", scenario=Scenario(sagas=2, gap_ms=5_000))
    assert (trial.answers, trial.raised) == (["completed"], [])
    assert trial.of("CLIENT_ACK")[0].t_us < 5_100_000


def test_databases_are_apart_by_name_and_by_run(lab: Laboratory) -> None:
    counts: list[Any] = []

    def body(db: Any, world: Any, order: Any) -> None:
        in_a_block(db, world, order)
        other = world.sqlite("other")
        counts.append(other.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        counts.append(world.sqlite().execute("SELECT count(*) FROM notes").fetchone()[0])

    for _ in range(2):
        lab.trial(system(lab, body))
    assert counts == [0, 3, 0, 3]


def test_reading_is_sqlite_as_usual(lab: Laboratory) -> None:
    def body(db: Any, world: Any, order: Any) -> None:
        in_a_block(db, world, order)
        db.row_factory = sqlite3.Row
        rows = db.execute("SELECT saga, note FROM notes WHERE note > ? ORDER BY note", ("a",)).fetchall()
        assert [(row["saga"], row["note"]) for row in rows] == [(order.id, "b"), (order.id, "c")]
        assert [row["note"] for row in db.execute("SELECT note FROM notes ORDER BY note")] == ["a", "b", "c"]
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            db.execute("SELECT * FROM nowhere")

    trial = lab.trial(system(lab, body))
    assert (trial.raised, trial.answers) == ([], ["completed"])


def test_it_serves_coroutines_too(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        with world.db:
            world.db.execute("INSERT INTO notes VALUES (?, 'n')", (order.id,))
        await world.call("payment.charge")
        return bool(world.db.execute("SELECT count(*) FROM notes").fetchone()[0])

    trial = lab.trial(lab.system(run, boot=boot), scenario=Scenario(sagas=2))
    assert trial.answers == ["completed", "completed"]
    assert {site.saga for site in trial.sites if site.subject == "insert notes"} == {"saga-1", "saga-2"}


def test_all_connections_are_closed_at_the_end(lab: Laboratory) -> None:
    kept: list[Any] = []

    def body(db: Any, world: Any, order: Any) -> None:
        kept.extend([db, world.sqlite(), world.sqlite("other")])
        in_a_block(db, world, order)

    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        lab.trial(system(lab, body), "crash-after-log 'insert notes'")
        for connection in kept:
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                connection.total_changes  # noqa: B018
        kept.clear()
        gc.collect()


def test_a_time_limit_for_locks_is_one_of_virtual_time(lab: Laboratory) -> None:
    waited: list[float] = []

    def body(db: Any, world: Any, order: Any) -> None:
        with db:
            db.execute("INSERT INTO notes VALUES (?, 'n')", (order.id,))
            other = world.sqlite()
            other.execute("PRAGMA busy_timeout = 60000")
            assert other.execute("SELECT note FROM notes").fetchall() == []  # a reader does not wait
            before = world.now()
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                other.execute("INSERT INTO notes VALUES (?, 'n')", (order.id,))
            waited.append(world.now() - before)

    trial = lab.trial(system(lab, body))
    assert (trial.raised, trial.answers) == ([], ["completed"])
    assert waited == [pytest.approx(60, abs=0.2)]


def test_what_the_dead_were_reading_locks_nobody_out(lab: Laboratory) -> None:
    kept: list[Any] = []

    def body(db: Any, world: Any, order: Any) -> None:
        with db:
            db.executemany("INSERT INTO notes VALUES (?, ?)", [(order.id, note) for note in "ab"])
        kept.append(db.execute("SELECT * FROM notes"))
        kept[-1].fetchone()  # and it reads on, never
        world.call("payment.charge", saga=order.id)

    recovered: list[float] = []

    def recover(world: Any) -> None:
        before = world.now()
        with world.db:
            world.db.execute("DELETE FROM notes")
        recovered.append(world.now() - before)

    lab.trial(
        lab.system(lambda world, order: body(world.db, world, order) or True, boot=boot, recover=recover),
        "crash-after-effect pay F",
    )
    assert recovered and recovered[0] < 0.01


def test_who_connects_waits_for_no_lock_and_changes_not_how_the_database_writes(lab: Laboratory) -> None:
    seen: list[Any] = []

    def body(db: Any, world: Any, order: Any) -> None:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN")
        db.execute("SELECT * FROM notes").fetchall()  # who writes ahead waits for no reader
        other = world.sqlite()
        seen.extend(other.execute("PRAGMA journal_mode").fetchone())
        with other:
            other.execute("INSERT INTO notes VALUES (?, 'n')", (order.id,))
        alone = world.sqlite("alone")
        alone.execute("CREATE TABLE notes (note TEXT)")
        alone.execute("BEGIN EXCLUSIVE")
        world.sqlite("alone").close()

    trial = lab.trial(system(lab, body))
    assert (trial.raised, trial.answers, seen) == ([], ["completed"], ["wal"])


def test_what_another_user_of_the_connection_rolls_back_is_not_durable(lab: Laboratory) -> None:
    """Two orders share a connection, and so a transaction: where one gives up, the other's commit has nothing left."""
    left: list[int] = []

    def shared(db: Any, world: Any, order: Any) -> None:
        db.execute("INSERT INTO notes VALUES (?, 'mine')", (order.id,))
        if order.id == "saga-2":
            db.rollback()
        db.commit()
        left.append(db.execute("SELECT count(*) FROM notes").fetchone()[0])

    setup = Setup(adapter=system(lab, shared), scenario=Scenario(sagas=2))
    events = simulate(setup, Plan()).history(setup, Plan()).events
    told = [(event.kind, event.saga) for event in events if event.kind in ("LOG", "LOGACK") and event.saga]
    assert (left, told) == ([0, 0], [("LOG", "saga-1")])
