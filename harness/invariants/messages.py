"""Invariants over messages: I40 (what is acknowledged is kept), I41 (every message is handled in the end)."""

from __future__ import annotations

from collections.abc import Iterator

from ..history import (
    ALERT,
    CLIENT_ACK,
    DATA,
    DEAD_LETTER,
    KIND,
    LOGACK,
    LOST,
    MSG,
    OFTEN,
    PROCESS,
    PUBLISH,
    SAGA,
    SEND,
    WHY,
)
from ..verdict import Violation
from .calls import MessageFacts
from .effects import leftovers, never_ends
from .facts import Facts, SagaFacts
from .registry import Checked, Usual, invariant

_KEPT = frozenset({LOGACK, SEND, PUBLISH, ALERT, DEAD_LETTER, CLIENT_ACK})
"""What a handler may do of which something outlives it."""


@invariant(
    "I40",
    "acknowledged is kept",
    harm="a saga can wait for ever for a message that was acknowledged and not kept",
    holds_when="no saga is left waiting of which a message was acknowledged with nothing kept of it",
    cause="a consumer that acknowledges before its work is durable, or that drops what it does not expect yet",
    repair="return from receive when what follows is durable; where the saga is not as far as the message, raise, so "
    "that it comes again, or keep it for later",
    nature="liveness",
    remembers=("ends", "effects", "people"),
    explains=("I2", "I3", "I10", "I13", "I16"),
)
def acknowledged_is_kept(facts: Facts) -> Checked:
    """Judged on sagas whose clients were told to wait: what came of the message died with the process that had
    acknowledged it, or nothing did. That the saga is left open I2, I3 and I10 see as well; this says which message it
    waits for in vain."""
    exercised, found = False, []
    for message in facts.messages.values():
        if not message.handled:
            continue
        exercised = True
        saga = facts.sagas.get(message.saga)
        if saga is None or not _waits(facts, saga) or _kept(facts, message):
            continue
        died = any(at > message.handled[-1] for at, _ in facts.crashes)
        found.append(
            Violation(
                invariant="I40",
                anomaly="acknowledged and lost",
                sentence=f"the message {message.topic!r} for {saga.id} was acknowledged, nothing of it was kept, "
                f"{'its process died, ' if died else ''}and {saga.id} is left open",
                expected="an acknowledgement when what follows is durable",
                got="an acknowledgement, and nothing durable before it",
                saga=saga.id,
                position=message.handled[-1],
            )
        )
    return exercised, found


@invariant(
    "I41",
    "handled in the end",
    harm="a saga can wait for ever for a message that was lost, or a message come again for ever",
    holds_when="a saga that is left open waits for no message that was lost or given up; none comes again for ever",
    cause="a dead-letter queue that nobody empties, a handler that can never succeed, a webhook that is sent once and "
    "for which nobody asks when it does not come",
    repair="call a person to what is put aside and replay it, or ask the other side when a message does not come in "
    "time",
    nature="liveness",
    remembers=("ends", "effects", "people"),
    explains=("I2", "I3", "I10", "I13", "I16"),
    apart={
        "comes for ever": Usual(
            cause="a handler that raises where the message can never be handled: its saga was refused, or is over",
            repair="raise only where the message is early, and return where it changes nothing any more; bound how "
            "often it comes, by Topic(max_deliveries=20)",
        )
    },
)
def handled_in_the_end(facts: Facts) -> Checked:
    """At rest, after the final restart. A message that can be lost is no promise, and one in a dead-letter queue is in
    nobody's hand, unless its topic is declared ``replayed=True``: then an operator delivers it again when all else is
    at rest. A saga that was handed over to a person (I2) waits for none. A message that comes again and again, and that
    nobody can handle, is told whatever became of its saga. That the saga is left open I2, I3 and I10 see
    as well."""
    if not facts.messages:
        return False, []
    lost = {row[MSG] for row in facts.history.rows if row[KIND] == LOST}
    found: list[Violation] = []
    for message in facts.messages.values():
        saga = facts.sagas.get(message.saga)
        if message.handled or saga is None:
            continue
        if not _open(facts, saga):
            found += _comes_for_ever(facts, saga, message)
            continue
        if message.parked >= 0:
            became, at = "went to the dead-letter queue", message.parked
        elif message.failed:
            became, at = f"could not be handled {_times(len(message.failed))}", message.failed[-1]
        elif message.number in lost and not message.received:
            became, at = "was lost", message.published
        else:
            continue
        found.append(
            Violation(
                invariant="I41",
                anomaly="message never handled",
                sentence=f"the message {message.topic!r} for {saga.id} {became}, nobody was called, and {saga.id} is "
                f"left open",
                expected="the message handled, or a person called, or an end without it",
                got="neither",
                saga=saga.id,
                position=at,
            )
        )
    return True, found


def _comes_for_ever(facts: Facts, saga: SagaFacts, message: MessageFacts) -> Iterator[Violation]:
    """A message of a saga that is over, which was never handled and comes again at rest. A saga of which no end was
    told may never have been accepted."""
    if not message.failed or message.parked >= 0 or len(message.failed) < OFTEN or saga.dead or not saga.claims:
        return
    error = facts.history.rows[message.failed[-1]][DATA][WHY]
    yield Violation(
        invariant="I41",
        anomaly="comes for ever",
        sentence=f"the message {message.topic!r} for {saga.id} comes again for ever: it could not be handled "
        f"{_times(len(message.failed))}, and nobody takes it out; the last time: {error}",
        expected="the message handled, or put aside",
        got="it comes again",
        saga=saga.id,
        position=message.failed[-1],
    )


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _open(facts: Facts, saga: SagaFacts) -> bool:
    return bool(leftovers(facts, saga)) or never_ends(facts, saga)


def _waits(facts: Facts, saga: SagaFacts) -> bool:
    """True if it is open, and its client was told to wait."""
    return saga.pending >= 0 and not saga.claims and _open(facts, saga)


def _kept(facts: Facts, message: MessageFacts) -> bool:
    """True if something outlives one of the handlings that ended."""
    rows = facts.history.rows
    for received, process, _ in message.received:
        ended = next((at for at in message.handled if at > received and rows[at][PROCESS] == process), -1)
        for row in rows[received:ended] if ended >= 0 else ():
            if row[KIND] in _KEPT and row[SAGA] == message.saga and row[PROCESS] in (process, "client"):
                return True
    return False
