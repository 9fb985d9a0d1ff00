"""Invariants over what is durable: I12 (write ahead), I13 (no zombie)."""

from __future__ import annotations

from typing import Final

from ..saga import COMPENSATION, FORWARD, split
from ..verdict import Violation
from .calls import CallFacts
from .effects import leftovers
from .facts import Facts, SagaFacts
from .parts import asks_for_all
from .registry import Checked, invariant

_CREATE: Final = ("create", "")
_COMPENSATING: Final = ("compensating", "")


@invariant(
    "I12",
    "write ahead",
    harm="a crash can lose the record of what was done",
    by_prefix=True,
    holds_when="a saga is durable before anything is done for it, an intent before its request, an outcome before the "
    "request that depends on it, and the decision to compensate before the first undo",
    cause="a record that is written after the act that it announces, or not at all",
    repair="write the record, wait until it is durable, then act",
    remembers=("begun", "durable", "answers", "ends"),
    explains=("I2", "I3", "I5", "I10", "I11", "I16"),
    source="Mohan et al., ARIES, 1992",
)
def write_ahead(facts: Facts) -> Checked:
    """Each rule applies where the adapter names that kind of record (create, intent, outcome,
    compensating); what it does not show is not judged. A refusal may be written down under a name of its own. Told
    once for each record. It explains no zombie: a record that was late is there when a crash comes after it, and one
    that never came is not judged here."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        kinds = {record for record, _ in saga.durable}
        if not kinds & {"create", "intent", "outcome", "compensating"}:
            continue
        sends = sorted(  # the first of each call: what was durable before it was durable before the others
            (at, step, direction)
            for (step, direction), call in saga.calls.items()
            if (at := _first_sent(facts, saga, step, direction, call)) >= 0
        )
        if sends:
            exercised = True
        late: set[tuple[str, str]] = set()
        for position, step, direction in sends:
            for due in _lacking(saga, kinds, step, direction, position):
                if due not in late:
                    late.add(due)
                    found.append(_not_yet(facts, saga, step, direction, *due, position))
        told = min(
            [at for at, _, to_client in saga.claims if to_client] + [saga.pending] * (saga.pending >= 0), default=-1
        )
        if -1 < told < saga.durable.get(_CREATE, -1) and _CREATE not in late:
            found.append(_told_too_early(saga, told))
    return exercised, found


def _first_sent(facts: Facts, saga: SagaFacts, step: str, direction: str, call: CallFacts) -> int:
    """Where the call was first asked for; -1: never. Who asks for a part of an amount, or takes out what the saga can
    complete without, need not have decided to roll back."""
    if not call.sends:
        return -1
    definition = saga.definition
    if direction == COMPENSATION and (step in definition.grouped or split(step)[0] in definition.needing_any):
        return -1
    if direction == COMPENSATION and step in saga.sums:
        return next((at for at, _, _ in call.sends if asks_for_all(facts, saga, step, at)), -1)
    return call.sends[0][0]


def _lacking(saga: SagaFacts, kinds: set[str], step: str, direction: str, position: int) -> list[tuple[str, str]]:
    """The (record, step) pairs that must be durable before such a request is sent there, and are not. Of a step that
    was undone by then no outcome is owed: what it had come to is no matter any more."""
    durable = saga.durable
    lacking = []
    if "create" in kinds and durable.get(_CREATE, position) >= position:
        lacking.append(_CREATE)
    if direction == COMPENSATION and "compensating" in kinds and durable.get(_COMPENSATING, position) >= position:
        lacking.append(_COMPENSATING)
    if direction != FORWARD:
        return lacking
    if "intent" in kinds and durable.get(("intent", step), position) >= position and step not in saga.children:
        lacking.append(("intent", step))  # a child has records of its own
    if "outcome" in kinds:
        for before in saga.definition.predecessors.get(step, ()):
            outcome = ("outcome", before)
            if durable.get(outcome, position) >= position and _owes_outcome(saga, before, position):
                lacking.append(outcome)
    return lacking


def _owes_outcome(saga: SagaFacts, step: str, position: int) -> bool:
    """True if what the step had come to must be durable before one after it is begun there."""
    if (step, FORWARD) not in saga.calls or step in saga.definition.grouped or step in saga.children:
        return False
    return not (_undone(saga, step, position) or _noted_refusal(saga, step, position))


def _undone(saga: SagaFacts, step: str, position: int) -> bool:
    """An undo of the step had been answered with success before that position."""
    undo = saga.calls.get((step, COMPENSATION))
    return undo is not None and undo.succeeded_before(position)


def _noted_refusal(saga: SagaFacts, step: str, position: int) -> bool:
    """The step had been refused before that position, and a record of another name than those that are known had told
    so: ``refused``, say."""
    refused = [at for at, answer in saga.calls[step, FORWARD].answers.values() if answer == "rejected"]
    named = (at for (record, about), at in saga.durable.items() if about == step and record not in _OPEN)
    return bool(refused) and any(min(refused) < at < position for at in named)


def _not_yet(
    facts: Facts, saga: SagaFacts, step: str, direction: str, record: str, about: str, position: int
) -> Violation:
    operation = facts.saga.operation(step, direction)
    what = f"{record} {about}".rstrip()
    return Violation(
        invariant="I12",
        anomaly=f"{record} not durable",
        sentence=f"{operation} for {saga.id} was sent before the record {what!r} was durable",
        expected=f"{what!r} durable, then {operation}",
        got=f"{operation} first",
        saga=saga.id,
        step=step,
        direction=direction,
        position=position,
    )


def _told_too_early(saga: SagaFacts, position: int) -> Violation:
    return Violation(
        invariant="I12",
        anomaly="create not durable",
        sentence=f"the client of {saga.id} was answered before the record 'create' was durable",
        expected="'create' durable, then the answer",
        got="the answer first",
        saga=saga.id,
        position=position,
    )


@invariant(
    "I13",
    "no zombie",
    harm="a crash can leave a saga half done, and nobody takes it up",
    holds_when="a saga that a crash interrupts is taken up again and driven to an end",
    cause="the saga lives in memory only, or recovery does not find it",
    repair="persist the saga's state, and on start resume or roll back everything that has no end",
    nature="liveness",
    remembers=("deaths", "effects", "people", "ends", "durable"),
    explains=("I2", "I3", "I5", "I10", "I11", "I16"),
)
def no_zombie(facts: Facts) -> Checked:
    """Judged on sagas that were in flight at the last crash. One that left no trace at all, neither an effect nor a
    record, was never accepted: nothing is lost. Who only asks participants about a saga, or only says that it is taken
    up, has not taken it up. The harness's own final restart is no crash, so what only that one
    interrupts is no zombie; and the sentence says that the orchestrator died only where it did."""
    if not facts.crashes:
        return False, ()
    exercised, found = False, []
    for saga in facts.sagas.values():
        crash = interrupted(facts, saga)
        if crash is None:
            continue
        exercised = True
        left = zombie_state(facts, saga, crash)
        if left is None:
            continue
        state = f"{' and '.join(left)} in effect" if left else "its record is durable, and nothing was done for it"
        found.append(
            Violation(
                invariant="I13",
                anomaly="zombie",
                sentence=f"{saga.id} was in flight when the orchestrator died, and {_since(saga, crash)}: {state}",
                expected="the saga resumed or rolled back",
                got=state,
                saga=saga.id,
                step=left[-1] if left else "",
                direction=FORWARD if left else "",
                position=crash,
            )
        )
    return exercised, found


def _since(saga: SagaFacts, crash: int) -> str:
    """Say what became of a zombie after the crash."""
    if any(at > crash for at in saga.adopted):
        return "nothing came of it when it was taken up again"
    return "after that it was only asked about" if saga.last_row > crash else "nobody took it up again"


def zombie_state(facts: Facts, saga: SagaFacts, crash: int) -> list[str] | None:
    """The steps that a saga has in effect which nobody took up after ``crash``, none where it is only durable;
    None where it was taken up, which is more than to ask about it or to say so, or had ended."""
    adopted = saga.last_work > crash or any(at > crash for at, _, _ in saga.claims)
    if adopted or any(record == "terminal" for record, _ in saga.durable):
        return None
    left = leftovers(facts, saga)
    return left if left or _recorded_only(saga) else None


def _recorded_only(saga: SagaFacts) -> bool:
    """Durable, and nothing came of it. After a record of another kind than these it may be over."""
    kinds = {record for record, _ in saga.durable}
    return "create" in kinds and kinds <= _OPEN and not any(call.effective for call in saga.calls.values())


_OPEN = frozenset({"create", "intent", "outcome", "compensating"})


def interrupted(facts: Facts, saga: SagaFacts) -> int | None:
    """The position of the last crash while the saga was open, or None."""
    ended = saga.claims[0][0] if saga.claims else len(facts.history.rows)
    open_crashes = [at for at, _ in facts.crashes if saga.submitted < at < ended]
    return open_crashes[-1] if saga.submitted >= 0 and open_crashes else None
