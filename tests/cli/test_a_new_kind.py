"""A kind that is made of known effects is one row: nothing else has to be told of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.effects import (
    AFTER,
    AT_ACK,
    AT_EFFECT,
    AT_LOGGED,
    AT_SEND,
    BEFORE,
    LIVE,
    SIMULATED,
    Crash,
    DelayAnswer,
    Effect,
    Fail,
    GoDown,
    JumpClock,
    LoseRequest,
    StartSecond,
    check_doings,
)
from sagafuzz.fault_kinds import FaultKind, registered
from sagafuzz.faults import Fault, Plan, Site
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, injection, simulate, simulation

from ..tools import tool_named

TOOL = Path(__file__).resolve().parent.parent.parent / "tools" / "make_reference.py"

DUMMY = FaultKind(
    name="lost-with-its-sender",
    phase=AT_SEND,
    effects=(JumpClock(by_s=60), LoseRequest(), Crash(when=AFTER)),
    meaning="the clock jumps by a minute, the request is lost, and the orchestrator dies",
    moment="right after it lost {call}",
)


@pytest.fixture
def dummy() -> Iterator[str]:
    with registered(DUMMY):
        yield DUMMY.name


def run_of(kind: FaultKind, site: Site) -> tuple[list[str], str]:
    """What happens on the reference when the kind strikes: the kinds of events from there on, and the verdict."""
    with registered(kind):
        setup = Setup(adapter=load("reference"), scenario=load("reference").scenarios[0])
        plan = Plan(faults=(Fault(kind=kind.name, site=site),))
        run = simulate(setup, plan)
        ((at, _),) = run.fired
        return [row[1] for row in run.rows[at:]], check(run.history(setup, plan)).conclusion


def test_it_strikes_in_the_simulator() -> None:
    events, conclusion = run_of(DUMMY, Site("saga-1", "payment", "F", AT_SEND, 1))
    assert events[:4] == ["CLOCK", "SEND", "LOST", "CRASH"]
    assert conclusion == "consistent"


@pytest.mark.parametrize(
    ("phase", "effects", "first"),
    [
        (AT_EFFECT, (Crash(when=BEFORE), Fail(when=BEFORE)), ["CRASH", "ERROR", "BOOT"]),
        (AT_EFFECT, (GoDown(for_ms=10), Crash(when=AFTER)), ["DOWN", "ERROR", "CRASH"]),
        (AT_ACK, (Crash(when=BEFORE),), ["CRASH", "BOOT"]),
        (AT_ACK, (DelayAnswer(by_ms=3), Crash(when=AFTER)), ["ACK", "CRASH", "BOOT"]),
        (AT_SEND, (JumpClock(by_s=60), JumpClock(by_s=-30), LoseRequest()), ["CLOCK", "CLOCK", "SEND"]),
    ],
)
def test_effects_come_in_their_order_whatever_they_are_put_together_with(
    phase: str, effects: tuple[Effect, ...], first: list[str]
) -> None:
    kind = FaultKind(name="dummy", phase=phase, effects=effects, meaning="")
    events, conclusion = run_of(kind, Site("saga-1", "payment", "F", phase, 1))
    assert events[: len(first)] == first
    assert conclusion == "consistent"


def test_a_second_process_may_start_where_the_first_one_dies() -> None:
    kind = FaultKind(
        name="dummy", phase=AT_LOGGED, directions=("",), effects=(StartSecond(), Crash(when=AFTER)), meaning=""
    )
    events, conclusion = run_of(kind, Site("saga-1", "create + intent order", "", AT_LOGGED, 1))
    assert events[:2] == ["BOOT", "CRASH"]
    assert conclusion == "consistent"


def test_a_campaign_searches_it_and_reports_its_coverage(sagafuzz: Any, dummy: str) -> None:
    result = sagafuzz("run", "reference", "--faults", 1, "--random", 0, "--scenario", "succeeds", "--kinds", dummy)
    assert result.code == 0, result.out
    report = json.loads(Path("sagafuzz-report/report.json").read_text(encoding="utf-8"))
    assert report["kinds"] == [dummy]
    cells = [cell for cell in report["coverage"] if cell["kind"] == dummy]
    assert cells and all(0 < cell["fired"] == cell["planned"] for cell in cells)


def test_it_is_explained(sagafuzz: Any, dummy: str) -> None:
    assert DUMMY.meaning in " ".join(sagafuzz("explain", dummy).out.split())


@pytest.mark.skipif(not TOOL.is_file(), reason="the reference is part of the checkout, and this is not one")
def test_it_stands_in_the_reference(dummy: str) -> None:
    assert f"| `{dummy}` |" in tool_named("make_reference").faults()


def test_a_system_can_declare_that_it_does_not_suffer_it(dummy: str) -> None:
    adapter = load("reference")
    spared = Setup(adapter=replace(adapter, cannot_suffer=(dummy,)), scenario=adapter.scenarios[0])
    assert dummy in Setup(adapter=adapter, scenario=adapter.scenarios[0]).kinds
    assert dummy not in spared.kinds


def test_no_fault_strikes_without_doing_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "DOINGS", {moment: {} for moment in simulation.DOINGS})
    monkeypatch.setattr(simulation, "_can_be_done", {})  # no kind was looked at yet
    setup = Setup(adapter=load("reference"), scenario=load("reference").scenarios[0])
    fault = Fault(kind="lost-request", site=Site("saga-1", "payment", "F", AT_SEND, 1))
    with pytest.raises(TypeError, match=r"nothing is done here for LoseRequest\(\)"):
        simulate(setup, Plan(faults=(fault,)))


def test_a_world_that_cannot_do_what_it_is_said_to_do_is_not_imported() -> None:
    with pytest.raises(TypeError, match=r"the simulated world does not do \w+ (before|after) the moment of '\w+'"):
        check_doings(SIMULATED, injection.DOINGS)  # what is done to writes is missing
    with pytest.raises(TypeError, match=r"the live world (does not do|is not to do) \w+"):
        check_doings(LIVE, injection.DOINGS)
