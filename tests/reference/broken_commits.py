"""Two-phase commit that is wrong in one thing each, beside the adapter that is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sagafuzz import Adapter, Participant, Request, Transaction, World
from sagafuzz.adapters.two_phase_commit import PARTICIPANTS, RESOURCES, Accounts, TwoPhaseCommit, payload
from sagafuzz.loading import as_adapter
from sagafuzz.reference_saga import PortStore
from sagafuzz.reference_saga.coordinator import Coordinator
from sagafuzz.reference_saga.two_phase_commit import Save, State

RIGHT = as_adapter(TwoPhaseCommit)


class Hasty(Coordinator):
    """Tells the participants to commit while the decision is still on its way to the disk."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.late: dict[str, tuple[State, Save]] = {}

    def _save(self, state: State, save: Save) -> None:
        if save.entries[0][0] == "decision":
            self.late[state.id] = (state, save)
            return
        if state.id in self.late:
            super()._save(*self.late.pop(state.id))
        super()._save(state, save)


class Unfenced(Coordinator):
    """Takes a transaction up without a word in its record, so whoever had it can still decide."""

    def _save(self, state: State, save: Save) -> None:
        if save.entries[0][0] != "adopt":
            self._store.save({**state.record(), "revision": self._next(state.id)}, save.entries)

    def _next(self, id: str) -> int:
        found = self._store.load(id)
        return 1 if found is None else found["revision"] + 1


class Forgetful(Accounts):
    """Keeps in memory what it promised, and on disk only that it did."""

    def __init__(self) -> None:
        self.promises: dict[str, dict[str, Any]] = {}

    def promise(self, request: Request, tx: Transaction, rows: list[str], work: dict[str, Any]) -> None:
        super().promise(request, tx, rows, {})
        self.promises[request.saga] = {"rows": rows, "work": work}

    def promised(self, request: Request, tx: Transaction) -> dict[str, Any] | None:
        super().promised(request, tx)
        return self.promises.pop(request.saga, None)


def with_coordinator(make: Callable[..., Coordinator]) -> Adapter:
    class System(TwoPhaseCommit):
        def boot(self, world: World) -> None:
            self.coordinator = make(PARTICIPANTS, ports=world, store=PortStore(world.store), payload=payload)

    return replace(RIGHT, name=make.__name__, factory=System)


def with_accounts(make: Callable[[], Participant]) -> Adapter:
    resources: Mapping[str, Callable[[], Participant]] = {**RESOURCES, "payment": make}
    return replace(RIGHT, name=getattr(make, "__name__", ""), participants=resources)
