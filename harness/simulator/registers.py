"""A participant that keeps named values and shows every access, to study sagas that share data."""

from __future__ import annotations

from typing import Any, ClassVar

from ..participant import Request, Transaction
from ..ports import Rejected
from ..saga import COMPENSATION


class Register:
    """Entities by name, with a memory of keys and tombstones.

    A request names an ``entity`` and what to do to it: ``set=VALUE``, ``add=AMOUNT``, or neither, which
    only reads. It is answered with the value before. An undo does the reverse: it puts that value
    back (``set``), or takes the amount away again (``add``). With ``locks`` a step marks the
    entity as pending until its saga's next request for it says ``final=True``, or its undo comes, and a
    saga that meets another one's mark is refused.
    """

    locks: ClassVar[bool] = False

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen = f"key {request.operation} {request.key}"
        if request.key is not None and seen in tx.memory:
            return tx.memory[seen]
        done, closed = (f"{what} {request.saga} {request.step}" for what in ("done", "closed"))
        if request.direction == COMPENSATION:
            answer = self._undo(request, tx, tx.memory.pop(done, None))
            tx.memory[closed] = True
        elif closed in tx.memory:
            raise Rejected("already undone")
        else:
            answer, tx.memory[done] = self._do(request, tx)
        if request.key is not None:
            tx.memory[seen] = answer
        return answer

    def _do(self, request: Request, tx: Transaction) -> tuple[dict[str, Any], dict[str, Any]]:
        payload = request.payload
        entity = str(payload["entity"])
        if self.locks and not tx.lock(entity):
            raise Rejected(f"{entity} is pending for another saga")
        before = tx.state.get(entity, 0)  # the before-image; nobody's decision rests on it
        if "set" in payload:
            tx.write(entity, payload["set"])
        elif "add" in payload:
            tx.add(entity, payload["add"])
        else:
            tx.read(entity)
        if payload.get("final"):
            tx.unlock(entity)
        return {"value": before}, {
            "entity": entity,
            "before": before,
            **{k: payload[k] for k in ("set", "add") if k in payload},
        }

    def _undo(self, request: Request, tx: Transaction, done: Any) -> dict[str, Any]:
        if done is not None:
            if "set" in done:
                tx.write(done["entity"], done["before"])
            elif "add" in done:
                tx.add(done["entity"], -done["add"])
            tx.unlock(done["entity"])
        return {}
