"""A campaign whose time is over: it says what share of the plans it has covered, and covers them evenly."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable

from sagafuzz import Scenario
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.certificate import certifies
from sagafuzz.exploration.events import CaseJudged
from sagafuzz.exploration.fuzz import EndOfTime
from sagafuzz.exploration.settings import Settings
from sagafuzz.exploration.spreading import spread
from sagafuzz.exploration.stopping import AsPlanned
from sagafuzz.loading import load
from sagafuzz.reports import REPORTS
from sagafuzz.verdict import Report

KINDS = ("lost-ack", "lost-request", "crash-after-effect")
NEVER = 1e9


def settings(adapter: str) -> Settings:
    scenarios: tuple[Scenario, ...] = (load(adapter).scenario("declined"), load(adapter).scenario("succeeds"))
    return Settings(max_faults=2, examples=5, kinds=KINDS, scenarios=scenarios)


def until(plans: float, adapter: str = "reference", listen: Callable[[object], None] = lambda event: None) -> Report:
    """A campaign on a clock that ticks with each plan."""
    run = Counter[str]()

    def count(event: object) -> None:
        run["plans"] += isinstance(event, CaseJudged)
        listen(event)

    limits = EndOfTime(seconds=plans, asked=0, passed=lambda: run["plans"])
    return Campaign(load(adapter), settings(adapter), limits=limits, listeners=(count,)).run()


def test_what_was_not_run_is_told_in_every_report_and_never_called_exhaustive() -> None:
    report = until(100)
    assert report.verdict == "consistent" and not report.complete and not certifies(report)
    assert 0 < report.pairs.run < report.pairs.planned and report.random.run == 0
    assert report.pairs.run == report.counts.by_faults[2]
    told = f"{report.pairs.run:,} of the {report.pairs.planned:,} plans with two faults"
    pairs = json.loads(REPORTS["json"].render(report))["pairs"]
    assert pairs == {**pairs, "run": report.pairs.run, "share": report.pairs.share, "ended": "its 100 s were over"}
    for name in ("text", "markdown", "html"):
        said = " ".join(REPORTS[name].render(report).split())
        assert told in said and "INCOMPLETE" in said and "no violation in any" not in said, name


def test_with_time_enough_it_is_whole_and_finds_what_it_finds_without_a_clock() -> None:
    timed, free = until(NEVER, "seed"), Campaign(load("seed"), settings("seed")).run()
    assert timed.complete and timed.pairs.share == 1.0
    assert (timed.counts, timed.digest, timed.pairs) == (free.counts, free.digest, free.pairs)
    assert [found.violation.signature for found in timed.findings] == [
        found.violation.signature for found in free.findings
    ]


def test_before_every_plan_with_one_fault_was_run_it_is_inconclusive() -> None:
    report = until(2)
    assert report.verdict == "inconclusive"
    assert report.reasons[0] == "its 2 s were over before every plan with at most one fault was run; give it more"


def test_each_scenario_and_kind_is_covered_evenly() -> None:
    begun: defaultdict[tuple[str, str], set[object]] = defaultdict(set)

    def note(event: object) -> None:
        if isinstance(event, CaseJudged) and len(event.case.plan) == 2:
            first = event.case.plan.faults[0]
            begun[event.setup.scenario.name, first.kind].add(first)

    until(NEVER, listen=note)
    whole = {group: len(firsts) for group, firsts in begun.items()}
    begun.clear()
    half = until(110, listen=note).pairs.share or 0
    assert 0.3 < half < 0.7 and sum(whole.values()) > 12
    assert all(abs(len(begun[group]) - half * parts) <= 1 for group, parts in whole.items())


def test_a_part_of_each_group_comes_in_turn_and_from_all_over_it() -> None:
    order = spread([("a", number) for number in range(8)] + [("b", number) for number in (100, 101)])
    assert order == [0, 4, 100, 2, 6, 1, 5, 101, 3, 7]


def test_a_stated_number_of_pairs_is_run_evenly_and_all_else_as_planned() -> None:
    def drawn() -> Report:
        limits = AsPlanned(0, pairs=60)
        return Campaign(load("reference"), settings("reference"), limits=limits).run()

    report = drawn()
    assert report.verdict == "consistent" and not report.complete and not certifies(report)
    assert 60 <= report.pairs.run < 100 < report.pairs.planned and report.random.run == 5
    assert report.pairs.ended == "about 60 plans with two faults were asked for"
    assert {cell.first for cell in report.covered.kinds if cell.planned} == set(KINDS)
    assert drawn() == report


def test_more_pairs_than_there_are_leave_none() -> None:
    report = Campaign(load("seed"), settings("seed"), limits=AsPlanned(0, pairs=1_000_000)).run()
    assert report.complete and not report.pairs.ended and report.pairs.share == 1.0
