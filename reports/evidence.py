"""What a violation rests on: the rows of a history that its fields and its words name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from ..definitions import child_id
from ..history import (
    ADOPT,
    ALERT,
    APPLY,
    ATTEMPT,
    CLIENT_ACK,
    DATA,
    DEAD_LETTER,
    DIRECTION,
    EFFECTIVE,
    ENTITY,
    ERROR,
    EXPIRE,
    HOLD,
    KEY,
    KIND,
    LOGACK,
    LOST,
    NONSENSE,
    PROCESS,
    RAISED,
    READ,
    REJECT,
    RELEASE,
    SAGA,
    SEND,
    STEP,
    TERMINAL,
    TIMEOUT,
    WRITE,
    History,
    Row,
)
from ..saga import COMPENSATION, FORWARD
from ..verdict import Violation
from .strikes import written

_FATES: Final = (SEND, APPLY, REJECT, ERROR, TIMEOUT, LOST)
"""What may become of a call; an APPLY among these is one without effect."""

LAST_ROWS: Final = 12
"""How many rows up to the violation show it where it names no call: what went on when it came to be."""

_ENDS: Final = frozenset({CLIENT_ACK, TERMINAL, RAISED, NONSENSE, DEAD_LETTER, ALERT})
_DEFINITION: Final = 1  # in the data of ADOPT
_TOUCHES: Final = frozenset({READ, WRITE, HOLD, RELEASE})


def evidence(history: History, violation: Violation) -> frozenset[int]:
    """The positions of the rows that show the violation.

    They are the row at which it is judged, and of each call, saga, record, process and entity that the violation
    names: the effects, the first and the last of what else became of a call, the ends that a saga was said to have,
    the durable records, what was read, written and locked. Of many alike the first and the last are taken, so their
    number does not grow with the history.
    """
    rows = history.rows
    if not rows:
        return frozenset()
    last = len(rows) - 1
    at = violation.position if 0 <= violation.position <= last else last
    named = _Names(history, violation)
    found = {at, *_same_key(rows, at)}
    if not named.calls:
        found.update(range(max(at + 1 - LAST_ROWS, 0), at))
    for call in named.calls:
        found.update(_of_call(rows, call, at))
    groups: dict[tuple[str, ...], list[int]] = {}
    for position, row in enumerate(rows):
        if row[SAGA] and row[SAGA] not in named.sagas:
            continue
        if row[KIND] in _ENDS and row[SAGA]:
            groups.setdefault((row[KIND], row[SAGA], row[STEP], str(row[DATA][:1])), []).append(position)
        elif row[KIND] == LOGACK and named.says(written(row)):
            groups.setdefault((LOGACK, row[SAGA], written(row)), []).append(position)
        elif row[KIND] == LOGACK and position <= at and named.says(row[PROCESS]):
            groups.setdefault((LOGACK, row[SAGA], row[PROCESS]), []).append(position)
        elif row[KIND] == ADOPT and (named.says(row[DATA][_DEFINITION]) or named.says(row[PROCESS])):
            groups.setdefault((ADOPT, row[SAGA], row[PROCESS]), []).append(position)
        elif row[KIND] in _TOUCHES and named.says_entity(row):
            touch = (row[KIND], row[SAGA], row[PROCESS], str(row[DATA][ENTITY]), row[DIRECTION])
            groups.setdefault(touch, []).append(position)
    for positions in groups.values():
        found.update((positions[0], positions[-1]))
    return frozenset(found)


class _Names:
    """What a violation names. ``calls`` are (saga, step, direction); an undo stands for what it undoes as well."""

    def __init__(self, history: History, violation: Violation) -> None:
        parts = (violation.sentence, violation.expected, violation.got, violation.anomaly)
        self._words = "\n".join(parts)
        said = [saga for saga in history.sagas if saga != violation.saga and self.says(saga)]
        self.sagas = dict.fromkeys([*([violation.saga] if violation.saga else []), *said]) or dict.fromkeys(
            history.sagas
        )
        directions: list[tuple[str, str]] = []
        if violation.step:
            directions += [(violation.step, FORWARD), (violation.step, COMPENSATION)]
        for step in history.known.steps:
            if self.says(step.name) or self.says(step.operation):
                directions.append((step.name, FORWARD))
            if step.undo is not None and (self.says(step.undo) or self.says(step.name)):
                directions += [(step.name, FORWARD), (step.name, COMPENSATION)]
        both = dict.fromkeys(directions)
        self.calls = [(saga, step, direction) for saga in self.sagas for step, direction in both]
        for saga in (each for each in self.sagas if history.known.children):
            for name, child in history.definition(saga).children.items():
                if (name, FORWARD) in both or (name, COMPENSATION) in both:  # what it does is what its steps do
                    calls = ((child_id(saga, name), step.name, way) for step, way in child.by_operation.values())
                    self.calls.extend(calls)

    def says(self, name: object) -> bool:
        """True if a name stands in the words of the violation, by itself."""
        text = str(name)
        return bool(text) and re.search(rf"(?<![\w.#-]){re.escape(text)}(?!\.?\w|-\w|#)", self._words) is not None

    def says_entity(self, row: Row) -> bool:
        """True if it names what a row read, wrote or locked, by itself or with its participant."""
        return self.says(row[DATA][ENTITY]) or self.says(f"{row[PROCESS]}/{row[DATA][ENTITY]}")


def _of_call(rows: tuple[Row, ...], call: tuple[str, str, str], at: int) -> Iterator[int]:
    """The effects of a call, and what else became of it up to ``at``: the first and the last of each."""
    effects: list[int] = []
    expired: list[int] = []
    fates: dict[str, list[int]] = {kind: [] for kind in _FATES}
    for position, row in enumerate(rows):
        if row[SAGA : DIRECTION + 1] != call:
            continue
        if row[KIND] == APPLY and row[DATA][EFFECTIVE]:
            effects.append(position)
        elif row[KIND] == EXPIRE:
            expired.append(position)
        elif row[KIND] in fates and (position <= at or not fates[row[KIND]]):
            fates[row[KIND]].append(position)
    for positions in (effects, [position for position in effects if position <= at], expired, *fates.values()):
        yield from _ends_of(positions)


def _same_key(rows: tuple[Row, ...], at: int) -> Iterable[int]:
    """Where the key of the request at ``at`` was sent for the first time, by whichever saga."""
    row = rows[at]
    if row[KIND] != SEND or row[KEY] is None:
        return ()
    about = (*row[STEP:ATTEMPT], row[KEY])
    same = (n for n in range(at) if rows[n][KIND] == SEND and (*rows[n][STEP:ATTEMPT], rows[n][KEY]) == about)
    return list(itertools.islice(same, 1))


def _ends_of(positions: Collection[int]) -> tuple[int, ...]:
    """The first and the last, where there are any."""
    found = tuple(positions)
    return (found[0], found[-1]) if found else ()
