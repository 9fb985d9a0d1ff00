"""Waiting is not rest: what comes after a long wait is seen, and who polls for ever costs next to nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from sagafuzz import Adapter, Fault, Outcome, Plan, PortError, Scenario, Site
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.invariants import check
from sagafuzz.simulator import Setup, Simulation

from .conftest import Laboratory

HOUR_S = 3_600


def driven(world: Any, order: Any) -> bool:
    """Runs a saga that its own record tells to be open until it is done."""
    world.store.put(order.id, {"open": True}, record="create", saga=order.id)
    return drive(world, order.id)


def drive(world: Any, saga: str) -> bool:
    for operation in ("order.create", "payment.charge"):
        world.call(operation, saga=saga, key=operation)
    world.store.put(saga, {"open": False}, record="terminal", saga=saga)
    return True


def ticks(system: Adapter) -> int:
    """How many timers fire in a run of the system without faults."""
    sim = Simulation(Setup(adapter=system, scenario=Scenario()))
    sim.complete()
    return sim.kernel.ticks


def parked(lab: Laboratory, wait: Callable[[Any, str], object], **options: Any) -> Adapter:
    """Does its first step, answers 'pending', and beside that goes wrong once ``wait(world, saga)`` returns."""

    def run(world: Any, order: Any) -> Outcome:
        world.store.put(order.id, {"open": True}, saga=order.id)
        world.call("order.create", saga=order.id, key="o")
        world.spawn(later, world, order.id)
        return Outcome.PENDING

    def later(world: Any, saga: str) -> None:
        wait(world, saga)
        raise KeyError("a bug")

    return lab.system(run, **options)  # type: ignore[no-any-return]


def by_the_wall_clock(world: Any, saga: str) -> None:
    due = time.time() + 5 * HOUR_S
    while time.time() < due:
        time.sleep(0.2)


def by_the_worlds_clock(world: Any, saga: str) -> None:
    due = world.now() + 5 * HOUR_S
    while world.now() < due:
        world.sleep(0.2)


def by_counting(world: Any, saga: str) -> None:
    for _ in range(3_000):
        if not world.store.get(saga)["open"]:
            return
        world.sleep(1)


def by_asking_a_participant(world: Any, saga: str) -> None:
    due = world.now() + HOUR_S
    while world.now() < due:
        world.call("payment.status", saga=saga)
        world.sleep(0.5)


@pytest.mark.parametrize(
    "wait",
    [by_the_wall_clock, by_the_worlds_clock, by_counting, by_asking_a_participant],
    ids=lambda wait: wait.__name__,
)
def test_what_comes_after_a_long_wait_is_seen(lab: Laboratory, wait: Callable[[Any, str], object]) -> None:
    trial = lab.trial(parked(lab, wait, operations=("payment.status",)))
    assert [event.get("type") for event in trial.of("RAISED")] == ["KeyError"]


def test_what_comes_after_a_long_wait_of_a_coroutine_is_seen(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        due = world.now() + 5 * HOUR_S
        while world.now() < due:  # noqa: ASYNC110, that is what is tried
            await asyncio.sleep(0.2)
        raise KeyError("a bug")

    assert [event.get("type") for event in lab.trial(lab.system(run)).of("RAISED")] == ["KeyError"]


def test_a_wait_under_a_promised_deadline_is_not_stretched_and_cut_it_is_inconclusive(
    lab: Laboratory,
) -> None:
    trial = lab.trial(parked(lab, by_the_wall_clock, deadline_ms=100 * HOUR_S * 1000))
    assert trial.end == "waiting"
    verdict = check(trial.history)
    assert verdict.conclusion == "inconclusive"
    assert {"I2", "I3", "I11", "I13", "C3"} <= verdict.gave_up.keys()
    assert "still polled" in verdict.gave_up["I3"]


def sweeping(
    lab: Laboratory, sweep: Callable[[Any], object] | None, *, forgetful: bool = False, **options: Any
) -> Adapter:
    """Takes two steps, takes up what is open when it starts if it is not ``forgetful``, and beside all sagas calls
    ``sweep(world)`` for ever."""

    def boot(world: Any) -> None:
        if sweep is not None:
            world.spawn(sweeps, world)

    def sweeps(world: Any) -> None:
        while True:
            world.sleep(1)
            sweep(world)  # type: ignore[misc]

    def recover(world: Any) -> None:
        for saga, entry in world.store.items():
            if entry["open"] and not forgetful:
                drive(world, saga)

    return lab.system(driven, boot=boot, recover=recover, **options)  # type: ignore[no-any-return]


def looks_into_the_store(world: Any) -> None:
    assert len(world.store.items()) <= 1


def looks_at_leases(world: Any) -> None:
    assert not [key for key, saga in world.store.items() if saga["open"] and world.now() < 0]


@pytest.mark.parametrize("sweep", [looks_into_the_store, looks_at_leases])
def test_a_sweeper_that_runs_for_ever_costs_next_to_nothing(lab: Laboratory, sweep: Callable[[Any], object]) -> None:
    assert ticks(sweeping(lab, sweep)) < ticks(sweeping(lab, None)) + 40


def test_a_sweeper_costs_as_little_where_a_crash_left_nobody_to_be_told(lab: Laboratory) -> None:
    system = sweeping(lab, looks_into_the_store)
    plan = lab.plan(["crash-after-effect pay F"])
    sim = Simulation(Setup(adapter=system, scenario=Scenario()), plan.faults)
    sim.complete()
    assert sim.kernel.ticks < 200


def asks_a_participant(world: Any) -> None:
    with suppress(PortError):
        world.call("payment.status", saga="saga-1")


def asks_for_the_time_until_it_is_over(world: Any) -> None:
    assert all(world.now() > 0 for _, saga in world.store.items() if saga["open"])


def asks_about_each_saga(world: Any) -> None:
    for saga, _ in world.store.items():  # noqa: PERF102, a list of pairs
        with suppress(PortError):
            world.call("payment.status", saga=saga)


@pytest.mark.parametrize(
    "sweep",
    [looks_into_the_store, asks_a_participant, asks_about_each_saga, asks_for_the_time_until_it_is_over],
)
@pytest.mark.parametrize("fault", ["duplicate order F", "crash-after-effect pay F", "clock-forward pay F"])
def test_a_sweeper_that_polls_for_ever_is_known_again_at_once(
    lab: Laboratory, sweep: Callable[[Any], object], fault: str
) -> None:
    """After all sagas its first round is told from none that follows; a process that has died leaves none behind."""
    plan = lab.plan([fault])
    scenario = Scenario()
    without = Simulation(Setup(adapter=sweeping(lab, None), scenario=scenario), plan.faults)
    beside = Simulation(
        Setup(adapter=sweeping(lab, sweep, operations=("payment.status",)), scenario=scenario), plan.faults
    )
    without.complete()
    run = beside.complete()
    assert run.rows[-1][9] == ("quiescent",)
    assert beside.kernel.ticks < without.kernel.ticks + 30


def test_the_timers_of_who_has_died_are_no_round_of_who_lives(lab: Laboratory) -> None:
    """The dead one would have been woken before the other one looks for the first time, and does harm."""

    def refunds_what_is_closed(world: Any) -> None:
        for saga, entry in world.store.items():
            if not entry["open"]:
                world.call("payment.refund", saga=saga, key="r")

    trial = lab.trial(sweeping(lab, refunds_what_is_closed), "crash-after-log 'terminal'")
    assert trial.of("APPLY", step="pay")[-1].direction == "C"


def says_that_it_lives(world: Any) -> None:
    with suppress(PortError):
        world.store.put("sweeper", {"open": False, "seen": world.now()})


def says_that_the_saga_lives(world: Any) -> None:
    with suppress(PortError):
        world.store.put("seen", {"open": False}, saga="saga-1")


def at_its_sign_of_life(kind: str, nth: int) -> Plan:
    return Plan(faults=(Fault(kind=kind, site=Site("", "write", "", FAULT_KINDS[kind].phase, nth)),))


@pytest.mark.parametrize("nth", [1, 3])
def test_two_who_say_that_they_live_cost_as_little_as_one(lab: Laboratory, nth: int) -> None:
    """Nobody reads what they write."""
    system = sweeping(lab, says_that_it_lives)
    plan = at_its_sign_of_life("second-orchestrator", nth)
    sim = Simulation(Setup(adapter=system, scenario=Scenario()), plan.faults)
    run = sim.complete()
    assert run.rows[-1][9] == ("quiescent",)
    assert len(run.fired) == 1
    assert sim.kernel.ticks < ticks(system) + 60


def test_two_who_read_that_the_other_one_lives_are_not_kept_from_saying_so(lab: Laboratory) -> None:
    """Time is not skipped: a sign of life would be older then than it ever is."""

    def takes_over_what_seems_dead(world: Any) -> None:
        signs = [entry["seen"] for key, entry in world.store.items() if key[:4] == "sign"]
        if any(world.now() - seen > 30 for seen in signs):
            world.call("payment.refund", saga="saga-1", key="r")
        with suppress(PortError):
            world.store.put(f"sign-{round(world.now()) % 2}", {"open": False, "seen": world.now()})

    trial = lab.trial(sweeping(lab, takes_over_what_seems_dead), "second-orchestrator 'terminal'")
    assert trial.of("APPLY", direction="C") == []


@pytest.mark.parametrize("nth", [3, 9])
@pytest.mark.parametrize("kind", ["store-error-before-commit", "crash-after-log"])
def test_a_fault_that_strikes_who_says_that_it_lives_costs_little(lab: Laboratory, kind: str, nth: int) -> None:
    system = sweeping(lab, says_that_it_lives)
    sim = Simulation(Setup(adapter=system, scenario=Scenario()), at_its_sign_of_life(kind, nth).faults)
    assert sim.complete().fired
    assert sim.kernel.ticks < ticks(system) + 30


@pytest.mark.parametrize(
    "sweep",
    [
        looks_into_the_store,
        asks_a_participant,
        asks_for_the_time_until_it_is_over,
        says_that_it_lives,
        says_that_the_saga_lives,
    ],
)
def test_a_sweeper_hides_no_saga_that_nobody_takes_up(lab: Laboratory, sweep: Callable[[Any], object]) -> None:
    """Nothing of the saga is in effect: that it stands still is all that is wrong."""

    def judged(*, forgetful: bool) -> list[tuple[str, str]]:
        system = sweeping(lab, sweep, forgetful=forgetful, operations=("payment.status",))
        trial = lab.unchecked(system, "crash-after-log 'create'")
        return [(found.invariant, found.sentence) for found in check(trial.history).violations]

    assert judged(forgetful=False) == []
    told = {
        asks_a_participant: (
            "I13",
            "saga-1 was in flight when the orchestrator died, and after that it was only asked",
        ),
        says_that_the_saga_lives: ("C3", "the code under test goes round without an end: it wrote for saga-1"),
    }
    invariant, beginning = told.get(sweep, ("I13", "saga-1 was in flight when the orchestrator died, and nobody took"))
    ((found, sentence),) = judged(forgetful=True)
    assert found == invariant
    assert sentence.startswith(beginning)


def test_each_call_of_a_sweeper_is_struck_once_after_all_sagas(lab: Laboratory) -> None:
    system = sweeping(lab, asks_a_participant, operations=("payment.status",))
    asked = [site for site in lab.trial(system).sites if site.direction == "Q"]
    assert [site.occurrence for site in asked] == [1, 1, 1], "when it is sent, takes effect, and is answered"


@pytest.mark.parametrize("nth", [2, 6])
def test_a_fault_for_a_later_round_of_a_sweeper_strikes_in_it(lab: Laboratory, nth: int) -> None:
    """As long as it is to come each round is another one."""
    system = sweeping(lab, asks_a_participant, operations=("payment.status",))
    site = Site("saga-1", "payment.status", "Q", "send", nth)
    run = Simulation(Setup(adapter=system, scenario=Scenario()), [Fault(kind="lost-request", site=site)]).complete()
    assert len(run.fired) == 1


def test_a_fault_for_what_is_done_in_no_round_is_not_waited_for(lab: Laboratory) -> None:
    system = sweeping(lab, asks_a_participant, operations=("payment.status",))
    plan = Plan(faults=(Fault(kind="lost-request", site=Site("saga-1", "pay", "F", "send", 2)),))
    sim = Simulation(Setup(adapter=system, scenario=Scenario()), plan.faults)
    sim.complete()
    assert sim.kernel.ticks <= ticks(system)


def test_a_sweeper_that_does_harm_hours_after_the_end_is_seen(lab: Laboratory) -> None:
    def refunds_late(world: Any) -> None:
        for saga, _ in world.store.items():  # noqa: PERF102, a list of pairs
            if world.now() > 1_770_000_000 + 8 * HOUR_S:
                world.call("payment.refund", saga=saga, key="r")

    trial = lab.trial(sweeping(lab, refunds_late))
    assert trial.of("APPLY", step="pay")[-1].direction == "C"
    assert check(trial.history).violations != ()


def harmful_in_its_round(number: int, *, timed: bool) -> Callable[[Any], object]:
    """A sweep that counts its rounds, and refunds in one of them."""
    rounds: list[int] = []

    def sweep(world: Any) -> None:
        rounds.append(0)
        assert world.store.items() and (not timed or world.now())
        if len(rounds) == number:
            world.call("payment.refund", saga="saga-1", key="r")

    return sweep


@pytest.mark.parametrize("timed", [False, True], ids=["without a clock", "by the clock"])
def test_a_sweeper_that_does_harm_in_its_fortieth_round_is_seen(lab: Laboratory, timed: bool) -> None:
    trial = lab.trial(sweeping(lab, harmful_in_its_round(40, timed=timed)))
    assert trial.of("APPLY", step="pay")[-1].direction == "C"
    assert check(trial.history).violations != ()


def test_a_coroutine_that_does_harm_in_its_fortieth_round_is_seen(lab: Laboratory) -> None:
    async def refunds_late(world: Any) -> None:
        for _ in range(40):
            await world.sleep(1)
        await world.call("payment.refund", saga="saga-1", key="r")

    async def run(world: Any, order: Any) -> bool:
        world.spawn(refunds_late, world)
        for operation in ("order.create", "payment.charge"):
            await world.call(operation, key=operation)
        return True

    assert lab.trial(lab.system(run)).of("APPLY", step="pay")[-1].direction == "C"


def relayed(
    lab: Laboratory, look: Callable[[Any], object], *, receives: bool = False, bank: type | None = None, later: int = 0
) -> Adapter:
    """A checkout whose relay ``look``s into its database every second, by no clock."""

    def boot(world: Any) -> None:
        world.sqlite().execute("CREATE TABLE IF NOT EXISTS outbox (n INTEGER PRIMARY KEY, sent INT)")
        world.spawn(poll, world)

    def poll(world: Any) -> None:
        while True:
            look(world)
            world.sleep(1)

    def run(world: Any, order: Any) -> Outcome:
        for operation in ("order.create", "payment.charge"):
            world.call(operation, saga=order.id, key=operation)
        if receives:
            world.publish("paid", saga=order.id, delay_ms=1_000 * later)
        return Outcome.COMPLETED

    found = lab.system(run, boot=boot, participants={} if bank is None else {"payment": bank})
    if receives:
        found.factory.receive = lambda self, message: None  # type: ignore[attr-defined]
    return found  # type: ignore[no-any-return]


def looks_into_the_outbox(world: Any) -> None:
    world.sqlite().execute("SELECT n FROM outbox WHERE sent = 0").fetchall()


class Notes:
    """A payment service that notes whom it has charged."""

    def handle(self, request: Any, tx: Any) -> None:
        tx.state[request.operation] = request.saga


@pytest.mark.parametrize("bank", [None, Notes])
@pytest.mark.parametrize("receives", [False, True])
def test_a_relay_of_a_database_that_polls_without_a_clock_is_at_rest(
    lab: Laboratory, receives: bool, bank: type | None
) -> None:
    system = relayed(lab, looks_into_the_outbox, receives=receives, bank=bank)
    assert ticks(system) < 60
    assert lab.trial(system).end == "quiescent"


def counts_in_the_database(world: Any) -> None:
    with world.sqlite() as db:
        db.execute("INSERT INTO outbox (sent) VALUES (1)")
        (rounds,) = db.execute("SELECT count(*) FROM outbox").fetchone()
    if rounds == 40:
        world.call("payment.refund", saga="saga-1", key="r")


def counts_in_an_open_transaction(world: Any, kept: list[Any] = []) -> None:  # noqa: B006
    db = kept[0] if kept else kept.append(world.sqlite()) or kept[0]
    db.execute("INSERT INTO outbox (sent) VALUES (1)")
    (rounds,) = db.execute("SELECT count(*) FROM outbox").fetchone()
    if rounds == 40:
        world.call("payment.refund", saga="saga-1", key="r")


def counts_at_a_participant(world: Any) -> None:
    if world.call("payment.peek", saga="saga-1")["rounds"] == 40:
        world.call("payment.refund", saga="saga-1", key="r")


class Counts(Notes):
    """Counts how often it is asked, in what it remembers."""

    def handle(self, request: Any, tx: Any) -> Any:
        if request.operation == "payment.peek":
            tx.memory["rounds"] = tx.memory.get("rounds", 0) + 1
            return {"rounds": tx.memory["rounds"]}
        return super().handle(request, tx)


@pytest.mark.parametrize(
    ("look", "bank"),
    [(counts_in_the_database, None), (counts_in_an_open_transaction, None), (counts_at_a_participant, Counts)],
)
def test_a_relay_that_does_harm_in_its_fortieth_round_is_seen(
    lab: Laboratory, look: Callable[[Any], object], bank: type | None
) -> None:
    system = replace(relayed(lab, look, bank=bank), operations=("payment.peek",))
    assert lab.trial(system).of("APPLY", step="pay")[-1].direction == "C"


def test_a_message_that_comes_later_is_waited_for_beside_a_relay(lab: Laboratory) -> None:
    trial = lab.trial(relayed(lab, looks_into_the_outbox, receives=True, later=30))
    assert trial.of("HANDLED")[0].t_us > 30_000_000


def test_who_counts_its_rounds_for_ever_is_cut_and_the_run_is_inconclusive(lab: Laboratory) -> None:
    trial = lab.trial(sweeping(lab, harmful_in_its_round(10_000, timed=False)))
    assert trial.end == "waiting"
    assert check(trial.history).conclusion == "inconclusive"


@pytest.mark.parametrize(
    "plan",
    [
        ["second-orchestrator 'create'", "lost-ack order F"],
        ["pause order F", "lost-ack order F #2"],
        ["reordered order F"],
        ["crash-after-log 'create'", "store-error-before-commit 'terminal'"],
        ["lost-ack pay F"],
    ],
    ids=" and ".join,
)
@pytest.mark.parametrize("sweep", [looks_into_the_store, looks_at_leases])
def test_a_sweeper_costs_little_where_a_saga_stays_open_until_a_restart(
    lab: Laboratory, sweep: Callable[[Any], object], plan: list[str]
) -> None:
    sim = Simulation(Setup(adapter=sweeping(lab, sweep), scenario=Scenario()), lab.plan(plan).faults)
    assert sim.complete().rows[-1][9] == ("quiescent",)
    assert sim.kernel.ticks < 500


def renews_a_lease(world: Any, saga: str) -> None:
    world.store.put(f"lease/{saga}", world.now() + 15)


def renews_its_own_lease(world: Any, saga: str) -> None:
    world.store.put("worker", {"until": time.time() + 15})


def says_that_it_is_there(world: Any, saga: str) -> None:
    world.store.put(f"owner/{saga}", "me")


@pytest.mark.parametrize("beat", [renews_a_lease, renews_its_own_lease, says_that_it_is_there])
def test_who_writes_that_it_lives_while_it_waits_by_the_clock_waits_all_the_same(
    lab: Laboratory, beat: Callable[[Any, str], object]
) -> None:
    """Half a day of it is no livelock, costs little, and what comes afterwards is seen."""

    def wait(world: Any, saga: str) -> None:
        world.store.put(f"due/{saga}", world.now() + 12 * HOUR_S)
        while world.now() < world.store.get(f"due/{saga}"):
            beat(world, saga)
            world.sleep(5)

    system = parked(lab, wait)
    assert [event.get("type") for event in lab.trial(system).of("RAISED")] == ["KeyError"]
    assert ticks(system) < 200


@pytest.mark.parametrize("due", [5, 8])
def test_who_writes_that_it_lives_for_hours_and_then_does_harm_is_seen(lab: Laboratory, due: int) -> None:
    def sweep(world: Any) -> None:
        world.store.put("sweeper", {"seen": world.now()})
        if world.now() > 1_770_000_000 + due * HOUR_S:
            world.call("payment.refund", saga="saga-1", key="r")

    trial = lab.trial(sweeping(lab, sweep))
    assert trial.of("APPLY", step="pay")[-1].direction == "C"
    assert check(trial.history).violations != ()


@pytest.mark.parametrize("hours", [1, 24, 30 * 24], ids=["an hour", "a day", "a month"])
def test_a_sweeper_is_waited_for_until_the_timeout_of_its_own(lab: Laboratory, hours: int) -> None:
    """It takes up what was left open for so long: that is right, and takes few rounds to be seen."""

    def sweep(world: Any) -> None:
        for saga, entry in world.store.items():
            if entry["open"] and world.now() > 1_770_000_000 + hours * HOUR_S:
                world.call("payment.charge", saga=saga, key="payment.charge")
                world.store.put(saga, {"open": False}, record="terminal", saga=saga)

    setup = Setup(adapter=sweeping(lab, sweep), scenario=Scenario())
    plan = lab.plan(["lost-request pay F"])
    sim = Simulation(setup, plan.faults)
    verdict = check(sim.complete().history(setup, plan))
    assert (verdict.conclusion, verdict.violations) == ("consistent", ())
    assert sim.kernel.ticks < 100


def test_what_an_open_saga_does_later_than_twice_its_timeout_before_is_seen(lab: Laboratory) -> None:
    """It asks again after an hour, wrongly under another key, and gives up after two and a half."""

    def wait(world: Any, saga: str) -> None:
        began, again = world.now(), False
        while (waited := world.now() - began) < 2.5 * HOUR_S:
            if waited > HOUR_S and not again:
                again = True
                world.call("order.create", saga=saga, key="another")
            world.sleep(1)

    assert len(lab.trial(parked(lab, wait)).of("APPLY", step="order", direction="F")) == 2


def asks_for_the_time(world: Any) -> None:
    assert world.now() > 0


@pytest.mark.parametrize("polls", [says_that_it_lives, asks_for_the_time])
def test_who_looks_every_ten_minutes_does_so_too_beside_who_polls_each_second(
    lab: Laboratory, polls: Callable[[Any], object]
) -> None:
    """It takes up what was left open for an hour: nothing is stuck."""

    def boot(world: Any) -> None:
        world.spawn(every, world, 1, polls)
        world.spawn(every, world, 600, takes_up)

    def every(world: Any, seconds: int, act: Callable[[Any], object]) -> None:
        while True:
            world.sleep(seconds)
            act(world)

    def takes_up(world: Any) -> None:
        for saga, entry in world.store.items():
            if entry["open"] and world.now() > 1_770_000_000 + HOUR_S:
                drive(world, saga)

    trial = lab.trial(lab.system(driven, boot=boot), "lost-request pay F")
    verdict = check(trial.history)
    assert (verdict.conclusion, verdict.violations) == ("consistent", ())


def test_who_polls_a_replica_that_lags_is_waited_for_until_it_does_no_more(lab: Laboratory) -> None:
    """It looks every millisecond; what is not there yet is there after 50."""

    def recover(world: Any) -> None:
        while not world.store.items():
            world.sleep(0.001)
        for saga, entry in world.store.items():
            if entry["open"]:
                drive(world, saga)

    setup = Setup(adapter=lab.system(driven, recover=recover), scenario=Scenario())
    kinds = {"crash-after-log", "stale-read"}
    ends = [check(case.run.history(setup, case.plan)) for case in Enumerator(setup, 2, kinds, reductions=()).cases()]
    assert len(ends) > 5
    assert not [verdict.violations for verdict in ends if verdict.violations]


def test_a_saga_for_which_somebody_polls_in_vain_is_not_called_inconclusive(lab: Laboratory) -> None:
    def for_ever(world: Any, saga: str) -> None:
        while world.now() > 0:
            world.sleep(60)

    trial = lab.trial(parked(lab, for_ever))
    assert trial.end == "quiescent"
    assert {violation.invariant for violation in check(trial.history).violations} == {"I2"}


@pytest.mark.parametrize(("counts", "most"), [(False, 200), (True, 3_100)], ids=["all alike", "counted"])
def test_a_livelock_is_told_as_soon_as_it_is_proven_and_else_after_some_thousand_timers(
    lab: Laboratory, counts: bool, most: int
) -> None:
    def run(world: Any, order: Any) -> bool:
        attempts = 0
        while True:
            attempts += counts
            try:
                return bool(world.call("payment.charge", key="k"))
            except PortError:
                world.sleep(0.1)

    sim = Simulation(Setup(adapter=lab.system(run), scenario=Scenario(rejections=((1, "payment.charge"),))))
    assert sim.complete().rows[-1][9] == ("livelock",)
    assert sim.kernel.ticks < most


def test_who_asks_a_participant_that_cannot_be_reached_for_a_while_is_not_at_rest(lab: Laboratory) -> None:
    def boot(world: Any) -> None:
        world.spawn(sweep, world)

    def sweep(world: Any) -> None:
        while True:
            world.store.items()
            world.sleep(0.001)

    def run(world: Any, order: Any) -> Outcome:
        world.store.put(order.id, {}, record="create", saga=order.id)
        world.spawn(relay, world, order.id)
        return Outcome.PENDING

    def relay(world: Any, saga: str) -> None:
        asked = False
        while not asked:
            with suppress(PortError):
                asked = world.call("payment.status", saga=saga) is not None
        for operation in ("order.create", "payment.charge"):
            world.call(operation, saga=saga, key=operation)
        world.reply(saga, Outcome.COMPLETED)

    system = lab.system(run, boot=boot, operations=("payment.status",))
    assert lab.trial(system, "partition payment.status Q").answers == ["pending", "completed"]


def test_a_run_of_an_older_process_is_waited_for_beside_a_newer_one(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        for operation in ("order.create", "payment.charge"):
            world.call(operation, saga=order.id, key=operation)
        world.store.put(order.id, {"outcome": "completed"}, record="terminal", saga=order.id)
        for _ in range(100):
            world.sleep(0.1)
        return True

    system = lab.system(run, recover=lambda world: None)
    assert lab.unchecked(system, "second-orchestrator 'terminal'").answers == ["completed"]  # it changes nothing


# -- where a count may be kept ---------------------------------------------------------------------------


class Shared:
    count = 0


SHARED = Shared()
COUNTS = {"polls": 0}
ELSEWHERE = ModuleType("elsewhere")


def one_more() -> int:
    COUNTS["polls"] += 1
    return COUNTS["polls"]


def in_an_instance() -> int:
    SHARED.count += 1
    return SHARED.count


def in_a_class() -> int:
    Shared.count += 1
    return Shared.count


def in_a_table_of_another_function() -> int:
    return one_more()


def in_another_module() -> int:
    ELSEWHERE.count = getattr(ELSEWHERE, "count", 0) + 1  # type: ignore[attr-defined]
    return ELSEWHERE.count  # type: ignore[no-any-return,attr-defined]


def in_a_default(counted: list[int] = []) -> int:  # noqa: B006
    counted.append(0)
    return len(counted)


def in_itself() -> int:
    in_itself.count = getattr(in_itself, "count", 0) + 1  # type: ignore[attr-defined]
    return in_itself.count  # type: ignore[attr-defined,no-any-return]


def behind_an_import() -> int:
    import sys

    return sys.modules[__name__].one_more()  # type: ignore[no-any-return]


class _Looked:
    @classmethod
    def behind_a_method(cls) -> int:
        return one_more()

    @property
    def behind_a_property(self) -> int:
        return one_more()


@pytest.mark.parametrize(
    "count",
    [
        in_an_instance,
        in_a_class,
        in_a_table_of_another_function,
        in_another_module,
        in_a_default,
        in_itself,
        behind_an_import,
        _Looked.behind_a_method,
        lambda: _Looked().behind_a_property,
    ],
)
def test_who_counts_outside_of_what_waits_does_not_go_round(lab: Laboratory, count: Callable[[], int]) -> None:
    def run(world: Any, order: Any) -> bool:
        first = count()
        while count() < first + 700:
            world.sleep(1)
            world.store.get("nothing")
        world.call("order.create", key="o")
        return bool(world.call("payment.charge", key="p"))

    trial = lab.trial(lab.system(run))
    assert trial.end == "quiescent"
    assert trial.of("CLIENT_ACK")[0].data == ("completed",)
