"""A trace records a run in either world, by the clock that it is given."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sagafuzz.faults import Fault, Site
from sagafuzz.history import ALERT, CRASH, DEAD_LETTER
from sagafuzz.live.record import Record
from sagafuzz.loading import load
from sagafuzz.simulator import Setup
from sagafuzz.trace import MAX_ATTEMPT, MAX_OCCURRENCE, SiteKey, Trace, called_to

SENT: SiteKey = ("saga-1", "payment", "F", "send", 1)
LOST = Fault(kind="lost-request", site=Site._make(SENT))


def simulated(*faults: Fault) -> Trace:
    return Trace(faults, lambda: 7)


def live(*faults: Fault) -> Trace:
    reference = load("reference")
    return Record(Setup(adapter=reference, scenario=reference.scenarios[0]), faults)


WORLDS = pytest.mark.parametrize("world", [simulated, live])


def test_an_event_has_the_time_of_the_injected_clock() -> None:
    trace = simulated()
    trace.add(CRASH, "orchestrator", ("killed",))
    assert trace.run().rows == ((7, CRASH, "orchestrator", "", "", "", 0, None, 0, ("killed",)),)


@WORLDS
def test_a_fault_strikes_where_the_plan_has_it(world: Callable[..., Trace]) -> None:
    trace = world(LOST)
    strike = trace.visit(SENT)
    assert strike is not None and (strike.kind.name, strike.number) == ("lost-request", 0)
    trace.struck(strike.number)
    assert trace.run().fired == ((0, 0),)
    assert trace.visit(("saga-1", "payment", "F", "send", 2)) is None


@WORLDS
def test_what_could_take_no_effect_does_not_strike_and_keeps_its_reason(world: Callable[..., Trace]) -> None:
    trace = world(LOST)
    assert trace.visit(SENT, {"lost-request": "nothing gets there anyway"}) is None
    assert trace.run().impossible == {0: {"lost-request": "nothing gets there anyway"}}


@WORLDS
@pytest.mark.parametrize(
    ("site", "most"),
    [(("saga-1", "payment", "F", "send"), MAX_ATTEMPT), (("saga-1", "intent payment", "", "log"), MAX_OCCURRENCE)],
)
def test_both_worlds_strike_as_many_attempts_and_writes(
    world: Callable[..., Trace], site: tuple[str, str, str, str], most: int
) -> None:
    trace = world()
    trace.visit((*site, most))
    assert not trace.capped
    trace.visit((*site, most + 1))
    assert trace.capped
    assert len(trace.sites) == 1


def test_from_the_first_restart_and_the_first_undo_on_sites_are_of_another_kind() -> None:
    trace = simulated()
    trace.visit(SENT)
    trace.restarted()
    trace.visit(("saga-1", "order", "C", "send", 1))
    trace.restarted()
    run = trace.run()
    assert (run.recovery, run.compensation) == (1, 1)


def test_a_trace_goes_on_from_where_another_one_stood() -> None:
    first, second = simulated(LOST), simulated(LOST)
    first.add(CRASH, "orchestrator")
    first.visit(SENT)
    then = first.extent()
    first.visit(("saga-1", "payment", "F", "ack", 1))
    second.repeat(first, then)
    assert (second.run().sites, second.run().rows) == ((SENT,), first.run().rows)


@pytest.mark.parametrize(
    ("kind", "step", "called"), [(ALERT, "pay", True), (DEAD_LETTER, "", True), (ALERT, "order", False)]
)
def test_a_person_is_called_to_a_step_or_to_the_whole_saga(kind: str, step: str, called: bool) -> None:
    trace = simulated()
    trace.add(kind, "orchestrator", ("why",), saga="saga-1", step=step)
    failing = {("saga-1", "pay"), ("saga-2", "pay")}
    assert called_to(failing, trace.rows) == ({("saga-1", "pay")} if called else set())
