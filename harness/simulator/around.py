"""Code under test around a built-in participant, in its local transaction: an inbox, an outbox.

The participant acts only where that code lets it, and as often: to do so no more than once is what is tested.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from greenlet import GreenletExit

from ..errors import SagafuzzError, UsageError
from ..ports import Rejected, Surrounding
from ..saga import FORWARD
from ..scenario import Order
from .kernel import Spinning
from .message import Message, copied
from .participants import ERROR, OK, REJECTED, Emitted, Ledger, Reply, as_request, checked_topic


class _Local:
    """`sagafuzz.LocalTransaction` for one delivery. ``service`` is a copy that is thrown away unless it ends well."""

    def __init__(self, service: Ledger, memory: dict[str, Any], msg: Message, refusal: str | None) -> None:
        self.service = service
        self.memory = memory
        self.reply: Reply | None = None
        self.emitted: list[Emitted] = []
        self._msg = msg
        self._refusal = refusal

    def emit(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        checked_topic(topic, delay_ms)
        self.emitted.append(Emitted(topic, self._msg.saga if saga is None else saga, key, delay_ms, copied(payload)))

    def apply(self) -> Any:
        msg = self._msg
        if not msg.direction:
            raise UsageError(f"tx.apply() for {msg.operation!r}, which is no step's; only a step has an effect")
        if self.reply is not None:
            raise UsageError(f"tx.apply() a second time for one {msg.operation!r}; a delivery is one request")
        unkeyed = msg.copy()
        unkeyed.key = None  # to apply it once is the business of the code around it
        found = self.service.refuse(unkeyed, self._refusal) if self._refusal else self.service.handle(unkeyed)
        self.reply = found
        if found.answer == OK:
            return copied(found.value)
        if found.answer == REJECTED:
            raise Rejected(str(found.value))
        raise RuntimeError(str(found.value))


class Around:
    """A built-in participant and the code around it, which is made anew when the participant restarts."""

    expires = True

    def __init__(self, factory: Callable[[], Surrounding], service: Ledger) -> None:
        self._factory = factory
        self.volatile = factory()
        self.service = service
        self.memory: dict[str, Any] = {}
        self.answered: set[tuple[str, str | None]] = set()
        self.told: bytes | None = None  # see `Ledger`

    def copy(self) -> Around:
        """The same state, to go on from twice; the code around it keeps nothing (see `retained.tellable`)."""
        twin: Around = copy(self)
        twin.service = self.service.copy()
        twin.answered = self.answered.copy()
        return twin

    def restart(self) -> None:
        """A new process: only what was in the transaction is still there."""
        self.volatile = self._factory()

    def held(self) -> dict[str, Any]:
        """What the participant holds; what the code around it keeps is its own affair."""
        return self.service.held()

    def subject(self, order: Order) -> str:
        return self.service.subject(order)

    def expire(self, msg: Message) -> Reply | None:
        self.told = None
        return self.service.expire(msg)

    def forgettable(self, msg: Message, now_us: int, retention_us: int) -> bool:
        """What the code around it remembers is its own affair."""
        return False

    def forget(self, msg: Message) -> None:
        """Never asked for, since nothing is forgettable."""

    def decided(self, msg: Message) -> bool:
        return (msg.operation, msg.key) in self.answered

    def has_applied(self, msg: Message) -> bool:
        """What the code around it remembers is its own affair."""
        return False

    def refuse(self, msg: Message, reason: str) -> Reply:
        """The business refuses, when the code around it lets it act."""
        return self.handle(msg, reason)

    def handle(self, msg: Message, refusal: str | None = None) -> Reply:
        """Handle one delivery as one local transaction. A refusal is an answer: what was written stands."""
        self.told = None
        tx = _Local(self.service.copy(), copied(self.memory), msg, refusal)
        answer, value = OK, None
        try:
            value = copied(self.volatile.handle(as_request(msg), tx))
        except Rejected as refused:
            answer, value = REJECTED, str(refused)
        except (SagafuzzError, GreenletExit, KeyboardInterrupt, Spinning):
            raise
        except BaseException as error:  # a failing service is a fact about the system under test
            return Reply(ERROR, f"{type(error).__name__}: {error}")
        self.service, self.memory = tx.service, tx.memory
        if msg.direction == FORWARD and tx.reply is not None:
            self.answered.add((msg.operation, msg.key))
        if answer == OK and tx.reply is not None:
            done = tx.reply
            return Reply(
                OK, value, effective=done.effective, owner=done.owner, balance=done.balance, emitted=tx.emitted
            )
        return Reply(answer, value, owner=msg.saga, emitted=tx.emitted)
