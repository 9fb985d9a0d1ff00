"""Messages to the workers of one case: published, delivered at least once, acknowledged by the answer to ``receive``.

A message comes to the newest worker that can be asked. One that dies over it leaves it to the next; one that answers an
error is given it again, a little later each time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final

from ..effects import (
    AFTER,
    AT_HANDLED,
    AT_PUBLISH,
    AT_RECEIPT,
    BEFORE,
    EMITTED,
    IN_ORDER,
    NEVER_LOST,
    NO_DEAD_LETTERS,
    TIMED,
    Doings,
    Effect,
    doing,
)
from ..fault_kinds import Impossible, impossible
from ..history import HANDLED, LOST, NACK, PARKED, PUBLISH, RECEIVE, REDRIVE
from ..message_effects import (
    CrashAtMessage,
    DelayMessage,
    DoubleMessage,
    HoldMessage,
    LoseMessage,
    LoseMessageAck,
    ParkMessage,
)
from ..messages import USUAL
from ..saga import MESSAGE
from ..simulator.letter import Letter
from ..trace import Strike
from .control import ControlError
from .injection import CaseHost
from .manifest import Manifest
from .member import Member, Members
from .record import Record

CARRIED_S: Final = 0.005
LONGEST_S: Final = 1.0
"""A message that is due in so long is waited for; what is due later comes when all else is at rest, as an actor who
sleeps for so long wakes then, the earliest first: the time of real processes is short."""

LATE_S: Final = 0.5
AGAIN_S: Final = 0.05
MOST_TRIES: Final = 12
"""How often a message is tried that no worker can handle, where its topic says nothing else."""

STAYS: Final = 1
DIES: Final = 2
"""What an effect says: the message does not go on now; its worker dies of it."""


class Mail:
    """Carries them. ``later(delay_s, work)`` runs a coroutine, and keeps the case from its end meanwhile."""

    def __init__(
        self,
        manifest: Manifest,
        record: Record,
        members: Members,
        host: CaseHost,
        numbered: Callable[[], int],
        later: Callable[[float, Coroutine[Any, Any, object]], None],
    ) -> None:
        self._manifest = manifest
        self._record = record
        self._members = members
        self._host = host
        self._numbered = numbered
        self._later = later
        self._counts: dict[tuple[str, str, str], int] = {}
        self._timers: list[Letter] = []  # due later than anybody waits
        self._held: list[Letter] = []
        self._parked: list[Letter] = []
        self._lanes: dict[str, asyncio.Lock] = {}
        self._turns = 0

    # -- publishing ----------------------------------------------------------------------------

    async def publish(
        self, sender: str, topic: str, saga: str, key: str, delay_ms: float, payload: dict[str, Any], cause: int = 0
    ) -> bool:
        """Take a message of ``sender``, a worker unless a request is the ``cause``; whether the sender lives on."""
        terms = self._manifest.topics.get(topic, USUAL)
        nth = self._count(saga, topic, AT_PUBLISH)
        now = (
            (0 if self._members.named(sender) else EMITTED)
            | (TIMED if delay_ms else 0)
            | (0 if terms.may_lose else NEVER_LOST)
        )
        now |= IN_ORDER if terms.ordered else 0
        strike = self._visit(saga, topic, AT_PUBLISH, nth, impossible(AT_PUBLISH, now))
        if strike is not None and strike.kind.before:
            await self._strike(strike, _PUBLISHING, None, sender)
            return False
        due_us = int(time.monotonic() * 1e6 + delay_ms * 1000)
        letter = Letter(self._numbered(), f"{saga}/{topic}/{nth}", topic, saga, key, payload, cause, terms, due_us)
        shown = tuple(sorted(payload.items()))
        self._note(letter, PUBLISH, sender, (topic, shown, delay_ms, cause))
        found = 0
        if strike is not None and strike.kind.after:
            found = await self._strike(strike, _PUBLISHED, letter, sender)
        if not found & STAYS:
            self.carry(letter)
        return not found & DIES

    def carry(self, letter: Letter) -> None:
        """Let it come when it is due."""
        left_s = letter.due_us / 1e6 - time.monotonic()
        if left_s > LONGEST_S:
            self._timers.append(letter)
        else:
            self.set_out(letter, max(left_s, 0.0))

    def set_out(self, letter: Letter, by_s: float = 0.0) -> None:
        """Let it come, after so long."""
        self._later(CARRIED_S + by_s, self._journey(letter))

    def hold(self, letter: Letter) -> None:
        """Keep it until all else is at rest."""
        self._held.append(letter)

    def lose(self, letter: Letter) -> None:
        """It is never delivered."""
        letter.open = False
        self._note(letter, LOST, "harness", ("message",))

    def park(self, letter: Letter) -> None:
        """Put it into the dead-letter queue."""
        letter.open = False
        self._note(letter, PARKED, "harness", (letter.topic, letter.deliveries))
        if letter.terms.replayed and not letter.redriven:
            self._parked.append(letter)

    @property
    def holds(self) -> bool:
        """True if something is to come when all else is at rest."""
        return bool(self._timers or self._held or self._parked)

    @property
    def next_due(self) -> float | None:
        """When the next message is due for which nobody waits, by the monotonic clock; None where there is none."""
        return min(letter.due_us for letter in self._timers) / 1e6 if self._timers else None

    def pass_time(self) -> None:
        """Let the next message come for which nobody waits: its time is over."""
        letter = min(self._timers, key=lambda each: each.due_us)
        self._timers.remove(letter)
        self.set_out(letter)

    def flush(self) -> bool:
        """Let everything come that waits for the rest; False where nothing did."""
        due, self._held = self._held, []
        if not due:
            due, self._parked = self._parked, []
            for letter in due:
                letter.open, letter.redriven, letter.deliveries = True, True, 0
                self._note(letter, REDRIVE, "operator", (letter.topic,))
        for letter in due:
            self.set_out(letter)
        return bool(due)

    # -- delivering ----------------------------------------------------------------------------

    async def _journey(self, letter: Letter) -> None:
        """Deliver it until it is acknowledged, or nobody tries any more."""
        if letter.terms.ordered:
            async with self._lanes.setdefault(letter.lane, asyncio.Lock()):
                await self._deliver(letter)
        else:
            await self._deliver(letter)

    async def _deliver(self, letter: Letter) -> None:
        most = letter.terms.max_deliveries or MOST_TRIES
        failed = 0
        while letter.open and failed < most and (member := await self._taker(letter)) is not None:
            if await self._struck(letter, AT_RECEIPT, _RECEIVING, member):
                continue
            letter.deliveries += 1
            self._note(letter, RECEIVE, member.label, (letter.topic, letter.deliveries))
            error = await self._ask(member, letter)
            if member.dead or error is None:
                if not member.dead:
                    await self._handled(letter, member)
                continue
            failed += 1
            self._note(letter, NACK, member.label, (letter.topic, error, "receive"))
            await asyncio.sleep(min(AGAIN_S * 2**failed, LATE_S))
        if letter.open and letter.terms.max_deliveries is not None:
            self.park(letter)

    async def _taker(self, letter: Letter) -> Member | None:
        """The newest worker, or the one whose turn it is, when there is one; None where none comes."""
        for _ in range(int(2 * self._manifest.max_recovery_ms / 20)):
            if able := self._members.able():
                self._turns += letter.terms.shared
                return able[self._turns % len(able)] if letter.terms.shared else able[0]
            await asyncio.sleep(0.02)
        return None

    async def _ask(self, member: Member, letter: Letter) -> str | None:
        """Have a worker handle it: None where it has, else what it says."""
        assert member.control is not None
        message = {
            "topic": letter.topic,
            "saga_id": letter.saga,
            "key": letter.key,
            "payload": letter.payload,
            "message_id": letter.id,
            "delivery": letter.deliveries,
        }
        try:
            await member.control.ask("receive", self._manifest.max_recovery_ms / 1000, **message)
        except ControlError as error:
            return str(error)
        return None

    async def _handled(self, letter: Letter, member: Member) -> None:
        nth = self._count(letter.saga, letter.topic, AT_HANDLED)
        strike = self._visit(letter.saga, letter.topic, AT_HANDLED, nth)
        if strike is not None and strike.kind.before and await self._strike(strike, _HANDLING, letter, member.label):
            await asyncio.sleep(AGAIN_S)
            return
        letter.open = False
        self._note(letter, HANDLED, member.label, (letter.topic,))
        for held in [each for each in self._held if each.after_next and each.saga == letter.saga]:
            if held.number != letter.number:
                self._held.remove(held)
                self.set_out(held)
        if strike is not None and strike.kind.after:
            await self._strike(strike, _ACKNOWLEDGED, letter, member.label)

    # -- faults ----------------------------------------------------------------------------------

    async def _struck(self, letter: Letter, phase: str, table: Mapping[type[Effect], _Doing], member: Member) -> bool:
        """True if a fault keeps it from being delivered now."""
        now = NO_DEAD_LETTERS if letter.terms.max_deliveries is None else 0
        nth = self._count(letter.saga, letter.topic, phase)
        strike = self._visit(letter.saga, letter.topic, phase, nth, impossible(phase, now))
        return strike is not None and bool(await self._strike(strike, table, letter, member.label))

    async def _strike(
        self, strike: Strike, table: Mapping[type[Effect], _Doing], letter: Letter | None, label: str
    ) -> int:
        self._record.struck(strike.number)
        found = 0
        for effect in strike.kind.effects:
            found |= await doing(table, effect)(self, effect, letter, label, strike.kind.name)
        return found

    def _visit(self, saga: str, topic: str, phase: str, nth: int, excluded: Impossible | None = None) -> Strike | None:
        site = (saga, topic, MESSAGE, phase, nth)
        return self._record.visit(site) if excluded is None else self._record.visit(site, excluded)

    def _count(self, saga: str, topic: str, phase: str) -> int:
        counter = (saga, topic, phase)
        self._counts[counter] = nth = self._counts.get(counter, 0) + 1
        return nth

    def _note(self, letter: Letter, kind: str, process: str, data: tuple[Any, ...]) -> None:
        self._record.add_of(_Told(letter), kind, process, data)
        self._record.changed.set()


class _Told:
    """A message as far as its events tell of it."""

    step = direction = ""
    attempt = 0

    def __init__(self, letter: Letter) -> None:
        self.saga = letter.saga
        self.key = letter.key or None
        self.id = letter.number


_Doing = Callable[[Mail, Any, Any, str, str], Awaitable[int]]


async def _crash(mail: Mail, effect: CrashAtMessage, letter: Letter, label: str, why: str) -> int:
    await mail._host.crash(label, why)
    return STAYS


async def _crash_published(mail: Mail, effect: CrashAtMessage, letter: Letter, label: str, why: str) -> int:
    await mail._host.crash(label, why)
    return DIES


async def _lose(mail: Mail, effect: LoseMessage, letter: Letter, label: str, why: str) -> int:
    mail.lose(letter)
    return STAYS


async def _delay(mail: Mail, effect: DelayMessage, letter: Letter, label: str, why: str) -> int:
    mail.set_out(letter, LATE_S)
    return STAYS


async def _hold(mail: Mail, effect: HoldMessage, letter: Letter, label: str, why: str) -> int:
    letter.after_next = effect.next_first
    mail.hold(letter)
    return STAYS


async def _double(mail: Mail, effect: DoubleMessage, letter: Letter, label: str, why: str) -> int:
    (mail.hold if effect.held else mail.carry)(letter.copy())
    return 0


async def _park(mail: Mail, effect: ParkMessage, letter: Letter, label: str, why: str) -> int:
    letter.deliveries = letter.terms.max_deliveries or 1
    mail.park(letter)
    return STAYS


async def _lose_ack(mail: Mail, effect: LoseMessageAck, letter: Letter, label: str, why: str) -> int:
    mail._note(letter, LOST, label, ("acknowledgement",))
    return STAYS


_PUBLISHING: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash}
_PUBLISHED: Final[Mapping[type[Effect], _Doing]] = {
    CrashAtMessage: _crash_published,
    LoseMessage: _lose,
    DelayMessage: _delay,
    HoldMessage: _hold,
    DoubleMessage: _double,
}
_RECEIVING: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash, ParkMessage: _park}
_HANDLING: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash, LoseMessageAck: _lose_ack}
_ACKNOWLEDGED: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash}

DOINGS: Final[Doings] = {
    (AT_PUBLISH, BEFORE): _PUBLISHING,
    (AT_PUBLISH, AFTER): _PUBLISHED,
    (AT_RECEIPT, BEFORE): _RECEIVING,
    (AT_HANDLED, BEFORE): _HANDLING,
    (AT_HANDLED, AFTER): _ACKNOWLEDGED,
}
"""What is done to a message, by the moment."""
