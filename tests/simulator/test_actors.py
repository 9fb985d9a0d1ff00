"""Actors: scripts beside the orchestrator, who outlive its crashes and whose messages faults strike."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Actor, Adapter, Outcome, Rejected, Saga, Scenario, Step, UsageError
from sagafuzz.invariants import check
from sagafuzz.simulator import Setup, simulate

from .conftest import Laboratory

HELD = Saga("held", [Step("hold", "payment.hold", undo="payment.void"), Step("take", "payment.capture")])
BOTH = Scenario(actors=("clerk",))


def served(lab: Laboratory, script: Any, run: Any = None, **options: Any) -> Adapter:
    """An adapter that holds the money, beside a clerk."""

    def hold(world: Any, order: Any) -> Outcome:
        world.call("payment.hold", key="hold")
        return Outcome.PENDING

    options.setdefault("scenarios", [BOTH])
    return lab.system(run or hold, saga=HELD, actors={"clerk": script}, operations=["payment.list"], **options)


def test_an_actor_asks_a_participant_in_its_own_name(lab: Laboratory) -> None:
    def clerk(actor: Actor) -> None:
        actor.sleep(60)
        assert actor.call("payment.list", saga="saga-1") == {"applied": True}
        actor.call("payment.capture", key="take", amount=100)

    trial = lab.trial(served(lab, clerk))
    assert trial.history.actors == {"clerk"}
    assert [event.process for event in trial.of("SEND", step="take")] == ["clerk"]
    assert [event.process for event in trial.of("APPLY", step="take")] == ["payment"]
    assert trial.of("SEND", step="take")[0].t_us > 60_000_000


def test_an_actor_outlives_the_process(lab: Laboratory) -> None:
    told: list[Any] = []

    def clerk(actor: Actor) -> None:
        told.append(actor.outcome())
        actor.sleep(10)
        told.append(actor.call("payment.list")["applied"])

    trial = lab.trial(served(lab, clerk), "crash-after-effect hold F")
    assert trial.of("CRASH")
    assert told == [None, True]
    assert [event.process for event in trial.of("ACK")] == ["clerk"]


def test_an_actor_waits_until_the_client_is_told_the_end(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.reply(order.id, Outcome.PENDING)
        world.sleep(5)
        world.call("payment.hold", key="hold")
        return True

    ends: list[Any] = []

    def clerk(actor: Actor) -> None:
        before = actor.now()
        ends.extend((actor.wait("saga-1"), actor.wait(), round(actor.now() - before)))

    lab.trial(served(lab, clerk, run))
    assert ends == [Outcome.COMPLETED, Outcome.COMPLETED, 5]


def test_who_waits_for_an_end_that_never_comes_keeps_no_run_from_its_end(lab: Laboratory) -> None:
    trial = lab.trial(served(lab, lambda actor: actor.wait()))
    assert trial.end == "quiescent"


@pytest.mark.parametrize("kind", ["lost-request", "lost-ack", "duplicate", "error-after-effect", "timeout"])
def test_faults_strike_what_an_actor_asks(lab: Laboratory, kind: str) -> None:
    def clerk(actor: Actor) -> None:
        actor.sleep(1)
        actor.call("payment.capture")

    trial = lab.trial(served(lab, clerk), f"{kind} take F")
    assert not trial.of("CRASH")


def test_no_crash_and_no_pause_strikes_an_actor(lab: Laboratory) -> None:
    def clerk(actor: Actor) -> None:
        actor.sleep(1)
        actor.call("payment.capture")

    system = served(lab, clerk, recover=lambda world: None)
    run = simulate(Setup(adapter=system, scenario=BOTH))
    barred = {
        kind: reason
        for number, site in enumerate(run.sites)
        if site[1] == "take"
        for kind, reason in run.impossible.get(number, {}).items()
    }
    assert {"crash-before-send", "crash-after-send", "crash-after-effect", "crash-after-ack", "pause"} <= barred.keys()
    assert barred["pause"] == "an actor asks, who is no process"


def test_a_client_may_cancel_while_an_actor_asks(lab: Laboratory) -> None:
    cancelled: list[str] = []

    def clerk(actor: Actor) -> None:
        actor.sleep(1)
        actor.call("payment.capture")

    system = served(lab, clerk)
    system.factory.cancel = lambda self, order: cancelled.append(order.id)  # type: ignore[attr-defined]
    lab.trial(system, "cancel take F")
    assert cancelled == ["saga-1"]


def test_a_refusal_ends_a_script_that_lets_it_pass(lab: Laboratory) -> None:
    after: list[str] = []

    def clerk(actor: Actor) -> None:
        try:
            actor.call("payment.capture", amount=1_000_000)
        except Rejected:
            after.append("told")
        actor.call("payment.capture", amount=1_000_000)
        after.append("never")

    trial = lab.trial(served(lab, clerk))
    assert after == ["told"]
    assert trial.end == "quiescent"


def test_an_actor_asks_for_one_part_of_a_step(lab: Laboratory) -> None:
    def clerk(actor: Actor) -> None:
        actor.wait()
        actor.call("stock.give", part="line-2")

    def run(world: Any, order: Any) -> bool:
        for part in ("line-1", "line-2"):
            world.call("stock.take", part=part)
        return True

    lines = Saga("lines", [Step("lines", "stock.take", undo="stock.give", many=True)])
    system = lab.system(run, saga=lines, actors={"clerk": clerk}, scenarios=[BOTH])
    assert [event.step for event in lab.trial(system).of("SEND") if event.process == "clerk"] == ["lines[line-2]"]


def test_two_runs_of_a_plan_are_the_same(lab: Laboratory) -> None:
    def clerk(actor: Actor) -> None:
        while actor.outcome() is None:
            actor.sleep(0.001)
        actor.call("payment.capture")

    system = served(lab, clerk)
    first, second = (lab.trial(system, "lost-ack take F").history.digest for _ in range(2))
    assert first == second


def test_a_scenario_that_names_nobody_has_none(lab: Laboratory) -> None:
    def clerk(actor: Actor) -> None:
        actor.call("payment.capture")

    alone = Scenario(name="alone")
    assert not lab.trial(served(lab, clerk, scenarios=[alone, BOTH])).of("SEND", step="take")


def test_a_mistake_in_a_script_is_said_with_its_place(lab: Laboratory) -> None:
    def clerk(actor: Actor) -> None:
        raise KeyError("amount")

    with pytest.raises(UsageError, match=r"script of actor 'clerk' raised KeyError: 'amount' .*test_actors\.py:\d+"):
        lab.trial(served(lab, clerk))


async def _async(actor: Actor) -> None:
    actor.call("payment.capture")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (lambda actor: actor.call("payment.take"), "actor 'clerk' calls 'payment.take'.*did you mean"),
        (lambda actor: actor.call("payment.capture", saga="saga-9"), "saga='saga-9' is none of saga-1"),
        (_async, "script of actor 'clerk' is async; write def clerk"),
        (lambda actor: actor.call("payment.capture", part="x"), r"actor.call.*part='x'.*its step has no parts"),
        (lambda actor: actor.sleep(-1), "a time cannot be negative"),
    ],
)
def test_what_a_script_cannot_do_is_said(lab: Laboratory, script: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        lab.trial(served(lab, script))


@pytest.mark.parametrize(
    ("actors", "scenario", "says"),
    [
        ({}, Scenario(actors=("clerk",)), "does not declare.*actors={'clerk': script}"),
        ({"clerk": print}, Scenario(actors=("clark",)), "did you mean 'clerk'"),
        ({"clerk": print}, Scenario(), "actor 'clerk' acts in no scenario"),
        ({"payment": print}, Scenario(actors=("payment",)), "is called as a participant is"),
        ({"client": print}, Scenario(actors=("client",)), "is called as the 'client' of each run is"),
        ({"The Clerk": print}, Scenario(actors=("The Clerk",)), "small letters"),
        ({"clerk": "capture"}, Scenario(actors=("clerk",)), "write a function, def clerk"),
    ],
)
def test_actors_that_cannot_be_are_refused(lab: Laboratory, actors: Any, scenario: Scenario, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        lab.system(lambda world, order: True, saga=HELD, actors=actors, scenarios=[scenario])


def test_names_of_actors_are_no_single_string() -> None:
    with pytest.raises(UsageError, match=r"actors='clerk'; write a tuple"):
        Scenario(actors="clerk")  # type: ignore[arg-type]


def test_no_rule_for_orchestrators_is_asked_of_an_actor(lab: Laboratory) -> None:
    """Its requests are written ahead by nobody, and counted against no budget."""

    def run(world: Any, order: Any) -> bool:
        world.store.put("saga", {}, record="create", saga=order.id)
        for step in HELD.steps:
            world.store.put(f"saga {step.name}", {}, record="intent", saga=order.id, step=step.name)
            world.call(step.operation, key=step.name)
        return True

    def clerk(actor: Actor) -> None:
        for _ in range(3):
            actor.call("payment.capture", key="take")

    system = served(lab, clerk, run, max_attempts=1)
    verdict = check(lab.trial(system).history)
    assert not verdict.violations
