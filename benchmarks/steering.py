"""Does it help to draw fault rates for each example (swarm), or to steer towards many struck sites (target)?

Counts the examples of the state machine until a broken system is found out, for each way of choosing, and
takes the median over the seeds. The headline is the geometric mean over the systems of examples with fixed
rates divided by examples with the way that sagafuzz uses: above 1 it helps.

    python benchmarks/steering.py [--seeds N]
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from pathlib import Path

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import initialize

from sagafuzz import Adapter, SagaMachine
from sagafuzz.exploration.driver import FAULTY_ACTIONS
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.stateful import SagaViolation, search
from sagafuzz.loading import load

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "quality"))
from broken_systems import BROKEN, CLASSICS

MOST = 200
"""Examples after which a search is given up; it counts as that many."""

RULES = (*sorted(FAULTY_ACTIONS), "advance")


class Fixed(SagaMachine):
    """One rate for all: a disturbance strikes one time in four."""

    found = False

    def _strikes(self, action: str, luck: int) -> bool:
        return luck < 2

    def _come_to_rest(self) -> None:
        try:
            super()._come_to_rest()
        except SagaViolation:
            type(self).found = True
            raise


class Swarm(Fixed):
    """Each example draws how often a disturbance strikes, and which disturbances there are."""

    rates = (2, 1, 4)
    rate, disabled = 2, 0

    @initialize(rate=st.sampled_from((0, 1, 2)), disabled=st.integers(0, 2 ** len(RULES) - 1))
    def draw(self, rate: int, disabled: int) -> None:
        self.rate, self.disabled = self.rates[rate], disabled

    def _strikes(self, action: str, luck: int) -> bool:
        return luck < self.rate and not self.disabled >> RULES.index(action) & 1


class Rates(Swarm):
    """Each example draws how often a disturbance strikes."""

    def draw(self, rate: int) -> None:
        self.rate = self.rates[rate]

    draw = initialize(rate=st.sampled_from((0, 1, 2)))(draw)  # type: ignore[assignment]


class Targeted(Fixed):
    """Hypothesis is told how many distinct messages were disturbed, and steers towards more."""

    def _come_to_rest(self) -> None:
        try:
            super()._come_to_rest()
        finally:
            struck = {
                shown
                for shown, (name, _) in zip(self.driver.shown, self.driver.actions, strict=True)
                if name in FAULTY_ACTIONS
            }
            hypothesis.target(float(len(struck)), label="distinct messages disturbed")


class SwarmTargeted(Swarm, Targeted):
    """Both."""


SYSTEMS: dict[str, tuple[Adapter, str]] = {
    "seed, charged twice": (load("seed"), "I1"),
    "seed, step left out": (load("seed"), "I5"),
    "simple-saga, charged twice": (load("simple-saga"), "I1"),
    "failed step omitted": (CLASSICS["failed-step-omitted"], "I5"),
} | {
    f"broken for {kind}": (BROKEN[kind].adapter, BROKEN[kind].invariant) for kind in ("reject", "duplicate", "lost-ack")
}
"""What can be found out in a few hundred examples, and not in the first one."""


def examples(system: str, machine: type[Fixed], seed: int, most: int = MOST) -> int:
    """How many examples until the system is found out."""
    adapter, invariant = SYSTEMS[system]
    asked = 0
    fresh = type(machine.__name__, (machine,), {"found": False})

    def stopped() -> bool:
        nonlocal asked
        seen = any(sub.found for sub in fresh.__subclasses__())
        asked += not seen
        return seen or asked > most

    with quiet():
        search(
            adapter,
            examples=most,
            seed=seed,
            scenarios=adapter.scenarios[:1],
            only=frozenset({invariant}),
            machine=fresh,
            stopped=stopped,
        )
    return min(asked, most)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    ways: tuple[type[Fixed], ...] = (Fixed, Rates, Swarm, Targeted, SwarmTargeted)
    print(f"{'examples until found (median)':<32}" + "".join(f"{way.__name__:>15}" for way in ways), flush=True)
    ratios: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for system in SYSTEMS:
        counts = {way.__name__: statistics.median(examples(system, way, seed) for seed in seeds) for way in ways}
        for name, count in counts.items():
            ratios[name].append(counts["Fixed"] / count)
        print(f"{system:<32}" + "".join(f"{count:>15g}" for count in counts.values()), flush=True)
    for name, found in ratios.items():
        print(f"{name}: {math.exp(statistics.fmean(map(math.log, found))):.2f}")


if __name__ == "__main__":
    main()
