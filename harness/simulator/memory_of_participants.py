"""The memory of what participants did."""

from __future__ import annotations

from typing import Any

from ..history import (
    BALANCE,
    DATA,
    DIRECTION,
    EFFECTIVE,
    ENTITY,
    ENTRY,
    ERROR,
    EXPIRE,
    HOLD,
    INJECTED,
    KIND,
    MSG,
    OWNER,
    PROCESS,
    REASON,
    RECEIPT,
    SAGA,
    STEP,
    Row,
)
from ..saga import COMPENSATION, FORWARD
from .memory import AFTER_UNDO, BY_WHO_KNEW, HANDLED_ONCE, Memory
from .projection import interned


class OfParticipants(Memory):
    """Each method takes in an event of its kind; it says whether the monitor cannot follow."""

    __slots__ = ()

    def _deliver(self, row: Row) -> bool:
        if self._marks:
            service = row[PROCESS]
            self._holder[service] = self._holder.get(service, 0) | self._known_in.get((row[MSG], False), 0)
        return False

    def _tells(self, row: Row) -> None:
        """What its participant knows goes into the answer."""
        known = self._holder.get(row[PROCESS], 0)
        at = (row[MSG], True)
        self._known_in[at] = self._known_in.get(at, 0) | known

    def _apply(self, row: Row) -> bool:
        _, _, _, saga, step, direction, _, key, msg, data = row
        if data[BALANCE]:
            self._balance(row)
        if not step:
            if self._marks:
                self._tells(row)
            return False
        if key is None:
            return True
        if direction == FORWARD:
            self._done(saga, step, msg, data)
        else:
            self._undone(row)
        self._messages[msg] = self._messages.get(msg, 0) | HANDLED_ONCE
        if self._marks:
            self._tells(row)
        return False

    def _balance(self, row: Row) -> None:
        _, subject, free, taken, live, initial = row[DATA][BALANCE]
        if not (free >= 0 and taken >= 0 and free + taken == initial and taken == live):
            fact = ("balance", row[PROCESS], subject)
            if not self._is(*fact):
                self._note(*fact)
                self._wrong("I17", row[PROCESS], *row[SAGA : DIRECTION + 1], row[DATA][BALANCE][0])

    def _done(self, saga: str, step: str, msg: int, data: tuple[Any, ...]) -> None:
        """A participant said yes to a step."""
        lane, bits = self._lane(saga), self._messages.get(msg, 0)
        if data[EFFECTIVE]:
            lane.append(interned(("done", step, bits & BY_WHO_KNEW)))
            self._note("effect", saga, step)
            if len(data) > RECEIPT:
                self._note("receipt", saga, step, data[RECEIPT])
        elif not self._is("yes", saga, step, FORWARD):
            lane.append(interned(("yes", step, FORWARD)))
        if self._is("undone", saga, step) and not bits & HANDLED_ONCE:
            lane.append(interned(("yes again", step)))
            self._messages[msg] = bits | AFTER_UNDO
        self._note("yes", saga, step, FORWARD)

    def _undone(self, row: Row) -> None:
        """A participant said yes to an undo."""
        _, _, process, saga, step, _, _, _, msg, data = row
        self.undone = True
        lane = self._lane(saga)
        if data[EFFECTIVE]:
            known = self._holder.get(process, 0)
            own = data[OWNER] in (saga, None)
            lane.append(interned(("undone", step, self._rank.get(msg, -1), known, own)))
            self._note("undone", saga, step)
            if data[OWNER] is not None and data[OWNER] != saga:
                self._note("I18", saga, step, bool(data[OWNER]))
            self._holder[process] = known | 1 << len(self._marks)
            self._marks.append((saga, step))
        elif not self._is("yes", saga, step, COMPENSATION):
            lane.append(interned(("yes", step, COMPENSATION)))
        self._note("yes", saga, step, COMPENSATION)

    def _refuse(self, row: Row) -> bool:
        """A participant refused, or failed by itself: of an undo it matters when that was first."""
        _, kind, _, saga, step, direction, _, _, _, data = row
        if direction == COMPENSATION and not (kind == ERROR and data[REASON] in INJECTED):
            fact = interned((kind, saga, step))
            if fact not in self._facts:
                self._facts.add(fact)
                self._lane(saga).append(interned((kind, step)))
        if self._marks:
            self._tells(row)
        return False

    def _expire(self, row: Row) -> bool:
        self._lane(row[SAGA]).append(interned((EXPIRE, row[STEP])))
        return False

    def _entry(self, row: Row) -> bool:
        account, _, holds = row[DATA]
        if holds < 0:
            fact = ("below nothing", row[PROCESS], account, row[SAGA])
            if not self._is(*fact):
                self._note(*fact)
                self._wrong("I17", row[PROCESS], account, *row[SAGA : DIRECTION + 1])
        if self._shown:
            self._shown.append(interned((ENTRY, *row[PROCESS : DIRECTION + 1], row[DATA])))
        return False

    def _state(self, row: Row) -> bool:
        self._shown.append(interned((*row[PROCESS : DIRECTION + 1], row[DATA])))
        return False

    def _touch(self, row: Row) -> bool:
        if self._asked.isolation:
            _, kind, process, saga, step, direction, _, _, msg, data = row
            number = self._numbers.setdefault(msg, len(self._numbers))
            self._touched.append(interned((kind, process, saga, step, direction, number, data)))
        return False

    def _hold(self, row: Row) -> bool:
        lock = (row[SAGA], row[PROCESS], row[DATA][ENTITY])
        if row[KIND] == HOLD:
            self._locks[lock] = (row[STEP], row[DIRECTION])
        else:
            self._locks.pop(lock, None)
        return False
