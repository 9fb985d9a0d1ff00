"""The simulator by hand: one action at a time, each written down so that it can be repeated.

The state machine draws actions; a replay file holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from ..effects import (
    AFTER,
    AT_ACK,
    AT_EFFECT,
    AT_SEND,
    Crash,
    DelayRequest,
    DeliverAgain,
    Effect,
    LoseAnswer,
    LoseRequest,
    Refuse,
    Resubmit,
)
from ..errors import UsageError, nearest
from ..faults import FAULT_KINDS, FaultKind, Plan
from ..frames import Caller
from ..history import History
from ..message_effects import ParkMessage
from ..simulator import Setup, Simulation, noted_caller
from ..simulator.letter import Letter
from ..simulator.message import Message
from ..simulator.patches import virtual
from .parting import NotDeterministic, told

Action = tuple[str, int]
"""What was done and its number: the message's place in the network, or milliseconds."""


class Driver:
    """One run in manual mode. Messages wait in the network until an action moves them. ``line()`` is the line of code
    that recorded the row at ``noted``, once it did."""

    def __init__(self, setup: Setup, noted: int = -1) -> None:
        self.setup = setup
        self.actions: list[Action] = []
        self.shown: list[str] = []
        self._sim = Simulation(setup, manual=True)
        self._orders = list(setup.orders.values())
        self._submitted: list[str] = []
        self._closed = False
        self.caller = noted_caller(self._sim, noted) if noted >= 0 else Caller
        self._spared = spared(setup.kinds)
        with virtual(self._sim):
            self._sim.start("start")
            self._sim.kernel.run()

    # -- what can be done --------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """How many requests, and behind them messages, wait to be moved."""
        return len(self._sim.network.pending) + len(self._letters)

    @property
    def _letters(self) -> list[Letter]:
        return self._sim.broker.pending if self._sim.broker is not None else []

    @property
    def running(self) -> bool:
        return self._sim.process is not None

    @property
    def orders_left(self) -> int:
        return len(self._orders)

    @property
    def submitted(self) -> int:
        """How many orders came in, each counted once."""
        return len(self._submitted)

    @property
    def may_park(self) -> bool:
        """True if a message waits that can come into the dead-letter queue."""
        return any(letter.terms.max_deliveries is not None for letter in self._letters)

    def suffers(self, name: str) -> bool:
        """True if the action is no fault, or one that the adapter and the scenario can suffer."""
        return name not in self._spared

    @property
    def may_delay(self) -> bool:
        """True if a message may be kept until its sender gives up."""
        return any(
            isinstance(effect, DelayRequest) for kind in self.setup.kinds for effect in FAULT_KINDS[kind].effects
        )

    @property
    def ticks(self) -> int:
        """Timers that have fired so far."""
        return self._sim.kernel.ticks

    def describe(self, index: int) -> str:
        """The message at that place, for people."""
        requests = self._sim.network.pending
        if index >= len(requests):
            letter = self._letters[index - len(requests)]
            return f"{letter.topic} to {letter.saga}"
        msg = requests[index]
        again = f" (attempt {msg.attempt})" if msg.attempt > 1 else ""
        return f"{msg.operation} of {msg.saga}{again}"

    def do(self, name: str, number: int = 0) -> None:
        """Perform the action of that name and note it down."""
        action = ACTIONS.get(name)
        if action is None:
            raise UsageError(f"unknown action {name!r}{nearest(name, ACTIONS)}")
        self.shown.append(self._caption(name, number))
        self.actions.append((name, number))
        with virtual(self._sim):
            beyond = number - len(self._sim.network.pending)
            if action.of_message and beyond >= 0 and self._sim.broker is not None:
                self._sim.broker.by_hand(name, self._letters[beyond])
            else:
                action.do(self, number)
            self._sim.kernel.run()

    def perform(self, name: str, number: int) -> None:
        """Like ``do``, for an action from elsewhere: UsageError where it cannot be done now."""
        if name in MESSAGE_ACTIONS and not 0 <= number < self.in_flight:
            raise UsageError(f"action {name!r} names message {number}, but {self.in_flight} are in flight")
        possible = {
            "submit": self.orders_left,
            "resubmit": 0 <= number < self.submitted,
            "crash": self.running,
            "restart": not self.running,
        }
        if not possible.get(name, True):
            raise UsageError(f"action {name!r} cannot be done now")
        if name in self._spared:
            raise UsageError(f"action {name!r}: the adapter {self.setup.adapter.name!r} cannot suffer such a fault")
        self.do(name, number)

    def _caption(self, name: str, number: int) -> str:
        if name in MESSAGE_ACTIONS:
            return f"{name.replace('_', ' ')}: {self.describe(number)}"
        if name == "resubmit":
            return f"resubmit: {self._submitted[number]}"
        return f"advance {number} ms" if name == "advance" else name

    # -- the actions -------------------------------------------------------------------------

    def _submit(self, number: int) -> None:
        order = self._orders.pop(0)
        self._submitted.append(order.id)
        self._sim.submit(order)

    def _resubmit(self, number: int) -> None:
        """The client sends an order again, counted from 0."""
        self._sim.resubmit(self._submitted[number], 0)

    def _deliver(self, number: int) -> None:
        self._sim.network.deliver(self._take(number))

    def _drop(self, number: int) -> None:
        self._sim.network.drop(self._take(number))

    def _duplicate(self, number: int) -> None:
        """Deliver a message twice, one copy right after the other."""
        msg = self._take(number)
        self._sim.network.deliver(msg)
        self._sim.network.deliver(msg)

    def _copy(self, number: int) -> None:
        """Put a second copy of a message into the network, behind all others."""
        self._sim.network.pending.append(self._sim.network.pending[number])

    def _lose_ack(self, number: int) -> None:
        self._sim.network.lose_answer(self._take(number))

    def _reject(self, number: int) -> None:
        msg = self._take(number)
        if not self._sim.network.reject(msg):
            self._sim.network.deliver(msg)

    def _crash(self, number: int) -> None:
        assert self._sim.process is not None
        self._sim.crash(self._sim.process, "killed")

    def _restart(self, number: int) -> None:
        self._sim.start("restart")

    def _advance(self, milliseconds: int) -> None:
        self._sim.kernel.advance_to(self._sim.kernel.now_us + milliseconds * 1000)

    def _take(self, number: int) -> Message:
        return self._sim.network.take(number)

    # -- the end -----------------------------------------------------------------------------

    def history(self) -> History:
        """What happened so far."""
        return self._sim.result().history(self.setup, Plan())

    def finish(self) -> History:
        """Heal everything: deliver what is in flight, start what is down, come to rest."""
        self._closed = True
        with virtual(self._sim):
            self._sim.network.release_all()
            if self._sim.broker is not None:
                self._sim.broker.release_all()
            self._sim.manual = False
            if self._sim.process is None:
                self._sim.start("heal")
            self._sim.finish()
        return self.history()

    def close(self) -> None:
        """Give everything back, when the run is not finished."""
        if not self._closed:
            self._closed = True
            with virtual(self._sim):
                self._sim.close()


class Act(NamedTuple):
    """One action: how it is done, whether to a message, and the effect of a fault that it has, if any."""

    do: Callable[[Driver, int], None]
    of_message: bool = False
    effect: Effect | None = None


ACTIONS: Final[Mapping[str, Act]] = {
    "submit": Act(Driver._submit),
    "deliver": Act(Driver._deliver, of_message=True),
    "duplicate": Act(Driver._duplicate, of_message=True, effect=DeliverAgain()),
    "copy": Act(Driver._copy, of_message=True, effect=DeliverAgain(held=True)),
    "drop": Act(Driver._drop, of_message=True, effect=LoseRequest()),
    "lose_ack": Act(Driver._lose_ack, of_message=True, effect=LoseAnswer()),
    "reject": Act(Driver._reject, of_message=True, effect=Refuse()),
    "resubmit": Act(Driver._resubmit, effect=Resubmit()),
    "park": Act(Driver._deliver, of_message=True, effect=ParkMessage()),
    "crash": Act(Driver._crash, effect=Crash(when=AFTER)),
    "restart": Act(Driver._restart),
    "advance": Act(Driver._advance),
}


MESSAGE_ACTIONS: Final = frozenset(name for name, act in ACTIONS.items() if act.of_message)
FAULTY_ACTIONS: Final = frozenset(name for name, act in ACTIONS.items() if act.effect is not None)


def spared(kinds: Iterable[str]) -> frozenset[str]:
    """The actions that are faults, and that none of these kinds does."""
    known = [FAULT_KINDS[kind] for kind in kinds]
    return frozenset(
        name
        for name, act in ACTIONS.items()
        if act.effect is not None and not any(_is_of(kind, act.effect) for kind in known)
    )


AT_A_CALL: Final = (AT_SEND, AT_EFFECT, AT_ACK)
"""Where the machine's crash comes: a process that has something to do is about some call."""


def _is_of(kind: FaultKind, effect: Effect) -> bool:
    """True if a kind of fault does that; of crashes, whichever moment of a call it names."""
    if isinstance(effect, Crash):
        return kind.crash and kind.phase in AT_A_CALL
    return effect in kind.effects


def replay_actions(setup: Setup, actions: Iterable[Action]) -> History:
    """Perform ``actions`` again and come to rest. UsageError where one cannot be done."""
    return perform(setup, actions)[1]


def replay_counted(setup: Setup, actions: Iterable[Action]) -> tuple[History, int]:
    """What ``replay_actions`` does; returns how many timers fired as well."""
    driver, history = _performed(setup, actions)
    return history, driver.ticks


def perform(setup: Setup, actions: Iterable[Action]) -> tuple[tuple[str, ...], History]:
    """What ``replay_actions`` does; returns the actions in words as well."""
    driver, history = _performed(setup, actions)
    return tuple(driver.shown), history


def _performed(setup: Setup, actions: Iterable[Action], noted: int = -1) -> tuple[Driver, History]:
    driver = Driver(setup, noted)
    try:
        for action in actions:
            driver.perform(*action)
        return driver, driver.finish()
    finally:
        driver.close()


def expect_program_again(setup: Setup, actions: Sequence[Action], history: History) -> None:
    """Perform ``actions`` again; NotDeterministic, with the first difference, where that gives another history."""
    where = f"{history.scenario}, by the state machine"
    try:
        again = replay_actions(setup, actions)
    except UsageError as error:
        raise NotDeterministic(f"{where}: done again, {error}") from None
    found = told(
        setup,
        history,
        again,
        lambda number: _performed(setup, actions, number)[0].caller().words,
        lambda: replay_actions(setup, actions),
    )
    if found:
        raise NotDeterministic(f"{where}: {found}")
