"""Coverage: what is counted, that it adds up, and that each gap has its reason."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

import sagafuzz
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.coverage import LEFT_OUT, NOT_REACHED, SPARED, Orders, in_words
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import end_of
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import FAULT_KINDS, Fault, Plan, kind_groups
from sagafuzz.loading import as_adapter, load
from sagafuzz.simulator import Setup, simulate
from sagafuzz.verdict import Report, Unreachable


@cache
def campaign(adapter: str, scenario: str, faults: int = 1, kinds: tuple[str, ...] = ()) -> Report:
    loaded = load(adapter)
    scenarios = (loaded.scenario(scenario),)
    return Campaign(loaded, Settings(max_faults=faults, examples=0, scenarios=scenarios, kinds=kinds)).run()


def reasons(report: Report, kind: str) -> dict[str, str]:
    return {entry.where: entry.reason for entry in report.covered.unreachable if entry.kind == kind}


@pytest.mark.parametrize("faults", [1, 2])
def test_each_plan_is_counted_in_one_cell(faults: int) -> None:
    report = campaign("seed", "succeeds", faults)
    for measure in ("planned", "fired", "consequential"):
        total = sum(getattr(cell, measure) for cell in report.covered.sites)
        assert total == sum(getattr(cell, measure) for cell in report.coverage)
    assert sum(cell.planned for cell in report.covered.sites) == sum(report.counts.by_faults[1:])


def test_each_plan_of_two_faults_is_counted_in_one_pair() -> None:
    report = campaign("seed", "succeeds", 2)
    for pairs in (report.covered.kinds, report.covered.modes):
        assert sum(cell.planned for cell in pairs) == report.counts.by_faults[2]
        assert all(cell.consequential <= cell.fired == cell.planned for cell in pairs)


def test_pairs_are_those_of_the_plans() -> None:
    loaded = load("seed")
    setup = Setup(adapter=loaded, scenario=loaded.scenario("succeeds"))
    kinds = ("lost-ack", "duplicate", "crash-after-effect", "undo-fails")
    cases = [case for case in Enumerator(setup, 2, kinds, reductions=()).cases() if not case.idle]
    plans = [case.plan.faults for case in cases if len(case.plan) == 2]
    expected = Counter((first.kind, second.kind) for first, second in plans)
    settings = Settings(max_faults=2, examples=0, scenarios=(setup.scenario,), kinds=kinds, reductions=())
    pairs = Campaign(loaded, settings).run().covered.kinds
    assert {(cell.first, cell.second): cell.planned for cell in pairs} == expected


def test_a_pair_of_phases_is_where_each_of_its_faults_struck() -> None:
    kinds = ("lost-ack", "crash-after-effect")
    modes = {(cell.first, cell.second) for cell in campaign("reference", "declined", 2, kinds).covered.modes}
    assert modes >= {("forward", "compensation"), ("forward", "recovery"), ("compensation", "recovery")}
    assert not {pair for pair in modes if pair[0] == "recovery"}, "to be in recovery takes a fault before"


def test_without_pairs_there_are_none() -> None:
    covered = campaign("seed", "succeeds", 1).covered
    assert covered.kinds == covered.modes == covered.orders == ()


@pytest.mark.parametrize("faults", [1, 2], ids="up to {}".format)
def test_a_cell_says_what_its_fault_breaks_alone(faults: int) -> None:
    setup = Setup(adapter=load("seed"), scenario=load("seed").scenario("succeeds"))
    cells = {cell: Fault(kind=cell.kind, site=cell.site) for cell in campaign("seed", "succeeds", faults).covered.sites}
    alone = {cell: Plan(faults=(fault,)) for cell, fault in cells.items() if fault.site in simulate(setup).sites}
    assert {cell: set(cell.broken) for cell in alone} == {
        cell: set(end_of(setup, plan)[1]) for cell, plan in alone.items()
    }
    assert any(cell.broken for cell in alone)


# -- reasons -----------------------------------------------------------------------------------


def test_every_kind_without_a_plan_has_its_reason() -> None:
    for report in (campaign("seed", "succeeds"), campaign("reference", "two-on-one-item")):
        planned = {cell.kind for cell in report.coverage}
        assert set(FAULT_KINDS) - planned == {
            kind for kind in FAULT_KINDS if kind not in planned and reasons(report, kind)
        }


def test_what_the_adapter_cannot_suffer_says_why() -> None:
    report = campaign("seed", "succeeds")
    assert reasons(report, "stale-read") == {"": "it needs that the adapter has a method recover"}
    assert reasons(report, "overtaken") == {"": "it needs that the scenario runs more than one saga, or one in another"}
    assert reasons(report, "crash-after-log") == {"": NOT_REACHED}


def test_what_the_choice_of_kinds_left_out_says_so() -> None:
    report = campaign("seed", "succeeds", 1, ("lost-ack",))
    assert {cell.kind for cell in report.coverage} == {"lost-ack"}
    assert reasons(report, "duplicate") == {"": LEFT_OUT}
    assert report.counts.run == 1 + sum(cell.planned for cell in report.coverage)


def test_what_a_reduction_spared_is_not_called_unreachable() -> None:
    report = campaign("reference", "succeeds")
    assert reasons(report, "crash-after-ack") == {"": SPARED}
    assert report.counts.pruned


def test_what_the_moment_rules_out_says_where() -> None:
    report = campaign("seed", "two-on-one-item")
    found = [entry for entry in report.covered.unreachable if entry.kind == "overtaken" and entry.sites]
    assert [(entry.reason, "order forward" in entry.where) for entry in found] == [
        ("no other saga works on the same data", True)
    ]


def test_a_step_that_cannot_be_refused_says_so() -> None:
    report = Campaign(as_adapter(Stubborn), Settings(max_faults=1, examples=0)).run()
    found = [entry for entry in report.covered.unreachable if entry.kind == "reject"]
    assert [(entry.where, entry.reason) for entry in found] == [("note forward", "a retriable step cannot be refused")]
    assert any("a retriable step cannot be refused" in line for line in report.not_exercised)


@sagafuzz.adapter(
    saga=sagafuzz.Saga("notes", [sagafuzz.Step("note", "notes.write", retriable=True)]),
    scenarios=[sagafuzz.Scenario()],
)
class Stubborn:
    def boot(self, world: sagafuzz.World) -> None:
        self.world = world

    def run(self, order: sagafuzz.Order) -> bool:
        for _ in range(9):
            try:
                self.world.call("notes.write", key=order.id)
            except (sagafuzz.CallTimeout, sagafuzz.Unavailable):
                continue
            return True
        return False


def test_kinds_with_one_reason_share_a_line() -> None:
    lines = list(
        in_words(
            [
                Unreachable(kind="a", where="forward", reason="none"),
                Unreachable(kind="a", where="recovery", reason="none"),
                Unreachable(kind="b", where="forward", reason="none"),
                Unreachable(kind="b", where="recovery", reason="none"),
                Unreachable(kind="b", where="compensation", reason="it strikes forward only"),
                Unreachable(kind="c", where="", reason="it needs that the adapter has a method recover"),
                Unreachable(kind="d", where="order forward", reason="too late", sites=1200),
            ]
        )
    )
    assert lines == [
        "a, b in forward and recovery: none",
        "c anywhere: it needs that the adapter has a method recover",
        "d at order forward: too late (1,200 sites)",
    ]


# -- orders ------------------------------------------------------------------------------------


def test_both_orders_of_every_conflicting_pair_are_listed() -> None:
    orders = campaign("reference", "two-on-one-item").covered.orders
    listed = {(cell.first, cell.second) for cell in orders}
    assert listed == {(second, first) for first, second in listed}
    assert {cell.participant for cell in orders} == {"inventory", "payment"}, "orders have data of their own"
    seen = {(cell.first, cell.second) for cell in orders if cell.seen}
    assert ("saga-1 inventory.reserve", "saga-2 inventory.reserve") in seen
    assert ("saga-2 inventory.reserve", "saga-1 inventory.reserve") in seen


@pytest.mark.parametrize("refused", [(), (1,), (2,), (1, 2)])
def test_one_request_that_waits_shows_both_orders_of_every_pair_that_is_handled(refused: tuple[int, ...]) -> None:
    two = sagafuzz.Scenario(name="two", sagas=2, rejections=tuple((saga, "payment.charge") for saga in refused))
    kinds = ("overtaken", "overtaken-twice")
    settings = Settings(max_faults=1, examples=0, scenarios=(two,), kinds=kinds)
    orders = Campaign(load("reference"), settings).run().covered.orders
    assert {cell.why.rpartition(" ")[0].rpartition(" ")[2] for cell in orders if not cell.seen} <= {"never"}
    seen = {(cell.first, cell.second) for cell in orders if cell.seen}
    assert seen == {(second, first) for first, second in seen}
    assert len(seen) == 4 + 2 * len(refused) + 2 * (len(refused) == 2)


def test_an_order_that_was_not_seen_says_what_is_known() -> None:
    orders = campaign("seed", "two-on-one-item").covered.orders
    why = {(cell.first, cell.second): cell.why for cell in orders if not cell.seen}
    assert why["saga-1 payment.charge", "saga-2 payment.charge"] == "both were handled, never in this order"
    assert "was never handled" in why["saga-1 payment.charge", "saga-2 payment.refund"]


def test_orders_are_those_in_which_participants_handled() -> None:
    loaded = load("seed")
    setup = Setup(adapter=loaded, scenario=loaded.scenario("two-on-one-item"))
    orders = Orders(setup)
    case = next(Enumerator(setup, 0).cases())
    seen, _ = orders.read(case.run.rows)
    reserve = ("inventory", "F")
    assert (("saga-1", *reserve), ("saga-2", *reserve)) in seen
    assert (("saga-2", *reserve), ("saga-1", *reserve)) not in seen


def test_other_data_does_not_conflict() -> None:
    loaded = load("seed")
    apart = sagafuzz.Scenario(name="apart", sagas=2, items=("a", "b"), accounts=("x", "y"))
    report = Campaign(loaded, Settings(max_faults=0, examples=0, scenarios=(apart,))).run()
    assert report.covered.orders == ()


def test_the_basic_kinds_are_kinds() -> None:
    assert len(kind_groups()["basic"]) == 15
    assert set(kind_groups()["basic"]) < set(kind_groups()["all"]) == set(FAULT_KINDS)
