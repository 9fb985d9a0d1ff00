"""What a run's past still tells its invariants: which events there were, in the orders that one of them asks for.

No invariant compares just any two moments. What the orchestrators did and learnt is compared among itself; what
a participant did with other things at the same participant; what took effect for a saga with the undos that were sent
for it, and with what was said of its end. So the past is kept as a few lanes, each in its own order, and what lies in
two lanes has none: an answer that was lost after the effect and a request that was lost before it leave the same past
once the retry is through. Times are not kept, and messages, processes and the occurrences of a record are numbered as
they come.

That two histories with the same past have the same verdict is tested, on the histories of the broken systems and on
reordered examples of each invariant. An invariant that comes to compare other moments has to add a lane for them here.
Rules of a user's own that read moments compare any two of them: these stand in one lane, where there are such rules.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Sequence
from typing import Any, Final

from ..history import (
    ACK,
    ADOPT,
    ALERT,
    APPLY,
    BALANCE,
    BOOT,
    CLIENT_ACK,
    CRASH,
    DATA,
    DEAD_LETTER,
    DELIVER,
    DIRECTION,
    END,
    ENTRY,
    ERROR,
    EXPIRE,
    FINAL_RESTART,
    HANDLED,
    HEAL,
    HOLD,
    INJECTED,
    KIND,
    LOGACK,
    LOGLOST,
    LOST,
    MSG,
    NACK,
    NONSENSE,
    PARKED,
    PROCESS,
    PUBLISH,
    RAISED,
    READ,
    RECEIVE,
    REDRIVE,
    REJECT,
    RELEASE,
    RUNNING,
    SEND,
    STATE,
    SUBMIT,
    TERMINAL,
    TIMEOUT,
    WRITE,
    Row,
)
from ..saga import COMPENSATION

_ACTS: Final = frozenset(
    {
        *(SUBMIT, BOOT, LOGACK, LOGLOST, SEND, ACK, TIMEOUT, CRASH, ADOPT),
        *(TERMINAL, CLIENT_ACK, RAISED, NONSENSE, RUNNING, DEAD_LETTER, ALERT),
        *(PUBLISH, RECEIVE, HANDLED, NACK, PARKED, REDRIVE),
    }
)
"""What orchestrators and clients do and learn, and the messages that they are sent: the first lane."""

_HANDLED: Final = frozenset({APPLY, REJECT, ERROR})
_AT_PARTICIPANTS: Final = _HANDLED | {ENTRY, EXPIRE, HOLD, RELEASE}
"""A lane for each participant; what was handled is in its saga's lane as well."""

_IN_ERROR: Final = ("error",)
"""The data of an ACK that the participant failed."""

_CLAIMS: Final = frozenset({TERMINAL, CLIENT_ACK})
_TOLD: Final = frozenset({CLIENT_ACK, DEAD_LETTER, ALERT})
"""What a rule of a user's own is shown beside what participants hold."""

_WORK: Final = frozenset({SEND, LOGACK, ADOPT, DEAD_LETTER, ALERT})
_TERMINAL: Final = "terminal"
_AT_REST: Final = (FINAL_RESTART,)
"""The data of a CRASH with which the harness ended a process: what was open by then is judged apart."""

_QUIET: Final = ("quiescent",)
"""The data of an END of which no invariant asks: of a run that came to rest."""

_UNASKED_DATA: Final = frozenset({SUBMIT, BOOT, CRASH, TIMEOUT, DEAD_LETTER, ALERT})
"""Kinds of which no invariant that the memo serves reads the data: reasons, and how long was waited."""


_numbers: dict[Any, int] = {}


def interned(entry: Any) -> int:
    """A number for what stands in a lane, the same for what is equal; numbers are told apart faster than tuples."""
    try:
        return _numbers.setdefault(entry, len(_numbers))
    except TypeError:  # an adapter passes a list where a number or a name is meant
        return _numbers.setdefault(repr(entry), len(_numbers))


class Projection:
    """The lanes of ``rows``, of a run of so many ``sagas``. ``undone`` says whether an undo was carried out, if only
    with nothing to undo: from then on it matters who can know of it (I1, I4, I8). ``forgets`` says that nobody counts
    requests: then one that is made again in the same words, under a key or of no step, leaves what it would have left
    had it been the first."""

    __slots__ = (
        *(
            "_acts",
            "_acts_told",
            "_alone",
            "_applied",
            "_at",
            "_busy",
            "_durable",
            "_forgets",
            "_ids",
            "_messages",
            "_of",
        ),
        *("_past_network", "_processes", "_records", "_seen", "_shown", "_spare", "_touched", "_unwritten", "undone"),
    )

    def __init__(self, rows: Sequence[Row], sagas: int, forgets: bool = False) -> None:
        self._seen = 0  # how many rows
        self._forgets = forgets
        self._past_network: set[int] = set()  # messages that are lost or have arrived
        self._ids: dict[int, int] = {}  # by the number of a request, the message that has it
        self._acts: list[tuple[Any, ...]] = []
        self._acts_told: list[int] = []  # the same, interned
        self._at: dict[str, list[int]] = {}  # participant -> its lane
        self._of: dict[str, list[int]] = {}  # saga -> its lane
        self._touched: list[int] = []  # reads and writes of entities: isolation asks for their order
        self._shown: list[int] = []  # what rules of a user's own read, in one order: what is held, and was told
        self._messages: dict[int, int] = {}
        self._processes: dict[str, int] = {}
        self._records: dict[tuple[Any, ...], int] = {}
        self._applied: set[tuple[str, str, str]] = set()
        self._alone = sagas == 1
        self._busy: set[str] = set()  # sagas for which an orchestrator has done something
        self._durable: set[tuple[str, str, str]] = set()
        self._unwritten: set[str] = set()  # processes that were answered and have written nothing since
        self._spare = False  # see `_write`
        self.undone = False
        self.follow(rows)

    def copy(self) -> Projection:
        """The same, to go on from apart. A search does it for each run: so each field is named."""
        twin = Projection.__new__(Projection)
        twin._seen, twin._forgets, twin._alone = self._seen, self._forgets, self._alone
        twin._spare, twin.undone = self._spare, self.undone
        twin._past_network = self._past_network.copy()
        twin._ids = self._ids.copy()
        twin._acts = self._acts.copy()
        twin._acts_told = self._acts_told.copy()
        twin._at = {name: lane.copy() for name, lane in self._at.items()}
        twin._of = {name: lane.copy() for name, lane in self._of.items()}
        twin._touched = self._touched.copy()
        twin._shown = self._shown.copy()
        twin._messages = self._messages.copy()
        twin._processes = self._processes.copy()
        twin._records = self._records.copy()
        twin._applied = self._applied.copy()
        twin._busy = self._busy.copy()
        twin._durable = self._durable.copy()
        twin._unwritten = self._unwritten.copy()
        return twin

    def follow(self, rows: Sequence[Row]) -> None:
        """Take in the rows of the same run that are new since."""
        since, self._seen = self._seen, len(rows)
        for row in rows[since:] if since else rows:
            kind = row[KIND]
            if kind in _ACTS:
                self._act(row)
            elif kind in _AT_PARTICIPANTS:
                self._handle(row)
                if kind == ENTRY and self._shown:
                    self._shown.append(interned((kind, *row[PROCESS : DIRECTION + 1], row[DATA])))
            elif kind in (DELIVER, LOST):
                self._past_network.add(row[MSG])
            elif kind == STATE:
                self._shown.append(interned((*row[PROCESS : DIRECTION + 1], row[DATA])))
            elif kind in (READ, WRITE):
                _, _, process, saga, step, direction, _, _, msg, data = row
                self._touched.append(interned((kind, process, saga, step, direction, self._number(msg), data)))
            elif (kind == HEAL and row[DATA]) or (kind == END and row[DATA] != _QUIET):
                self._act(row)

    def _act(self, row: Row) -> None:
        _, kind, process, saga, step, direction, _, key, msg, data = row
        acts = self._acts
        told: Any = data
        if kind in (LOGACK, LOGLOST):
            told = self._write(row)
        elif kind == ACK:
            self._unwritten.add(process)
        elif kind == SEND:
            if self._forgets and len(acts) > 1:
                self._forget_try(row)
        elif kind in _UNASKED_DATA:
            if kind == CRASH and self._spare and acts[-1][0] == LOGLOST:
                self._leave_out_two()
            if data != _AT_REST:
                told = ()
        who = self._processes.setdefault(process, len(self._processes))
        number = -1
        if msg:  # as `_number` does, and below as `_interned`: this is the search's busiest line
            number = self._messages.setdefault(msg, len(self._messages))
            self._ids[number] = msg
        act = (kind, who, saga, step, direction, key, number, told)
        acts.append(act)
        try:
            self._acts_told.append(_numbers.setdefault(act, len(_numbers)))
        except TypeError:
            self._acts_told.append(interned(act))
        if self._shown and kind in _TOLD:
            self._shown.append(interned((kind, saga, told)))
        if kind in _WORK:
            self._busy.add(saga)
            if direction == COMPENSATION:
                self._of.setdefault(saga, []).append(interned((kind, step)))
        elif kind in _CLAIMS:
            self._of.setdefault(saga, []).append(interned((kind, data)))

    def _leave_out_two(self) -> None:
        del self._acts[-2:], self._acts_told[-2:]

    def _write(self, row: Row) -> tuple[Any, ...]:
        """(record, occurrence, epoch if shown), the occurrence by a number of its own: that it is the same again is
        all that matters of it. A write that its process dies of, and that is lost, leaves nothing where the record is
        not another's, the saga had been worked on, and it told nobody what the process had learnt before."""
        _, kind, process, saga, step, _, _, _, _, data = row
        record, about = data[0], (saga, step, data[0])
        if kind == LOGACK:
            told_nothing = self._alone and not self.undone and process not in self._unwritten
            self._spare = told_nothing and saga in self._busy and record != _TERMINAL and about not in self._durable
            self._durable.add(about)
            self._unwritten.discard(process)
        else:
            before = self._acts[-1] if self._acts else ()
            self._spare = self._spare and before[:4] == (LOGACK, self._processes.get(process), saga, step)
            self._durable.discard(about)
        return (record, self._records.setdefault((*about, data[1]), len(self._records)), *data[2:])

    def _handle(self, row: Row) -> None:
        _, kind, process, saga, step, direction, _, key, msg, data = row
        idle = kind == ERROR and data[0] in INJECTED
        if not step and kind in _HANDLED:
            idle = kind != APPLY or not data[BALANCE]  # what no step asks for is no part of the saga
        elif kind == APPLY:
            call = (saga, step, direction)
            self.undone = self.undone or direction == COMPENSATION
            if data[0]:
                self._applied.add(call)
            else:
                idle = call in self._applied
        if idle:  # it only spreads what its sender knew
            if self.undone:
                self._at.setdefault(process, []).append(interned(self._number(msg)))
            return
        number = self._number(msg) if self.undone else -1
        self._at.setdefault(process, []).append(interned((kind, saga, step, direction, key, number, data)))
        if kind in _HANDLED:
            shown = data[0] if kind == APPLY else ""
            self._of.setdefault(saga, []).append(interned((kind, process, step, direction, shown)))

    def _forget_try(self, row: Row) -> None:
        """A request is sent. Where the one before failed, is nowhere under way and was the same, it is as if that had
        been this one: the answer under their common key speaks of both, or neither is a step's."""
        first, failed = self._acts[-2:]
        in_vain = failed[0] == TIMEOUT or (failed[0] == ACK and failed[7] == _IN_ERROR)
        if not in_vain:
            return
        _, _, process, saga, step, direction, _, key, msg, data = row
        call = (self._processes.get(process), saga, step, direction, key, first[6])
        same = first[0] == SEND and first[1:7] == failed[1:7] == call and first[7] == data
        arrived = self._ids.get(first[6]) in self._past_network
        if not (same and arrived) or (key is None and step):
            return
        if direction == COMPENSATION:
            lane = self._of[saga]
            if lane[-1] != interned((SEND, step)):  # it took effect, or something else of the saga did
                return
            del lane[-1]
        self._messages[msg] = first[6]
        self._leave_out_two()

    def _number(self, msg: int) -> int:
        number = self._messages.setdefault(msg, len(self._messages))
        self._ids[number] = msg
        return number

    def sent(self, msg: int) -> int:
        """Which message under way is which of the past, where it matters who can know of an undo."""
        return self._messages.get(msg, -1) if self.undone else -1

    @property
    def digest(self) -> bytes:
        """16 bytes over the lanes."""
        return hashlib.blake2b(marshal.dumps(self.lanes, 2), digest_size=16).digest()

    @property
    def lanes(self) -> tuple[Any, ...]:
        """A value that marshal writes in one way only; comparable within one process."""
        return self._acts_told, sorted(self._at.items()), sorted(self._of.items()), self._touched, self._shown
