"""A fault that struck and changed nothing does not count as fired; one that somebody could notice does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from sagafuzz import Adapter, Saga, Scenario, Step
from sagafuzz.effects import AT_EFFECT, Effect, Expire
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.parts import Record, from_text, to_text
from sagafuzz.exploration.reductions import SHAPING
from sagafuzz.exploration.settings import Settings
from sagafuzz.fault_kinds import FaultKind, registered
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import BOOT, CLOCK, DATA, KIND, PAUSE, Row
from sagafuzz.loading import load
from sagafuzz.saga import FORWARD
from sagafuzz.simulator import Run, Setup, simulate
from sagafuzz.simulator.idle import MAY_BE_IDLE
from sagafuzz.verdict import Verdict

from .conftest import Laboratory

TWO = Scenario(sagas=2)


def plain(world: Any, order: Any) -> bool:
    world.call("order.create", saga=order.id, key=order.id)
    world.call("payment.charge", saga=order.id, key=order.id)
    return True


def writes(world: Any, order: Any) -> bool:
    world.store.put(order.id, "begun", record="create")
    plain(world, order)
    world.store.put(order.id, "done", record="terminal")
    return True


def timing(clock: Callable[[Any], object], *, first: bool) -> Callable[[Any, Any], bool]:
    """Asks for the time before the payment, or after it."""

    def run(world: Any, order: Any) -> bool:
        world.call("order.create", saga=order.id, key=order.id)
        if first:
            clock(world)
        world.call("payment.charge", saga=order.id, key=order.id)
        if not first:
            clock(world)
        return True

    return run


def idles(world: Any) -> None:
    """A recovery that does nothing."""


def looks(world: Any) -> None:
    world.store.items()


def outcome(lab: Laboratory, system: Adapter, *faults: str, scenario: Scenario | None = None) -> str:
    run = lab.unchecked(system, *faults, scenario=scenario).run
    assert run.struck == len(faults)
    assert not {number for _, number in run.fired} & set(run.idle)
    return "fired" if len(run.fired) == len(faults) else "idle"


NOW, WALL, MONOTONIC = (lambda world: world.now(), lambda _: time.time(), lambda _: time.monotonic())


@pytest.mark.parametrize("kind", ["clock-forward", "clock-back"])
@pytest.mark.parametrize(
    ("run", "expected"),
    [
        pytest.param(plain, "idle", id="nobody asks"),
        pytest.param(timing(NOW, first=True), "idle", id="asked before"),
        pytest.param(timing(NOW, first=False), "fired", id="asked afterwards"),
        pytest.param(timing(WALL, first=False), "fired", id="of the standard library"),
        pytest.param(timing(MONOTONIC, first=False), "idle", id="the monotonic clock does not jump"),
    ],
)
def test_a_jump_of_the_clock(lab: Laboratory, kind: str, run: Any, expected: str) -> None:
    assert outcome(lab, lab.system(run), f"{kind} pay F") == expected


@pytest.mark.parametrize(
    ("run", "recover", "scenario", "expected"),
    [
        pytest.param(writes, idles, Scenario(), "idle", id="nobody does anything meanwhile"),
        pytest.param(writes, looks, Scenario(), "fired", id="the other one looks into the store"),
        pytest.param(writes, idles, TWO, "fired", id="another saga is under way"),
        pytest.param(writes, idles, Scenario(sagas=2, gap_ms=60_000), "fired", id="another one is still to come"),
        pytest.param(timing(MONOTONIC, first=False), idles, Scenario(), "fired", id="time is asked for"),
    ],
)
def test_a_pause(lab: Laboratory, run: Any, recover: Any, scenario: Scenario, expected: str) -> None:
    assert outcome(lab, lab.system(run, recover=recover), "pause pay F", scenario=scenario) == expected


def test_a_pause_that_lets_another_fault_pass_is_noticed(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        for operation in ("order.create", "payment.charge"):
            while True:
                try:
                    world.call(operation, saga=order.id, key=order.id, timeout_ms=500)
                    break
                except Exception:
                    continue
        return True

    system = lab.system(run, recover=idles)
    assert outcome(lab, system, "participant-outage pay F", "pause pay F #2") == "fired"


@pytest.mark.parametrize(
    ("recover", "faults", "expected"),
    [
        pytest.param(idles, (), "idle", id="it does nothing"),
        pytest.param(looks, (), "fired", id="it looks"),
        pytest.param(idles, ("crash-before-send pay F",), "fired", id="it stands for one that dies"),
    ],
)
def test_a_second_orchestrator(lab: Laboratory, recover: Any, faults: tuple[str, ...], expected: str) -> None:
    system = lab.system(writes, recover=recover)
    assert outcome(lab, system, "second-orchestrator 'create'", *faults) == expected


@pytest.mark.parametrize(("recover", "expected"), [(idles, "idle"), (looks, "fired")])
def test_a_replica_that_lags(lab: Laboratory, recover: Any, expected: str) -> None:
    system = lab.system(writes, recover=recover)
    setup = Setup(adapter=system, scenario=system.scenarios[0])
    found = {
        "idle" if case.run.idle else "fired"
        for case in Enumerator(setup, 2, {"crash-after-log", "stale-read"}, reductions=()).cases()
        if case.plan.faults and case.plan.faults[-1].kind == "stale-read" and _open(case.run)
    }
    assert found == {expected}


def _open(run: Run) -> bool:
    """True if a process died before the last write, so that a replica lags behind something."""
    return not any(row[KIND] == "CRASH" and row[DATA][0] == "final restart" for row in run.rows)


CONFIRMED = Saga("hold", [Step("hold", "inventory.reserve", undo="inventory.release"), Step("ok", "inventory.confirm")])
RUNS_OUT_LATE = FaultKind(
    name="late-expiry",
    phase=AT_EFFECT,
    directions=(FORWARD,),
    effects=(Expire(after_ms=60_000),),
    needs="expiry",
    meaning="runs out",
)


@pytest.mark.parametrize(("kind", "expected"), [("late-expiry", "idle"), ("expiry", "fired")])
def test_a_reservation_that_was_confirmed_in_time_did_not_run_out(lab: Laboratory, kind: str, expected: str) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("inventory.reserve", saga=order.id, key=order.id)
        try:
            world.call("inventory.confirm", saga=order.id, key=order.id)
        except Exception:
            return False
        return True

    with registered(RUNS_OUT_LATE):
        system = lab.system(run, saga=CONFIRMED, expiring=("inventory",))
        assert outcome(lab, system, f"{kind} hold F") == expected


CAPTURED = Saga("sale", [Step("hold", "bank.hold", undo="bank.void"), Step("take", "bank.capture", consumes="hold")])


def test_what_uses_up_a_reservation_is_none_and_does_not_run_out(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        for operation in ("bank.hold", "bank.capture"):
            world.call(operation, saga=order.id, key=order.id)
        return True

    found = lab.trial(lab.system(run, saga=CAPTURED, expiring=("bank",)))
    why = {
        site.subject: found.run.impossible.get(number, {})
        for number, site in enumerate(found.sites)
        if site.phase == AT_EFFECT
    }
    assert "expiry" not in why["hold"]
    assert why["take"]["expiry"] == "the request makes no reservation"


def test_each_effect_that_shows_later_says_how() -> None:
    assert {effect for effect in _effects(Effect) if effect.noticed_later} == MAY_BE_IDLE
    assert all(kind.may_be_idle == all(type(e) in MAY_BE_IDLE for e in kind.effects) for kind in FAULT_KINDS.values())


def _effects(effect: type[Effect]) -> set[type[Effect]]:
    return {effect}.union(*map(_effects, effect.__subclasses__()))


# -- it is certain: the run is the one without the fault -----------------------------------------------


def story(run: Run) -> list[Any]:
    """What happened, in its order, without times and without the marks of the harness."""
    marks = {(BOOT, "pause"), (BOOT, "second")}
    return [row[1:] for row in run.rows if row[KIND] not in (PAUSE, CLOCK) and (row[KIND], _reason(row)) not in marks]


def _reason(row: Row) -> Any:
    return row[DATA][-1] if row[DATA] else ""


@pytest.mark.parametrize(
    ("run", "recover", "scenario"),
    [
        (plain, idles, Scenario()),
        (writes, idles, Scenario()),
        (writes, idles, TWO),
        (timing(NOW, first=True), idles, Scenario()),
        (timing(MONOTONIC, first=False), idles, Scenario(sagas=2, gap_ms=50)),
        (writes, None, Scenario()),
    ],
)
def test_what_changed_nothing_can_be_left_out(lab: Laboratory, run: Any, recover: Any, scenario: Scenario) -> None:
    setup = Setup(adapter=lab.system(run, recover=recover), scenario=scenario)
    idle = 0
    for case in Enumerator(setup, 2 if scenario.sagas == 1 else 1, reductions=SHAPING).cases():
        without = case.plan
        for number in sorted(case.run.idle, reverse=True):
            without = without.without(number)
            idle += 1
        if case.idle:
            assert story(case.run) == story(simulate(setup, without)), str(case.plan)
    assert idle


# -- what a campaign says ------------------------------------------------------------------------------


def test_a_campaign_whose_faults_all_changed_nothing_is_inconclusive(lab: Laboratory) -> None:
    system = lab.system(writes, recover=idles)
    kinds = ("pause", "clock-forward", "clock-back", "second-orchestrator")
    for faults in (1, 2):
        report = Campaign(system, Settings(max_faults=faults, examples=0, kinds=kinds)).run()
        assert report.verdict == "inconclusive"
        assert "no fault was injected" in " ".join(report.reasons)
        assert not any(report.counts.by_faults[1:2]) and report.counts.idle > 0
        said = [line for line in report.not_exercised if "changed nothing" in line]
        assert all(any(kind in line for line in said) for kind in kinds), said


def test_what_changed_nothing_is_no_plan_of_a_campaign_that_has_others(lab: Laboratory) -> None:
    reference = load("reference")
    scenarios = (reference.scenario("declined"),)
    report = Campaign(reference, Settings(max_faults=1, examples=0, random_plans=60, scenarios=scenarios)).run()
    assert (report.verdict, report.reasons) == ("consistent", ())
    assert report.counts.fired == report.counts.run == sum(report.counts.by_faults)
    assert report.counts.idle > 0
    assert not [cell for cell in report.coverage if cell.kind.startswith("clock-")]
    assert sum(report.random_plans.by_faults) == report.random_plans.run == report.random_plans.fired


def test_a_part_is_written_down_with_it(lab: Laboratory) -> None:
    system = lab.system(writes, recover=idles)
    cases = [(case, Verdict()) for case in Enumerator(Setup(adapter=system, scenario=Scenario()), 1).cases()]
    read = from_text(to_text(Record(cases=cases, whole=True)))
    assert [case.run.idle for case, _ in read.cases] == [case.run.idle for case, _ in cases]
    assert any(case.idle for case, _ in read.cases)
