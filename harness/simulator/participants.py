"""The services that a saga calls: what they hold, what they remember, what they refuse.

The built-in ones are correct services: an operation with a key is applied once, a compensation
that comes first leaves a tombstone, nothing is applied after it. Without a key they can only do
as they are told, every time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from ..errors import UsageError
from ..keys import CONFIRMS, OPERATION, TENANT
from ..participant import Job, Request
from ..saga import COMPENSATION, FORWARD, Step, instance, split
from ..scenario import Order, Scenario
from .message import Message, copied

OK: Final = "ok"
REJECTED: Final = "rejected"
ERROR: Final = "error"

REFUSED_FOR_NOW: Final = "not now"
"""The reason of a refusal that nobody remembers."""

USED_UP: Final = ""
"""What stands among the ids of what was given back for a row that another step has used up."""


class Emitted(NamedTuple):
    """A message that a participant emits in a transaction."""

    topic: str
    saga: str
    key: str
    delay_ms: float
    payload: dict[str, Any]


def nobody_receives(adapter: str, topic: str) -> UsageError:
    """What is wrong where a message is published and the adapter has no method for it."""
    return UsageError(
        f"adapter {adapter!r}: {topic!r} is published, and nobody receives it; add 'def receive(self, message): ...' "
        f"to the class"
    )


def checked_topic(topic: object, delay_ms: float) -> None:
    """Raise UsageError for a topic that is no name, or a delay that is none."""
    if not isinstance(topic, str) or not topic:
        raise UsageError(f"a message's topic is {topic!r}; write a non-empty string, 'payment.charged' for instance")
    if delay_ms < 0:
        raise UsageError(f"message {topic!r}: delay_ms={delay_ms}; a time cannot be negative")


class Beside(NamedTuple):
    """What a transaction does beside what it was asked for: an event of ``kind`` for a step of a saga."""

    kind: str
    saga: str
    step: str
    direction: str
    data: tuple[Any, ...]


class Later(NamedTuple):
    """Work that a transaction puts off. ``life`` is that of the process in whose memory it is held, 0 where it is
    durable; ``tries`` says how often it was tried in vain, ``direction`` whether it is a part of what was asked for or
    of an undo."""

    delay_ms: float
    job: Job
    life: int = 0
    tries: int = 0
    direction: str = FORWARD


class Reply:
    """What a participant did with one delivery. ``answer`` is OK, REJECTED or ERROR.

    ``effective`` says that business state changed; ``owner`` whose row a compensation touched ("" for
    nobody's, None where that is not known); ``balance`` is the counters afterwards, for the conservation
    invariant; ``touched`` are the entities that were read, written, locked, as (kind of event, its data); ``emitted``
    the messages that are published now that its transaction is durable; ``beside`` is what it did beside what it was
    asked for, ``later`` what it has put off.
    """

    __slots__ = ("answer", "balance", "beside", "effective", "emitted", "later", "owner", "touched", "value")

    def __init__(
        self,
        answer: str,
        value: Any = None,
        *,
        effective: bool = False,
        owner: str | None = "",
        balance: tuple[Any, ...] = (),
        touched: tuple[tuple[str, tuple[Any, ...]], ...] = (),
        emitted: Sequence[Emitted] = (),
        beside: Sequence[Beside] = (),
        later: Sequence[Later] = (),
    ) -> None:
        self.answer = answer
        self.value = value
        self.effective = effective
        self.owner = owner
        self.balance = balance
        self.touched = touched
        self.emitted = emitted
        self.beside = beside
        self.later = later


class Row(NamedTuple):
    """A live forward effect. ``id`` is what its request was answered with."""

    saga: str
    step: str
    key: str | None
    subject: str
    amount: int
    confirmed: bool = False
    id: str = ""


_new = tuple.__new__


class Ledger:
    """A participant's durable state: live rows, a memory of keys, tombstones, the ids of what was given back by key.

    Subclasses say what a row means to the business. Here it is an entity that exists or does not. ``scope`` is how
    widely a key is known, ``terms`` are the steps of which it has to know more than their operations; ``confirms`` says
    that what is called ``….confirm`` makes final what another step reserved here. ``told`` is kept for whoever writes
    the state down: None as soon as it may have changed.
    """

    __slots__ = (
        *("closed", "confirms", "given_back", "memory", "orders", "refused", "rows", "scope", "since", "terms", "told"),
    )

    def __init__(
        self,
        scenario: Scenario,
        orders: Mapping[str, Order],
        scope: str = OPERATION,
        terms: Mapping[str, Step] = MappingProxyType({}),
        confirms: bool = True,
    ) -> None:
        self.orders = orders
        self.scope = scope
        self.terms = terms
        self.confirms = confirms
        self.refused = scenario.refused
        self.rows: list[Row] = []
        self.memory: dict[tuple[str, str, str], tuple[str, Any]] = {}
        self.closed: set[tuple[str, str]] = set()
        self.given_back: dict[tuple[str, str], str] = {}
        self.since: dict[tuple[str, str, str], int] = {}  # when each key came first, where keys are not kept for ever
        self.told: bytes | None = None

    def copy(self) -> Ledger:
        """The same state, to go on from twice."""
        twin: Ledger = object.__new__(type(self))
        twin.orders = self.orders
        twin.scope = self.scope
        twin.terms = self.terms
        twin.confirms = self.confirms
        twin.given_back = self.given_back.copy()
        twin.refused = self.refused
        twin.rows = self.rows.copy()
        twin.memory = self.memory.copy()
        twin.closed = self.closed.copy()
        twin.since = self.since.copy()
        twin.told = self.told
        return twin

    def handle(self, msg: Message) -> Reply:
        """Apply one delivery as one local transaction."""
        self.told = None
        try:
            if msg.direction == FORWARD:
                return self._forward(msg)
            if msg.direction == COMPENSATION:
                return self._compensate(msg)
        except _Unreadable as error:
            return Reply(ERROR, f"bad request: {error}")
        return Reply(OK, {"applied": any(row.saga == msg.saga for row in self.rows)})

    def restart(self) -> None:
        """Everything that these hold is durable."""

    def forgettable(self, msg: Message, now_us: int, retention_us: int) -> bool:
        """True if the key of the request is remembered for longer than keys are kept. To be asked at each
        delivery, since the first one counts."""
        if msg.key is None:
            return False
        since_us = self.since.setdefault(self._slot(msg, msg.key), now_us)
        return now_us - since_us > retention_us

    def forget(self, msg: Message) -> None:
        """Drop the request's key."""
        self.told = None
        if msg.key is not None:
            self.memory.pop(self._slot(msg, msg.key), None)
            self.closed.discard((msg.saga, msg.step))
            self.given_back.pop((msg.saga, msg.step), None)  # then its row is all by which an undo is known

    def expire(self, msg: Message) -> Reply | None:
        """Withdraw what the request reserved: what it was and how much, as a reply; None where it is gone or
        confirmed."""
        self.told = None
        for index, row in enumerate(self.rows):
            if row.saga == msg.saga and row.step == msg.step and not row.confirmed:
                del self.rows[index]
                self.remove(row.subject, row.amount)
                return Reply(OK, (row.subject, row.amount))
        return None

    def subject(self, order: Order) -> str:
        """The data that an order is about here; requests of different sagas on the same can conflict."""
        return order.id

    def decided(self, msg: Message) -> bool:
        """True if the answer to this request is already fixed by what is remembered."""
        key = msg.key
        if key is None:
            return False
        return self._slot(msg, key) in self.memory or (bool(self.closed) and self._is_closed(msg))

    def _is_closed(self, msg: Message) -> bool:
        """True if the step, or the part of it, was undone."""
        if not self.terms:
            return (msg.saga, msg.step) in self.closed
        return (msg.saga, msg.step) in self.closed or (msg.saga, split(msg.step)[0]) in self.closed

    def has_applied(self, msg: Message) -> bool:
        """True if a request under its key has taken effect."""
        return msg.key is not None and self.memory.get(self._slot(msg, msg.key), ("",))[0] == OK

    def pretended(self, msg: Message) -> dict[str, Any]:
        """What it would answer to a step that it had applied."""
        _, amount = self.measure(msg, self.orders[msg.saga])
        return {"id": f"{msg.step}-0", **({self.counts: amount} if self.counts else {})}

    def refuse(self, msg: Message, reason: str) -> Reply:
        """Refuse for good: the same key will be given the same answer."""
        self.told = None
        if msg.key is not None:
            self.memory[self._slot(msg, msg.key)] = (REJECTED, reason)
        return Reply(REJECTED, reason)

    def _slot(self, msg: Message, key: str) -> tuple[str, str, str]:
        """Under what a key is remembered: two requests that share it are taken for one."""
        if self.scope == OPERATION or msg.operation.endswith(CONFIRMS):
            return split(msg.step)[0] if self.terms else msg.step, msg.direction, key
        account = "" if self.scope == TENANT else text_of(msg, "account", self.orders[msg.saga].account)
        return f"@{account}", msg.direction, key

    def _forward(self, msg: Message) -> Reply:
        key = msg.key
        slot = None if key is None else self._slot(msg, key)
        if slot is not None:
            if self.closed and self._is_closed(msg):
                return Reply(REJECTED, "already compensated")
            seen = self.memory.get(slot)
            if seen is not None:
                return Reply(seen[0], copied(seen[1]), owner=msg.saga)
        order = self.orders[msg.saga]
        subject, amount = self.measure(msg, order)
        row = _new(Row, (msg.saga, msg.step, key, subject, amount, False, f"{msg.step}-{len(self.rows) + 1}"))
        term = self.terms.get(split(msg.step)[0]) if self.terms else None
        if term is not None and term.amount is not None:
            row = row._replace(amount=count_of(msg, term.amount, row.amount))
        if self.refused and is_refused(msg, self.refused):
            reason: str | None = "refused by the business"
        elif term is not None and term.consumes is not None:
            reason = self._use_up(row, term, term.consumes)
        else:
            reason = self.objection(row)
        if reason is None and self.confirms and msg.operation.endswith(CONFIRMS):
            return self._confirm(msg, row)
        if reason is not None:
            return self.refuse(msg, reason)
        self.rows.append(row)
        self.add(row)
        value: dict[str, Any] = {"id": row.id}
        counts = self.counts if term is None else term.amount or self.counts
        if counts:
            value[counts] = row.amount
        if slot is not None:
            self.memory[slot] = (OK, value.copy())
        return Reply(OK, value, effective=True, owner=msg.saga, balance=self.balance(row.subject))

    def _confirm(self, msg: Message, confirmation: Row) -> Reply:
        """Make the saga's reservation final; refuse where it has run out."""
        reserved = next((n for n, row in enumerate(self.rows) if row.saga == msg.saga and not row.confirmed), None)
        if reserved is None:
            return self.refuse(msg, "the reservation has run out")
        self.rows[reserved] = self.rows[reserved]._replace(confirmed=True)
        if msg.key is not None:
            self.memory[self._slot(msg, msg.key)] = (OK, {})
        return Reply(OK, {}, effective=True, owner=msg.saga)

    def _compensate(self, msg: Message) -> Reply:
        key = msg.key
        if key is not None:
            slot = self._slot(msg, key)
            if slot in self.memory:
                answer, value = self.memory[slot]
                return Reply(answer, copied(value), owner=msg.saga)
            self.memory[slot] = (OK, {})
            self.closed.add((msg.saga, msg.step))
        if self.terms and self.given_back.get((msg.saga, msg.step)) == USED_UP:
            return self.refuse(msg, "it was used up: there is nothing to give back")
        term = self.terms.get(split(msg.step)[0]) if self.terms else None
        if term is not None and (found := self._undo_by(term, msg)) is not None:
            return found
        for index in range(len(self.rows) - 1, -1, -1):
            row = self.rows[index]
            if row.saga == msg.saga and row.step == msg.step:
                del self.rows[index]
                self.remove(row.subject, row.amount)
                if key is not None:
                    self.given_back[row.saga, row.step] = row.id
                return Reply(OK, {}, effective=True, owner=row.saga, balance=self.balance(row.subject))
        if self.blind and (key is None or self._anew(msg)):
            subject, amount = self.measure(msg, self.orders[msg.saga])
            self.remove(subject, amount)
            return Reply(OK, {}, effective=True, balance=self.balance(subject))
        return Reply(OK, {}, owner=msg.saga)

    def _use_up(self, row: Row, term: Step, consumed: str) -> str | None:
        """Take what the row is to be made of out of what is held; why that cannot be, or None. A step of several parts
        takes its amount, any other one all of it."""
        names = (consumed, instance(consumed, split(row.step)[1]))
        found = next((n for n, each in enumerate(self.rows) if each.saga == row.saga and each.step in names), None)
        if found is None:
            return "nothing is held for it"
        held = self.rows[found]
        if row.amount > held.amount:
            return "it is more than is held"
        self.remove(held.subject, row.amount if term.many else held.amount)
        if term.many and row.amount < held.amount:
            self.rows[found] = held._replace(amount=held.amount - row.amount)
        else:
            del self.rows[found]
            self.given_back[held.saga, held.step] = USED_UP
        return None

    def _undo_by(self, term: Step, msg: Message) -> Reply | None:
        """Undo what has an amount, parts, or may be used up; None where it is as with any other step."""
        step, part = split(msg.step)
        mine = [n for n, row in enumerate(self.rows) if row.saga == msg.saga and row.step == msg.step]
        if term.many and not part:
            return self._undo_all(msg, step)
        if term.amount not in msg.payload:
            return None
        amount = count_of(msg, term.amount, 0)
        if amount == 0:
            return Reply(OK, {}, owner=msg.saga)
        if not mine:
            return None
        row = self.rows[mine[-1]]
        if any(other.consumes == step for other in self.terms.values()):
            amount = min(amount, row.amount)  # a part of it may have been used up
        if amount > row.amount and not self.blind:
            return self.refuse(msg, "it is more than there is")
        self.remove(row.subject, amount)
        if amount < row.amount:
            self.rows[mine[-1]] = row._replace(amount=row.amount - amount)
        else:
            del self.rows[mine[-1]]
            self.given_back[row.saga, row.step] = row.id
        return Reply(OK, {}, effective=True, owner=row.saga, balance=self.balance(row.subject))

    def _undo_all(self, msg: Message, step: str) -> Reply:
        """Undo all the parts of a step."""
        gone = [row for row in self.rows if row.saga == msg.saga and split(row.step)[0] == step]
        self.rows = [row for row in self.rows if row not in gone]
        for row in gone:
            self.remove(row.subject, row.amount)
            self.given_back[row.saga, row.step] = row.id
        balance = self.balance(gone[-1].subject) if gone else ()
        return Reply(OK, {}, effective=bool(gone), owner=msg.saga, balance=balance)

    def _anew(self, msg: Message) -> bool:
        """True if an undo under a key of its own asks for the amount again: it was given back already, and the request
        does not name the id of what it undoes, by which that would show."""
        id = self.given_back.get((msg.saga, msg.step))
        return id is not None and id not in msg.payload.values()

    # -- what a subclass says ----------------------------------------------------------------

    counts = ""
    """By which name the answer tells how much was taken; "" where a row is no amount of anything."""

    expires = True
    """True if the harness can let a reservation run out."""

    blind = False
    """True if an undo moves an amount, whatever there is of the saga to undo: one without a key always, one with a key
    where it is another one than that of the undo before it."""

    def measure(self, msg: Message, order: Order) -> tuple[str, int]:
        """What the request is about, and how much of it."""
        return order.id, 1

    def objection(self, row: Row) -> str | None:
        """Why the business refuses the row, or None."""
        return None

    def add(self, row: Row) -> None:
        """Count a new row in."""

    def remove(self, subject: str, amount: int) -> None:
        """Count a row, or what an unkeyed undo takes for one, out."""

    def balance(self, subject: str) -> tuple[Any, ...]:
        """(unit, subject, counter, counter, sum of the live rows, initial): see invariant I17."""
        return ()

    def held(self) -> dict[str, Any]:
        """What it holds, for rules of a user's own to read."""
        names = ("saga", "step", "subject", "amount", "confirmed", "id")
        return {"rows": [{name: getattr(row, name) for name in names} for row in self.rows]}


class Foreign:
    """A participant whose memory the harness cannot see: all that is known is which steps took effect."""

    applied: set[tuple[str, str]]

    def forgettable(self, msg: Message, now_us: int, retention_us: int) -> bool:
        """It alone knows what it remembers."""
        return False

    def forget(self, msg: Message) -> None:
        """Never asked for, since nothing is forgettable."""

    def subject(self, order: Order) -> str:
        """Not known: any two requests can conflict."""
        return ""

    def decided(self, msg: Message) -> bool:
        """Unknown to the harness; a rejection is injected only before the first effect of the step."""
        return (msg.saga, msg.step) in self.applied

    def has_applied(self, msg: Message) -> bool:
        """True if its step has taken effect."""
        return self.decided(msg)


def asked(msg: Message) -> str:
    """What a request asks for: its operation, of which part."""
    part = split(msg.step)[1]
    return instance(msg.operation, part) if part else msg.operation


def is_refused(msg: Message, refused: frozenset[tuple[str, str]]) -> bool:
    """True if the business refuses the operation, or this part of it."""
    return bool(refused) and ((msg.saga, msg.operation) in refused or (msg.saga, asked(msg)) in refused)


class _Unreadable(Exception):
    """A request that a service cannot make sense of."""


def text_of(msg: Message, name: str, usual: str) -> str:
    """What a request says by that name, as text."""
    value = msg.payload.get(name, usual)
    if not isinstance(value, (str, int)):
        raise _Unreadable(f"{name} is {_shown(value)}, not a string")
    return str(value)


def count_of(msg: Message, name: str, usual: int) -> int:
    """What a request says by that name, as a whole number."""
    value = msg.payload.get(name, usual)
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise _Unreadable(f"{name} is {_shown(value)}, not a number") from None


def _shown(value: Any) -> str:
    return repr(value)[:80] if isinstance(value, (str, float, type(None))) else f"of type {type(value).__name__}"


def receipt(value: Any) -> tuple[tuple[str, Any], ...]:
    """What an answer tells of a forward effect, as far as it is names and plain values."""
    if type(value) is not dict:
        return ()
    return tuple(sorted([(name, entry) for name, entry in value.items() if type(name) is str and type(entry) in PLAIN]))


PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def as_state(name: str, held: object) -> str:
    """What the participant of that name holds, as text. UsageError where it is no JSON data."""
    try:
        return json.dumps(held)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"participant {name!r}: a rule reads what it holds, and that is no JSON data ({error}); keep dicts with "
            f"strings as keys, lists, strings and numbers in tx.state"
        ) from None


def as_request(msg: Message) -> Request:
    """One delivery, as code of the user's is given it."""
    return Request(
        operation=msg.operation,
        saga=msg.saga,
        step=msg.step,
        direction=msg.direction,
        key=msg.key,
        payload=copied(msg.payload),
    )
