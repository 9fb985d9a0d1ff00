"""What is undone, in which order, and what becomes of an undo that fails."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ...ports import CallTimeout, PortError, Unavailable
from ...saga import Outcome, Step
from .host import MutableOrchestrator, RetryPolicy
from .parts import CORRECT, CORRECT_DECLINED, DECLINED, RECALLABLE, Mutant, system


class FailedStepOmitted(MutableOrchestrator):
    """Undoes only the steps that completed: not the one whose answer it does not know."""

    def _compensate(self, state: Any) -> Outcome:
        state.begun = [name for name in state.begun if name in state.done]
        return super()._compensate(state)


class PartialMultiEffect(MutableOrchestrator):
    """Takes stock and payment for one node of its plan: when the payment fails, so did the node, and a node that
    failed has nothing to undo."""

    def _compensate(self, state: Any) -> Outcome:
        if "payment" not in state.done:
            state.begun = [name for name in state.begun if name == "order"]
        return super()._compensate(state)


class FenceHidesUndo(MutableOrchestrator):
    """Rolls the note of a try back when the try fails; the rollback finds no note, and so nothing to undo."""

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return super()._request(state, step)
        except PortError:
            state.begun.remove(step.name)
            raise


class ForwardOrderUndo(MutableOrchestrator):
    """Compensates in the order of the steps, the first one first."""

    def _compensate(self, state: Any) -> Outcome:
        state.begun.reverse()
        return super()._compensate(state)


class FalseCompensated(MutableOrchestrator):
    """Marks a compensation as done when its attempts are used up."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        super()._undo(state, step, operation)
        return True


class UnknownCompensationSkipped(MutableOrchestrator):
    """Recovery has no handler for one kind of compensation: it passes over it, and marks it done."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        return (state.epoch > 1 and operation == "inventory.release") or super()._undo(state, step, operation)


class FireAndForgetRefund(MutableOrchestrator):
    """Sends the refund and waits for no answer."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        if operation != "payment.refund":
            return super()._undo(state, step, operation)
        self._world.spawn(self.send, state, step, operation)
        return True

    def send(self, state: Any, step: Step, operation: str) -> None:
        with suppress(PortError):
            self._call(state, step, operation)


class CompensationErrorThrows(MutableOrchestrator):
    """An error in a compensation leaves the loop that handles replies, and the saga with it."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        self._call(state, step, operation)
        return True


class UndoAbortsUndo(MutableOrchestrator):
    """An exception in one compensation ends the rollback: those that would follow are not tried."""

    def _compensate(self, state: Any) -> Outcome:
        try:
            return super()._compensate(state)
        except PortError:
            return self._end(state, Outcome.COMPENSATED)

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        self._call(state, step, operation)
        return True


class CancelledScope(MutableOrchestrator):
    """Runs the compensations in the scope that was cancelled, in which every call fails at once."""

    def _undo(self, state: Any, step: Step, operation: str) -> bool:
        return self._store.get(f"cancel/{state.id}") is not None or super()._undo(state, step, operation)


class TerminateSkipsHandler(MutableOrchestrator):
    """A saga that is cancelled ends there: the handler of failures is for those that fail."""

    def _forward(self, state: Any) -> bool:
        self.terminated = False
        return super()._forward(state)

    def _cancelled(self, state: Any) -> bool:
        self.terminated = super()._cancelled(state)
        return self.terminated

    def _compensate(self, state: Any) -> Outcome:
        return self._end(state, Outcome.COMPENSATED) if self.terminated else super()._compensate(state)


class GivesUpAfterAWhile(MutableOrchestrator):
    """Right: a saga that is not done within two seconds is compensated."""

    seconds = 2.0

    def execute(self, saga_id: str, request: Any) -> Outcome:
        return super().execute(saga_id, {**request, "until": self._world.now() + self.seconds})

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return self._call(state, step, step.operation)
        except (CallTimeout, Unavailable) as error:
            if self._world.now() > state.request["until"]:
                self.out_of_time(state, error)
            self._world.sleep(0.5)
            return self._request(state, step)

    def out_of_time(self, state: Any, error: PortError) -> None:
        raise error


class Killed(Exception):
    """The engine ends an execution."""


class EngineTimeoutKill(GivesUpAfterAWhile):
    """An execution that takes longer than two seconds is ended by the engine, which runs no handler."""

    def execute(self, saga_id: str, request: Any) -> Outcome:
        try:
            return super().execute(saga_id, request)
        except Killed:
            return Outcome.COMPENSATED

    def out_of_time(self, state: Any, error: PortError) -> None:
        self._end(state, Outcome.COMPENSATED)
        raise Killed


TIRELESS = RetryPolicy(undo_attempts=8)

MUTANTS = (
    Mutant(
        name="failed-step-omitted",
        adapter=system(FailedStepOmitted),
        twin=CORRECT,
        invariants=("I5",),
        faults=1,
        schedule="partition at saga-1: order forward, send",
        source="temporalio/skill-temporal-developer#43",
    ),
    Mutant(
        name="partial-multi-effect",
        adapter=system(PartialMultiEffect),
        twin=CORRECT,
        invariants=("I2", "I5"),
        faults=1,
        schedule="partition at saga-1: inventory forward, send",
        source="oxidecomputer/omicron#3097",
    ),
    Mutant(
        name="fence-hides-undo",
        adapter=system(FenceHidesUndo),
        twin=CORRECT,
        invariants=("I5",),
        faults=1,
        schedule="partition at saga-1: order forward, send",
        source="incubator-seata#6374",
    ),
    Mutant(
        name="forward-order-undo",
        adapter=system(ForwardOrderUndo),
        twin=CORRECT,
        invariants=("I4",),
        faults=1,
        schedule="partition-answers at saga-1: inventory forward, send",
        source="incubator-seata#6121, workflow-core#682",
    ),
    Mutant(
        name="false-compensated",
        adapter=system(FalseCompensated, scenario=DECLINED, policy=TIRELESS),
        twin=system(scenario=DECLINED, policy=TIRELESS),
        invariants=("I11",),
        faults=1,
        schedule="undo-fails at saga-1: inventory compensation, effect",
        source="compressor#1561",
    ),
    Mutant(
        name="unknown-compensation-skipped",
        adapter=system(UnknownCompensationSkipped, scenario=DECLINED),
        twin=CORRECT_DECLINED,
        invariants=("I11", "I5"),
        faults=1,
        schedule="crash-after-log at saga-1: write 'create'",
        source="hadamrd/forge-loop#301",
    ),
    Mutant(
        name="fire-and-forget-refund",
        adapter=system(FireAndForgetRefund, saga=RECALLABLE),
        twin=system(saga=RECALLABLE),
        invariants=("I11",),
        faults=1,
        schedule="partition at saga-1: payment forward, send",
        source="issue 39 of a booking saga",
    ),
    Mutant(
        name="compensation-error-throws",
        adapter=system(CompensationErrorThrows, scenario=DECLINED),
        twin=CORRECT_DECLINED,
        invariants=("I11", "I22"),
        faults=1,
        schedule="undo-fails at saga-1: inventory compensation, effect",
        source="eventuate-tram-sagas#75, oxidecomputer/steno#138",
    ),
    Mutant(
        name="undo-aborts-undo",
        adapter=system(UndoAbortsUndo, scenario=DECLINED),
        twin=CORRECT_DECLINED,
        invariants=("I11",),
        faults=1,
        schedule="partition at saga-1: order forward, send",
        source="the naive orchestrator",
    ),
    Mutant(
        name="cancelled-scope",
        adapter=system(CancelledScope),
        twin=CORRECT,
        invariants=("I11", "I5"),
        faults=1,
        schedule="cancel at saga-1: order forward, send",
        source="temporalio/sdk-java#305",
    ),
    Mutant(
        name="terminate-skips-handler",
        adapter=system(TerminateSkipsHandler),
        twin=CORRECT,
        invariants=("I11", "I5"),
        faults=1,
        schedule="cancel at saga-1: order forward, send",
        source="conductor#1328",
    ),
    Mutant(
        name="engine-timeout-kill",
        adapter=system(EngineTimeoutKill),
        twin=system(GivesUpAfterAWhile),
        invariants=("I11", "I5"),
        faults=1,
        schedule="partition at saga-1: order forward, send",
        source="Temporal community forum, topic 8377",
    ),
)
