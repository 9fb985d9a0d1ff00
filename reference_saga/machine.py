"""The orchestrator's mind: a pure function from what happened to what is to be done.

    state, commands = advance(definition, state, event)

It knows no store, no network and no clock, so the simulator, threads and asyncio run the same code. The
rules that it keeps, each of which some fault punishes when it is broken:

- a saga is durable before anything is done for it, and an intent before its request is sent;
- a request keeps one idempotency key over every attempt and every incarnation;
- an unknown outcome is asked again under the same key, each attempt counted durably before it is made; when
  the budget is used up the step counts as one that may have happened: it is compensated;
- the decision to compensate is durable before the first undo, and taken when nothing is in flight any more;
- undos go in the reverse of the partial order, each until it succeeds or is put aside for a person, and one
  that fails does not keep back the others;
- the end is durable before the client is told.

What becomes known together is written together: the outcome of a step, the intents that follow from it and
the end of the saga are one record, so a saga of n steps takes n + 1 durable writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from ..saga import Outcome
from .definition import Definition

RUNNING: Final = "running"
COMPENSATING: Final = "compensating"

_VOLATILE: Final = ("in_flight", "failing")


class State(NamedTuple):
    """A saga as its owner knows it. A tuple, since each event makes a new one, some of them several.

    ``begun`` are the steps whose intent is durable, in order; ``answers`` holds the answer of each that is
    done. ``attempts`` counts the requests of a step in the current direction, from the second on. ``owner``
    and ``epoch`` say who may write, ``revision`` counts the writes. The last two fields die with the process:
    the steps that have been asked and not settled, and whether the saga is on its way back.
    """

    id: str
    definition: str
    owner: str
    epoch: int = 1
    revision: int = 0
    phase: str = RUNNING
    request: Mapping[str, Any] = {}
    begun: tuple[str, ...] = ()
    answers: Mapping[str, Any] = {}
    refused: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    attempts: Mapping[str, int] = {}
    cancelled: bool = False
    deadline: float | None = None
    outcome: str = ""
    in_flight: tuple[str, ...] = ()
    failing: bool = False

    def record(self) -> dict[str, Any]:
        """What is kept of it: JSON data."""
        return dict(zip(_KEPT, self, strict=False))  # the volatile fields come last

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> State:
        values = {name: record[name] for name in _KEPT if name in record}
        for name in _TUPLES:
            if name in values:
                values[name] = tuple(values[name])
        return cls(**values)

    def attempt(self, step: str) -> int:
        """How many requests of the step may have been made in the current direction; 1 where none is counted."""
        return self.attempts.get(step, 1)


_KEPT: Final = tuple(name for name in State._fields if name not in _VOLATILE)
_TUPLES: Final = ("begun", "refused", "undone", "stuck")


# -- events: what happened ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """A new saga, or one that an owner takes up."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The step, or in compensation its undo, is done."""

    step: str
    answer: Any = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Definite: nothing was applied."""

    step: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """No answer, or an error: it may have been applied, or may yet be."""

    step: str


@dataclass(frozen=True, slots=True)
class Due:
    """The wait before the next attempt is over."""

    step: str


@dataclass(frozen=True, slots=True)
class Renew:
    """The owner is still there, though it has had nothing to write for long."""


Event = Begin | Answered | Refused | Unknown | Due | Renew


# -- commands: what is to be done, in this order ---------------------------------------------------


@dataclass(frozen=True, slots=True)
class Save:
    """Make the new state durable; ``entries`` say what is new in it, as (kind of record, step)."""

    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """Send a request of the step, forward or, where ``undo``, backward."""

    step: str
    undo: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """Tell that the step is `Due` after that time."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CallPerson:
    """Put the step aside for a person, and call one."""

    step: str
    reason: str


Command = Save | Call | Wait | CallPerson

Entries = list[tuple[str, str]]


def advance(definition: Definition, state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """The state after the event, and what is to be done now. A state with an ``outcome`` is the last.

    A deadline that has passed is told by ``failing``, a cancellation by ``cancelled``, in the state that is given.
    Commands are to be carried out in order; a request must not be sent before the `Save` before it is durable.
    """
    match event:
        case Begin():
            return _begin(definition, state)
        case Answered():
            return _answered(definition, state, event)
        case Refused():
            return _refused(definition, state, event)
        case Unknown():
            return _unknown(definition, state, event.step)
        case Due():
            return _due(definition, state, event.step)
        case Renew():
            return _saved(state, [("renew", "")], [])


class Superseded(Exception):
    """Another owner has taken the saga over; this one must leave it alone."""


def reconcile(wrote: State, found: Mapping[str, Any] | None) -> State | None:
    """After a write was refused: the state as it is durable, or None where the client's cancellation came first
    and the event is to be thought over again. An owner's epoch is its own, and a client cancels once, so the
    revision tells which it was. Raises Superseded where another owner wrote."""
    if found is None or (found["owner"], found["epoch"]) != (wrote.owner, wrote.epoch):
        raise Superseded(wrote.id)
    ahead = found["revision"] - wrote.revision
    if found["cancelled"] and not wrote.cancelled:
        if ahead == 0:
            return None
        if ahead == 1:  # our write was durable, its answer lost, and the cancellation followed
            return wrote._replace(revision=found["revision"], cancelled=True)
    elif ahead == 0:  # our own write, whose answer was lost
        return wrote
    raise Superseded(wrote.id)


def committed(definition: Definition, state: State) -> bool:
    """True if the pivot may have happened: then the saga can only be completed."""
    return definition.pivot in state.begun and definition.pivot not in state.refused


def _begin(definition: Definition, state: State) -> tuple[State, tuple[Command, ...]]:
    if not state.revision:
        return _go_on(definition, state, [("create", "")])
    if state.phase == COMPENSATING:
        return _take_up_undos(definition, state)
    open_steps = [
        name for name in state.begun if name not in state.answers and name not in (*state.refused, *state.stuck)
    ]
    again = [name for name in open_steps if _may_ask(definition, state, name)]
    state = state._replace(
        in_flight=tuple(again),
        failing=len(again) < len(open_steps),
        attempts={**state.attempts, **{name: state.attempt(name) + 1 for name in again}},
    )
    return _go_on(definition, state, [("adopt", "")], [Call(name) for name in again])


def _take_up_undos(definition: Definition, state: State) -> tuple[State, tuple[Command, ...]]:
    """The undos that are due are those that the owner before may have been at. Each is asked for once more even
    where its budget is used up: the last attempt may have succeeded, and a person be called for nothing."""
    due = _undos_due(definition, state)
    state = state._replace(
        in_flight=tuple(due),
        attempts={**state.attempts, **{step: state.attempt(step) + 1 for step in due}},
    )
    return _go_on(definition, state, [("adopt", "")], [Call(step, undo=True) for step in due])


def _may_ask(definition: Definition, state: State, step: str) -> bool:
    """True if there may be one more request of the step."""
    undo = state.phase == COMPENSATING
    if not undo and step in definition.endless:
        return True
    stopped = not undo and (state.failing or state.cancelled)
    return not stopped and state.attempt(step) < definition.policy(step, undo=undo).attempts


def _answered(definition: Definition, state: State, event: Answered) -> tuple[State, tuple[Command, ...]]:
    step = event.step
    left = _without(state.in_flight, step)
    if state.phase == COMPENSATING:
        return _go_on(definition, state._replace(in_flight=left, undone=(*state.undone, step)), [("undone", step)])
    state = state._replace(in_flight=left, answers={**state.answers, step: event.answer})
    return _go_on(definition, state, [("outcome", step)])


def _refused(definition: Definition, state: State, event: Refused) -> tuple[State, tuple[Command, ...]]:
    step = event.step
    if state.phase == COMPENSATING:
        if not definition.users[step].isdisjoint(state.begun):  # it was used up, so nothing is left to undo
            return _answered(definition, state, Answered(step))
        return _unknown(definition, state, step)  # an undo must not be refused: it is asked again
    state = state._replace(in_flight=_without(state.in_flight, step))
    if committed(definition, state) and step != definition.pivot:
        state = state._replace(stuck=(*state.stuck, step))
        aside = CallPerson(step, f"refused after the pivot: {event.reason}")
        return _go_on(definition, state, [("stuck", step)], before=(aside,))
    return _go_on(definition, state._replace(refused=(*state.refused, step), failing=True), [])


def _unknown(definition: Definition, state: State, step: str) -> tuple[State, tuple[Command, ...]]:
    undo = state.phase == COMPENSATING
    if _may_ask(definition, state, step):
        wait = definition.policy(step, undo=undo).backoff_s(state.attempt(step))
        return state, (Wait(step, wait),)
    state = state._replace(in_flight=_without(state.in_flight, step))
    if not undo:  # it may have happened: it is undone with the others
        return _go_on(definition, state._replace(failing=True), [])
    state = state._replace(stuck=(*state.stuck, step))
    aside = CallPerson(step, "its compensation keeps failing")
    return _go_on(definition, state, [("stuck", step)], before=(aside,))


def _due(definition: Definition, state: State, step: str) -> tuple[State, tuple[Command, ...]]:
    if step not in state.in_flight:
        return state, ()
    if not _may_ask(definition, state, step):  # stopped meanwhile
        return _unknown(definition, state, step)
    state = state._replace(attempts={**state.attempts, step: state.attempt(step) + 1})
    call = Call(step, undo=state.phase == COMPENSATING)
    return _saved(state, [("attempt", step)], [call])


# -- what follows ---------------------------------------------------------------------------------


def _go_on(
    definition: Definition,
    state: State,
    entries: Entries,
    calls: list[Command] | None = None,
    *,
    before: tuple[Command, ...] = (),
) -> tuple[State, tuple[Command, ...]]:
    """Whatever can be begun now. ``entries`` is what has to be recorded in any case."""
    calls = calls or []
    if state.phase == RUNNING and (state.failing or state.cancelled) and not committed(definition, state):
        if not state.in_flight:
            state = state._replace(phase=COMPENSATING, attempts={})
            entries.append(("compensating", ""))
    elif state.phase == RUNNING:
        state = _begin_steps(definition, state, entries, calls)
    if state.phase == COMPENSATING:
        due = _undos_due(definition, state)
        calls += [Call(step, undo=True) for step in due]
        state = state._replace(in_flight=(*state.in_flight, *due))
    if not state.in_flight:
        state = state._replace(outcome=_outcome(state).value)
        entries.append(("terminal", ""))
    return _saved(state, entries, calls, before)


def _begin_steps(definition: Definition, state: State, entries: Entries, calls: list[Command]) -> State:
    waits_for = definition.waits_for
    ready = [
        name for name in definition.saga.sequence if name not in state.begun and waits_for[name] <= state.answers.keys()
    ]
    if not ready:
        return state
    entries += [("intent", name) for name in ready]
    calls += [Call(name) for name in ready]
    return state._replace(begun=(*state.begun, *ready), in_flight=(*state.in_flight, *ready))


def _undos_due(definition: Definition, state: State) -> list[str]:
    """The steps to undo next: those with nothing left to undo after them. The last one begun comes first."""
    settled = (*state.refused, *state.undone, *state.stuck)
    by_name = definition.saga.by_name
    left = [name for name in reversed(state.begun) if by_name[name].undo is not None and name not in settled]
    return [name for name in left if name not in state.in_flight and definition.descendants[name].isdisjoint(left)]


def _outcome(state: State) -> Outcome:
    if state.stuck:
        return Outcome.STUCK
    return Outcome.COMPLETED if state.phase == RUNNING else Outcome.COMPENSATED


def _saved(
    state: State, entries: Entries, calls: list[Command], before: tuple[Command, ...] = ()
) -> tuple[State, tuple[Command, ...]]:
    if not entries:
        return state, (*before, *calls)
    return state._replace(revision=state.revision + 1), (*before, Save(tuple(entries)), *calls)


def _without(steps: tuple[str, ...], step: str) -> tuple[str, ...]:
    return tuple([name for name in steps if name != step])
