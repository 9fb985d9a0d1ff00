"""Tells whether the sagas of a run have come to an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..definitions import parent_of
from ..history import (
    ALERT,
    APPLY,
    BOOT,
    CLIENT_ACK,
    CRASH,
    DATA,
    DEAD_LETTER,
    DIRECTION,
    EFFECTIVE,
    EXPIRE,
    KIND,
    LOGACK,
    LOGLOST,
    NONSENSE,
    OUTCOME,
    PROCESS,
    RAISED,
    RECORD,
    SAGA,
    STEP,
    SUBMIT,
    TERMINAL,
    Row,
)
from ..saga import FORWARD, Outcome
from .setup import Setup

_TELLS_AN_END: Final = frozenset({CLIENT_ACK, TERMINAL, LOGLOST})
_PENDING: Final = Outcome.PENDING.value


ENDS: Final = frozenset({CLIENT_ACK, TERMINAL, DEAD_LETTER, RAISED, NONSENSE})
"""After these a saga is at its end, unless it is pending."""

_MAY_TELL: Final = frozenset({*_TELLS_AN_END, *ENDS, ALERT, APPLY, BOOT, CRASH, EXPIRE, LOGACK, SUBMIT})


def tells_of_ends(row: Row) -> bool:
    """True if an event may change which sagas are `unsettled` or at their end, where none has children."""
    kind = row[KIND]
    if kind == APPLY:
        return bool(row[DATA][EFFECTIVE])
    return kind in _MAY_TELL and (kind != LOGACK or row[DATA][RECORD] == "create")


def unsettled(setup: Setup, rows: Sequence[Row]) -> set[str]:
    """The sagas that are neither all done, nor all undone, nor handed to a person with all that is left of them; also
    those that are not begun and were made durable, after the last start, by a process that then died: nobody has had a
    chance to see them."""
    done: set[str] = set()
    for row in [row for row in rows if row[KIND] in _TELLS_AN_END]:
        if row[KIND] == LOGLOST:
            if row[DATA][RECORD] == "terminal":
                done.discard(row[SAGA])
        elif row[DATA][OUTCOME] != _PENDING:
            done.add(row[SAGA])
    left = [saga for saga in setup.orders if saga not in done]
    if not left and not setup.nested:
        return set()
    unseen = _unseen(rows)
    if setup.nested or setup.adapter.sagas:
        return {saga for saga in _sagas(setup, rows) if _left(setup, saga, rows, done, unseen)}
    binding = binding_steps(setup)
    everything = {step.name for step in setup.adapter.saga.steps}
    return {saga for saga in left if _open(saga, rows, binding, everything, unseen=saga in unseen)}


def binding_steps(setup: Setup) -> set[str]:
    """The steps that a saga which is not completed must not leave in effect."""
    return {step.name for step in setup.adapter.known.steps if step.can_be_undone or step.pivot}


def _left(setup: Setup, saga: str, rows: Sequence[Row], done: set[str], unseen: set[str]) -> bool:
    """True if a saga is open, where not every one has the same steps. Of one with children its own steps tell that."""
    if saga in done:
        return False
    steps = [step for step in setup.definition(saga).steps if step.child is None]
    binding = {step.name for step in steps if step.can_be_undone or step.pivot}
    return _open(saga, rows, binding, {step.name for step in steps}, unseen=saga in unseen)


def _sagas(setup: Setup, rows: Sequence[Row]) -> list[str]:
    """The orders, and those of their children that were begun."""
    begun = dict.fromkeys(row[SAGA] for row in rows)
    return [*setup.orders, *(saga for saga in begun if saga in setup.known and parent_of(saga))]


def _open(saga: str, rows: Sequence[Row], binding: set[str], everything: set[str], *, unseen: bool) -> bool:
    net: dict[str, int] = {}
    dead: set[str] = set()
    alerted = False
    for row in rows:
        if row[SAGA] != saga:
            continue
        kind = row[KIND]
        if kind == EXPIRE or (kind == APPLY and row[DATA][EFFECTIVE]):
            lasts = kind == APPLY and row[DIRECTION] == FORWARD
            net[row[STEP]] = net.get(row[STEP], 0) + (1 if lasts else -1)
        elif kind == DEAD_LETTER:
            dead.add(row[STEP])
        elif kind == ALERT:
            alerted = True
    left = [step for step in binding if net.get(step)]
    if dead and alerted and ("" in dead or dead.issuperset(left)):
        return False
    begun = bool(left) and not all(net.get(step) == 1 for step in everything)
    return begun or (unseen and not net)


def _unseen(rows: Sequence[Row]) -> set[str]:
    started = next((number for number in range(len(rows) - 1, -1, -1) if rows[number][KIND] == BOOT), 0)
    since = rows[started:]
    dead = {row[PROCESS] for row in since if row[KIND] == CRASH}
    if not dead:
        return set()
    return {
        row[SAGA] for row in since if row[KIND] == LOGACK and row[DATA][RECORD] == "create" and row[PROCESS] in dead
    }
