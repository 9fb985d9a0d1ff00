"""One pass over a history that gathers what the invariants ask for.

The history itself stays the evidence; this is an index into it, so that each invariant is a few
look-ups and a search can afford them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from ..history import (
    ACK,
    ADOPT,
    ALERT,
    ANSWER,
    APPLY,
    BALANCE,
    BOOT,
    CLIENT_ACK,
    CRASH,
    DATA,
    DEAD_LETTER,
    DELIVER,
    DIRECTION,
    EFFECTIVE,
    END,
    ENTRY,
    EPOCH,
    ERROR,
    EXPIRE,
    FINAL_RESTART,
    HANDLED,
    HEAL,
    HOLD,
    KEY,
    KIND,
    LOGACK,
    LOGLOST,
    MSG,
    NACK,
    NONSENSE,
    NTH,
    OCCURRENCE,
    OPERATION,
    OUTCOME,
    OWNER,
    PARKED,
    PROCESS,
    PUBLISH,
    RAISED,
    READ,
    REASON,
    RECEIVE,
    RECORD,
    REJECT,
    RELEASE,
    RUNNING,
    SAGA,
    SEND,
    STEP,
    SUBMIT,
    TERMINAL,
    TIMEOUT,
    WRITE,
    History,
    Row,
)
from ..saga import COMPENSATION, FORWARD, Outcome, Saga, Step, split
from .beside import beside_actors
from .calls import CallFacts, MessageFacts, on_message
from .children import take_in
from .parts import Sum, excused, settle

COMPLETED = Outcome.COMPLETED.value
COMPENSATED = Outcome.COMPENSATED.value
PENDING = Outcome.PENDING.value
STUCK = Outcome.STUCK.value

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


class SagaFacts:
    """What is known of one saga. ``claims`` are (position, outcome, told to the client?) without
    the pending ones; ``calls`` are by (step, direction), and the undos among them stand in ``back`` as well, by the
    step; ``asked`` maps a participant to the last position at which it answered a query.
    ``definition`` is what this saga was to do: a step of several parts stands in it as one for each that was asked for.
    ``counted`` has the `net` of the steps for which more counts than how often they took effect, ``sums`` what those
    with an amount took and gave back, ``used`` by which ones a step was used up (see `parts`). ``free`` are the steps
    that leave nothing to undo, ``owned`` are (position, (process, epoch)) of the durable writes that show an epoch,
    ``adopted`` the positions at which a process said that it took the saga over, which alone is no work, ``running``
    those at which all was at rest and the saga was called running. ``children`` are, by the step, the sagas that are
    steps of it and were begun."""

    __slots__ = (
        "adopted",
        "alerts",
        "asked",
        "back",
        "calls",
        "children",
        "claims",
        "counted",
        "dead",
        "definition",
        "durable",
        "free",
        "id",
        "last_row",
        "last_work",
        "left",
        "nonsense",
        "owned",
        "pending",
        "queries",
        "raised",
        "running",
        "submitted",
        "sums",
        "unused",
        "used",
    )

    def __init__(self, id: str, definition: Saga, free: frozenset[str] = frozenset()) -> None:
        self.id = id
        self.definition = definition
        self.free = free
        self.counted: Mapping[str, int] = _NONE
        self.sums: Mapping[str, Sum] = _NONE
        self.used: Mapping[str, tuple[str, ...]] = _NONE
        self.unused: Mapping[str, Fraction] = _NONE  # how much of a step is left that others have used up in parts
        self.children: Mapping[str, SagaFacts] = _NONE
        self.submitted = -1
        self.calls: dict[tuple[str, str], CallFacts] = {}
        self.back: dict[str, CallFacts] = {}
        self.claims: list[tuple[int, str, bool]] = []
        self.pending = -1
        self.dead: dict[str, int] = {}
        self.alerts: dict[str, int] = {}
        self.durable: dict[tuple[str, str], int] = {}  # (record, step) -> position of the first LOGACK
        self.raised: list[int] = []
        self.nonsense: list[int] = []
        self.running: list[int] = []
        self.last_row = self.last_work = -1  # the last thing an orchestrator did for it; and that was more than to ask
        self.left: list[str] | None = None  # what `leftovers` has found, once it was asked
        self.queries: dict[int, str] = {}  # message of no step -> whom it asks
        self.asked: dict[str, int] = {}
        self.owned: list[tuple[int, tuple[str, int]]] = []
        self.adopted: list[int] = []

    def net(self, step: str) -> int:
        """Effective forward applies minus those that expired or were undone. Of a step that leaves nothing to
        undo (a check, say) nothing more is asked than that it was done. What an actor takes back of a completed saga
        is a matter of its own, a return say."""
        if self.counted and step in self.counted:
            return self.counted[step]
        forward = self.calls.get((step, FORWARD))
        if forward is not None and step in self.free and forward.applied >= 0:
            return 1
        back = self.back.get(step)
        lasting = len(forward.effective) - len(forward.expired) if forward else 0
        return lasting - (len(back.effective) - len(back.returned) if back else 0)

    def by_an_actor(self, step: str) -> bool:
        """True if the step was asked for by actors alone."""
        forward = self.calls.get((step, FORWARD))
        return forward is not None and bool(forward.beside) and not forward.sends

    def undos(self) -> list[str]:
        """The steps whose undo an orchestrator asked for, in the order in which it began to."""
        return [step for step, undo in self.back.items() if undo.sends]

    def done(self, step: str) -> bool:
        """True if the step is in effect, or was used up by one that is."""
        return self.net(step) > 0 or any(self.net(user) > 0 for user in self.used.get(step, ()))

    def missing(self) -> list[str]:
        """The steps that would have to be done for the saga to be completed, and are not."""
        found = [step.name for step in self.definition.steps if not self.done(step.name)]
        if found and self.definition.groups:
            found = [name for name in found if name not in excused(self)]
        enough = self.definition.needing_any
        return [name for name in found if split(name)[0] not in enough or not self._any_done(name)] if enough else found

    def _any_done(self, name: str) -> bool:
        whole = split(name)[0]
        return any(self.done(step.name) for step in self.definition.steps if split(step.name)[0] == whole)

    def handed_over(self, step: str) -> bool:
        """A person was called to the step, or to the whole saga, and it was put aside; what an actor alone did to a
        saga of which something was put aside is in people's hands too."""
        if self.by_an_actor(step):
            return bool(self.dead and self.alerts)
        if "" in self.dead:
            return bool(self.alerts)
        return step in self.dead and ("" in self.alerts or step in self.alerts)

    def in_doubt(self, step: Step) -> bool:
        """Requested, and no definite answer says that there is nothing to undo: May(s, i)."""
        call = self.calls.get((step.name, FORWARD))
        if call is None or not call.sends or call.came_to_nothing or step.name in self.used:
            return False
        found_out = self.asked.get(step.participant, -1) > call.sends[-1][0]
        return not found_out or self.net(step.name) > 0


class _Sagas(dict[str, SagaFacts]):
    """What is known of each saga, one that no client asked for too. To look it up costs no call: a search does little
    else as often."""

    def __init__(self, history: History, free: frozenset[str]) -> None:
        self._history = history
        self._free = free
        for id in history.sagas:
            self.__missing__(id)

    def __missing__(self, id: str) -> SagaFacts:
        found = self[id] = SagaFacts(id, self._history.definition(id), self._free)
        return found


class _Calls(dict[tuple[str, str, str], CallFacts]):
    """What is known of each (saga, step, direction), as its rows name it."""

    def __init__(self, sagas: _Sagas) -> None:
        self._sagas = sagas

    def __missing__(self, about: tuple[str, str, str]) -> CallFacts:
        found = self[about] = CallFacts()
        id, step, direction = about
        saga = self._sagas[id]
        saga.calls[step, direction] = found
        if direction == COMPENSATION:
            saga.back[step] = found
        return found


class Facts:
    """The index of one history. ``deaths`` are (position, process label); ``crashes`` are those that a fault was the
    cause of, without the ends that the harness put to a process at rest, of which ``rest`` is the first (-1: none), and
    ``deserted`` says that some process had died by then and none was started since; for ``uncalled`` see `meanwhile`.
    ``key_scopes`` tells how widely participants know a key where that is not the usual. Calls that belong to no step
    are no part of the saga: they count as queries, which are no work done for it. ``touches`` are the positions of
    reads and writes of entities, ``holds`` those of locks taken and given back. ``actors`` are those who act beside the
    orchestrators, ``by_actor`` says of a message which of them sent it; ``messages`` are those that were published, by
    their numbers. ``calls`` are those of all sagas, as their rows name them."""

    __slots__ = (
        "actors",
        "balances",
        "by_actor",
        "calls",
        "crashes",
        "deaths",
        "deserted",
        "end",
        "entries",
        "history",
        "holds",
        "key_scopes",
        "messages",
        "rest",
        "saga",
        "sagas",
        "strays",
        "touches",
        "uncalled",
    )

    def __init__(self, history: History) -> None:
        self.history = history
        self.saga: Saga = history.known
        scopes: Any = history.declared.get("key_scope", {})
        self.key_scopes: Mapping[str, str] = scopes
        self.sagas = _Sagas(history, self.saga.without_undo)
        self.calls = _Calls(self.sagas)
        self.deaths: list[tuple[int, str]] = []
        self.crashes: list[tuple[int, str]] = []
        self.rest = -1
        self.uncalled = -1
        self.deserted = False
        self.balances: list[tuple[int, str, Row]] = []
        self.entries: list[int] = []  # where an account came to hold more or less
        self.strays: list[int] = []  # exceptions outside of any saga
        self.touches: list[int] = []
        self.holds: list[int] = []
        self.messages: dict[int, MessageFacts] = {}
        self.end = ""
        self.actors = history.actors
        self.by_actor: dict[int, str] = {}
        handlers = _HANDLERS if not self.actors else _BESIDE_ACTORS
        for position, row in enumerate(history.rows):
            handler = handlers.get(row[KIND])
            if handler is not None:
                handler(self, position, row)
        if self.saga.terms:
            settle(self)
        if self.saga.children:
            take_in(self)

    def meanwhile(self) -> Facts | None:
        """What had happened when a compensation had failed for as long as anybody waits, and nobody had been called to
        it; None where there was no such moment."""
        if self.uncalled < 0:
            return None
        return Facts(replace(self.history, rows=self.history.rows[: self.uncalled]))

    def hand(self, position: int) -> str:
        """`` (by the clerk)`` where the event there is an actor's work, `` (while handling the message 'order.paid')``
        where it is that of who was handling one, else ""."""
        if self.by_an_actor(position):
            return f" (by the {self.by_actor[self.history.rows[position][MSG]]})"
        return on_message(self.history.rows, self.messages.values(), position) if self.messages else ""

    def by_an_actor(self, position: int) -> bool:
        """True if the event there is the work of an actor."""
        return self.history.rows[position][MSG] in self.by_actor

    def hands(self, saga: SagaFacts, steps: Iterable[str], direction: str = FORWARD) -> str:
        """``; the clerk did payment.capture`` for the last effect of each step that is an actor's work, else ""."""
        if not self.by_actor:
            return ""
        found = []
        for step in steps:
            call = saga.calls.get((step, direction))
            name = self.by_actor.get(self.history.rows[call.effective[-1][0]][MSG]) if call and call.effective else None
            if name:
                found.append(f"; the {name} did {self.saga.operation(step, direction)}")
        return "".join(found)

    # -- one handler a kind of event ---------------------------------------------------------

    def _send(self, position: int, row: Row) -> None:
        saga = self.sagas[row[SAGA]]
        saga.last_row = position
        if row[STEP]:
            saga.last_work = position
            self.calls[row[SAGA], row[STEP], row[DIRECTION]].sends.append((position, row[MSG], row[KEY]))
        else:
            saga.queries[row[MSG]] = row[DATA][OPERATION].partition(".")[0]

    def _deliver(self, position: int, row: Row) -> None:
        if row[STEP]:
            self.calls[row[SAGA], row[STEP], row[DIRECTION]].deliveries += 1

    def _apply(self, position: int, row: Row) -> None:
        data = row[DATA]
        if row[STEP]:
            call = self.calls[row[SAGA], row[STEP], row[DIRECTION]]
            if call.applied < 0:
                call.applied = position
            if data[EFFECTIVE]:
                call.effective.append((position, row[KEY], data[OWNER]))
        if data[BALANCE]:
            self.balances.append((position, row[PROCESS], row))

    def _reject(self, position: int, row: Row) -> None:
        if row[STEP]:
            self.calls[row[SAGA], row[STEP], row[DIRECTION]].refusals.append(position)

    def _error(self, position: int, row: Row) -> None:
        if row[STEP]:
            self.calls[row[SAGA], row[STEP], row[DIRECTION]].errors.append(position)

    def _expire(self, position: int, row: Row) -> None:
        self.calls[row[SAGA], row[STEP], row[DIRECTION]].expired.append(position)

    def _entry(self, position: int, row: Row) -> None:
        self.entries.append(position)

    def _touch(self, position: int, row: Row) -> None:
        self.touches.append(position)

    def _hold(self, position: int, row: Row) -> None:
        self.holds.append(position)

    def _ack(self, position: int, row: Row) -> None:
        if row[STEP]:
            answers, answer = self.calls[row[SAGA], row[STEP], row[DIRECTION]].answers, row[DATA][ANSWER]
            if answers.get(row[MSG], (0, "error"))[1] == "error":  # else a message has told already what became of it
                answers[row[MSG]] = (position, answer)
        elif row[DATA][ANSWER] == "ok":
            saga = self.sagas[row[SAGA]]
            saga.asked[saga.queries.get(row[MSG], "")] = position

    def _timeout(self, position: int, row: Row) -> None:
        if row[STEP]:
            self.calls[row[SAGA], row[STEP], row[DIRECTION]].given_up[row[MSG]] = position

    def _logack(self, position: int, row: Row) -> None:
        if row[SAGA]:
            facts = self.sagas[row[SAGA]]
            data = row[DATA]
            facts.durable.setdefault((data[RECORD], row[STEP]), position)
            facts.last_row = facts.last_work = position
            if len(data) > EPOCH:
                facts.owned.append((position, (row[PROCESS], data[EPOCH])))

    def _kept(self, position: int, lost: Row) -> int:
        """How many writes of the record that is lost at ``position`` are still kept after that."""
        kept, about = 0, (lost[SAGA], lost[STEP], lost[DATA][RECORD])
        for row in self.history.rows[: position + 1]:
            if row[KIND] in (LOGACK, LOGLOST) and (row[SAGA], row[STEP], row[DATA][RECORD]) == about:
                kept += 1 if row[KIND] == LOGACK else -1
        return kept

    def _loglost(self, position: int, row: Row) -> None:
        facts, lost = self.sagas[row[SAGA]], written(row)
        if self._kept(position, row) <= 0:  # else an earlier one of the kind stands again
            facts.durable.pop(lost[:2], None)
        facts.owned = [(at, owner) for at, owner in facts.owned if written(self.history.rows[at]) != lost]
        if lost[0] == "terminal":  # the saga's end was in it, and is taken back
            declared = [index for index, (_, _, to_client) in enumerate(facts.claims) if not to_client]
            if declared:
                del facts.claims[declared[-1]]

    def _publish(self, position: int, row: Row) -> None:
        self.messages.setdefault(row[MSG], MessageFacts(position, row))

    def _receive(self, position: int, row: Row) -> None:
        message = self.messages.get(row[MSG])
        if message is None:
            return
        message.received.append((position, row[PROCESS], row[DATA][NTH]))
        if message.cause:
            self._learn(position, message)

    def _learn(self, position: int, message: MessageFacts) -> None:
        """A message tells what became of the request that caused it, as the answer does."""
        rows = self.history.rows
        for at in range(message.published, -1, -1):
            row = rows[at]
            if row[MSG] == message.cause and row[KIND] in (APPLY, REJECT):
                if row[STEP]:
                    answer = "ok" if row[KIND] == APPLY else "rejected"
                    answers = self.calls[row[SAGA], row[STEP], row[DIRECTION]].answers
                    answers[-position] = (position, answer)
                    self.calls[row[SAGA], row[STEP], row[DIRECTION]].told[-position] = message.cause
                    if answers.get(message.cause, (0, "error"))[1] == "error":
                        answers[message.cause] = (position, answer)
                return

    def _handled(self, position: int, row: Row) -> None:
        if row[MSG] in self.messages:
            self.messages[row[MSG]].handled.append(position)

    def _nack(self, position: int, row: Row) -> None:
        if row[MSG] in self.messages:
            self.messages[row[MSG]].failed.append(position)

    def _parked(self, position: int, row: Row) -> None:
        if row[MSG] in self.messages:
            self.messages[row[MSG]].parked = position

    def _adopt(self, position: int, row: Row) -> None:
        saga = self.sagas[row[SAGA]]
        saga.adopted.append(position)
        saga.last_row = position

    def _claim(self, position: int, row: Row) -> None:
        outcome, saga = row[DATA][OUTCOME], self.sagas[row[SAGA]]
        if outcome != PENDING:
            saga.claims.append((position, outcome, row[KIND] == CLIENT_ACK))
        elif row[KIND] == CLIENT_ACK and saga.pending < 0:
            saga.pending = position

    def _submit(self, position: int, row: Row) -> None:
        saga = self.sagas[row[SAGA]]
        if saga.submitted < 0:  # else its client asks again
            saga.submitted = position

    def _crash(self, position: int, row: Row) -> None:
        self.deaths.append((position, row[PROCESS]))
        if row[DATA][REASON] != FINAL_RESTART:
            self.crashes.append((position, row[PROCESS]))
            self.deserted = self.deserted or self.rest < 0
        elif self.rest < 0:
            self.rest = position

    def _heal(self, position: int, row: Row) -> None:
        if row[DATA] and self.uncalled < 0:
            self.uncalled = position

    def _boot(self, position: int, row: Row) -> None:
        if self.rest < 0:
            self.deserted = False

    def _dead(self, position: int, row: Row) -> None:
        saga = self.sagas[row[SAGA]]
        saga.dead.setdefault(row[STEP], position)
        saga.last_row = saga.last_work = position

    def _alert(self, position: int, row: Row) -> None:
        saga = self.sagas[row[SAGA]]
        saga.alerts.setdefault(row[STEP], position)
        saga.last_row = saga.last_work = position

    def _raised(self, position: int, row: Row) -> None:
        (self.sagas[row[SAGA]].raised if row[SAGA] else self.strays).append(position)

    def _nonsense(self, position: int, row: Row) -> None:
        self.sagas[row[SAGA]].nonsense.append(position)

    def _running(self, position: int, row: Row) -> None:
        self.sagas[row[SAGA]].running.append(position)

    def _ended(self, position: int, row: Row) -> None:
        self.end = row[DATA][REASON]


_HANDLERS = {
    SEND: Facts._send,
    DELIVER: Facts._deliver,
    APPLY: Facts._apply,
    REJECT: Facts._reject,
    ERROR: Facts._error,
    EXPIRE: Facts._expire,
    ENTRY: Facts._entry,
    READ: Facts._touch,
    WRITE: Facts._touch,
    HOLD: Facts._hold,
    RELEASE: Facts._hold,
    ADOPT: Facts._adopt,
    ACK: Facts._ack,
    TIMEOUT: Facts._timeout,
    LOGACK: Facts._logack,
    LOGLOST: Facts._loglost,
    TERMINAL: Facts._claim,
    CLIENT_ACK: Facts._claim,
    SUBMIT: Facts._submit,
    BOOT: Facts._boot,
    HEAL: Facts._heal,
    CRASH: Facts._crash,
    DEAD_LETTER: Facts._dead,
    ALERT: Facts._alert,
    RAISED: Facts._raised,
    NONSENSE: Facts._nonsense,
    RUNNING: Facts._running,
    PUBLISH: Facts._publish,
    RECEIVE: Facts._receive,
    HANDLED: Facts._handled,
    NACK: Facts._nack,
    PARKED: Facts._parked,
    END: Facts._ended,
}


_BESIDE_ACTORS = beside_actors(_HANDLERS)


def written(row: Row) -> tuple[str, str, int]:
    """What a durable write is of: the kind of its record, the step, and which one of these it is."""
    return row[DATA][RECORD], row[STEP], row[DATA][OCCURRENCE]
