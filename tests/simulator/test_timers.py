"""Timers are data: what a search knows of them stands in one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sagafuzz import Plan
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, Simulation, prefixes, timers
from sagafuzz.simulator.aio import SimLoop
from sagafuzz.simulator.broker import Broker
from sagafuzz.simulator.kernel import Kernel
from sagafuzz.simulator.network import Network

FOLDER = Path(timers.__file__).parent
END = 10_000  # more sites than any run here visits


def setup() -> Setup:
    reference = load("reference")
    return Setup(adapter=reference, scenario=reference.scenario("succeeds"))


def test_every_kind_of_timer_is_something_that_happens() -> None:
    sim = Simulation(setup())
    assert sim.kernel.acts.keys() == timers.TIMERS.keys() - {
        timers.LOOP,
        timers.LETTER_DUE,
        timers.PATIENCE,
        timers.APP_START,
    }
    Broker(sim, sim.network)
    task = sim.incarnate(1).spawn("loop", "", lambda: None)
    SimLoop(sim.kernel, task).close()
    assert sim.kernel.acts.keys() == timers.TIMERS.keys() - {
        timers.PATIENCE,  # see the sockets of a service
        timers.APP_START,
    }


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (Network, "deliver"),
        (Network, "_answer"),
        (Network, "_arrive"),
        (Network, "_expire"),
        (Network, "_wait_no_more"),
        (Network, "_run_out"),
        (Kernel, "wake"),
        (Kernel, "_resume"),
        (Simulation, "start"),
        (Simulation, "submit"),
    ],
)
def test_a_method_under_another_name_switches_no_reduction_off(
    owner: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [prefix.sites for prefix in prefixes(setup(), Plan(), END)]
    original = getattr(owner, method)

    def renamed(self, *args):  # type: ignore[no-untyped-def]
        return original(self, *args)

    monkeypatch.setattr(owner, method, renamed)
    assert [prefix.sites for prefix in prefixes(setup(), Plan(), END)] == before != []


def test_nobody_asks_a_function_for_its_name_to_know_what_a_timer_does() -> None:
    asked = [
        path.name for path in FOLDER.glob("*.py") if re.search(r"(function|act|entry\[2\])\.__name__", path.read_text())
    ]
    assert asked == ["process.py"], "only to say which function world.spawn was given"
