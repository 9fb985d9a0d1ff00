"""Answers that are wrong, and believed."""

from __future__ import annotations

from typing import Any, Final

from ...participant import Request, Transaction
from ...ports import Rejected, Unavailable
from ...saga import Step
from .host import MutableOrchestrator
from .parts import SECOND_DECLINED, KeyedParticipant, Mutant, system


class Named(KeyedParticipant):
    """Right: each answer names the request that it is for."""

    def do(self, request: Request, tx: Transaction) -> Any:
        return {**super().do(request, tx), "of": f"{request.operation} {request.key}"}

    def undo(self, request: Request, tx: Transaction) -> Any:
        return {**super().undo(request, tx), "of": f"{request.operation} {request.key}"}


class Numbered(KeyedParticipant):
    """Right: each answer has the number of what was made, and says for whom."""

    def do(self, request: Request, tx: Transaction) -> Any:
        super().do(request, tx)
        number = tx.memory["made"] = tx.memory.get("made", 0) + 1
        return {"id": f"{request.step}-{number}", "for": request.saga}


class Doubts(MutableOrchestrator):
    """Right: an answer that does not name the request leaves its outcome unknown; it is asked again."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        answer = super()._call(state, step, operation)
        if not isinstance(answer, dict) or answer.get("of") != f"{operation} {state.id}/{step.name}":
            self.doubt(answer, step, operation)
        return answer

    def doubt(self, answer: Any, step: Step, operation: str) -> None:
        """What is made of an answer that does not name its request."""
        raise Unavailable(f"{operation}: this answers something else")


class BelievesSuccess(MutableOrchestrator):
    """Takes whatever answer it gets for success, and looks at nothing that it says."""


class UnreadableIsRefused(Doubts):
    """Takes an answer that it cannot read for a refusal, although what it asked for was done."""

    def doubt(self, answer: Any, step: Step, operation: str) -> None:
        if isinstance(answer, str) and operation == step.operation:
            raise Rejected("nobody can read that")
        super().doubt(answer, step, operation)


class UndoesById(MutableOrchestrator):
    """Keeps the id that a step was answered with, and undoes by it, whoever's it is."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        if operation != step.undo:
            return super()._call(state, step, operation)
        payload = {**self._arguments(step, state.request), **self._receipt(state, step)}
        key = f"{state.id}/{step.name}"
        return self._world.call(operation, saga=state.id, key=key, epoch=state.epoch, **payload)

    def _receipt(self, state: Any, step: Step) -> dict[str, Any]:
        answer = state.done.get(step.name)
        return {"id": answer["id"]} if isinstance(answer, dict) and "id" in answer else {}


class UndoesByItsOwnId(UndoesById):
    """Right: an answer says for whom it is; one for another is none, and is asked for again."""

    def _call(self, state: Any, step: Step, operation: str) -> Any:
        answer = super()._call(state, step, operation)
        if operation == step.operation and not (isinstance(answer, dict) and answer.get("for") == state.id):
            raise Unavailable(f"{operation}: this answers something else")
        return answer


NAMED: Final[dict[str, Any]] = {
    "participants": {"order": Named, "inventory": Named, "payment": Named},
    "wrong_answers": True,
}
BY_ID: Final[dict[str, Any]] = {
    "participants": {"order": Numbered, "inventory": Numbered, "payment": Numbered},
    "scenario": SECOND_DECLINED,
    "wrong_answers": True,
}

DOUBTS: Final = system(Doubts, **NAMED)

MUTANTS: Final = (
    Mutant(
        name="believes-success",
        adapter=system(BelievesSuccess, **NAMED),
        twin=DOUBTS,
        invariants=("I23",),
        faults=1,
        schedule="hollow-success at saga-1: order forward, effect",
        source="MyOnlineStore/omnipay-klarna-checkout#28",
    ),
    Mutant(
        name="unreadable-is-refused",
        adapter=system(UnreadableIsRefused, **NAMED),
        twin=DOUBTS,
        invariants=("I5",),
        faults=1,
        schedule="malformed-answer at saga-1: order forward, ack",
        source="paypal/PayPal-TypeScript-Server-SDK#47",
    ),
    Mutant(
        name="anothers-receipt",
        adapter=system(UndoesById, **BY_ID),
        twin=system(UndoesByItsOwnId, **BY_ID),
        invariants=("I18", "I19"),
        faults=1,
        schedule="anothers-answer at saga-2: order forward, ack",
        source="vibe-d/vibe.d#2506, curl/curl#1380",
    ),
)
