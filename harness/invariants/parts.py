"""Steps of several parts, amounts, and steps that use up another: what they come to for each saga.

The invariants ask for steps by name, for what is left of each, and for what a saga lacks to be completed. Where a
definition has none of these words, that follows from how often each step took effect. Here it is told for the others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from ..history import DATA, MSG, PAYLOAD, PROCESS, RECEIPT, Row
from ..saga import COMPENSATION, FORWARD, Saga, Step, instance, split
from ..verdict import Violation

if TYPE_CHECKING:
    from .calls import CallFacts
    from .facts import Facts, SagaFacts


class Sum(NamedTuple):
    """What a step took and gave back, and how much of that was ``asked`` back. ``over`` is the first position at which
    more had been given back than taken (-1: never); what is ``left`` in the end is negative then. ``returned`` is what
    actors took back of a saga that was completed, which is as done as before."""

    taken: Fraction
    given: Fraction
    over: int
    asked: Fraction
    returned: Fraction = Fraction(0)

    @property
    def left(self) -> Fraction:
        return self.taken - self.given + self.returned


def settle(facts: Facts) -> None:
    """Tell each saga of the facts what its definition came to."""
    for saga in facts.sagas.values():
        if saga.definition.in_parts:
            _unfold(saga.definition, saga)
        if saga.definition.counted:
            _count(facts.history.rows, saga)


# -- parts -----------------------------------------------------------------------------------------


def _unfold(definition: Saga, saga: SagaFacts) -> None:
    """A step for each part that was asked for; what was said of the whole step is said of each."""
    named: dict[str, set[str]] = {}
    for name, _ in saga.calls:
        step, part = split(name)
        if part:
            named.setdefault(step, set()).add(part)
    asked = {
        step: tuple(part for part in sorted(parts) if (instance(step, part), FORWARD) in saga.calls)
        for step, parts in named.items()
    }
    saga.definition = definition.with_parts(asked)
    saga.free = frozenset(step.name for step in saga.definition.steps if not step.can_be_undone)
    for step, parts in named.items():
        names = [instance(step, part) for part in sorted(parts)]
        for told in (saga.dead, saga.alerts):
            if step in told:
                told.update((name, told[step]) for name in names if name not in told)
        for (record, about), at in list(saga.durable.items()):
            if about == step:
                for name in names:
                    saga.durable.setdefault((record, name), at)
        whole = saga.calls.pop((step, COMPENSATION), None) if asked[step] else None
        if whole is not None:
            for part in asked[step]:
                name = instance(step, part)
                own = saga.calls.get((name, COMPENSATION))
                saga.calls[name, COMPENSATION] = _shared(whole, own, saga.calls[name, FORWARD])
    saga.back = {name: call for (name, direction), call in saga.calls.items() if direction == COMPENSATION}


def _shared(whole: CallFacts, own: CallFacts | None, forward: CallFacts) -> CallFacts:
    """What the undos of all parts together and the ones of this part are to it. Of the effects of the former those
    count that found it in effect."""
    both = [whole] if own is None else [own, whole]
    made = type(whole)()
    made.sends = sorted(send for call in both for send in call.sends)
    made.beside = sorted(send for call in both for send in call.beside)
    made.returned = sorted(at for call in both for at in call.returned)
    made.refusals = sorted(at for call in both for at in call.refusals)
    made.errors = sorted(at for call in both for at in call.errors)
    made.deliveries = sum(call.deliveries for call in both)
    made.applied = min((call.applied for call in both if call.applied >= 0), default=-1)
    for call in both:
        made.answers.update(call.answers)
        made.told.update(call.told)
        made.given_up.update(call.given_up)
    made.effective = list(own.effective) if own is not None else []
    for effect in whole.effective:
        done = sum(at < effect[0] for at, _, _ in forward.effective) - sum(at < effect[0] for at in forward.expired)
        if done > sum(at < effect[0] for at, _, _ in made.effective):
            made.effective = sorted([*made.effective, effect])
    return made


# -- groups ----------------------------------------------------------------------------------------


def excused(saga: SagaFacts) -> frozenset[str]:
    """The steps of groups that the saga can complete without, as things stand."""
    free: set[str] = set()
    for group in saga.definition.groups:
        if group.optional:
            free |= group.members if not _stands(saga, group.members) else set()
            continue
        done = [names for names in group.alternatives if _complete(saga, names, free)]
        begun = [names for names in group.alternatives if _stands(saga, names)]
        kept = (done or begun or list(group.alternatives))[0]
        free |= {name for names in group.alternatives if names is not kept for name in names}
    return frozenset(free)


def excess(saga: SagaFacts) -> list[str]:
    """The steps in effect of alternatives beside the one that is chosen."""
    found: list[str] = []
    for group in saga.definition.groups:
        if not group.optional:
            begun = [names for names in group.alternatives if _stands(saga, names)]
            done = [names for names in begun if _complete(saga, names, excused(saga))]
            kept = (done or begun or [()])[0]
            found += [name for names in begun if names is not kept for name in names if saga.net(name) > 0]
    return found


def _stands(saga: SagaFacts, names: Iterable[str]) -> bool:
    return any(saga.net(name) > 0 for name in names)


def _complete(saga: SagaFacts, names: Iterable[str], free: Collection[str]) -> bool:
    return all(saga.done(name) or name in free for name in names)


# -- amounts, and what is used up ------------------------------------------------------------------


def _count(rows: Sequence[Row], saga: SagaFacts) -> None:
    sums: dict[str, Sum] = {}
    left: dict[str, int] = {}
    used: dict[str, tuple[str, ...]] = {}
    unused: dict[str, Fraction] = {}
    for step in saga.definition.steps:
        found = _sum(rows, saga, step)
        if found is not None:
            sums[step.name] = found
            left[step.name] = (found.left > 0) - (found.left < 0)
        forward = saga.calls.get((step.name, FORWARD))
        consumed = _consumed(saga, step)
        if consumed is not None and forward is not None and forward.effective:
            used[consumed] = (*used.get(consumed, ()), step.name)
    for name, users in used.items():
        several = any(saga.definition.by_name[user].many for user in users)
        parts = [sums.get(one) for one in (name, *users)]
        rest = Fraction(0)
        if several and all(one is not None for one in parts):
            rest = parts[0].left - sum((one.taken for one in parts[1:] if one), Fraction(0))  # type: ignore[union-attr]
        left[name] = int(rest > 0)
        if rest > 0:
            unused[name] = rest
    saga.sums, saga.counted, saga.used, saga.unused = sums, left, used, unused


def _consumed(saga: SagaFacts, step: Step) -> str | None:
    """The name of what a step uses up: of its own part where that is of several too."""
    if step.consumes is None:
        return None
    of_its_part = instance(step.consumes, split(step.name)[1])
    return next((name for name in (step.consumes, of_its_part) if name in saga.definition.by_name), None)


def _sum(rows: Sequence[Row], saga: SagaFacts, step: Step) -> Sum | None:
    """What the step took and gave back; None where it has no amount, or one is not known."""
    forward, undo = saga.calls.get((step.name, FORWARD)), saga.calls.get((step.name, COMPENSATION))
    if step.amount is None or forward is None or not forward.effective:
        return None
    changes = [(at, amount_at(rows, forward, at, step.amount)) for at, _, _ in forward.effective]
    if any(amount is None for _, amount in changes):
        return None
    back: list[tuple[int, Fraction | None]] = [(at, None) for at in forward.expired]
    if undo is not None:
        back += [(at, amount_at(rows, undo, at, step.amount)) for at, _, _ in undo.effective]
    given_back = {at for at, _ in back}
    taken, given, over, returned = Fraction(0), Fraction(0), -1, Fraction(0)
    for at, amount in sorted([*changes, *back], key=lambda change: change[0]):
        if at not in given_back:
            taken += amount or 0
            continue
        rest = max(taken - given, Fraction(0))  # who says no amount gives back all of it
        ran_out = any(each < at for each in forward.expired)  # what is not there any more is not given back
        more = rest if amount is None else min(amount, rest) if ran_out else amount
        given += more
        returned += more if undo is not None and at in undo.returned else 0
        if given > taken and over < 0:
            over = at
    return Sum(taken, given, over, max(given, _asked_back(rows, undo, step.amount, taken)), returned)


def _asked_back(rows: Sequence[Row], undo: CallFacts | None, field: str, taken: Fraction) -> Fraction:
    """How much all undos together ask for, each key once; all of it where one names no amount."""
    if undo is None:
        return Fraction(0)
    wanted = {key: as_number(dict(rows[at][DATA][PAYLOAD]).get(field)) for at, _, key in undo.sends}
    return sum((taken if amount is None else amount for amount in wanted.values()), Fraction(0))


def asks_for_all(facts: Facts, saga: SagaFacts, step: str, sent: int) -> bool:
    """True if the undo that was sent there is of all that the step took, by itself."""
    field, payload = saga.definition.by_name[step].amount, dict(facts.history.rows[sent][DATA][PAYLOAD])
    amount = as_number(payload.get(field)) if field is not None else None
    return amount is None or amount >= saga.sums[step].taken


def rolls_back(saga: SagaFacts, step: str) -> bool:
    """True if the undos that were sent for a step are to undo it: else a part is given back for good, as for a line
    that is out of stock, and the saga goes on."""
    if step in saga.definition.grouped:
        return False  # a group that is taken back need not take the saga with it
    spared = step in saga.used or split(step)[0] in saga.definition.needing_any
    if spared and saga.net(step) <= 0 and not saga.missing():
        return False  # a line that was taken out, or what was left of a hold
    found = saga.sums.get(step)
    return found is None or found.asked >= found.taken


def complete_without(saga: SagaFacts, name: str) -> bool:
    """True if the saga is completed without what was undone: a line, an optional step, or a part of an amount that was
    given back for good, or what was left of a hold."""
    return not rolls_back(saga, name) and not saga.missing()


def amount_at(rows: Sequence[Row], call: CallFacts, at: int, field: str) -> Fraction | None:
    """How much took effect at a position: as the answer tells, else as was asked."""
    data = rows[at][DATA]
    told = dict(data[RECEIPT]).get(field) if len(data) > RECEIPT else None
    if told is not None and (number := as_number(told)) is not None:
        return number
    asked = (*call.sends, *call.beside)
    sent = next((position for position, message, _ in asked if message == rows[at][MSG]), None)
    return None if sent is None else as_number(dict(rows[sent][DATA][PAYLOAD]).get(field))


def as_number(value: Any) -> Fraction | None:
    """An amount of any spelling (7, 7.5, "7.50") as an exact number; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        return None


def spelled(amount: Fraction) -> str:
    """An amount for people."""
    return str(amount.numerator) if amount.denominator == 1 else f"{float(amount):g}"


class Overdraft(NamedTuple):
    """More than there was: a step was undone, or another was used up, by more than it had taken."""

    step: str
    direction: str
    position: int
    got: Fraction | None
    """How much it came to; None where there was nothing any more."""

    had: Fraction
    source: str
    """The step of which it was taken."""


def overdrafts(facts: Facts, saga: SagaFacts) -> Iterator[Overdraft]:
    """What took more than there was, in the order of the steps."""
    for step in saga.definition.steps:
        found = saga.sums.get(step.name)
        if found is not None and found.over >= 0:
            yield Overdraft(step.name, COMPENSATION, found.over, found.given, found.taken, step.name)
        consumed = _consumed(saga, step)
        if consumed is not None:
            yield from _used_too_much(facts.history.rows, saga, step, consumed)


def _used_too_much(rows: Sequence[Row], saga: SagaFacts, step: Step, consumed: str) -> Iterator[Overdraft]:
    """Where the step used up more than was left of the other, or something that had been used up, undone or run out."""
    call, held = saga.calls.get((step.name, FORWARD)), saga.calls.get((consumed, FORWARD))
    if call is None or held is None:
        return
    undo = saga.calls.get((consumed, COMPENSATION))
    whole = saga.sums.get(consumed)
    for at, _, _ in call.effective:
        before = [each for each, _, _ in held.effective if each < at]
        gone = [each for each in held.expired if each < at]
        gone += [each for each, _, _ in (undo.effective if undo is not None else ()) if _before(rows, each, at)]
        if len(gone) >= len(before) and whole is None:
            yield Overdraft(step.name, FORWARD, at, None, Fraction(0), consumed)
        elif before and whole is not None:
            left = _left_before(rows, saga, consumed, at)
            amount = amount_at(rows, call, at, step.amount) if step.amount is not None else None
            if left <= 0:
                yield Overdraft(step.name, FORWARD, at, None, Fraction(0), consumed)
            elif amount is not None and amount > left:
                yield Overdraft(step.name, FORWARD, at, amount, left, consumed)


def not_used_up(saga: SagaFacts) -> Iterator[Violation]:
    """Yield a violation for each step of a completed saga that another one was to use up, and used up less or not."""
    users = {step.consumes: step for step in saga.definition.steps if step.consumes is not None}
    for step in saga.definition.steps:
        name, part = split(step.name)
        user = users.get(name)
        if user is None or (part and not user.many) or not step.can_be_undone or saga.handed_over(step.name):
            continue
        if (rest := saga.unused.get(step.name)) is not None:
            held = f"{spelled(rest)} of the {spelled(saga.sums[step.name].taken)} that {step.does} took for {saga.id}"
            why = f"{listed(saga.used[step.name])} used up less, and no {step.undo} came for the rest"
        elif step.name not in saga.used and saga.net(step.name) > 0:
            held, why = (
                f"what {step.does} took for {saga.id}",
                f"no {user.operation} used it up, and no {step.undo} came",
            )
        else:
            continue
        yield Violation(
            invariant="I3",
            anomaly="not used up",
            sentence=f"{held} is held for ever: {why}",
            expected="all of it used up, or the rest given back",
            got="held for ever",
            saga=saga.id,
            step=step.name,
            direction=FORWARD,
        )


def _before(rows: Sequence[Row], at: int, position: int) -> bool:
    """True if what happened there had happened before a request took effect at ``position``; what the participant told
    beside, in the same transaction, had not."""
    own = all(rows[n][MSG] == 0 and rows[n][PROCESS] == rows[position][PROCESS] for n in range(at, position))
    return at < position and not own


def _left_before(rows: Sequence[Row], saga: SagaFacts, name: str, position: int) -> Fraction:
    """How much of a step that has an amount was left just before a position."""
    step = saga.definition.by_name[name]
    forward, undo = saga.calls[name, FORWARD], saga.calls.get((name, COMPENSATION))
    assert step.amount is not None
    changes = [(at, amount_at(rows, forward, at, step.amount), 1) for at, _, _ in forward.effective]
    changes += [(at, None, -1) for at in forward.expired]
    if undo is not None:
        changes += [(at, amount_at(rows, undo, at, step.amount), -1) for at, _, _ in undo.effective]
    for user in saga.used.get(name, ()):
        term, call = saga.definition.by_name[user], saga.calls[user, FORWARD]
        several = term.many and term.amount is not None
        changes += [
            (at, amount_at(rows, call, at, term.amount or "") if several else None, -1) for at, _, _ in call.effective
        ]
    left = Fraction(0)
    for at, amount, sign in sorted(changes, key=lambda change: change[0]):
        if _before(rows, at, position):
            left = left + sign * amount if amount is not None else Fraction(0)
    return left


def listed(names: Sequence[str]) -> str:
    """``order, stock and payment``."""
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else "".join(names)
