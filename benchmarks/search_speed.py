"""Schedules per second: the enumerator beside a plain hand-written state machine, in one process.

Both run the checkout saga on a correct durable orchestrator of the same shape, one record for each thing that it
comes to know, and are judged by the same invariants. The reference, whose own code does more between two
requests, is measured as well. The rounds alternate, so that a change in the machine's speed touches both sides. A
schedule is a plan of faults for the one, an example for the other; a plan that a reduction spares is covered.

What the reductions spare grows with the number of faults, so two depths are measured: every plan with two faults,
some rounds of it, and once every plan with three (a minute or two), which is the headline.

    python benchmarks/search_speed.py [--rounds N] [--deep 0]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Collection
from typing import NamedTuple

import hypothesis
from handwritten import HandwrittenCheckout
from hypothesis import HealthCheck
from hypothesis.stateful import run_state_machine_as_test

from sagafuzz import Adapter
from sagafuzz.adapters.zoo.parts import CORRECT
from sagafuzz.exploration.checkup import extensions
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge, outcome_of
from sagafuzz.exploration.quiet import fewer_collections
from sagafuzz.exploration.reductions import ALL, Reduction
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

REFERENCE = load("reference")


class Searched(NamedTuple):
    """A search: how many plans were run, in how many seconds of processor time, and what the clients were told."""

    plans: int
    seconds: float
    outcomes: set[str]


def enumerate_plans(adapter: Adapter, max_faults: int, reductions: Collection[Reduction]) -> Searched:
    """Run and judge every plan that the reductions leave."""
    setup = Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))
    judge, count, outcomes = Judge(setup), 0, set()
    start = time.process_time()
    enumerator = Enumerator(setup, max_faults, reductions=reductions)
    with fewer_collections():
        for case in enumerator.cases():
            count += 1
            if not case.known:
                verdict, new = judge.judge(case.plan, case.run, case.digest, case.projection)
                assert not verdict.violations, verdict.violations
                if new:
                    outcomes.add(outcome_of(case.run, setup))
    return Searched(count, time.process_time() - start, outcomes)


def run_handwritten(examples: int, seed: int) -> tuple[int, float]:
    """Run the hand-written machine at hypothesis's own default of 50 steps."""
    settings = hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    start = time.process_time()
    run_state_machine_as_test(hypothesis.seed(seed)(HandwrittenCheckout), settings=settings)
    return examples, time.process_time() - start


def every_plan(adapter: Adapter, max_faults: int) -> int:
    """How many plans there are, before any reduction: those with a fault more extend those with one less."""
    setup = Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))
    enumerator = Enumerator(setup, max_faults - 1, reductions=())
    count = 0
    for case in enumerator.cases():
        count += 1
        if len(case.plan) == max_faults - 1:
            count += extensions(enumerator, case)
    return count


def deep(max_faults: int, examples: int) -> None:
    """Print what an exhaustive search of that depth covers in a second, and how often the hand-written machine's
    schedules that is; the headline."""
    every = every_plan(CORRECT, max_faults)
    # Before the search, which leaves memory in pieces: afterwards they would be slower by that.
    ran = [run_handwritten(examples, seed=seed) for seed in range(100, 105)]
    found = enumerate_plans(CORRECT, max_faults, ALL)
    covered, theirs = every / found.seconds, statistics.median(done / seconds for done, seconds in ran)
    print(
        f"plans with at most {max_faults} faults: {every:,}; with the reductions {found.plans:,} are run, "
        f"in {found.seconds:.0f} s; distinct outcomes: {len(found.outcomes)} ({', '.join(sorted(found.outcomes))})"
    )
    print(f"enumerator, with reductions: {covered:,.0f} schedules/s covered")
    print(f"hand-written state machine: {theirs:,.1f} schedules/s (median of {len(ran)})")
    print(f"ratio: {covered / theirs:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of the search with two faults")
    parser.add_argument("--deep", type=int, default=3, help="faults of the search that is the headline; 0: none")
    parser.add_argument("--examples", type=int, default=100, help="of the hand-written machine, each time")
    arguments = parser.parse_args()
    enumerate_plans(CORRECT, 1, ALL)  # warm up both
    run_handwritten(10, seed=0)
    two_faults(arguments.rounds, arguments.examples)
    if arguments.deep:
        deep(arguments.deep, arguments.examples)


def two_faults(rounds: int, examples: int) -> None:
    """Print the medians of some rounds of every way."""
    ours, reduced, reference, theirs = [], [], [], []
    every, of_reference = every_plan(CORRECT, 2), every_plan(REFERENCE, 2)
    for number in range(rounds):
        ours.append(every / enumerate_plans(CORRECT, 2, ()).seconds)
        found = enumerate_plans(CORRECT, 2, ALL)
        reduced.append(every / found.seconds)  # it covers the same plans
        reference.append(of_reference / enumerate_plans(REFERENCE, 2, ALL).seconds)
        done, seconds = run_handwritten(examples, seed=number)
        theirs.append(done / seconds)
    print(f"plans with at most 2 faults: {every:,}; with the reductions {found.plans:,} are run (medians of {rounds})")
    print(f"enumerator, every plan run: {statistics.median(ours):,.0f} schedules/s")
    print(f"enumerator, with reductions: {statistics.median(reduced):,.0f} schedules/s covered")
    print(f"hand-written state machine: {statistics.median(theirs):,.1f} schedules/s")
    print(f"the reference, with reductions: {statistics.median(reference):,.0f} schedules/s covered")
    for name, speeds in (("of_the_reference", reference), ("without_reductions", ours), ("with_two_faults", reduced)):
        print(f"ratio_{name}: {statistics.median(a / b for a, b in zip(speeds, theirs, strict=True)):.1f}")


if __name__ == "__main__":
    main()
