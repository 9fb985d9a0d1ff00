"""The coordinator of two-phase commit: it does what the state machine says, on a store and through ports."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from ..errors import UsageError
from ..ports import Conflict, PortError, Rejected
from ..saga import Outcome
from .machine import Superseded
from .owner import Holder, durably, told
from .ports import Ports, SagaStore
from .two_phase_commit import (
    ABORT,
    PREPARE,
    Agreed,
    Begin,
    CallPerson,
    Command,
    Event,
    Refused,
    Save,
    Send,
    Silent,
    State,
    advance,
    step_of,
)

_T = TypeVar("_T")

Payload = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
"""What a participant is sent with the request to prepare, of what was asked for."""


class Coordinator(Holder):
    """Runs transactions in the calling thread. Each participant has the operations ``NAME.prepare``,
    ``NAME.commit`` and ``NAME.abort``. ``look_s`` is the time between two looks for what is to be taken up.

    Two coordinators on one store are safe: each write names the revision that it follows, and who takes a
    transaction up writes before he sends, so the other one can decide nothing any more.
    """

    def __init__(
        self, participants: Sequence[str], *, ports: Ports, store: SagaStore, payload: Payload, look_s: float = 1.0
    ) -> None:
        if not participants or len(set(participants)) < len(participants):
            raise UsageError(f"Coordinator: participants={participants!r}; name at least one, and each once")
        super().__init__()
        self._participants = tuple(participants)
        self._ports = ports
        self._store = store
        self._payload = payload
        self._look_s = look_s

    def execute(self, id: str, request: Mapping[str, Any]) -> Outcome:
        """Run a transaction to its end: COMPLETED when all have committed, COMPENSATED when all have aborted. Asked
        again with the same id, it tells what became of it: PENDING where it is still under way."""
        state = State(id, self._ports.process, self._participants, request=dict(request))
        with self._holding(id) as free:
            if free:
                _Work(self).drive(state)
            return told(self._durably(partial(self._store.load, id)))

    def resume_pending(self) -> None:
        """Take up every transaction that has no end, as after a restart: commit those that were decided, abort the
        others. It looks twice: the second look finds what a lagging replica did not show at the first."""
        for look in range(2):
            if look:
                self._ports.sleep(self._look_s)
            work = _Work(self)
            for listed in self._durably(self._store.open):
                record = None if listed.id in self._mine else self._durably(partial(self._store.load, listed.id))
                if record is not None and not record["outcome"]:
                    state = State.from_record(record)
                    work.begin(state._replace(epoch=state.epoch + 1, owner=self._ports.process))
            work.carry_on()

    def decision(self, id: str) -> str:
        """What a participant in doubt is told: "commit", "abort", or "" where nothing is decided yet and its rows
        must stay locked. Of a transaction that has no record the answer is abort."""
        record = self._durably(partial(self._store.load, id))
        if record is None:
            return ABORT
        return str(record["decision"]) or (ABORT if record["outcome"] else "")

    def _send(self, state: State, participant: str) -> Any:
        verb = state.verb
        payload = self._payload(participant, state.request) if verb == PREPARE else {}
        key = f"{state.id}/{participant}"
        return self._ports.call(f"{participant}.{verb}", saga=state.id, key=key, epoch=state.epoch, **payload)

    def _durably(self, act: Callable[[], _T]) -> _T:
        return durably(self._ports, act)

    def _save(self, state: State, save: Save) -> None:
        """Raises Superseded where another coordinator wrote."""
        try:
            self._store.save(state.record(), save.entries)
        except Conflict:
            found = self._store.load(state.id) or {}
            mine = (state.owner, state.epoch, state.revision)
            if (found.get("owner"), found.get("epoch"), found.get("revision")) != mine:
                raise Superseded(state.id) from None  # else it is our own write, whose answer was lost


class _Work:
    """Any number of transactions in one thread: while one waits, the others go on."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator
        self._states: dict[str, State] = {}
        self._due: list[tuple[float, int, str, str]] = []  # when, a number, transaction, participant
        self._count = 0
        self._waited_s = 0.0

    def drive(self, state: State) -> None:
        """One new transaction, to its end."""
        self._advance(state, Begin())
        self.carry_on()

    def begin(self, state: State) -> None:
        """Take a transaction up. One that cannot be handled keeps back no other."""
        self._coordinator._mine.add(state.id)
        self._guarded(state, Begin())

    def carry_on(self) -> None:
        """Until every transaction in hand is over, or another's."""
        while self._due:
            at_s, _, id, participant = heapq.heappop(self._due)
            state = self._states.get(id)
            if state is None:
                continue
            if at_s > self._waited_s:
                self._coordinator._ports.sleep(at_s - self._waited_s)
                self._waited_s = at_s
            self._guarded(state, self._asked(state, participant))

    def _asked(self, state: State, participant: str) -> Event:
        try:
            self._coordinator._send(state, participant)
        except Rejected as refusal:
            return Refused(participant, str(refusal))
        except PortError:
            return Silent(participant)
        return Agreed(participant)

    def _guarded(self, state: State, event: Event) -> None:
        try:
            self._advance(state, event)
        except Exception as error:
            self._let_go(state.id)
            self._coordinator._ports.alert(state.id, reason=f"it cannot be handled: {type(error).__name__}: {error}")

    def _advance(self, state: State, event: Event) -> None:
        after, commands = advance(state, event)
        try:
            for command in commands:
                self._carry_out(after, command)
        except Superseded:
            self._let_go(state.id)
            return
        self._states[state.id] = after
        if after.outcome:
            self._let_go(state.id)

    def _carry_out(self, state: State, command: Command) -> None:
        coordinator = self._coordinator
        match command:
            case Save():
                coordinator._durably(partial(coordinator._save, state, command))
                if command.entries[0][0] in {"create", "adopt"}:
                    coordinator._ports.adopt(state.id, epoch=state.epoch)
            case Send():
                self._count += 1
                due = (self._waited_s + command.after_s, self._count, state.id, command.participant)
                heapq.heappush(self._due, due)
            case CallPerson():
                step = step_of(command.participant, state.verb)
                coordinator._ports.dead_letter(state.id, step=step, reason=command.reason)
                coordinator._ports.alert(state.id, step=step, reason=command.reason)

    def _let_go(self, id: str) -> None:
        self._states.pop(id, None)
        self._coordinator._mine.discard(id)
