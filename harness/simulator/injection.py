"""How each effect is done to a simulated request: one function for each, by the moment at which it comes.

Before a request leaves a function is given the process and the saga; then the request; then its reply too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ..effects import (
    AFTER,
    AT_ACK,
    AT_EFFECT,
    AT_SEND,
    BEFORE,
    AnswerOfAnother,
    Cancel,
    Crash,
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
    ForgetKey,
    GarbleAnswer,
    GoDown,
    HoldUntilUndone,
    JumpClock,
    Lasting,
    LetOthersGo,
    LoseAnswer,
    LoseRequest,
    Mute,
    Pause,
    PretendSuccess,
    Refuse,
    RefuseOnce,
    RefuseRepeat,
    RestartParticipant,
    Resubmit,
    ResubmitElsewhere,
)
from ..fault_kinds import FaultKind
from ..history import DOWN, GARBLED
from ..ports import ProcessCrashed
from ..trace import Strike
from . import breaking
from .incarnation import Incarnation
from .message import Message
from .network import DIES, LATENCY_US, PATIENCE_LEFT_US, WITHHELD, Network
from .participants import ERROR, OK, REFUSED_FOR_NOW, REJECTED, Reply
from .timers import ARRIVAL, DELIVERY, RUN_OUT, WAIT_OVER


def _until(net: Network, effect: Lasting) -> int:
    return net.kernel.now_us + _us(effect.for_ms)


def _crash_sender(net: Network, effect: Crash, process: Incarnation, saga: str, kind: FaultKind) -> None:
    net.host.crash(process, kind.name)
    raise ProcessCrashed


def _pause(net: Network, effect: Pause, process: Incarnation, saga: str, kind: FaultKind) -> None:
    net.host.pause(process, _us(effect.for_ms))


def _cancel(net: Network, effect: Cancel, process: Incarnation, saga: str, kind: FaultKind) -> None:
    net.host.cancel(process, saga)


def _jump_clock(net: Network, effect: JumpClock, process: Incarnation, saga: str, kind: FaultKind) -> None:
    net.host.jump_clock(effect.by_s)


def _resubmit(net: Network, effect: Resubmit, process: Incarnation, saga: str, kind: FaultKind) -> None:
    net.host.resubmit(saga, _us(effect.after_ms))


def _resubmit_elsewhere(
    net: Network, effect: ResubmitElsewhere, process: Incarnation, saga: str, kind: FaultKind
) -> None:
    net.host.resubmit_elsewhere(saga)


def _lose_request(net: Network, effect: LoseRequest, msg: Message) -> int:
    net.lose(msg, "request")
    return WITHHELD


def _delay_request(net: Network, effect: DelayRequest, msg: Message) -> int:
    net.arm(msg)
    if msg.hangs_up:
        msg.beyond_us = _us(effect.beyond_ms)
    else:
        net.kernel.at(msg.timeout_us + _us(effect.beyond_ms), DELIVERY, msg)
    return WITHHELD


def _hold_until_undone(net: Network, effect: HoldUntilUndone, msg: Message) -> int:
    net.arm(msg)
    net.late.append(msg)
    return WITHHELD


def _wait_for_others(net: Network, effect: LetOthersGo, msg: Message) -> int:
    net.waiting.append([msg, effect.others])
    net.kernel.at(max(msg.timeout_us - PATIENCE_LEFT_US, 0), WAIT_OVER, msg)
    return WITHHELD


def _deliver_again(net: Network, effect: DeliverAgain, msg: Message) -> int:
    if effect.held:
        net.held.append(msg)
    else:
        net.kernel.at(LATENCY_US, DELIVERY, msg)
    return 0


def _cut_off(net: Network, effect: CutOff, msg: Message) -> int:
    net.cut[msg.service] = net.mute[msg.service] = _until(net, effect)
    net.lose(msg, "request")
    return WITHHELD


def _silence(net: Network, effect: Mute, msg: Message) -> int:
    net.mute[msg.service] = _until(net, effect)
    return 0


def _die_once_sent(net: Network, effect: Crash, msg: Message) -> int:
    return DIES


def _go_down(net: Network, effect: GoDown, msg: Message, kind: FaultKind) -> Reply:
    net.down[msg.service] = _until(net, effect)
    net.note(msg, DOWN, msg.service, ("down",))
    return Reply(ERROR, "connection refused")


def _forget_key(net: Network, effect: ForgetKey, msg: Message, kind: FaultKind) -> None:
    net.services[msg.service].forget(msg)


def _fail_until_repaired(net: Network, effect: FailUntilRepaired, msg: Message, kind: FaultKind) -> None:
    net.stuck.add((msg.saga, msg.step))
    net.host.call_operator()


def _fail_before(net: Network, effect: Fail, msg: Message, kind: FaultKind) -> Reply:
    return Reply(ERROR, "internal error")


def _refuse(net: Network, effect: Refuse, msg: Message, kind: FaultKind) -> Reply:
    refused: Reply = net.services[msg.service].refuse(msg, "refused by the business")
    return refused


def _refuse_repeat(net: Network, effect: RefuseRepeat, msg: Message, kind: FaultKind) -> Reply:
    return Reply(REJECTED, "it was applied already")


def _refuse_once(net: Network, effect: RefuseOnce, msg: Message, kind: FaultKind) -> Reply:
    return Reply(REJECTED, REFUSED_FOR_NOW)


def _crash_before(net: Network, effect: Crash, msg: Message, kind: FaultKind) -> None:
    if not msg.process.dead:
        net.host.crash(msg.process, kind.name)


def _crash_after(net: Network, effect: Crash, msg: Message, reply: Reply, kind: FaultKind) -> Reply:
    if not msg.process.dead:
        net.host.crash(msg.process, kind.name)
    return reply


def _fail_after(net: Network, effect: Fail, msg: Message, reply: Reply, kind: FaultKind) -> Reply:
    return Reply(ERROR, "internal error")


def _restart(net: Network, effect: RestartParticipant, msg: Message, reply: Reply, kind: FaultKind) -> Reply:
    net.services[msg.service].restart()
    net.down[msg.service] = _until(net, effect)
    net.note(msg, DOWN, msg.service, ("restart",))
    if not msg.done and not msg.process.dead:
        msg.deaf = True
        net.lose(msg, "answer")
    return reply


def _let_expire(net: Network, effect: Expire, msg: Message, reply: Reply, kind: FaultKind) -> Reply:
    net.kernel.at(_us(effect.after_ms), RUN_OUT, msg)
    return reply


def _lose_answer(net: Network, effect: LoseAnswer, msg: Message, reply: Reply, strike: Strike) -> bool:
    msg.deaf = True
    net.lose(msg, "answer")
    return True


def _delay_answer(net: Network, effect: DelayAnswer, msg: Message, reply: Reply, strike: Strike) -> bool:
    msg.deaf = True  # this answer is the one that counts, whatever copies there are
    net.arm(msg)
    by_us = _us(effect.by_ms) if effect.late else -_us(effect.by_ms)
    after = strike if strike.kind.after else None
    net.kernel.at(max(msg.due_us - net.kernel.now_us + by_us, 0), ARRIVAL, (msg, reply, after))
    return True


def _pretend(net: Network, effect: PretendSuccess, msg: Message, kind: FaultKind) -> Reply:
    pretended = getattr(net.services[msg.service], "pretended", None)
    return Reply(OK, pretended(msg) if pretended is not None else {}, owner=msg.saga)


def _garble(net: Network, effect: GarbleAnswer, msg: Message, reply: Reply, strike: Strike) -> bool:
    reply.value = GARBLED
    return False


def _empty(net: Network, effect: EmptyAnswer, msg: Message, reply: Reply, strike: Strike) -> bool:
    reply.value = None
    return False


def _answer_of_another(net: Network, effect: AnswerOfAnother, msg: Message, reply: Reply, strike: Strike) -> bool:
    reply.value = net.answer_of_another(msg)
    return False


def _crash_unanswered(net: Network, effect: Crash, msg: Message, reply: Reply, strike: Strike) -> bool:
    net.host.crash(msg.process, strike.kind.name)
    return True


def _us(ms: float) -> int:
    return int(ms * 1_000)


_SENDING: Final[Mapping[type[Effect], Callable[[Network, Any, Incarnation, str, FaultKind], None]]] = {
    Crash: _crash_sender,
    Pause: _pause,
    Cancel: _cancel,
    JumpClock: _jump_clock,
    Resubmit: _resubmit,
    ResubmitElsewhere: _resubmit_elsewhere,
}
_SENT: Final[Mapping[type[Effect], Callable[[Network, Any, Message], int]]] = {
    Crash: _die_once_sent,
    LoseRequest: _lose_request,
    DelayRequest: _delay_request,
    HoldUntilUndone: _hold_until_undone,
    LetOthersGo: _wait_for_others,
    DeliverAgain: _deliver_again,
    CutOff: _cut_off,
    Mute: _silence,
    **breaking.SENT,
}
_HANDLING: Final[Mapping[type[Effect], Callable[[Network, Any, Message, FaultKind], Reply | None]]] = {
    Crash: _crash_before,
    GoDown: _go_down,
    ForgetKey: _forget_key,
    FailUntilRepaired: _fail_until_repaired,
    Fail: _fail_before,
    Refuse: _refuse,
    PretendSuccess: _pretend,
    RefuseOnce: _refuse_once,
    RefuseRepeat: _refuse_repeat,
    **breaking.HANDLING,
}
_HANDLED: Final[Mapping[type[Effect], Callable[[Network, Any, Message, Reply, FaultKind], Reply]]] = {
    Crash: _crash_after,
    Fail: _fail_after,
    RestartParticipant: _restart,
    Expire: _let_expire,
    **breaking.HANDLED,
}
_ANSWERING: Final[Mapping[type[Effect], Callable[[Network, Any, Message, Reply, Strike], bool]]] = {
    Crash: _crash_unanswered,
    LoseAnswer: _lose_answer,
    DelayAnswer: _delay_answer,
    GarbleAnswer: _garble,
    EmptyAnswer: _empty,
    AnswerOfAnother: _answer_of_another,
    **breaking.ANSWERING,
}
_ANSWERED: Final[Mapping[type[Effect], Callable[[Network, Any, Message, Reply, FaultKind], Reply]]] = {
    Crash: _crash_after
}

DOINGS: Final[Doings] = {
    (AT_SEND, BEFORE): _SENDING,
    (AT_SEND, AFTER): _SENT,
    (AT_EFFECT, BEFORE): _HANDLING,
    (AT_EFFECT, AFTER): _HANDLED,
    (AT_ACK, BEFORE): _ANSWERING,
    (AT_ACK, AFTER): _ANSWERED,
}
"""What is done to a request, by the moment."""
