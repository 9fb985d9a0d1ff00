"""Entries of CSV: the rows of participants' ledgers, each an effect, and those of an orchestrator's log."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from ..errors import UsageError, nearest
from ..history import ALERT, CLIENT_ACK, DEAD_LETTER, LOGACK, SUBMIT
from ..saga import Outcome
from .entries import CLIENT, EFFECT, ORCHESTRATOR, Entry
from .facets import ENDS, KEYS, LOG
from .reading import Definitions, Seen, Troubles, Unreadable, direction_of

COLUMNS: Final[Mapping[str, str]] = {
    "saga": "which saga it is of",
    "time": "when: ISO 8601, or seconds since 1970",
    "step": "which step",
    "direction": "forward, or compensation for an undo; forward where it is left out",
    "operation": "participant.verb, in the place of step and direction",
    "key": "the idempotency key of the request",
    "amount": "how much, a number",
    "event": "makes the file a log: started, completed, compensated, pending, stuck, alert, dead-letter; another word "
    "is a durable record of that name",
    "definition": "of which definition the saga is, where there are several",
}
"""The columns that sagafuzz reads in CSV; other columns are left alone."""

_STARTED: Final = ("started", "submitted")
_OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
_PEOPLE: Final = {"alert": ALERT, "dead-letter": DEAD_LETTER}


def read(
    lines: Iterable[str],
    file: str,
    columns: Mapping[str, str],
    definitions: Definitions,
    seen: Seen,
    troubles: Troubles,
) -> Iterator[Entry]:
    """The entries of a file; what cannot be read is told to ``troubles``. ``columns`` says by which names the file has
    those that it calls otherwise. Raises UsageError for a heading without a saga, a time, and a step or event."""
    rows = csv.reader(lines, dialect="excel")
    heading = [name.strip() for name in next(rows, [])]
    places = _places(heading, file, columns)
    log = "event" in places
    for row in rows:
        if not row:
            continue
        said = {name: row[at].strip() for name, at in places.items() if at < len(row)}
        try:
            yield (
                _logged(said, definitions, seen) if log else _effect(said, f"{file}:{rows.line_num}", definitions, seen)
            )
        except Unreadable as error:
            troubles.add(file, rows.line_num, str(error))


def _places(heading: list[str], file: str, columns: Mapping[str, str]) -> dict[str, int]:
    """Where in a row each column stands that is there."""
    for name, called in columns.items():
        if name not in COLUMNS:
            raise UsageError(f"--columns: there is no {name!r}{nearest(name, COLUMNS)}; there is {', '.join(COLUMNS)}")
        if called not in heading and name in ("saga", "time"):
            raise UsageError(f"--columns: {file!r} has no column {called!r}{nearest(called, heading)}")
    found = {name: heading.index(columns.get(name, name)) for name in COLUMNS if columns.get(name, name) in heading}
    lacking = [name for name in ("saga", "time") if name not in found]
    if not ({"step", "operation", "event"} & found.keys()):
        lacking.append("step")
    if lacking:
        raise UsageError(
            f"check: {file!r} has no column {lacking[0]!r}; it has {', '.join(heading)}: say which of them it is, "
            f"--columns {lacking[0]}=NAME"
        )
    return found


def _logged(said: Mapping[str, str], definitions: Definitions, seen: Seen) -> Entry:
    """A row of a log."""
    event, step = said["event"], said.get("step", "")
    name = said.get("definition", "")
    definitions.of(name)
    about = Entry(_saga(said), _time(said), LOGACK, ORCHESTRATOR, name=name)
    if event in _STARTED:
        return about._replace(kind=SUBMIT, process=CLIENT, data=("", 0, 0))
    if event in _OUTCOMES:
        seen.facets[ENDS] += 1
        return about._replace(kind=CLIENT_ACK, process=CLIENT, data=(event,))
    about = about._replace(step=definitions.step(step) if step else "")
    if event in _PEOPLE:
        return about._replace(kind=_PEOPLE[event], data=(event,))
    if not event:
        raise Unreadable("its event is empty; write started, completed, compensated or what the record is called")
    seen.facets[LOG] += 1
    return about._replace(data=(event, 1, 0))


def _effect(said: Mapping[str, str], ref: str, definitions: Definitions, seen: Seen) -> Entry:
    """A row of a ledger: an effect, so a request that was handled and answered."""
    if said.get("operation"):
        step, direction = definitions.call(said["operation"])
    else:
        step, direction = definitions.step(said.get("step", "")), direction_of(said.get("direction", ""))
    operation = definitions.known.operation(step, direction)
    amount = said.get("amount", "")
    payload = definitions.payload(step, _number(amount) if amount else None, seen)
    key, name = said.get("key") or None, said.get("definition", "")
    definitions.of(name)
    seen.facets[KEYS] += key is not None
    seen.effect(step, told=True)
    data = (operation, payload, 0)
    there = operation.partition(".")[0]
    return Entry(_saga(said), _time(said), EFFECT, there, step, direction, 1, key, ref, data, name)


def _saga(said: Mapping[str, str]) -> str:
    found = said.get("saga", "")
    if not found:
        raise Unreadable("it names no saga; write its id")
    return found


def _number(text: str) -> int | float:
    """A number, whole where it can be. Raises Unreadable."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise Unreadable(f"its amount is {text!r}; write a number") from None


def _time(said: Mapping[str, str]) -> int:
    """Microseconds since 1970. Raises Unreadable."""
    text = said.get("time", "")
    try:
        return int(float(text) * 1_000_000)
    except (ValueError, OverflowError):
        pass
    try:
        when = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"its time is {text!r}; write ISO 8601, or seconds since 1970") from None
    when = when if when.tzinfo is not None else when.replace(tzinfo=dt.UTC)
    return (when - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
