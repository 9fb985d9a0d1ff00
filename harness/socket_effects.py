"""What a fault does to a connection: the words for it, beside those of `sagafuzz.effects`.

They befall the sockets of a service as it is. Whatever else is simulated has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .effects import AFTER, AT_ACK, AT_EFFECT, AT_SEND, BEFORE, NEW_CONNECTION, SIMULATED, Effect, When


@dataclass(frozen=True, kw_only=True)
class _OfSockets(Effect):
    """Something that only a client with a socket can see."""

    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})


@dataclass(frozen=True, kw_only=True)
class DropConnection(_OfSockets):
    """The server has closed the idle connection on which the request is sent."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    on_the_way: ClassVar[bool] = True
    barred: ClassVar[int] = NEW_CONNECTION


@dataclass(frozen=True, kw_only=True)
class Reset(_OfSockets):
    """The connection is reset before the participant applies, or after it did, and in the place of its answer."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    when: When

    def at(self, phase: str) -> When:
        return self.when


@dataclass(frozen=True, kw_only=True)
class _OfAnAnswer(_OfSockets):
    """Something that befalls an answer on its way to a socket."""

    side: ClassVar[When | None] = BEFORE


@dataclass(frozen=True, kw_only=True)
class CloseUnanswered(_OfAnAnswer):
    """The connection is closed in the place of the answer."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)


@dataclass(frozen=True, kw_only=True)
class CutAnswer(_OfAnAnswer):
    """The connection is closed in the middle of the answer's body."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)


@dataclass(frozen=True, kw_only=True)
class StallAnswer(_OfAnAnswer):
    """Half of the answer's body arrives, and nothing more."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)


@dataclass(frozen=True, kw_only=True)
class AnswerFromGateway(_OfAnAnswer):
    """What arrives is the page of a gateway, with status 502."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)
