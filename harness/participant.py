"""What a participant of a user's own is: what it is asked, in which transaction it acts, and what it may put off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class Transaction(Protocol):
    """A participant's durable local transaction: all of it or nothing.

    ``state`` is the business state, ``memory`` what serves deduplication (keys seen, tombstones, refusals): a refusal
    keeps what was written there and what had run out by then, nothing else. A request counts as effective when it
    changed ``state`` or a balance. ``stock`` and ``funds`` are the scenario's: what there is of each item, and on each
    account, at the start. ``read`` to ``unlock`` keep entities in ``state`` under their names and show each access in
    the history, which the invariants on isolation and on locks need.
    """

    state: dict[str, Any]
    memory: dict[str, Any]

    @property
    def stock(self) -> int:
        """What there is of each item at the start."""

    @property
    def funds(self) -> int:
        """What there is on each account at the start."""

    def owner(self, saga: str) -> None:
        """Say whose row this transaction changes: that saga's, "" for nobody's. An undo is then judged by it (I18)."""

    def balance(self, account: str, saga: str | None = None, amount: int = 0) -> int:
        """Add ``amount`` to what ``account`` holds for a saga, the request's where none is named; what it holds then.
        An account begins with nothing and never holds less than nothing, for no saga (I17)."""

    def effect(self, saga: str, step: str, *, undo: bool = False) -> None:
        """Say that this transaction lets a step of a saga take effect, or undoes it, beside what it was asked for: in
        `Participant.work` a step that was accepted before, say."""

    def expire(self, saga: str, step: str) -> None:
        """Say that this transaction has withdrawn what a step had reserved, since its time is over; what it changed
        before is no effect of the request."""

    def later(
        self, what: str, /, *, delay_ms: float = 0, saga: str | None = None, volatile: bool = False, **payload: Any
    ) -> None:
        """Put work off: `Participant.work` is called with it after ``delay_ms``, in a transaction of its own. It is
        durable with this one; ``volatile`` work is held in memory only, and gone where the participant restarts."""

    def read(self, entity: str, default: Any = None) -> Any:
        """The value of an entity. Shown as "pending" where another saga holds it locked."""

    def write(self, entity: str, value: Any) -> None:
        """Replace the value of an entity."""

    def add(self, entity: str, amount: Any) -> None:
        """Change the value by ``amount``, from 0 where there is none; it commutes with other adds."""

    def lock(self, entity: str) -> bool:
        """Mark the entity as pending for this saga, until ``unlock``; False where another saga holds it."""

    def unlock(self, entity: str) -> None:
        """Take this saga's mark away."""

    def emit(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        """Publish a message, once this transaction is durable, or with what a refusal keeps; see `World.publish`.
        ``saga`` is the request's, unless it is named."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a participant is asked. ``direction`` is "F" or "C", or "" for an operation that is no step's."""

    operation: str
    saga: str
    step: str
    direction: str
    key: str | None
    payload: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Job:
    """Work that a participant has put off, by `Transaction.later`: ``saga`` and ``step`` are those of the request in
    which it did, unless another saga was named."""

    what: str
    saga: str
    step: str
    payload: Mapping[str, Any]


class Participant(Protocol):
    """A user's own participant: one object a process, durable only through the transaction. It may have three methods
    more. ``work(job, tx)`` does what it has put off; where it raises, it is called again. ``expire(request, tx)``
    withdraws what the request reserved, where that is still held and not final: the fault `expiry` asks for it.
    ``refuse(request, tx)`` notes in ``tx.memory`` that the business refuses a request: without it the harness
    remembers that, with it the participant has to, and to raise Rejected when it is asked again."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        """Apply one request. Returns the answer; raises Rejected to refuse, which keeps what was written to
        ``tx.memory``, and anything else to fail, which keeps nothing."""
