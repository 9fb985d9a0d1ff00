"""How each effect is done to real processes, at the participants' door.

What lasts is kept here: participants that are cut off, mute or down, compensations that fail, requests that are held.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from ..effects import (
    AFTER,
    AT_ACK,
    AT_EFFECT,
    AT_SEND,
    BEFORE,
    CUT_OFF,
    DEAD,
    DECIDED,
    FAILING,
    NO_EXPIRY,
    NO_RESERVATION,
    OUTSIDE,
    OWN_EXPIRY,
    REFUSAL_KEPT,
    AnswerOfAnother,
    Cancel,
    Crash,
    CrashAtRest,
    CutOff,
    DelayAnswer,
    DelayRequest,
    DeliverAgain,
    Doings,
    Effect,
    EmptyAnswer,
    Expire,
    Fail,
    FailUntilRepaired,
    GarbleAnswer,
    GoDown,
    HoldUntilUndone,
    Lasting,
    LoseAnswer,
    LoseRequest,
    Mute,
    Pause,
    PretendSuccess,
    Refuse,
    RefuseOnce,
    RestartParticipant,
    Resubmit,
    ResubmitElsewhere,
    doing,
)
from ..fault_kinds import Impossible, impossible
from ..faults import FaultKind
from ..history import CANCEL, DOWN, UNCALLED
from ..saga import COMPENSATION
from ..simulator.participants import ERROR as FAILED
from ..simulator.participants import OK, REFUSED_FOR_NOW, REJECTED, Reply
from ..trace import called_to
from .ledger import Books, Call
from .manifest import Manifest
from .record import Record


class CaseHost(Protocol):
    """Who can do to a process what a fault asks for."""

    def known_as(self, label: str) -> str: ...
    def dead(self, label: str) -> bool: ...
    def ended(self, saga: str) -> bool: ...
    async def gone(self, label: str) -> None: ...
    def spares(self, label: str) -> bool: ...
    async def crash(self, label: str, reason: str) -> None: ...
    async def stop(self, label: str) -> None: ...
    async def pause(self, label: str) -> None: ...
    async def cancel(self, saga: str) -> None: ...
    async def announced(self, label: str, said: Mapping[str, Any]) -> None: ...
    def resubmit(self, saga: str, after_s: float) -> None: ...
    def resubmit_elsewhere(self, saga: str) -> None: ...
    def fail(self, error: BaseException) -> None: ...


@dataclass
class Fate:
    """What becomes of a request or an answer that was struck.

    ``lost``: it never arrives. ``held``: it arrives after its compensation was handled. ``late_s``: it arrives so long
    after its caller gave up (None: in time). ``slow``: it arrives just before that. ``copies``: so many more follow it,
    ``held_copies``: so many after its compensation was handled. ``dies``: its sender does. ``instead``: what arrives in
    the answer's place.
    """

    lost: bool = False
    held: bool = False
    late_s: float | None = None
    slow: bool = False
    copies: int = 0
    held_copies: int = 0
    dies: bool = False
    instead: Literal["", "garbled", "empty", "another"] = ""


class Injection:
    """Does the effects of faults to the requests of one case, and keeps what lasts."""

    def __init__(
        self,
        manifest: Manifest,
        record: Record,
        books: Books,
        host: CaseHost,
        expire: Callable[[Call, float], None],
        at_rest: Callable[[Call, FaultKind], None],
    ) -> None:
        self.manifest = manifest
        self.record = record
        self.books = books
        self.host = host
        self.expire = expire  # (request, after how many seconds)
        self.at_rest = at_rest
        self.stuck: set[tuple[str, str]] = set()  # (saga, step) whose compensation fails until healed
        self.cut: dict[str, float] = {}  # participant -> until when no request reaches it
        self.mute: dict[str, float] = {}  # participant -> until when no answer of it arrives
        self.down: dict[str, float] = {}  # participant -> until when it refuses connections
        self.paused: set[str] = set()  # the processes that stood still once

    # -- what cannot act as things stand -----------------------------------------------------------

    def impossible(self, call: Call, phase: str, now: int) -> Impossible:
        """The kinds that would change nothing at a site of this request, in the circumstances ``now`` and others."""
        now |= DEAD if self.host.dead(call.process) else 0
        if call.process in self.record.setup.scenario.actors:
            now |= OUTSIDE
        if phase == AT_SEND and self.lasts(self.cut, call.service):
            now |= CUT_OFF
        elif phase == AT_EFFECT:
            if self.fails(call) or self.lasts(self.down, call.service):
                now |= FAILING
            elif call.direction == COMPENSATION or self.books.decided(call):
                now |= DECIDED
            if call.service not in self.manifest.forgetting_refusals:
                now |= REFUSAL_KEPT
            now |= self._lasting(call)
        return impossible(phase, now)

    def _lasting(self, call: Call) -> int:
        """Why no reservation of it runs out, in the harness's hands; 0 where it may."""
        if call.service not in self.manifest.expiring:
            return NO_EXPIRY
        if not self.books.ledgers[call.service].expires:
            return OWN_EXPIRY
        return NO_RESERVATION if self.record.setup.adapter.is_final(call.operation) else 0

    def fails(self, call: Call) -> bool:
        """True if it is a compensation that fails until somebody repairs it."""
        return call.direction == COMPENSATION and (call.saga, call.step) in self.stuck

    @staticmethod
    def lasts(table: dict[str, float], service: str) -> bool:
        return table.get(service, 0.0) > time.monotonic()

    def heal(self, *, waited: bool) -> tuple[bool, tuple[str, ...]]:
        """End what lasts: whether something did, and the data of the event that says so. A compensation fails on where
        nobody was called to it, until somebody has ``waited`` for it as long as anybody does."""
        heard = called_to(self.stuck, self.record.rows)
        mended = set(self.stuck) if waited else heard
        lasting = any((mended, self.cut, self.mute, self.down))
        self.stuck -= mended
        for table in (self.cut, self.mute, self.down):
            table.clear()
        return lasting, (UNCALLED,) if mended != heard else ()

    # -- the effects, by the moment at which they come -------------------------------------------

    async def before_sending(self, kind: FaultKind, call: Call) -> Fate:
        """A request is about to be sent."""
        return await self._befall(kind.before, _SENDING, kind, call)

    async def on_its_way(self, kind: FaultKind, call: Call) -> Fate:
        """A request was sent."""
        return await self._befall(kind.after, _SENT, kind, call)

    async def answering(self, kind: FaultKind, call: Call) -> Fate:
        """An answer is about to arrive."""
        return await self._befall(kind.before, _ANSWERING, kind, call)

    async def answered(self, kind: FaultKind, call: Call) -> Fate:
        """An answer has arrived."""
        return await self._befall(kind.after, _ANSWERED, kind, call)

    async def handling(self, kind: FaultKind, call: Call) -> Reply | None:
        """A participant is about to handle a request: what it answers instead, None where it goes on to handle it."""
        reply = None
        for effect in kind.before:
            reply = await doing(_HANDLING, effect)(self, effect, call, kind) or reply
        return reply

    async def handled(self, kind: FaultKind, call: Call, reply: Reply | None) -> Reply | None:
        """A participant has handled it: what it answers; None where no answer comes."""
        for effect in kind.after:
            reply = await doing(_HANDLED, effect)(self, effect, call, kind, reply)
        return reply

    async def _befall(
        self, effects: Iterable[Effect], table: Mapping[type[Effect], Befall], kind: FaultKind, call: Call
    ) -> Fate:
        fate = Fate()
        for effect in effects:
            await doing(table, effect)(self, effect, call, kind, fate)
        return fate

    def _until(self, effect: Lasting) -> float:
        return time.monotonic() + (effect.live_ms or self.manifest.partition_ms) / 1000

    # -- to the orchestrator -------------------------------------------------------------------

    async def _crash(self, effect: Crash, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.dies = not self.host.spares(call.process)
        await self.host.crash(call.process, kind.name)

    async def _pause(self, effect: Pause, call: Call, kind: FaultKind, fate: Fate) -> None:
        self.paused.add(call.process)
        await self.host.pause(call.process)

    async def _cancel(self, effect: Cancel, call: Call, kind: FaultKind, fate: Fate) -> None:
        self.record.add(CANCEL, "client", saga=call.saga)
        await self.host.cancel(call.saga)

    async def _resubmit(self, effect: Resubmit, call: Call, kind: FaultKind, fate: Fate) -> None:
        self.host.resubmit(call.saga, effect.live_ms / 1000)

    async def _resubmit_elsewhere(self, effect: ResubmitElsewhere, call: Call, kind: FaultKind, fate: Fate) -> None:
        self.host.resubmit_elsewhere(call.saga)

    async def _crash_at_rest(self, effect: CrashAtRest, call: Call, kind: FaultKind, fate: Fate) -> None:
        self.at_rest(call, kind)

    # -- to a request on its way -----------------------------------------------------------------

    async def _lose(self, effect: LoseRequest, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.lost = True

    async def _delay(self, effect: DelayRequest, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.late_s = effect.beyond_ms / 1000

    async def _hold(self, effect: HoldUntilUndone, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.held = True

    async def _again(self, effect: DeliverAgain, call: Call, kind: FaultKind, fate: Fate) -> None:
        if effect.held:
            fate.held_copies += 1
        else:
            fate.copies += 1

    async def _cut_off(self, effect: CutOff, call: Call, kind: FaultKind, fate: Fate) -> None:
        self.cut[call.service] = self.mute[call.service] = self._until(effect)
        fate.lost = True

    async def _mute(self, effect: Mute, call: Call, kind: FaultKind, fate: Fate) -> None:
        self.mute[call.service] = self._until(effect)

    # -- to the participant ----------------------------------------------------------------------

    async def _crash_before(self, effect: Crash, call: Call, kind: FaultKind) -> Reply | None:
        await self.host.crash(call.process, kind.name)
        return None

    async def _go_down(self, effect: GoDown, call: Call, kind: FaultKind) -> Reply | None:
        self.down[call.service] = self._until(effect)
        self.record.add(DOWN, call.service, ("down",), call=call)
        return Reply(FAILED, REFUSED_CONNECTION)

    async def _stick(self, effect: FailUntilRepaired, call: Call, kind: FaultKind) -> Reply | None:
        self.stuck.add((call.saga, call.step))
        return None

    async def _fail(self, effect: Fail, call: Call, kind: FaultKind) -> Reply | None:
        return Reply(FAILED, "internal error")

    async def _refuse(self, effect: Refuse, call: Call, kind: FaultKind) -> Reply | None:
        return self.books.refuse(call, "refused by the business")

    async def _refuse_once(self, effect: RefuseOnce, call: Call, kind: FaultKind) -> Reply | None:
        return Reply(REJECTED, REFUSED_FOR_NOW)

    async def _pretend(self, effect: PretendSuccess, call: Call, kind: FaultKind) -> Reply | None:
        return Reply(OK, {"id": f"{call.step}-0"}, owner=call.saga)

    async def _crash_after(self, effect: Crash, call: Call, kind: FaultKind, reply: Reply | None) -> Reply | None:
        spared = self.host.spares(call.process)
        await self.host.crash(call.process, kind.name)
        return reply if spared else None

    async def _fail_after(self, effect: Fail, call: Call, kind: FaultKind, reply: Reply | None) -> Reply | None:
        return Reply(FAILED, "internal error")

    async def _restart(
        self, effect: RestartParticipant, call: Call, kind: FaultKind, reply: Reply | None
    ) -> Reply | None:
        self.books.open(call.service)
        self.down[call.service] = self._until(effect)
        self.record.add(DOWN, call.service, ("restart",), call=call)
        return None

    async def _let_expire(self, effect: Expire, call: Call, kind: FaultKind, reply: Reply | None) -> Reply | None:
        self.expire(call, effect.after_ms / 1000)
        return reply

    async def _crash_at_rest_after(
        self, effect: CrashAtRest, call: Call, kind: FaultKind, reply: Reply | None
    ) -> Reply | None:
        self.at_rest(call, kind)
        return reply

    # -- to the answer ---------------------------------------------------------------------------

    async def _lose_answer(self, effect: LoseAnswer, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.lost = True

    async def _delay_answer(self, effect: DelayAnswer, call: Call, kind: FaultKind, fate: Fate) -> None:
        if effect.late:
            fate.late_s = effect.by_ms / 1000
        else:
            fate.slow = True

    async def _garble(self, effect: GarbleAnswer, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.instead = "garbled"

    async def _empty(self, effect: EmptyAnswer, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.instead = "empty"

    async def _cross(self, effect: AnswerOfAnother, call: Call, kind: FaultKind, fate: Fate) -> None:
        fate.instead = "another"


REFUSED_CONNECTION: Final = "connection refused"

Befall = Callable[[Injection, Any, Call, FaultKind, Fate], Awaitable[None]]
Handle = Callable[[Injection, Any, Call, FaultKind], Awaitable[Reply | None]]
Handled = Callable[[Injection, Any, Call, FaultKind, Reply | None], Awaitable[Reply | None]]

_SENDING: Final[Mapping[type[Effect], Befall]] = {
    Crash: Injection._crash,
    Pause: Injection._pause,
    Cancel: Injection._cancel,
    Resubmit: Injection._resubmit,
    ResubmitElsewhere: Injection._resubmit_elsewhere,
}
_SENT: Final[Mapping[type[Effect], Befall]] = {
    Crash: Injection._crash,
    LoseRequest: Injection._lose,
    DelayRequest: Injection._delay,
    HoldUntilUndone: Injection._hold,
    DeliverAgain: Injection._again,
    CutOff: Injection._cut_off,
    Mute: Injection._mute,
}
_HANDLING: Final[Mapping[type[Effect], Handle]] = {
    Crash: Injection._crash_before,
    GoDown: Injection._go_down,
    FailUntilRepaired: Injection._stick,
    Fail: Injection._fail,
    Refuse: Injection._refuse,
    RefuseOnce: Injection._refuse_once,
    PretendSuccess: Injection._pretend,
}
_HANDLED: Final[Mapping[type[Effect], Handled]] = {
    Crash: Injection._crash_after,
    CrashAtRest: Injection._crash_at_rest_after,
    Fail: Injection._fail_after,
    RestartParticipant: Injection._restart,
    Expire: Injection._let_expire,
}
_ANSWERING: Final[Mapping[type[Effect], Befall]] = {
    Crash: Injection._crash,
    LoseAnswer: Injection._lose_answer,
    DelayAnswer: Injection._delay_answer,
    GarbleAnswer: Injection._garble,
    EmptyAnswer: Injection._empty,
    AnswerOfAnother: Injection._cross,
}
_ANSWERED: Final[Mapping[type[Effect], Befall]] = {
    Crash: Injection._crash,
    CrashAtRest: Injection._crash_at_rest,
}

DOINGS: Final[Doings] = {
    (AT_SEND, BEFORE): _SENDING,
    (AT_SEND, AFTER): _SENT,
    (AT_EFFECT, BEFORE): _HANDLING,
    (AT_EFFECT, AFTER): _HANDLED,
    (AT_ACK, BEFORE): _ANSWERING,
    (AT_ACK, AFTER): _ANSWERED,
}
"""What is done to a request, by the moment; what is done to a write is in `proxy`."""
