"""What doctor knows is said by a campaign too, in every form, and changes no verdict."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import sagafuzz
from sagafuzz import Adapter, Scenario
from sagafuzz.exploration.awaits import never_awaited
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.live.manifest import hosted
from sagafuzz.loading import as_adapter, load
from sagafuzz.reports import REPORTS
from sagafuzz.simulator import Setup, world
from sagafuzz.simulator.aio import Answer
from sagafuzz.verdict import Report

SAGA = sagafuzz.Saga("two", [sagafuzz.Step("a", "svc.do", undo="svc.undo"), sagafuzz.Step("b", "other.do")])
LEFT = {"n": 0}
UNDURABLE, REMEMBERED = "recovery is not by durable state alone", "retries are not forgotten"
WARNED = "ignore:coroutine .* was never awaited:RuntimeWarning"
UNAWAITED = "makes the coroutine AsksAside.aside, and nobody awaits it"


class Plain:
    def boot(self, world: sagafuzz.World) -> None:
        self.world = world
        self.left = 2

    def ask(self, order: sagafuzz.Order, operation: str) -> Any:
        return self.world.call(operation, saga=order.id, key=f"{order.id} {operation}")

    def run(self, order: sagafuzz.Order) -> bool:
        self.ask(order, "svc.do")
        self.ask(order, "other.do")
        return True


class Remembers(Plain):
    """What it noted outside of its store tells its next process what to do."""

    def run(self, order: sagafuzz.Order) -> bool:
        LEFT["n"] = 0
        self.ask(order, "svc.do")
        LEFT["n"] = 1
        self.world.store.put(order.id, "done", record="terminal")
        self.ask(order, "other.do")
        return True

    def recover(self) -> None:
        if LEFT["n"]:
            self.world.call("svc.undo", saga="saga-1", key="saga-1")


class Counts(Plain):
    """Has two retries for all that it asks."""

    def ask(self, order: sagafuzz.Order, operation: str) -> Any:
        while True:
            try:
                return super().ask(order, operation)
            except (sagafuzz.CallTimeout, sagafuzz.Unavailable):
                self.left -= 1
                if not self.left:
                    raise

    def run(self, order: sagafuzz.Order) -> bool:
        try:
            return super().run(order)
        except (sagafuzz.CallTimeout, sagafuzz.Unavailable):
            return False


class Asks:
    """It awaits all that it makes, a part of it in a task of its own."""

    def boot(self, world: sagafuzz.World) -> None:
        self.world = world

    async def run(self, order: sagafuzz.Order) -> bool:
        beside = asyncio.create_task(self.aside(order))
        await self.world.call("svc.do", saga=order.id, key=f"{order.id} a")
        await beside
        return True

    async def aside(self, order: sagafuzz.Order) -> None:
        await self.world.call("other.do", saga=order.id, key=f"{order.id} b")


class AsksAside(Asks):
    """It forgets to await a part of it."""

    async def run(self, order: sagafuzz.Order) -> bool:
        await self.world.call("svc.do", saga=order.id, key=f"{order.id} a")
        self.aside(order)  # type: ignore[unused-coroutine]
        return True

    async def aside(self, order: sagafuzz.Order) -> None:
        await super().aside(order)


class AsksAndLeaves(Asks):
    async def run(self, order: sagafuzz.Order) -> bool:
        self.world.call("svc.do", saga=order.id, key=f"{order.id} a")  # not awaited
        return True


class AwaitsInEachWay(Asks):
    async def run(self, order: sagafuzz.Order) -> bool:
        def ask(number: int) -> Any:
            return self.world.call("svc.do", saga=order.id, key=f"{order.id} {number}")

        task, called = asyncio.create_task(ask(1)), ask(2)
        await asyncio.gather(ask(3), asyncio.shield(ask(4)))
        await asyncio.wait_for(ask(5), 10)
        asyncio.create_task(ask(6)).cancel()
        await task
        await called
        return True


def declared(cls: type, **options: Any) -> Adapter:
    declare: Callable[[type], type] = sagafuzz.adapter(saga=SAGA, **{"scenarios": [Scenario()], **options})
    return as_adapter(declare(type(cls.__name__, (cls,), {})))


def campaign(adapter: Adapter, **settings: Any) -> Report:
    return Campaign(adapter, Settings(**{"max_faults": 1, "examples": 0, **settings})).run()


@pytest.mark.filterwarnings(WARNED)
@pytest.mark.parametrize(
    ("cls", "options", "told"),
    [
        pytest.param(Remembers, {}, UNDURABLE, id="recovers by more than its store"),
        pytest.param(Remembers, {"durable_recovery": False}, "", id="and says so"),
        pytest.param(Counts, {"forgets_retries": True}, REMEMBERED, id="counts retries"),
        pytest.param(Counts, {}, "", id="and does not say that it forgets them"),
        pytest.param(Plain, {"forgets_retries": True}, "", id="as declared"),
        pytest.param(AsksAside, {"scenarios": [Scenario(), Scenario(name="again")]}, UNAWAITED, id="awaits not all"),
        pytest.param(Asks, {}, "", id="awaits all, where no process dies"),
    ],
)
def test_a_declaration_that_does_not_hold_is_told(cls: type, options: dict[str, Any], told: str) -> None:
    report = campaign(declared(cls, **options))
    assert [line for line in report.advice if told and told in line][:1] == list(report.advice)
    assert bool(report.advice) == bool(told)
    assert not set(report.advice) & set(report.reasons), "it is no reason for a verdict"


def test_a_request_that_nobody_awaits_is_told_by_the_line_that_asks() -> None:
    (asked,) = never_awaited(Setup(adapter=declared(AsksAndLeaves), scenario=Scenario()))
    place, _, said = asked.partition(" ")
    assert said == (
        "asks for svc.do, and nobody awaits it, so what is answered reaches nobody; write 'await' before the call"
    )
    file, _, number = place.partition(":")
    assert file == Path(__file__).name
    assert "# not awaited" in Path(__file__).read_text().splitlines()[int(number) - 1]
    assert vars(world)[Answer.__name__] is Answer


def test_a_request_that_is_awaited_in_any_way_is_not_told() -> None:
    assert never_awaited(Setup(adapter=declared(AwaitsInEachWay), scenario=Scenario())) == ()


def test_what_nobody_awaits_is_told_by_the_line_that_makes_it() -> None:
    (made,) = never_awaited(Setup(adapter=declared(AsksAside), scenario=Scenario()))
    file, number = made.split(" ")[0].split(":")
    assert file == Path(__file__).name
    assert "self.aside(order)  #" in Path(__file__).read_text().splitlines()[int(number) - 1]
    assert sys.get_coroutine_origin_tracking_depth() == 0


def test_the_search_is_as_it_would_be_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    system = declared(Remembers)
    found = campaign(system)
    monkeypatch.setattr("sagafuzz.exploration.stages.advice", lambda *_: ())
    assert campaign(system) == dataclasses.replace(found, advice=())


@pytest.mark.parametrize("adapter", ["reference", "seed", "simple-saga", "choreography"])
def test_nothing_is_said_of_what_holds(adapter: str) -> None:
    loaded = load(adapter)
    assert campaign(loaded, scenarios=loaded.scenarios[:1], kinds=("duplicate", "crash-after-ack")).advice == ()


@pytest.mark.parametrize("form", ["text", "markdown", "html", "json", "junit"])
def test_every_report_says_it(form: str) -> None:
    said = " ".join(REPORTS[form].render(campaign(declared(Remembers))).split())
    assert f"scenario succeeds: {UNDURABLE}" in said


def test_real_processes_are_told_what_the_simulator_knows_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    known = declared(Remembers)
    system = hosted(load("simple-saga"), "live:simple-saga")
    monkeypatch.setattr("sagafuzz.exploration.live.load", lambda _: known)
    settings = Settings(max_faults=1, examples=0, kinds=("slow-answer",), scenarios=system.scenarios[:1])
    (said,) = LiveCampaign(system, settings).run().advice
    assert said.startswith(f"in the simulator (simple-saga), scenario {system.scenarios[0].name}: {UNDURABLE}")
