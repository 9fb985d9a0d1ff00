"""Histories as sagafuzz writes them: a header line, then an event a line; several may follow one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from ..definitions import root_of
from ..errors import UsageError
from ..history import BOOT, CRASH, END, HEAL, KIND, SAGA, History, Row, row_from_line
from .reading import Troubles, numbered
from .spool import Spool

AT_ONCE: Final = 20_000
"""A run of at most so many events is judged as a whole; of a longer one each order by itself."""

SHARED: Final = 1_000
"""So many starts and ends of processes a longer run may have: they are part of each of its orders."""

_OF_PROCESSES: Final = frozenset({BOOT, CRASH, END, HEAL})


class Runs:
    """The runs of a file, to be judged as they are read. ``events`` counts the events of all; ``cut`` the runs that
    were too long to be judged as a whole."""

    def __init__(self, lines: Iterable[str], file: str, troubles: Troubles) -> None:
        self.events = 0
        self.cut = 0
        self._lines = numbered(lines)
        self._file = file
        self._troubles = troubles

    def histories(self) -> Iterator[tuple[History, bool]]:
        """Each history to be judged, and whether it is a whole run."""
        header: History | None = None
        rows: list[Row] = []
        spool: Spool | None = None
        for number, line in self._lines:
            if '"sagafuzz_history"' in line:
                yield from self._judged(header, rows, spool)
                header, rows, spool = self._header(line, number), [], None
                continue
            row = self._row(line, number)
            if row is None:
                continue
            self.events += 1
            rows.append(row)
            if len(rows) == AT_ONCE and spool is None:
                spool = Spool()
            if spool is not None:
                rows = _moved(rows, spool)
        yield from self._judged(header, rows, spool)

    def _header(self, line: str, number: int) -> History:
        try:
            return History.from_ndjson(line)
        except UsageError as error:
            raise UsageError(f"check: {self._file} line {number}: {error}") from None

    def _row(self, line: str, number: int) -> Row | None:
        try:
            return row_from_line(line, number)
        except UsageError as error:
            self._troubles.add(self._file, number, str(error).partition(" of the history ")[2] or str(error))
            return None

    def _judged(self, header: History | None, rows: list[Row], spool: Spool | None) -> Iterator[tuple[History, bool]]:
        if header is None:
            return
        if spool is None:
            sagas = header.sagas or tuple(dict.fromkeys(row[SAGA] for row in rows if row[SAGA]))
            yield replace(header, sagas=sagas, rows=tuple(rows)), True
            return
        self.cut += 1
        with spool:
            yield from ((replace(header, sagas=ids, rows=part), False) for ids, part in _parts(spool))


def _moved(rows: list[Row], spool: Spool) -> list[Row]:
    for row in rows:
        spool.add(root_of(row[SAGA]), spool.count, (spool.count, *row))
    return []


def _parts(spool: Spool) -> Iterator[tuple[tuple[str, ...], tuple[Row, ...]]]:
    """The events of each order among those that belong to processes, and the sagas in it."""
    shared: list[tuple[int, Row]] = []
    for order, bodies in spool.by_order():
        if not order:  # it comes first
            shared = [(body[0], body[1:]) for body in bodies if body[1 + KIND] in _OF_PROCESSES]
            if len(shared) > SHARED:
                raise UsageError(
                    f"check: a run of more than {AT_ONCE:,} events has {len(shared):,} starts and ends of processes; "
                    f"cut it into parts, each with its header"
                )
            continue
        its = [(body[0], body[1:]) for body in bodies]
        first = its[0][0]
        merged = sorted([*its, *(entry for entry in shared if entry[0] >= first)])
        rows = tuple(row for _, row in merged)
        yield tuple(dict.fromkeys(row[SAGA] for row in rows if row[SAGA])), rows
