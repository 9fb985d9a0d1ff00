"""A durable saga orchestrator, written against ports only.

The rules that it keeps, each of which some fault punishes when it is broken:

- a saga is durable before anything is done for it, and an intent before its request is sent;
- a request keeps one idempotency key over every attempt and every incarnation;
- an unknown outcome is asked again under the same key, and when the budget is used up the step
  counts as one that may have happened: it is compensated;
- the decision to compensate is durable before the first undo; undos go in reverse, each until it
  succeeds or is put aside for a person, and one that fails does not keep back the others;
- the end is durable before the client is told;
- after a restart every saga without an end is taken up where its log stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from ..ports import CallTimeout, Rejected, Store, Unavailable, World
from ..saga import Outcome
from ..saga import Saga, Step

RUNNING: Final = "running"
COMPENSATING: Final = "compensating"
_PREFIX: Final = "saga/"


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often a request is made, and how long is waited in between (seconds, doubled each time).

    ``forward_attempts`` bounds the steps before the pivot, ``undo_attempts`` the compensations of
    one incarnation. The pivot itself once unknown, and every retriable step, are asked until they
    answer: nothing else would be right.
    """

    forward_attempts: int = 3
    undo_attempts: int = 5
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 60.0

    def backoffs(self) -> Iterator[float]:
        """The waits, without end."""
        wait = self.first_backoff_s
        while True:
            yield wait
            wait = min(2 * wait, self.longest_backoff_s)


@dataclass(kw_only=True)
class _State:
    """A saga's record. ``begun`` are the steps whose intent is durable, ``done`` those with an outcome."""

    id: str
    phase: str = RUNNING
    request: dict[str, Any] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    undone: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    outcome: str = ""


class Orchestrator:
    """Runs sagas of one definition on a durable store.

    ``world`` gives the ports: ``call``, ``store``, ``sleep``, ``alert``, ``dead_letter``. ``arguments`` makes a
    step's payload from the step and the saga's request.
    """

    def __init__(
        self,
        *,
        saga: Saga,
        world: World,
        policy: RetryPolicy = RetryPolicy(),
        arguments: Callable[[Step, Mapping[str, Any]], Mapping[str, Any]] = lambda step, request: request,
    ) -> None:
        self._saga = saga
        self._world = world
        self._store: Store = world.store
        self._policy = policy
        self._arguments = arguments

    def execute(self, saga_id: str, request: Mapping[str, Any]) -> Outcome:
        """Run a saga to its end. Starting an id again takes up, or reports, the one there is."""
        record = self._store.get(_PREFIX + saga_id)
        if record is not None:
            return self._drive(_State(**record))
        state = _State(id=saga_id, request=dict(request))
        self._save(state, "create")
        return self._drive(state)

    def resume_pending(self) -> None:
        """Take up every saga that has no end, as after a restart."""
        for _, record in self._store.items(_PREFIX):
            if not record["outcome"]:
                self._drive(_State(**record))

    # -- forward ---------------------------------------------------------------------------

    def _drive(self, state: _State) -> Outcome:
        if state.outcome:
            return Outcome(state.outcome)
        if state.phase == RUNNING and self._forward(state):
            return self._end(state, Outcome.COMPLETED)
        return self._compensate(state)

    def _forward(self, state: _State) -> bool:
        """Do the steps in order. False when the saga is to be compensated."""
        for name in self._saga.sequence:
            if name in state.done:
                continue
            if name not in state.begun:
                state.begun.append(name)
                self._save(state, "intent", name)
            try:
                state.done[name] = self._request(state, self._saga.by_name[name])
            except Rejected:
                state.refused = name  # a keyed refusal is definite, whatever went before it
                return False
            except (CallTimeout, Unavailable):
                return False  # unknown: it is undone with the others
            self._save(state, "outcome", name)
        return True

    def _request(self, state: _State, step: Step) -> Any:
        endless = step.pivot or step.retriable
        payload = self._arguments(step, state.request)
        for attempt, wait in enumerate(self._policy.backoffs(), 1):
            try:
                return self._world.call(step.operation, saga=state.id, key=f"{state.id}/{step.name}", **payload)
            except (CallTimeout, Unavailable):
                if attempt >= self._policy.forward_attempts and not endless:
                    raise
            self._world.sleep(wait)
        raise AssertionError("the waits have no end")

    # -- backward --------------------------------------------------------------------------

    def _compensate(self, state: _State) -> Outcome:
        if state.phase != COMPENSATING:
            state.phase = COMPENSATING
            self._save(state, "compensating")
        for name in reversed(state.begun):
            step = self._saga.by_name[name]
            if step.undo is None or name in (state.refused, *state.undone, *state.stuck):
                continue
            if self._undo(state, step, step.undo):
                state.undone.append(name)
                self._save(state, "undone", name)
            else:
                self._world.dead_letter(state.id, step=name, reason="its compensation keeps failing")
                self._world.alert(state.id, step=name, reason="undo it by hand")
                state.stuck.append(name)
                self._save(state, "stuck", name)
        return self._end(state, Outcome.STUCK if state.stuck else Outcome.COMPENSATED)

    def _undo(self, state: _State, step: Step, operation: str) -> bool:
        payload = self._arguments(step, state.request)
        for attempt, wait in enumerate(self._policy.backoffs(), 1):
            with suppress(CallTimeout, Unavailable, Rejected):
                self._world.call(operation, saga=state.id, key=f"{state.id}/{step.name}", **payload)
                return True
            if attempt >= self._policy.undo_attempts:
                return False
            self._world.sleep(wait)
        raise AssertionError("the waits have no end")

    # -- the log ---------------------------------------------------------------------------

    def _end(self, state: _State, outcome: Outcome) -> Outcome:
        state.outcome = outcome.value
        self._save(state, "terminal")
        return outcome

    def _save(self, state: _State, record: str, step: str = "") -> None:
        self._store.put(_PREFIX + state.id, vars(state), record=record, saga=state.id, step=step)
