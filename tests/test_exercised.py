"""What asks of the suite that its green be earned can itself say no."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sagafuzz import Adapter, Order, Outcome, Rejected, Report, Saga, Scenario, Step, World, adapter
from sagafuzz.exploration import report_builder
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import as_adapter

from .exercised import AS_PLUGIN, FOLDER, left_open, unexercised, unproven

SAGA = Saga(
    "shop",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", undo="payment.refund"),
    ],
)
KEPT = Settings(max_faults=1, examples=0, kinds=("duplicate",))
"""Of these faults every system below takes no notice."""


class Asks:
    def boot(self, world: World) -> None:
        self.world = world

    def ask(self, operation: str, order: Order) -> None:
        self.world.call(operation, key=f"{order.id}/{operation}", saga=order.id)

    def run(self, order: Order) -> Any:
        try:
            self.ask("order.create", order)
            self.ask("payment.charge", order)
        except Rejected:
            self.ask("order.cancel", order)
            return False
        return True


class GivesUp(Asks):
    def run(self, order: Order) -> Any:
        self.ask("order.create", order)
        self.ask("order.cancel", order)
        return False


class AsksNobody(Asks):
    def run(self, order: Order) -> Any:
        return True


class NeverTells(Asks):
    """Leaves the second of its steps out, and its client in the dark."""

    def run(self, order: Order) -> Any:
        self.ask("order.create", order)
        return Outcome.PENDING


class Later(Asks):
    """Tells nobody that it is through, but is."""

    def run(self, order: Order) -> Any:
        super().run(order)
        return Outcome.PENDING


class ServesTheFirst(Asks):
    def run(self, order: Order) -> Any:
        return super().run(order) if order.id == "saga-1" else Outcome.PENDING


def of(cls: type, *scenarios: Scenario) -> Adapter:
    return as_adapter(adapter(saga=SAGA, scenarios=scenarios or (Scenario(),))(type(cls.__name__, (cls,), {})))


OPEN = ["scenario succeeds does not come to its end without a fault"]


@pytest.mark.parametrize("cls", [GivesUp, AsksNobody, NeverTells])
def test_what_does_not_come_to_its_end_is_named(cls: type) -> None:
    assert left_open(of(cls), [Scenario()]) == OPEN


@pytest.mark.parametrize("cls", [Asks, Later])
def test_what_does_is_not(cls: type) -> None:
    assert left_open(of(cls), [Scenario()]) == []


def test_one_that_is_refused_need_not_complete() -> None:
    assert left_open(of(GivesUp), [Scenario(name="declined", rejections=((1, "payment.charge"),))]) == []


def test_each_of_two_orders_has_to_end() -> None:
    assert left_open(of(ServesTheFirst), [Scenario(), Scenario(name="two", sagas=2)]) == [
        "scenario two does not come to its end without a fault"
    ]


def consistent(cls: type, settings: Settings = KEPT) -> tuple[Report, Adapter]:
    """A report that calls a system consistent, whatever it is."""
    known = of(cls)
    return replace(Campaign(of(Asks), settings).run(), adapter=known.name), known


def test_a_report_of_what_was_exercised_may_say_consistent() -> None:
    report, known = consistent(Asks)
    assert report.verdict == "consistent"
    assert unexercised(report, known) == []
    assert unproven(known, 1) == []


def test_a_report_of_what_was_not_may_not() -> None:
    report, known = consistent(GivesUp)
    assert unexercised(report, known) == OPEN
    assert unproven(known, 1) == OPEN


def test_nor_may_one_where_nothing_struck() -> None:
    report, known = consistent(Asks)
    struck = [replace(cell, fired=0) for cell in report.coverage]
    assert unexercised(replace(report, coverage=tuple(struck)), known) == ["no fault struck"]
    assert unproven(known, 0) == ["no fault struck"]


def test_random_plans_count_that_had_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "__post_init__", lambda self: None)  # which would say the same
    only_drawn = Settings(max_faults=0, examples=0, kinds=("duplicate",), random_plans=5)
    report, known = consistent(Asks, only_drawn)
    assert unexercised(report, known) == []
    without = replace(report.random_plans, by_faults=(report.random_plans.run,))
    assert unexercised(replace(report, random_plans=without), known) == ["no fault struck"]


def test_a_test_fails_whose_campaign_is_called_consistent_and_was_not_exercised(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The product is made to praise what it should not: it no longer asks whether anything completed."""
    monkeypatch.setattr(report_builder, "vacuous", lambda scenarios: ())
    monkeypatch.setattr(Report, "__post_init__", lambda self: None)
    with pytest.raises(AssertionError, match=r"GivesUp was called consistent, but scenario succeeds does not come"):
        Campaign(of(GivesUp), KEPT).run()


PRAISED = """
import sagafuzz
from sagafuzz.exploration import report_builder

report_builder.vacuous = lambda scenarios: ()
sagafuzz.Report.__post_init__ = lambda self: None
SAGA = sagafuzz.Saga("shop", [sagafuzz.Step("order", "order.create", undo="order.cancel")])
OTHERS = [kind for kind in sagafuzz.faults.FAULT_KINDS if kind != "duplicate"]


@sagafuzz.adapter(saga=SAGA, cannot_suffer=OTHERS)
class GivesUp:
    def boot(self, world):
        self.world = world

    def run(self, order):
        self.world.call("order.create", key="create")
        self.world.call("order.cancel", key="cancel")
        return False


@pytest.mark.saga(GivesUp, faults=1, random=0, scenarios=["succeeds"])
def test_one_that_gives_up():
    pass
"""


def test_so_it_is_in_a_session_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "test_praised.py").write_text("import pytest\n" + PRAISED, encoding="utf-8")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *AS_PLUGIN]
    environment = {**os.environ, "PYTHONPATH": FOLDER}
    ran = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "GivesUp was called consistent, but scenario succeeds does not" in " ".join(ran.stdout.split()), ran.stdout
