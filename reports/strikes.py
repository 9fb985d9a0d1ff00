"""Where faults struck: of each that fired, the event that shows it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from ..faults import AT_ACK, AT_BOOT, AT_EFFECT, AT_LOG, AT_LOGGED, AT_PUBLISH, AT_SEND, FAULT_KINDS, Site
from ..history import (
    APPLY,
    ATTEMPT,
    BOOT,
    CRASH,
    DATA,
    DELIVER,
    ERROR,
    KIND,
    LOG,
    LOGACK,
    MSG,
    OCCURRENCE,
    OPERATION,
    PUBLISH,
    REASON,
    RECORD,
    REJECT,
    SAGA,
    SEND,
    STEP,
    SUBMIT,
    TOPIC,
    Fired,
    History,
    Row,
)

_OF_CALLS: Final = {
    AT_SEND: frozenset({SEND}),
    AT_EFFECT: frozenset({DELIVER}),
    AT_ACK: frozenset({APPLY, REJECT, ERROR}),
}
_OF_WRITES: Final = {AT_LOG: LOG, AT_LOGGED: LOGACK}


def struck_rows(history: History) -> tuple[int, ...]:
    """For each of ``history.fired`` the position of the row that shows it; empty for a history without rows."""
    return tuple(struck_row(history, fired) for fired in history.fired) if history.rows else ()


def struck_row(history: History, fired: Fired) -> int:
    """The position of the row that shows where a fault struck.

    It is the row of the site itself: the request, its delivery, its handling where the answer was struck, the write.
    A fault of which the process dies is shown by its death, one by which the client asks again by that request. Where
    the site has no row before the fault (a request
    that is not sent yet, a start), the row that the fault wrote shows it.
    """
    rows, site = history.rows, fired.fault.site
    kind = FAULT_KINDS.get(fired.fault.kind)
    if kind is not None and kind.crash:
        for position in range(fired.position, len(rows)):
            if rows[position][KIND] == CRASH and rows[position][DATA][REASON] == kind.name:
                return position
    if kind is not None and kind.needs == "resubmit":
        for position in range(fired.position, len(rows)):
            if rows[position][KIND] == SUBMIT and rows[position][SAGA] == site.saga:
                return position
    own = min(fired.position, len(rows) - 1)
    if site.phase == AT_BOOT:
        return next((at for at in range(fired.position, len(rows)) if rows[at][KIND] == BOOT), own)
    return next(_before(rows[: fired.position], site), own)


def _before(rows: tuple[Row, ...], site: Site) -> Iterator[int]:
    """The positions of the rows of ``site``, the last one first."""
    if site.phase in _OF_CALLS:
        kinds = _OF_CALLS[site.phase]
        queries = _queries(rows, site)
        for position in range(len(rows) - 1, -1, -1):
            row = rows[position]
            if row[KIND] in kinds and (row[3:7] == site[:3] + site[4:] or row[MSG] in queries):
                yield position
    elif site.phase == AT_PUBLISH:
        for position in range(len(rows) - 1, -1, -1):
            row = rows[position]
            if row[KIND] == PUBLISH and (row[SAGA], row[DATA][TOPIC]) == site[:2]:
                yield position
    elif site.phase in _OF_WRITES:
        kind, subjects = _OF_WRITES[site.phase], site.subject.split(" + ")
        for position in range(len(rows) - 1, -1, -1):
            row = rows[position]
            if row[KIND] == kind and row[DATA][OCCURRENCE] == site.occurrence and written(row) in subjects:
                yield position


def _queries(rows: tuple[Row, ...], site: Site) -> Collection[int]:
    """The messages of the calls of no step that the site is about: then it names the operation."""
    return {
        row[MSG]
        for row in rows
        if row[KIND] == SEND
        and row[SAGA] == site.saga
        and not row[STEP]
        and (row[DATA][OPERATION], row[ATTEMPT]) == (site.subject, site.occurrence)
    }


def written(row: Row) -> str:
    """What a durable write is about, as its site names it: ``outcome payment``."""
    return f"{row[DATA][RECORD]} {row[STEP]}".rstrip()
