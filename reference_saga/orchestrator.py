"""The durable orchestrator: it does what the state machine says, on a store and through ports."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from ..ports import Conflict, PortError
from ..saga import Outcome
from .definition import Definition
from .machine import (
    Answered,
    Begin,
    Call,
    CallPerson,
    Due,
    Event,
    Renew,
    Save,
    State,
    Superseded,
    Wait,
    advance,
    reconcile,
)
from .owner import Owner, as_event, durably, overdue, told
from .ports import Ports, SagaStore

_T = TypeVar("_T")


class Orchestrator(Owner):
    """Runs sagas of one definition, in the calling thread. See `Owner` for the parameters.

    With an ``executor`` the requests of parallel steps, and of several sagas that are taken up, are made at
    the same time; without one, one after the other.
    """

    def __init__(
        self,
        *definitions: Definition,
        ports: Ports,
        store: SagaStore,
        lease_s: float = 0.0,
        look_s: float = 1.0,
        executor: Executor | None = None,
    ) -> None:
        super().__init__(*definitions, ports=ports, store=store, lease_s=lease_s, look_s=look_s)
        self._executor = executor

    def execute(self, saga_id: str, request: Mapping[str, Any]) -> Outcome:
        """Run a saga to its end. Asked again with the same id, it tells what became of it: PENDING where it is
        still under way, here or with another owner."""
        with self._holding(saga_id) as free:
            if free:
                work = _Work(self, self._executor)
                work.begin(self._current, self._new(saga_id, request))
                work.carry_on()
                if saga_id in work.broken:
                    raise work.broken[saga_id]
                if saga_id in work.outcomes:
                    return work.outcomes[saga_id]
            return told(self._durably(partial(self._store.load, saga_id)))

    def cancel(self, saga_id: str) -> bool:
        """Ask a saga to compensate. False where it is too late: the pivot has begun, or the saga is over, or on
        its way back already. It is heeded before the next step."""
        return self._durably(partial(self._try_to_cancel, saga_id))

    def resume_pending(self) -> dict[str, Outcome]:
        """Take up every saga that has no end and no living owner, as after a restart, and drive all to their
        ends: how each ended. It looks twice: the second look finds what a lagging replica did not show at the
        first."""
        work = _Work(self, self._executor)
        self._look(work, {}, self._looks)
        work.carry_on()
        return work.outcomes

    def _look(self, work: _Work, seen: Mapping[str, int], looks: int) -> None:
        listed = self._durably(self._store.open)
        for saga_id, revision in listed:
            still = not self._lease_s or seen.get(saga_id) == revision
            if still and saga_id not in self._mine:
                self._adopt(work, saga_id)
        if looks > 1:
            work.look_again(self._look_s, partial(self._look, work, dict(listed), looks - 1))

    def _adopt(self, work: _Work, saga_id: str) -> None:
        taken = self._taken_up(self._durably(partial(self._store.load, saga_id)))
        if taken is not None:
            work.begin(*taken)

    # -- the store -------------------------------------------------------------------------

    def _durably(self, act: Callable[[], _T]) -> _T:
        return durably(self._ports, act)

    def _save(self, state: State, save: Save) -> State | None:
        """See `reconcile`."""
        try:
            self._store.save(state.record(), save.entries)
        except Conflict:
            return reconcile(state, self._store.load(state.id))
        return state

    def _try_to_cancel(self, saga_id: str) -> bool:
        while True:
            state = self._cancelled(self._store.load(saga_id))
            if isinstance(state, bool):
                return state
            try:
                self._store.save(state.record(), (("cancel", ""),))
            except Conflict:
                continue  # its owner was quicker: look again
            return True


@dataclass(slots=True)
class _Held:
    definition: Definition
    state: State
    overdue_at: float | None


class _Work:
    """Any number of sagas in one thread: while one waits, the others go on."""

    def __init__(self, owner: Orchestrator, executor: Executor | None) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.broken: dict[str, Exception] = {}
        self._owner = owner
        self._executor = executor
        self._held: dict[str, _Held] = {}
        self._events: deque[tuple[str, Event]] = deque()
        self._calls: deque[tuple[str, Call]] = deque()
        self._asked: dict[Future[Event], str] = {}
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._timer_count = 0
        self._looks = 0  # of the timers, those that look for sagas
        self._waited_s = 0.0

    def begin(self, definition: Definition, state: State) -> None:
        """Take a saga in hand."""
        self._owner._mine.add(state.id)
        self._held[state.id] = _Held(definition, state, self._owner._overdue_at(definition, state))
        self._events.append((state.id, Begin()))

    def look_again(self, seconds: float, look: Callable[[], object]) -> None:
        """Look for further sagas when that time has passed."""
        self._looks += 1
        self._after(seconds, partial(self._look, look))

    def _look(self, look: Callable[[], object]) -> None:
        self._looks -= 1
        look()

    def _after(self, seconds: float, act: Callable[[], object]) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (self._now() + seconds, self._timer_count, act))

    def carry_on(self) -> None:
        """Until every saga in hand is over, or another's."""
        try:
            while self._held or self._looks:
                if self._events:
                    self._guarded(*self._events.popleft(), self._advance)
                elif self._calls:
                    self._guarded(*self._calls.popleft(), self._ask)
                else:
                    self._await()
        finally:
            self._owner._mine.difference_update(self._held)

    def _guarded(self, saga_id: str, what: Any, act: Callable[[_Held, Any], None]) -> None:
        """One saga that cannot be handled keeps back no other."""
        held = self._held.get(saga_id)
        if held is None:
            return
        try:
            act(held, what)
        except Superseded:
            self._let_go(saga_id)
        except Exception as error:
            self._let_go(saga_id)
            self.broken[saga_id] = error
            self._owner._ports.alert(saga_id, reason=f"it cannot be handled: {type(error).__name__}: {error}")

    def _let_go(self, saga_id: str) -> None:
        del self._held[saga_id]
        self._owner._mine.discard(saga_id)

    def _advance(self, held: _Held, event: Event) -> None:
        state = overdue(held.state, held.overdue_at)
        while not self._carry_out(held, *advance(held.definition, state, event)):
            state = state._replace(cancelled=True, revision=state.revision + 1)  # the client was quicker
        if held.state.outcome:
            self.outcomes[held.state.id] = Outcome(held.state.outcome)
            self._let_go(held.state.id)

    def _carry_out(self, held: _Held, state: State, commands: tuple[Any, ...]) -> bool:
        """False where a cancellation was durable before the new state, which is then to be thought over."""
        ports = self._owner._ports
        for command in commands:
            match command:
                case Save():
                    saved = self._owner._durably(partial(self._owner._save, state, command))
                    if saved is None:
                        return False
                    state = saved
                    if command.entries[0][0] in {"create", "adopt"}:
                        ports.adopt(state.id, epoch=state.epoch, definition=state.definition)
                case Call():
                    self._calls.append((state.id, command))
                case Wait():
                    self._wait(held, command)
                case CallPerson():
                    ports.dead_letter(state.id, step=command.step, reason=command.reason)
                    ports.alert(state.id, step=command.step, reason=command.reason)
        held.state = state
        return True

    # -- requests and waits ------------------------------------------------------------------

    def _ask(self, held: _Held, call: Call) -> None:
        request = partial(self._outcome, held.definition, held.state, call)
        if self._executor is None:
            self._events.append((held.state.id, request()))
        else:
            self._asked[self._executor.submit(request)] = held.state.id

    def _outcome(self, definition: Definition, state: State, call: Call) -> Event:
        try:
            return Answered(call.step, self._owner._call(definition, state, call))
        except PortError as error:
            return as_event(call.step, error)

    def _wait(self, held: _Held, command: Wait) -> None:
        seconds = command.seconds
        if held.overdue_at is not None and not held.state.failing:
            seconds = min(seconds, max(held.overdue_at - time.monotonic(), 0.0))
        for renewal in self._owner._renewals(replace(command, seconds=seconds)):
            self._after(renewal, partial(self._events.append, (held.state.id, Renew())))
        self._after(seconds, partial(self._events.append, (held.state.id, Due(command.step))))

    def _now(self) -> float:
        """Without an executor only waits take time, as far as this is concerned."""
        return self._waited_s if self._executor is None else time.monotonic()

    def _await(self) -> None:
        """Nothing can be done now: wait for an answer or for the next timer."""
        seconds = self._timers[0][0] - self._now() if self._timers else None
        if self._asked:
            done, _ = wait(
                self._asked, timeout=None if seconds is None else max(seconds, 0.0), return_when=FIRST_COMPLETED
            )
            for future in done:
                saga_id = self._asked.pop(future)
                self._guarded(saga_id, future, self._answered)
            if done:
                return
        elif seconds is not None and seconds > 0:
            self._owner._ports.sleep(seconds)
            self._waited_s += seconds
        if self._timers:
            heapq.heappop(self._timers)[2]()

    def _answered(self, held: _Held, future: Future[Event]) -> None:
        self._events.append((held.state.id, future.result()))
