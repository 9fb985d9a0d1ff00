"""A run that is not deterministic says where two runs parted, on which line, and the likely cause first."""

from __future__ import annotations

import functools
import itertools
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import sagafuzz
from sagafuzz import Plan, Saga, Scenario, Step
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.driver import expect_program_again, replay_actions
from sagafuzz.exploration.parting import USUAL_CAUSES, NotDeterministic, difference
from sagafuzz.exploration.settings import Settings
from sagafuzz.simulator import Setup

SAGA = Saga("checkout", [Step("order", "order.create", undo="order.cancel")])

real_time = time.time.__wrapped__ if hasattr(time.time, "__wrapped__") else time.time
NUMBERS = itertools.count(1)
CACHE: dict[str, int] = {}
GENERATORS = [random.Random(3)]


class Shop:
    orders = 0


class Box:
    def __init__(self) -> None:
        self.filled = 0


BOX = Box()


@functools.lru_cache
def computed(number: int) -> int:
    return number


class Clock:
    """A clock of another library's, which knows nothing of virtual time."""

    def __init__(self) -> None:
        self.asked = [real_time]

    def __call__(self) -> Any:
        return self.asked[0]()


CLOCK = Clock()


def cached() -> int:
    CACHE["calls"] = CACHE.get("calls", 0) + 1
    return CACHE["calls"]


def counted_in_a_class() -> int:
    Shop.orders += 1
    return Shop.orders


def put_into_a_box() -> int:
    BOX.filled += 1
    return BOX.filled


def computed_once() -> int:
    return computed(next(FRESH)) and computed.cache_info().misses


FRESH = iter(range(1, 10**9))


def a_name() -> str:
    return repr(next(OBJECTS))


OBJECTS = itertools.cycle([object() for _ in range(50)])


def a_list_of_a_set() -> list[int]:
    return next(ORDERS)


ORDERS: Iterator[list[int]] = itertools.cycle([[1, 2, 3], [3, 1, 2]])


def a_random_name() -> str:
    return next(NAMES)


NAMES = (f"{n:08x}-0000-4000-8000-0123456789ab" for n in itertools.count(0x1234))


def setup_of(value: Callable[[], Any]) -> Setup:
    @sagafuzz.adapter(saga=SAGA, scenarios=[Scenario(name="succeeds")])
    class Differing:
        def boot(self, world: Any) -> None:
            self.world = world

        def run(self, order: Any) -> bool:
            self.world.call("order.create", key=order.id, value=value())
            return True

    declared: Any = Differing
    return Setup(adapter=declared.__sagafuzz_adapter__, scenario=Scenario(name="succeeds"))


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (lambda: next(NUMBERS), "test_parting.NUMBERS is another after a run than before it: make it in boot"),
        (cached, "test_parting.CACHE is another"),
        (counted_in_a_class, "test_parting.Shop.orders is another"),
        (put_into_a_box, "test_parting.BOX is another"),
        (computed_once, "test_parting.computed is another"),
        (a_name, "it holds an address"),
        (a_list_of_a_set, "both have the same values in another order: sort what comes of a set"),
        (CLOCK, "it holds the real time"),
        (a_random_name, "it holds an identifier that is drawn anew each time"),
    ],
)
def test_the_likely_cause_stands_before_the_usual_ones(value: Any, cause: str) -> None:
    found = difference(setup_of(value), Plan())
    first, *causes = found.splitlines()
    assert re.match(r"event 2, recorded by test_parting\.py:\d+ in run, is SEND of orchestrator, saga saga-1, ", first)
    assert " in one run, SEND of orchestrator, saga saga-1, payload " in first
    assert first.endswith(" in the other")
    assert any(cause in line for line in causes[:-1]), found
    assert all(usual in causes[-1] for usual in USUAL_CAUSES)


def test_no_cause_is_invented() -> None:
    flips = itertools.cycle((1, 2))
    first, *causes = difference(setup_of(lambda: next(flips)), Plan()).splitlines()
    assert "(('value', 1),) in one run" in first
    assert len(causes) == 1


def test_runs_that_are_equal_after_all_are_told_with_the_usual_causes() -> None:
    first, usual = difference(setup_of(lambda: 1), Plan()).splitlines()
    assert first == "it did not behave again as it had; 5 more runs were equal"
    assert usual.startswith("the usual causes are ")


def test_a_program_of_the_state_machine_is_told_alike() -> None:
    setup = setup_of(lambda: next(NUMBERS))
    actions = (("submit", 0), ("deliver", 0))
    history = replay_actions(setup, actions)
    with pytest.raises(NotDeterministic) as caught:
        expect_program_again(setup, actions, history)
    first, kept, _ = str(caught.value).splitlines()
    assert re.match(r"succeeds, by the state machine: event 2, recorded by test_parting\.py:\d+ in run, is SEND", first)
    assert "NUMBERS" in kept


def test_a_campaign_gives_each_cause_as_a_reason_of_its_own() -> None:
    report = Campaign(setup_of(lambda: next(NUMBERS)).adapter, Settings(max_faults=1, examples=0)).run()
    first, kept, usual = report.reasons
    assert first == f"the adapter is not deterministic: {report.nondeterministic}"
    assert "NUMBERS" in kept
    assert usual.startswith("the usual causes are ")


def test_of_a_service_it_is_said_how_to_load_a_library_anew() -> None:
    @sagafuzz.service(saga=SAGA, http={"POST order/create": "order.create"}, saga_id="json:order")
    class Served:
        app = staticmethod(lambda: app)

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/", next(NUMBERS)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError((await receive()).get("body"))

    declared: Any = Served
    setup = Setup(adapter=declared.__sagafuzz_adapter__, scenario=Scenario(name="succeeds"))
    assert "name it in code=[...]" in difference(setup, Plan())
