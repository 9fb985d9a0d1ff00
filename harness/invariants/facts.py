"""One pass over a history that gathers what the invariants ask for.

The history itself stays the evidence; this is an index into it, so that each invariant is a few
look-ups and a search can afford them all.
"""

from __future__ import annotations

from ..history import (
    ACK,
    ALERT,
    APPLY,
    BOOT,
    CLIENT_ACK,
    CRASH,
    DEAD_LETTER,
    DELIVER,
    END,
    LOG,
    LOGACK,
    NONSENSE,
    RAISED,
    REJECT,
    SEND,
    SUBMIT,
    TERMINAL,
    TIMEOUT,
    History,
    Row,
)
from ..ports import Outcome
from ..saga import COMPENSATION, FORWARD, Saga

COMPLETED = Outcome.COMPLETED.value
COMPENSATED = Outcome.COMPENSATED.value
PENDING = Outcome.PENDING.value
STUCK = Outcome.STUCK.value


class CallFacts:
    """What is known of one step in one direction. Positions are indices into the rows.

    ``sends`` are (position, message, key); ``effective`` are (position, key, owner);
    ``answers`` maps a message to (position, "ok" | "rejected" | "error") as the caller got it;
    ``given_up`` maps a message to the position at which the caller stopped waiting.
    """

    __slots__ = ("answers", "deliveries", "effective", "given_up", "sends")

    def __init__(self) -> None:
        self.sends: list[tuple[int, int, str | None]] = []
        self.effective: list[tuple[int, str | None, str]] = []
        self.answers: dict[int, tuple[int, str]] = {}
        self.given_up: dict[int, int] = {}
        self.deliveries = 0

    @property
    def answered_ok(self) -> int | None:
        """The first position at which the caller learnt of success."""
        return min((at for at, answer in self.answers.values() if answer == "ok"), default=None)

    @property
    def definitely_refused(self) -> bool:
        """Some attempt was refused, and every other attempt was too or shared its key: then the
        refusal speaks for all of them."""
        refused = [message for message, (_, answer) in self.answers.items() if answer == "rejected"]
        if not refused:
            return False
        keys = {key for _, message, key in self.sends if message in refused and key is not None}
        return all(message in refused or key in keys for _, message, key in self.sends)


class SagaFacts:
    """What is known of one saga. ``claims`` are (position, outcome, told to the client?) without
    the pending ones."""

    __slots__ = (
        "alerts",
        "calls",
        "claims",
        "dead",
        "durable",
        "id",
        "last_row",
        "nonsense",
        "pending",
        "raised",
        "submitted",
    )

    def __init__(self, id: str) -> None:
        self.id = id
        self.submitted = -1
        self.calls: dict[tuple[str, str], CallFacts] = {}
        self.claims: list[tuple[int, str, bool]] = []
        self.pending = -1
        self.dead: dict[str, int] = {}
        self.alerts: dict[str, int] = {}
        self.durable: dict[tuple[str, str], int] = {}  # (record, step) -> position of the first LOGACK
        self.raised: list[int] = []
        self.nonsense: list[int] = []
        self.last_row = -1  # the last thing an orchestrator did for it

    def net(self, step: str) -> int:
        """Effective forward applies minus effective compensations."""
        forward = self.calls.get((step, FORWARD))
        back = self.calls.get((step, COMPENSATION))
        return (len(forward.effective) if forward else 0) - (len(back.effective) if back else 0)

    def handed_over(self, step: str) -> bool:
        """A person was called to the step, or to the whole saga, and it was put aside."""
        return ("" in self.dead or step in self.dead) and bool(self.alerts)


class Facts:
    """The index of one history. ``crashes`` are (position, process label) and ``boots`` positions."""

    __slots__ = ("balances", "boots", "crashes", "end", "history", "known", "saga", "sagas", "strays")

    def __init__(self, history: History) -> None:
        self.history = history
        self.saga: Saga = history.saga
        self.sagas = {id: SagaFacts(id) for id in history.sagas}
        self.crashes: list[tuple[int, str]] = []
        self.boots: list[int] = []
        self.balances: list[tuple[int, str, Row]] = []
        self.strays: list[int] = []  # exceptions outside of any saga
        self.end = ""
        self.known: dict[int, int] = {}  # filled by happened_before
        handlers = _HANDLERS
        for position, row in enumerate(history.rows):
            handler = handlers.get(row[1])
            if handler is not None:
                handler(self, position, row)

    def of(self, row: Row) -> SagaFacts:
        found = self.sagas.get(row[3])
        if found is None:
            found = self.sagas[row[3]] = SagaFacts(row[3])
        return found

    def call(self, row: Row) -> CallFacts:
        calls = self.of(row).calls
        found = calls.get((row[4], row[5]))
        if found is None:
            found = calls[row[4], row[5]] = CallFacts()
        return found

    # -- one handler a kind of event ---------------------------------------------------------

    def _send(self, position: int, row: Row) -> None:
        self.call(row).sends.append((position, row[8], row[7]))
        self.of(row).last_row = position

    def _deliver(self, position: int, row: Row) -> None:
        self.call(row).deliveries += 1

    def _apply(self, position: int, row: Row) -> None:
        data = row[9]
        if data[0]:
            self.call(row).effective.append((position, row[7], data[1]))
        if data[2]:
            self.balances.append((position, row[2], row))

    def _ack(self, position: int, row: Row) -> None:
        self.call(row).answers[row[8]] = (position, row[9][0])

    def _timeout(self, position: int, row: Row) -> None:
        self.call(row).given_up[row[8]] = position

    def _logack(self, position: int, row: Row) -> None:
        if row[3]:
            facts = self.of(row)
            facts.durable.setdefault((row[9][0], row[4]), position)
            facts.last_row = position

    def _claim(self, position: int, row: Row) -> None:
        outcome = row[9][0]
        if outcome == PENDING:
            self.of(row).pending = position
        else:
            self.of(row).claims.append((position, outcome, row[1] == CLIENT_ACK))

    def _submit(self, position: int, row: Row) -> None:
        self.of(row).submitted = position

    def _crash(self, position: int, row: Row) -> None:
        self.crashes.append((position, row[2]))

    def _boot(self, position: int, row: Row) -> None:
        self.boots.append(position)

    def _dead(self, position: int, row: Row) -> None:
        self.of(row).dead.setdefault(row[4], position)

    def _alert(self, position: int, row: Row) -> None:
        self.of(row).alerts.setdefault(row[4], position)

    def _raised(self, position: int, row: Row) -> None:
        (self.of(row).raised if row[3] else self.strays).append(position)

    def _nonsense(self, position: int, row: Row) -> None:
        self.of(row).nonsense.append(position)

    def _ended(self, position: int, row: Row) -> None:
        self.end = row[9][0]


_HANDLERS = {
    SEND: Facts._send,
    DELIVER: Facts._deliver,
    APPLY: Facts._apply,
    ACK: Facts._ack,
    TIMEOUT: Facts._timeout,
    LOGACK: Facts._logack,
    TERMINAL: Facts._claim,
    CLIENT_ACK: Facts._claim,
    SUBMIT: Facts._submit,
    CRASH: Facts._crash,
    BOOT: Facts._boot,
    DEAD_LETTER: Facts._dead,
    ALERT: Facts._alert,
    RAISED: Facts._raised,
    NONSENSE: Facts._nonsense,
    END: Facts._ended,
}


def knowledge(history: History, marks: dict[int, int]) -> dict[int, int]:
    """Which marked events happened before which, in the sense of Lamport (1978).

    ``marks`` gives events (positions) a bit each; the result maps each marked position to the bits
    of the marked events that happened before it. Knowledge travels with messages, through each
    process in program order, and through the durable store from a dead incarnation to the next.
    """
    holder: dict[str, int] = {}
    in_message: dict[tuple[int, str], int] = {}
    stored = 0
    result: dict[int, int] = {}
    for position, row in enumerate(history.rows):
        kind, process, message = row[1], row[2], row[8]
        known = holder.get(process, 0)
        if kind == SEND:
            in_message[message, "request"] = known
        elif kind == DELIVER:
            known |= in_message.get((message, "request"), 0)
        elif kind == BOOT:
            known |= stored
        elif kind == ACK:
            known |= in_message.get((message, "answer"), 0)
        elif kind in (LOG, LOGACK):
            stored |= known
        if position in marks:
            result[position] = known
            known |= marks[position]
        if kind in (APPLY, REJECT):
            in_message[message, "answer"] = in_message.get((message, "answer"), 0) | known
        holder[process] = known
    return result
