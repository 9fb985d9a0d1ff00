"""Restarts, leases, and more than one who believes that a saga is his."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from ...ports import CallTimeout
from ...saga import Outcome, Step
from .host import MutableOrchestrator, State, Superseded
from .parts import CORRECT, CORRECT_DECLINED, DECLINED, SECOND_DECLINED, Keyed, Mutant, system


class InMemory(MutableOrchestrator):
    """Keeps its sagas in memory only: after a crash it knows of none."""

    def resume_pending(self) -> None:
        pass


class FailedNotPersisted(MutableOrchestrator):
    """Takes a saga that fails off the list of those to resume, and keeps the rollback in memory."""

    def _compensate(self, state: Any) -> Outcome:
        self._save(state, "compensating")
        if state.epoch == 1:
            self._durably(lambda: self._store.put(f"failed/{state.id}", True, record="failed", saga=state.id))
        return super()._compensate(state)

    def _take_over(self, key: str) -> None:
        if self._store.get(key.replace("saga/", "failed/")) is None:
            super()._take_over(key)


class PendingLimbo(MutableOrchestrator):
    """Recovery looks for sagas that run; one that waits for its first step is not running yet."""

    def _take_over(self, key: str) -> None:
        if self._store.get(key)["begun"]:
            super()._take_over(key)


class LazyReplyConsumer(MutableOrchestrator):
    """Subscribes to replies, and takes up what waits for them, when it is first asked to start a saga."""

    asleep = False

    def resume_pending(self) -> None:
        self.asleep = True

    def execute(self, saga_id: str, request: Any) -> Outcome:
        if self.asleep:
            self.asleep = False
            super().resume_pending()
        return super().execute(saga_id, request)


class StalePendingSnapshot(Keyed):
    """Two recoverers read one list of open sagas, and each starts all that it read as a run of its own."""

    def _save(self, state: Any, record: str, step: str = "") -> None:
        state.revision += 1
        self._durably(
            lambda: self._store.put(
                f"saga/{state.id}", vars(state), record=record, saga=state.id, step=step, epoch=state.epoch
            )
        )


class UnfencedLease(MutableOrchestrator):
    """Takes a saga over when its lease has run out; the store accepts what the old owner, when it wakes, still
    writes."""

    def _save(self, state: Any, record: str, step: str = "") -> None:
        self._durably(
            lambda: self._store.put(
                f"saga/{state.id}", vars(state), record=record, saga=state.id, step=step, epoch=state.epoch
            )
        )

    def _request(self, state: Any, step: Step) -> Any:
        asked = time.monotonic()
        answer = super()._request(state, step)
        if time.monotonic() - asked > 5:
            raise CallTimeout("the customer will not wait any longer")
        return answer


class DuplicateInstance(Keyed):
    """Two messages start one saga at once, and no unique constraint keeps the second one from being another."""

    def execute(self, saga_id: str, request: Any) -> Outcome:
        self._world.spawn(self.start, saga_id, request, 2)
        return self.start(saga_id, request, 1)

    def start(self, saga_id: str, request: Any, instance: object) -> Outcome:
        return super().execute(saga_id, {**request, "instance": instance})

    def _save(self, state: Any, record: str, step: str = "") -> None:
        state.revision += 1
        key = f"saga/{state.id}/{state.request['instance']}"
        self._durably(
            lambda: self._store.put(key, vars(state), record=record, saga=state.id, step=step, epoch=state.epoch)
        )

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return f"{state.id}/{state.request['instance']}/{step.name}"


class StartedTwice(MutableOrchestrator):
    """Right: two messages start one saga at once; the first to be recorded is it."""

    def execute(self, saga_id: str, request: Any) -> Outcome:
        self._world.spawn(super().execute, saga_id, request)
        return super().execute(saga_id, request)


class Accepting(MutableOrchestrator):
    """Right: it says that a saga is accepted when it is on record, and runs it afterwards."""

    def execute(self, saga_id: str, request: Any) -> Outcome:
        self.accept(State(id=saga_id, request=dict(request)))
        return Outcome.PENDING

    def accept(self, state: Any) -> None:
        self._save(state, "create")
        self._world.spawn(self.finish, state)

    def finish(self, state: Any) -> None:
        with suppress(Superseded):
            self._world.reply(state.id, self._drive(state))


class AcceptedSignalDropped(Accepting):
    """Says that a saga is accepted, and lets it be recorded by the leader of the moment."""

    def accept(self, state: Any) -> None:
        self._world.spawn(self.record, state)

    def record(self, state: Any) -> None:
        self._save(state, "create")
        self.finish(state)


class StateSurvivesRuns(MutableOrchestrator):
    """Keeps one list of what it has executed for all its sagas: the second one's rollback takes back the first's."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.executed: list[Any] = []

    def _forward(self, state: Any) -> bool:
        self.executed.append(state)
        return super()._forward(state)

    def _compensate(self, state: Any) -> Outcome:
        for other in reversed(self.executed):
            for name in reversed(other.begun if other is not state else []):
                step = self._saga.by_name[name]
                self._world.call(str(step.undo), saga=state.id, **self._arguments(step, other.request))
        return super()._compensate(state)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        name="in-memory",
        adapter=system(InMemory),
        twin=CORRECT,
        invariants=("I13",),
        faults=1,
        schedule="crash-after-log at saga-1: write 'create'",
        source="the naive orchestrator",
    ),
    Mutant(
        name="failed-not-persisted",
        adapter=system(FailedNotPersisted, scenario=DECLINED),
        twin=CORRECT_DECLINED,
        invariants=("I13",),
        faults=1,
        schedule="crash-after-log at saga-1: write 'failed'",
        source="open-mercato#2291",
    ),
    Mutant(
        name="pending-limbo",
        adapter=system(PendingLimbo),
        twin=CORRECT,
        invariants=("I13",),
        faults=1,
        schedule="crash-after-log at saga-1: write 'create'",
        source="servicecomb-pack#635",
    ),
    Mutant(
        name="lazy-reply-consumer",
        adapter=system(LazyReplyConsumer),
        twin=CORRECT,
        invariants=("I13",),
        faults=1,
        schedule="crash-after-log at saga-1: write 'create'",
        source="eventuate-tram-sagas#40",
    ),
    Mutant(
        name="stale-pending-snapshot",
        adapter=system(StalePendingSnapshot),
        twin=system(Keyed),
        invariants=("I14",),
        faults=1,
        schedule="second-orchestrator at saga-1: write 'create'",
        source="dbos-transact-py#742",
        concurrency=True,
    ),
    Mutant(
        name="unfenced-lease",
        adapter=system(UnfencedLease, lease_s=5),
        twin=system(lease_s=5),
        invariants=("I14", "I15"),
        faults=1,
        schedule="pause at saga-1: order forward, send",
        source="Altinn#18507",
        timing=True,
    ),
    Mutant(
        name="duplicate-instance",
        adapter=system(DuplicateInstance),
        twin=system(StartedTwice),
        invariants=("I1",),
        faults=0,
        schedule="no fault",
        source="NServiceBus#4149, AxonFramework#1178",
        concurrency=True,
    ),
    Mutant(
        name="accepted-signal-dropped",
        adapter=system(AcceptedSignalDropped),
        twin=system(Accepting),
        invariants=("I12",),
        faults=0,
        schedule="no fault",
        source="restate#4566",
        timing=True,
    ),
    Mutant(
        name="state-survives-runs",
        adapter=system(StateSurvivesRuns, scenario=SECOND_DECLINED),
        twin=system(scenario=SECOND_DECLINED),
        invariants=("I18",),
        faults=0,
        schedule="no fault",
        source="the naive orchestrator",
    ),
)
