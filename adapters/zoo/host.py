"""A correct orchestrator with a seam at each decision, for the zoo's mutants to differ in one of them.

It keeps the rules that the reference keeps, in the plainest way: one loop forward, one loop back, one record
a saga. A method is what a mutant may override, so each is about one decision:

- a saga is durable before anything is done for it, and an intent before its request is sent;
- a request keeps one idempotency key over every attempt and every incarnation;
- an unknown outcome is asked again under the same key, and when the budget is used up the step
  counts as one that may have happened: it is compensated;
- the decision to compensate is durable before the first undo; undos go in reverse, each until it
  succeeds or is put aside for a person, and one that fails does not keep back the others;
- the end is durable before the client is told;
- after a restart every saga without an end is taken up where its log stops;
- every write names the revision that it follows and the epoch of its owner, so that an owner that
  was superseded while it slept can write nothing more, and stops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from ...ports import CallTimeout, Conflict, Rejected, Store, StoreUnavailable, Unavailable, World
from ...saga import Outcome, Saga, Step

RUNNING: Final = "running"
COMPENSATING: Final = "compensating"
_PREFIX: Final = "saga/"
_CANCEL: Final = "cancel/"


class Superseded(Exception):
    """Another owner has taken the saga over; this one must leave it alone."""


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often a request is made, and how long is waited in between (seconds, doubled each time).

    ``forward_attempts`` bounds the steps before the pivot, ``undo_attempts`` the compensations of
    one incarnation. The pivot itself once unknown, and every retriable step, are asked until they
    answer: nothing else would be right. ``sweep_s`` is the time between two looks for open sagas
    after a restart; the second look finds what a lagging replica did not show at the first.
    """

    forward_attempts: int = 3
    undo_attempts: int = 5
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 60.0
    sweep_s: float = 1.0

    def backoffs(self) -> Iterator[float]:
        """The waits, without end."""
        wait = self.first_backoff_s
        while True:
            yield wait
            wait = min(2 * wait, self.longest_backoff_s)


@dataclass(kw_only=True)
class State:
    """A saga's record. ``begun`` are the steps whose intent is durable, ``done`` those with an outcome."""

    id: str
    epoch: int = 1
    revision: int = 0
    phase: str = RUNNING
    request: dict[str, Any] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)
    done: dict[str, Any] = field(default_factory=dict)
    refused: str = ""
    undone: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    outcome: str = ""


class MutableOrchestrator:
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
        """Run a saga to its end. PENDING when another owner is at it, or took it over meanwhile."""
        state = State(id=saga_id, request=dict(request))
        try:
            self._save(state, "create")
            return self._drive(state)
        except Superseded:
            record = self._store.get(_PREFIX + saga_id)
            return Outcome(record["outcome"]) if record and record["outcome"] else Outcome.PENDING

    def cancel(self, saga_id: str) -> None:
        """Ask a saga to compensate. Heeded before its next step, and not after its pivot."""
        self._durably(lambda: self._store.put(_CANCEL + saga_id, True, record="cancel", saga=saga_id))

    def resume_pending(self) -> None:
        """Take up every saga that has no end, as after a restart; look twice."""
        self._sweep()
        self._world.sleep(self._policy.sweep_s)
        self._sweep()

    def _sweep(self) -> None:
        for key, listed in self._store.items(_PREFIX):
            if not listed["outcome"]:
                self._take_over(key)

    def _take_over(self, key: str) -> None:
        record = self._store.get(key)
        if record["outcome"]:
            return
        state = State(**record)
        state.epoch += 1
        with suppress(Superseded):
            self._save(state, "adopt")
            self._drive(state)

    # -- forward ---------------------------------------------------------------------------

    def _drive(self, state: State) -> Outcome:
        if state.phase == RUNNING and self._forward(state):
            return self._end(state, Outcome.COMPLETED)
        return self._compensate(state)

    def _forward(self, state: State) -> bool:
        """Do the steps in order. False when the saga is to be compensated."""
        for name in self._saga.sequence:
            if name not in state.done and (self._cancelled(state) or not self._do(state, name)):
                return False
        return True

    def _do(self, state: State, name: str) -> bool:
        """Do one step. False when the saga is to be compensated."""
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

    def _cancelled(self, state: State) -> bool:
        committed = not self._saga.pivots.isdisjoint(state.begun)
        return not committed and self._store.get(_CANCEL + state.id) is not None

    def _request(self, state: State, step: Step) -> Any:
        endless = step.pivot or step.retriable
        for attempt, wait in enumerate(self._policy.backoffs(), 1):
            try:
                return self._call(state, step, step.operation)
            except (CallTimeout, Unavailable):
                if attempt >= self._policy.forward_attempts and not endless:
                    raise
            self._world.sleep(wait)
        raise AssertionError("the waits have no end")

    def _call(self, state: State, step: Step, operation: str) -> Any:
        payload = self._arguments(step, state.request)
        key = f"{state.id}/{step.name}"
        return self._world.call(operation, saga=state.id, key=key, epoch=state.epoch, **payload)

    # -- backward --------------------------------------------------------------------------

    def _compensate(self, state: State) -> Outcome:
        if state.phase != COMPENSATING:
            state.phase = COMPENSATING
            self._save(state, "compensating")
        for name in reversed(state.begun):
            step = self._saga.by_name[name]
            if not step.can_be_undone or name in (state.refused, *state.undone, *state.stuck):
                continue
            if self._undo(state, step, step.undo or ""):
                state.undone.append(name)
                self._save(state, "undone", name)
            else:
                self._world.dead_letter(state.id, step=name, reason="its compensation keeps failing")
                self._world.alert(state.id, step=name, reason="undo it by hand")
                state.stuck.append(name)
                self._save(state, "stuck", name)
        return self._end(state, Outcome.STUCK if state.stuck else Outcome.COMPENSATED)

    def _undo(self, state: State, step: Step, operation: str) -> bool:
        for attempt, wait in enumerate(self._policy.backoffs(), 1):
            try:
                self._call(state, step, operation)
                return True
            except (CallTimeout, Unavailable, Rejected):
                if attempt >= self._policy.undo_attempts:
                    return False
            self._world.sleep(wait)
        raise AssertionError("the waits have no end")

    # -- the log ---------------------------------------------------------------------------

    def _end(self, state: State, outcome: Outcome) -> Outcome:
        state.outcome = outcome.value
        self._save(state, "terminal")
        return outcome

    def _save(self, state: State, record: str, step: str = "") -> None:
        """Make the state durable after the revision that it follows. Raises Superseded when another
        owner wrote in between."""
        guard = {"revision": state.revision} if state.revision else {}
        state.revision += 1
        key, value = _PREFIX + state.id, vars(state)

        def put() -> None:
            self._store.put(key, value, record=record, saga=state.id, step=step, guard=guard, epoch=state.epoch)

        try:
            self._durably(put)
        except Conflict:
            if self._store.get(key) != value:  # else it is our own write, whose answer was lost
                raise Superseded(state.id) from None

    def _durably(self, write: Callable[[], None]) -> None:
        waits = None
        while True:
            try:
                return write()
            except StoreUnavailable:
                waits = waits or self._policy.backoffs()
                self._world.sleep(next(waits))
