"""A run from a prefix is the run from the beginning; where that cannot be, there is no prefix."""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pytest

from sagafuzz import Message, Order, Outcome, Plan, PortError, Saga, Scenario, Step, Topic, World, adapter
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.history import rows_digest
from sagafuzz.loading import load
from sagafuzz.simulator import Prefix, Setup, Strayed, prefixes, simulate

ASYNC = f"{Path(__file__).parents[2]}/examples/async_saga/async_adapter.py:AsyncShopFixed"

END = 10_000  # more sites than any run here visits


def extensions(setup: Setup, plan: Plan) -> Iterator[tuple[Plan, Prefix | None]]:
    """Each plan with one fault more, and from where it can go on."""
    run, found = simulate(setup, plan), prefixes(setup, plan, END)
    last = run.sites.index(plan.faults[-1].site) if plan.faults else -1
    starts = [prefix.sites for prefix in found]
    enumerator = Enumerator(setup, 1)
    for index, site in enumerate(run.sites):
        at = bisect_right(starts, index)
        for kind in enumerator.kinds(site):
            if index > last and kind not in run.impossible.get(index, ()):
                yield Plan(faults=(*plan.faults, enumerator.fault(kind, site))), found[at - 1] if at else None


@pytest.mark.parametrize(
    ("name", "scenario", "share"),
    [
        ("reference", "succeeds", 1),
        ("reference", "declined", 1),
        ("reference", "over-the-limit", 0.9),
        ("seed", "succeeds", 1),
        ("seed", "declined", 1),
        ("choreography", "declined", 0.8),
        (ASYNC, "placed", 1),
        (ASYNC, "order-refused", 1),
    ],
)
def test_a_run_from_a_prefix_is_the_run_from_the_start(name: str, scenario: str, share: float) -> None:
    loaded = load(name)
    setup = Setup(adapter=loaded, scenario=loaded.scenario(scenario))
    plans = [plan for plan, _ in extensions(setup, Plan())]
    count = resumed = 0
    for plan in [Plan(), *random.Random(5).sample(plans, 2)]:
        for extended, prefix in extensions(setup, plan):
            count += 1
            if prefix is not None:
                resumed += 1
                run = prefix.resume(extended.faults).run
                assert run == simulate(setup, extended), str(extended)
                assert prefix.digest(run.rows) == rows_digest(run.rows)
    assert resumed >= share * count > 0


SAGA = Saga("s", [Step("order", "order.do", undo="order.undo")])


def taken(subject: type, **options: object) -> int:
    """How many prefixes a run of the orchestrator allows."""
    made = adapter(saga=SAGA, **options)(subject).__sagafuzz_adapter__  # type: ignore[attr-defined, arg-type]
    return len(prefixes(Setup(adapter=made, scenario=Scenario()), Plan(), END))


class Plain:
    def boot(self, world: World) -> None:
        self.world = world

    def before(self) -> None:
        """Something is asked of the world or of the standard library."""

    def run(self, order: Order) -> bool | Outcome:
        self.before()
        self.world.store.put("order", {"id": order.id}, saga=order.id)
        self.world.call("order.do", saga=order.id)
        return True


def test_what_follows_from_the_answers_of_ports_has_prefixes() -> None:
    class Asks(Plain):
        def before(self) -> None:
            self.world.store.get("order")
            self.world.store.items()
            self.world.now()
            self.world.sleep(1)

    class BesideWhoSleeps(Plain):
        def before(self) -> None:
            self.world.spawn(self.world.sleep, 0.001)
            self.world.spawn(self.world.sleep, 1000)
            self.world.sleep(1)

    assert taken(Plain) == taken(Asks) == taken(BesideWhoSleeps) == 2


def test_what_the_ports_do_not_tell_has_none() -> None:
    class Database(Plain):
        def before(self) -> None:
            self.world.sqlite()

    class File(Plain):
        def before(self) -> None:
            self.world.file()

    class Chance(Plain):
        def before(self) -> None:
            random.random()

    class Draws(Plain):
        def before(self) -> None:
            self.world.random.random()

    class TimeOfDay(Plain):
        def before(self) -> None:
            time.monotonic()

    class Asks(Plain):
        def before(self) -> None:
            self.world.spawn(self.world.call, "order.do")

    class Writes(Plain):
        def before(self) -> None:
            self.world.spawn(self.world.store.put, "another", {})

    assert [taken(kind) for kind in (Database, File, Chance, Draws, TimeOfDay, Asks, Writes)] == [0] * 7


def resumed_alike(setup: Setup) -> int:
    """Of some plans, how many were run from a prefix: each as from the start."""
    chance = random.Random(3)
    plans = [plan for plan, _ in extensions(setup, Plan())]
    found = [each for plan in (Plan(), *chance.sample(plans, 4)) for each in extensions(setup, plan)]
    resumed = [(plan, prefix) for plan, prefix in found if prefix is not None]
    for plan, prefix in chance.sample(resumed, min(len(resumed), 60)):
        assert prefix.resume(plan.faults).run == simulate(setup, plan), str(plan)
    return len(resumed)


class Beside(Plain):
    """Two steps, beside tasks that sleep, read, ask and tell one another what they saw."""

    def boot(self, world: World) -> None:
        self.world = world
        self.seen: list[str] = []
        world.spawn(self.looks)
        world.spawn(self.counts)

    def looks(self) -> None:
        for _ in range(60):
            self.world.sleep(0.0007)
            self.seen += [key for key, _ in self.world.store.items()]

    def counts(self) -> None:
        for number in range(5):
            self.world.sleep(0.0005)
            self.seen.append(f"round {number}")
        self.world.call("order.see", saga="saga-1")
        self.seen.append("asked")

    def run(self, order: Order) -> bool | Outcome:
        return self.drive(order.id)

    def drive(self, saga: str) -> bool:
        for number in range(3):
            self.world.store.put(f"{saga}/{number}", {"seen": len(self.seen), "last": self.seen[-1:]}, saga=saga)
            self.world.call("order.do", saga=saga, key=f"{number} {len(self.seen)}")
            self.world.spawn(self.world.sleep, 0.0011)
        return True

    def recover(self) -> None:
        self.drive("saga-1")


@pytest.mark.parametrize("scenario", [Scenario(), Scenario(sagas=2)], ids=["one saga", "two"])
def test_a_run_from_a_prefix_in_which_other_tasks_sleep_is_the_run_from_the_start(scenario: Scenario) -> None:
    made = adapter(saga=SAGA, operations=["order.see"])(Beside).__sagafuzz_adapter__  # type: ignore[attr-defined]
    setup = Setup(adapter=made, scenario=scenario)
    assert resumed_alike(setup) > 30


class BesideMessages(Beside):
    """The same steps, each taken when a message comes, beside tasks that sleep and handlers that do."""

    def run(self, order: Order) -> Outcome:
        self.world.publish("next", saga=order.id, number=0)
        return Outcome.PENDING

    def receive(self, message: Message) -> None:
        number = message.payload["number"]
        self.world.spawn(self.world.sleep, 0.0011)
        self.world.call("order.do", saga=message.saga, key=f"{number} {len(self.seen)}")
        if number == 1:
            self.world.sleep(0.0016)
        if number < 2:
            self.world.publish("next", saga=message.saga, number=number + 1)
        self.seen.append(f"handled {number}")
        self.world.store.put(f"{message.saga}/{number}", {"last": self.seen[-3:]}, saga=message.saga)
        if number == 2:
            self.world.reply(message.saga, Outcome.COMPLETED)

    def recover(self) -> None:
        self.world.store.items()


@pytest.mark.parametrize("scenario", [Scenario(), Scenario(sagas=2)], ids=["one saga", "two"])
def test_so_is_one_from_a_prefix_with_messages_beside_tasks_that_sleep(scenario: Scenario) -> None:
    made = adapter(saga=SAGA, operations=["order.see"], topics={"next": Topic()})(BesideMessages)
    setup = Setup(adapter=made.__sagafuzz_adapter__, scenario=scenario)  # type: ignore[attr-defined]
    assert resumed_alike(setup) > 30


class InALoop:
    """Requests at once, in the same words and given up, beside tasks that wait for one another and read the clock."""

    def boot(self, world: World) -> None:
        self.world = world
        self.seen: list[str] = []
        self.begun = asyncio.Event()
        world.spawn(self.looks)

    async def looks(self) -> None:
        await self.begun.wait()
        for _ in range(20):
            await self.world.sleep(0.0007)
            self.seen += [key for key, _ in self.world.store.items()]

    async def ask(self, saga: str, patience_s: float) -> None:
        for _ in range(3):
            try:
                async with asyncio.timeout(patience_s):
                    answer = await self.world.call("order.do", saga=saga, key=saga, seen=len(self.seen))
            except TimeoutError:
                self.seen.append(f"given up at {asyncio.get_running_loop().time()}")
            except PortError as error:
                self.seen.append(f"{error}: {error.told}")
            else:
                self.seen.append(f"{answer}")
                return

    async def run(self, order: Order) -> bool:
        return await self.drive(order.id)

    async def drive(self, saga: str) -> bool:
        self.begun.set()
        for number in range(2):
            seen = {"all": len(self.seen), "last": self.seen[-2:], "at": self.world.now()}
            self.world.store.put(f"{saga}/{number}", seen, saga=saga)
            first = asyncio.create_task(self.ask(saga, 1))
            await asyncio.gather(self.world.call("order.see", saga=saga), first, self.ask(saga, 0.0011))
        return True

    async def recover(self) -> None:
        self.seen += [key for key, _ in self.world.store.items()]
        await self.drive("saga-1")


@pytest.mark.parametrize(
    "scenario",
    [Scenario(), Scenario(sagas=2), Scenario(rejections=((1, "order.do"),))],
    ids=["one saga", "two", "refused"],
)
def test_a_run_from_a_prefix_is_the_run_from_the_start_in_an_event_loop_too(scenario: Scenario) -> None:
    made = adapter(saga=SAGA, operations=["order.see"])(InALoop).__sagafuzz_adapter__  # type: ignore[attr-defined]
    assert resumed_alike(Setup(adapter=made, scenario=scenario)) > 30


def test_an_event_loop_with_threads_has_no_prefix_once_there_is_one() -> None:
    class Threads(InALoop):
        async def drive(self, saga: str) -> bool:
            await asyncio.to_thread(str)
            return await super().drive(saga)

    assert taken(InALoop, operations=["order.see"]) > 2
    assert taken(Threads, operations=["order.see"]) == 0


class Counts(Plain):
    """It is not deterministic: every other run sleeps."""

    runs = 0

    def run(self, order: Order) -> bool | Outcome:
        Counts.runs += 1
        if Counts.runs % 2:
            self.world.sleep(1)
        return super().run(order)


class CountsInALoop(InALoop):
    runs = 0

    async def drive(self, saga: str) -> bool:
        CountsInALoop.runs += 1
        if CountsInALoop.runs % 2:
            await self.world.sleep(1)
        return await super().drive(saga)


class AsksAnother(InALoop):
    runs = 0

    async def drive(self, saga: str) -> bool:
        AsksAnother.runs += 1
        if AsksAnother.runs % 2:
            await self.world.call("order.see", saga=saga)
        return await super().drive(saga)


@pytest.mark.parametrize("subject", [Counts, CountsInALoop, AsksAnother])
def test_code_that_does_not_do_again_what_it_did_is_run_from_the_start(subject: type) -> None:
    made = adapter(saga=SAGA, operations=["order.see"])(subject).__sagafuzz_adapter__  # type: ignore[attr-defined]
    found = prefixes(Setup(adapter=made, scenario=Scenario()), Plan(), END)
    with pytest.raises(Strayed):
        found[-1].resume(())
