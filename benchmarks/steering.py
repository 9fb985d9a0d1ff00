"""Does it help to draw fault rates for each example (swarm), or to steer towards many struck sites (target)?

Counts the examples of the state machine until a broken system is found out, for each way of choosing, and
takes the median over the seeds. The headline is the geometric mean over the systems of examples with fixed
rates divided by examples with the way that sagafuzz uses: above 1 it helps.

Measured over 27 seeds: drawn rates cost nothing and gain nothing on these systems (1.13 with one half of the
seeds, 0.90 with the other); they stay, so that runs differ in kind. Leaving out kinds of disturbances as well
needs a third more examples (0.77), and `target` makes no difference to drawn rates (1.16 and 0.94): neither is used.

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


class Drawn(SagaMachine):
    """What sagafuzz does: each example draws how often a disturbance strikes."""

    found = False

    def _come_to_rest(self) -> None:
        try:
            super()._come_to_rest()
        except SagaViolation:
            type(self).found = True
            raise


class Fixed(Drawn):
    """One rate for all: a disturbance strikes one time in four."""

    def _strikes(self, action: str, luck: int) -> bool:
        return luck < 2


class Swarm(Drawn):
    """Each example draws which disturbances there are as well."""

    disabled = 0

    @initialize(disabled=st.integers(0, 2 ** len(RULES) - 1))
    def draw(self, disabled: int) -> None:
        self.disabled = disabled

    def _strikes(self, action: str, luck: int) -> bool:
        return not self.disabled >> RULES.index(action) & 1 and super()._strikes(action, luck)


class Targeted(Drawn):
    """Hypothesis is told how many distinct messages were disturbed, and steers towards more."""

    def _come_to_rest(self) -> None:
        try:
            super()._come_to_rest()
        finally:
            pairs = zip(self.driver.shown, self.driver.actions, strict=True)
            struck = {shown for shown, (name, _) in pairs if name in FAULTY_ACTIONS}
            hypothesis.target(float(len(struck)), label="distinct messages disturbed")


SYSTEMS: dict[str, tuple[Adapter, str]] = {
    "seed, charged twice": (load("seed"), "I1"),
    "seed, step left out": (load("seed"), "I5"),
    "simple-saga, charged twice": (load("simple-saga"), "I1"),
    "failed step omitted": (CLASSICS["failed-step-omitted"], "I5"),
} | {f"broken for {kind}": (BROKEN[kind].adapter, BROKEN[kind].invariant) for kind in ("reject", "duplicate")}
"""What can be found out in a few hundred examples, and not in the first one."""


def examples(system: str, machine: type[Drawn], seed: int, most: int = MOST) -> int:
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
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(parser.parse_args().seeds)
    ways: tuple[type[Drawn], ...] = (Fixed, Drawn, Swarm, Targeted)
    print(f"{'examples until found (median)':<32}" + "".join(f"{way.__name__:>12}" for way in ways), flush=True)
    logarithms: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for system in SYSTEMS:
        counts = {way.__name__: statistics.median(examples(system, way, seed) for seed in seeds) for way in ways}
        for name, count in counts.items():
            logarithms[name].append(math.log(counts["Fixed"] / count))
        print(f"{system:<32}" + "".join(f"{count:>12g}" for count in counts.values()), flush=True)
    means = {name: math.exp(statistics.fmean(found)) for name, found in logarithms.items()}
    print(f"{'Fixed divided by it (mean)':<32}" + "".join(f"{mean:>12.2f}" for mean in means.values()))
    print(f"steering_gain: {means['Drawn']:.2f}")


if __name__ == "__main__":
    main()
