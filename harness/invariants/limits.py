"""Invariants over what an adapter promises in numbers: I20 (bounded retries), I21 (deadline)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..definitions import parent_of
from ..history import (
    ALERT,
    BOOT,
    CRASH,
    DATA,
    DEAD_LETTER,
    DIRECTION,
    FOR_MS,
    KIND,
    OPERATION,
    PAUSE,
    PROCESS,
    SAGA,
    SEND,
    STEP,
    T_US,
)
from ..saga import COMPENSATION, split
from ..verdict import Violation
from .calls import CallFacts
from .effects import leftovers
from .facts import COMPENSATED, COMPLETED, Facts, SagaFacts
from .registry import Checked, invariant


@invariant(
    "I20",
    "bounded retries",
    harm="{what} can be asked for too often, or too soon",
    by_prefix=True,
    holds_when="a step is asked for no more often than declared, over all restarts, and not sooner after a failure",
    cause="attempts that are counted in memory, so that each crash starts anew, or a loop that does not wait",
    repair="keep the number of attempts in the saga's record, and wait before each further one",
    remembers=("counts",),
)
def bounded_retries(facts: Facts) -> Checked:
    """Judged where the adapter declares ``max_attempts`` or ``min_backoff_ms``. The wait is judged within one
    incarnation, from the end of an attempt to the next. Needed: too many attempts with a key do no harm that
    shows."""
    declared = facts.history.declared
    limit: Any = declared.get("max_attempts")
    gap: Any = declared.get("min_backoff_ms")
    if limit is None and gap is None:
        return False, ()
    exercised, found = False, []
    for saga in facts.sagas.values():
        for (step, direction), call in saga.calls.items():
            operation = facts.saga.operation(step, direction)
            most = limit.get(split(operation)[0]) if isinstance(limit, Mapping) else limit
            exercised = exercised or len(call.sends) > 1
            if most is not None and len(call.sends) > most:
                found.append(
                    Violation(
                        invariant="I20",
                        anomaly="too many attempts",
                        sentence=f"{operation} for {saga.id} was asked {len(call.sends)} times; {most} is the limit",
                        expected=f"at most {most} attempts",
                        got=f"{len(call.sends)}",
                        saga=saga.id,
                        step=step,
                        direction=direction,
                        position=call.sends[most][0],
                    )
                )
            hasty = _too_soon(facts, call, gap) if gap is not None else None
            if hasty is not None:
                position, waited_ms = hasty
                found.append(
                    Violation(
                        invariant="I20",
                        anomaly="no backoff",
                        sentence=f"{operation} for {saga.id} was asked again after {waited_ms:g} ms; "
                        f"{gap:g} ms is the least",
                        expected=f"{gap:g} ms between attempts",
                        got=f"{waited_ms:g} ms",
                        saga=saga.id,
                        step=step,
                        direction=direction,
                        position=position,
                    )
                )
    return exercised, found


def _too_soon(facts: Facts, call: CallFacts, gap_ms: float) -> tuple[int, float] | None:
    """(position, wait in ms) of the first attempt that follows the end of another one too closely."""
    rows = facts.history.rows
    for (_, before, _), (sent, _, _) in zip(call.sends, call.sends[1:], strict=False):
        ended = call.given_up.get(before, call.answers.get(before, (-1, ""))[0])
        if ended < 0 or ended > sent or rows[ended][PROCESS] != rows[sent][PROCESS]:
            continue
        waited_ms = (rows[sent][T_US] - rows[ended][T_US]) / 1000
        if waited_ms < gap_ms:
            return sent, waited_ms
    return None


@invariant(
    "I21",
    "deadline",
    harm="a saga can miss its deadline",
    holds_when="a saga is over, or in a person's hands, by its deadline, and a timer that fires later does nothing",
    cause="the deadline is kept in memory or by a clock that can be set, or its timer is not checked against the state",
    repair="keep the deadline durably, look at it wherever the saga is taken up, and let the timer act only on an open "
    "saga",
    nature="both",
    remembers=("ends", "effects", "people"),
    explains=("I2", "I3", "I5", "I11", "I15", "I16"),
)
def deadline(facts: Facts) -> Checked:
    """Judged where the adapter declares ``deadline_ms``, from the client's request on. The grace is one call that is
    under way, and the time in which no orchestrator ran. An alert or a dead letter puts the saga into a person's hands.
    A child has no deadline of its own. Needed: a saga that ends too late ends well."""
    declared = facts.history.declared
    within: Any = declared.get("deadline_ms")
    if within is None:
        return False, ()
    grace: Any = declared.get("call_timeout_ms", 0)
    exercised, found = False, []
    rows = facts.history.rows
    for saga in facts.sagas.values():
        if saga.submitted < 0 or parent_of(saga.id):
            continue
        exercised = True
        due_us = rows[saga.submitted][T_US] + within * 1000
        settled = _settled(facts, saga)
        latest_us = due_us + grace * 1000 + _blackout_us(facts, rows[saga.submitted][T_US])
        late = rows[settled][T_US] > latest_us if settled >= 0 else rows[-1][T_US] > latest_us or bool(facts.end)
        if late and (settled >= 0 or leftovers(facts, saga)):
            found.append(_too_late(saga, settled, within))
        stale = _stale_timer(facts, saga, due_us)
        if stale >= 0:
            found.append(_acts(facts, saga, stale))
    return exercised, found


def _settled(facts: Facts, saga: SagaFacts) -> int:
    """Where the saga was over, or a person was called; -1: never."""
    ends = [saga.claims[0][0]] if saga.claims else []
    return min([*ends, *saga.dead.values(), *saga.alerts.values()], default=-1)


def _blackout_us(facts: Facts, since_us: int) -> int:
    """For how long after ``since_us`` no orchestrator ran: between a crash and the next start, and in pauses."""
    total, down_us, living = 0, -1, set[str]()
    for row in facts.history.rows:
        if row[KIND] == BOOT:
            living.add(row[PROCESS])
            if down_us >= 0:
                total += max(row[T_US] - max(down_us, since_us), 0)
            down_us = -1
        elif row[KIND] == CRASH:
            living.discard(row[PROCESS])
            down_us = row[T_US] if not living else -1
        elif row[KIND] == PAUSE:
            total += int(row[DATA][FOR_MS] * 1000)
    return total


def _stale_timer(facts: Facts, saga: SagaFacts, due_us: float) -> int:
    """The first thing that a deadline's timer would do, done when the saga was over; -1: nothing."""
    over = next(((at, outcome) for at, outcome, _ in saga.claims if outcome in (COMPLETED, COMPENSATED)), None)
    if over is None:
        return -1
    rows = facts.history.rows
    for position in range(over[0] + 1, len(rows)):
        row = rows[position]
        if row[SAGA] != saga.id or row[T_US] < due_us or row[PROCESS] in facts.actors:
            continue
        undoes = row[KIND] == SEND and row[DIRECTION] == COMPENSATION and over[1] == COMPLETED
        if row[KIND] in (DEAD_LETTER, ALERT) or undoes:
            return position
    return -1


def _too_late(saga: SagaFacts, settled: int, within: float) -> Violation:
    when = "too late" if settled >= 0 else "never"
    return Violation(
        invariant="I21",
        anomaly="past its deadline",
        sentence=f"{saga.id} was to be over, or in a person's hands, within {within:g} ms; it was so {when}",
        expected=f"an end, or an alert, within {within:g} ms",
        got=when,
        saga=saga.id,
        position=settled,
    )


def _acts(facts: Facts, saga: SagaFacts, position: int) -> Violation:
    row = facts.history.rows[position]
    what = row[DATA][OPERATION] if row[KIND] == SEND else row[KIND].lower().replace("_", " ")
    return Violation(
        invariant="I21",
        anomaly="stale timer",
        sentence=f"after its deadline, and after its end, there was {what} for {saga.id}",
        expected="nothing",
        got=str(what),
        saga=saga.id,
        step=row[STEP],
        direction=row[DIRECTION],
        position=position,
    )
