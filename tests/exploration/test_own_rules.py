"""Rules of an adapter's own: what may be spared where one judges, and that nothing of what it reads is lost by it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from sagafuzz import Adapter, Scenario
from sagafuzz.exploration.enumerator import Enumerator
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


def every_view(
    setup: Setup, reads: str, faults: int, reductions: Collection[Reduction]
) -> tuple[set[Any], dict[bytes, set[Any]], int]:
    """What a rule sees in all runs of a search; the same for each past that the search takes for one; and how many runs
    there were."""
    found: set[Any] = set()
    by_past: dict[bytes, set[Any]] = {}
    count = 0
    with quiet(), fewer_collections():
        for case in Enumerator(setup, faults, reductions=reductions).cases():
            count += 1
            end = case.run.rows[-1][9][0] if case.run.rows else ""
            if case.known or end != "quiescent":
                continue
            view = seen(View(case.run.history(setup, case.plan), reads, "quiescent"), reads)
            found.add(view)
            if case.projection:
                by_past.setdefault(case.projection, set()).add(view)
    return found, by_past, count


def expect_nothing_lost(setup: Setup, reads: str, faults: int) -> int:
    """With all reductions there is everything that a rule sees without any; how many runs were spared."""
    full, _, every = every_view(setup, reads, faults, ())
    reduced, by_past, fewer = every_view(setup, reads, faults, ALL)
    assert reduced == full
    assert all(len(views) == 1 for views in by_past.values()), "two pasts are taken for one that a rule tells apart"
    return every - fewer


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting, "MAX_TICKS", 600)


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("reads", [REST, MOMENTS])
@pytest.mark.parametrize("name", EVERY_SETUP)
def test_one_fault_shows_a_rule_the_same_of_every_system_with_and_without(name: str, reads: str) -> None:
    setup = EVERY_SETUP[name]
    expect_nothing_lost(replace(setup, adapter=read_by(reads, setup.adapter)), reads, 1)


@pytest.mark.slow
@pytest.mark.parametrize("reads", [REST, MOMENTS])
@pytest.mark.parametrize("adapter", ["seed", "simple-saga"])
def test_two_faults_show_a_rule_the_same_with_and_without(adapter: str, reads: str) -> None:
    loaded = load(adapter)
    setup = Setup(adapter=read_by(reads, loaded), scenario=loaded.scenario("succeeds"))
    assert expect_nothing_lost(setup, reads, 2) > 0


@pytest.mark.parametrize("reads", [REST, MOMENTS])
def test_sagas_on_different_data_show_a_rule_every_order(reads: str) -> None:
    apart = Scenario(name="apart", sagas=2, items=("item-1", "item-2"), accounts=("one", "two"))
    expect_nothing_lost(Setup(adapter=read_by(reads, load("seed")), scenario=apart), reads, 1)


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
