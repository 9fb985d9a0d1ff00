"""Entries brought together by their order, on disk, so that memory stays flat however long a record is."""

from __future__ import annotations

import marshal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

_AT_ONCE: Final = 5_000
"""So many rows are written in one statement."""

_NEVER: Final = ("journal_mode=off", "synchronous=off", "temp_store=file", "cache_size=-20000")
"""Nothing of it outlives the process, so nothing is made safe; sorting goes to a file."""


class Spool:
    """Plain tuples by the order that they belong to; gone when it is closed. ``count`` is how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._batch: list[tuple[str, int, bytes]] = []
        self._folder = TemporaryDirectory(prefix="sagafuzz-check-")
        self._database = sqlite3.connect(Path(self._folder.name) / "entries.sqlite")
        for pragma in _NEVER:
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute("CREATE TABLE entry (belongs_to TEXT, place INTEGER, body BLOB)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()
        self._folder.cleanup()

    def add(self, order: str, place: int, body: tuple[Any, ...]) -> None:
        """Keep what has that place among what belongs to ``order``."""
        self._batch.append((order, place, marshal.dumps(body)))
        self.count += 1
        if len(self._batch) == _AT_ONCE:
            self._write()

    def _write(self) -> None:
        self._database.executemany("INSERT INTO entry VALUES (?, ?, ?)", self._batch)
        self._batch = []

    def by_order(self) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """The tuples of one order after the other, by their place; of one place as they came."""
        self._write()
        asked = "SELECT belongs_to, body FROM entry ORDER BY belongs_to, place, rowid"
        with closing(self._database.execute(asked)) as found:
            for order, rows in groupby(found, key=itemgetter(0)):
                yield order, [marshal.loads(body) for _, body in rows]
