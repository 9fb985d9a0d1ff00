"""Invariants over what the participants applied: I1, I2, I3, I17."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..history import BALANCE, DATA, DIRECTION, ENTITY, HOLD, KIND, MSG, PAYLOAD, PROCESS, SAGA, STEP
from ..keys import CONFIRMS, OPERATION, TENANT, usual_scope
from ..saga import COMPENSATION, FORWARD, Step, split
from ..verdict import Violation
from .calls import CallFacts
from .children import left_alone
from .facts import STUCK, Facts, SagaFacts
from .given_back import given_back_anew, intent_of
from .knowledge import knew
from .parts import Overdraft, excess, listed, not_used_up, overdrafts, spelled
from .registry import Checked, Usual, invariant


@invariant(
    "I1",
    "at most once",
    harm="{what} can take effect more than once",
    by_prefix=True,
    holds_when="each step takes effect at most once in each direction, whatever its key; one key means one intent",
    cause="a retry or a redelivery without an idempotency key, or with a key made anew for each attempt",
    repair="derive the key from the saga and the step, send it with every attempt, and let the participant "
    "remember it in the transaction that applies the effect",
    remembers=("requests", "attempts", "answers", "effects", "people", "deaths"),
    explains=("I2", "I3", "I8", "I15", "I16", "I17", "I18", "I23"),
    apart={
        "key reused": Usual(
            cause="a key that is made of less than what it stands for: of the customer and the amount, or of the saga "
            "without the step, the part or the direction",
            repair="make the key of the saga, the step and the part, so that two requests share one only where they "
            "are one",
        )
    },
)
def at_most_once(facts: Facts) -> Checked:
    """No double charge. Also: a key is never used for two sagas, nor with two payloads. How widely a participant
    knows a key is declared: at a payment gateway two operations share it. What is done again by who knew that it had
    been undone is a new effect. Of an amount that is given back in parts, one that is given back once more under
    another key, when nobody knew what had become of the first, is the same part."""
    exercised, found = False, list(_keys_reused(facts)) if _some_key_differs(facts) else []
    for saga in facts.sagas.values():
        for (step, direction), call in saga.calls.items():
            if call.deliveries > 1 or len(call.sends) > 1:
                exercised = True
            times = len(call.effective)
            if times > 1 and direction == COMPENSATION and step in saga.sums:
                found += given_back_anew(facts, saga, step)
            if times > 1 and times > (allowed := _allowed(facts, saga, step, direction)):
                operation = facts.saga.operation(step, direction)
                found.append(
                    Violation(
                        invariant="I1",
                        anomaly="duplicate effect",
                        sentence=f"{operation} for {saga.id} took effect {times} times; at most {allowed} is allowed"
                        f"{_whose(facts, call)}",
                        expected=f"at most {allowed} effect",
                        got=f"{times} effects",
                        saga=saga.id,
                        step=step,
                        direction=direction,
                        position=call.effective[allowed][0],
                    )
                )
    return exercised, found


def _some_key_differs(facts: Facts) -> bool:
    """True if some key is used in one direction for two sagas, steps or payloads, which may yet be right. That no key
    is tells the usual case quickly."""
    rows = facts.history.rows
    firsts: dict[tuple[str, str], tuple[str, str, object]] = {}
    for (saga, step, direction), call in facts.calls.items():
        for position, _, key in call.sends:
            if key is not None:
                intent = (saga, step, rows[position][DATA][PAYLOAD])
                if firsts.setdefault((direction, key), intent) != intent:
                    return True
    return False


def _keys_reused(facts: Facts) -> Iterator[Violation]:
    """The requests that carry a key which another intent had carried before, in the order in which they were sent."""
    keys: dict[tuple[str, ...], tuple[str, str, object]] = {}
    envelope: Any = facts.history.declared.get("envelope", ())
    sent: dict[int, tuple[SagaFacts, str, str, str]] = {}
    for saga in facts.sagas.values():
        for (step, direction), call in saga.calls.items():
            for position, _, key in call.sends:
                if key is not None:
                    sent.setdefault(position, (saga, step, direction, key))
    for position, (saga, step, direction, key) in sorted(sent.items(), key=lambda entry: entry[0]):
        row = facts.history.rows[position]
        asked, (operation, payload) = row[STEP], row[DATA][:2]
        if envelope:
            payload = tuple(pair for pair in payload if pair[0] not in envelope)
        intent = (saga.id, asked, payload)
        slot = (*_known_to(facts, saga, asked, operation, payload), direction, key)
        first = keys.setdefault(slot, intent)
        if first != intent:
            yield _key_reused(facts, saga, step, direction, key, position, first)


def _whose(facts: Facts, call: CallFacts) -> str:
    """Which of its effects are the work of actors, where there are such."""
    hands = [facts.hand(at) for at, _, _ in call.effective]
    if not any(hands):
        return ""
    told = [hand.strip(" ()") or "by the orchestrator" for hand in hands]
    if len({hand.partition(", received")[0] for hand in told}) == 1:
        return f": each {told[-1]}"
    return ": " + ", then ".join(told)


def _known_to(facts: Facts, saga: SagaFacts, step: str, operation: str, payload: Any) -> tuple[str, ...]:
    """Whose key it is: requests that share it, and one of these, are one request to the participant."""
    participant = operation.partition(".")[0]
    scope = facts.key_scopes.get(participant) or usual_scope(participant)
    if scope == OPERATION or operation.endswith(CONFIRMS):
        return (split(step)[0],)
    if scope == TENANT:
        return ("", participant)
    account = dict(payload).get("account")
    return ("", participant, f"of {account}" if account is not None else saga.id)


def _allowed(facts: Facts, saga: SagaFacts, step: str, direction: str) -> int:
    """How often the step may take effect in that direction: once more for each time that it ran out, or was undone
    and asked for anew; it may be undone as often as it took effect."""
    call, forward = saga.calls[step, direction], saga.calls.get((step, FORWARD))
    if direction == COMPENSATION and step in saga.sums:  # in parts, under a key each
        rows = facts.history.rows
        return max(1, len({intent_of(key, rows[at][MSG]) for at, key, _ in call.effective}))
    if direction == COMPENSATION:
        return max(1, len(forward.effective)) if forward is not None else 1
    return 1 + len(call.expired) + len(redone(facts, saga, step))


def redone(facts: Facts, saga: SagaFacts, step: str) -> list[int]:
    """Where the step took effect because it was asked for by who knew that it had been undone: the saga went forward
    again. A request that is merely late is none of these, nor is one of a process that had slept."""
    forward, undo = saga.calls.get((step, FORWARD)), saga.calls.get((step, COMPENSATION))
    if forward is None or undo is None:
        return []
    undone = [at for at, answer in undo.answers.values() if answer == "ok"]
    sent = {message: at for at, message, _ in forward.sends}
    rows = facts.history.rows
    asked = {message: at for at, message, _ in forward.beside}
    return [
        at
        for at, _, _ in forward.effective
        if -1 < undo.applied < asked.get(rows[at][MSG], -1)  # an actor, who means it
        or any(learnt < sent.get(rows[at][MSG], -1) and knew(facts, learnt, sent[rows[at][MSG]]) for learnt in undone)
    ]


def _key_reused(
    facts: Facts, saga: SagaFacts, step: str, direction: str, key: str, position: int, first: tuple[str, str, object]
) -> Violation:
    operation = facts.saga.operation(step, direction)
    if first[0] != saga.id:
        other = first[0]
    else:
        other = "another payload" if first[1] == step else facts.saga.operation(first[1], direction)
    return Violation(
        invariant="I1",
        anomaly="key reused",
        sentence=f"{operation} for {saga.id} carries the key {key!r}, which was used for {other} before",
        expected="a key of its own for each intent",
        got=f"{key!r} again",
        saga=saga.id,
        step=step,
        direction=direction,
        position=position,
    )


def leftovers(facts: Facts, saga: SagaFacts) -> list[str]:
    """The steps that are in effect although the saga as a whole is not, and nobody was called to
    them. Empty for a saga that is done, undone, or handed over."""
    if saga.left is None:
        saga.left = _left(facts, saga)
    return saga.left


def _left(facts: Facts, saga: SagaFacts) -> list[str]:
    steps = saga.definition.steps
    if saga.definition.groups and not saga.missing():
        return [name for name in excess(saga) if not saga.handed_over(name)]
    nets = {step.name: saga.net(step.name) for step in steps}
    if min(nets.values(), default=1) >= 1 or all(net >= 1 or saga.handed_over(name) for name, net in nets.items()):
        return []
    if (facts.saga.terms or facts.saga.groups or saga.children) and all(map(saga.handed_over, saga.missing())):
        return []
    return [step.name for step in steps if nets[step.name] > 0 and binds(step) and not saga.handed_over(step.name)]


def binds(step: Step) -> bool:
    """True if a saga that is not completed must not leave the step in effect: it can be undone, or it is
    the point from which there is no way back."""
    return step.can_be_undone or step.pivot


@invariant(
    "I2",
    "semantic atomicity",
    harm="a saga can come to rest half done",
    holds_when="at rest every step of a saga is in effect, or none is, or a person was called to what is left",
    cause="the saga stopped half way, or its rollback missed a step",
    repair="persist the saga's progress, resume it after a restart, and retry each compensation until it succeeds",
    nature="both",
    remembers=("effects", "people"),
    explains=("I3", "I16"),
    source="Garcia-Molina & Salem, Sagas, 1987",
    apart={
        "child without its parent": Usual(
            cause="a rollback that does not reach the sagas that were started as steps of this one",
            repair="write down the child's id before it is started, undo the child as the step that it is, and wait "
            "for its end before the steps before it are undone",
        ),
        "parent without its child": Usual(
            cause="a child that is compensated by itself, cancelled or timed out, after its parent has built on it",
            repair="let the parent alone decide to undo a child that was completed, and undo the parent with it",
        ),
        "nobody called": Usual(
            cause="a saga is put aside in its own state, in a log or by a ticket, and the harness is not told",
            repair="where the ticket is opened, say so by world.dead_letter(saga) and world.alert(saga): both count",
        ),
        "two alternatives": Usual(
            cause="a way that was begun, or may have been, is not undone before the saga settles for another one",
            repair="undo each step of the way that is given up, those of unknown outcome too, and wait for the answers",
        ),
        "step of another saga": Usual(
            cause="a saga that is taken up as one of another definition: its record does not say what it is of",
            repair="keep the name of its definition with a saga, and go on by that",
        ),
    },
)
def semantic_atomicity(facts: Facts) -> Checked:
    """All or nothing, judged at quiescence, after the final restart, on what the participants hold. A dead letter with
    an alert hands the step that it names over to a person, or the whole saga. Alone it sees a pivot that stays while a
    step beside it was refused; what can be given back is also I3's."""
    exercised = False
    found: list[Violation] = []
    for saga in facts.sagas.values():
        if not any(call.effective for call in saga.calls.values()):
            continue
        exercised = True
        found += _not_its_own(facts, saga)
        left = leftovers(facts, saga)
        if left:
            missing = saga.missing()
            if not missing:
                found.append(_two_alternatives(saga, left))
                continue
            if saga.children and (anomaly := left_alone(saga, left, missing)):
                found.append(_family_parted(saga, left, missing, anomaly))
                continue
            found.append(
                Violation(
                    invariant="I2",
                    anomaly="nobody called" if _called_stuck(saga) else "partial",
                    sentence=f"{saga.id} came to rest with {listed(left)} in effect and {listed(missing)} not"
                    f"{facts.hands(saga, left)}{facts.hands(saga, missing, COMPENSATION)}{_ended_by(facts, saga)}",
                    expected="all steps in effect, or none",
                    got=f"{listed(left)} in effect, {listed(missing)} not",
                    saga=saga.id,
                    step=left[-1],
                    direction=FORWARD,
                )
            )
    return exercised, found


def _not_its_own(facts: Facts, saga: SagaFacts) -> Iterator[Violation]:
    """Steps that are in effect for a saga and belong to another definition than its own."""
    if facts.saga is facts.history.saga:
        return  # there is no other
    own = {split(name)[0] for name in saga.definition.by_name}
    for (name, direction), call in saga.calls.items():
        step = facts.saga.step(name)
        if direction != FORWARD or split(name)[0] in own or step is None or not binds(step):
            continue
        if saga.net(name) > 0 and not saga.handed_over(name):
            yield Violation(
                invariant="I2",
                anomaly="step of another saga",
                sentence=f"{saga.id} is a saga {saga.definition.name!r}, and came to rest with {name} in effect, "
                f"which is no step of it{facts.hands(saga, [name])}",
                expected="steps of its own in effect, or none",
                got=f"{name} in effect",
                saga=saga.id,
                step=name,
                direction=FORWARD,
                position=call.effective[-1][0],
            )


def _family_parted(saga: SagaFacts, left: list[str], missing: list[str], anomaly: str) -> Violation:
    stays = anomaly == "child without its parent"
    children = listed([saga.children[name].id for name in (left if stays else missing)])
    others = listed(missing if stays else left)
    verb = "are" if len(missing if stays else left) > 1 else "is"
    return Violation(
        invariant="I2",
        anomaly=anomaly,
        sentence=f"{saga.id} came to rest with its child {children} {'completed' if stays else 'undone'}, and {others} "
        f"{verb} {'not ' if stays else ''}in effect",
        expected="parent and child in effect, or neither",
        got=anomaly,
        saga=saga.id,
        step=(left if stays else missing)[-1],
        direction=FORWARD if stays else COMPENSATION,
    )


def _called_stuck(saga: SagaFacts) -> bool:
    """True if it was called stuck, and no person was called: put aside, and an alert."""
    return bool(saga.claims) and saga.claims[-1][1] == STUCK and not (saga.dead and saga.alerts)


def _ended_by(facts: Facts, saga: SagaFacts) -> str:
    """``; CancelledError had left run: shop.py:12``, where an exception was the last that was heard of it; that it was
    called stuck, and nobody was called; else ""."""
    if _called_stuck(saga):
        return f"; it was called stuck, and {'nothing was put aside' if saga.alerts else 'no person was called'}"
    if saga.claims or not saga.raised:
        return ""
    name, _, where, _ = facts.history.rows[saga.raised[-1]][DATA]
    return f"; {name} had left {where.removesuffix(': ?')}"


def _two_alternatives(saga: SagaFacts, left: list[str]) -> Violation:
    members = {name for group in saga.definition.groups if not group.optional for name in group.members}
    taken = [step.name for step in saga.definition.steps if step.name in members - {*left} and saga.done(step.name)]
    return Violation(
        invariant="I2",
        anomaly="two alternatives",
        sentence=f"{saga.id} came to rest with {listed(taken)} in effect, and its alternative {listed(left)} as well",
        expected="one alternative in effect",
        got=f"{listed(left)} as well",
        saga=saga.id,
        step=left[-1],
        direction=FORWARD,
    )


@invariant(
    "I3",
    "eventual release",
    harm="a saga can stay open for ever, or leave something held",
    holds_when="in the end every saga is over, or a person was called, and nothing is held for it that it does not own",
    cause="a saga that waits for what never comes, or that only a restart finds; a reservation that nobody releases",
    repair="bound every wait, look for open sagas while the process lives too, and compensate or complete each",
    nature="liveness",
    remembers=("effects", "answers", "people", "ends", "deaths", "rest", "locks"),
    apart={
        "not used up": Usual(
            cause="what was held is used up in parts, and nobody gives back the rest after the last one",
            repair="give back the rest after the last part; a participant of your own tells that by tx.effect",
        )
    },
)
def eventual_release(facts: Facts) -> Checked:
    """After faults have stopped and all is at rest: no orphan, and no saga left without an end. Judged twice: before
    the harness starts the process anew, unless a supervisor does so or a process had died and none was started since,
    and in the end. What was handed over to a person (I2) is no orphan. A system that can be asked how a saga stands is
    taken at its word: one that is called running when nothing happens any more is open, whatever is in effect."""
    exercised, found = False, list(_freed_by_a_restart(facts))
    for saga in facts.sagas.values():
        if saga.submitted < 0:
            continue
        exercised = True
        for step in leftovers(facts, saga):
            if not saga.definition.by_name[step].can_be_undone:
                continue  # nothing that could be given back
            operation = facts.saga.operation(step, FORWARD)
            found.append(
                Violation(
                    invariant="I3",
                    anomaly="orphan",
                    sentence=f"what {operation} took for {saga.id} is never given back{facts.hands(saga, [step])}",
                    expected="released, or kept by a completed saga",
                    got="held for ever",
                    saga=saga.id,
                    step=step,
                    direction=FORWARD,
                )
            )
        if saga.definition.counted and not saga.missing():
            found.extend(not_used_up(saga))
        if saga.running and saga.running[-1] > facts.rest:
            found.append(
                Violation(
                    invariant="I3",
                    anomaly="still running",
                    sentence=f"{saga.id} is still called running, and nothing is done for it any more",
                    expected="completed, compensated, or a person called",
                    got="running for ever",
                    saga=saga.id,
                    position=saga.running[-1],
                )
            )
        elif never_ends(facts, saga):
            found.append(
                Violation(
                    invariant="I3",
                    anomaly="never ends",
                    sentence=f"the client of {saga.id} was told 'pending', and no end ever came",
                    expected="completed, compensated, or a person called",
                    got="pending for ever",
                    saga=saga.id,
                )
            )
    found.extend(_locks_left(facts))
    return exercised, found


def never_ends(facts: Facts, saga: SagaFacts) -> bool:
    """True if the client was told to wait, and no end ever came, nor a person, nor does what is in effect show one."""
    return saga.pending >= 0 and not saga.claims and not saga.dead and not _all_or_none(facts, saga)


def _freed_by_a_restart(facts: Facts) -> Iterator[Violation]:
    """The sagas that were open when all had come to rest with every process alive, and that only the harness's own
    restart brought to an end. Where a process had died by then and none was started since, that restart is the one
    that every system is given after a crash."""
    if facts.rest < 0 or facts.deserted or facts.history.declared.get("supervised"):
        return
    by_then = Facts(replace(facts.history, rows=facts.history.rows[: facts.rest]))
    for saga in by_then.sagas.values():
        left, after = leftovers(by_then, saga), facts.sagas[saga.id]
        if leftovers(facts, after) or len(after.running) > len(saga.running):
            continue
        if left or saga.running:
            missing = saga.missing()
            state = f"with {listed(left)} in effect and {listed(missing)} not" if left else "and was called running"
            yield Violation(
                invariant="I3",
                anomaly="stuck until a restart",
                sentence=f"{saga.id} came to rest {state}, nobody went on with it, and only a restart at the end "
                f"freed it",
                expected="an end without a restart, or a supervisor that restarts what is stuck",
                got="at rest, and open",
                saga=saga.id,
                step=left[-1] if left else "",
                direction=FORWARD if left else "",
                position=facts.rest,
            )


def _locks_left(facts: Facts) -> Iterator[Violation]:
    """Locks that nobody gave back, of sagas to which nobody was called."""
    rows = facts.history.rows
    held: dict[tuple[str, str, str], int] = {}
    for position in facts.holds:
        row = rows[position]
        lock = (row[SAGA], row[PROCESS], row[DATA][ENTITY])
        if row[KIND] == HOLD:
            held[lock] = position
        else:
            held.pop(lock, None)
    for (id, service, entity), position in held.items():
        step = rows[position][STEP]
        if not facts.sagas[id].handed_over(step):
            yield Violation(
                invariant="I3",
                anomaly="lock left",
                sentence=f"{service} holds {entity} locked for {id}, and nobody gives it back",
                expected="the lock given back",
                got="held for ever",
                saga=id,
                step=step,
                direction=rows[position][DIRECTION],
                position=position,
            )


def _all_or_none(facts: Facts, saga: SagaFacts) -> bool:
    """What the participants hold shows an end, said or not: all done, all undone, or refused at the start."""
    nets = [saga.net(step.name) for step in saga.definition.steps]
    if any(nets):
        return not saga.missing()
    return any(call.effective or call.definitely_refused for call in saga.calls.values())


@invariant(
    "I17",
    "conservation",
    harm="money or stock can be made or lost",
    by_prefix=True,
    holds_when="money and stock are neither made nor lost, never negative, each counter equals the sum of its rows, "
    "and of what a step took no more is given back, or used up, than there is",
    cause="an effect applied twice, or undone twice, or undone by an amount that is not what was taken",
    repair="change counters and rows in one transaction, and undo a row by its id",
    remembers=("sums",),
)
def conservation(facts: Facts) -> Checked:
    """At every prefix: free + taken = initial, both at least 0, taken = sum of the live rows. At the participants
    that come with sagafuzz I1, I18 or I19 always name the cause; of others the sums may be all that is shown. Where a
    step has an amount, or uses another up, the requests that took effect tell the same of any participant. An account
    of a participant of one's own never holds less than nothing for a saga."""
    amounts = [saga for saga in facts.sagas.values() if saga.sums or saga.used]
    found = [_overdrawn(saga, each) for saga in amounts for each in overdrafts(facts, saga)]
    known = min([violation.position for violation in found], default=len(facts.history.rows))
    seen: set[tuple[str, str]] = set()
    for position, service, row in facts.balances:
        if position >= known:
            break  # the counters only show what is told already
        unit, subject, free, taken, live, initial = row[DATA][BALANCE]
        if free >= 0 and taken >= 0 and free + taken == initial and taken == live:
            continue
        if (service, subject) in seen:
            continue
        seen.add((service, subject))
        operation = facts.saga.operation(row[STEP], row[DIRECTION])
        found.append(
            Violation(
                invariant="I17",
                anomaly=f"{unit} not conserved",
                sentence=f"after {operation} for {row[SAGA]}{facts.hand(position)}, {service} holds {free} free and "
                f"{taken} taken of {subject}, which had {initial}, and its live rows sum to {live}",
                expected=f"free + taken = {initial}, taken = {live}",
                got=f"free {free}, taken {taken}",
                saga=row[SAGA],
                step=row[STEP],
                direction=row[DIRECTION],
                position=position,
            )
        )
    if facts.entries and not found:
        found += _below_nothing(facts)
    return bool(facts.balances or facts.entries or amounts), found


def _below_nothing(facts: Facts) -> Iterator[Violation]:
    """Where an account of a participant of one's own came to hold less than nothing for a saga."""
    rows = facts.history.rows
    seen: set[tuple[str, str, str]] = set()
    for position in facts.entries:
        row = rows[position]
        account, amount, holds = row[DATA]
        whose = (row[PROCESS], account, row[SAGA])
        if holds >= 0 or whose in seen:
            continue
        seen.add(whose)
        yield Violation(
            invariant="I17",
            anomaly="less than nothing",
            sentence=f"{row[PROCESS]} took {-amount} from {account!r} of {row[SAGA]}, which held {holds - amount}",
            expected="at least 0",
            got=str(holds),
            saga=row[SAGA],
            step=row[STEP],
            direction=row[DIRECTION],
            position=position,
        )


def _overdrawn(saga: SagaFacts, found: Overdraft) -> Violation:
    doing, of = saga.definition.operation(found.step, found.direction), saga.definition.operation(found.source, FORWARD)
    had = spelled(found.had)
    if found.got is None and not _took(saga, found):
        sentence = f"{doing} took effect for {saga.id} although {of} had taken nothing"
    elif found.got is None:
        sentence = f"{doing} took effect for {saga.id} when nothing was left of what {of} had taken"
    elif found.direction == COMPENSATION:
        sentence = f"{doing} has given back {spelled(found.got)} for {saga.id}, and {of} took {had}"
    else:
        sentence = f"{doing} took {spelled(found.got)} for {saga.id}, and of what {of} had taken {had} was left"
    return Violation(
        invariant="I17",
        anomaly="more than there was",
        sentence=sentence,
        expected=f"at most {had}",
        got=spelled(found.got) if found.got is not None else "an effect",
        saga=saga.id,
        step=found.step,
        direction=found.direction,
        position=found.position,
    )


def _took(saga: SagaFacts, found: Overdraft) -> bool:
    """True if what was used up had been taken at all."""
    return any(at < found.position for at, _, _ in saga.calls[found.source, FORWARD].effective)
