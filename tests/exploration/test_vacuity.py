"""What was not exercised is never called consistent: nothing asked, nothing completed, nothing injected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import sagafuzz
from sagafuzz import Scenario
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.exploration.vacuity import vacuous
from sagafuzz.loading import as_adapter, load
from sagafuzz.reports import REPORTS
from sagafuzz.verdict import PlanCounts, Report, ScenarioResult

SAGA = sagafuzz.Saga(
    "checkout",
    [
        sagafuzz.Step("order", "order.create", undo="order.cancel"),
        sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
    ],
)


class Bare:
    """Each of these is struck by duplicates only, which it need not notice."""

    def boot(self, world: sagafuzz.World) -> None:
        self.world = world

    def ask(self, operation: str, order: sagafuzz.Order) -> None:
        self.world.call(operation, key=f"{order.id}/{operation}", saga=order.id)


class Asks(Bare):
    def run(self, order: sagafuzz.Order) -> bool:
        try:
            self.ask("order.create", order)
            self.ask("payment.charge", order)
        except sagafuzz.Rejected:
            self.ask("order.cancel", order)
            return False
        return True


class AsksNobody(Bare):
    def run(self, order: sagafuzz.Order) -> bool:
        return False


class LooksOnly(Bare):
    """Writes to its store, and forgets to ask."""

    def run(self, order: sagafuzz.Order) -> bool:
        self.world.store.put(order.id, "seen")
        return False


class GivesUp(Bare):
    """Takes everything back, whatever it was answered."""

    def run(self, order: sagafuzz.Order) -> bool:
        self.ask("order.create", order)
        self.ask("order.cancel", order)
        return False


class AsksAboutTheFirst(Asks):
    """Knows one customer only."""

    def run(self, order: sagafuzz.Order) -> bool:
        return super().run(order) if order.account == "customer" else False


class Later(Bare):
    """Answers before it is through, and tells nobody when it is."""

    def run(self, order: sagafuzz.Order) -> sagafuzz.Outcome:
        self.world.spawn(self.work, order)
        return sagafuzz.Outcome.PENDING

    def work(self, order: sagafuzz.Order) -> None:
        self.ask("order.create", order)
        self.ask("payment.charge", order)


class Refuses:
    """A participant that has no use for anybody."""

    def handle(self, request: sagafuzz.Request, tx: sagafuzz.Transaction) -> Any:
        raise sagafuzz.Rejected("closed")


def campaign(cls: type, *scenarios: Scenario, participants: Any = None, **settings: Any) -> Report:
    others = [kind for kind in sagafuzz.faults.FAULT_KINDS if kind != "duplicate"]
    declare = sagafuzz.adapter(
        saga=SAGA, scenarios=scenarios or (Scenario(),), cannot_suffer=others, participants=participants
    )
    found = as_adapter(declare(type(cls.__name__, (cls,), {})))
    return Campaign(found, Settings(**{"max_faults": 1, "examples": 0, **settings})).run()


def reasons(report: Report) -> str:
    return "\n".join(report.reasons)


@pytest.mark.parametrize("cls", [Asks, Later])
def test_one_that_asks_completes_and_is_struck_is_consistent(cls: type) -> None:
    report = campaign(cls)
    assert (report.verdict, report.reasons) == ("consistent", ())
    assert all(result.sends and result.completes for result in report.scenarios)


@pytest.mark.parametrize("cls", [AsksNobody, LooksOnly])
def test_a_scenario_in_which_nobody_is_asked_is_inconclusive(cls: type) -> None:
    report = campaign(cls, Scenario(name="first"), Scenario(name="second", rejections=((1, "payment.charge"),)))
    assert report.verdict == "inconclusive"
    assert "scenarios first and second sent no request" in reasons(report), "whether it is meant to succeed or not"


def test_the_one_scenario_that_asks_nobody_is_named_among_others() -> None:
    report = campaign(AsksAboutTheFirst, Scenario(name="first"), Scenario(name="second", accounts=("other",)))
    assert report.verdict == "inconclusive"
    assert "scenario second sent no request" in reasons(report) and "first" not in reasons(report)


def test_one_that_never_completes_is_inconclusive() -> None:
    report = campaign(GivesUp)
    assert report.verdict == "inconclusive"
    assert "scenario succeeds never completes, not even without a fault" in reasons(report)


def test_one_that_completes_only_where_a_fault_strikes_shows_nothing_without_one() -> None:
    counts = PlanCounts(planned=2, run=2, fired=2, by_faults=(1, 1))
    found = ScenarioResult(scenario=Scenario(), counts=counts, completes=False)
    (said,) = vacuous([found])
    assert said.startswith("scenario succeeds completes only where a fault strikes, and nothing refuses its orders")
    assert list(vacuous([replace(found, completes=True), replace(found, counts=PlanCounts())])) == []


def test_what_is_said_of_several_scenarios_is_said_once() -> None:
    names = ("succeeds", "declined", "two-at-once")
    each = [ScenarioResult(scenario=Scenario(name=name), counts=PlanCounts(run=1)) for name in names]
    (asked,) = vacuous([replace(found, sends=False) for found in each])
    assert asked.startswith("scenarios succeeds, declined and two-at-once sent no request: ")
    never, struck = vacuous([replace(found, completes=False, ever_completes=found is each[2]) for found in each])
    assert never.startswith("scenarios succeeds and declined never complete, not even without a fault, and nothing ")
    assert "refuses their orders" in never
    assert struck.startswith(
        "scenario two-at-once completes only where a fault strikes, and nothing refuses its orders"
    )


def test_a_finding_in_one_that_never_completes_says_what_to_look_at_first() -> None:
    adapter = as_adapter(sagafuzz.adapter(saga=SAGA, scenarios=[Scenario()])(GivesUp))
    report = Campaign(adapter, Settings(max_faults=1, examples=0, kinds=("crash-after-effect",))).run()
    assert report.findings, "it keeps its sagas in memory only"
    note = "scenario succeeds never completes, not even without a fault: look at that first"
    assert {finding.notes for finding in report.findings} == {(note,)}


def test_a_finding_in_one_that_completes_has_no_such_note() -> None:
    adapter = as_adapter(sagafuzz.adapter(saga=SAGA, scenarios=[Scenario()])(Asks))
    report = Campaign(adapter, Settings(max_faults=1, examples=0, kinds=("crash-after-effect",))).run()
    assert [finding.notes for finding in report.findings] == [()] * len(report.findings) != []


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(Scenario(succeeds=False), id="declared"),
        pytest.param(Scenario(rejections=((1, "payment.charge"),)), id="refused"),
        pytest.param(Scenario(amounts=(101,), limit=100), id="over the limit"),
        pytest.param(Scenario(quantity=11), id="out of stock"),
        pytest.param(Scenario(amounts=(100_001,)), id="no funds"),
        pytest.param(Scenario(sagas=2, stock=1), id="one piece for two"),
    ],
)
def test_one_that_is_not_meant_to_succeed_need_not(scenario: Scenario) -> None:
    assert not scenario.meant_to_succeed
    assert campaign(GivesUp, scenario).reasons == ()


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(Scenario(), id="nothing refuses"),
        pytest.param(Scenario(amounts=(100,), limit=100, sagas=3, stock=3, funds=300), id="just enough"),
        pytest.param(Scenario(sagas=2, stock=1, items=("one", "other")), id="a piece for each"),
        pytest.param(Scenario(quantity=11, succeeds=True), id="declared"),
    ],
)
def test_what_nothing_refuses_is_meant_to_succeed(scenario: Scenario) -> None:
    assert scenario.meant_to_succeed


def test_what_is_no_answer_to_that_is_refused() -> None:
    with pytest.raises(sagafuzz.UsageError, match=r"succeeds='yes'; write True or False, or leave it out"):
        Scenario(succeeds="yes")  # type: ignore[arg-type]


def test_what_a_participant_of_ones_own_refuses_no_scenario_says() -> None:
    own = {"payment": Refuses}
    assert campaign(Asks, participants=own).reasons == ()
    assert "never completes" in reasons(campaign(Asks, Scenario(succeeds=True), participants=own))


NO_FAULT = {"none": {"max_faults": 0}, "none that can": {"kinds": ("late-answer",)}}


@pytest.mark.parametrize("settings", NO_FAULT.values(), ids=NO_FAULT)
def test_without_a_single_fault_it_is_inconclusive(settings: dict[str, Any]) -> None:
    report = campaign(Asks, **settings)
    assert report.verdict == "inconclusive"
    assert "no fault was injected" in reasons(report)
    (result,) = [result for result in report.invariants if result.id == "I27"]
    assert (result.status, result.note) == ("not exercised", "no plan had a fault")


def test_a_violation_stands_without_a_fault() -> None:
    class Forgets(Bare):
        def run(self, order: sagafuzz.Order) -> bool:
            self.ask("order.create", order)
            return True

    report = campaign(Forgets, max_faults=0)
    assert (report.verdict, report.reasons) == ("violated", ())


@pytest.mark.parametrize("settings", [{"examples": 20}, {"random_plans": 40}], ids=["state machine", "random plans"])
def test_the_faults_of_the_random_parts_count(settings: dict[str, int]) -> None:
    reference = load("reference")
    bare = Settings(max_faults=0, examples=0, scenarios=reference.scenarios[:1])
    report = Campaign(reference, replace(bare, **settings)).run()
    assert (report.verdict, report.reasons) == ("consistent", ())


@pytest.mark.parametrize("form", ["text", "markdown", "html", "json", "junit"])
def test_every_report_says_so(form: str) -> None:
    said = " ".join(REPORTS[form].render(campaign(GivesUp)).split())
    assert "scenario succeeds never completes, not even without a fault" in said


class RunsOut(Bare):
    """Waits for a confirmation that no client of the model sends, and gives back what it held."""

    def run(self, order: sagafuzz.Order) -> sagafuzz.Outcome:
        self.ask("order.create", order)
        self.world.spawn(self.expire, order)
        return sagafuzz.Outcome.PENDING

    def expire(self, order: sagafuzz.Order) -> None:
        self.world.sleep(600)
        self.ask("order.cancel", order)
        self.world.reply(order.id, sagafuzz.Outcome.COMPENSATED)


def test_a_saga_that_waits_in_vain_for_somebody_outside_of_the_model_need_not_complete() -> None:
    assert campaign(RunsOut).reasons == ()
    assert "never completes" in reasons(campaign(RunsOut, Scenario(succeeds=True)))
