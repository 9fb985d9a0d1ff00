"""The short benchmarks in one run, as figures and as a page: how fast sagafuzz searches, how soon it finds a bug.

*Speed*: schedules in a second of processor time, on a correct orchestrator, beside the hand-written state machine:
see search_speed.py. *Witness*: schedules that are run until the smallest one that shows a bug is in hand, by the
enumerator, by uniform random plans, by hypothesis drawing plans (`sagafuzz.plans`), and by the hand-written one where
it has the bug; see witness.py. *A model checker*: SPIN on a model of the same saga, to its end and to the first bug;
see checker.py. Rates are of one machine at one time: the ratios are what can be compared.

    python benchmarks/bench.py [--rounds N] [--seeds N] [--folder build/bench]
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import checker
import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity, given
from search_speed import enumerate_plans, every_plan, run_handwritten
from witness import DRAWN, EXAMPLES, ROWS, Row, by_chance, by_enumerator, by_hand, counted, median

from sagafuzz import Plan, plans
from sagafuzz.adapters.zoo.parts import CORRECT
from sagafuzz.exploration.judge import Judge
from sagafuzz.exploration.pool import cores
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.reductions import ALL
from sagafuzz.history import rows_digest
from sagafuzz.simulator import simulate

WAYS = {"random": "uniform random plans", "plans": "hypothesis on plans", "by_hand": "hand-written state machine"}
"""What the enumerator is compared with, by its key in the figures."""

FAULTS = 2
"""Of a plan, at most; witness.py has the same."""

MOST = {"random": DRAWN, "plans": DRAWN, "by_hand": EXAMPLES}
"""The runs or examples after which a way is given up; it counts as that many."""


class Shown(Exception):
    """A plan shows the bug."""


def by_plans(row: Row, seed: int) -> int | None:
    """Hypothesis draws plans of at most two faults, and shrinks the first that shows the bug. The runs that this takes,
    those of the drawing included."""
    setup = row.setup
    judge = Judge(setup)
    settings = hypothesis.settings(
        max_examples=DRAWN,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )

    @hypothesis.seed(seed)
    @settings
    @given(plans(row.adapter, setup.scenario, max_faults=FAULTS))
    def holds(plan: Plan) -> None:
        run = simulate(setup, plan)
        verdict, _ = judge.judge(plan, run, rows_digest(run.rows))
        if row.invariant in {found.invariant for found in verdict.violations}:
            raise Shown

    with counted() as counter:
        try:
            holds()
        except Shown:
            return counter.count
    return None


def speed(rounds: int, examples: int) -> dict[str, Any]:
    """The medians of some rounds, which alternate, so that a change in the machine's speed touches both sides."""
    every = every_plan(CORRECT, FAULTS)
    ours, theirs, ran = [], [], 0
    for number in range(rounds):
        found = enumerate_plans(CORRECT, FAULTS, ALL)
        ran = found.plans
        ours.append(every / found.seconds)
        done, seconds = run_handwritten(examples, seed=number)
        theirs.append(done / seconds)
    return {
        "faults": FAULTS,
        "plans": every,
        "run": ran,
        "schedules_per_second": statistics.median(ours),
        "by_hand_per_second": statistics.median(theirs),
        "ratio": statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
    }


def witness(rows: Sequence[Row], seeds: range) -> dict[str, Any]:
    """For each system the counts of each way (None: most searches were given up); ``ratios`` are geometric means, over
    the systems, of a way's count by the enumerator's."""
    found, logarithms = [], {way: [] for way in WAYS}
    for row in rows:
        with quiet():
            enumerated = by_enumerator(row)
            counts = {"random": by_chance(row, seeds), "plans": median(by_plans, row, seeds)}
            if row.bug:
                counts["by_hand"] = median(by_hand, row, seeds)
        assert enumerated is not None, f"the enumerator does not find {row.name!r}"
        for way, count in counts.items():
            logarithms[way].append(math.log(min(count, MOST[way]) / enumerated))
        shown = {way: None if math.isinf(count) else count for way, count in counts.items()}
        found.append({"system": row.name, "invariant": row.invariant, "enumerator": enumerated, **shown})
    ratios = {way: math.exp(statistics.fmean(values)) for way, values in logarithms.items() if values}
    return {"seeds": len(seeds), "systems": found, "ratios": ratios}


def machine() -> dict[str, Any]:
    """The machine and the versions on which the figures were taken."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"processor": names[0] if names else platform.processor(), "cores": cores(), "system": platform.platform()}


def versions() -> dict[str, str]:
    """The versions that the figures depend on."""
    packages = ("sagafuzz", "hypothesis", "greenlet")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


PAGE = """\
# Benchmarks

On {processor}, {cores} cores, {system}; {versions}.

## Speed

Every plan with at most {faults} faults of a correct checkout: {plans:,} plans, of which {run:,} are run; the
reductions spare the others. In a second of processor time the enumerator covers {schedules_per_second:,.0f}
schedules, and the hand-written state machine runs {by_hand_per_second:,.0f}. Ratio: {ratio:.1f}.

## Schedules until the smallest one that shows the bug is in hand

Medians over {seeds} seeds. ">": most searches were given up there; "–": the state machine does not have this bug.
Runs that serve to draw a plan, or to make it smaller, count too. The ratio is the geometric mean over the systems;
above 1 the enumerator needs fewer.

"""


def page(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    heads = {"enumerator": "enumerator", **WAYS}
    found = figures["witness"]
    about = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    text = PAGE.format(**figures["machine"], **figures["speed"], versions=about, seeds=found["seeds"])
    rows = [["system", *heads.values()], ["---", *("---:" for _ in heads)]]
    rows += [[row["system"], *(cell(row, way) for way in heads)] for row in found["systems"]]
    ratios = [f"{found['ratios'][way]:.1f}" if way in found["ratios"] else "–" for way in WAYS]
    rows.append(["ratio to the enumerator", "1", *ratios])
    return text + "".join(f"| {' | '.join(row)} |\n" for row in rows) + checker.page(figures["checker"])


def cell(row: dict[str, Any], way: str) -> str:
    if way not in row:
        return "–"
    return f">{MOST[way]}" if row[way] is None else f"{row[way]:g}"


def collect(
    *, rounds: int, seeds: int, examples: int = 100, rows: Sequence[Row] = ROWS, optimise: str = "-O2"
) -> dict[str, Any]:
    """All figures."""
    return {
        "machine": machine(),
        "versions": versions(),
        "speed": speed(rounds, examples),
        "witness": witness(rows, range(seeds)),
        "checker": checker.compare(FAULTS, optimise=optimise),
    }


def write(figures: dict[str, Any], folder: Path) -> None:
    """``bench.json`` and ``bench.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bench.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "bench.md").write_text(page(figures), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="of the searches that are timed")
    parser.add_argument("--seeds", type=int, default=5, help="searches of each system by chance")
    parser.add_argument("--folder", type=Path, default=Path("build", "bench"))
    arguments = parser.parse_args()
    start = time.perf_counter()
    enumerate_plans(CORRECT, 1, ALL)  # warm up both
    run_handwritten(10, seed=0)
    figures = collect(rounds=arguments.rounds, seeds=arguments.seeds)
    write(figures, arguments.folder)
    sys.stdout.write(page(figures))
    names = ", ".join(str(arguments.folder / name) for name in ("bench.json", "bench.md"))
    print(f"\nwritten: {names}; {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
