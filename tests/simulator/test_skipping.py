"""What is skipped, and what is proven of a run that goes round, changes no verdict: each plan comes to the same where
every timer fires."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from sagafuzz import Adapter, Outcome, Plan, PortError, Rejected, Scenario
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.history import APPLY, CLIENT_ACK, RAISED
from sagafuzz.invariants import check
from sagafuzz.simulator import Setup, Simulation, resting, simulate
from sagafuzz.simulator.timers import WAKE

from .conftest import Laboratory

DECLINED = Scenario(name="declined", rejections=((1, "payment.charge"),), succeeds=False)


def insist(world: Any, operation: str, saga: str) -> None:
    """Ask until there is an answer; a refusal is one."""
    while True:
        try:
            world.call(operation, saga=saga, key=f"{saga}/{operation}")
        except Rejected:
            return
        except PortError:
            world.sleep(1)
        else:
            return


def parked(wait: Callable[[Any, str], object], then: tuple[str, ...] = ("order.cancel",)) -> Callable[..., Outcome]:
    """Does its first step, answers 'pending', and undoes it when ``wait(world, saga)`` returns."""

    def run(world: Any, order: Any) -> Outcome:
        insist(world, "order.create", order.id)
        world.spawn(later, world, order.id)
        return Outcome.PENDING

    def later(world: Any, saga: str) -> None:
        wait(world, saga)
        for operation in then:
            insist(world, operation, saga)
        world.reply(saga, Outcome.COMPENSATED)

    return run


def until_due(world: Any, saga: str) -> None:
    due = world.now() + 300
    while world.now() < due:
        world.sleep(0.2)


def until_long_since(world: Any, saga: str) -> None:
    began = time.monotonic()
    while time.monotonic() - began < 300:
        time.sleep(0.2)


def counting(world: Any, saga: str) -> None:
    rounds = 0
    while rounds < 3_000:
        world.sleep(0.1)
        rounds += 1


def by_a_list(world: Any, saga: str) -> None:
    for seconds in [0.1] * 3_000:
        world.sleep(seconds)


def counting_elsewhere(world: Any, saga: str) -> None:
    counter = {"left": [3_000]}
    while counter["left"][0]:
        counter["left"][0] -= 1
        world.sleep(0.1)


def beside_a_sleeper(world: Any, saga: str) -> None:
    woken: list[bool] = []

    def sleeps() -> None:
        world.sleep(900)
        woken.append(True)

    world.spawn(sleeps)
    while not woken and world.now() > 0:
        world.sleep(0.2)


def for_ever(world: Any, saga: str) -> None:
    while world.store.get("never") is None:
        world.sleep(0.2)


def refused_for_ever(world: Any, order: Any) -> bool:
    while True:
        try:
            return bool(world.call("payment.charge", saga=order.id, key="k"))
        except PortError:
            world.sleep(0.1)


def two_steps(world: Any, order: Any) -> bool:
    for operation in ("order.create", "payment.charge"):
        insist(world, operation, order.id)
    return True


def beating(world: Any) -> None:
    while True:
        world.sleep(1)
        try:
            world.store.put("beat", world.now(), saga="")
        except PortError:
            continue


def looking(world: Any) -> None:
    while True:
        world.sleep(1)
        world.store.items()


def recovering(world: Any, every_s: float = 0.7, *, asks: bool = False) -> None:
    """Takes up every ten minutes what was left, beside a relay that looks, or asks, all the time."""

    def relay() -> None:
        while True:
            world.sleep(every_s)
            world.store.get("outbox")
            if asks:
                with suppress(PortError):
                    world.call("order.find", saga="saga-1")

    world.spawn(relay)
    while True:
        world.sleep(600)
        for saga, entry in world.store.items():
            if not entry["done"]:
                attempted(world, saga)


def attempted(world: Any, saga: str) -> None:
    try:
        for operation in ("order.create", "payment.charge"):
            world.call(operation, saga=saga, key=f"{saga}/{operation}")
        world.store.put(saga, {"done": True}, record="terminal", saga=saga)
        world.reply(saga, Outcome.COMPLETED)
    except PortError:
        return


def left_to_recovery(world: Any, order: Any) -> Outcome:
    world.store.put(order.id, {"done": False}, record="create", saga=order.id)
    attempted(world, order.id)
    return Outcome.PENDING


SYSTEMS: dict[str, tuple[Any, Any, Scenario]] = {
    "until a moment": (parked(until_due), None, Scenario()),
    "for so long": (parked(until_long_since), None, Scenario()),
    "so many rounds": (parked(counting), None, Scenario()),
    "as many rounds as a list has entries": (parked(by_a_list), None, Scenario()),
    "so many rounds, counted in what a local name leads to": (parked(counting_elsewhere), None, Scenario()),
    "until another task has slept": (parked(beside_a_sleeper), None, Scenario()),
    "and then undoes what was never done": (
        parked(until_due, ("order.cancel", "payment.refund")),
        None,
        Scenario(),
    ),
    "and then forgets the undo": (parked(counting, ()), None, Scenario()),
    "in vain": (parked(for_ever), None, Scenario()),
    "by asking again": (refused_for_ever, None, DECLINED),
    "beside who writes for ever": (two_steps, beating, Scenario()),
    "beside who looks for ever": (two_steps, looking, Scenario()),
    "for a recovery that seldom looks": (left_to_recovery, recovering, Scenario()),
    "for one beside who asks": (left_to_recovery, partial(recovering, asks=True), Scenario()),
}


def system(lab: Laboratory, name: str) -> tuple[Adapter, Scenario]:
    run, sweep, scenario = SYSTEMS[name]
    boot = None if sweep is None else lambda world: world.spawn(sweep, world)
    return lab.system(run, boot=boot, scenarios=[scenario], operations=("order.find",)), scenario


def told(setup: Setup, plan: Plan) -> tuple[Any, ...]:
    """The verdict on a run, what took effect in it, and what clients were told, without the times."""
    run = simulate(setup, plan)
    verdict = check(run.history(setup, plan))
    done = [row[1:6] for row in run.rows if row[1] in (APPLY, CLIENT_ACK, RAISED)]
    signatures = tuple(violation.signature for violation in verdict.violations)
    return verdict.conclusion, signatures, tuple(dict.fromkeys(done))


@pytest.mark.parametrize("name", SYSTEMS)
def test_each_plan_comes_to_the_same_where_every_timer_fires(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    adapter, scenario = system(lab, name)
    setup = Setup(adapter=adapter, scenario=scenario)
    kinds = {"lost-ack", "clock-forward", "crash-after-effect", "participant-outage", "crash-before-log"}
    plans = list(dict.fromkeys(case.plan for case in Enumerator(setup, 1, kinds).cases()))[:6]
    assert len(plans) >= 5
    with_skips = [told(setup, plan) for plan in plans]
    monkeypatch.setattr(resting, "position", lambda sim, **how: None)
    monkeypatch.setattr(resting, "_may_skip", lambda sim, look: False)
    for plan, fast in zip(plans, with_skips, strict=True):
        slow = told(setup, plan)
        assert slow == fast or slow[0] == "inconclusive", plan


@pytest.mark.parametrize("name", ["until a moment", "in vain", "by asking again", "beside who writes for ever"])
def test_and_it_takes_few_timers(lab: Laboratory, name: str) -> None:
    adapter, scenario = system(lab, name)
    sim = Simulation(Setup(adapter=adapter, scenario=scenario))
    sim.complete()
    assert sim.kernel.ticks < 300


@pytest.mark.parametrize("every_s", [0.1, 0.7, 1, 60])
@pytest.mark.parametrize("fault", ["", "lost-request pay F", "crash-after-effect order F"])
def test_who_recovers_every_ten_minutes_is_waited_for_beside_who_polls(
    lab: Laboratory, every_s: float, fault: str
) -> None:
    adapter = lab.system(left_to_recovery, boot=lambda world: world.spawn(recovering, world, every_s))
    trial = lab.trial(adapter, *filter(None, [fault]))
    verdict = check(trial.history)
    assert (trial.end, verdict.conclusion) == ("quiescent", "consistent")
    assert "completed" in trial.answers
    assert len(trial.history.rows) < 80, "who polls leaves no trace"


def test_each_who_sleeps_on_is_waited_for(lab: Laboratory) -> None:
    """One looks every ten minutes in vain, one after a day; what that one does is seen."""

    def boot(world: Any) -> None:
        world.spawn(every, world, 0.7)
        world.spawn(every, world, 600)
        world.spawn(late, world)

    def every(world: Any, seconds: float) -> None:
        while True:
            world.sleep(seconds)
            world.store.items()

    def late(world: Any) -> None:
        world.sleep(86_400)
        attempted(world, "saga-1")

    trial = lab.trial(lab.system(left_to_recovery, boot=boot), "lost-request pay F")
    assert (trial.end, trial.answers) == ("quiescent", ["pending", "completed"])


def test_those_who_go_round_are_left_out_in_whole_rounds(lab: Laboratory) -> None:
    """Each of two relays looks when it would have looked, also after the sleep of a third task was skipped."""

    def relay(world: Any, first_s: float) -> None:
        world.sleep(first_s)
        while True:
            world.sleep(1)

    def boot(world: Any) -> None:
        world.spawn(relay, world, 0.25)
        world.spawn(relay, world, 0.5)
        world.spawn(world.sleep, 600)

    sim = Simulation(Setup(adapter=lab.system(two_steps, boot=boot), scenario=Scenario()))
    kernel, woken_us = sim.kernel, list[int]()
    wake = kernel.acts[WAKE]
    kernel.acts[WAKE] = lambda task: (woken_us.append(kernel.now_us), wake(task))
    sim.complete()
    relays = [at_us for at_us in woken_us if at_us > 10_000_000 and at_us != 600_000_000]
    assert {at_us % 1_000_000 for at_us in relays} == {250_000, 500_000}
    assert 600_000_000 < max(relays) < 610_000_000
    assert len(relays) < 60


def test_whose_rounds_cannot_be_told_is_waited_for_too(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "position", lambda sim, **how: None)
    adapter = lab.system(left_to_recovery, boot=lambda world: world.spawn(recovering, world, 0.1))
    trial = lab.trial(adapter, "lost-request pay F")
    assert (trial.end, check(trial.history).violations) == ("waiting", ())


@pytest.mark.parametrize("name", ["so many rounds", "as many rounds as a list has entries"])
def test_who_counts_is_let_count(lab: Laboratory, name: str) -> None:
    adapter, scenario = system(lab, name)
    sim = Simulation(Setup(adapter=adapter, scenario=scenario))
    run = sim.complete()
    assert sim.kernel.ticks > 3_000
    assert [row[9] for row in run.rows if row[1] == CLIENT_ACK] == [("pending",), ("compensated",)]


def test_who_counts_beyond_all_patience_is_not_judged(lab: Laboratory) -> None:
    def too_long(world: Any, saga: str) -> None:
        rounds = 0
        while rounds < 60_000:
            world.sleep(0.1)
            rounds += 1

    adapter = lab.system(parked(too_long))
    trial = lab.trial(adapter)
    verdict = check(trial.history)
    assert (trial.end, verdict.conclusion) == ("waiting", "inconclusive")
    assert "still polled" in verdict.gave_up["I3"]


def test_who_sleeps_for_months_is_waited_for(lab: Laboratory) -> None:
    trial = lab.trial(lab.system(parked(lambda world, saga: world.sleep(200 * 86_400))))
    assert trial.answers == ["pending", "compensated"]


def test_who_sleeps_for_longer_than_anybody_waits_is_at_rest(lab: Laboratory) -> None:
    trial = lab.trial(lab.system(parked(lambda world, saga: world.sleep(11 * 365 * 86_400))))
    assert (trial.answers, trial.end) == (["pending"], "quiescent")
    assert {violation.invariant for violation in check(trial.history).violations} == {"I2"}
