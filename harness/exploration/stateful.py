"""Hypothesis drives the simulator: a rule for each thing that a network and a process can do.

Subclass `SagaMachine`, name an adapter, and add rules or invariants of your own::

    class Checkout(sagafuzz.SagaMachine):
        adapter = ShopCheckout

    TestCheckout = Checkout.TestCase
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, ClassVar, Final

import hypothesis
import hypothesis.errors
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.internal.conjecture import engine
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ..errors import UsageError
from ..history import DATA, PORT, History
from ..invariants import Catalogue, catalogue_of, check
from ..loading import as_adapter
from ..ports import Adapter
from ..scenario import Scenario
from ..simulator import Setup
from ..verdict import Violation
from .drawn import trace_class
from .driver import FAULTY_ACTIONS, Driver, expect_program_again, spared
from .parting import NotDeterministic
from .seeding import by_the_seed_alone

_MESSAGES = st.integers(min_value=0, max_value=5)
_LUCK = st.integers(min_value=0, max_value=7)
"""A fault strikes where this is less than the example's rate; otherwise a message is delivered, so that runs
get deep. Shrinking leaves a fault where one is needed and a plain delivery elsewhere."""

RATES: Final = (2, 1, 4)
"""In how many of eight cases a rule strikes; each example draws one (swarm testing: Groce et al., ISSTA 2012).
What examples shrink to stands first. `benchmarks/steering.py` measures this and other ways to steer."""


SHRINK_S: Final = 30.0
"""For so many seconds after its first failure a machine that Hypothesis drives is made small."""

MAX_LIVELOCKS: Final = 3
"""A search ends after so many examples that ran for ever."""


NOT_SMALLEST: Final = " (the time to make the program smaller was over: see shrink_seconds)"


class Stopped(KeyboardInterrupt):
    """Raised to end the search early; hypothesis lets a KeyboardInterrupt through at once."""


class SagaViolation(AssertionError):
    """An invariant is broken. Carries the violation, the history and the actions that led there; ``whole`` is False
    where the time to make them fewer was over."""

    def __init__(self, violation: Violation, failure: Failure, *, whole: bool = True) -> None:
        super().__init__(f"{violation.invariant}: {violation.sentence}{'' if whole else NOT_SMALLEST}")
        self.violation = violation
        self.failure = failure


@dataclass
class Livelocks:
    """How many examples ran for ever, as far as somebody waits for it: seconds each. After ``most`` no other begins."""

    most: float = MAX_LIVELOCKS
    count: int = 0

    @property
    def too_many(self) -> bool:
        """True if no other example is to begin."""
        return self.count >= self.most


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What the state machine found: the violation, its shrunk program and what happened."""

    violation: Violation
    scenario: Scenario
    actions: tuple[tuple[str, int], ...]
    shown: tuple[str, ...]
    history: History

    @property
    def faults(self) -> int:
        """How many of the actions were faults."""
        return sum(name in FAULTY_ACTIONS for name, _ in self.actions)


class SagaMachine(RuleBasedStateMachine):
    """A state machine over one adapter. ``scenarios`` defaults to the adapter's; ``only`` restricts the
    invariants by id, ``ignore`` holds signatures of violations that are known already. What Hypothesis finds with it
    is made small for ``shrink_seconds`` at most."""

    adapter: ClassVar[Any] = None
    scenarios: ClassVar[tuple[Scenario, ...]] = ()
    only: ClassVar[frozenset[str] | None] = None
    ignore: ClassVar[frozenset[tuple[str, str, str, str]]] = frozenset()
    shrink_seconds: ClassVar[float] = SHRINK_S
    too_late: ClassVar[float] = math.inf
    steps_run: ClassVar[int] = 0
    last_failure: ClassVar[Failure | None] = None
    stopped: ClassVar[Callable[[], bool]] = staticmethod(lambda: False)
    ended: ClassVar[bool] = False
    classes: ClassVar[Counter[bytes]] = Counter()
    done: ClassVar[Counter[str]] = Counter()
    livelocks: ClassVar[Livelocks] = Livelocks(most=math.inf)

    def __init_subclass__(cls, **options: Any) -> None:
        """Give it the rules that only its adapter's systems know: who has none of that draws as without them."""
        super().__init_subclass__(**options)
        if cls.adapter is not None:
            with suppress(UsageError):  # it is told when the machine is run
                unknown = spared(_kinds_of(as_adapter(cls.adapter)))
                for beside in RULES_BESIDE:
                    if beside.__name__ not in unknown:
                        setattr(cls, beside.__name__, beside)

    def __init__(self) -> None:
        super().__init__()
        if self.adapter is None:
            raise UsageError(f"{type(self).__name__} names no adapter; write 'adapter = YourAdapter' in its body")
        self._adapter: Adapter = as_adapter(self.adapter)
        self._catalogue: Catalogue = catalogue_of(self._adapter)
        self._driver: Driver | None = None
        self._rate = RATES[0]
        self._over = False

    @classmethod
    @cache
    def _to_test_case(cls) -> Any:
        """`TestCase`: Hypothesis makes what it finds small for `shrink_seconds`, in place of its own five minutes."""
        made: Any = super()._to_test_case()
        run = made.runTest

        @wraps(run)
        def run_test(self: Any) -> None:
            cls.too_late = math.inf
            before = engine.MAX_SHRINKING_SECONDS
            engine.MAX_SHRINKING_SECONDS = cls.shrink_seconds  # type: ignore[assignment]
            try:
                run(self)
            finally:
                engine.MAX_SHRINKING_SECONDS = before

        made.runTest = run_test
        return made

    @initialize(choice=st.integers(min_value=0, max_value=9), rate=st.sampled_from(RATES))
    def choose_scenario(self, choice: int, rate: int) -> None:
        if type(self).livelocks.too_many or type(self).stopped():
            type(self).ended = True
            raise Stopped
        self._rate = rate
        scenarios = self.scenarios or self._adapter.scenarios
        self._scenario = scenarios[choice % len(scenarios)]
        self._driver = Driver(Setup(adapter=self._adapter, scenario=self._scenario))

    @property
    def driver(self) -> Driver:
        assert self._driver is not None, "hypothesis runs the initialize rule first"
        return self._driver

    # -- rules -------------------------------------------------------------------------------

    @precondition(lambda self: self.driver.orders_left)
    @rule()
    def submit(self) -> None:
        self._do("submit")

    @precondition(lambda self: self.driver.in_flight)
    @rule(message=_MESSAGES)
    def deliver(self, message: int) -> None:
        self._do("deliver", message % self.driver.in_flight)

    @precondition(lambda self: self.driver.in_flight)
    @rule(message=_MESSAGES, luck=_LUCK)
    def duplicate(self, message: int, luck: int) -> None:
        self._disturb("duplicate", message, luck)

    @precondition(lambda self: self.driver.in_flight)
    @rule(message=_MESSAGES, luck=_LUCK)
    def copy(self, message: int, luck: int) -> None:
        self._disturb("copy", message, luck)

    @precondition(lambda self: self.driver.in_flight)
    @rule(message=_MESSAGES, luck=_LUCK)
    def drop(self, message: int, luck: int) -> None:
        self._disturb("drop", message, luck)

    @precondition(lambda self: self.driver.in_flight)
    @rule(message=_MESSAGES, luck=_LUCK)
    def lose_ack(self, message: int, luck: int) -> None:
        self._disturb("lose_ack", message, luck)

    @precondition(lambda self: self.driver.in_flight)
    @rule(message=_MESSAGES, luck=_LUCK)
    def reject(self, message: int, luck: int) -> None:
        self._disturb("reject", message, luck)

    @precondition(lambda self: self.driver.running and self.driver.suffers("crash"))
    @rule(luck=_LUCK)
    def crash(self, luck: int) -> None:
        self._disturb("crash", 0, luck)

    @precondition(lambda self: not self.driver.running)
    @rule()
    def restart(self) -> None:
        self._do("restart")

    @rule(milliseconds=st.sampled_from((1, 100, 1000, 10_000)), luck=_LUCK)
    def advance_clock(self, milliseconds: int, luck: int) -> None:
        if self.driver.in_flight and not (self.driver.may_delay and self._strikes("advance", luck)):
            self._do("deliver")
        else:
            self._do("advance", milliseconds)

    # -- judgement ---------------------------------------------------------------------------

    @invariant()
    def safety_holds(self) -> None:
        """What a prefix can refute is asked after each rule; then the run comes to rest at once, so that
        the whole history decides what was the cause and what followed."""
        if self._driver is None or self._over:
            return
        on_the_way = self._catalogue.by_prefix
        wanted = on_the_way if self.only is None else on_the_way & self.only
        violations = check(self._driver.history(), wanted, self._catalogue).violations
        if any(violation.signature not in self.ignore for violation in violations):
            self._come_to_rest()

    def teardown(self) -> None:
        """Heal, come to rest, and judge everything."""
        if self._driver is not None and not self._over:
            self._come_to_rest()

    def _disturb(self, action: str, message: int, luck: int) -> None:
        in_flight = self.driver.in_flight
        if in_flight and not self._strikes(action, luck):
            action = "deliver"
        if action == "resubmit":
            self._do(action, message % self.driver.submitted)
        else:
            self._do(action, message % in_flight if in_flight and action != "crash" else 0)

    def _strikes(self, action: str, luck: int) -> bool:
        """True if a rule does the harm that it stands for, or delivers a message instead."""
        return luck < self._rate and self.driver.suffers(action)

    def _do(self, action: str, number: int = 0) -> None:
        if not self._over:
            type(self).steps_run += 1
            type(self).done[action] += 1
            self.driver.do(action, number)

    def _come_to_rest(self) -> None:
        self._over = True
        history = self.driver.finish()
        type(self).livelocks.count += history.rows[-1][DATA][0] == "livelock"
        if type(self).last_failure is None:  # what follows a failure are Hypothesis' attempts to shrink it
            type(self).classes[trace_class(history.rows)] += 1
        for violation in check(history, self.only, self._catalogue).violations:
            if violation.signature in self.ignore or (violation.invariant == "C1" and self._faulty(violation, history)):
                continue
            failure = Failure(
                violation=violation,
                scenario=self._scenario,
                actions=tuple(self.driver.actions),
                shown=tuple(self.driver.shown),
                history=history,
            )
            type(self).last_failure = failure
            now = time.monotonic()
            type(self).too_late = min(self.too_late, now + self.shrink_seconds)  # from the first failure on
            raise SagaViolation(violation, failure, whole=now < self.too_late)

    def _faulty(self, violation: Violation, history: History) -> bool:
        """A port's exception may pass once a fault was injected; here the faults are actions."""
        port = history.rows[violation.position][DATA][PORT]
        return bool(port) and any(name in FAULTY_ACTIONS for name, _ in self.driver.actions)


def _kinds_of(adapter: Adapter) -> frozenset[str]:
    """The fault kinds that it can suffer in some scenario."""
    return frozenset().union(*(Setup(adapter=adapter, scenario=scenario).kinds for scenario in adapter.scenarios))


@precondition(lambda self: self.driver.submitted)
@rule(order=_MESSAGES, luck=_LUCK)
def resubmit(self: SagaMachine, order: int, luck: int) -> None:
    self._disturb("resubmit", order, luck)


@precondition(lambda self: self.driver.may_park)
@rule(message=_MESSAGES, luck=_LUCK)
def park(self: SagaMachine, message: int, luck: int) -> None:
    self._disturb("park", message, luck)


RULES_BESIDE: Final = (resubmit, park)
"""The rules of machines whose systems can suffer them, called as their actions are."""


def search(
    adapter: Adapter,
    *,
    examples: int,
    seed: int,
    scenarios: Iterable[Scenario] = (),
    ignore: frozenset[tuple[str, str, str, str]] = frozenset(),
    only: frozenset[str] | None = None,
    steps: int = 30,
    machine: type[SagaMachine] = SagaMachine,
    stopped: Callable[[], bool] = lambda: False,
    classes: Counter[bytes] | None = None,
    actions: Counter[str] | None = None,
    livelocks: Livelocks | None = None,
) -> tuple[Failure | None, int]:
    """Run ``examples`` of the state machine. The failure as it was found, or None, and the rules executed. ``classes``
    counts the classes of traces that they fell into, ``actions`` what was done by name, ``livelocks`` the examples that
    ran for ever: too many end the search.

    ``stopped`` is asked before each example; where it says so the search ends with what it has. Raises
    NotDeterministic where an example, done again, went another way."""
    subclass: type[SagaMachine] = type(
        f"{machine.__name__}_{adapter.name}",
        (machine,),
        {
            "adapter": adapter,
            "scenarios": tuple(scenarios),
            "ignore": ignore,
            "only": only,
            "steps_run": 0,
            "stopped": staticmethod(stopped),
            "ended": False,
            "last_failure": None,
            "classes": Counter() if classes is None else classes,
            "done": Counter() if actions is None else actions,
            "livelocks": Livelocks() if livelocks is None else livelocks,
        },
    )
    settings = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        stateful_step_count=steps,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.target),  # what is found is made small by `shrink_actions`, within bounds
        verbosity=Verbosity.quiet,
        print_blob=False,
        report_multiple_bugs=False,
    )
    try:
        with by_the_seed_alone():
            run_state_machine_as_test(hypothesis.seed(seed)(subclass), settings=settings)
    except SagaViolation as found:
        return found.failure, subclass.steps_run
    except Stopped:
        return subclass.last_failure, subclass.steps_run
    except hypothesis.errors.Flaky as error:
        if (last := subclass.last_failure) is not None:
            expect_program_again(Setup(adapter=adapter, scenario=last.scenario), last.actions, last.history)
        if subclass.ended:  # by us, before an example that Hypothesis would have done again
            return last, subclass.steps_run
        raise NotDeterministic("an example of the state machine, done again, went another way") from error
    return None, subclass.steps_run
