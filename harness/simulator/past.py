"""What a run's past still tells its invariants, as the state of a monitor: what each must remember of it to judge
whatever comes.

A request that is made again in the same words, a write that is lost with its process, an answer in the place of a
timeout leave no trace here once no invariant can ask for it any more: what matters is kept, not how it came about. What
is kept, and who asks for it, is told by `sagafuzz.invariants.memories`; here each memory is taken down.

What this monitor does not follow is left to the whole past (`Projection`): the runs of some systems from the start (see
`Asked`), those of the others from the first event on that it does not know.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from ..history import (
    ACK,
    ADOPT,
    ALERT,
    ANSWER,
    APPLY,
    BOOT,
    CLIENT_ACK,
    CRASH,
    DATA,
    DEAD_LETTER,
    DEFINITION,
    DELIVER,
    DIRECTION,
    END,
    ENTRY,
    EPOCH,
    ERROR,
    EXPIRE,
    FINAL_RESTART,
    HANDLED,
    HEAL,
    HOLD,
    KIND,
    LOGACK,
    LOGLOST,
    LOST,
    MSG,
    NACK,
    NONSENSE,
    OCCURRENCE,
    OPERATION,
    OUTCOME,
    PARKED,
    PAYLOAD,
    PORT,
    PROCESS,
    PUBLISH,
    RAISED,
    READ,
    REASON,
    RECEIVE,
    RECORD,
    REDRIVE,
    REJECT,
    RELEASE,
    RUNNING,
    SAGA,
    SEND,
    STATE,
    STEP,
    SUBMIT,
    TERMINAL,
    TIMEOUT,
    WHERE,
    WRITE,
    Row,
)
from ..saga import COMPENSATION, FORWARD, Outcome, Saga
from .asked import Asked
from .memory import AFTER_UNDO, BY_WHO_KNEW, OK, REFUSED, Call
from .memory_of_participants import OfParticipants
from .projection import Projection, interned

_FAILED: Final = "error"

_ANNOUNCED: Final = frozenset({"create", "intent", "outcome", "compensating"})
"""Records that announce an act: of these each counts, of others only that there is one."""

_QUIET: Final = ("quiescent",)
_PENDING: Final = Outcome.PENDING.value
_STUCK: Final = Outcome.STUCK.value
_COMPLETED: Final = Outcome.COMPLETED.value


def begun(asked: Asked) -> Past | Projection:
    """The past of a run in which nothing has happened yet."""
    return Past(asked) if asked.followed else _whole(asked, ())


def _whole(asked: Asked, rows: Sequence[Row]) -> Projection:
    """All of a past that can be told."""
    return Projection(rows, len(asked.sagas), asked.forgets)


class Past(OfParticipants):
    """The memories of one run that goes on."""

    __slots__ = ()

    def follow(self, rows: Sequence[Row]) -> None:
        """Take in the rows of the same run that are new since."""
        since, self._seen = self._seen, len(rows)
        if self._whole is None:
            handlers = _HANDLERS
            for row in rows[since:] if since else rows:
                handler = handlers.get(row[KIND])
                if handler is not None and handler(self, row):
                    self._whole = _whole(self._asked, rows)
                    self.undone = self._whole.undone
                    return
        else:
            self._whole.follow(rows)
            self.undone = self._whole.undone

    # -- requests -----------------------------------------------------------------------------------

    def _send(self, row: Row) -> bool:
        _, _, process, saga, step, direction, _, key, msg, data = row
        if self._marks:
            known = self._holder[process] = self._holder.get(process, 0) | self._stored
            self._known_in[msg, False] = known
        if not step:
            self._beside(saga)
            self._queries[msg] = data[OPERATION].partition(".")[0]
            return False
        if key is None:
            return True  # then each attempt speaks for itself alone
        self._works(saga)
        call = (saga, step, direction)
        first = self._keys.get(call)
        if first is None:
            self._begin(process, call)
            self._keys[call] = key
        elif first != key:
            return True
        self._story[interned((call, key, data[OPERATION], data[PAYLOAD]))] = None
        self._open.setdefault(process, {})[msg] = call
        self._waiting[msg] = call
        if self._asked.most(step, direction):
            count = self._counts.get(call, 0) + 1
            self._counts[call] = min(count, self._asked.most(step, direction) + 1)
        if direction == COMPENSATION:
            self._undo_sent(saga, step, msg, data)
        else:
            self._step_sent(process, saga, step, msg)
        if self._definitions:
            first = self._definitions.get((saga, ""), "")
            if first and self._definitions.get((saga, process), first) != first:
                self._wrong("I24", *call)  # by another definition than the saga was begun with
        return False

    def _undo_sent(self, saga: str, step: str, msg: int, data: tuple[Any, ...]) -> None:
        self._rank[msg] = len(self._lanes.get(saga, ()))
        self._after[saga] = set()
        if self._is("effect", saga, step):
            self._note("said", saga, step, data[PAYLOAD])

    def _step_sent(self, process: str, saga: str, step: str, msg: int) -> None:
        after = self._after.get(saga)
        if after is not None:  # it goes forward again
            after.add(interned(("asked", step)))
            lane, entry = self._lane(saga), interned(("asked", step))
            if not lane or lane[-1] != entry:
                lane.append(entry)
            if self._knows(process, (saga, step, COMPENSATION), OK):
                self._messages[msg] = self._messages.get(msg, 0) | BY_WHO_KNEW
        if self._queries:
            asked = self._asked.definition(saga).by_name.get(step)
            if asked is not None and self._is("asked", saga, asked.participant):
                self._note("since asked", saga, step)

    def _begin(self, process: str, call: Call) -> None:
        """A call is asked for the first time: what must have been so by then is looked at once and for all."""
        saga, step, direction = call
        definition = self._asked.definition(saga)
        due = [("create", "")]
        if direction == FORWARD:
            due.append(("intent", step))
            for before in definition.predecessors.get(step, ()):
                forward, undo = (saga, before, FORWARD), (saga, before, COMPENSATION)
                undone = self._answered(undo, OK)
                if not undone:
                    due.append(("outcome", before))
                knows = self._knows(process, forward, OK) or self._knows(process, forward, REFUSED)
                if forward in self._keys and self._is("unknown", forward) and not knows and not undone:
                    self._wrong("I6", saga, before, step)
        else:
            due.append(("compensating", ""))
            self._begin_undo(process, saga, step, definition)
        lacking = tuple([each for each in due if not self._is("durable", saga, *each)])
        self._story[interned(("begun", call, lacking))] = None

    def _begin_undo(self, process: str, saga: str, step: str, definition: Saga) -> None:
        if (saga, step, FORWARD) not in self._keys and not self._is("durable", saga, "intent", step):
            self._wrong("I5", saga, step)
        for call in self._waiting.values():
            _, later, direction = call
            if call[0] != saga or direction != FORWARD or step not in definition.ancestors.get(later, ()):
                continue
            if not self._settled(call) and not self._answered((saga, later, COMPENSATION), OK):
                self._wrong("I4", saga, step)
        for pivot in sorted(definition.pivots):
            if step != pivot and step not in definition.ancestors[pivot]:
                continue
            call = (saga, pivot, FORWARD)
            if self._is("effect", saga, pivot):
                self._wrong("I10", saga, pivot, step, "known")
            elif self._is("unknown", call) and not self._knows(process, call, REFUSED):
                self._wrong("I10", saga, pivot, step, "unknown")

    # -- answers ------------------------------------------------------------------------------------

    def _ack(self, row: Row) -> bool:
        _, _, process, saga, step, direction, _, _, msg, data = row
        answer = data[ANSWER]
        if self._marks:
            known = self._holder[process] = self._holder.get(process, 0) | self._known_in.get((msg, True), 0)
            if self._asked.hidden:
                self._stored |= known
        if not step:
            if answer == OK:
                self._found_out(saga, self._queries.get(msg, ""))
            return False
        call = self._open.get(process, {}).pop(msg, None)
        self._waiting.pop(msg, None)
        if call is None:
            return True  # a second answer, or one that nobody waits for
        if direction == COMPENSATION:
            self._hears(process, call, answer == OK)
        if answer == _FAILED:
            self._is_unknown(call)
        elif not self._is("public", call, answer):
            self._note("told", call, answer)
            self._private.setdefault(process, set()).add((call, answer))
        if answer == OK and self._messages.get(msg, 0) & AFTER_UNDO:
            self._lane(saga).append(interned(("told", step)))
        return False

    def _found_out(self, saga: str, participant: str) -> None:
        self._note("asked", saga, participant)
        for step in self._asked.definition(saga).steps:
            if step.participant == participant:
                self._facts.discard(interned(("since asked", saga, step.name)))

    def _timeout(self, row: Row) -> bool:
        self._note("disturbed")
        if row[STEP]:
            self._waiting.pop(row[MSG], None)
            call = self._open.get(row[PROCESS], {}).pop(row[MSG], None)
            if call is None:
                return True
            self._is_unknown(call)
            if call[2] == COMPENSATION:
                self._hears(row[PROCESS], call, False)
        return False

    def _is_unknown(self, call: Call) -> None:
        """An attempt of a step came to nobody knows what; no matter where an answer to the step is known to all."""
        if call[2] == FORWARD and not self._for_all_to_see(call):
            self._note("unknown", call)

    def _for_all_to_see(self, call: Call) -> bool:
        """Everybody knows what the step came to. Of a pivot only a refusal lets undo what comes before it."""
        refused = self._is("public", call, REFUSED)
        if not refused and call[1] in self._asked.definition(call[0]).pivots:
            return self._is("effect", call[0], call[1]) and self._is("public", call, OK)
        return refused or self._is("public", call, OK)

    def _lost(self, row: Row) -> bool:
        self._note("disturbed")
        return False

    # -- what is durable ----------------------------------------------------------------------------

    def _logack(self, row: Row) -> bool:
        at, _, process, saga, step, _, _, _, _, data = row
        if self._marks:
            self._stored = self._holder[process] = self._holder.get(process, 0) | self._stored
        if process in self._private:
            self._publish(process)
        if not saga:
            return False
        self._works(saga)
        record = data[RECORD]
        about = ("durable", saga, record, step if record in _ANNOUNCED else "")
        number = interned(about)
        fresh = self._write(at, process)
        written = fresh.setdefault((saga, record, step, data[OCCURRENCE]), [0, -1])
        written[0] += 1
        if number not in self._facts:
            self._facts.add(number)
            written[1] = number
        if record == "create":
            self._created.setdefault(process, set()).add(saga)
        if len(data) > EPOCH:
            self._owns(saga, process, data[EPOCH], step, fresh)
        return False

    def _write(self, at: int, process: str) -> dict[Any, Any]:
        """What is new by the write at hand, which may be lost at once."""
        if self._fresh[:2] != (at, process):
            self._fresh = (at, process, {})
        found: dict[Any, Any] = self._fresh[2]
        return found

    def _owns(self, saga: str, process: str, epoch: Any, step: str, fresh: dict[Any, Any]) -> None:
        owners = self._owned.setdefault(saga, [])
        if not owners or owners[-1][:2] != (process, epoch):
            if owners:
                latest, latest_epoch, _ = owners[-1]
                back = process != latest and any(owner == process for owner, _, _ in owners) and epoch == latest_epoch
                if epoch < latest_epoch or back:
                    entry = interned(("I14", saga, step))
                    if entry not in self._story:
                        fresh["wrong"] = entry
                    self._story[entry] = None
            owners.append((process, epoch, step))
            fresh["owner", saga] = True

    def _loglost(self, row: Row) -> bool:
        at, _, process, saga, step, _, _, _, _, data = row
        if self._fresh[:2] != (at, process):
            return True
        fresh = self._fresh[2]
        written = fresh.get((saga, data[RECORD], step, data[OCCURRENCE]))
        if written is None:
            return True
        written[0] -= 1
        if not written[0]:
            self._facts.discard(written[1])
        if fresh.pop(("owner", saga), False):
            self._owned[saga].pop()
            if not self._owned[saga]:
                del self._owned[saga]
        if "wrong" in fresh:
            del self._story[fresh.pop("wrong")]
        if data[RECORD] == "terminal":
            return self._take_back_the_end(saga, fresh)
        return False

    def _take_back_the_end(self, saga: str, fresh: dict[Any, Any]) -> bool:
        self._facts.discard(interned(("over", saga)))
        claim = fresh.pop(("claim", saga), None)
        if claim is None:
            return bool(self._claimed.get(saga))  # then an end that was declared before is taken back
        entry, after, interrupted = claim
        if entry >= 0:
            if self._lanes[saga][-1] != entry:
                return True
            self._lanes[saga].pop()
            self._claimed[saga] -= 1
        if interrupted:
            self._note("interrupted", saga)
        if after:
            self._after[saga].discard(after)
        return False

    def _publish(self, process: str) -> None:
        """What the process was told can now be known to all."""
        for call, answer in self._private.pop(process):
            self._facts.discard(interned(("told", call, answer)))
            self._note("public", call, answer)
            if self._for_all_to_see(call):
                self._facts.discard(interned(("unknown", call)))

    # -- ends ---------------------------------------------------------------------------------------

    def _claim(self, row: Row) -> bool:
        at, kind, process, saga, *_, data = row
        outcome, told = data[OUTCOME], kind == CLIENT_ACK
        if told:
            self._last[saga] = outcome
            if not self._is("answered", saga):
                self._note("answered", saga)
                if not self._is("durable", saga, "create", ""):
                    self._note("answered early", saga)
            self._show(row)
        if outcome == _PENDING:
            if told:
                self._note("pending", saga)
            return False
        self._note("over", saga)
        self._note("was over", saga)
        lane, entry = self._lane(saga), interned((kind, outcome))
        added = not lane or lane[-1] != entry
        if added:
            lane.append(entry)
            self._claimed[saga] = self._claimed.get(saga, 0) + 1
        interrupted = not self._asked.several and self._is("interrupted", saga)
        if interrupted:  # it has come to its end all the same
            self._facts.discard(interned(("interrupted", saga)))
        after = 0
        if outcome == _COMPLETED and saga in self._after:
            done = interned(("completed",))
            if done not in self._after[saga]:
                after = done
                self._after[saga].add(done)
        if not told:
            self._write(at, process)["claim", saga] = (entry if added else -1, after, interrupted)
        if self._asked.several:
            self._beside(saga, "claimed" if outcome != _STUCK else "stuck")
        return False

    def _submit(self, row: Row) -> bool:
        saga = row[SAGA]
        if not self._is("submitted", saga):
            self._note("submitted", saga)
            self._restarts(saga)
        return False

    def _calls_a_person(self, row: Row) -> bool:
        kind, process, saga, step = row[KIND:DIRECTION]
        self._works(saga)
        if kind == DEAD_LETTER and (kind, saga, step) not in self._people:
            self._beside(saga, "dead")
        self._people.add((kind, saga, step))
        if (saga, process) in self._definitions:
            del self._definitions[saga, process]  # refused explicitly
        self._show(row)
        return False

    def _raises(self, row: Row) -> bool:
        saga, data = row[SAGA], row[DATA]
        self._note("raised", saga, data[0], data[WHERE], data[PORT])
        if saga or data[WHERE].startswith("recover"):
            self._beside(saga, "raised")
        return False

    def _answers_nonsense(self, row: Row) -> bool:
        self._note("nonsense", row[SAGA])
        return False

    def _adopt(self, row: Row) -> bool:
        _, _, process, saga, *_, data = row
        self._beside(saga)
        definition = data[DEFINITION]
        if not definition:
            return bool(self._asked.versions)
        if self._asked.versions:
            return True
        first = self._definitions.setdefault((saga, ""), definition)
        if definition != first:
            self._definitions[saga, process] = definition
        else:
            self._definitions.pop((saga, process), None)
        return False

    # -- processes ----------------------------------------------------------------------------------

    def _boot(self, row: Row) -> bool:
        process = row[PROCESS]
        if process not in self._alive:
            self._alive.append(process)
        if not self._rest:
            self._deserted = False
        self._created.clear()
        self._unseen.clear()
        if self._marks:
            self._holder[process] = self._holder.get(process, 0) | self._stored
        return False

    def _crash(self, row: Row) -> bool:
        process = row[PROCESS]
        self._note("disturbed")
        if process in self._alive:
            self._alive.remove(process)
        for call in self._open.pop(process, {}).values():
            self._is_unknown(call)
        self._waiting.clear()
        self._private.pop(process, None)
        self._holder.pop(process, None)
        self._unseen.update(self._created.get(process, ()))
        if row[DATA][REASON] == FINAL_RESTART:
            self._comes_to_rest()
            return False
        self._heard.pop(process, None)
        self._deserted = self._deserted or not self._rest
        for saga in {*self._asked.sagas, *self._lanes, *(call[0] for call in self._keys)}:
            self._left.add(saga)
            if not self._claimed.get(saga) and self._is("submitted", saga):
                self._note("interrupted", saga)
                self._restarts(saga)
        return False

    def _comes_to_rest(self) -> None:
        """What is in effect when the harness starts the process anew is judged by itself."""
        if self._rest:
            return
        self._rest = True
        if not self._deserted:
            held = tuple([(saga, len(lane)) for saga, lane in sorted(self._lanes.items())])
            self._wrong("at rest", held, tuple(sorted(self._people)))

    def _heal(self, row: Row) -> bool:
        """A compensation had failed for as long as anybody waits: what was so by then is judged by itself."""
        if row[DATA] and not self._uncalled:
            self._uncalled = True
            self._wrong("uncalled", marshal.dumps(self.lanes, 2))
        return False

    def _unknown_kind(self, row: Row) -> bool:
        return True

    def _end(self, row: Row) -> bool:
        if row[DATA] != _QUIET:
            self._wrong(END, row[DATA])
        return False


_HANDLERS: Final[Mapping[str, Callable[[Past, Row], bool]]] = {
    SEND: Past._send,
    ACK: Past._ack,
    TIMEOUT: Past._timeout,
    LOST: Past._lost,
    LOGACK: Past._logack,
    LOGLOST: Past._loglost,
    TERMINAL: Past._claim,
    CLIENT_ACK: Past._claim,
    SUBMIT: Past._submit,
    DEAD_LETTER: Past._calls_a_person,
    ALERT: Past._calls_a_person,
    RAISED: Past._raises,
    NONSENSE: Past._answers_nonsense,
    ADOPT: Past._adopt,
    BOOT: Past._boot,
    CRASH: Past._crash,
    HEAL: Past._heal,
    DELIVER: Past._deliver,
    APPLY: Past._apply,
    REJECT: Past._refuse,
    ERROR: Past._refuse,
    EXPIRE: Past._expire,
    ENTRY: Past._entry,
    STATE: Past._state,
    READ: Past._touch,
    WRITE: Past._touch,
    HOLD: Past._hold,
    RELEASE: Past._hold,
    END: Past._end,
    **dict.fromkeys((PUBLISH, RECEIVE, HANDLED, NACK, PARKED, REDRIVE, RUNNING), Past._unknown_kind),
}
"""By the kind of an event, what is remembered of it; True where the monitor cannot follow."""
