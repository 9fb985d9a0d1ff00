"""Participants of a user's own: their transaction, and the service that runs their code in it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from greenlet import GreenletExit

from ..errors import SagafuzzError, UsageError
from ..history import APPLY, ENTRY, EXPIRE, HOLD, READ, RELEASE, WRITE
from ..participant import Job, Participant
from ..ports import Rejected
from ..saga import COMPENSATION, FORWARD
from ..scenario import Scenario
from .kernel import Spinning
from .message import Message, copied
from .participants import (
    ERROR,
    OK,
    REJECTED,
    Beside,
    Emitted,
    Foreign,
    Later,
    Reply,
    as_request,
    asked,
    checked_topic,
    is_refused,
)

Held: TypeAlias = "tuple[dict[str, Any], dict[tuple[str, str], int]]"
"""The state of a participant, and its accounts: (account, saga) -> amount."""


@dataclass(kw_only=True)
class ParticipantTransaction:
    """See `sagafuzz.Transaction`. ``versions`` count the writes of each entity, ``locks`` say which saga holds one,
    ``accounts`` what each account holds for each saga. What comes after belongs to the transaction at hand: whose
    request it is, whose row it changes (None: not said), and what it did so far."""

    state: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    locks: dict[str, str] = field(default_factory=dict)
    accounts: dict[tuple[str, str], int] = field(default_factory=dict)
    stock: int = 0
    funds: int = 0
    saga: str = ""
    step: str = ""
    direction: str = ""
    owned_by: str | None = None
    touched: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    emitted: list[Emitted] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    put_off: list[tuple[Later, bool]] = field(default_factory=list)
    ran_out: Held | None = None

    def begun(self, saga: str, step: str, direction: str) -> ParticipantTransaction:
        """A copy for one transaction, which becomes what is durable where it commits."""
        tx = copy.deepcopy(self)
        tx.saga, tx.step, tx.direction, tx.owned_by = saga, step, direction, None
        tx.touched, tx.emitted, tx.beside, tx.put_off = [], [], [], []
        return tx

    def emit(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        checked_topic(topic, delay_ms)
        self.emitted.append(Emitted(topic, self.saga if saga is None else saga, key, delay_ms, copied(payload)))

    def read(self, entity: str, default: Any = None) -> Any:
        pending = self.locks.get(entity, self.saga) != self.saga
        self.touched.append((READ, (entity, self.versions.get(entity, 0), pending)))
        return self.state.get(entity, default)

    def write(self, entity: str, value: Any) -> None:
        self._written(entity, "set")
        self.state[entity] = value

    def add(self, entity: str, amount: Any) -> None:
        self._written(entity, "add")
        self.state[entity] = self.state.get(entity, 0) + amount

    def lock(self, entity: str) -> bool:
        holder = self.locks.setdefault(entity, self.saga)
        if holder == self.saga:
            self.touched.append((HOLD, (entity,)))
        return holder == self.saga

    def unlock(self, entity: str) -> None:
        if self.locks.get(entity) == self.saga:
            del self.locks[entity]
            self.touched.append((RELEASE, (entity,)))

    def _written(self, entity: str, mode: str) -> None:
        self.versions[entity] = self.versions.get(entity, 0) + 1
        self.touched.append((WRITE, (entity, self.versions[entity], mode)))

    # -- what else a participant tells of itself -----------------------------------------------

    def owner(self, saga: str) -> None:
        self.owned_by = saga

    def balance(self, account: str, saga: str | None = None, amount: int = 0) -> int:
        whose = self.saga if saga is None else saga
        if not isinstance(account, str) or not isinstance(whose, str) or not _is_amount(amount):
            raise UsageError(
                f"tx.balance({account!r}, {saga!r}, {amount!r}): write the name of the account, the saga, and a whole "
                f"number, tx.balance('captured', request.saga, 100) for instance"
            )
        held = self.accounts.get((account, whose), 0) + amount
        if amount:
            self.accounts[account, whose] = held
            self.beside.append(Beside(ENTRY, whose, self.step, self.direction, (account, amount, held)))
        return held

    def effect(self, saga: str, step: str, *, undo: bool = False) -> None:
        direction = COMPENSATION if undo else FORWARD
        self.beside.append(Beside(APPLY, saga, step, direction, (True, self.owned_by, ())))

    def expire(self, saga: str, step: str) -> None:
        self.beside.append(Beside(EXPIRE, saga, step, FORWARD, (saga, 1)))
        self.ran_out = copy.deepcopy(self.held)

    @property
    def held(self) -> Held:
        """What the participant holds: its state, and its accounts."""
        return self.state, self.accounts

    def changed(self, before: ParticipantTransaction) -> bool:
        """True if more has changed than was withdrawn since its time was over, which no request did."""
        return self.held != (before.held if self.ran_out is None else self.ran_out)

    def keep_of_refused(self, tx: ParticipantTransaction) -> list[Beside]:
        """Keep what a transaction that refuses has noted in its memory, and what had run out by then; what it did for
        that."""
        self.memory = tx.memory
        if tx.ran_out is None:
            return []
        self.state, self.accounts = tx.ran_out
        last = max(at for at, each in enumerate(tx.beside) if each.kind == EXPIRE)
        return tx.beside[: last + 1]

    def later(
        self, what: str, /, *, delay_ms: float = 0, saga: str | None = None, volatile: bool = False, **payload: Any
    ) -> None:
        if not isinstance(what, str) or not what or delay_ms < 0:
            raise UsageError(
                f"tx.later({what!r}, delay_ms={delay_ms!r}): write what is to be done, a non-empty string, and a time "
                f"of 0 or more"
            )
        job = Job(what=what, saga=self.saga if saga is None else saga, step=self.step, payload=copied(payload))
        direction = self.direction if job.saga == self.saga else FORWARD  # what is begun for another is no undo of it
        self.put_off.append((Later(delay_ms, job, direction=direction), volatile))


def _is_amount(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class UserParticipant(Foreign):
    """Runs a user's participant: its state is durable only through the transaction. ``life`` counts its restarts."""

    def __init__(self, factory: Callable[[], Participant], scenario: Scenario) -> None:
        self._factory = factory
        self.volatile: Any = factory()
        self.life = 1
        self.durable = ParticipantTransaction(stock=scenario.stock, funds=scenario.funds)
        self.refused = scenario.refused  # (saga, operation) that the business refuses, whoever asks how often
        self.applied: set[tuple[str, str]] = set()
        self.told: bytes | None = None  # see `Ledger`

    def copy(self) -> UserParticipant:
        """The same state, to go on from twice; the participant keeps none of its own (see `retained.tellable`)."""
        twin: UserParticipant = copy.copy(self)
        twin.durable = copy.copy(self.durable)
        twin.applied = self.applied.copy()
        return twin

    def restart(self) -> None:
        """A new process: only the transaction's state is still there."""
        self.volatile = self._factory()
        self.life += 1

    def held(self) -> dict[str, Any]:
        """What it holds, for rules of a user's own to read."""
        return self.durable.state

    @property
    def expires(self) -> bool:
        """True if the harness can let a reservation run out."""
        return hasattr(self.volatile, "expire")

    def refuse(self, msg: Message, reason: str) -> Reply:
        """The business decides against it, for good. A participant with a method ``refuse`` remembers that itself, or
        does not; for any other the harness does."""
        if not hasattr(self.volatile, "refuse"):
            self.told = None
            self.refused |= {(msg.saga, asked(msg))}
            return Reply(REJECTED, reason)

        def refuse(tx: ParticipantTransaction) -> None:
            self.volatile.refuse(as_request(msg), tx)
            raise Rejected(reason)

        return self._act((msg.saga, msg.step, msg.direction), refuse)

    def handle(self, msg: Message) -> Reply:
        """Let it handle one delivery. Where it refuses, what it noted in its memory is kept, and nothing else."""
        if is_refused(msg, self.refused) and not self.decided(msg):
            return self.refuse(msg, "refused by the business")
        request = as_request(msg)
        reply = self._act((msg.saga, msg.step, msg.direction), lambda tx: self.volatile.handle(request, tx))
        if reply.effective and msg.direction == FORWARD:
            self.applied.add((msg.saga, msg.step))
        return reply

    def work(self, later: Later) -> Reply:
        """Let it do what it has put off; an error where it cannot."""
        job = later.job
        if not hasattr(self.volatile, "work"):
            what = f"a participant puts {job.what!r} off by tx.later, and does no work"
            raise UsageError(f"{what}; add 'def work(self, job, tx): ...' to {type(self.volatile).__name__}")
        return self._act((job.saga, job.step, later.direction), lambda tx: self.volatile.work(job, tx))

    def expire(self, msg: Message) -> Reply | None:
        """Let it withdraw what the request reserved: what that was, how much, and what it did besides; None where it
        withdraws nothing."""
        request, about = as_request(msg), (msg.saga, msg.step)
        reply = self._act((*about, msg.direction), lambda tx: self.volatile.expire(request, tx))
        if not (reply.effective or any(each.kind == EXPIRE for each in reply.beside)):
            return None
        reply.value, reply.effective = (str(msg.payload.get("item", msg.saga)), 1), False
        reply.beside = [each for each in reply.beside if (each.kind, each.saga, each.step) != (EXPIRE, *about)]
        return reply

    def _act(self, call: tuple[str, str, str], act: Callable[[ParticipantTransaction], Any]) -> Reply:
        """Let it do something in a transaction for (saga, step, direction), which then becomes what is durable. Where
        it refuses, what it noted in its memory is kept, what had run out by then, and nothing else."""
        self.told = None
        before = tx = self.durable
        try:
            tx = before.begun(*call)
            value = copied(act(tx))
            effective, tx.ran_out = tx.changed(before), None
        except Rejected as refusal:
            return Reply(REJECTED, str(refusal), emitted=tx.emitted, beside=before.keep_of_refused(tx))
        except (SagafuzzError, GreenletExit, KeyboardInterrupt, Spinning):
            raise
        except BaseException as error:  # a failing service is a fact about the system under test
            return Reply(ERROR, f"{type(error).__name__}: {error}")
        self.durable = tx
        forward = (each for each in tx.beside if each.kind == APPLY and each.direction == FORWARD)
        self.applied.update((each.saga, each.step) for each in forward)
        return Reply(
            OK,
            value,
            effective=effective,
            owner=tx.owned_by,
            touched=tuple(tx.touched),
            emitted=tx.emitted,
            beside=tx.beside,
            later=[later._replace(life=self.life if volatile else 0) for later, volatile in tx.put_off],
        )
