"""Invariants over outcomes that nobody knows: I6 (ambiguity is sticky), I10 (pivot)."""

from __future__ import annotations

from collections.abc import Iterator

from ..history import PROCESS
from ..saga import COMPENSATION, FORWARD, Step
from ..verdict import Violation
from .calls import CallFacts
from .facts import COMPENSATED, COMPLETED, Facts, SagaFacts
from .knowledge import knew
from .order import acted_to_the_end
from .parts import complete_without
from .registry import Checked, Usual, invariant


@invariant(
    "I6",
    "ambiguity is sticky",
    harm="a saga can build on a step of which nobody knows the outcome",
    by_prefix=True,
    holds_when="after an unknown outcome nothing but the same key again, a query or the undo settles the step: no "
    "later refusal under another key does, and nothing is built on it before",
    cause="a request of unknown outcome is taken for done, or for failed; or a later attempt without the key is "
    "refused and speaks for the first",
    repair="ask again under the same key until the answer is definite, or undo the step; go on only after that",
    remembers=("begun", "attempts", "answers", "effects", "people"),
    explains=("I2", "I3", "I5", "I15", "I16", "I17", "I23"),
)
def ambiguity_is_sticky(facts: Facts) -> Checked:
    """A timeout, an error or a crash leaves an outcome unknown. An answer of no or of yes under the same key settles
    it, also where the answer changed nothing. That the saga then simply ends is I5's; a retry under another key is
    I1's, where it takes effect again. Needed: who goes on after a timeout and asks again at the very end leaves nothing
    else to be seen."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        for step in saga.definition.steps:
            call = saga.calls.get((step.name, FORWARD))
            if call is None or not call.sends:
                continue
            if not (call.given_up or facts.deaths or any(answer == "error" for _, answer in call.answers.values())):
                continue
            unknown = _first_unknown(facts, call)
            if unknown < 0:
                continue
            exercised = True
            built = _built_on(facts, saga, step, call, unknown)
            if built is not None:
                found.append(built)
            elif _erased(saga, step, call):
                found.append(_speaks_for_all(facts, saga, step))
    return exercised, found


def _may_know(facts: Facts, learnt: int, at: int) -> bool:
    """True if it `knew`, or if the system hides its writes: then what one process learnt may have been kept for all."""
    return bool(facts.history.declared.get("hidden_writes")) or knew(facts, learnt, at)


def _first_unknown(facts: Facts, call: CallFacts) -> int:
    """Where an attempt's outcome became unknown for the first time: it was given up, answered with an
    error, or its sender died; -1 where none did."""
    found = list(call.given_up.values())
    found += [at for at, answer in call.answers.values() if answer == "error"]
    if facts.deaths:
        for sent, message, _ in call.sends:
            if message not in call.answers and message not in call.given_up:
                sender = facts.history.rows[sent][PROCESS]
                found += [at for at, process in facts.deaths if process == sender and at > sent]
    return min(found, default=-1)


def _built_on(facts: Facts, saga: SagaFacts, step: Step, call: CallFacts, unknown: int) -> Violation | None:
    """The first request of a step that comes after ``step``, sent while its outcome was unknown."""
    for after in saga.definition.steps:
        later = saga.calls.get((after.name, FORWARD))
        if later is None or not later.sends or step.name not in saga.definition.predecessors[after.name]:
            continue
        sent = later.sends[0][0]
        if sent < unknown or sent < call.sends[0][0] or step.participant in saga.asked:
            continue
        if any(at < sent and answer != "error" and _may_know(facts, at, sent) for at, answer in call.answers.values()):
            continue
        undo = saga.calls.get((step.name, COMPENSATION))
        if undo is not None and undo.succeeded_before(sent):
            continue  # it was left out, or undone: what the saga then goes on to do is no matter of the unknown
        return Violation(
            invariant="I6",
            anomaly="unknown taken for success",
            sentence=f"{after.does} for {saga.id} was sent although nobody knew whether {step.does} had taken effect",
            expected=f"a definite answer to {step.does} first",
            got=f"{after.does} without one",
            saga=saga.id,
            step=after.name,
            direction=FORWARD,
            position=sent,
        )
    return None


def _erased(saga: SagaFacts, step: Step, call: CallFacts) -> bool:
    """An attempt is unknown, and no other one under its key was answered; a later one under another key, or none, was
    refused, and with that the saga calls itself compensated."""
    if step.undo is None or (step.name, COMPENSATION) in saga.calls or step.name in saga.dead or "" in saga.dead:
        return False
    if not any(outcome == COMPENSATED for _, outcome, _ in saga.claims) or not saga.in_doubt(step):
        return False
    came_to = [(sent, key, call.answers.get(message, (0, "error"))[1]) for sent, message, key in call.sends]
    known = {key for _, key, answer in came_to if answer != "error"} - {None}
    refused = [sent for sent, _, answer in came_to if answer == "rejected"]
    return any(
        answer == "error" and key not in known and any(at > sent for at in refused) for sent, key, answer in came_to
    )


def _speaks_for_all(facts: Facts, saga: SagaFacts, step: Step) -> Violation:
    claim = next(at for at, outcome, _ in saga.claims if outcome == COMPENSATED)
    return Violation(
        invariant="I6",
        anomaly="refusal of another attempt",
        sentence=f"{step.does} for {saga.id} may have taken effect; a later attempt that does not share its key "
        f"was refused, and with that the saga was called compensated",
        expected=f"{step.undo}, or the answer to the first attempt's key",
        got="the refusal of another attempt",
        saga=saga.id,
        step=step.name,
        direction=FORWARD,
        position=claim,
    )


@invariant(
    "I10",
    "pivot",
    harm="a saga can be rolled back after its pivot, or stop there",
    holds_when="after the pivot nothing up to it is undone and every later step is carried through; while its outcome "
    "is unknown nothing is undone either",
    cause="a lost answer of the pivot is taken for its failure, or a step after it is given up",
    repair="ask the pivot again under its key until the answer is definite, and retry every later step until it works",
    nature="both",
    remembers=("begun", "attempts", "answers", "effects", "people", "deaths"),
    explains=("I2", "I3", "I5", "I16"),
    apart={
        "not carried through": Usual(
            cause="a step after the pivot is given up, or what was to bring it about is lost: a message, a timer, a "
            "record that another write has overwritten",
            repair="retry every step after the pivot until it works; where it cannot, put it aside and call a person",
        )
    },
    source="Frank & Zahle, Semantic ACID properties in multidatabases, 1998",
)
def pivot(facts: Facts) -> Checked:
    """Not carried through: at rest, after the final restart, a later step is neither in effect nor in a person's hands.
    Where the pivot is in a person's hands, undos are for that person to decide. What a saga is completed without may be
    given back: a line of which one is enough, an optional step, a part of an amount, what is left of a hold. The other
    half of the freeze, no step forward while the pivot is unknown, is I6's. Needed: a saga that undoes everything, its
    pivot too, satisfies all the others."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        for step in saga.definition.steps:
            if not step.pivot:
                continue
            call = saga.calls.get((step.name, FORWARD))
            if call is None or not call.sends:
                continue
            exercised = True
            undone = _undone_after(facts, saga, step, call)
            if undone is not None:
                found.append(undone)
            elif call.effective and acted_to_the_end(facts, saga):
                found.extend(_not_carried_through(facts, saga, step))
    return exercised, found


def _undone_after(facts: Facts, saga: SagaFacts, step: Step, call: CallFacts) -> Violation | None:
    """The first undo at or before the pivot that was sent when the pivot had, or may have, taken effect."""
    taken = call.effective[0][0] if call.effective else -1
    kept = saga.definition.ancestors[step.name] | {step.name}
    sends = sorted((undo.sends[0][0], name) for name, undo in saga.back.items() if name in kept and undo.sends)
    for sent, name in sends:
        if step.name in saga.dead or "" in saga.dead:
            return None  # a person decides
        known = -1 < taken < sent
        if complete_without(saga, name) if known else not _may_have(facts, saga, step, call, sent):
            continue
        first = facts.saga.operation(name, COMPENSATION)
        return Violation(
            invariant="I10",
            anomaly="undo after the pivot" if known else "undo while the pivot is unknown",
            sentence=f"{first} for {saga.id} was sent although {step.does}, the pivot, "
            f"{'had' if known else 'may have'} taken effect",
            expected="every later step, and no undo" if known else f"a definite answer to {step.does}",
            got=first,
            saga=saga.id,
            step=name,
            direction=COMPENSATION,
            position=sent,
        )
    return None


def _may_have(facts: Facts, saga: SagaFacts, step: Step, call: CallFacts, at: int) -> bool:
    """At ``at`` an attempt of the pivot is unknown, and no definite answer that its sender can know
    speaks for all attempts."""
    if not -1 < _first_unknown(facts, call) < at or step.participant in saga.asked:
        return False
    before = [(message, key) for sent, message, key in call.sends if sent < at]
    refused = {
        call.told.get(message, message)
        for message, (learnt, answer) in call.answers.items()
        if answer == "rejected" and learnt < at and _may_know(facts, learnt, at)
    }
    keys = {key for message, key in before if message in refused and key is not None}
    return not all(message in refused or key in keys for message, key in before)


def _not_carried_through(facts: Facts, saga: SagaFacts, step: Step) -> Iterator[Violation]:
    if saga.net(step.name) <= 0 or any(outcome == COMPLETED for _, outcome, _ in saga.claims):
        return
    missing = saga.missing()
    for later in saga.definition.steps:
        if step.name in saga.definition.ancestors[later.name] and later.name in missing:
            if saga.handed_over(later.name):
                continue
            yield Violation(
                invariant="I10",
                anomaly="not carried through",
                sentence=f"{step.does}, the pivot of {saga.id}, took effect, and {later.does} never did",
                expected=f"{later.does} in effect, or put aside with an alert",
                got="given up" if (later.name, FORWARD) in saga.calls else "never asked for",
                saga=saga.id,
                step=later.name,
                direction=FORWARD,
            )
