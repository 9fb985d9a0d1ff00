"""Schedules per second: the enumerator beside a plain hand-written state machine, in one process.

Both run the checkout saga on a correct durable orchestrator and are judged by the same invariants.
The rounds alternate, so that a change in the machine's speed touches both sides. A schedule is a plan
of faults for the one, an example for the other.

    python benchmarks/search_speed.py [--rounds N]
"""

from __future__ import annotations

import argparse
import statistics
import time

import hypothesis
from handwritten import HandwrittenCheckout
from hypothesis import HealthCheck
from hypothesis.stateful import run_state_machine_as_test

from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge
from sagafuzz.loading import load
from sagafuzz.simulator import Setup


def enumerate_plans(max_faults: int) -> tuple[int, float]:
    """Run and judge every plan; how many, and the seconds of processor time."""
    adapter = load("reference")
    setup = Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))
    judge, count = Judge(setup), 0
    start = time.process_time()
    for case in Enumerator(setup, max_faults).cases():
        verdict, _ = judge.judge(case.plan, case.run, case.digest)
        assert not verdict.violations, verdict.violations
        count += 1
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
    enumerate_plans(1)  # warm up both
    run_handwritten(10, seed=0)
    ours, theirs = [], []
    for number in range(arguments.rounds):
        count, seconds = enumerate_plans(arguments.faults)
        ours.append(count / seconds)
        examples, seconds = run_handwritten(arguments.examples, seed=number)
        theirs.append(examples / seconds)
    print(f"plans in a round: {count}")
    print(f"enumerator: {statistics.median(ours):,.0f} schedules/s (median of {arguments.rounds} rounds)")
    print(f"hand-written state machine: {statistics.median(theirs):,.1f} schedules/s")
    print(f"ratio: {statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.1f}")


if __name__ == "__main__":
    main()
