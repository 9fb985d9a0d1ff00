"""`world.sqlite()` beside `sqlite3` itself: the same scripts on both, and what is durable only where it is said."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import given, settings

from sagafuzz.sqlite import WatchedConnection

from .sqlite_scripts import SCHEMA, SCRIPTS, Act, carried_out

_T = TypeVar("_T")


def kept(db: sqlite3.Connection) -> dict[str, list[Any]]:
    """All that the database has, as this connection sees it."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    found = {name: db.execute(f"SELECT rowid, * FROM {name} ORDER BY rowid").fetchall() for name in tables}
    found["master"] = db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
    found["pragma"] = db.execute("PRAGMA user_version").fetchall()
    return found


class Announced(WatchedConnection):
    """Checks at each announcement that nothing of it is durable yet, and notes it."""

    def __init__(self, database: Any, *args: Any, **options: Any) -> None:
        super().__init__(database, *args, **options)
        self.beside = sqlite3.connect(str(database), isolation_level=None)
        self.before = kept(self.beside)
        self.said: list[str] = []

    def durable(self, changes: tuple[str, ...], act: Callable[[], _T]) -> _T:
        assert kept(self.beside) == self.before, changes
        self.said += changes
        try:
            return super().durable(changes, act)
        finally:
            self.before = kept(self.beside)


def changed(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


@settings(max_examples=100)
@given(SCRIPTS)
def test_a_watched_connection_does_as_any_other_and_announces_what_becomes_durable(script: list[Act]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("plain", "watched"):
            with sqlite3.connect(Path(folder, name)) as made:
                made.execute("PRAGMA journal_mode = WAL")  # so that somebody else can look at any time
                made.executescript(SCHEMA)
            made.close()
        plain = sqlite3.connect(Path(folder, "plain"))
        watched = sqlite3.connect(Path(folder, "watched"), factory=Announced)
        for db in (plain, watched):
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA synchronous = OFF")
        for (act, expected), (_, seen) in zip(carried_out(plain, script), carried_out(watched, script), strict=True):
            assert seen == expected, act
            assert kept(watched.beside) == watched.before, f"{act} has made durable what was not announced"
        assert kept(watched) == kept(plain)
        for db in (plain, watched, watched.beside):
            db.close()
