"""What a fault does to a message: the words for it, beside those of `sagafuzz.effects`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .effects import (
    AFTER,
    AT_HANDLED,
    AT_PUBLISH,
    AT_RECEIPT,
    BEFORE,
    EMITTED,
    IN_ORDER,
    NEVER_LOST,
    NO_DEAD_LETTERS,
    NO_REPLY,
    SIMULATED,
    TIMED,
    Crash,
    Effect,
    When,
)


@dataclass(frozen=True, kw_only=True)
class CrashAtMessage(Crash):
    """The process that publishes a message, or is handed it, dies."""

    phases: ClassVar[tuple[str, ...]] = (AT_PUBLISH, AT_RECEIPT, AT_HANDLED)

    def barred_by(self, phase: str) -> int:
        return super().barred_by(phase) | (EMITTED if phase == AT_PUBLISH else 0)


@dataclass(frozen=True, kw_only=True)
class _OnItsWay(Effect):
    """Something that befalls a message between who publishes it and who receives it."""

    side: ClassVar[When | None] = AFTER


@dataclass(frozen=True, kw_only=True)
class LoseMessage(_OnItsWay):
    """The message was taken, and is lost."""

    phases: ClassVar[tuple[str, ...]] = (AT_PUBLISH,)
    barred: ClassVar[int] = NEVER_LOST


@dataclass(frozen=True, kw_only=True)
class DelayMessage(_OnItsWay):
    """The message comes so much later than it was due."""

    phases: ClassVar[tuple[str, ...]] = (AT_PUBLISH,)
    by_ms: float


@dataclass(frozen=True, kw_only=True)
class HurryMessage(_OnItsWay):
    """The message comes so soon after it was published; ``unsaved``: when the request that caused it is answered, and
    its caller has not made the answer durable."""

    phases: ClassVar[tuple[str, ...]] = (AT_PUBLISH,)
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    barred: ClassVar[int] = TIMED
    after_ms: float
    unsaved: bool = False

    def barred_by(self, phase: str) -> int:
        return super().barred_by(phase) | (NO_REPLY if self.unsaved else 0)


@dataclass(frozen=True, kw_only=True)
class HoldMessage(_OnItsWay):
    """The message comes when all else is at rest; ``next_first``: as soon as another one of its saga was handled."""

    phases: ClassVar[tuple[str, ...]] = (AT_PUBLISH,)
    next_first: bool = False

    def barred_by(self, phase: str) -> int:
        return super().barred_by(phase) | (IN_ORDER if self.next_first else 0)


@dataclass(frozen=True, kw_only=True)
class DoubleMessage(_OnItsWay):
    """A second copy of the message comes: at once, or, ``held``, when all else is at rest."""

    phases: ClassVar[tuple[str, ...]] = (AT_PUBLISH,)
    held: bool = False


@dataclass(frozen=True, kw_only=True)
class ParkMessage(Effect):
    """Each delivery of the message fails, until it is in the dead-letter queue."""

    phases: ClassVar[tuple[str, ...]] = (AT_RECEIPT,)
    side: ClassVar[When | None] = BEFORE
    barred: ClassVar[int] = NO_DEAD_LETTERS


@dataclass(frozen=True, kw_only=True)
class LoseMessageAck(Effect):
    """The message was handled, and whoever delivers it does not hear of that: it comes again."""

    phases: ClassVar[tuple[str, ...]] = (AT_HANDLED,)
    side: ClassVar[When | None] = BEFORE
