"""Invariants over compensation: I4 (order), I5 (which steps), I11 (until done)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from ..definitions import parent_of
from ..history import ACK, KIND, MSG, PROCESS
from ..saga import COMPENSATION, FORWARD, Step
from ..verdict import Violation
from .calls import CallFacts
from .facts import COMPENSATED, COMPLETED, Facts, SagaFacts
from .knowledge import knowledge
from .parts import rolls_back, spelled
from .registry import Checked, Usual, invariant


@invariant(
    "I4",
    "reverse order",
    harm="steps can be undone in the wrong order",
    by_prefix=True,
    holds_when="when a step and one that depends on it are both undone, the later one is undone first; "
    "and no undo starts while a later step has no answer yet",
    cause="a rollback that walks the steps forwards, or starts before parallel branches have settled",
    repair="undo in the reverse of the order of completion, and wait for each answer before the next undo",
    remembers=("begun", "attempts", "answers", "effects", "requests", "knowledge", "people"),
    source="Garcia-Molina & Salem, Sagas, 1987",
)
def reverse_order(facts: Facts) -> Checked:
    """By happens-before, not by timestamps. Steps that the definition leaves unordered are free. Judged each time that
    a saga rolls back; it may go forward again in between. Who asks for something may have read what was durable by
    then."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        undone = saga.undos()
        if not undone:
            continue
        ancestors = saga.definition.ancestors
        pairs = [(early, late) for late in undone for early in undone if early in ancestors.get(late, ())]
        exercised = exercised or bool(pairs)
        found.extend(_wrong_way_round(facts, saga, pairs))
        found.extend(_too_early(facts, saga, undone))
    return exercised, found


def _wrong_way_round(facts: Facts, saga: SagaFacts, pairs: list[tuple[str, str]]) -> list[Violation]:
    undone = {step: _effects(facts, saga, step, COMPENSATION) for pair in pairs for step in pair}
    both = [(early, late, *moments) for early, late in pairs for moments in _rounds(facts, saga, early, late, undone)]
    if not both:
        return []
    marks = {
        position: 1 << n for n, position in enumerate(sorted({at for *_, one, other in both for at in (one, other)}))
    }
    before = knowledge(facts.history, marks)
    found = []
    reported: set[tuple[str, str]] = set()
    for early, late, taken_back, due in both:
        if before[taken_back] & marks[due] or late in saga.dead or "" in saga.dead or (early, late) in reported:
            continue
        reported.add((early, late))
        first, second = facts.saga.operation(early, COMPENSATION), facts.saga.operation(late, COMPENSATION)
        found.append(
            Violation(
                invariant="I4",
                anomaly="wrong order",
                sentence=f"{saga.id}: {first} {'took effect before' if taken_back < due else _UNKNOWING} {second}"
                f"{'' if taken_back < due else ' had taken effect'}, although {late} comes after {early} and must be "
                f"undone first",
                expected=f"{second}, then {first}",
                got=f"{first} first" if taken_back < due else f"{first} independent of {second}",
                saga=saga.id,
                step=early,
                direction=COMPENSATION,
                position=taken_back,
            )
        )
    return found


_Moments: TypeAlias = tuple[int, int]
"""Where a request was sent, and where it took effect."""

_UNKNOWING: Final = "was sent before its sender could know that"


def _rounds(
    facts: Facts, saga: SagaFacts, early: str, late: str, undone: Mapping[str, list[_Moments]]
) -> Iterator[tuple[int, int]]:
    """(an undo of the early step took effect, the undo of the late one that it must know of) each time that the early
    step was undone after the late one had been asked for: a saga may go forward again, and undo a second time. Leaves
    out those whose sender had itself received the answer of the late undo. ``undone`` has the effects of the undos of
    each step but those by actors."""
    taken = undone[early]
    if not (taken and undone[late]):
        return
    forward = saga.calls.get((late, FORWARD))
    if forward is not None and not forward.effective and forward.definitely_refused:
        return  # there was nothing of it to undo
    asked = [at for at, _, _ in forward.sends] if forward is not None else []
    if early in saga.sums:  # what is given back before is a part of it, and no rollback
        taken = taken[-1:] if saga.sums[early].left <= 0 else []
    for sent, taken_back in taken:
        before = max((at for at in asked if at < sent), default=-1)
        if asked and before < 0:
            continue
        at, due = next((each for each in undone[late] if each[0] > before), undone[late][-1])
        if _answered(facts, saga, late, due, sent):
            continue
        if max((done for done, _ in _effects(facts, saga, late, FORWARD) if done < at), default=-1) < sent:
            yield taken_back, due


def _answered(facts: Facts, saga: SagaFacts, late: str, due: int, sent: int) -> bool:
    """True if the process that sent the request there had received the answer of the undo that took effect at ``due``.
    This is the usual case of happens-before, and cheaper to tell. The end of a child is no such answer."""
    rows = facts.history.rows
    message = rows[due][MSG]
    heard, _ = saga.calls[late, COMPENSATION].answers.get(message, (-1, ""))
    if not due < heard < sent or rows[heard][PROCESS] != rows[sent][PROCESS]:
        return False
    return rows[heard][KIND] == ACK and rows[heard][MSG] == message


def _effects(facts: Facts, saga: SagaFacts, step: str, direction: str) -> list[_Moments]:
    """Each effect that was asked for by no actor."""
    call = saga.calls.get((step, direction))
    if call is None:
        return []
    sent = {message: at for at, message, _ in call.sends}
    rows = facts.history.rows
    return [(sent.get(rows[at][MSG], -1), at) for at, _, _ in call.effective if rows[at][MSG] not in facts.by_actor]


def _too_early(facts: Facts, saga: SagaFacts, undone: list[str]) -> list[Violation]:
    """An undo that is sent while the forward request of a dependent step waits for its answer."""
    found = []
    for early in undone:
        sent = saga.calls[early, COMPENSATION].sends[0][0] if saga.calls[early, COMPENSATION].sends else None
        if sent is None:
            continue
        for step in saga.definition.steps:
            call = saga.calls.get((step.name, FORWARD))
            if call is None or early not in saga.definition.ancestors[step.name]:
                continue
            undo = saga.calls.get((step.name, COMPENSATION))
            if undo is not None and undo.succeeded_before(sent):
                continue  # it was undone, or barred from ever taking effect
            for position, message, key in call.sends:
                settled = min(call.given_up.get(message, sent + 1), call.definite(message, key, sent + 1))
                died = any(position < death < sent for death, _ in facts.deaths)
                if position < sent < settled and not died:
                    first = facts.saga.operation(early, COMPENSATION)
                    found.append(
                        Violation(
                            invariant="I4",
                            anomaly="undo before a later step settled",
                            sentence=f"{saga.id}: {first} was sent while {step.does} had no answer yet",
                            expected=f"the answer to {step.does} first",
                            got=f"{first} before it",
                            saga=saga.id,
                            step=early,
                            direction=COMPENSATION,
                            position=sent,
                        )
                    )
    return found


@invariant(
    "I5",
    "compensation set exact",
    harm="a rollback can leave {what} in effect, or undo what was not done",
    holds_when="only steps that were begun are undone, and a saga is called compensated only when every step that may "
    "have taken effect is undone or known not to have",
    cause="only completed steps are undone, and the one that failed with an unknown outcome is left out",
    repair="log the intent before each request; after an unknown outcome undo that step too, or ask again under "
    "its key",
    remembers=("begun", "requests", "answers", "effects", "people", "ends", "deaths", "durable"),
    explains=("I2", "I3", "I15", "I16", "I17"),
    apart={
        "undo of a step never begun": Usual(
            cause="a rollback that walks all steps, whether they were begun or not",
            repair="log the intent before each request, and undo the steps that have one, the last one first",
        )
    },
)
def exact_set(facts: Facts) -> Checked:
    """A timeout, a lost connection, an error or a crash leaves a step in May: it may have happened. Who rolls back
    without a log of intents, or takes over from a process that stands still, cannot know what was begun: an undo of
    what was not is wrong only where it changes something, or where the log is shown. A refusal speaks for all attempts
    under its key, and for no other; what took effect all the same, before a repeat that was refused say, is I2's. A
    rollback from which the saga goes forward again, or that is followed by "completed", has not ended; a step that is
    begun when the end was told is I15's, and one that is left since another undo failed is I11's."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        undos = _undos(saga)
        claim = next((at for at, outcome, _ in saga.claims if outcome == COMPENSATED), None)
        if not undos and claim is None:
            continue
        exercised = True
        asked = saga.undos()
        found.extend(_never_begun(facts, saga, asked))
        for step in saga.definition.steps:
            if not step.can_be_undone or step.name in asked or step.name in saga.dead or "" in saga.dead:
                continue
            if _undone_beside(saga, step.name) or not saga.in_doubt(step) or _begun_after(saga, step.name, claim):
                continue
            if _ran_out(saga, step.name):
                continue
            if claim is None and returned(saga):
                continue
            if claim is None and not (rolled_back_to_the_end(facts, saga) and saga.net(step.name) > 0):
                continue
            if _known_to_fail(facts, saga, undos):
                continue  # then it is I11's: an undo that fails keeps back the others
            found.append(_left_out(facts, saga, step.name, claim))
    return exercised, found


def _undone_beside(saga: SagaFacts, step: str) -> bool:
    """An actor has undone the step."""
    undo = saga.calls.get((step, COMPENSATION))
    return undo is not None and bool(undo.beside and undo.effective)


def _ran_out(saga: SagaFacts, step: str) -> bool:
    """True if all that the step had taken has run out: there is nothing to undo."""
    return bool(saga.calls[step, FORWARD].expired) and saga.net(step) <= 0


def _undos(saga: SagaFacts) -> list[str]:
    """The steps that were to be undone."""
    found = saga.undos()
    return [step for step in found if rolls_back(saga, step)] if _may_go_on(saga) else found


def _may_go_on(saga: SagaFacts) -> bool:
    """True if a saga of its definition may give something back and be completed all the same."""
    return bool(saga.sums or saga.used or saga.definition.groups or saga.definition.needing_any)


def acted_to_the_end(facts: Facts, saga: SagaFacts) -> bool:
    """The last crash, if any, did not end the work on the saga: it was over before, or taken up again."""
    return not facts.crashes or bool(saga.claims) or saga.last_work > facts.crashes[-1][0]


def rolled_back_to_the_end(facts: Facts, saga: SagaFacts) -> bool:
    """The same, and its last undo was the last that was tried: it was not called completed afterwards, nor asked again
    for an undone step or for one that comes after it."""
    undone = {step: call.sends[-1][0] for step, call in saga.back.items() if call.sends and rolls_back(saga, step)}
    if not undone and _may_go_on(saga):
        return False
    last = max(undone.values(), default=len(facts.history.rows))
    completed = any(at > last and outcome == COMPLETED for at, outcome, _ in saga.claims)
    return (
        acted_to_the_end(facts, saga)
        and not completed
        and not any(
            call.sends[-1][0] > last and not undone.keys().isdisjoint({step, *saga.definition.ancestors.get(step, ())})
            for (step, direction), call in saga.calls.items()
            if direction == FORWARD and call.sends
        )
    )


def returned(saga: SagaFacts) -> bool:
    """True if nothing was asked back before the saga was called completed, and it is no step of another one: what is
    given back then is no rollback, and whether it may be is I15's."""
    completed = next((at for at, outcome, _ in saga.claims if outcome == COMPLETED), None)
    if completed is None or parent_of(saga.id):
        return False
    return all(call.sends[0][0] > completed for call in saga.back.values() if call.sends)


def _begun_after(saga: SagaFacts, step: str, claim: int | None) -> bool:
    """The step was asked for only when the saga had been called compensated: that is I15's."""
    return claim is not None and saga.calls[step, FORWARD].sends[0][0] > claim


def _known_to_fail(facts: Facts, saga: SagaFacts, undos: list[str]) -> list[str]:
    """The undos that came to nothing as far as a process knew that did not die of a fault afterwards: of what one heard
    that did, be it a success, who goes on knows nothing, whether it had heard it or was about to."""
    deaths = facts.crashes

    def lasts(position: int) -> bool:
        label = facts.history.rows[position][PROCESS]
        return not any(at > position and who == label for at, who in deaths)

    found = []
    for step in undos:
        undo = saga.calls[step, COMPENSATION]
        heard = [(at, "") for at in undo.given_up.values()] + [*undo.answers.values()]
        known = {answer for at, answer in heard if lasts(at)}
        if known and "ok" not in known:
            found.append(step)
    return found


def _never_begun(facts: Facts, saga: SagaFacts, undos: list[str]) -> list[Violation]:
    found = []
    for step in undos:
        call = saga.calls[step, COMPENSATION]
        sent = call.sends[0][0] if call.sends else -1
        forward = saga.calls.get((step, FORWARD))
        if forward is not None and any(at < sent for at, _, _ in (*forward.sends[:1], *forward.beside[:1])):
            continue
        if saga.durable.get(("intent", step), sent) < sent or sent < 0:
            continue
        done = forward.effective[:1] if forward is not None else []
        harmless = not call.effective or bool(done and done[0][0] < call.effective[0][0])
        if harmless and not any(record == "intent" for record, _ in saga.durable):
            continue  # its log is not shown, so it may rightly be unsure; what it undid had been done meanwhile
        operation = facts.saga.operation(step, COMPENSATION)
        found.append(
            Violation(
                invariant="I5",
                anomaly="undo of a step never begun",
                sentence=f"{operation} was sent for {saga.id}, whose step {step} was not begun",
                expected="undo only of steps that were begun",
                got=operation,
                saga=saga.id,
                step=step,
                direction=COMPENSATION,
                position=sent,
            )
        )
    return found


def _left_out(facts: Facts, saga: SagaFacts, step: str, claim: int | None) -> Violation:
    operation = facts.saga.operation(step, FORWARD)
    leaked = saga.net(step) > 0
    told = "the saga was called compensated" if claim is not None else "the rollback ended"
    sentence = (
        f"{operation} for {saga.id} took effect and was never undone, yet {told}"
        if leaked
        else f"{operation} for {saga.id} may have taken effect, nobody found out, yet {told}"
    )
    return Violation(
        invariant="I5",
        anomaly="leaked effect" if leaked else "false terminal",
        sentence=sentence,
        expected=f"{saga.definition.operation(step, COMPENSATION)}, or a definite answer that there is nothing to undo",
        got="neither",
        saga=saga.id,
        step=step,
        direction=FORWARD,
        position=claim if claim is not None else -1,
    )


@invariant(
    "I11",
    "compensation policy",
    harm="{what} can be given up or left out, and no person is called",
    holds_when="every compensation that is due succeeds in the end, or is put aside with an alert and the saga does "
    "not call itself compensated; one that fails keeps back no other",
    cause="an error in a compensation is swallowed, or ends the rollback",
    repair="retry each compensation with backoff until it succeeds; when the budget is used up, put it aside, call a "
    "person, go on with the others, and say so in the saga's state",
    nature="both",
    remembers=("answers", "effects", "people", "ends", "deaths", "rest"),
    explains=("I2", "I3", "I4", "I5", "I15", "I16"),
)
def compensation_policy(facts: Facts) -> Checked:
    """Judged at quiescence, on sagas that began to compensate and were worked on to the end. What is left over then
    breaks I2 and I3 as well; this one tells it from a saga that stopped anywhere else. Judged as well while a
    compensation fails to which nobody is called: what need not wait for it must not. Where an alert or a dead letter
    names it, or its saga, an operator repairs it; one that was put aside without an alert is given up. An undo fails as
    far as anybody knows who goes on: what a process heard that died of a fault afterwards counts for nothing. It
    explains the wrong order (I4) and the effect after the end (I15) that come of an undo that was given up."""
    exercised, found = False, _kept_back_meanwhile(facts)
    for saga in facts.sagas.values():
        undos = _undos(saga)
        if not undos:
            continue
        exercised = True
        claimed = any(outcome == COMPENSATED for _, outcome, _ in saga.claims)
        due = [step.name for step in saga.definition.steps if step.can_be_undone and _due(saga, step, claimed)]
        if not due or not (acted_to_the_end if claimed else rolled_back_to_the_end)(facts, saga):
            continue
        failing = [step for step in undos if saga.calls[step, COMPENSATION].answered_ok is None]
        known = _known_to_fail(facts, saga, undos)
        for name in due:
            anomaly = _policy_broken(saga, name, undos, failing, known, claimed)
            if anomaly is not None:
                found.append(_given_up(facts, saga, name, anomaly, known))
    return exercised, found


def _kept_back_meanwhile(whole: Facts) -> list[Violation]:
    """Undos that were never sent because one failed that they need not come after: its step depends not on theirs. The
    whole history tells what was to be undone: a line whose release fails for now may yet be taken out of an order that
    goes on."""
    found: list[Violation] = []
    facts = whole.meanwhile()
    for saga in facts.sagas.values() if facts is not None else ():
        assert facts is not None
        in_the_end = _undos(whole.sagas[saga.id])
        undos = [step for step in _undos(saga) if step in in_the_end]
        failing = [step for step in undos if saga.calls[step, COMPENSATION].answered_ok is None]
        for step in saga.definition.steps:
            waits = any(step.name in saga.definition.ancestors[other] for other in failing)
            if failing and step.can_be_undone and step.name not in undos and not waits and _due(saga, step, False):
                found.append(_given_up(facts, saga, step.name, "undo kept back", failing))
    return found


def _due(saga: SagaFacts, step: Step, claimed: bool) -> bool:
    """Its effect stands and nobody was called to it; or the saga calls itself compensated although it may
    stand, for its undo was asked and never answered for."""
    handed_over = saga.handed_over(step.name)
    if saga.net(step.name) > 0:
        return claimed or not handed_over
    undo = saga.calls.get((step.name, COMPENSATION))
    if undo is None or not claimed or handed_over:
        return False
    return undo.applied < 0 and not undo.refused_once and saga.in_doubt(step)


def _policy_broken(
    saga: SagaFacts, step: str, undos: list[str], failing: list[str], known: list[str], claimed: bool
) -> str | None:
    if step in saga.dead or "" in saga.dead:
        return "marked compensated" if claimed else "nobody called"
    if step in failing:
        return "undo given up"
    if saga.by_an_actor(step):
        return None  # an undo that no orchestrator owes
    if step not in undos and known:
        return "undo kept back"
    return None


def passed_over(saga: SagaFacts, step: str) -> bool:
    """The rollback went on behind the step: a step before it was to be undone, so no other undo kept its own back."""
    return any(undone in saga.definition.ancestors.get(step, ()) for undone in saga.undos())


def _kept_back(facts: Facts, saga: SagaFacts, step: str, failing: list[str]) -> str:
    """Say why the effect of a step was not undone, or not all of it."""
    given = saga.sums.get(step)
    if given is not None and given.given > 0:
        return f"gave back {spelled(given.given)} of {spelled(given.taken)}, and nobody gave back the rest"
    if passed_over(saga, step):
        return "was never sent: the rollback passed over it"
    by = (f"{facts.saga.operation(name, COMPENSATION)} {_came_to(saga.calls[name, COMPENSATION])}" for name in failing)
    return f"was never sent, because {' and '.join(by)}"


_UNKNOWN: Final = "in effect or not: nobody knows"


def _came_to(undo: CallFacts | None) -> str:
    """Say what became of the last attempt of an undo."""
    answers = sorted(undo.answers.values()) if undo is not None else []
    waited = max(undo.given_up.values(), default=-1) if undo is not None else -1
    if not answers or answers[-1][0] < waited:
        return "got no answer"
    return "was refused" if answers[-1][1] == "rejected" else "failed"


def _given_up(facts: Facts, saga: SagaFacts, step: str, anomaly: str, failing: list[str]) -> Violation:
    undo = facts.saga.operation(step, COMPENSATION)
    sentence = {
        "marked compensated": f"{undo} for {saga.id} was put aside as failed, yet the saga calls itself compensated",
        "nobody called": f"{undo} for {saga.id} was put aside as failed and nobody was called",
        "undo given up": f"{undo} for {saga.id} {_came_to(saga.calls.get((step, COMPENSATION)))}, and was neither "
        f"retried until it worked nor put aside for a person",
        "undo kept back": f"{undo} for {saga.id} {_kept_back(facts, saga, step, failing)}",
    }[anomaly]
    return Violation(
        invariant="I11",
        anomaly=anomaly,
        sentence=sentence,
        expected=f"{undo} in effect, or put aside with an alert",
        got=f"{facts.saga.operation(step, FORWARD)} {'still in effect' if saga.net(step) > 0 else _UNKNOWN}",
        saga=saga.id,
        step=step,
        direction=COMPENSATION,
    )
