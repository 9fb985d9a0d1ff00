"""Random plans: independent, repeatable, deeper than the search; and what may be said of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.drawn import trace_class, unseen
from sagafuzz.exploration.random_plans import random_plans, swarm
from sagafuzz.exploration.settings import BEYOND, Settings
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate
from sagafuzz.verdict import RandomPlans, Unseen, random_claims

SEED = load("seed")
SETUP = Setup(adapter=SEED, scenario=SEED.scenario("declined"))


def test_one_seed_gives_one_sequence() -> None:
    first = [case.plan for case in random_plans(SETUP, 40, 7, 3)]
    assert [case.plan for case in random_plans(SETUP, 40, 7, 3)] == first
    assert [case.plan for case in random_plans(SETUP, 40, 8, 3)] != first


def test_a_run_does_not_depend_on_those_before_it() -> None:
    few = [case.plan for case in random_plans(SETUP, 10, 7, 3)]
    assert [case.plan for case in random_plans(SETUP, 40, 7, 3)][:10] == few


def test_every_fault_fires_and_sizes_differ() -> None:
    sizes = Counter()
    for case in random_plans(SETUP, 200, 0, 4):
        assert case.fired, str(case.plan)
        assert case.run.rows == simulate(SETUP, case.plan).rows
        sizes[len(case.plan)] += 1
    assert set(sizes) == {0, 1, 2, 3, 4}


def test_runs_differ_in_kind_and_rate() -> None:
    drawn = [swarm(SETUP, random.Random(number)) for number in range(50)]
    assert len({entry.kinds for entry in drawn}) > 40
    assert len({entry.rate for entry in drawn}) == 5
    assert set().union(*(entry.kinds for entry in drawn)) == SETUP.kinds


def test_only_the_chosen_kinds_strike() -> None:
    kinds = {
        fault.kind for case in random_plans(SETUP, 60, 0, 3, ("lost-ack", "duplicate")) for fault in case.plan.faults
    }
    assert kinds == {"lost-ack", "duplicate"}


def test_a_class_of_traces_leaves_times_out() -> None:
    rows = simulate(SETUP).rows
    later = tuple((row[0] + 5, *row[1:]) for row in rows)
    assert trace_class(rows) == trace_class(later)  # type: ignore[arg-type]
    assert trace_class(rows) != trace_class(rows[1:])


def test_they_strike_with_nothing_that_the_system_cannot_suffer() -> None:
    excluded = ("lost-ack", "crash-after-send", "pause", "reject")
    system = replace(load("reference"), cannot_suffer=excluded)
    setup = Setup(adapter=system, scenario=system.scenarios[0])
    needing = {kind.name for kind in FAULT_KINDS.values() if kind.needs and kind.needs not in setup.capabilities}
    assert {"expiry", "refused-once", "overtaken", "store-outage"} <= needing
    used = {fault.kind for case in random_plans(setup, 300, seed=0, max_faults=4) for fault in case.plan.faults}
    assert len(used) > 15
    assert not used & {*excluded, *needing}


def test_good_and_turing() -> None:
    found = unseen(Counter({b"a": 3, b"b": 1, b"c": 1}))
    assert found == Unseen(runs=5, classes=3, singletons=2)
    assert found.next_new == pytest.approx(0.4)
    assert Unseen().next_new == 1.0


def test_the_bound_holds_of_runs_without_a_failure_only() -> None:
    assert RandomPlans(run=100).bound == pytest.approx(0.0295, abs=1e-4)
    assert RandomPlans(run=100, violated=1).bound is None
    assert RandomPlans().bound is None


def test_a_campaign_reports_them_with_both_statements() -> None:
    report = Campaign(load("reference"), Settings(max_faults=0, examples=10, random_plans=30)).run()
    plans = report.random_plans
    assert (report.verdict, plans.asked, plans.run, plans.fired, plans.violated) == ("consistent", 30, 30, 30, 0)
    assert plans.max_faults == BEYOND and sum(plans.by_faults) == 30
    claims = random_claims(report)
    assert [claim.partition(":")[0] for claim in claims] == ["random plans", "random plans", "state machine"]
    assert "0 failures in 30 independent runs" in claims[1]
    assert "no bound" in claims[2], "Hypothesis draws one example in the light of the others"
    assert not any("99" in claim for claim in claims)


def test_what_they_find_is_shrunk_and_ends_the_bound() -> None:
    report = Campaign(SEED, Settings(max_faults=0, examples=0, random_plans=60)).run()
    assert report.verdict == "violated" and report.random_plans.violated
    assert report.random_plans.bound is None
    assert not any("bound the rate" in claim for claim in random_claims(report))
    assert all(finding.necessary for finding in report.findings)


def test_the_digest_covers_them() -> None:
    def digest(seed: int) -> str:
        return Campaign(SEED, Settings(max_faults=0, examples=0, random_plans=20, seed=seed)).run().digest

    assert digest(1) == digest(1) != digest(2)
