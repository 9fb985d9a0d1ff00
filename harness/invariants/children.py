"""Steps that are sagas of their own: what a child's saga comes to on its parent's side.

To the parent a child is a step like any other: asked for when the first request was sent for the child, answered when
the child had an end, in effect when the child was completed, undone when nothing of the child is in effect any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..definitions import child_id, parent_of
from ..history import KIND, MSG, SAGA, SEND
from ..saga import COMPENSATION, FORWARD, Outcome, Step
from .calls import CallFacts

if TYPE_CHECKING:
    from .facts import Facts, SagaFacts

_COMPLETED = Outcome.COMPLETED.value
_COMPENSATED = Outcome.COMPENSATED.value


def take_in(facts: Facts) -> None:
    """Tell each saga of the facts what became of its children, the innermost first."""
    for id in list(facts.sagas):
        while id := parent_of(id):
            _ = facts.sagas[id]  # known, if only as one for which nothing was done
    begun: dict[str, int] = {}  # the first thing that was done for each, or written for it
    for at, row in enumerate(facts.history.rows):
        begun.setdefault(row[SAGA], at)
    for saga in sorted(facts.sagas.values(), key=lambda each: -each.id.count(".")):
        if parent_of(saga.id):
            saga.submitted = begun.get(saga.id, -1)
        if saga.definition.children:
            _as_steps(facts, saga)


def _as_steps(facts: Facts, saga: SagaFacts) -> None:
    """Tell the saga of its children that were begun, each as a step of it."""
    ids = {name: child_id(saga.id, name) for name in saga.definition.children}
    saga.children = {name: facts.sagas[id] for name, id in ids.items() if id in facts.sagas}
    done = {name: _step(facts, saga, name, child) for name, child in saga.children.items()}
    saga.counted = {**saga.counted, **dict.fromkeys(ids, 0), **done}


def _step(facts: Facts, saga: SagaFacts, name: str, child: SagaFacts) -> int:
    """Tell the parent of the child as of a step: 1 where all of it is in effect, else 0."""
    forwards = [call for (_, direction), call in child.calls.items() if direction == FORWARD]
    asked = sorted(send for call in forwards for send in call.sends)
    if not asked:
        return 0  # nothing was asked for it: there is nothing to undo
    whole = not child.missing()
    forward = saga.calls[name, FORWARD] = CallFacts()
    message = asked[0][1]
    forward.sends = [(asked[0][0], message, None)]
    completed = _completed(child, whole)
    if completed >= 0:
        forward.effective = [(completed, None, None)]
        forward.applied = completed
    answer = _answer(facts, child, completed)
    if answer is not None:
        forward.answers[message] = answer
    elif child.claims or child.dead:
        forward.given_up[message] = min([at for at, _, _ in child.claims] or child.dead.values())
    if completed >= 0:
        _undo(facts, saga, name, child, completed)
    if child.dead and child.alerts:  # who was called to the child was called to the step
        saga.dead.setdefault(name, min(child.dead.values()))
        saga.alerts.setdefault(name, min(child.alerts.values()))
    return int(whole)


def _completed(child: SagaFacts, whole: bool) -> int:
    """Where the child was completed: as was said of it, else where the last of its steps took effect, and none had been
    undone; -1: never."""
    said = next((at for at, outcome, _ in child.claims if outcome == _COMPLETED), -1)
    if said >= 0 or (child.claims and not whole):
        return said
    calls = [child.calls.get((step.name, FORWARD)) for step in child.definition.steps]
    last = max((call.applied for call in calls if call is not None), default=-1)
    if whole:
        return last
    undone = min((call.effective[0][0] for call in child.back.values() if call.effective), default=last)
    all_were_done = all(call is not None and call.applied >= 0 for call in calls) and last < undone
    return last if all_were_done else -1


def _answer(facts: Facts, child: SagaFacts, completed: int) -> tuple[int, str] | None:
    """Where the child had an end, and which: "ok" or "rejected"; None where it is open, or nobody knows."""
    if child.claims and child.claims[0][1] == _COMPENSATED:
        return child.claims[0][0], "rejected"
    if completed >= 0:
        return completed, "ok"
    steps = child.definition.steps
    undone = {step.name: _undone(child, step) for step in steps}
    if any(_stands(child, step) or (child.in_doubt(step) and undone[step.name] < 0) for step in steps):
        return None
    told = [at for at in undone.values() if at >= 0]
    others = [call for (step, _), call in child.calls.items() if undone.get(step, -1) < 0]
    told += [at for call in others for at, _ in call.answers.values()]
    return max(told, default=child.last_row), "rejected"


def _undo(facts: Facts, saga: SagaFacts, name: str, child: SagaFacts, completed: int) -> None:
    """The undo of a child that was completed: the requests that undo its steps, taken together."""
    undos = child.back.values()
    asked = sorted(send for call in undos for send in call.sends if send[0] > completed)
    effects = sorted(at for call in undos for at, _, _ in call.effective if at > completed)
    if not asked and not effects:
        return
    undo = saga.calls[name, COMPENSATION] = saga.back[name] = CallFacts()
    undone = bool(effects) and not any(_stands(child, step) for step in child.definition.steps)
    message = facts.history.rows[effects[-1] if effects else asked[-1][0]][MSG]
    if asked:
        undo.sends = [(asked[0][0], message, None)]
    else:  # it was an actor who undid it
        undo.beside = [(_sent(facts, message), message, None)]
    if undone:
        undo.effective = [(effects[-1], None, None)]
        undo.applied = effects[-1]
    if undone or _each_undo_answered(child):
        ends = [at for at, outcome, _ in child.claims if outcome == _COMPENSATED]
        told = [at for call in undos for at, answer in call.answers.values() if answer == "ok" and at > completed]
        if ends or told:
            undo.answers[message] = (min(ends) if ends else max(told), "ok")


def _each_undo_answered(child: SagaFacts) -> bool:
    """The undo of all that can be undone has an answer, whatever it left."""
    return all(
        step.name in child.back and any(answer == "ok" for _, answer in child.back[step.name].answers.values())
        for step in child.definition.steps
        if step.can_be_undone
    )


def _sent(facts: Facts, message: int) -> int:
    return next((at for at, row in enumerate(facts.history.rows) if row[MSG] == message and row[KIND] == SEND), -1)


def _stands(child: SagaFacts, step: Step) -> bool:
    """The step is in effect, and can be taken back, or is one from which there is no way back."""
    return (step.can_be_undone or step.pivot) and child.net(step.name) > 0


def _undone(child: SagaFacts, step: Step) -> int:
    """Where an undo of the step was first answered, of a child of which nobody says what became of it: whatever the
    step had come to, it is taken back; -1: never. What a process is told that stood still is nothing new."""
    undo = child.back.get(step.name)
    if undo is None or child.claims or child.dead:
        return -1
    return min((at for at, answer in undo.answers.values() if answer == "ok"), default=-1)


def left_alone(saga: SagaFacts, left: list[str], missing: list[str]) -> str:
    """The anomaly between a saga and its children, where ``left`` is in effect and ``missing`` is not; "" where it is
    about more than them."""
    if saga.children.keys() >= set(left):
        return "child without its parent"
    undone = [name for name in missing if name in saga.children and (name, COMPENSATION) in saga.calls]
    return "parent without its child" if undone == missing else ""
