"""What brought a violation out: which fault, what the run itself shows of the cause, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .. import history as h
from ..faults import AT_BOOT, FAULT_KINDS, Site
from ..invariants import Catalogue
from ..invariants.calls import CallFacts
from ..invariants.facts import Facts
from ..invariants.order import passed_over
from ..invariants.registry import Usual
from ..saga import Saga
from ..verdict import Violation


class Evidence(NamedTuple):
    """What a run shows of the cause of a violation, in words that follow a comma ("" for nothing), and the usual cause
    and repair where that speaks for others than the anomaly does."""

    words: str = ""
    usual: Usual | None = None


def culprits_of(saga: Saga, kinds: Sequence[str], sites: Sequence[Site]) -> str:
    """``lost-ack of payment.charge and crash-before-log of the write "undone"``."""
    told = []
    for kind, site in zip(kinds, sites, strict=True):
        what = saga.operation(site.subject, site.direction) if site.direction else f'the write "{site.subject}"'
        told.append(f"{kind} at {what if site.phase != AT_BOOT else f'start {site.occurrence}'}")
    return " and ".join(told)


def cause_of(facts: Facts, violation: Violation, culprits: str | None, catalogue: Catalogue) -> Usual:
    """What brings it out, in which call, what the run shows of it and what usually causes that; and the repair.
    ``culprits`` are the faults in words, None where nobody knows of any."""
    words, shown = _evidence(facts, violation)
    entry = catalogue.by_id.get(violation.invariant)
    usual = shown or (entry.usual(violation.anomaly) if entry else Usual(cause="unknown", repair=""))
    where = _where(facts.saga, violation)
    if culprits:
        opening = f"{culprits} {'bring' if ' and ' in culprits else 'brings'} it out"
        opening += f" in {where}" if where and where not in culprits else ""
    elif culprits is None:
        opening = f"it happened{f' in {where}' if where else ''}"
    else:
        opening = f"it happens without a fault{f', in {where}' if where else ''}"
    said = f"{opening}, {words}" if words else opening
    return Usual(cause=f"{said}; the usual cause: {usual.cause}" if usual.cause else said, repair=usual.repair)


def _where(saga: Saga, violation: Violation) -> str:
    """The call that the violation is about; its step or its saga, where it is of no call."""
    if violation.step and not violation.direction:
        return f"step {violation.step}"
    return saga.operation(violation.step, violation.direction) if violation.step else violation.saga


# -- what the run shows ----------------------------------------------------------------------------


def _evidence(facts: Facts, violation: Violation) -> Evidence:
    shows = _SHOWS.get((violation.invariant, violation.anomaly))
    saga = facts.sagas.get(violation.saga)
    call = saga.calls.get((violation.step, violation.direction)) if saga is not None else None
    if shows is None or saga is None:
        return Evidence()
    return shows(facts, violation, call or CallFacts())


NOTED_APART: Final = Usual(
    cause="the participant looks the key up and notes it beside the transaction that has the effect, or forgets it",
    repair="note the key in the transaction that applies the effect, under a unique constraint",
)
TWO_EXECUTIONS: Final = Usual(
    cause="two of the saga's own executions, or somebody beside it, ask for one thing under a key of their own each",
    repair="let one of them own the saga, and derive the key from the saga and the step, so that all who ask share it",
)
BEGUN_ANEW: Final = Usual(
    cause="what had been answered is begun anew, under another key: by a client that asks again, a message that comes "
    "again, or a recovery that does not look at what is done",
    repair="look for the saga before it is begun, and derive the key from the saga and the step, so that whoever asks "
    "again asks for the same",
)


OTHER_PARTS: Final = Usual(
    cause="a step of several requests, such as the lines of an order or the parts of a refund, that is not declared so",
    repair="write many=True in the Step and part= in each request, or amount= where it is given back in parts; where "
    "it is to be one request, make its payload and its key of the saga and the step alone",
)


def _twice(facts: Facts, violation: Violation, call: CallFacts) -> Evidence:
    """What the requests of a step that took effect too often show of their keys, and of who sent them."""
    keys = [key for _, key, _ in call.effective]
    if len(set(keys)) < len(keys) and None not in keys:
        return Evidence("where the participant applies one key twice", NOTED_APART)
    how = "no key" if None in keys else "different keys"
    rows = facts.history.rows
    sent = {message: at for at, message, _ in (*call.sends, *call.beside)}
    order = sorted({rows[at][h.MSG] for at, _, _ in call.effective if rows[at][h.MSG] in sent}, key=sent.__getitem__)
    if len(order) < 2:
        return Evidence(f"where the requests carry {how}")
    first, second = order[:2]
    answer = call.answers.get(first)
    if answer is not None and answer[0] < sent[second] and answer[1] == "ok":
        if rows[sent[first]][h.DATA][h.PAYLOAD] != rows[sent[second]][h.DATA][h.PAYLOAD]:
            return Evidence(f"where two requests ask for different things, under {how}", OTHER_PARTS)
        return Evidence(f"where what had been answered is asked for again, under {how}", BEGUN_ANEW)
    unknown = call.given_up.get(first, -1), answer[0] if answer is not None else -1
    died = [at for at, process in facts.deaths if process == rows[sent[first]][h.PROCESS]]
    if any(sent[first] < at < sent[second] for at in (*unknown, *died)):
        return Evidence(f"where the requests carry {how}")
    return Evidence(f"where two requests are under way at once, under {how}", TWO_EXECUTIONS)


PASSED_OVER: Final = Usual(
    cause="the rollback passes over a step that had succeeded: no record of it is left, or it is marked as undone "
    "without its undo",
    repair="keep a record of each step, undo every one that has a record, and mark it as undone only when its undo was "
    "answered",
)
UNREADABLE: Final = Usual(
    cause="an answer that cannot be read is taken for a refusal, although what was asked for may have been done",
    repair="treat an answer that cannot be read as an unknown outcome: undo the step too, or ask again under its key",
)


def _leaked(facts: Facts, violation: Violation, call: CallFacts) -> Evidence:
    """Tells whether the saga knew of the effect that it left."""
    if _answer_was_spoilt(facts, violation):
        return Evidence("where the answer was made wrong", UNREADABLE)
    learnt = [at for at, answer in call.answers.values() if answer == "ok"]
    if learnt and (violation.position < 0 or min(learnt) < violation.position):
        return Evidence("where it had been answered with success", PASSED_OVER)
    return Evidence()


def _answer_was_spoilt(facts: Facts, violation: Violation) -> bool:
    """True if a fault made an answer of the call wrong."""
    return any(
        FAULT_KINDS[fired.fault.kind].needs == "wrong"
        and (fired.fault.site.saga, fired.fault.site.subject) == (violation.saga, violation.step)
        for fired in facts.history.fired
        if fired.fault.kind in FAULT_KINDS
    )


LEFT_OUT: Final = Usual(
    cause="a saga that is resumed, or goes on after a rollback, passes over a step that it has not done",
    repair="go on from the record of what each step came to, and say 'completed' only when all have succeeded",
)
SAID_AND_NOT_DONE: Final = Usual(
    cause="the participant answers with success what it does not do: it takes the request for one that it has seen, "
    "or hides its own refusal",
    repair="give each operation a key of its own, and let the participant answer with success only what it has done",
)


def _hollow(facts: Facts, violation: Violation, call: CallFacts) -> Evidence:
    """What the saga was told of the step that is not in effect, although it calls itself completed."""
    if not call.sends or call.effective:  # never asked for, or undone
        return Evidence("", LEFT_OUT)
    told = any(answer == "ok" for _, answer in call.answers.values())
    return Evidence("", SAID_AND_NOT_DONE) if told else Evidence()


NOT_AWAITED: Final = Usual(
    cause="a rollback that takes an undo for done before it was answered, or in which two undo side by side",
    repair="wait for the answer of each undo, and ask again until there is one, before the next undo",
)


def _order(facts: Facts, violation: Violation, call: CallFacts) -> Evidence:
    """Tells whether the undo that should have come first was asked for before the other, and not waited for."""
    return Evidence("", None if violation.got.endswith(" first") else NOT_AWAITED)


def _kept_back(facts: Facts, violation: Violation, call: CallFacts) -> Evidence:
    """Tells whether another undo kept this one back at all."""
    return Evidence("", PASSED_OVER if passed_over(facts.sagas[violation.saga], violation.step) else None)


_SHOWS: Final[dict[tuple[str, str], Callable[[Facts, Violation, CallFacts], Evidence]]] = {
    ("I1", "duplicate effect"): _twice,
    ("I4", "wrong order"): _order,
    ("I5", "leaked effect"): _leaked,
    ("I11", "undo kept back"): _kept_back,
    ("I23", "hollow success"): _hollow,
}
"""By (invariant, anomaly): what is looked for in the run."""
