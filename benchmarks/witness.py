"""Schedules until the smallest one that shows a bug is in hand, for four ways of searching.

The enumerator runs plans of at most two faults in its order, so that the first which fails is a smallest one.
Our state machine and uniform random plans are followed by our shrinker, the hand-written state machine by
Hypothesis's own; every schedule that those run counts. Each way is asked for a violation of the one invariant
of its row. The median over the seeds is shown, ">1000" or ">100" where most searches were given up, "–" where
the way knows no such fault. The random searches of all seeds go on side by side until most have ended: then the
median is known, and what the others would still take does not matter. The headline is the geometric mean over the
systems of random plans' count by the enumerator's: above 1 the enumerator needs fewer.

Memory is what the process holds (RSS) after plans with at most two faults of two scenarios of the reference in
turn, again and again, each run and judged: `--plans 1000000` shows it over a million.

    python benchmarks/witness.py [--seeds N] [--plans N]
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import hypothesis
from handwritten import HandwrittenCheckout
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.stateful import run_state_machine_as_test

from sagafuzz import Adapter, Plan, SagaMachine
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge
from sagafuzz.exploration.quiet import fewer_collections, quiet
from sagafuzz.exploration.reductions import SHAPING
from sagafuzz.exploration.shrink import shrink, shrink_actions
from sagafuzz.exploration.stateful import SagaViolation, search
from sagafuzz.history import rows_digest
from sagafuzz.loading import load
from sagafuzz.simulator import Run, Setup, Simulation, simulate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "quality"))
from broken_systems import BROKEN, CLASSICS

MOST = 3000
"""Plans after which the enumerator gives up."""

DRAWN = 1000
"""Runs after which a search with random plans is given up: 20 of them are run for each system."""

EXAMPLES = 100
"""Examples after which a state machine is given up: each takes as long as several plans."""

STEPS = 8
"""Rules of one example, for both state machines."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A broken system and the invariant that it is asked about. ``machine`` says whether our state machine
    has a rule for the fault that it takes, ``bug`` what the hand-written one calls it."""

    name: str
    adapter: Adapter
    invariant: str
    machine: bool = True
    bug: str = ""

    @property
    def setup(self) -> Setup:
        return Setup(adapter=self.adapter, scenario=self.adapter.scenarios[0])


BY_RULES = frozenset(
    {"crash-after-send", "duplicate", "delayed-duplicate", "lost-ack", "lost-request", "reject", "reordered", "timeout"}
)
"""The kinds of faults for which our state machine has a rule."""

CAUSES = {"reordered": "I7", "cancel": "I13"}
"""Where the invariant that a broken system is listed under follows from another one, that one is reported."""

ROWS = (
    Row(name="seed: charged twice", adapter=load("seed"), invariant="I1"),
    Row(name="seed: step left out", adapter=load("seed"), invariant="I5"),
    Row(name="simple-saga: wrong order", adapter=load("simple-saga"), invariant="I4", machine=False),
    *(
        Row(name=name, adapter=CLASSICS[name], invariant=invariant, bug=name)
        for name, invariant in (("no-key", "I1"), ("in-memory", "I13"), ("failed-step-omitted", "I5"))
    ),
    *(
        Row(
            name=f"broken for {kind}",
            adapter=broken.adapter,
            invariant=CAUSES.get(kind, broken.invariant),
            machine=kind in BY_RULES,
        )
        for kind, broken in BROKEN.items()
    ),
)


class Counter:
    """Counts the schedules that are run."""

    def __init__(self) -> None:
        self.count = 0


@contextmanager
def counted() -> Iterator[Counter]:
    """Count every run of the simulator, whoever asks for it."""
    counter, finish = Counter(), Simulation.finish

    def counting(sim: Simulation) -> None:
        counter.count += 1
        finish(sim)

    Simulation.finish = counting  # type: ignore[method-assign]
    try:
        yield counter
    finally:
        Simulation.finish = finish  # type: ignore[method-assign]


# -- four ways of searching --------------------------------------------------------------------------


def by_enumerator(row: Row) -> int | None:
    """Plans with fewer faults first, those that strike earlier first."""
    judge, enumerator = Judge(row.setup), Enumerator(row.setup, 2)
    for number, case in enumerate(itertools.islice(enumerator.cases(), MOST), 1):
        if not case.known and _signature(row, judge, case.plan, case.run) is not None:
            return number
    return None


def by_machine(row: Row, seed: int) -> int | None:
    """Our state machine until its first failure, then our shrinker."""

    class Machine(SagaMachine):
        found = False

        def _come_to_rest(self) -> None:
            try:
                super()._come_to_rest()
            except SagaViolation:
                Machine.found = True
                raise

    with counted() as counter:
        failure, _ = search(
            row.adapter,
            examples=EXAMPLES,
            seed=seed,
            scenarios=(row.setup.scenario,),
            only=frozenset({row.invariant}),
            steps=STEPS,
            machine=Machine,
            stopped=lambda: Machine.found,
        )
        if failure is None:
            return None
        shrink_actions(row.setup, failure.actions, failure.violation.signature)
        return counter.count


def by_hand(row: Row, seed: int) -> int | None:
    """The hand-written state machine, with Hypothesis's shrinker."""
    examples = 0

    class Machine(HandwrittenCheckout):
        bug = row.bug

        def __init__(self) -> None:
            nonlocal examples
            super().__init__()
            examples += 1

    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )
    try:
        run_state_machine_as_test(hypothesis.seed(seed)(Machine), settings=settings)
    except AssertionError:
        return examples
    return None


class Chance:
    """Plans of one or two faults, each drawn uniformly from those that are feasible, then our shrinker."""

    def __init__(self, row: Row, seed: int) -> None:
        self.count = 0
        self.ended = False
        self._row = row
        self._rng = random.Random(seed)
        self._enumerator = Enumerator(row.setup, 2, reductions=SHAPING)
        self._judge = Judge(self._enumerator.setup)
        self._plain = simulate(self._enumerator.setup)

    def step(self) -> None:
        """One plan more, and its shrinking where it shows the bug."""
        with counted() as counter:
            plan, run = _drawn(self._enumerator, self._plain, self._rng)
            signature = _signature(self._row, self._judge, plan, run)
            if signature is not None:
                shrink(self._enumerator.setup, plan, signature)
                self.ended = True
        self.count += counter.count


def by_chance(row: Row, seeds: range) -> float:
    """The median of the runs that each seed needs; infinite where most need more than DRAWN."""
    searches = [Chance(row, seed) for seed in seeds]
    while True:
        ended = [each.count for each in searches if each.ended]
        under_way = [each for each in searches if not each.ended]
        behind = min((each.count for each in under_way), default=math.inf)
        if 2 * sum(count <= behind for count in ended) > len(seeds):
            return statistics.median(each.count if each.ended else math.inf for each in searches)
        if behind >= DRAWN:
            return math.inf
        for each in under_way:
            if each.count == behind:
                each.step()


def _drawn(enumerator: Enumerator, run: Run, rng: random.Random) -> tuple[Plan, Run]:
    plan, start = Plan(), 0
    for _ in range(rng.choice((1, 2))):
        impossible = {index - start: kinds for index, kinds in run.impossible.items()}
        choices = list(enumerator.extensions(run.sites[start:], impossible))
        if not choices:
            break
        fault = rng.choice(choices)
        plan = Plan(faults=(*plan.faults, fault))
        run = simulate(enumerator.setup, plan)
        start = run.sites.index(fault.site) + 1
    return plan, run


def _signature(row: Row, judge: Judge, plan: Plan, run: Run) -> tuple[str, ...] | None:
    """What of the row's invariant the run violates."""
    verdict, _ = judge.judge(plan, run, rows_digest(run.rows))
    return next((found.signature for found in verdict.violations if found.invariant == row.invariant), None)


# -- what is printed -----------------------------------------------------------------------------------


def median(way: Callable[[Row, int], int | None], row: Row, seeds: range) -> float:
    """The median of the counts; infinite as soon as most searches were given up."""
    counts: list[float] = []
    for seed in seeds:
        found = way(row, seed)
        counts.append(math.inf if found is None else found)
        if 2 * sum(map(math.isinf, counts)) > len(seeds):
            return math.inf
    return statistics.median(counts)


def shown(count: float | None, most: int) -> str:
    return "–" if count is None else f">{most}" if math.isinf(count) else f"{count:g}"


def reduction_ratio() -> tuple[float, int]:
    """Plans with at most two faults that the reference would need, by those that are run."""
    adapter = load("reference")
    enumerator = Enumerator(Setup(adapter=adapter, scenario=adapter.scenario("succeeds")), 2)
    ran = sum(1 for _ in enumerator.cases())
    return (ran + sum(enumerator.pruned.values())) / ran, ran


def searched() -> Iterator[None]:
    """Search all plans with at most two faults of two scenarios in turn, for ever; one item a plan."""
    adapter = load("reference")
    for name in itertools.cycle(("succeeds", "declined")):
        setup = Setup(adapter=adapter, scenario=adapter.scenario(name))
        judge = Judge(setup)
        for case in Enumerator(setup, 2).cases():
            if not case.known:
                judge.judge(case.plan, case.run, case.digest, case.projection)
            yield


def memory(plans: int) -> Iterator[tuple[int, float]]:
    """What the process holds (MiB) after 1,000 plans, ten times as many and so on, and after all."""
    mark = 1_000
    for number, _ in enumerate(itertools.islice(searched(), plans), 1):
        if number == min(mark, plans):
            mark *= 10
            yield number, held_mib()


def held_mib() -> float:
    """The resident set; its peak where the system tells no more."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="searches of each system by chance")
    parser.add_argument("--plans", type=int, default=20_000, help="plans over which memory is measured")
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    start = time.perf_counter()
    with fewer_collections():
        for number, held in memory(arguments.plans):
            print(f"memory held after {number:,} plans: {held:.0f} MiB", flush=True)
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MiB")
    ratio, ran = reduction_ratio()
    print(f"reduction ratio: {ratio:.2f} ({ran:,} plans run, two faults on the reference)")
    print(f"{'schedules to the minimal witness':<38}{'enumerator':>12}{'machine':>10}{'by hand':>10}{'random':>10}")
    times = []
    for row in ROWS:
        with quiet():
            enumerated = by_enumerator(row)
            machine = median(by_machine, row, seeds) if row.machine else None
            by_hand_ = median(by_hand, row, seeds) if row.bug else None
            chance = by_chance(row, seeds)
        assert enumerated is not None, f"the enumerator does not find {row.name!r}"
        times.append(min(chance, DRAWN) / enumerated)
        counts = (shown(machine, EXAMPLES), shown(by_hand_, EXAMPLES), shown(chance, DRAWN))
        print(f"{row.name:<38}{enumerated:>12}" + "".join(f"{count:>10}" for count in counts), flush=True)
    print(f"seconds: {time.perf_counter() - start:.0f}")
    print(f"witness_ratio: {math.exp(statistics.fmean(map(math.log, times))):.1f}")


if __name__ == "__main__":
    main()
