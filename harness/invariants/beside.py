"""What is gathered of a history in which somebody acts beside the orchestrators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

from ..history import ACK, APPLY, DATA, DIRECTION, EFFECTIVE, KEY, MSG, PROCESS, SAGA, SEND, STEP, TIMEOUT, Row
from ..saga import COMPENSATION, Outcome

if TYPE_CHECKING:
    from .facts import Facts

Handler: TypeAlias = "Callable[[Facts, int, Row], None]"
"""What an event adds to the facts, given its position."""


def beside_actors(handlers: Mapping[str, Handler]) -> dict[str, Handler]:
    """The handlers of kinds of events, where some events are of actors. Their requests are no orchestrator's, their
    answers and waits tell an orchestrator nothing, and what they take back of a completed saga is a return."""
    send, apply = handlers[SEND], handlers[APPLY]

    def sent(facts: Facts, position: int, row: Row) -> None:
        if row[PROCESS] not in facts.actors:
            send(facts, position, row)
            return
        facts.by_actor[row[MSG]] = row[PROCESS]
        if row[STEP]:
            facts.calls[row[SAGA], row[STEP], row[DIRECTION]].beside.append((position, row[MSG], row[KEY]))

    def applied(facts: Facts, position: int, row: Row) -> None:
        apply(facts, position, row)
        undone = row[STEP] and row[DIRECTION] == COMPENSATION and row[DATA][EFFECTIVE]
        if undone and row[MSG] in facts.by_actor and _completed(facts, row):
            facts.calls[row[SAGA], row[STEP], row[DIRECTION]].returned.append(position)

    return {
        **handlers,
        SEND: sent,
        APPLY: applied,
        ACK: _unless_an_actor(handlers[ACK]),
        TIMEOUT: _unless_an_actor(handlers[TIMEOUT]),
    }


def _completed(facts: Facts, row: Row) -> bool:
    return any(outcome == Outcome.COMPLETED.value for _, outcome, _ in facts.sagas[row[SAGA]].claims)


def _unless_an_actor(handler: Handler) -> Handler:
    def handle(facts: Facts, position: int, row: Row) -> None:
        if row[PROCESS] not in facts.actors:
            handler(facts, position, row)

    return handle
