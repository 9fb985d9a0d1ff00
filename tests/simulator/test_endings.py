"""How a run ends: at rest, in a livelock, or because the code under test computes for ever."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from sagafuzz import CallTimeout, Outcome, PortError, Request, Saga, Scenario, Step, Transaction
from sagafuzz.invariants import check
from sagafuzz.simulator import patches
from sagafuzz.simulator.patches import watchdog

from .conftest import Laboratory

needs_alarms = pytest.mark.skipif(
    not hasattr(signal, "setitimer") or sys.gettrace() is not None, reason="needs alarm signals, undisturbed"
)


@pytest.mark.parametrize("interval", [0.001, 1, 3600])
def test_a_task_that_polls_for_ever_does_not_keep_a_run_from_its_end(lab: Laboratory, interval: float) -> None:
    def boot(world: Any) -> None:
        world.spawn(poll, world)

    def poll(world: Any) -> None:
        while True:
            world.sleep(interval)

    def run(world: Any, order: Any) -> bool:
        world.call("order.create")
        world.sleep(10)
        world.call("payment.charge")
        return True

    trial = lab.trial(lab.system(run, boot=boot))
    assert (trial.answers, trial.end) == (["completed"], "quiescent")


def test_a_poller_that_calls_is_at_rest_when_the_sagas_are(lab: Laboratory) -> None:
    def poll(world: Any, saga: str) -> None:
        while True:
            world.call("payment.balance", saga=saga)
            world.sleep(1)

    def run(world: Any, order: Any) -> bool:
        world.spawn(poll, world, order.id)
        return True

    trial = lab.trial(lab.system(run, operations=["payment.balance"]))
    assert (trial.answers, trial.end) == (["completed"], "quiescent")


def test_a_poller_does_not_cut_a_saga_short_that_waits_for_hours(lab: Laboratory) -> None:
    def poll(world: Any) -> None:
        while True:
            world.sleep(1)

    def run(world: Any, order: Any) -> bool:
        world.sleep(3 * 3600)
        return True

    trial = lab.trial(lab.system(run, boot=lambda world: world.spawn(poll, world)))
    assert trial.answers == ["completed"]


def test_a_saga_left_open_beside_a_poller_comes_to_rest_and_stays_open(lab: Laboratory) -> None:
    def poll(world: Any) -> None:
        while True:
            world.sleep(1)

    def run(world: Any, order: Any) -> bool:
        return bool(world.call("order.create"))

    trial = lab.trial(lab.system(run, boot=lambda world: world.spawn(poll, world)), "crash-after-effect order F")
    assert (trial.answers, trial.end) == ([], "quiescent")


def test_a_worker_that_ends_what_run_has_only_accepted_is_waited_for(lab: Laboratory) -> None:
    def work(world: Any, saga: str) -> None:
        for _ in range(3_000):
            world.sleep(1)
        world.reply(saga, True)

    def run(world: Any, order: Any) -> Outcome:
        world.spawn(work, world, order.id)
        return Outcome.PENDING

    assert lab.trial(lab.system(run)).answers == ["pending", "completed"]


def test_who_waits_for_what_never_comes_is_at_rest(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        await asyncio.get_running_loop().create_future()
        return True

    trial = lab.trial(lab.system(run))
    assert (trial.answers, trial.end) == ([], "quiescent")
    assert trial.events[-1].t_us < 1_000_000


def test_asking_again_for_ever_with_waits_is_a_livelock(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        while True:
            try:
                return bool(world.call("payment.charge", key="k"))
            except PortError:
                world.sleep(0.1)

    trial = lab.trial(lab.system(run), scenario=Scenario(rejections=((1, "payment.charge"),)))
    assert (trial.answers, trial.end) == ([], "livelock")


def test_asking_again_for_ever_without_waits_is_one_too(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        while True:
            try:
                return bool(world.call("payment.charge", key="k"))
            except PortError:
                continue

    assert lab.trial(lab.system(run), scenario=Scenario(rejections=((1, "payment.charge"),))).end == "livelock"


def test_asking_again_at_growing_intervals_ends_after_ten_years(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        wait = 1.0
        while True:
            try:
                return bool(world.call("payment.charge", key="k"))
            except PortError:
                world.sleep(wait)
                wait *= 2

    trial = lab.trial(lab.system(run), scenario=Scenario(rejections=((1, "payment.charge"),)))
    assert trial.end == "quiescent"
    assert len(trial.of("SEND")) == 29


def test_a_coroutine_that_never_waits_is_a_livelock(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        while True:
            world.alert(order.id)
            await asyncio.sleep(0)

    assert lab.trial(lab.system(run)).end == "livelock"


def test_writing_for_ever_is_a_livelock(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        while True:
            world.store.put("k", 1)

    assert lab.trial(lab.system(run)).end == "livelock"


# -- computing for ever ------------------------------------------------------------------------


def spin(*args: Any) -> None:
    while True:
        pass


@needs_alarms
@pytest.mark.parametrize("where", ["boot", "run", "spawned", "coroutine", "task", "participant", "stubborn"])
def test_the_watchdog_ends_what_computes_for_ever(lab: Laboratory, where: str) -> None:
    async def in_a_coroutine(world: Any, order: Any) -> bool:
        await world.call("order.create")
        spin()
        return True

    async def in_a_task(world: Any, order: Any) -> bool:
        async def work() -> None:
            spin()

        await asyncio.create_task(work())
        return True

    def stubborn(world: Any, order: Any) -> bool:
        while True:
            try:
                spin()
            except BaseException:
                continue

    class Spinning:
        def handle(self, request: Request, tx: Transaction) -> None:
            spin()

    systems = {
        "boot": lambda: lab.system(lambda world, order: True, boot=spin),
        "run": lambda: lab.system(spin),
        "spawned": lambda: lab.system(lambda world, order: world.spawn(spin) or True),
        "coroutine": lambda: lab.system(in_a_coroutine),
        "task": lambda: lab.system(in_a_task),
        "participant": lambda: lab.system(
            lambda world, order: world.call("payment.charge"), participants={"payment": Spinning}
        ),
        "stubborn": lambda: lab.system(stubborn),
    }
    before = signal.getsignal(signal.SIGALRM)
    lab.trial(
        lab.system(lambda world, order: True)
    )  # what a process looks up once may take as long as the watchdog waits
    with watchdog(0.1):
        trial = lab.trial(systems[where]())
    assert trial.end == "spins"
    assert trial.answers in ([], ["completed"])
    assert signal.getsignal(signal.SIGALRM) == before
    assert lab.trial(lab.system(lambda world, order: True)).answers == ["completed"]


@needs_alarms
def test_the_watchdog_leaves_alone_what_is_only_long(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        for _ in range(60):
            sum(range(200_000))
            world.sleep(1)
        return True

    with watchdog(0.1):
        trial = lab.trial(lab.system(run))
        time.sleep(0.2)
    assert trial.answers == ["completed"]


@needs_alarms
def test_the_watchdog_takes_no_run_for_the_one_before_that_lay_in_the_same_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A long search makes thousands of runs in the same few places of memory, at each alarm another one."""

    class Running:
        def __init__(self) -> None:
            self.trace = SimpleNamespace(rows=[])
            self.kernel = SimpleNamespace(ticks=7, stopped="", current=None)

    with monkeypatch.context() as patch, watchdog(60.0) as watch:
        patch.setattr(patches, "simulation", Running)
        alarm: Any = signal.getsignal(signal.SIGALRM)
        for _ in range(20):
            alarm(signal.SIGALRM, None)
    assert watch.ended == 0


def test_without_signals_there_is_no_watchdog_and_no_harm(lab: Laboratory) -> None:
    answers: list[Any] = []

    def work() -> None:
        with watchdog(0.1):
            answers.extend(lab.trial(lab.system(lambda world, order: True)).answers)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == ["completed"]


PIVOT_FIRST = Saga(
    "paid",
    [Step("payment", "payment.charge", pivot=True), Step("shipping", "shipping.send", retriable=True)],
)


def test_a_saga_left_open_after_a_pivot_without_an_undo_gets_its_restart(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> Outcome:
        world.store.put(order.id, {}, record="create", saga=order.id)
        world.call("payment.charge", key="p")
        try:
            world.call("shipping.send", key="s")
        except CallTimeout:
            return Outcome.PENDING
        return Outcome.COMPLETED

    def recover(world: Any) -> None:
        for saga in dict(world.store.items()):
            world.call("payment.charge", saga=saga, key="p")
            world.call("shipping.send", saga=saga, key="s")
            world.reply(saga, Outcome.COMPLETED)

    for supervised in (True, False):
        system = lab.system(run, recover=recover, saga=PIVOT_FIRST, supervised=supervised)
        trial = lab.trial(system, "lost-request shipping F")
        assert [boot.get("reason") for boot in trial.of("BOOT")] == ["start", "heal"]
        assert trial.answers == ["pending", "completed"]
        found = [(each.invariant, each.anomaly) for each in check(trial.history).violations]
        assert found == ([] if supervised else [("I3", "stuck until a restart")])


TWO_STEPS = Saga(
    "paid",
    [Step("order", "order.create", undo="order.cancel"), Step("payment", "payment.charge", undo="payment.refund")],
)


@pytest.mark.parametrize(
    "plan",
    ["partition payment F", "participant-outage payment F", "partition-answers order F", "participant-restart order F"],
)
def test_a_partition_or_an_outage_is_over_when_the_harness_starts_the_process_for_the_last_time(
    lab: Laboratory, plan: str
) -> None:
    def done(world: Any, saga: str) -> bool:
        for operation in ("order.create", "payment.charge"):
            world.call(operation, saga=saga, key=f"{saga}/{operation}", timeout_ms=10)
        world.store.put(saga, "paid")
        return True

    def run(world: Any, order: Any) -> bool:
        world.store.put(order.id, "open")
        return done(world, order.id)

    def recover(world: Any) -> None:
        for saga, stands in world.store.items():
            if stands == "open":
                done(world, saga)

    trial = lab.trial(lab.system(run, recover=recover, saga=TWO_STEPS, supervised=True), plan)
    assert [boot.get("reason") for boot in trial.of("BOOT")] == ["start", "heal"]
    assert [each.anomaly for each in check(trial.history).violations] == []
