"""The frames of a process are read once for each life that it can have had, and what is kept is what would be read."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from sagafuzz import Order, Plan, Saga, Scenario, Step, World, adapter
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.loading import load
from sagafuzz.simulator import Observer, Setup, observe
from sagafuzz.simulator.message import Message
from sagafuzz.simulator.process import Process
from sagafuzz.simulator.process_state import Running, read
from sagafuzz.simulator.readings import Readings
from sagafuzz.simulator.retained import Opaque
from sagafuzz.simulator.state import State

EXAMPLES = Path(__file__).parents[2] / "examples"
PAIR = Saga("pair", [Step("order", "order.create"), Step("pay", "payment.charge", undo="payment.refund")])


@pytest.mark.parametrize(
    ("system", "scenario"),
    [
        (f"{EXAMPLES}/async_saga/async_adapter.py:AsyncShopFixed", "order-refused"),
        (f"{EXAMPLES}/order_lines/lines_adapter.py:Order", ""),
        ("reference", "declined"),
    ],
)
def test_what_is_kept_is_what_would_be_read(monkeypatch: pytest.MonkeyPatch, system: str, scenario: str) -> None:
    plain, asked = Readings.of, Counter[str]()

    def compared(
        self: Readings, sim: Running, process: Process, messages: list[Message], acting: FrameType | None
    ) -> bytes:
        fresh, kept = told(Readings(), sim, process, messages, acting), told(self, sim, process, messages, acting)
        asked[f"{fresh == kept}"] += 1
        if not kept:
            raise Opaque
        return kept

    def told(readings: Readings, *about: Any) -> bytes:
        try:
            return plain(readings, *about)
        except Opaque:
            return b""

    monkeypatch.setattr(Readings, "of", compared)
    found = load(system)
    setup = Setup(adapter=found, scenario=found.scenario(scenario) if scenario else found.scenarios[0])
    for _ in islice(Enumerator(setup, 2).cases(), 1_000):
        pass
    assert set(asked) == {"True"}
    assert asked["True"] > 100


def test_a_life_that_was_led_before_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    times = []

    def counted(*about: Any) -> Any:
        times.append(1)
        return read(*about)

    monkeypatch.setattr("sagafuzz.simulator.readings.read", counted)
    readings = Readings()
    first = states(setup_of(lambda: None), readings)
    once = len(times)
    assert states(setup_of(lambda: None), readings) == first
    assert once
    assert len(times) == once


SEEN: list[int] = []
NUMBER = 0


def in_a_list() -> None:
    SEEN.append(1)


def by_a_name() -> None:
    global NUMBER  # noqa: PLW0603, as code under test does
    NUMBER += 1


@pytest.mark.parametrize("count", [in_a_list, by_a_name])
def test_what_a_module_keeps_from_run_to_run_is_looked_at_each_time(count: Any) -> None:
    readings = Readings()
    first, second = states(setup_of(count), readings), states(setup_of(count), readings)
    assert all(first)
    assert not set(first) & set(second)


def setup_of(count: Any) -> Setup:
    class Shop:
        def boot(self, world: World) -> None:
            self.world = world

        def run(self, order: Order) -> bool:
            count()
            self.world.call("order.create", key="1")
            self.world.call("payment.charge", key="2")
            return True

    declared = adapter(saga=PAIR, name="shop")(Shop).__sagafuzz_adapter__  # type: ignore[attr-defined]
    return Setup(adapter=declared, scenario=Scenario(name="one"))


def states(setup: Setup, readings: Readings) -> list[bytes]:
    """The states of the run without a fault, told by frames; b"" where one cannot be told."""
    found: list[bytes] = []

    def watch(observer: Observer) -> bool:
        keys = State(observer, 0).by_frames(readings)
        found.append(keys[0] if keys else b"")
        return False

    observe(setup, Plan(), watch)
    return found
