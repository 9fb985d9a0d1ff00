"""Messages to the processes of an adapter: published, delivered at least once, acknowledged.

Whoever publishes goes on at once. A message comes a few milliseconds later, or when its delay is over, to the newest
process that has booted; while there is none it waits. It is acknowledged when ``receive`` returns. Where that raises it
comes again, with backoff; where the process dies first, it comes to the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

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
    NO_REPLY,
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
    HurryMessage,
    LoseMessage,
    LoseMessageAck,
    ParkMessage,
)
from ..messages import USUAL, Topic
from ..ports import ProcessCrashed
from ..saga import MESSAGE
from ..trace import Strike
from .host import Host
from .incarnation import Incarnation
from .letter import Letter
from .message import frozen_payload
from .network import Network
from .timers import LETTER_DUE

CARRIED_US: Final = 5_000
"""How long a message is under way: longer than an answer and the write that follows it."""

AGAIN_US: Final = 2_000_000
"""After so long a message is delivered again whose acknowledgement nobody saw."""

BACKOFF_US: Final = 1_000_000
MAX_BACKOFF_US: Final = 24 * 3_600_000_000
"""How long a message waits that could not be handled, the first time, and at most; it is doubled each time."""

PATIENCE: Final = 3
"""After so many failed deliveries of one message those come that were to come when all else is at rest."""

OPERATOR: Final = "operator"

STAYS: Final = 1
DIES: Final = 2
"""What an effect on a message says of it: it does not set out now; who publishes it dies."""


class Carried(NamedTuple):
    """What a broker holds: the fields of `Broker` of the same names, and what the only process has in hand (None: it
    was handed nothing yet)."""

    letters: list[Letter]
    waiting: list[Letter]
    held: list[Letter]
    parked: list[Letter]
    lanes: dict[str, list[Letter]]
    in_hand: list[Letter] | None
    turns: int


class Broker:
    """Carries the messages of one run. In manual mode those that are due wait in ``pending`` until somebody delivers,
    drops or doubles them."""

    def __init__(self, host: Host, network: Network) -> None:
        self._host = host
        self._network = network
        self._kernel = host.kernel
        self._trace = host.trace
        self._topics: Mapping[str, Topic] = host.setup.adapter.topics
        self.manual = host.manual
        self.pending: list[Letter] = []
        self.letters: list[Letter] = []  # those that are open
        self._waiting: list[Letter] = []  # for a process that has booted
        self._held: list[Letter] = []  # until all else is at rest
        self._parked: list[Letter] = []
        self._lanes: dict[str, list[Letter]] = {}
        self._in_hand: dict[Incarnation, list[Letter]] = {}
        self._turns = 0
        host.kernel.acts[LETTER_DUE] = self.due

    def dissolve(self) -> None:
        """See `Simulation.dissolve`."""
        del self._host, self._network

    @property
    def busy(self) -> bool:
        """True if some message is to be delivered yet, or is being handled."""
        return bool(self.letters or self._parked)

    def snapshot(self, process: Incarnation, twin: Callable[[Letter], Letter]) -> Carried:
        """What it holds while ``process`` is the only one, with ``twin(letter)`` in the place of each message."""
        mine = self._in_hand.get(process)
        return Carried(
            letters=[*map(twin, self.letters)],
            waiting=[*map(twin, self._waiting)],
            held=[*map(twin, self._held)],
            parked=[*map(twin, self._parked)],
            lanes={lane: [*map(twin, letters)] for lane, letters in self._lanes.items()},
            in_hand=None if mine is None else [*map(twin, mine)],
            turns=self._turns,
        )

    def restore(self, carried: Carried, process: Incarnation, twin: Callable[[Letter], Letter]) -> None:
        """Go on from what another broker held, with ``process`` in the place of its only one."""
        self.letters = [*map(twin, carried.letters)]
        self._waiting = [*map(twin, carried.waiting)]
        self._held = [*map(twin, carried.held)]
        self._parked = [*map(twin, carried.parked)]
        self._lanes = {lane: [*map(twin, letters)] for lane, letters in carried.lanes.items()}
        if carried.in_hand is not None:
            self._hand_of(process).extend(map(twin, carried.in_hand))
        self._turns = carried.turns

    def in_hand(self, process: Incarnation) -> Sequence[Letter]:
        """The messages that a process has been handed and not acknowledged."""
        return self._in_hand.get(process, ())

    # -- publishing ----------------------------------------------------------------------------

    def publish(
        self,
        sender: str,
        topic: str,
        *,
        saga: str,
        key: str = "",
        delay_us: int = 0,
        payload: Mapping[str, Any] | None = None,
        process: Incarnation | None = None,
        cause: int = 0,
        also: Sequence[str] = (),
    ) -> None:
        """Take a message of ``sender``, to be delivered in ``delay_us``. ``process`` is the one that publishes it, if
        one does; ``cause`` is the number of the request in which a participant does. It goes to the topics of ``also``
        at the same moment. Raises ProcessCrashed."""
        terms = self._topics.get(topic, USUAL)
        nth = self._count(saga, topic, AT_PUBLISH)
        strike = self._trace.visit(
            (saga, topic, MESSAGE, AT_PUBLISH, nth), self._impossible(terms, process, delay_us, cause)
        )
        if strike is not None and strike.kind.before:
            self._strike(strike, _PUBLISHING, None, process)
        shown, payload = frozen_payload(dict(payload or {}))
        self._network.sent = number = self._network.sent + 1
        letter = Letter(
            number, f"{saga}/{topic}/{nth}", topic, saga, key, payload, cause, terms, self._kernel.now_us + delay_us
        )
        self._note(letter, PUBLISH, sender, (topic, shown, delay_us // 1000, cause))
        self._take(letter)
        for other in also:
            self.publish(sender, other, saga=saga, key=key, delay_us=delay_us, payload=payload, cause=cause)
        found = 0
        if strike is not None and strike.kind.after:
            found = self._strike(strike, _PUBLISHED, letter, process)
        if not found & STAYS:
            self._set_out(letter)
        if found & DIES:
            raise ProcessCrashed

    def _set_out(self, letter: Letter, by_us: int = 0) -> None:
        """Let it come, ``by_us`` later than it is due; a timer is never early."""
        left_us = max(letter.due_us - self._kernel.now_us, 0)
        if self.manual and not left_us:
            self.due(letter)
        else:
            self._kernel.at(left_us + CARRIED_US + by_us, LETTER_DUE, letter)

    def _take(self, letter: Letter) -> None:
        self.letters.append(letter)
        if letter.terms.ordered:
            self._lanes.setdefault(letter.lane, []).append(letter)

    def _impossible(self, terms: Topic, process: Incarnation | None, delay_us: int, cause: int) -> Impossible:
        now = 0 if process is not None else EMITTED
        now |= TIMED if delay_us else 0
        now |= 0 if cause else NO_REPLY
        now |= IN_ORDER if terms.ordered else 0
        now |= 0 if terms.may_lose else NEVER_LOST
        return impossible(AT_PUBLISH, now)

    # -- delivering ----------------------------------------------------------------------------

    def due(self, letter: Letter) -> None:
        """It is time for a copy of a message to be delivered."""
        if not letter.open:
            return
        if letter.terms.ordered and self._lanes[letter.lane][0] is not letter:
            letter.ready = True
        elif self.manual:
            self.pending.append(letter)
        else:
            self.deliver(letter)

    def deliver(self, letter: Letter) -> None:
        """Hand it to a process, or keep it until there is one."""
        process = self._taker(letter)
        if process is None:
            self._waiting.append(letter)
            return
        if not self.manual:
            nth = self._count(letter.saga, letter.topic, AT_RECEIPT)
            now = NO_DEAD_LETTERS if letter.terms.max_deliveries is None else 0
            site = (letter.saga, letter.topic, MESSAGE, AT_RECEIPT, nth)
            strike = self._trace.visit(site, impossible(AT_RECEIPT, now))
            if strike is not None and self._strike(strike, _RECEIVING, letter, process) & STAYS:
                return
        letter.deliveries += 1
        self._note(letter, RECEIVE, process.label, (letter.topic, letter.deliveries))
        self._hand_of(process).append(letter)
        process.receive(letter)

    def _hand_of(self, process: Incarnation) -> list[Letter]:
        if process not in self._in_hand:
            self._in_hand[process] = []
            process.on_death.append(partial(self._died, process))
        return self._in_hand[process]

    def _taker(self, letter: Letter) -> Incarnation | None:
        """The process that a message comes to."""
        newest = self._host.process
        if not letter.terms.shared:
            return newest if newest is not None and newest.booted else None
        ready = [process for process in self._host.living if process.booted]
        self._turns += 1
        return ready[self._turns % len(ready)] if ready else None

    def booted(self) -> None:
        """A process can take messages: those that waited come to it."""
        waiting, self._waiting = self._waiting, []
        for letter in waiting:
            self._kernel.at(0, LETTER_DUE, letter)

    def _died(self, process: Incarnation) -> None:
        """What a process had in hand comes to the next one."""
        for letter in self._in_hand.pop(process):
            self._set_out(letter)

    # -- what comes of it ------------------------------------------------------------------------

    def handled(self, letter: Letter, process: Incarnation) -> None:
        """Its handler has returned: it is acknowledged. Raises ProcessCrashed."""
        strike: Strike | None = None
        if letter.deaf:
            letter.deaf = False
            self.lose_ack(letter, process)
            return
        if not self.manual:
            nth = self._count(letter.saga, letter.topic, AT_HANDLED)
            strike = self._trace.visit((letter.saga, letter.topic, MESSAGE, AT_HANDLED, nth))
            if strike is not None and strike.kind.before and self._strike(strike, _HANDLING, letter, process) & STAYS:
                return
        self._in_hand[process].remove(letter)
        self._note(letter, HANDLED, process.label, (letter.topic,))
        self._close(letter)
        self._let_go(letter)
        if strike is not None and strike.kind.after:
            self._strike(strike, _ACKNOWLEDGED, letter, process)

    def failed(self, letter: Letter, process: Incarnation, reason: str, where: str) -> None:
        """Its handler has raised: it comes again, or goes to the dead-letter queue."""
        self._in_hand[process].remove(letter)
        self._note(letter, NACK, process.label, (letter.topic, reason, where))
        most = letter.terms.max_deliveries
        if most is not None and letter.deliveries >= most:
            self.park(letter)
        else:
            if letter.deliveries >= PATIENCE and self._held:  # it may be for one of those that it waits
                self.flush()
            self._kernel.at(min(BACKOFF_US << (letter.deliveries - 1), MAX_BACKOFF_US), LETTER_DUE, letter)

    def park(self, letter: Letter) -> None:
        """Put a message that cannot be handled into the dead-letter queue."""
        self._note(letter, PARKED, "harness", (letter.topic, letter.deliveries))
        self._close(letter)
        if letter.terms.replayed and not letter.redriven:
            self._parked.append(letter)

    def lose(self, letter: Letter) -> None:
        """It is never delivered."""
        self._note(letter, LOST, "harness", ("message",))
        self._close(letter)

    def lose_ack(self, letter: Letter, process: Incarnation) -> None:
        """It was handled, and nobody sees that: it comes again."""
        self._in_hand[process].remove(letter)
        self._note(letter, LOST, process.label, ("acknowledgement",))
        self._kernel.at(AGAIN_US, LETTER_DUE, letter)

    def _close(self, letter: Letter) -> None:
        letter.open = False
        self.letters = [other for other in self.letters if other is not letter]
        if letter.terms.ordered:
            lane = self._lanes[letter.lane] = [other for other in self._lanes[letter.lane] if other is not letter]
            if lane and lane[0].ready:
                lane[0].ready = False
                self._kernel.at(0, LETTER_DUE, lane[0])

    def _let_go(self, handled: Letter) -> None:
        """A message was handled: those of its saga that were to come after it are under way."""
        for letter in [each for each in self._held if each.after_next and each.saga == handled.saga]:
            if letter.number != handled.number:
                self._held.remove(letter)
                self._set_out(letter)

    def hold(self, letter: Letter) -> None:
        """Keep it until all else is at rest."""
        self._held.append(letter)

    def double(self, letter: Letter, *, held: bool) -> None:
        """Have a second copy of it: under way as well, or when all else is at rest."""
        twin = letter.copy()
        self._take(twin)
        if held:
            self.hold(twin)
        else:
            self._set_out(twin)

    # -- by hand (the state machine) -----------------------------------------------------------

    def by_hand(self, action: str, letter: Letter) -> None:
        """Do that to a message that is due: deliver it, perhaps again or unheard, put a second copy of it behind all
        others, or drop it; one that cannot be lost then comes after all others. Or put it into the dead-letter queue,
        where its topic has one."""
        self.pending.remove(letter)
        if action == "park" and letter.terms.max_deliveries is not None:
            letter.deliveries = letter.terms.max_deliveries
            self.park(letter)
            return
        if action == "drop":
            if letter.terms.may_lose:
                self.lose(letter)
            else:
                self.pending.append(letter)
            return
        letter.deaf = action == "lose_ack"
        if action == "copy":
            self.pending.append(letter)
            self.double(letter, held=False)
            return
        self.deliver(letter)
        if action == "duplicate":
            waiting = len(self.pending)
            self.double(letter, held=False)
            for twin in self.pending[waiting:]:
                self.pending.remove(twin)
                self.deliver(twin)

    # -- all else is at rest -----------------------------------------------------------------------

    def release_all(self) -> None:
        """From here on messages are delivered by themselves again."""
        self.manual = False
        due, self.pending = self.pending, []
        for letter in due:
            self._kernel.at(0, LETTER_DUE, letter)

    def flush(self) -> bool:
        """Let everything come that waits for the rest; False where nothing did. What was held comes first, then an
        operator replays the dead-letter queue."""
        due, self._held = self._held, []
        for letter in due:
            self._set_out(letter)
        if not due:
            due, self._parked = self._parked, []
            for letter in due:
                letter.open, letter.redriven, letter.deliveries = True, True, 0
                self._note(letter, REDRIVE, OPERATOR, (letter.topic,))
                self._take(letter)
                self._set_out(letter)
        return bool(due)

    # -- faults ------------------------------------------------------------------------------------

    def _strike(
        self, strike: Strike, table: Mapping[type[Effect], _Doing], letter: Letter | None, process: Incarnation | None
    ) -> int:
        """A fault strikes; what its effects say of the message."""
        self._trace.struck(strike.number)
        found = 0
        for effect in strike.kind.effects:
            found |= doing(table, effect)(self, effect, letter, process, strike.kind.name)
        return found

    def _count(self, saga: str, topic: str, phase: str) -> int:
        counter = (saga, topic, f"{MESSAGE} {phase}")
        self._network.attempts[counter] = nth = self._network.attempts.get(counter, 0) + 1
        return nth

    def _note(self, letter: Letter, kind: str, process: str, data: tuple[Any, ...]) -> None:
        key = letter.key or None
        self._trace.record((self._kernel.now_us, kind, process, letter.saga, "", "", 0, key, letter.number, data))


_Doing = Callable[[Broker, Any, Any, Any, str], int]
"""How an effect is done: with the message (None: before it is published) and the process, for a kind of that name."""


def _crash_now(broker: Broker, effect: CrashAtMessage, letter: Letter, process: Incarnation, why: str) -> int:
    broker._host.crash(process, why)
    raise ProcessCrashed


def _crash_published(broker: Broker, effect: CrashAtMessage, letter: Letter, process: Incarnation, why: str) -> int:
    broker._host.crash(process, why)
    return DIES


def _crash_receiver(broker: Broker, effect: CrashAtMessage, letter: Letter, process: Incarnation, why: str) -> int:
    broker._host.crash(process, why)
    broker._set_out(letter)
    return STAYS


def _lose(broker: Broker, effect: LoseMessage, letter: Letter, process: Incarnation, why: str) -> int:
    broker.lose(letter)
    return STAYS


def _delay(broker: Broker, effect: DelayMessage, letter: Letter, process: Incarnation, why: str) -> int:
    broker._set_out(letter, int(effect.by_ms * 1000))
    return STAYS


def _hurry(broker: Broker, effect: HurryMessage, letter: Letter, process: Incarnation, why: str) -> int:
    broker._kernel.at(int(effect.after_ms * 1000), LETTER_DUE, letter)
    return STAYS


def _hold(broker: Broker, effect: HoldMessage, letter: Letter, process: Incarnation, why: str) -> int:
    letter.after_next = effect.next_first
    broker.hold(letter)
    return STAYS


def _double(broker: Broker, effect: DoubleMessage, letter: Letter, process: Incarnation, why: str) -> int:
    broker.double(letter, held=effect.held)
    return 0


def _park(broker: Broker, effect: ParkMessage, letter: Letter, process: Incarnation, why: str) -> int:
    letter.deliveries = letter.terms.max_deliveries or 1
    broker.park(letter)
    return STAYS


def _lose_ack(broker: Broker, effect: LoseMessageAck, letter: Letter, process: Incarnation, why: str) -> int:
    broker.lose_ack(letter, process)
    return STAYS


_PUBLISHING: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash_now}
_PUBLISHED: Final[Mapping[type[Effect], _Doing]] = {
    CrashAtMessage: _crash_published,
    LoseMessage: _lose,
    DelayMessage: _delay,
    HurryMessage: _hurry,
    HoldMessage: _hold,
    DoubleMessage: _double,
}
_RECEIVING: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash_receiver, ParkMessage: _park}
_HANDLING: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash_now, LoseMessageAck: _lose_ack}
_ACKNOWLEDGED: Final[Mapping[type[Effect], _Doing]] = {CrashAtMessage: _crash_now}

DOINGS: Final[Doings] = {
    (AT_PUBLISH, BEFORE): _PUBLISHING,
    (AT_PUBLISH, AFTER): _PUBLISHED,
    (AT_RECEIPT, BEFORE): _RECEIVING,
    (AT_HANDLED, BEFORE): _HANDLING,
    (AT_HANDLED, AFTER): _ACKNOWLEDGED,
}
"""What is done to a message, by the moment."""
