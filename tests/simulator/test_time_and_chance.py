"""Time is virtual and chance repeats inside the code under test, and nowhere else."""

from __future__ import annotations

import asyncio
import random
import secrets
import threading
import time
import types
import uuid
from time import sleep as sleep_taken_before
from typing import Any

import pytest

from sagafuzz import Request, Scenario, Transaction
from sagafuzz.simulator import Setup, Simulation, simulate
from sagafuzz.simulator.patches import virtual

from .conftest import Laboratory

THREE_HOURS = 3 * 3600


def elapsed(lab: Laboratory, wait: Any) -> float:
    """Virtual seconds that ``wait(world)`` takes, and next to none of the real ones."""
    measured: list[float] = []

    def run(world: Any, order: Any) -> bool:
        before = time.monotonic(), time.time(), time.perf_counter(), world.now(), time.monotonic_ns(), time.time_ns()
        wait(world)
        after = time.monotonic(), time.time(), time.perf_counter(), world.now(), time.monotonic_ns(), time.time_ns()
        measured.extend(b - a for a, b in zip(before, after, strict=True))
        return True

    real = time.perf_counter()
    lab.trial(lab.system(run))
    assert time.perf_counter() - real < 5
    seconds = measured[0]
    assert measured == pytest.approx([seconds] * 4 + [seconds * 1e9] * 2, abs=1e-5)
    return seconds


@pytest.mark.parametrize(
    "wait",
    [
        lambda world: time.sleep(THREE_HOURS),
        lambda world: sleep_taken_before(THREE_HOURS),
        lambda world: world.sleep(THREE_HOURS),
        lambda world: asyncio.run(asyncio.sleep(THREE_HOURS)),
    ],
    ids=["time.sleep", "from time import sleep", "world.sleep", "asyncio.run"],
)
def test_three_hours_of_waiting_cost_no_real_time(lab: Laboratory, wait: Any) -> None:
    assert elapsed(lab, wait) == pytest.approx(THREE_HOURS)


def test_a_wait_of_nothing_lets_the_others_go_on(lab: Laboratory) -> None:
    done: list[int] = []

    def run(world: Any, order: Any) -> bool:
        world.spawn(lambda: (world.call("payment.charge", saga=order.id), done.append(1)))
        while not done:
            time.sleep(0)
        return True

    assert lab.trial(lab.system(run)).answers == ["completed"]


def test_a_negative_wait_is_the_error_that_it_is_outside(lab: Laboratory) -> None:
    for wait in (lambda world: time.sleep(-1), lambda world: world.sleep(-1)):
        trial = lab.trial(lab.system(lambda world, order, wait=wait: wait(world)))
        assert trial.raised[0][0] == "ValueError"


def test_the_wall_clock_starts_at_the_same_moment_in_every_run(lab: Laboratory) -> None:
    times: list[float] = []
    system = lab.system(lambda world, order: times.extend([time.time(), world.now()]) or True)
    lab.trial(system)
    lab.trial(system)
    assert times == [1_700_000_000.0] * 4


def test_a_clock_kept_in_a_class_is_no_method(lab: Laboratory) -> None:
    simulate(Setup(adapter=lab.system(lambda world, order: True), scenario=Scenario()))  # the clocks are replaced now

    class Limiter:
        clock = time.monotonic

    assert Limiter().clock() > 0
    assert not isinstance(Limiter().clock, types.MethodType)


def test_outside_of_the_simulation_time_is_real(lab: Laboratory) -> None:
    lab.trial(lab.system(lambda world, order: True))
    before = time.time()
    time.sleep(0.01)
    assert 0.009 < time.time() - before < 5
    assert before > 1_700_000_001


def test_time_is_real_in_another_thread_while_a_simulation_runs(lab: Laboratory) -> None:
    inside, outside = threading.Event(), threading.Event()
    real: list[float] = []

    def bystander() -> None:
        inside.wait(10)
        real.extend([time.time(), time.time()])
        outside.set()

    class Bank:
        def handle(self, request: Request, tx: Transaction) -> None:
            inside.set()
            outside.wait(10)

    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", saga=order.id)
        inside.clear()
        outside.clear()
        thread = threading.Thread(target=bystander)
        thread.start()
        inside.set()
        outside.wait(10)
        thread.join()
        return True

    thread = threading.Thread(target=bystander)
    thread.start()
    trial = lab.trial(lab.system(run, participants={"payment": Bank}))
    thread.join()
    assert trial.answers == ["completed"]
    assert len(real) == 4
    assert min(real) > 1_700_000_001


def test_the_simulation_is_virtual_only_while_its_own_code_runs(lab: Laboratory) -> None:
    sim = Simulation(Setup(adapter=lab.system(lambda world, order: True), scenario=Scenario()), manual=True)
    with virtual(sim):
        assert time.time() > 1_700_000_001
        sim.start("start")
        sim.kernel.run()
        assert time.time() > 1_700_000_001
        sim.finish()


def draw(world: Any) -> list[Any]:
    bag = list(range(10))
    random.shuffle(bag)
    return [
        random.random(),
        random.randint(0, 10**9),
        random.choice(range(10**9)),
        random.gauss(0, 1),
        bag,
        str(uuid.uuid4()),
        secrets.token_hex(8),
        secrets.randbelow(10**9),
        random.SystemRandom().random(),
        world.random.random(),
    ]


def test_chance_repeats_with_the_seed_and_differs_with_another(lab: Laboratory) -> None:
    drawn: list[Any] = []
    system = lab.system(lambda world, order: drawn.append(draw(world)) or True)
    for seed in (0, 0, 1):
        lab.trial(system, seed=seed)
    first, second, other = drawn
    assert first == second
    assert all(a != b for a, b in zip(first, other, strict=True))


def test_chance_inside_does_not_touch_chance_outside(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        random.seed(99)
        random.random()
        return True

    random.seed(5)
    expected = random.random()
    random.seed(5)
    lab.trial(lab.system(run))
    assert random.random() == expected


def test_a_seed_set_inside_holds_inside(lab: Laboratory) -> None:
    drawn: list[float] = []

    def run(world: Any, order: Any) -> bool:
        random.seed(7)
        drawn.append(random.random())
        return True

    lab.trial(lab.system(run), seed=1)
    lab.trial(lab.system(run), seed=2)
    assert drawn == [random.Random(7).random()] * 2
