"""A dead incarnation stays dead, whatever the code under test does about it."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sagafuzz import Scenario

from .conftest import Laboratory, Trial

CRASHES = ("crash-before-send pay F", "crash-after-send pay F", "crash-after-effect pay F", "crash-after-ack pay F")


def after_the_crash(trial: Trial) -> list[str]:
    """What the first incarnation did after it died."""
    crash = trial.position("CRASH")
    return [event.kind for event in trial.events[crash + 1 :] if event.process == "orchestrator"]


@pytest.mark.parametrize("crash", CRASHES)
def test_finally_and_except_blocks_can_do_nothing(lab: Laboratory, crash: str) -> None:
    reached: list[str] = []

    def run(world: Any, order: Any) -> bool:
        try:
            world.call("payment.charge", saga=order.id, key="k")
        except Exception:  # a crash is none
            reached.append("except")
        finally:
            reached.append("finally")
            for port in (
                lambda: world.call("payment.refund", saga=order.id, key="k"),
                lambda: world.store.put("k", 1),
                lambda: world.store.get("k"),
                lambda: world.store.delete("k"),
                world.store.items,
                lambda: world.store.transaction().__enter__(),
                world.sqlite,
                lambda: world.alert(order.id),
                lambda: world.dead_letter(order.id),
                lambda: world.reply(order.id, True),
                lambda: world.spawn(print),
                lambda: world.sleep(1),
                world.now,
                lambda: time.sleep(1),
            ):
                try:
                    port()
                except BaseException as error:
                    reached.append(type(error).__name__)
        return True

    trial = lab.trial(lab.system(run), crash)
    assert reached == ["finally", *["ProcessCrashed"] * 14]
    assert after_the_crash(trial) == []
    assert trial.answers == []


def test_an_answer_given_after_death_is_not_heard(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        try:
            world.call("payment.charge", saga=order.id)
        except BaseException:
            return True
        return False

    trial = lab.trial(lab.system(run), "crash-after-effect pay F")
    assert (trial.answers, trial.of("NONSENSE"), trial.raised) == ([], [], [])


def test_an_exception_raised_after_death_is_not_heard(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        try:
            return bool(world.call("payment.charge", saga=order.id))
        except BaseException:
            raise RuntimeError("while dying") from None

    assert lab.trial(lab.system(run), "crash-after-effect pay F").raised == []


def test_a_boot_that_swallows_its_own_death_serves_nobody(lab: Laboratory) -> None:
    boots: list[int] = []

    def boot(world: Any) -> None:
        boots.append(1)
        try:
            world.store.put("saga-1", len(boots), record="create")
        except BaseException:
            boots.append(0)

    trial = lab.trial(lab.system(lambda world, order: True, boot=boot), "crash-before-log 'create'")
    assert boots == [1, 0, 1]
    assert [(event.kind, event.process) for event in trial.of("BOOT", "CLIENT_ACK")] == [
        ("BOOT", "orchestrator"),
        ("BOOT", "orchestrator#2"),
        ("CLIENT_ACK", "client"),
    ]


def test_who_catches_his_own_death_for_ever_is_abandoned(lab: Laboratory) -> None:
    tries: list[int] = []

    def run(world: Any, order: Any) -> bool:
        while True:
            try:
                world.call("payment.charge", saga=order.id)
            except BaseException:
                tries.append(1)
                continue

    trial = lab.trial(lab.system(run), "crash-after-effect pay F")
    assert after_the_crash(trial) == []
    assert trial.end == "quiescent"
    assert len(tries) < 5_000


def test_who_catches_his_own_death_for_ever_on_an_event_loop_is_abandoned_too(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        while True:
            try:
                await world.call("payment.charge", saga=order.id)
            except BaseException:
                continue

    trial = lab.trial(lab.system(run), "crash-after-effect pay F")
    assert (after_the_crash(trial), trial.end) == ([], "quiescent")
    assert lab.trial(lab.system(run), "crash-after-effect pay F").run.rows == trial.run.rows


def test_all_tasks_of_the_process_die_together(lab: Laboratory) -> None:
    steps: list[str] = []

    def run(world: Any, order: Any) -> bool:
        world.spawn(background, world)
        world.call("payment.charge", saga=order.id)
        return True

    def background(world: Any) -> None:
        try:
            while True:
                world.sleep(0.0001)
                steps.append("tick")
        finally:
            steps.append("dead")

    lab.trial(lab.system(run), "crash-after-effect pay F")
    assert steps[-1] == "dead"
    assert 5 < steps.count("tick") < 12


def test_what_was_sent_before_the_crash_arrives_after_it(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", saga=order.id)
        return True

    trial = lab.trial(lab.system(run), "crash-after-send pay F")
    assert trial.position("CRASH") < trial.position("APPLY")
    assert trial.of("ACK") == []


def test_orders_that_come_while_it_is_down_wait_for_the_next_incarnation(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", saga=order.id, key=order.id)
        return True

    scenario = Scenario(sagas=2, gap_ms=50)
    trial = lab.trial(lab.system(run), "crash-after-effect pay F", scenario=scenario)
    submit, boot, ack = (
        trial.position("SUBMIT", saga="saga-2"),
        trial.position("BOOT", process="orchestrator#2"),
        trial.position("CLIENT_ACK", saga="saga-2"),
    )
    assert submit < boot < ack
    assert trial.of("SEND")[-1].process == "orchestrator#2"
