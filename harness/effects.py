"""What a fault does: the words of which the table of kinds is made, and that each world carries out.

An effect is data. A world that can do it has one function for it; a world that has none raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Literal, TypeVar

# The phases at which a site can lie.
AT_SEND: Final = "send"  # the orchestrator is about to send a request
AT_EFFECT: Final = "effect"  # the participant is about to handle the first delivery of it
AT_ACK: Final = "ack"  # its answer is about to reach the orchestrator
AT_LOG: Final = "log"  # the orchestrator asks its store to make a record durable
AT_LOGGED: Final = "logged"  # that record has just become durable
AT_COMMIT: Final = "commit"  # the app of a participant commits a transaction
AT_BOOT: Final = "boot"  # a new incarnation of the orchestrator starts
AT_PUBLISH: Final = "publish"  # a message is about to be published
AT_RECEIPT: Final = "receipt"  # it is about to be handed to a process
AT_HANDLED: Final = "handled"  # its handler has returned, and it is about to count as acknowledged

SIMULATED: Final = "simulated"
LIVE: Final = "live"
WORLDS: Final = frozenset({SIMULATED, LIVE})
"""The worlds in which a system can run."""

BEFORE: Final = "before"
AFTER: Final = "after"
When = Literal["before", "after"]
"""Whether an effect comes before or after what its site stands for: the request leaves, the participant applies,
the answer arrives, the record is durable."""

# Circumstances in which an effect cannot act. Each is a bit, so that several make one number.
NO_EXPIRY: Final = 1 << 0
NO_RESERVATION: Final = 1 << 1
NO_FILE: Final = 1 << 2
NO_LOSS: Final = 1 << 3
NO_PROXY: Final = 1 << 4
NO_STORE_ERRORS: Final = 1 << 5
UNSHARED: Final = 1 << 6
CUT_OFF: Final = 1 << 7
FAILING: Final = 1 << 8
DECIDED: Final = 1 << 9
KEY_KEPT: Final = 1 << 10
DEAD: Final = 1 << 11
OWN_EXPIRY: Final = 1 << 12
NO_REPEAT: Final = 1 << 13
REFUSAL_KEPT: Final = 1 << 14
OUTSIDE: Final = 1 << 15
EMITTED: Final = 1 << 16
IN_ORDER: Final = 1 << 17
NEVER_LOST: Final = 1 << 18
NO_DEAD_LETTERS: Final = 1 << 19
NO_REPLY: Final = 1 << 20
TIMED: Final = 1 << 21
NO_SUCCESS: Final = 1 << 22
NO_OTHER: Final = 1 << 23
NEW_CONNECTION: Final = 1 << 24
GOES_ON: Final = 1 << 25

REASONS: Final = {
    NO_EXPIRY: "the participant is not declared in expiring=",
    OWN_EXPIRY: "a participant of one's own withdraws what it reserved itself",
    NO_RESERVATION: "the request makes no reservation",
    NO_FILE: "this store writes a record whole or not at all",
    NO_LOSS: "this store does not acknowledge before a write is safe",
    NO_PROXY: "no proxy stands before this store",
    NO_STORE_ERRORS: "the worker cannot be told that a write failed",
    UNSHARED: "no other saga works on the same data",
    NO_REPEAT: "the participant has applied no earlier attempt, or is not declared in refusing_repeats=",
    REFUSAL_KEPT: "the participant is not declared in forgetting_refusals=",
    CUT_OFF: "nothing gets to the participant anyway",
    FAILING: "the participant fails already",
    DECIDED: "the answer is already fixed by what the participant remembers",
    KEY_KEPT: "no key is remembered for longer than the declared retention",
    DEAD: "the sender is dead already",
    OUTSIDE: "an actor asks, who is no process",
    EMITTED: "no process publishes it, but a participant or somebody outside",
    IN_ORDER: "messages with its key are kept in order",
    NEVER_LOST: "its topic is not declared may_lose=True",
    NO_DEAD_LETTERS: "its topic is not declared with max_deliveries=",
    NO_REPLY: "it is not caused by a request that somebody waits for",
    TIMED: "a timer is never early",
    NO_SUCCESS: "the participant did not say that it applied",
    NO_OTHER: "the participant has answered no other request before",
    NEW_CONNECTION: "the connection is new: no request went by it before",
    GOES_ON: "the orchestrator goes on at once: it waits for nothing",
}
"""Each circumstance in words. Where several hold, the first of this order is told: what lasts before what passes."""


_ONLY: Final[dict[str, When]] = {AT_LOG: BEFORE, AT_LOGGED: AFTER, AT_BOOT: BEFORE, AT_RECEIPT: BEFORE}
"""The phases that have one side only."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One thing that a fault does.

    ``phases`` are those of the sites at which it can be done, ``side`` on which side of what the site stands for,
    ``worlds`` who can do it, ``barred`` the circumstances in which it changes nothing. Times are milliseconds of the
    simulated clock.
    """

    phases: ClassVar[tuple[str, ...]] = ()
    side: ClassVar[When | None] = None  # None: each says it for itself, as ``when``
    worlds: ClassVar[frozenset[str]] = WORLDS
    barred: ClassVar[int] = 0
    of_an_effect: ClassVar[bool] = False  # it befalls what was applied: nothing where a participant applied nothing
    on_the_way: ClassVar[bool] = False  # it befalls a request in the network: nothing where none gets through
    noticed_later: ClassVar[bool] = False  # it is nothing where nobody notices it afterwards

    @classmethod
    def moments(cls) -> frozenset[tuple[str, When]]:
        """The phases at which, and the sides on which, a world may be asked to do it."""
        sides: tuple[When, ...] = (BEFORE, AFTER) if cls.side is None else (cls.side,)
        return frozenset((phase, _ONLY.get(phase, side)) for phase in cls.phases for side in sides)

    def fits(self, phase: str) -> bool:
        """True if it can be done at a site of that phase."""
        return phase in self.phases and _ONLY.get(phase, self.at(phase)) == self.at(phase)

    def at(self, phase: str) -> When:
        """On which side of what a site of that phase stands for it is done."""
        return self.side or _ONLY[phase]

    def barred_by(self, phase: str) -> int:
        """The circumstances in which it changes nothing at a site of that phase."""
        if phase == AT_SEND and self.on_the_way:
            return self.barred | CUT_OFF
        return self.barred | FAILING if phase == AT_EFFECT else self.barred


@dataclass(frozen=True, kw_only=True)
class Lasting(Effect):
    """An effect that lasts: ``for_ms`` in the simulator, ``live_ms`` on real processes, where 0 stands for what the
    manifest calls ``partition_ms``."""

    for_ms: float
    live_ms: float = 0


# -- what befalls the orchestrator's process ---------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Crash(Effect):
    """The orchestrator dies, ``when`` says on which side of what its site stands for."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND, AT_EFFECT, AT_ACK, AT_LOG, AT_LOGGED)
    barred: ClassVar[int] = DEAD | OUTSIDE
    when: When

    def at(self, phase: str) -> When:
        return self.when

    def barred_by(self, phase: str) -> int:
        sent = phase == AT_SEND and self.when == AFTER
        return super().barred_by(phase) | (CUT_OFF if sent else 0)


@dataclass(frozen=True, kw_only=True)
class CrashAtRest(Crash):
    """The orchestrator dies when it has come to wait, and nothing of its saga is in flight: in a timer, a back-off, or
    after the end. Where it asks for something more before, it does not."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT, AT_ACK)
    side: ClassVar[When | None] = AFTER
    worlds: ClassVar[frozenset[str]] = frozenset({LIVE})
    barred: ClassVar[int] = Crash.barred | GOES_ON
    when: When = AFTER


@dataclass(frozen=True, kw_only=True)
class Pause(Effect):
    """The process stands still while another one starts; then it goes on."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = BEFORE
    noticed_later: ClassVar[bool] = True
    barred: ClassVar[int] = DEAD | OUTSIDE
    for_ms: float


@dataclass(frozen=True, kw_only=True)
class Cancel(Effect):
    """The client cancels the saga."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = BEFORE


@dataclass(frozen=True, kw_only=True)
class Resubmit(Effect):
    """The client sends its order again, so long after its site was reached: ``live_ms`` on real processes."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = BEFORE
    after_ms: float = 0
    live_ms: float = 0


@dataclass(frozen=True, kw_only=True)
class ResubmitElsewhere(Effect):
    """Another process starts, and the client sends its order again, to that one."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = BEFORE


@dataclass(frozen=True, kw_only=True)
class JumpClock(Effect):
    """The wall clock jumps by so many seconds; the monotonic one does not."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = BEFORE
    noticed_later: ClassVar[bool] = True
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    by_s: int


@dataclass(frozen=True, kw_only=True)
class StartSecond(Effect):
    """Another process starts and recovers while this one lives on."""

    phases: ClassVar[tuple[str, ...]] = (AT_LOGGED,)
    side: ClassVar[When | None] = AFTER
    noticed_later: ClassVar[bool] = True
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})


@dataclass(frozen=True, kw_only=True)
class Lag(Effect):
    """The process that starts reads what was there before the last write, for so long."""

    phases: ClassVar[tuple[str, ...]] = (AT_BOOT,)
    side: ClassVar[When | None] = BEFORE
    noticed_later: ClassVar[bool] = True
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    for_ms: float


@dataclass(frozen=True, kw_only=True)
class Upgrade(Effect):
    """The process that starts runs the next version of the definition."""

    phases: ClassVar[tuple[str, ...]] = (AT_BOOT,)
    side: ClassVar[When | None] = BEFORE
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})


# -- what befalls a request on its way ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LoseRequest(Effect):
    """The request is never delivered."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    on_the_way: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class DelayRequest(Effect):
    """The request arrives so long after its caller gave up."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    on_the_way: ClassVar[bool] = True
    beyond_ms: float


@dataclass(frozen=True, kw_only=True)
class HoldUntilUndone(Effect):
    """The request arrives after its own compensation was handled, or at the very end."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    on_the_way: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class LetOthersGo(Effect):
    """The request waits until so many requests of other sagas on the same data were handled."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    barred: ClassVar[int] = UNSHARED
    on_the_way: ClassVar[bool] = True
    others: int


@dataclass(frozen=True, kw_only=True)
class DeliverAgain(Effect):
    """A second copy of the request arrives: right after the first, or ``held`` until its compensation was handled."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    on_the_way: ClassVar[bool] = True
    held: bool = False


@dataclass(frozen=True, kw_only=True)
class CutOff(Lasting):
    """No request reaches the participant, nor do its answers leave it, for so long from here on."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    on_the_way: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Mute(Lasting):
    """The participant's answers are lost for so long from here on."""

    phases: ClassVar[tuple[str, ...]] = (AT_SEND,)
    side: ClassVar[When | None] = AFTER
    on_the_way: ClassVar[bool] = True


# -- what the participant does with it ---------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fail(Effect):
    """The participant answers with a transient error, before it applies or after it did."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    when: When

    def at(self, phase: str) -> When:
        return self.when


@dataclass(frozen=True, kw_only=True)
class Refuse(Effect):
    """The participant refuses for a business reason, and remembers that it did."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = BEFORE
    barred: ClassVar[int] = DECIDED


@dataclass(frozen=True, kw_only=True)
class RefuseRepeat(Effect):
    """The participant refuses what it has applied already; what it applied stays."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = BEFORE
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    barred: ClassVar[int] = NO_REPEAT


@dataclass(frozen=True, kw_only=True)
class RefuseOnce(Effect):
    """The participant refuses this request, and does not remember that it did."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = BEFORE
    barred: ClassVar[int] = REFUSAL_KEPT | DECIDED


@dataclass(frozen=True, kw_only=True)
class FailUntilRepaired(Effect):
    """The participant fails at every attempt of this call until an operator steps in."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = BEFORE


@dataclass(frozen=True, kw_only=True)
class GoDown(Lasting):
    """The participant refuses connections for so long, this request's too; it forgets nothing."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = BEFORE


@dataclass(frozen=True, kw_only=True)
class RestartParticipant(Lasting):
    """The participant applies, loses what it held in memory only, its answer too, and is away for so long."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = AFTER


@dataclass(frozen=True, kw_only=True)
class Expire(Effect):
    """What the request reserved runs out so long after it was applied, unless it was confirmed or undone."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = AFTER
    noticed_later: ClassVar[bool] = True
    of_an_effect: ClassVar[bool] = True
    barred: ClassVar[int] = NO_EXPIRY | OWN_EXPIRY | NO_RESERVATION | DECIDED
    after_ms: float


@dataclass(frozen=True, kw_only=True)
class ForgetKey(Effect):
    """The participant has forgotten the idempotency key."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = BEFORE
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    barred: ClassVar[int] = KEY_KEPT


# -- what befalls the answer -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LoseAnswer(Effect):
    """The answer never arrives."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)
    side: ClassVar[When | None] = BEFORE


@dataclass(frozen=True, kw_only=True)
class DelayAnswer(Effect):
    """The answer comes so long before its caller would give up; ``late``: so long after it did."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)
    side: ClassVar[When | None] = BEFORE
    by_ms: float
    late: bool = False


# -- wrong answers -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PretendSuccess(Effect):
    """The participant answers as if it had applied, and has not."""

    phases: ClassVar[tuple[str, ...]] = (AT_EFFECT,)
    side: ClassVar[When | None] = BEFORE
    barred: ClassVar[int] = DECIDED


@dataclass(frozen=True, kw_only=True)
class GarbleAnswer(Effect):
    """What arrives is no answer of the participant's, but a page of somebody between."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)
    side: ClassVar[When | None] = BEFORE
    barred: ClassVar[int] = NO_SUCCESS


@dataclass(frozen=True, kw_only=True)
class EmptyAnswer(Effect):
    """The answer arrives without its content."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)
    side: ClassVar[When | None] = BEFORE
    barred: ClassVar[int] = NO_SUCCESS


@dataclass(frozen=True, kw_only=True)
class AnswerOfAnother(Effect):
    """What arrives is the participant's last answer to another request."""

    phases: ClassVar[tuple[str, ...]] = (AT_ACK,)
    side: ClassVar[When | None] = BEFORE
    barred: ClassVar[int] = NO_SUCCESS | NO_OTHER


# -- what befalls a durable write --------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class StoreError(Effect):
    """The store answers with an error."""

    phases: ClassVar[tuple[str, ...]] = (AT_LOG, AT_LOGGED)
    barred: ClassVar[int] = NO_STORE_ERRORS


@dataclass(frozen=True, kw_only=True)
class Tear(Effect):
    """A part of the record becomes durable."""

    phases: ClassVar[tuple[str, ...]] = (AT_LOG,)
    side: ClassVar[When | None] = BEFORE
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    barred: ClassVar[int] = NO_FILE


@dataclass(frozen=True, kw_only=True)
class LoseWrite(Effect):
    """The record is gone again, although the store had acknowledged it."""

    phases: ClassVar[tuple[str, ...]] = (AT_LOGGED,)
    side: ClassVar[When | None] = AFTER
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    barred: ClassVar[int] = NO_LOSS


@dataclass(frozen=True, kw_only=True)
class StoreOutage(Effect):
    """Nobody can reach the store from here on, for a while."""

    phases: ClassVar[tuple[str, ...]] = (AT_LOG,)
    side: ClassVar[When | None] = BEFORE
    worlds: ClassVar[frozenset[str]] = frozenset({LIVE})
    barred: ClassVar[int] = NO_PROXY


@dataclass(frozen=True, kw_only=True)
class RestartStore(Effect):
    """The store is killed before it can answer, and starts again."""

    phases: ClassVar[tuple[str, ...]] = (AT_LOGGED,)
    side: ClassVar[When | None] = AFTER
    worlds: ClassVar[frozenset[str]] = frozenset({LIVE})
    barred: ClassVar[int] = NO_PROXY


@dataclass(frozen=True, kw_only=True)
class SlowCommit(Effect):
    """The store is slow to say that the record is durable."""

    phases: ClassVar[tuple[str, ...]] = (AT_LOGGED,)
    side: ClassVar[When | None] = AFTER
    worlds: ClassVar[frozenset[str]] = frozenset({LIVE})
    barred: ClassVar[int] = NO_PROXY


@dataclass(frozen=True, kw_only=True)
class CrashParticipant(Effect):
    """The process of a participant's app dies, ``when`` says on which side of the commit, and starts again."""

    phases: ClassVar[tuple[str, ...]] = (AT_COMMIT,)
    worlds: ClassVar[frozenset[str]] = frozenset({SIMULATED})
    when: When

    def at(self, phase: str) -> When:
        return self.when


Doings = Mapping[tuple[str, When], Mapping[type[Effect], Callable[..., Any]]]
"""What a world does for each effect, by the phase of the site and the side of its moment."""

Doing = TypeVar("Doing")


def doing(table: Mapping[type[Effect], Doing], effect: Effect) -> Doing:
    """What a world does for an effect. TypeError where that is nothing: no fault strikes without doing anything."""
    try:
        return table[type(effect)]
    except KeyError:
        raise TypeError(f"nothing is done here for {effect}") from None


def check_doings(world: str, doings: Doings) -> None:
    """TypeError where ``world`` has no function for an effect that it can do, or one for an effect that it cannot."""
    for effect in _known(Effect):
        wanted = effect.moments() if world in effect.worlds else frozenset()
        found = frozenset(moment for moment, table in doings.items() if effect in table)
        for phase, side in wanted ^ found:
            what = "does not do" if (phase, side) in wanted else "is not to do"
            raise TypeError(f"the {world} world {what} {effect.__name__} {side} the moment of {phase!r}")


def _known(effect: type[Effect]) -> Iterator[type[Effect]]:
    if effect.moments():
        yield effect
    for further in effect.__subclasses__():
        yield from _known(further)
