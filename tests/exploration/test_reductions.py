"""A reduction spares plans and loses nothing: the same outcomes and anomalies as the full search."""

from __future__ import annotations

import pytest

from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge, outcome_of
from sagafuzz.exploration.quiet import fewer_collections, quiet
from sagafuzz.exploration.reductions import CRASH_EQUIVALENCE, PREFIX_SHARING, REDUCTIONS, STATE_MEMO, UNREAD_CLOCK
from sagafuzz.history import CLOCK
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate
from sagafuzz.simulator.state import state_key

Found = tuple[frozenset[tuple[str, str, str, str]], frozenset[str]]


def search(adapter: str, scenario: str, reductions: tuple[str, ...], faults: int = 2) -> tuple[Found, int, Enumerator]:
    """Every anomaly and every outcome that the search comes upon, and how many plans it runs."""
    loaded = load(adapter)
    setup = Setup(adapter=loaded, scenario=loaded.scenario(scenario))
    judge, enumerator, count = Judge(setup), Enumerator(setup, faults, reductions=reductions), 0
    signatures, outcomes = set(), set()
    with quiet(), fewer_collections():  # some adapters log each exception: ten times the cost of a run
        for case in enumerator.cases():
            count += 1
            if case.known:
                continue
            verdict, new = judge.judge(case.plan, case.run, case.digest)
            if new:
                signatures.update(violation.signature for violation in verdict.violations)
                outcomes.add(outcome_of(case.run, setup))
    return (frozenset(signatures), frozenset(outcomes)), count, enumerator


@pytest.mark.parametrize("reduction", [CRASH_EQUIVALENCE, STATE_MEMO])
@pytest.mark.parametrize("adapter", ["seed", "simple-saga"])
@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_a_broken_system_shows_the_same_with_and_without(adapter: str, scenario: str, reduction: str) -> None:
    full, plans, _ = search(adapter, scenario, ())
    reduced, fewer, enumerator = search(adapter, scenario, (reduction,))
    assert reduced == full
    assert fewer < plans or adapter == "simple-saga"  # an async system's state cannot be told
    assert bool(enumerator.pruned[reduction]) == (fewer < plans)


@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_a_shared_prefix_spares_no_plan(scenario: str) -> None:
    full, plans, _ = search("seed", scenario, ())
    shared, same, enumerator = search("seed", scenario, (PREFIX_SHARING,))
    assert (shared, same) == (full, plans)
    assert enumerator.resumed == plans - 1, "all but the empty plan"


def test_a_jump_of_a_clock_that_nobody_reads_changes_nothing() -> None:
    """What is spared is the run without the jump, row by row."""
    loaded = load("seed")
    setup = Setup(adapter=loaded, scenario=loaded.scenario("declined"))
    ran = {case.plan: case.run for case in Enumerator(setup, 2, reductions=()).cases()}
    reduced = Enumerator(setup, 2, reductions=(UNREAD_CLOCK,))
    spared = set(ran) - {case.plan for case in reduced.cases()}
    assert len(spared) == reduced.pruned[UNREAD_CLOCK] > 100
    for plan in spared:
        assert plan.faults[-1].kind.startswith("clock-")
        with_it, without = ran[plan].rows, ran[plan.without(1)].rows
        assert [row for row in with_it if row[1] != CLOCK] == [row for row in without if row[1] != CLOCK]


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_the_reference_shows_the_same_with_and_without(scenario: str) -> None:
    full, plans, _ = search("reference", scenario, ())
    assert not full[0]
    reduced, fewer, _ = search("reference", scenario, REDUCTIONS)
    assert reduced == full
    assert fewer < plans


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["two-on-one-item", "over-the-limit"])
def test_two_sagas_at_once_show_the_same_with_and_without(scenario: str) -> None:
    assert search("seed", scenario, REDUCTIONS)[0] == search("seed", scenario, ())[0]


def test_the_count_of_plans_of_the_reference_is_pinned() -> None:
    """A change of these numbers is a change of what is searched: look at it, then write the new ones."""
    _, one, _ = search("reference", "succeeds", (), faults=1)
    _, reduced, enumerator = search("reference", "succeeds", REDUCTIONS, faults=1)
    assert (one, reduced, enumerator.pruned[CRASH_EQUIVALENCE]) == (94, 86, 8)


def test_two_states_are_told_apart_by_what_a_process_was_answered() -> None:
    """The same stores and participants, but one orchestrator has seen a timeout: not the same state."""
    adapter = load("reference")
    setup = Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))
    keys: list[set[bytes | None]] = []
    cases = [case for case in Enumerator(setup, 1).cases() if case.plan.faults]
    wanted = ("lost-ack", "late-answer", "lost-request")
    for kind in wanted:
        plan = next(case.plan for case in cases if case.plan.faults[0].kind == kind)
        seen: set[bytes | None] = set()

        def watch(sim: object, seen: set[bytes | None] = seen) -> bool:
            seen.add(state_key(sim))  # type: ignore[arg-type]
            return False

        simulate(setup, plan, watch=watch)
        keys.append(seen)
    base: set[bytes | None] = set()
    simulate(setup, watch=lambda sim: bool(base.add(state_key(sim))))
    assert all(None not in seen for seen in keys)
    assert not keys[0] & base, "an orchestrator that waited in vain once is not one that did not"
    assert not keys[2] & keys[0], "the participant was asked in another order"
    assert keys[0] == keys[1], "an answer that is lost and one that comes too late leave the same behind"
