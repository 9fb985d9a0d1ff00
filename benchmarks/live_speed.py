"""Live cases per second: as live mode runs them, beside a plain loop that starts a fresh interpreter for each.

A case is an order to the correct Python checkout of examples/live: a worker is started, killed with SIGKILL at one of
its fault points, started again, and recovers; the history is judged. The plain loop does the same one after the
other, with an interpreter that is started anew for each worker. Rounds alternate, so that a change in the
machine's speed touches both sides.

    python benchmarks/live_speed.py [--cases N] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import resource
import statistics
import time
from dataclasses import replace
from pathlib import Path

from sagafuzz.faults import Fault, Plan, Site
from sagafuzz.invariants import check
from sagafuzz.live.manifest import Manifest, as_adapter
from sagafuzz.live.manifest_file import read
from sagafuzz.live.world import LiveWorld
from sagafuzz.simulator import Setup

MANIFEST = Path(__file__).resolve().parent.parent / "examples" / "live" / "python" / "correct.toml"
CRASHES = (("crash-before-send", "send"), ("crash-after-send", "send"), ("crash-after-effect", "effect"))
CRASHES += (("crash-after-ack", "ack"),)


def plans() -> list[Plan]:
    """A kill at each point of each step."""
    return [
        Plan(
            faults=(
                Fault(
                    kind=kind,
                    site=Site(saga="saga-1", subject=step, direction="F", phase=phase, occurrence=1),
                ),
            )
        )
        for step in ("order", "inventory", "payment")
        for kind, phase in CRASHES
    ]


def setup_of(manifest: Manifest) -> Setup:
    adapter = as_adapter(manifest, str(manifest.file))
    return Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))


def processor_s() -> float:
    """What this process, and those that it waited for, have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


async def measure(setup: Setup, cases: int, jobs: int) -> float:
    """Run and judge so many cases; the seconds that they took, without those to start the world."""

    async def one(world: LiveWorld, plan: Plan) -> None:
        live = await world.run(setup, plan)
        assert not live.blocked, live.blocked
        assert len(live.run.fired) == 1, plan
        assert not check(live.run.history(setup, plan)).violations, plan

    async with LiveWorld(jobs=jobs) as world:
        start = time.perf_counter()
        await asyncio.gather(*(one(world, plan) for plan in itertools.islice(itertools.cycle(plans()), cases)))
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=120, help="cases a round; the plain loop runs a tenth of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=0, help="cases at one time (default: as live mode does)")
    options = parser.parse_args()
    manifest = read(str(MANIFEST))
    fresh = replace(manifest, components=tuple(replace(component, prefork=False) for component in manifest.components))
    few = max(options.cases // 10, 1)
    live, plain, cost_ms = [], [], []
    for number in range(1, options.rounds + 1):
        before = processor_s()
        live.append(options.cases / asyncio.run(measure(setup_of(manifest), options.cases, options.jobs)))
        cost_ms.append((processor_s() - before) * 1000 / options.cases)
        plain.append(few / asyncio.run(measure(setup_of(fresh), few, 1)))
        load = os.getloadavg()[0]
        rates = f"live {live[-1]:.1f} cases/s, plain loop {plain[-1]:.1f} cases/s"
        print(f"round {number}: {rates}, load average {load:.1f} on {os.cpu_count()} cores")
    print(f"cases_per_second: {statistics.median(live):.1f}")
    print(f"load_average: {os.getloadavg()[0]:.1f}")
    print(f"plain_loop_cases_per_second: {statistics.median(plain):.1f}")
    print(f"processor_ms_per_case: {statistics.median(cost_ms):.0f}")
    print(f"speedup: {statistics.median(live) / statistics.median(plain):.1f}")


if __name__ == "__main__":
    main()
