"""What the sync and the async orchestrator have in common: whose saga it is, and what may be done with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from ..errors import UsageError
from ..ports import PortError, Rejected, StoreUnavailable
from ..saga import COMPENSATION, FORWARD, Outcome
from .definition import Definition, RetryPolicy
from .machine import RUNNING, Answered, Call, Event, Refused, State, Unknown, Wait, committed
from .ports import Ports, SagaStore

_T = TypeVar("_T")

STORE_RETRIES = RetryPolicy(attempts=1, first_backoff_s=0.1, longest_backoff_s=10.0)
"""How long is waited before the store is asked again; it is asked until it answers."""


def durably(ports: Ports, act: Callable[[], _T]) -> _T:
    """Ask the store until it answers."""
    failures = 0
    while True:
        try:
            return act()
        except StoreUnavailable:
            failures += 1
            ports.sleep(STORE_RETRIES.backoff_s(failures))


class Holder:
    """What a process has in hand."""

    def __init__(self) -> None:
        self._mine: set[str] = set()
        self._lock = threading.Lock()

    @contextmanager
    def _holding(self, saga_id: str) -> Iterator[bool]:
        """True if this process was not at it already."""
        with self._lock:
            free = saga_id not in self._mine
            self._mine.add(saga_id)
        try:
            yield free
        finally:
            if free:
                self._mine.discard(saga_id)


class Owner(Holder):
    """Base of both orchestrators.

    ``definitions`` are the versions of one saga that this process can run, the current one first. ``lease_s`` is
    for how long a saga must have stood still before another process takes it over, measured by that one's own
    clock between two looks: no clocks are compared. It must be longer than any call. At 0 a process takes
    over what it finds, at once. Safe it is either way: each write names the revision that it follows, and each
    owner raises the epoch, so who was superseded while he slept can write nothing more.
    ``look_s`` is the time between two looks where there is no lease.
    """

    def __init__(
        self,
        *definitions: Definition,
        ports: Ports,
        store: SagaStore,
        lease_s: float = 0.0,
        look_s: float = 1.0,
    ) -> None:
        super().__init__()
        if not definitions:
            raise UsageError("Orchestrator: it has no definition; write Orchestrator(Definition(saga), ...)")
        names = {definition.saga.name for definition in definitions}
        if len(names) > 1:
            raise UsageError(f"Orchestrator: definitions of {', '.join(sorted(names))}; make one orchestrator for each")
        self._current = definitions[0]
        self._definitions = {known.version: known for known in reversed(definitions)}
        self._ports = ports
        self._store = store
        self._lease_s = lease_s
        self._look_s = lease_s or look_s
        self._looks = 3 if lease_s else 2
        self._process = ports.process
        self._told: set[str] = set()

    def _new(self, saga_id: str, request: Mapping[str, Any]) -> State:
        within = self._current.deadline_s
        return State(
            id=saga_id,
            definition=_named(self._current),
            owner=self._process,
            request=dict(request),
            deadline=None if within is None else self._ports.now() + within,
        )

    def _taken_up(self, record: Mapping[str, Any] | None) -> tuple[Definition, State] | None:
        """A saga under a new epoch; None where there is nothing to take up, or nothing that this process may."""
        if record is None or record["outcome"]:
            return None
        name, _, version = record["definition"].rpartition("/")
        if name != self._current.saga.name:
            return None
        definition = self._definitions.get(version)
        if definition is None:
            self._refuse(record["id"], version)
            return None
        state = State.from_record(record)
        return definition, state._replace(epoch=state.epoch + 1, owner=self._process)

    def _refuse(self, saga_id: str, version: str) -> None:
        """Say, once a process, that a saga cannot go on here. Its record stays for who knows the version."""
        if saga_id in self._told:
            return
        self._told.add(saga_id)
        reason = f"it began under version {version!r}; here are {', '.join(sorted(self._definitions))}"
        self._ports.dead_letter(saga_id, reason=reason)
        self._ports.alert(saga_id, reason=reason)

    def _call(self, definition: Definition, state: State, call: Call) -> Any:
        """Send the request of a step: its answer, or what can be awaited for it."""
        step = definition.saga.by_name[call.step]
        direction, operation = (COMPENSATION, step.undo or "") if call.undo else (FORWARD, step.operation)
        known = definition.known_to[step.name]  # no step beside it: a payload must be the same at every attempt
        answers = {name: state.answers[name] for name in known if name in state.answers}
        payload = definition.arguments(step, direction, state.request, answers)
        key = f"{state.id}/{step.name}"
        return self._ports.call(operation, saga=state.id, key=key, epoch=state.epoch, **payload)

    def _overdue_at(self, definition: Definition, state: State) -> float | None:
        """When the deadline passes by this process's monotonic clock. A wall clock that was set can only bring it
        forward."""
        if state.deadline is None:
            return None
        left = state.deadline - self._ports.now()
        return time.monotonic() + (left if definition.deadline_s is None else min(left, definition.deadline_s))

    def _renewals(self, wait: Wait) -> list[float]:
        """When, during a wait, the owner has to show that it is there."""
        if not self._lease_s:
            return []
        every = self._lease_s / 2
        return [every * n for n in range(1, int(wait.seconds / every) + 1)]

    def _cancelled(self, record: Mapping[str, Any] | None) -> State | bool:
        """The record as the client's cancellation makes it, or whether it is cancelled already."""
        if record is None or record["outcome"] or record["phase"] != RUNNING:
            return False
        state = State.from_record(record)
        definition = self._definitions.get(state.definition.rpartition("/")[2])
        if state.cancelled:
            return True
        if definition is None or committed(definition, state):
            return False
        return state._replace(cancelled=True, revision=state.revision + 1)


def _named(definition: Definition) -> str:
    return f"{definition.saga.name}/{definition.version}"


def as_event(step: str, error: PortError) -> Event:
    """What an error of a call says of the step: a keyed refusal is definite, whatever went before it."""
    return Refused(step, str(error)) if isinstance(error, Rejected) else Unknown(step)


def overdue(state: State, at: float | None) -> State:
    """The state, on its way back where the deadline has passed."""
    if at is None or state.failing or state.phase != RUNNING or time.monotonic() < at:
        return state
    return state._replace(failing=True)


def told(record: Mapping[str, Any] | None) -> Outcome:
    """What a client can be told of a saga that another owner has."""
    return Outcome(record["outcome"]) if record and record["outcome"] else Outcome.PENDING


__all__ = ["STORE_RETRIES", "Answered", "Holder", "Owner", "as_event", "durably", "overdue", "told"]
