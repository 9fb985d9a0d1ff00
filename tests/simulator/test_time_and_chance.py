"""Time is virtual and chance repeats inside the code under test, and nowhere else."""
# Naive dates are what is tested, and a lambda looks its clock up when it is called.
# ruff: noqa: DTZ002, DTZ003, DTZ005, DTZ011, DTZ012, PLW0108

from __future__ import annotations

import asyncio
import copy
import dataclasses
import datetime as dt
import os
import pickle
import random
import secrets
import threading
import time
import types
import uuid
from concurrent.futures import ThreadPoolExecutor
from time import sleep as sleep_taken_before
from typing import Any

import pytest

from sagafuzz import Request, Scenario, Transaction
from sagafuzz.simulator import Setup, Simulation, simulate
from sagafuzz.simulator.patches import virtual

from .conftest import Laboratory

THREE_HOURS = 3 * 3600
START = 1_770_000_000.0
BEGINNING = dt.datetime.fromtimestamp(START, dt.UTC)


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
    assert times == [1_770_000_000.0] * 4


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
    assert before > 1_770_000_001


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
        watching = pool.submit(bystander)
        inside.set()
        outside.wait(10)
        watching.result()
        return True

    with ThreadPoolExecutor(1) as pool:
        pool.submit(bystander)
        trial = lab.trial(lab.system(run, participants={"payment": Bank}))
    assert trial.answers == ["completed"]
    assert len(real) == 4
    assert min(real) > 1_770_000_001


def test_the_simulation_is_virtual_only_while_its_own_code_runs(lab: Laboratory) -> None:
    sim = Simulation(Setup(adapter=lab.system(lambda world, order: True), scenario=Scenario()), manual=True)
    with virtual(sim):
        assert time.time() > 1_770_000_001
        sim.start("start")
        sim.kernel.run()
        assert time.time() > 1_770_000_001
        sim.finish()


# -- the wall clock in all its forms -------------------------------------------------------------

Moment = dt.datetime  # taken by name before anything was replaced
taken_now = dt.datetime.now
taken_today = dt.date.today


@dataclasses.dataclass
class Stamped:
    """What a record of a saga often looks like."""

    at: dt.datetime = dataclasses.field(default_factory=dt.datetime.now)
    since: float = dataclasses.field(default_factory=time.time)


class Timed:
    clock = staticmethod(time.time)

    def __init__(self, clock: Any = time.time, *, today: Any = dt.date.today) -> None:
        self.asked = clock
        self.today = today


def closed_over(now: Any = dt.datetime.now) -> Any:
    taken = time.time_ns
    return lambda: (now(), taken())


in_a_closure = closed_over()

WALLS: dict[str, Any] = {
    "datetime.now": lambda: dt.datetime.now().timestamp(),
    "datetime.now(UTC)": lambda: dt.datetime.now(dt.UTC).timestamp(),
    "datetime.now(tz=)": lambda: dt.datetime.now(tz=dt.timezone(dt.timedelta(hours=5))).timestamp(),
    "datetime.utcnow": lambda: dt.datetime.utcnow().replace(tzinfo=dt.UTC).timestamp(),
    "datetime.today": lambda: dt.datetime.today().timestamp(),
    "from datetime import datetime": lambda: Moment.now().timestamp(),
    "now = datetime.now": lambda: taken_now().timestamp(),
    "default_factory=datetime.now": lambda: Stamped().at.timestamp(),
    "default_factory=time.time": lambda: Stamped().since,
    "clock=time.time": lambda: Timed().asked(),
    "clock in a class": lambda: Timed.clock(),
    "clock in a closure": lambda: in_a_closure()[0].timestamp(),
    "nanoseconds in a closure": lambda: in_a_closure()[1] / 1e9,
    "gmtime": lambda: dt.datetime(*time.gmtime()[:6], tzinfo=dt.UTC).timestamp(),
    "localtime": lambda: time.mktime(time.localtime()),
    "strftime": lambda: time.mktime(time.strptime(time.strftime("%Y-%m-%d %H:%M:%S"), "%Y-%m-%d %H:%M:%S")),
    "ctime": lambda: time.mktime(time.strptime(time.ctime())),
    "asctime": lambda: time.mktime(time.strptime(time.asctime())),
    "clock_gettime": lambda: time.clock_gettime(time.CLOCK_REALTIME),
    "clock_gettime_ns": lambda: time.clock_gettime_ns(time.CLOCK_REALTIME) / 1e9,
    "uuid1": lambda: (uuid.uuid1().time - 0x01B21DD213814000) / 1e7,
}


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
@pytest.mark.parametrize("wall", WALLS.values(), ids=WALLS)
def test_the_date_is_virtual_however_it_is_asked_for(lab: Laboratory, wall: Any) -> None:
    told: list[float] = []

    def run(world: Any, order: Any) -> bool:
        told.append(wall())
        world.sleep(THREE_HOURS)
        told.append(wall())
        return True

    lab.trial(lab.system(run))
    assert told == pytest.approx([START, START + THREE_HOURS], abs=1e-3)
    assert wall() > START + 1000 * THREE_HOURS  # and real outside


@pytest.mark.parametrize("today", [lambda: dt.date.today(), lambda: taken_today(), lambda: Timed().today()])
def test_today_is_a_virtual_day(lab: Laboratory, today: Any) -> None:
    told: list[dt.date] = []

    def run(world: Any, order: Any) -> bool:
        told.append(today())
        world.sleep(24 * 3600)
        told.append(today())
        return True

    lab.trial(lab.system(run))
    assert told == [dt.date.fromtimestamp(START), dt.date.fromtimestamp(START + 24 * 3600)]
    assert type(told[0]) is dt.date


def test_a_date_made_inside_is_a_date_like_every_other(lab: Laboratory) -> None:
    made: list[dt.datetime] = []
    lab.trial(lab.system(lambda world, order: bool(made.append(dt.datetime.now(dt.UTC))) or True))
    (moment,) = made
    assert moment == BEGINNING
    assert type(moment) is dt.datetime is Moment
    assert isinstance(moment, dt.date)
    assert pickle.loads(pickle.dumps(moment)) == copy.deepcopy(moment) == moment
    assert moment + dt.timedelta(hours=1) > moment


def test_a_class_that_inherits_of_datetime_makes_dates_of_its_own(lab: Laboratory) -> None:
    class Deadline(dt.datetime):
        pass

    made: list[Any] = []
    lab.trial(
        lab.system(lambda world, order: made.extend([Deadline.now(), Deadline.utcnow(), Deadline.today()]) or True)
    )
    assert [type(moment) for moment in made] == [Deadline] * 3
    assert type(Deadline.now()) is Deadline


def test_the_functions_that_were_replaced_keep_their_names_and_can_be_pickled(lab: Laboratory) -> None:
    lab.trial(lab.system(lambda world, order: True))
    for function in (time.time, os.urandom, random.choice, uuid.uuid1, open):
        assert pickle.loads(pickle.dumps(function)) is function
    assert time.time.__name__ == "time"
    assert "tz" in repr(dt.datetime.now.__doc__)


def test_clocks_that_another_tool_put_back_are_replaced_again(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """freezegun, say, puts back what it found when it was imported."""
    told: list[float] = []
    system = lab.system(lambda world, order: told.append(time.time()) or True)
    lab.trial(system)
    replaced: Any = time.time
    time.time = replaced.__wrapped__
    lab.trial(system)
    assert told == [START, START]
    assert time.time() > START + 1


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
        random.Random().random(),
        random.Random(None).getrandbits(64),
        secrets.choice(range(10**9)),
        os.urandom(8),
        uuid.uuid1().clock_seq + random.getrandbits(64),
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


JITTER = random.Random(42)
SYSTEM = random.Random()


class Backoff:
    jitter = random.Random(7)


def test_generators_that_a_module_keeps_begin_anew_in_each_run_and_process(lab: Laboratory) -> None:
    drawn: list[list[float]] = []

    def note(world: Any) -> None:
        drawn.append([generator.random() for generator in (JITTER, Backoff.jitter, SYSTEM)])

    def run(world: Any, order: Any) -> bool:
        note(world)
        world.call("order.create", saga=order.id)
        return True

    system = lab.system(run, recover=note)
    lab.trial(system)
    lab.trial(system, "crash-after-send order F")
    first, again, recovered = drawn
    assert first == again
    assert first[:2] == recovered[:2] == [random.Random(42).random(), random.Random(7).random()]


def test_identifiers_of_one_moment_differ(lab: Laboratory) -> None:
    made: list[Any] = []
    system = lab.system(lambda world, order: made.append([uuid.uuid1() for _ in range(1000)]) or True)
    lab.trial(system)
    lab.trial(system)
    assert len(set(made[0])) == 1000
    assert made[0] == made[1]
    assert made[0] == sorted(made[0], key=lambda each: each.time)


def test_what_the_module_of_identifiers_remembers_outside_is_its_own(lab: Laboratory) -> None:
    before = uuid.uuid1(1)
    lab.trial(lab.system(lambda world, order: bool(uuid.uuid1())))
    assert uuid.uuid1(1).time > before.time > (START + 1e6) * 1e7


def test_the_clock_of_sql_is_virtual(lab: Laboratory) -> None:
    told: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        db = world.sqlite()
        db.execute("CREATE TABLE notes (id, at TEXT DEFAULT CURRENT_TIMESTAMP)")
        for number in range(2):
            db.execute("INSERT INTO notes (id) VALUES (?)", (number,))
            world.sleep(THREE_HOURS)
        told.extend(at for (at,) in db.execute("SELECT at FROM notes ORDER BY id"))
        told.extend(db.execute("SELECT CURRENT_DATE, CURRENT_TIME").fetchone())
        return True

    lab.trial(lab.system(run))
    assert told == ["2026-02-02 02:40:00", "2026-02-02 05:40:00", "2026-02-02", "08:40:00"]


def test_the_chance_of_sql_follows_from_the_seed(lab: Laboratory) -> None:
    told: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        db = world.sqlite()
        db.execute("CREATE TABLE notes (id TEXT DEFAULT (lower(hex(randomblob(16)))), luck DEFAULT (random() % 1000))")
        db.executemany("INSERT INTO notes (rowid) VALUES (?)", [(number,) for number in range(20)])
        told.append(db.execute("SELECT id, luck FROM notes ORDER BY random()").fetchall())
        assert db.execute("SELECT typeof(random()), length(randomblob(-1))").fetchone() == ("integer", 1)
        return True

    for _ in range(2):
        lab.trial(lab.system(run))
    assert told[0] == told[1]
    assert len({id for id, _ in told[0]}) == 20
    assert all(len(id) == 32 and -1000 < luck < 1000 for id, luck in told[0])
