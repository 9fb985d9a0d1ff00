"""Sagas that differ in their ids only are submitted in one order: every other shows the same, under other names."""

from __future__ import annotations

from dataclasses import replace

import pytest

import sagafuzz
from sagafuzz import Adapter, Plan, Scenario
from sagafuzz.errors import UsageError
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge, outcome_of
from sagafuzz.exploration.quiet import fewer_collections, quiet
from sagafuzz.exploration.reductions import REDUCTIONS, SHAPING, SYMMETRY
from sagafuzz.exploration.reductions.symmetry import _renamed, every_order, told_by_ids
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.ports import ADAPTER_ATTRIBUTE
from sagafuzz.simulator import Setup

from ..quality.broken_systems import BROKEN, CLASSICS

Found = tuple[set[tuple[str, str, str, str]], set[str]]

BOTH = Scenario(name="both", sagas=2)


def search(adapter: Adapter, scenario: Scenario, faults: int = 1) -> Found:
    """Every anomaly, and every outcome in the order of submission."""
    setup = Setup(adapter=adapter, scenario=scenario)
    judge, signatures, outcomes = Judge(setup), set(), set()
    with quiet(), fewer_collections():
        for case in Enumerator(setup, faults, reductions=SHAPING).cases():
            verdict, _ = judge.judge(case.plan, case.run, case.digest)
            signatures.update(violation.signature for violation in verdict.violations)
            outcomes.add(outcome_of(case.run, setup))
    return signatures, outcomes


def plans(setup: Setup) -> list[Plan]:
    return [case.plan for case in Enumerator(setup, 1, reductions=SHAPING).cases()]


# -- the other orders ------------------------------------------------------------------------------------


def test_identical_sagas_can_be_submitted_in_every_order() -> None:
    found = every_order(Scenario(name="three", sagas=3))
    assert len(found) == 6 and found[0].submitted == ()
    assert [order.id for order in found[-1].orders] == ["saga-3", "saga-2", "saga-1"]
    assert found[-1].name == "three (saga-3, saga-2, saga-1)"


@pytest.mark.parametrize(
    "apart", [{"amounts": (100, 200)}, {"items": ("item-1", "item-2")}, {"rejections": ((2, "payment.charge"),)}]
)
def test_sagas_that_differ_keep_their_places(apart: dict[str, tuple[object, ...]]) -> None:
    assert [other.submitted for other in every_order(Scenario(sagas=2, **apart))] == [()]  # type: ignore[arg-type]
    in_threes = every_order(Scenario(sagas=3, amounts=(100, 200)))
    assert [other.submitted for other in in_threes] == [(), (3, 2, 1)], "the first and the third are alike"


def test_an_order_of_submission_names_each_saga_once() -> None:
    with pytest.raises(UsageError, match="write each number from 1 to 2 once"):
        Scenario(sagas=2, submitted=(1, 1))
    assert Scenario(sagas=3, submitted=(3, 1, 2)).with_sagas(2).submitted == (1, 2)


# -- what is lost by leaving them out ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["seed", "reference"])
@pytest.mark.parametrize("scenario", [Scenario(name="last piece", sagas=2, stock=1), BOTH])
def test_the_other_order_shows_the_same(name: str, scenario: Scenario) -> None:
    one, other = (search(load(name), order) for order in every_order(scenario))
    assert one == other
    assert len(one[1]) > 1 and bool(one[0]) == (name == "seed")


BY_ID = {"torn-write"}
"""Whose recovery takes sagas up by their ids: who is taken up last shows in the outcomes."""

IDENTICAL = {kind: broken.adapter for kind, broken in BROKEN.items()} | dict(CLASSICS)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*[*IDENTICAL][::2], *BY_ID}))
def test_the_other_order_shows_the_same_of_a_broken_system(name: str) -> None:
    adapter = IDENTICAL[name]
    scenario = replace(adapter.scenarios[0], sagas=2, rejections=(), amounts=(100,))
    (anomalies, outcomes), (others, elsewhere) = (search(adapter, order) for order in every_order(scenario))
    assert anomalies == others
    assert (outcomes == elsewhere) == (name not in BY_ID)
    if name in BY_ID:
        setup = Setup(adapter=adapter, scenario=scenario)
        assert told_by_ids(setup, plans(setup)), "so nothing counts as spared"


@pytest.mark.parametrize("name", ["seed", "simple-saga"])
def test_where_an_id_is_only_a_name_the_other_order_is_the_same_run_by_run(name: str) -> None:
    setup = Setup(adapter=load(name), scenario=BOTH)
    with quiet():
        assert told_by_ids(setup, plans(setup)) == ""


def test_recovery_by_id_is_seen() -> None:
    """The reference takes sagas up in the order of their ids."""
    setup = Setup(adapter=load("reference"), scenario=BOTH)
    expected = "crash-after-log at saga-2: write 'create + intent order', submitted as saga-2, saga-1: event"
    assert told_by_ids(setup, plans(setup)).startswith(expected)


ORDERED = sagafuzz.Saga("ordered", [sagafuzz.Step("payment", "payment.charge", undo="payment.refund")])


@pytest.mark.parametrize(
    ("note", "told"), [("of {id}", False), ("x{id}y", False), ("saga-1", True), ("msaga-1", True), ("saga-10", False)]
)
def test_what_looks_like_an_id_and_is_none_is_told_apart_from_one(note: str, *, told: bool) -> None:
    """A name that is exchanged by mistake is one that stays as it was in the other run: nothing is spared for it."""

    @sagafuzz.adapter(saga=ORDERED)
    class Noted:
        def boot(self, world: sagafuzz.World) -> None:
            self.world = world

        def run(self, order: sagafuzz.Order) -> bool:
            self.world.call("payment.charge", saga=order.id, key=order.id, note=note.format(id=order.id))
            return True

    adapter = getattr(Noted, ADAPTER_ATTRIBUTE)
    setup = Setup(adapter=adapter, scenario=BOTH)
    assert bool(told_by_ids(setup, [Plan()])) == told


def test_ids_of_two_digits_are_exchanged_whole() -> None:
    names = {"saga-1": "saga-10", "saga-10": "saga-1"}
    assert _renamed(("saga-1", ("saga-10.ship", "saga-100"), 1), names) == ("saga-10", ("saga-1.ship", "saga-100"), 1)


# -- in a campaign -----------------------------------------------------------------------------------------


def counted(name: str, reductions: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """Plans run and plans spared by symmetry, by scenario, of plans with lost answers."""
    settings = Settings(examples=0, scenarios=(BOTH,), kinds=("lost-ack", "crash-after-log"), reductions=reductions)
    with quiet():
        report = Campaign(load(name), settings).run()
    return {
        result.scenario.name: (result.counts.run, result.counts.pruned.get(SYMMETRY.name, 0))
        for result in report.scenarios
    }


def test_what_symmetry_spares_is_what_a_campaign_without_it_runs() -> None:
    without = counted("seed", tuple(row.name for row in SHAPING if row is not SYMMETRY))
    spared = {"both": (without["both"][0], without["both (saga-2, saga-1)"][0])}
    assert counted("seed", tuple(row.name for row in SHAPING)) == spared
    assert without["both"][0] == without["both (saga-2, saga-1)"][0] > 20


def test_where_ids_are_told_apart_nothing_counts_as_spared() -> None:
    assert [spared for _, spared in counted("reference", tuple(REDUCTIONS)).values()] == [0]
