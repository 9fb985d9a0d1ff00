"""A run from a prefix is the run from the beginning; where that cannot be, there is no prefix."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Iterator

import pytest

from sagafuzz import Order, Plan, Saga, Scenario, Step, World, adapter
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.history import rows_digest
from sagafuzz.loading import load
from sagafuzz.simulator import Prefix, Setup, Strayed, prefixes, simulate

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
    ],
)
def test_a_run_from_a_prefix_is_the_run_from_the_start(name: str, scenario: str, share: float) -> None:
    loaded = load(name)
    setup = Setup(adapter=loaded, scenario=loaded.scenario(scenario))
    plans = [plan for plan, _ in extensions(setup, Plan())]
    count = resumed = 0
    for plan in [Plan(), *random.Random(5).sample(plans, 6)]:
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

    def run(self, order: Order) -> bool:
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

    assert taken(Plain) == taken(Asks) == 2


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

    class Overlaps(Plain):
        def before(self) -> None:
            self.world.spawn(self.world.sleep, 0.001)
            self.world.sleep(1)

    assert [taken(kind) for kind in (Database, File, Chance, Draws, TimeOfDay, Overlaps)] == [0] * 6


def test_code_that_does_not_do_again_what_it_did_is_run_from_the_start() -> None:
    class Counts(Plain):
        runs = 0

        def run(self, order: Order) -> bool:
            Counts.runs += 1
            if Counts.runs % 2:
                self.world.sleep(1)
            return super().run(order)

    made = adapter(saga=SAGA)(Counts).__sagafuzz_adapter__  # type: ignore[attr-defined]
    found = prefixes(Setup(adapter=made, scenario=Scenario()), Plan(), END)
    with pytest.raises(Strayed):
        found[-1].resume(())
