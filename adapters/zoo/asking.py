"""Requests, their keys and their answers, as the orchestrator sees them."""

from __future__ import annotations

import time
from typing import Any

from ...participant import Request, Transaction
from ...ports import CallTimeout, Rejected, Unavailable
from ...saga import Step
from .host import MutableOrchestrator
from .parts import CORRECT, CORRECT_DECLINED, DECLINED, SHIPPED, Keyed, KeyedParticipant, Mutant, system, told

OPENS_S = 5.0


class TimeoutIsFailure(MutableOrchestrator):
    """Takes a request that was not answered in time for one that failed, and so has nothing to undo."""

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return self._call(state, step, step.operation)
        except CallTimeout as timeout:
            raise Rejected("no answer") from timeout
        except Unavailable:
            return super()._request(state, step)


class UnstableKey(Keyed):
    """Makes the idempotency key anew for each attempt."""

    attempt = 0

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        self.attempt += 1
        return f"{state.id}/{step.name}/{self.attempt}"


class Insistent(MutableOrchestrator):
    """Right: behind the pivot it asks, under the same key, until it is not refused any more."""

    def _request(self, state: Any, step: Step) -> Any:
        while True:
            try:
                return super()._request(state, step)
            except Rejected:
                if not step.retriable:
                    raise
            self._world.sleep(1)


class Courier(KeyedParticipant):
    """Right: takes no parcels in the first five seconds, and whoever asks after them."""

    def do(self, request: Request, tx: Transaction) -> Any:
        if time.monotonic() < OPENS_S:
            raise Rejected("closed")
        return super().do(request, tx)


class ImmortalKey(Courier):
    """Keeps a refusal under the key of the request, and repeats it when what it was for is long repaired."""

    def __init__(self) -> None:
        self.refused: set[str] = set()

    def do(self, request: Request, tx: Transaction) -> Any:
        if str(request.key) in self.refused:
            raise Rejected("refused")
        try:
            return super().do(request, tx)
        except Rejected:
            self.refused.add(str(request.key))
            raise


class SwallowedStepError(MutableOrchestrator):
    """When the last service is down, it logs the error and goes on."""

    def _request(self, state: Any, step: Step) -> Any:
        try:
            return super()._request(state, step)
        except Unavailable:
            if step.name == self._saga.sequence[-1]:
                return {}
            raise


class UnkeyedUndo(Keyed):
    """Releases and refunds carry neither a key nor an id of what they take back."""

    def key(self, state: Any, step: Step, operation: str) -> str | None:
        return super().key(state, step, operation) if operation == step.operation else None


class NoneIsFailure(MutableOrchestrator):
    """Takes a step that answers nothing for one that failed."""

    def _request(self, state: Any, step: Step) -> Any:
        answer = super()._request(state, step)
        if not answer:
            raise Rejected("it answered nothing")
        return answer


class Void(KeyedParticipant):
    """Right, and answers nothing."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        super().handle(request, tx)


MUTANTS = (
    Mutant(
        name="timeout-is-failure",
        adapter=system(TimeoutIsFailure),
        twin=CORRECT,
        invariants=("I6", "I16", "I5"),
        faults=1,
        schedule="lost-request at saga-1: order forward, send",
        source="woocommerce#21083",
    ),
    Mutant(
        name="unstable-key",
        adapter=system(UnstableKey),
        twin=CORRECT,
        invariants=("I1",),
        faults=1,
        schedule="timeout at saga-1: order forward, send",
        source="medusajs/medusa#16292",
    ),
    Mutant(
        name="immortal-key",
        adapter=system(Insistent, about=told(ImmortalKey), saga=SHIPPED, participants={"shipping": ImmortalKey}),
        twin=system(Insistent, about=told(Courier), saga=SHIPPED, participants={"shipping": Courier}),
        invariants=("I3", "C3"),
        faults=0,
        schedule="no fault",
        source="medusajs/medusa#16390",
    ),
    Mutant(
        name="swallowed-step-error",
        adapter=system(SwallowedStepError),
        twin=CORRECT,
        invariants=("I23",),
        faults=1,
        schedule="participant-outage at saga-1: payment forward, effect",
        source="issue 38 of a booking saga",
    ),
    Mutant(
        name="unkeyed-undo",
        adapter=system(UnkeyedUndo, scenario=DECLINED),
        twin=CORRECT_DECLINED,
        invariants=("I18", "I9"),
        faults=1,
        schedule="partition at saga-1: inventory forward, send",
        source="the naive orchestrator",
    ),
    Mutant(
        name="none-is-failure",
        adapter=system(NoneIsFailure, participants={"payment": Void}),
        twin=system(participants={"payment": Void}),
        invariants=("I5",),
        faults=0,
        schedule="no fault",
        source="the naive orchestrator",
    ),
)
