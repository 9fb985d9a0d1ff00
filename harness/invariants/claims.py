"""Invariants over what the orchestrator says of a saga: I15, I16, I23, and the campaign's own I27."""

from __future__ import annotations

from collections.abc import Iterator

from ..definitions import parent_of
from ..saga import ANY, COMPENSATION, FORWARD, Step, split
from ..verdict import Violation
from .effects import binds
from .facts import COMPENSATED, COMPLETED, STUCK, Facts, SagaFacts
from .parts import complete_without, listed
from .registry import Checked, Usual, invariant


@invariant(
    "I15",
    "monotone terminal",
    harm="a saga can change after it was called over",
    by_prefix=True,
    holds_when="once a saga is called completed or compensated, it is never called anything else, and nothing more "
    "takes effect for it",
    cause="a late request or timer, or a process that goes on although another has ended the saga, and a participant "
    "that does not remember what it refused or undid",
    repair="look how the saga stands before each request, and let participants remember refusals and undos and refuse "
    "what comes after",
    remembers=("effects", "people"),
    explains=("I2", "I3", "I16"),
    apart={
        "two ends": Usual(
            cause="two processes, or a request and a timer, each decide how the saga ends",
            repair="decide once, in one atomic step of the store, and tell what was decided",
        )
    },
)
def monotone_terminal(facts: Facts) -> Checked:
    """Judged from the first terminal claim on. From "stuck" a person may lead to "compensated", and, where one was
    called, to "completed"; what an actor gives back after the end is that one's affair, and what a saga is completed
    without may be given back then: what is left of a hold. A retry that is accepted after a refusal was taken for the
    end is an effect after the end. A saga that is a step of another one may be undone with it after it was
    completed."""
    exercised = False
    found: list[Violation] = []
    for saga in facts.sagas.values():
        if not saga.claims:
            continue
        exercised = True
        first_at, first, _ = saga.claims[0]
        undoable = first == COMPLETED and bool(parent_of(saga.id))  # with its parent
        found += _second_ends(saga, undoable=undoable)
        if first not in (COMPLETED, COMPENSATED):
            continue
        undone_at = first_at
        if undoable:
            undone_at = next((at for at, outcome, _ in saga.claims if outcome == COMPENSATED), len(facts.history.rows))
        for (step, direction), call in saga.calls.items():
            end_at = undone_at if direction == COMPENSATION else first_at
            if not call.effective or call.effective[-1][0] <= end_at:
                continue
            late = [at for at, _, _ in call.effective if at > end_at and not _mends(facts, direction, at)]
            spared = direction == COMPENSATION and first == COMPLETED and complete_without(saga, step)
            if late and not spared:
                operation = facts.saga.operation(step, direction)
                end = first if end_at == first_at else COMPENSATED
                found.append(
                    Violation(
                        invariant="I15",
                        anomaly="effect after the end",
                        sentence=f"{operation} for {saga.id}{facts.hand(late[0])} took effect after the saga was "
                        f"called {end}",
                        expected=f"no effect after {end!r}",
                        got=f"{operation} in effect",
                        saga=saga.id,
                        step=step,
                        direction=direction,
                        position=late[0],
                    )
                )
    return exercised, found


def _mends(facts: Facts, direction: str, at: int) -> bool:
    """An actor undoes: after the end that is its own affair, a return or a repair."""
    return direction == COMPENSATION and facts.by_an_actor(at)


def _called(saga: SagaFacts) -> bool:
    return bool(saga.dead and saga.alerts)


def _second_ends(saga: SagaFacts, *, undoable: bool) -> Iterator[Violation]:
    """The first claim that the one before it does not allow; an ``undoable`` saga goes from one end to the next."""
    end = saga.claims[0][1]
    for at, outcome, _ in saga.claims[1:]:
        if outcome == end or (end == STUCK and (outcome == COMPENSATED or _called(saga))):
            end = outcome if undoable else end
        elif undoable and end == COMPLETED:
            end = outcome
        else:
            yield _second_end(saga, end, outcome, at)
            return


def _second_end(saga: SagaFacts, first: str, second: str, position: int) -> Violation:
    return Violation(
        invariant="I15",
        anomaly="two ends",
        sentence=f"{saga.id} was called {first}, and later {second}",
        expected=first,
        got=f"{first}, then {second}",
        saga=saga.id,
        position=position,
    )


@invariant(
    "I16",
    "client truth",
    harm="a client can be told what is not so",
    holds_when="what the client was told is what the participants hold in the end; 'pending' is always true",
    cause="the answer is given before the outcome is certain, or a timeout is told as a failure",
    repair="answer when the end is durable; while an outcome is unknown say 'pending'",
    remembers=("effects", "ends"),
)
def client_truth(facts: Facts) -> Checked:
    """Completed: every step in effect. Compensated: no step in effect. Judged on what the participants hold in the end,
    after the final restart; "pending" and "stuck" promise nothing. Of a saga that is a step of another one its last end
    counts: it is undone with its parent."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        for at, outcome, to_client in saga.claims if not parent_of(saga.id) else saga.claims[-1:]:
            if not to_client or outcome not in (COMPLETED, COMPENSATED):
                continue
            exercised = True
            if outcome == COMPLETED:
                wrong = saga.missing()
                state = "not in effect"
            else:
                wrong = [step.name for step in saga.definition.steps if binds(step) and saga.net(step.name) > 0]
                state = "in effect"
            if wrong:
                found.append(
                    Violation(
                        invariant="I16",
                        anomaly=f"told {outcome}",
                        sentence=f"the client of {saga.id} was told {outcome!r}, but {listed(wrong)} "
                        f"{'is' if len(wrong) == 1 else 'are'} {state}"
                        f"{facts.hands(saga, wrong, COMPENSATION if outcome == COMPLETED else FORWARD)}",
                        expected=f"every step {'in effect' if outcome == COMPLETED else 'undone'}",
                        got=f"{listed(wrong)} {state}",
                        saga=saga.id,
                        step=wrong[-1],
                        direction=FORWARD,
                        position=at,
                    )
                )
                break
    return exercised, found


@invariant(
    "I23",
    "no success without effect",
    harm="a saga can be called completed without the effects of all its steps",
    by_prefix=True,
    holds_when="a saga is called completed only when each of its steps took effect, and it has undone none of them",
    cause="an error of the last step is swallowed, or a refusal is taken for success",
    repair="let only a definite success of every step lead to 'completed'",
    remembers=("effects",),
    explains=("I2", "I15", "I16"),
)
def no_hollow_success(facts: Facts) -> Checked:
    """Judged at the claim: a step that takes effect later does not make it true. A step without an undo
    (a check, say) may change nothing; it is enough that it was done."""
    exercised, found = False, []
    for saga in facts.sagas.values():
        claim = next((at for at, outcome, _ in saga.claims if outcome == COMPLETED), None)
        if claim is None:
            continue
        exercised = True
        hollow = [step for step in saga.definition.steps if not _in_effect(facts, saga, step, claim)]
        hollow = _without_groups(saga, hollow) if hollow and saga.definition.groups else hollow
        found += [
            _hollow(saga, step, claim)
            for step in hollow
            if step.needs != ANY or all(same in hollow for same in _parts_of(saga, step))
        ]
    return exercised, found


def _hollow(saga: SagaFacts, step: Step, claim: int) -> Violation:
    operation = saga.definition.operation(step.name, FORWARD)
    return Violation(
        invariant="I23",
        anomaly="hollow success",
        sentence=f"{saga.id} was called completed, but {operation} {_instead(saga, step, claim)}",
        expected=f"{operation} in effect before 'completed'",
        got="no effect",
        saga=saga.id,
        step=step.name,
        direction=FORWARD,
        position=claim,
    )


def _instead(saga: SagaFacts, step: Step, claim: int) -> str:
    """Say what had become of a step that was not in effect by then."""
    call = saga.calls.get((step.name, FORWARD))
    if call is None or not any(at < claim for at, _, _ in (*call.sends, *call.beside)):
        return "had never been asked for"
    if any(at < claim for at, _, _ in call.effective):
        return "had been undone"
    answers = [answer for at, answer in sorted(call.answers.values()) if at < claim]
    told = answers[-1] if answers else ""
    how = {"ok": "had changed nothing, although it was answered with success", "rejected": "had been refused"}
    return how.get(told, "had not taken effect")


def _without_groups(saga: SagaFacts, hollow: list[Step]) -> list[Step]:
    """Those that must have taken effect: not the ones of an optional group, and of alternatives those of the first one
    where none took effect."""
    names = {step.name for step in hollow}
    for group in saga.definition.groups:
        if group.optional or any(names.isdisjoint(alternative) for alternative in group.alternatives):
            names -= group.members
        else:
            names -= group.members - set(group.alternatives[0])
    return [step for step in hollow if step.name in names]


def _in_effect(facts: Facts, saga: SagaFacts, step: Step, claim: int) -> bool:
    """It took effect before the claim, and the saga had not undone it by then; of a step without an undo it is enough
    that it was done."""
    call, undo = saga.calls.get((step.name, FORWARD)), saga.back.get(step.name)
    if call is None:
        return False
    if undo is None and call.effective and call.effective[0][0] < claim:
        return True
    done = len([at for at, _, _ in call.effective if at < claim])
    if undo is not None and done and undo.effective:
        ended = any(at < claim and outcome == COMPENSATED for at, outcome, _ in saga.claims)  # two ends are I15's
        others = saga.sums.keys() | saga.used.keys() | saga.children.keys()  # what is left of these is told apart
        if not ended and step.name not in others:
            done -= sum(at < claim and not facts.by_an_actor(at) for at, _, _ in undo.effective)
    return done > 0 or (not step.can_be_undone and 0 <= call.applied < claim)


def _parts_of(saga: SagaFacts, step: Step) -> Iterator[Step]:
    whole = split(step.name)[0]
    return (each for each in saga.definition.steps if split(each.name)[0] == whole)


@invariant(
    "I27",
    "not vacuous",
    holds_when="every planned fault struck at its site, and what was never exercised is reported as such",
    cause="a fault that is planned where the run never comes",
    repair="look at what was not exercised: the scenario may end too early, or the adapter may be deaf to the fault",
    nature="meta",
)
def not_vacuous(facts: Facts) -> Checked:
    """Judged over the campaign, not over one history. A fault that changed nothing has not fired. Not exercised where
    no plan had a fault."""
    return False, ()
