"""What a run held is free as soon as it is over: what only the garbage collector finds slows a search down."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.faults import Plan
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate
from sagafuzz.simulator.network import Network
from sagafuzz.simulator.simulation import Simulation
from sagafuzz.trace import Trace

BY_THEMSELVES = ("reference", "reference-sqlite", "choreography", "two-phase-commit")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
REFUSALS = {"reject", "timeout", "error-before-effect", "store-error-before-commit"}
ASYNC = f"{EXAMPLES}/async_saga/async_adapter.py:AsyncShopFixed"


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def tried(name: str) -> tuple[Setup, list[Plan]]:
    """A system and one plan for each kind of fault that its first scenario can suffer, and the one without any."""
    adapter = load(name)
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    plans = [case.plan for case in Enumerator(setup, 1, reductions=()).cases()]
    by_kind = {plan.faults[0].kind if plan.faults else "": plan for plan in plans}
    for plan in by_kind.values():
        simulate(setup, plan)  # what is made once for all runs
    gc.collect()
    return setup, [*by_kind.values()]


def parts_of_runs() -> set[int]:
    return {id(thing) for thing in gc.get_objects() if isinstance(thing, Simulation | Network | Trace)}


def collected(setup: Setup, plan: Plan) -> int:
    """How many objects are left to the collector by a run; another thread of the process may leave some as well."""
    gc.collect()
    simulate(setup, plan)
    return gc.collect()


@pytest.mark.parametrize("name", BY_THEMSELVES)
def test_a_run_leaves_nothing_to_the_garbage_collector(name: str) -> None:
    setup, plans = tried(name)
    left = {str(plan): found for plan in plans if (found := collected(setup, plan) and collected(setup, plan))}
    assert not left


def test_what_async_code_leaves_in_cycles_of_its_own_holds_no_run() -> None:
    """Where no process dies: the error that unwinds one keeps the frames of the ports in which it died."""
    setup, plans = tried(ASYNC)
    refused = [plan for plan in plans if plan.faults and plan.faults[0].kind in REFUSALS]
    assert len(refused) == len(REFUSALS)
    before = parts_of_runs()  # what other tests may hold
    for plan in refused:
        simulate(setup, plan)
    assert parts_of_runs() == before
