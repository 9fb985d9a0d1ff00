"""How each effect on a connection is done: the network marks a request with it, the edge does it to the socket."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from ..effects import Effect
from ..fault_kinds import FaultKind
from ..history import LOST
from ..socket_effects import AnswerFromGateway, CloseUnanswered, CutAnswer, DropConnection, Reset, StallAnswer
from ..trace import Strike
from .message import CLOSED, GATEWAY, HALVED, RESET, STALLED, Broken, Message
from .network import LATENCY_US, WITHHELD, Network
from .participants import ERROR, Reply
from .timers import ARRIVAL

_SAID: Final = {
    RESET: "connection reset by peer",
    CLOSED: "connection closed by peer",
    GATEWAY: "502 bad gateway",
}
"""What the caller learns, as the history tells it."""


def _drop(net: Network, effect: DropConnection, msg: Message) -> int:
    net.note(msg, LOST, msg.process.label, ("request",))
    net.kernel.at(LATENCY_US, ARRIVAL, (msg, _broken(msg, CLOSED), None))
    return WITHHELD


def _reset_before(net: Network, effect: Reset, msg: Message, kind: FaultKind) -> Reply:
    return _broken(msg, RESET)


def _reset_after(net: Network, effect: Reset, msg: Message, reply: Reply, kind: FaultKind) -> Reply:
    return _broken(msg, RESET)


def _break_answer(how: str, net: Network, effect: Effect, msg: Message, reply: Reply, strike: Strike) -> bool:
    msg.broken = Broken(how, reply.answer, reply.value)
    reply.answer, reply.value = ERROR, _SAID[how]
    return False


def _halve(net: Network, effect: Effect, msg: Message, reply: Reply, strike: Strike) -> bool:
    """Its status has come, and who reads no more of it knows what it says: so that is the answer."""
    msg.broken = Broken(HALVED, reply.answer, reply.value)
    return False


def _stall(net: Network, effect: StallAnswer, msg: Message, reply: Reply, strike: Strike) -> bool:
    msg.deaf = True
    net.lose(msg, "answer")
    msg.broken = Broken(STALLED, reply.answer, reply.value)
    msg.on_done(None, None)  # which brings the half of it
    return True


def _broken(msg: Message, how: str) -> Reply:
    """Break the connection of a request in the place of any answer; what its caller learns."""
    msg.broken = Broken(how)
    return Reply(ERROR, _SAID[how])


SENT: Final[Mapping[type[Effect], Callable[[Network, Any, Message], int]]] = {DropConnection: _drop}
HANDLING: Final[Mapping[type[Effect], Callable[[Network, Any, Message, FaultKind], Reply | None]]] = {
    Reset: _reset_before
}
HANDLED: Final[Mapping[type[Effect], Callable[[Network, Any, Message, Reply, FaultKind], Reply]]] = {
    Reset: _reset_after
}
ANSWERING: Final[Mapping[type[Effect], Callable[[Network, Any, Message, Reply, Strike], bool]]] = {
    CloseUnanswered: partial(_break_answer, CLOSED),
    CutAnswer: _halve,
    StallAnswer: _stall,
    AnswerFromGateway: partial(_break_answer, GATEWAY),
}
