"""Invariants over how participants handle an undo: I7, I8, I9, and over what it undoes: I19."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..history import APPLY, DATA, INJECTED, KEY, KIND, MSG, PAYLOAD, REASON, RECEIPT, T_US, Row
from ..saga import COMPENSATION, FORWARD
from ..verdict import Violation
from .calls import CallFacts
from .effects import binds, redone
from .facts import COMPENSATED, COMPLETED, Facts, SagaFacts
from .order import returned, rolled_back_to_the_end
from .parts import spelled
from .registry import Checked, Usual, invariant


@invariant(
    "I7",
    "null compensation",
    harm="an undo that comes before its step can do harm, or let the step through later",
    by_prefix=True,
    holds_when="an undo that comes before its step succeeds, changes nothing, and bars the step from then on",
    cause="the participant looks for what is to be undone, finds nothing, and fails or forgets the request",
    repair="answer such an undo with success, and leave a tombstone under its key in the same transaction",
    remembers=("requests", "effects"),
    explains=("I1", "I2", "I3", "I8", "I11", "I15", "I16", "I17"),
    apart={
        "effect of a null undo": Usual(
            cause="the participant gives back what it is told to, without a look at whether it was taken",
            repair="undo the row that the step made; where there is none, change nothing, answer with success, and "
            "leave a tombstone under its key",
        ),
        "no tombstone": Usual(
            cause="the participant answers an undo of what it has not done, and keeps no mark of it",
            repair="leave a tombstone under the key in the transaction that answers the undo, and refuse the step "
            "where one is",
        ),
    },
    source="empty rollback of TCC frameworks (Seata, dtm)",
)
def null_compensation(facts: Facts) -> Checked:
    """Judged where the participant handled an undo before it had applied the step. Whether it left a
    tombstone shows when the step comes later, with a key. A definite refusal is an answer as well."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        for step, undo in saga.back.items():
            forward = saga.calls.get((step, FORWARD))
            if forward is None or not forward.sends:
                continue  # never begun: I5's
            first = forward.effective[0][0] if forward.effective else len(facts.history.rows)
            handled = _first_handled(facts, undo)
            if not -1 < handled < first:
                continue
            exercised = True
            broken = _null_undo(facts, saga, step, undo, forward, first)
            if broken is not None:
                found.append(broken)
    return exercised, found


def _first_handled(facts: Facts, call: CallFacts) -> int:
    """Where the participant itself answered for the first time, whatever it said; -1: never."""
    found = call.refusals[:1] + [at for at in call.errors if facts.history.rows[at][DATA][REASON] not in INJECTED][:1]
    return min([*found, call.applied] if call.applied >= 0 else found, default=-1)


_GOT: Final[Mapping[str, str]] = {
    "effect of a null undo": "a change of state",
    "null undo fails": "a failure",
    "no tombstone": "no tombstone",
}


def _null_undo(
    facts: Facts, saga: SagaFacts, step: str, undo: CallFacts, forward: CallFacts, first: int
) -> Violation | None:
    rows = facts.history.rows
    operation, name = facts.saga.operation(step, COMPENSATION), facts.saga.operation(step, FORWARD)
    early = [at for at, _, owner in undo.effective if at < first and owner in (saga.id, None)]
    answered = undo.applied >= 0 or undo.refusals  # sooner or later; until then it may be asked to come again
    failed = [at for at in undo.errors if at < first and rows[at][DATA][REASON] not in INJECTED and not answered]
    barred = [at for at in (undo.applied, *undo.refusals[:1]) if -1 < at < first and rows[at][KEY] is not None]
    if early:
        anomaly, at = "effect of a null undo", early[0]
        sentence = f"{operation} for {saga.id} changed state although {name} had not taken effect"
    elif failed:
        anomaly, at = "null undo fails", failed[0]
        sentence = f"{operation} for {saga.id}, whose {name} had not taken effect, failed: {rows[at][DATA][REASON]}"
    elif (
        barred and forward.effective and forward.effective[0][1] is not None and first not in redone(facts, saga, step)
    ):
        anomaly, at = "no tombstone", first
        sentence = f"{name} for {saga.id} took effect although {operation} had been carried out before"
    else:
        return None
    return Violation(
        invariant="I7",
        anomaly=anomaly,
        sentence=sentence,
        expected="success, no effect, and a tombstone",
        got=_GOT[anomaly],
        saga=saga.id,
        step=step,
        direction=FORWARD if anomaly == "no tombstone" else COMPENSATION,
        position=at,
    )


@invariant(
    "I8",
    "no hanging",
    harm="{what} can take effect after it was undone",
    by_prefix=True,
    holds_when="after a step's undo was answered the step takes no effect any more, and is not told to have succeeded",
    cause="a request that was slow arrives after its undo, and nothing there tells it from a new one",
    repair="give step and undo keys that belong together, and let the participant refuse a step after its undo",
    remembers=("answers", "effects", "people"),
    explains=("I2", "I3", "I15", "I16", "I17", "I23"),
    source="suspension of TCC frameworks (Seata, dtm)",
)
def no_hanging(facts: Facts) -> Checked:
    """By the step, whatever the keys. A step that had taken effect before and does so again is told as I1; one that is
    asked for anew by who knows that it was undone is not late. To
    answer again as before is no lie; to say "ok" to what was never applied is one, and to what was undone where the
    saga then builds on it: it is called completed, or a later step stays in effect."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        for step, undo in saga.back.items():
            if undo.applied < 0:
                continue
            forward = saga.calls.get((step, FORWARD))
            if forward is None:
                continue
            exercised = True
            late = [at for at, _, _ in forward.effective if at > undo.applied]
            late = [at for at in late if at not in redone(facts, saga, step)] if late else late
            lie = forward.applied > undo.applied and not forward.effective and forward.answered_ok is not None
            if late or lie:
                found.append(_hanging(facts, saga, step, late[0] if late else forward.applied, bool(late)))
            elif (again := _believed_again(facts, saga, step, forward, undo)) >= 0:
                found.append(_hanging(facts, saga, step, again, False))
    return exercised, found


def _believed_again(facts: Facts, saga: SagaFacts, step: str, forward: CallFacts, undo: CallFacts) -> int:
    """Where the participant said "ok" to a request for a step that it had undone, and the saga built on that; -1: it
    did not."""
    if not undo.effective or saga.done(step):
        return -1
    rows, undone = facts.history.rows, undo.effective[-1][0]
    if not any(at > undone and answer == "ok" for at, answer in forward.answers.values()):
        return -1
    call = (saga.id, step, FORWARD)
    for position in range(undone + 1, len(rows)):
        row = rows[position]
        if row[KIND] != APPLY or row[3:6] != call:
            continue
        told, answer = forward.answers.get(row[MSG], (-1, ""))
        if answer == "ok" and _builds_on(facts, saga, step, told):
            request = (APPLY, *call, row[MSG])
            if any((each[KIND], *each[3:6], each[MSG]) == request for each in rows[:position]):
                continue  # it had been handled before, and was delivered again
            return position
    return -1


def _builds_on(facts: Facts, saga: SagaFacts, step: str, told: int) -> bool:
    """After ``told`` the saga was called completed, or a step that comes after this one stays in effect."""
    if any(at > told and outcome == COMPLETED for at, outcome, _ in saga.claims):
        return True
    definition = saga.definition
    later = (each for each in definition.steps if step in definition.ancestors[each.name])
    return any(binds(each) and saga.net(each.name) > 0 and not saga.handed_over(each.name) for each in later)


def _hanging(facts: Facts, saga: SagaFacts, step: str, position: int, effect: bool) -> Violation:
    name, undo = facts.saga.operation(step, FORWARD), facts.saga.operation(step, COMPENSATION)
    what = "took effect" if effect else "was answered with success, and without effect,"
    return Violation(
        invariant="I8",
        anomaly="hanging effect" if effect else "late success",
        sentence=f"{name} for {saga.id}{facts.hand(position)} {what} after {undo} had been carried out",
        expected=f"{name} refused",
        got="an effect" if effect else "success",
        saga=saga.id,
        step=step,
        direction=FORWARD,
        position=position,
    )


@invariant(
    "I9",
    "compensation algebra",
    harm="repeats and undos can leave {what} in a wrong state",
    by_prefix=True,
    holds_when="on a participant's state a step done twice is the step, an undo done twice is the undo, a step after "
    "its undo is the undo, and an undo after its step is nothing",
    cause="a participant that does not remember the key of an undo, or undoes by an amount instead of by a row",
    repair="remember each key in the transaction that applies it, and undo exactly the row that the key made",
    remembers=("requests", "effects"),
    explains=("I1", "I2", "I3", "I15", "I16", "I17", "I18"),
    source="Steno's unwind tests; TCC practice",
)
def compensation_algebra(facts: Facts) -> Checked:
    """All four laws are tested on participants directly, by `sagafuzz.exploration.algebra.check_algebra`. In a
    history an undo that changed state again under one key breaks them; a step that did is I1's, one after
    its undo I7's and I8's. A key that was forgotten as late as its retention allows is I1's too."""
    exercised, found = False, []
    retention = facts.history.declared.get("key_retention_ms")
    for saga in facts.sagas.values():
        for step, call in saga.back.items():
            if call.deliveries < 2 or call.applied < 0:
                continue
            exercised = exercised or any(key is not None for _, _, key in call.sends)
            forward = saga.calls.get((step, FORWARD))
            allowed = max(1, len(forward.effective) if forward is not None else 0)
            if len(call.effective) <= allowed:
                continue
            again = _same_key(facts, call, retention if isinstance(retention, (int, float)) else None)
            if again >= 0:
                operation = facts.saga.operation(step, COMPENSATION)
                key = facts.history.rows[again][KEY]
                found.append(
                    Violation(
                        invariant="I9",
                        anomaly="undo takes effect again",
                        sentence=f"{operation} for {saga.id} changed state again under the key {key!r}",
                        expected="one effect for each key",
                        got=f"{len(call.effective)} effects",
                        saga=saga.id,
                        step=step,
                        direction=COMPENSATION,
                        position=again,
                    )
                )
    return exercised, found


def _same_key(facts: Facts, call: CallFacts, retention_ms: float | None) -> int:
    """The first effect under a key that had one before, and should be known still; -1: none."""
    rows = facts.history.rows
    seen: dict[str, int] = {}
    for at, key, _ in call.effective:
        if key is not None and key in seen:
            if retention_ms is None or rows[at][T_US] - rows[seen[key]][0] <= retention_ms * 1000:
                return at
        elif key is not None:
            seen[key] = at
    return -1


@invariant(
    "I19",
    "data",
    harm="an undo can give back something else than its step took",
    by_prefix=True,
    holds_when="an undo names what its step took: the same amounts, be it in parts that add up, and the id that the "
    "step was answered with",
    cause="the undo is computed anew from the order, or from another saga's answer",
    repair="keep the answer of each step durably, and build the undo from it",
    remembers=("requests", "effects"),
    explains=("I2", "I3", "I5", "I11", "I16", "I17", "I18"),
)
def data(facts: Facts) -> Checked:
    """Numbers by the names that both payloads share, or that an order has ("amount", "quantity"); where the
    answer tells the amount, that counts. A name whose value changes from attempt to attempt is no data. Of ids,
    only one that belongs to another saga is wrong beyond doubt. Where the step has an amount, its undos are judged
    together, when all of them were answered and the rollback has ended."""
    exercised, found = False, []
    envelope: Any = facts.history.declared.get("envelope", ())
    for saga in facts.sagas.values():
        for step, undo in saga.back.items():
            if not undo.sends or step in saga.children:
                continue
            forward = saga.calls.get((step, FORWARD))
            if forward is None or not forward.effective:
                continue
            taken: dict[str, set[Any]] | None = None
            for position, _, _ in undo.sends:
                payload = facts.history.rows[position][DATA][PAYLOAD]
                if not payload or position < forward.effective[0][0]:
                    continue
                exercised = True
                if _the_same(facts, forward, payload):
                    continue
                taken = taken or _taken(facts, forward)
                summed = saga.definition.by_name[step].amount if step in saga.sums else None
                judged = {name: value for name, value in payload if name != summed and name not in envelope}
                wrong = _wrong(facts, saga, step, judged, taken)
                if wrong is not None:
                    found.append(_other_data(facts, saga, step, position, *wrong))
                    break
        found.extend(_does_not_add_up(facts, saga))
    return exercised, found


def _does_not_add_up(facts: Facts, saga: SagaFacts) -> Iterator[Violation]:
    """Undos that give back a part of what the step took, and no more will come. A saga that is in effect otherwise may
    have given a part back for good."""
    if not saga.sums or not saga.missing():
        return
    for step, total in saga.sums.items():
        undo = saga.calls.get((step, COMPENSATION))
        if undo is None or total.left <= 0 or saga.handed_over(step) or not (total.given or undo.refusals):
            continue
        ended = any(outcome == COMPENSATED for _, outcome, _ in saga.claims)
        ended = ended or (rolled_back_to_the_end(facts, saga) and not returned(saga))
        if saga.net(step) > 0 and undo.definitely_answered and ended:
            took, gave = spelled(total.taken), spelled(total.given)
            operation = facts.saga.operation(step, COMPENSATION)
            yield Violation(
                invariant="I19",
                anomaly="parts do not add up",
                sentence=f"{operation} gave back {gave} for {saga.id} in all, and "
                f"{facts.saga.operation(step, FORWARD)} took {took}",
                expected=f"{took} given back",
                got=gave,
                saga=saga.id,
                step=step,
                direction=COMPENSATION,
                position=undo.sends[-1][0],
            )


def _the_same(facts: Facts, forward: CallFacts, payload: tuple[tuple[str, Any], ...]) -> bool:
    """The usual case, told quickly: the undo says what every attempt said, and no answer says otherwise."""
    rows = facts.history.rows
    if any(rows[at][DATA][PAYLOAD] != payload for at, _, _ in forward.sends):
        return False
    return not any(
        name == known and value != answered
        for at, _, _ in forward.effective
        if len(rows[at][DATA]) > RECEIPT
        for known, answered in rows[at][DATA][RECEIPT]
        for name, value in payload
    )


_ORDERED = ("amount", "quantity")


def _taken(facts: Facts, forward: CallFacts) -> dict[str, set[Any]]:
    """What the effective attempts took, by name: as asked, or as answered where the answer says so."""
    rows = facts.history.rows
    payloads = [dict(rows[at][DATA][PAYLOAD]) for at, _, _ in forward.sends]
    receipts = [_receipt(rows[at]) for at, _, _ in forward.effective]
    taken: dict[str, set[Any]] = {}
    for name in {*(name for each in payloads[:1] for name in each), *_ORDERED}:
        asked = {repr(each.get(name)): each.get(name) for each in payloads}
        if len(asked) > 1:
            continue
        answered = {receipt[name] for receipt in receipts if name in receipt}
        taken[name] = answered or {value for value in asked.values() if value is not None}
    return taken


def _receipt(row: Row) -> dict[str, Any]:
    return dict(row[DATA][RECEIPT]) if len(row[DATA]) > RECEIPT else {}


def _wrong(
    facts: Facts, saga: SagaFacts, step: str, payload: dict[str, Any], taken: dict[str, set[Any]]
) -> tuple[str, object, object] | None:
    """(name, what the undo says, what was taken) of the first name that is wrong."""
    for name, value in sorted(payload.items()):
        right = taken.get(name)
        if type(value) is int and right and value not in right and all(type(each) is int for each in right):
            return name, value, min(right)
        if isinstance(value, str) and _of_another(facts, saga, step, name, value):
            mine = _receipts(facts, saga, step, name)
            if mine and value not in mine:
                return name, value, min(mine, key=repr)
    return None


def _receipts(facts: Facts, saga: SagaFacts, step: str, name: str) -> set[Any]:
    forward = saga.calls.get((step, FORWARD))
    rows = facts.history.rows
    found = [_receipt(rows[at]).get(name) for at, _, _ in forward.effective] if forward is not None else []
    return {value for value in found if value is not None}


def _of_another(facts: Facts, saga: SagaFacts, step: str, name: str, value: str) -> bool:
    return any(value in _receipts(facts, other, step, name) for other in facts.sagas.values() if other is not saga)


def _other_data(
    facts: Facts, saga: SagaFacts, step: str, position: int, name: str, said: object, taken: object
) -> Violation:
    operation = facts.saga.operation(step, COMPENSATION)
    return Violation(
        invariant="I19",
        anomaly="undo of other data",
        sentence=f"{operation} for {saga.id} says {name} {said!r}, and {facts.saga.operation(step, FORWARD)} took "
        f"{f'{name} ' if isinstance(taken, str) else ''}{taken!r}",
        expected=f"{name} {taken!r}",
        got=f"{name} {said!r}",
        saga=saga.id,
        step=step,
        direction=COMPENSATION,
        position=position,
    )
