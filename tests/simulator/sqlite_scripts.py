"""Scripts for SQLite: what a program does with a connection, and what it sees of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st


class Act(NamedTuple):
    """One thing that a program does, by the name of a function below."""

    name: str
    sql: str = ""
    values: Any = ()


SCHEMA = """
    PRAGMA foreign_keys = ON;
    CREATE TABLE parents (id INTEGER PRIMARY KEY, n INTEGER UNIQUE);
    CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED, n);
    CREATE VIEW seen AS SELECT * FROM parents;
    CREATE TRIGGER noted AFTER DELETE ON children BEGIN INSERT INTO parents (n) VALUES (1000 + old.n); END;
    INSERT INTO parents VALUES (1, 1), (2, 2);
"""

NUMBERS = st.integers(1, 4)
NAMES = st.sampled_from(["a", "b"])
BEFORE = st.sampled_from(["", "-- name: Do :exec\n", "/* INSERT INTO nowhere */ ", "  \n"])
WRITES = st.sampled_from([
    "INSERT INTO parents (n) VALUES (?)",
    "insert or ignore into main.parents (n) values (?)",
    'INSERT OR REPLACE INTO "parents" (n) VALUES (?)',
    "INSERT OR ROLLBACK INTO parents (n) VALUES (?)",
    "INSERT INTO parents (n) VALUES (?) ON CONFLICT (n) DO UPDATE SET n = n + 10",
    "INSERT INTO parents (n) VALUES (?) RETURNING id, n",
    "REPLACE INTO parents (n) VALUES (?)",
    "INSERT INTO children VALUES (?, 5)",
    "INSERT INTO children VALUES (? + 90, 5)",  # without a parent
    "WITH new (n) AS (VALUES (?), (7)) INSERT INTO parents (n) SELECT n FROM new",
    "WITH new (n) AS (VALUES (?)) UPDATE parents SET n = n + 20 WHERE n IN (SELECT n FROM new)",
    "UPDATE OR FAIL parents SET n = ?",
    "UPDATE [parents] SET n = n + 100 WHERE n = ? RETURNING n",
    "DELETE FROM children WHERE parent = ?",
    "DELETE FROM parents WHERE id = ?",
    "CREATE TEMP TABLE IF NOT EXISTS passing AS SELECT ? AS n",
    "INSERT INTO passing VALUES (?)",
    "INSERT INTO seen VALUES (?, 1)",
    "INSERT INTO nowhere VALUES (?)",
    "SELECT n FROM parents WHERE n > ? ORDER BY n",
    "EXPLAIN QUERY PLAN DELETE FROM parents WHERE id = ?",
])  # fmt: skip
OF_MANY = WRITES.filter(lambda sql: not sql.startswith("EXPLAIN"))  # which SQLite calls a misuse, or not
CONTROL = st.sampled_from([
    *("BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END TRANSACTION", "ROLLBACK"),
    *(f"{verb} {name}" for name in "abA" for verb in ("SAVEPOINT", "RELEASE", "ROLLBACK TO")),
    *("CREATE TABLE IF NOT EXISTS more (n)", "DROP TABLE IF EXISTS more", "ALTER TABLE more ADD COLUMN m"),
    *("CREATE INDEX i ON parents (n)", "DROP INDEX i", "PRAGMA user_version = 7", "PRAGMA user_version"),
    *("SELECT 1; SELECT 2", "", "-- nothing", "no sql", "INSERT INTO parents DEFAULT VALUES", "VACUUM"),
])  # fmt: skip
PARTS = st.one_of(
    CONTROL,
    st.builds("INSERT INTO parents (n) VALUES ({})".format, NUMBERS),
    st.sampled_from(["SELECT ';' FROM parents -- ;", "INSERT INTO children VALUES (1, ';')"]),
)
ACTS = st.one_of(
    st.builds(lambda before, sql, n: Act("execute", before + sql, (n,)), BEFORE, WRITES, NUMBERS),
    st.builds(lambda before, sql: Act("execute", before + sql), BEFORE, CONTROL),
    st.builds(lambda sql, ns: Act("executemany", sql, [(n,) for n in ns]), OF_MANY, st.lists(NUMBERS, max_size=3)),
    st.builds(lambda parts: Act("executescript", ";".join(parts)), st.lists(PARTS, max_size=4)),
    st.builds(lambda sql, n, fails: Act("block", sql, (n, fails)), WRITES, NUMBERS, st.booleans()),
    st.sampled_from([Act("commit"), Act("rollback"), Act("commit"), Act("fetch")]),
    st.builds(lambda level: Act("level", values=level), st.sampled_from(["", None, "IMMEDIATE", "DEFERRED"])),
    st.sampled_from(
        [Act("execute", "SELECT 1", (1, 2)), Act("execute", "INSERT INTO parents (n) VALUES (:n)", {"n": 9})]
    ),
)
SCRIPTS = st.lists(ACTS, max_size=12)
SCRIPTS_OF_TWO = st.lists(st.tuples(st.integers(0, 1), st.one_of(ACTS, st.just(Act("hold")))), max_size=12)
"""Of two connections: which one, and what it does."""


def execute(db: sqlite3.Connection, act: Act) -> Any:
    cursor = db.execute(act.sql, act.values)
    rows = cursor.fetchall()
    return rows, cursor.rowcount, cursor.lastrowid, [column[0] for column in cursor.description or ()]


def executemany(db: sqlite3.Connection, act: Act) -> Any:
    cursor = db.cursor()
    cursor.executemany(act.sql, iter(act.values))
    return cursor.rowcount, cursor.lastrowid, cursor.fetchall()


def executescript(db: sqlite3.Connection, act: Act) -> Any:
    db.executescript(act.sql)


def block(db: sqlite3.Connection, act: Act) -> Any:
    number, fails = act.values
    with db:
        db.execute(act.sql, (number,))
        if fails:
            raise ZeroDivisionError


def commit(db: sqlite3.Connection, act: Act) -> Any:
    db.commit()


def rollback(db: sqlite3.Connection, act: Act) -> Any:
    db.rollback()


def level(db: sqlite3.Connection, act: Act) -> Any:
    db.isolation_level = act.values
    return db.isolation_level


def fetch(db: sqlite3.Connection, act: Act) -> Any:
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    cursor.execute("SELECT id, n AS number FROM parents ORDER BY n")
    cursor.arraysize = 2
    return [[dict(row) for row in cursor.fetchmany()], [row["number"] for row in cursor], cursor.fetchone()]


def hold(db: sqlite3.Connection, act: Act) -> Any:
    """Read on and on: a cursor that is not at its end keeps a lock."""
    if cursor := _held.pop(db, None):
        return cursor.fetchall()
    cursor = _held[db] = db.execute("SELECT n FROM parents UNION ALL SELECT n FROM parents")
    return cursor.fetchone()


_held: dict[sqlite3.Connection, sqlite3.Cursor] = {}

DO: dict[str, Callable[[sqlite3.Connection, Act], Any]] = {
    found.__name__: found
    for found in (execute, executemany, executescript, block, commit, rollback, level, fetch, hold)
}


def over(db: sqlite3.Connection) -> None:
    """Close a connection, and what is still read from it."""
    if cursor := _held.pop(db, None):
        cursor.close()
    db.close()


def carried_out(db: sqlite3.Connection, act: Act) -> Any:
    """What is seen of an act: what it gave or raised, and how the connection stands then."""
    try:
        seen = DO[act.name](db, act)
    except (sqlite3.Error, sqlite3.Warning, ZeroDivisionError) as error:
        seen = (type(error).__name__, str(error))
    return seen, db.in_transaction, db.total_changes


def kept(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """All that the database has, as a connection sees it."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {name: db.execute(f"SELECT rowid, * FROM {name} ORDER BY rowid").fetchall() for name in tables}
    found["master"] = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    found["pragma"] = db.execute("PRAGMA user_version").fetchall()
    return found
