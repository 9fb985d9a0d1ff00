"""`world.sqlite()` beside `sqlite3` itself: the same scripts on both, and what is durable only where it is said."""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings

from sagafuzz.sqlite import WatchedConnection

from .conftest import Laboratory
from .sqlite_scripts import SCHEMA, SCRIPTS, SCRIPTS_OF_TWO, Act, carried_out, kept, over

_T = TypeVar("_T")


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


@settings(max_examples=40)
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
        for act in script:
            assert carried_out(watched, act) == carried_out(plain, act), act
            assert kept(watched.beside) == watched.before, f"{act} has made durable what was not announced"
        assert kept(watched) == kept(plain)
        for db in (plain, watched, watched.beside):
            db.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="autocommit came with Python 3.12")
def test_without_autocommit_only_commits_are_announced() -> None:
    with tempfile.TemporaryDirectory() as folder:
        sqlite3.connect(Path(folder, "a")).close()
        db: Any = Announced(Path(folder, "a"), autocommit=False)
        db.execute("CREATE TABLE notes (n)")
        db.executescript("INSERT INTO notes VALUES (1); INSERT INTO notes VALUES (2)")
        assert db.said == []
        with db:
            db.execute("UPDATE notes SET n = 3")
        assert db.said == ["create notes", "insert notes", "update notes"]
        db.execute("DELETE FROM notes")
        db.autocommit = True
        assert db.said[3:] == ["delete notes"]
        db.execute("INSERT INTO notes VALUES (4)")
        db.autocommit = False
        db.execute("INSERT INTO notes VALUES (5)")
        db.rollback()
        assert db.said[4:] == ["insert notes"]
        assert db.execute("SELECT n FROM notes").fetchall() == [(4,)]
        db.beside.close()
        db.close()


def on_files(script: list[tuple[int, Act]]) -> list[Any]:
    """What two connections of sqlite3 see, and what is kept in the end."""
    with tempfile.TemporaryDirectory() as folder:
        return seen_by([sqlite3.connect(Path(folder, "plain"), timeout=0) for _ in range(2)], script)


def in_a_world(script: list[tuple[int, Act]]) -> list[Any]:
    """The same of two connections of `world.sqlite()`."""
    found: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        found.extend(seen_by([world.sqlite(), world.sqlite()], script))
        return True

    trial = Laboratory().trial(Laboratory.system(run))
    assert trial.raised == [] and trial.answers == ["completed"]
    return found


def seen_by(connections: list[sqlite3.Connection], script: list[tuple[int, Act]]) -> list[Any]:
    connections[0].executescript(SCHEMA)
    connections[1].execute("PRAGMA foreign_keys = ON")
    found = [carried_out(connections[who], act) for who, act in script]
    for db in connections:
        over(db)
    return found


@settings(max_examples=25)
@given(SCRIPTS_OF_TWO)
def test_two_connections_of_the_world_meet_as_two_of_sqlite3_do(script: list[tuple[int, Act]]) -> None:
    for place, (expected, seen) in enumerate(zip(on_files(script), in_a_world(script), strict=True)):
        assert seen == expected, script[place]
