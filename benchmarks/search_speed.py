"""Schedules per second: the enumerator beside a plain hand-written state machine, in one process.

Both run the checkout saga on a correct durable orchestrator of the same shape, one record for each thing that it
comes to know, and are judged by the same invariants. The reference, whose own code does more between two
requests, is measured as well.
The rounds alternate, so that a change in the machine's speed touches both sides. A schedule is a plan
of faults for the one, an example for the other.

    python benchmarks/search_speed.py [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Collection

import hypothesis
from handwritten import HandwrittenCheckout
from hypothesis import HealthCheck
from hypothesis.stateful import run_state_machine_as_test

from sagafuzz import Adapter
from sagafuzz.adapters.zoo.parts import CORRECT
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge
from sagafuzz.exploration.quiet import fewer_collections
from sagafuzz.exploration.reductions import REDUCTIONS
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

REFERENCE = load("reference")


def enumerate_plans(adapter: Adapter, max_faults: int, reductions: Collection[str]) -> tuple[int, float]:
    """Run and judge every plan that the reductions leave; how many, and the seconds of processor time."""
    setup = Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))
    judge, count = Judge(setup), 0
    start = time.process_time()
    enumerator = Enumerator(setup, max_faults, reductions=reductions)
    with fewer_collections():
        for case in enumerator.cases():
            count += 1
            if not case.known:
                verdict, _ = judge.judge(case.plan, case.run, case.digest)
                assert not verdict.violations, verdict.violations
    return count, time.process_time() - start


def run_handwritten(examples: int, seed: int) -> tuple[int, float]:
    """Run the hand-written machine at hypothesis's own default of 50 steps."""
    settings = hypothesis.settings(
        max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    start = time.process_time()
    run_state_machine_as_test(hypothesis.seed(seed)(HandwrittenCheckout), settings=settings)
    return examples, time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--faults", type=int, default=2)
    parser.add_argument("--examples", type=int, default=100)
    arguments = parser.parse_args()
    enumerate_plans(CORRECT, 1, REDUCTIONS)  # warm up both
    run_handwritten(10, seed=0)
    ours, reduced, reference, theirs = [], [], [], []
    every, _ = enumerate_plans(REFERENCE, arguments.faults, ())
    for number in range(arguments.rounds):
        count, seconds = enumerate_plans(CORRECT, arguments.faults, ())
        ours.append(count / seconds)
        fewer, seconds = enumerate_plans(CORRECT, arguments.faults, REDUCTIONS)
        reduced.append(count / seconds)  # it covers the same plans
        _, seconds = enumerate_plans(REFERENCE, arguments.faults, REDUCTIONS)
        reference.append(every / seconds)
        examples, seconds = run_handwritten(arguments.examples, seed=number)
        theirs.append(examples / seconds)
    print(f"plans with at most {arguments.faults} faults: {count:,}; with the reductions {fewer:,} are run")
    print(
        f"enumerator, every plan run: {statistics.median(ours):,.0f} schedules/s (median of {arguments.rounds} rounds)"
    )
    print(f"enumerator, with reductions: {statistics.median(reduced):,.0f} schedules/s covered")
    print(f"hand-written state machine: {statistics.median(theirs):,.1f} schedules/s")
    print(f"the reference, with reductions: {statistics.median(reference):,.0f} schedules/s covered")
    print(f"ratio_of_the_reference: {statistics.median(a / b for a, b in zip(reference, theirs, strict=True)):.1f}")
    print(f"ratio_without_reductions: {statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.1f}")
    print(f"ratio: {statistics.median(a / b for a, b in zip(reduced, theirs, strict=True)):.1f}")


if __name__ == "__main__":
    main()
