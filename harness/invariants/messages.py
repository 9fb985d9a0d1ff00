"""Invariants over messages: I40 (what is acknowledged is kept), I41 (every message is handled in the end)."""

from __future__ import annotations

from ..history import ALERT, CLIENT_ACK, DEAD_LETTER, KIND, LOGACK, LOST, MSG, PROCESS, PUBLISH, SAGA, SEND
from ..verdict import Violation
from .calls import MessageFacts
from .effects import leftovers, never_ends
from .facts import Facts, SagaFacts
from .registry import Checked, invariant

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
    harm="a saga can wait for ever for a message that was lost",
    holds_when="a saga that is left open waits for no message that was lost or given up",
    cause="a dead-letter queue that nobody empties, a handler that can never succeed, a webhook that is sent once and "
    "for which nobody asks when it does not come",
    repair="call a person to what is put aside and replay it, or ask the other side when a message does not come in "
    "time",
    nature="liveness",
    remembers=("ends", "effects", "people"),
    explains=("I2", "I3", "I10", "I13", "I16"),
)
def handled_in_the_end(facts: Facts) -> Checked:
    """At rest, after the final restart. A message that can be lost is no promise, and one in a dead-letter queue is in
    nobody's hand, unless its topic is declared ``replayed=True``: then an operator delivers it again when all else is
    at rest. A saga that was handed over to a person (I2) waits for none. That the saga is left open I2, I3 and I10 see
    as well."""
    if not facts.messages:
        return False, []
    lost = {row[MSG] for row in facts.history.rows if row[KIND] == LOST}
    found = []
    for message in facts.messages.values():
        saga = facts.sagas.get(message.saga)
        if message.handled or saga is None or not _open(facts, saga):
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
