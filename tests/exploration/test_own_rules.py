"""Rules of an adapter's own: what may be spared where one judges, and that nothing of what it reads is lost by it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from itertools import cycle
from typing import Any, NamedTuple

import pytest

from sagafuzz import Adapter, Scenario
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge, outcome_of
from sagafuzz.exploration.quiet import fewer_collections, quiet
from sagafuzz.exploration.reductions import ALL, CRASH_EQUIVALENCE, PREFIX_SHARING, STATE_MEMO, Reduction
from sagafuzz.invariants import View
from sagafuzz.loading import load
from sagafuzz.rules import HISTORY, MOMENTS, REST, rule
from sagafuzz.simulator import Setup, resting

from ..quality.every_system import EVERY_SETUP


def read_by(reads: str, adapter: Adapter) -> Adapter:
    """The system with a rule that reads so much of it."""
    return replace(adapter, invariants=(rule(reads=reads)(lambda view: ()),))


def seen(view: View, reads: str) -> Any:
    """All that a rule can see of a run, as a value."""
    moments = [view.rest] if reads == REST else view.moments
    return tuple(
        (
            *(moment.participant, moment.saga, moment.step, moment.direction, tuple(moment.told.items())),
            *(tuple(sorted(moment.called)), repr(moment.states)),
        )
        for moment in moments
    )


class Search(NamedTuple):
    """The result of a search: the views of rules that read so much, the same for each past that it takes for one, all
    that our own invariants found and how the sagas ended, and how many runs there were."""

    views: dict[str, set[Any]]
    by_past: dict[bytes, set[Any]]
    found: set[Any]
    runs: int


def searched(setup: Setup, reads: Collection[str], faults: int, reductions: Collection[Reduction]) -> Search:
    """Search a system whose rule reads ``reads``, the last of which it declares."""
    judged = Judge(setup)
    search, runs = Search({each: set() for each in reads}, {}, set(), 0), 0
    with quiet(), fewer_collections():
        for case in Enumerator(setup, faults, reductions=reductions).cases():
            runs += 1
            if case.known:
                continue
            verdict, new = judged.judge(case.plan, case.run, case.digest)
            if new:
                search.found.update(violation.signature for violation in verdict.violations)
                search.found.add(outcome_of(case.run, setup))
            end = case.run.rows[-1][9][0] if case.run.rows else ""
            if end != "quiescent":
                continue
            history = case.run.history(setup, case.plan)
            for each in reads:
                view = seen(View(history, each, "quiescent"), each)
                search.views[each].add(view)
                if case.projection:
                    search.by_past.setdefault(case.projection, set()).add(view)
    return search._replace(runs=runs)


def expect_nothing_lost(setup: Setup, faults: int, *rules: str) -> int:
    """With all reductions there is everything that each of ``rules``, which say what they read, sees without any, and
    everything that our own invariants find, beside a rule and without one. The last of the rules reads the most.
    Returns how many runs are spared beside each of them at least."""
    spared = []
    full = searched(replace(setup, adapter=read_by(rules[-1], setup.adapter)), rules, faults, ())
    for reads in rules:
        reduced = searched(replace(setup, adapter=read_by(reads, setup.adapter)), (reads,), faults, ALL)
        assert reduced.views[reads] == full.views[reads], reads
        assert reduced.found == full.found, reads
        assert all(len(views) == 1 for views in reduced.by_past.values()), "two pasts are one that a rule tells apart"
        spared.append(full.runs - reduced.runs)
    reduced = searched(setup, (), faults, ALL)
    assert reduced.found == full.found, "without a rule of its own"
    return min(spared)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "MAX_TICKS", 600)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(("name", "reads"), [*zip(EVERY_SETUP, cycle([REST, MOMENTS]), strict=False)])
def test_one_fault_shows_a_rule_and_us_the_same_of_every_system_with_and_without(name: str, reads: str) -> None:
    """Every other system has a rule that reads every moment: most have two scenarios."""
    expect_nothing_lost(EVERY_SETUP[name], 1, reads)


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["seed", "simple-saga"])
def test_two_faults_show_a_rule_and_us_the_same_with_and_without(adapter: str) -> None:
    loaded = load(adapter)
    assert expect_nothing_lost(Setup(adapter=loaded, scenario=loaded.scenario("succeeds")), 2, REST, MOMENTS) > 0


def test_sagas_on_different_data_show_a_rule_every_order() -> None:
    apart = Scenario(name="apart", sagas=2, items=("item-1", "item-2"), accounts=("one", "two"))
    expect_nothing_lost(Setup(adapter=load("seed"), scenario=apart), 1, REST, MOMENTS)


def test_the_less_a_rule_reads_the_more_is_spared() -> None:
    spared = {}
    for reads in (REST, MOMENTS, HISTORY):
        setup = Setup(adapter=read_by(reads, load("seed")), scenario=Scenario())
        enumerator = Enumerator(setup, 2, {"lost-ack", "duplicate", "late-answer", "slow-answer", "crash-after-ack"})
        for _ in enumerator.cases():
            pass
        spared[reads] = sum(enumerator.pruned.values())
    assert spared[REST] >= spared[MOMENTS] > spared[HISTORY]


def test_a_rule_that_reads_the_history_lets_nothing_be_spared_that_a_prefix_does_not() -> None:
    setup = Setup(adapter=read_by(HISTORY, load("reference")), scenario=Scenario())
    assert PREFIX_SHARING.usable(setup, None)
    assert not any(row.usable(setup, None) for row in (CRASH_EQUIVALENCE, STATE_MEMO))
