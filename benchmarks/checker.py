"""The checkout saga by a model checker: SPIN on the model `checkout.pml`, beside sagafuzz on the code.

Both search every way in which at most so many faults can strike. SPIN's states are those of a model that somebody has
to write, and to keep like the code; sagafuzz's schedules are runs of the code itself, each judged by all invariants.
So the seconds can be compared, and the counts cannot.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from search_speed import enumerate_plans
from witness import ROWS, by_enumerator

from sagafuzz.adapters.zoo.parts import CORRECT
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.reductions import ALL

MODEL: Final = Path(__file__).resolve().parent / "checkout.pml"
PROGRAMS: Final = ("spin", "gcc")
INSTALL: Final = "apt-get install spin gcc"

BUGS: Final[Mapping[str, str]] = {
    "no-key": "NO_KEY",
    "in-memory": "IN_MEMORY",
    "failed-step-omitted": "STEP_OMITTED",
}
"""The mistakes that the model can make, by the names of the hand-written state machine and of the broken systems."""


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What SPIN says of the model: ``violated`` is the assertion that fails, "" where all hold. ``seconds`` is
    processor time, without that of making the checker."""

    states: int
    transitions: int
    seconds: float
    violated: str = ""


def missing() -> list[str]:
    """The programs that are not on this machine."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


def check_model(bug: str = "", faults: int = 2, *, optimise: str = "-O2") -> Checked:
    """Search the model, with one of `BUGS` or with none, to the first violation or to the end."""
    with tempfile.TemporaryDirectory(prefix="sagafuzz-spin-") as folder:

        def run(*words: str) -> str:
            ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
            return ran.stdout

        run("spin", f"-DFAULTS={faults}", *([f"-D{BUGS[bug]}"] if bug else []), "-a", str(MODEL))
        run("gcc", optimise, "-w", "-DSAFETY", "-o", "pan", "pan.c")
        before = _of_children()
        text = run("./pan", "-m10000", "-w18")  # small tables: the usual ones take longer to clear than to fill
        return read(text, _of_children() - before)


def read(text: str, seconds: float) -> Checked:
    """What a run of the checker printed. ValueError where it did not come to its end."""
    numbers = [re.search(rf"(\d+) {what}", text) for what in ("states, stored", "transitions")]
    if any(found is None for found in numbers) or "max search depth too small" in text:
        raise ValueError(f"SPIN did not come to its end:\n{text}")
    states, transitions = (int(found[1]) for found in numbers if found is not None)
    failed = re.search(r"(?:assertion violated|(?=invalid end state)) ?(.*) \(at depth", text)
    return Checked(states=states, transitions=transitions, seconds=seconds, violated=failed[1] if failed else "")


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare(faults: int, *, optimise: str = "-O2") -> dict[str, Any]:
    """The figures: the whole space of the correct system, and the first bug of each wrong one. Where SPIN is missing,
    what to install."""
    if lacking := missing():
        return {"missing": lacking, "install": INSTALL}
    found = enumerate_plans(CORRECT, faults, ALL)
    whole = _row(check_model(faults=faults, optimise=optimise), found.plans, found.seconds)
    rows = {row.bug: row for row in ROWS if row.bug in BUGS}
    bugs = []
    for bug, row in rows.items():
        start = time.process_time()
        with quiet():
            count = by_enumerator(row)
        assert count is not None, f"the enumerator does not find {bug!r}"
        seconds = time.process_time() - start
        bugs.append({"bug": bug, **_row(check_model(bug, faults, optimise=optimise), count, seconds)})
    version = subprocess.run(["spin", "-V"], capture_output=True, text=True, check=True).stdout.split()[2]
    return {"version": version, "faults": faults, "whole": whole, "bugs": bugs}


def _row(model: Checked, schedules: int, seconds: float) -> dict[str, Any]:
    return {
        "states": model.states,
        "transitions": model.transitions,
        "violated": model.violated,
        "model_seconds": model.seconds,
        "states_per_second": model.states / model.seconds,
        "schedules": schedules,
        "seconds": seconds,
        "schedules_per_second": schedules / seconds,
    }


PAGE = """
## A model checker on the same saga

SPIN {version} searches `benchmarks/checkout.pml`, a model of a correct orchestrator and its participants, with the
faults that a model can have; sagafuzz runs an orchestrator's code, with all its kinds of faults, and judges each run
by all invariants. Both search whatever at most {faults} faults can do, in seconds of processor time. What takes long
about a model is not among them: to write it, and to keep it like the code. Nor is making the checker, about a second
each.

"""


def page(figures: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    if "missing" in figures:
        lacking = " and ".join(figures["missing"])
        return f"\n## A model checker on the same saga\n\nNot measured: {lacking} is missing; {figures['install']}\n"
    heads = ["search", "SPIN: states", "seconds", "states/s", "sagafuzz: schedules run", "seconds", "schedules/s"]
    lines = [heads, ["---", *("---:" for _ in heads[1:])], _cells("to the end", figures["whole"])]
    lines += [_cells(f"to the first violation: {row['bug']}", row) for row in figures["bugs"]]
    return PAGE.format(**figures) + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(name: str, row: Mapping[str, Any]) -> list[str]:
    return [
        name,
        f"{row['states']:,}",
        f"{row['model_seconds']:.3f}",
        f"{row['states_per_second']:,.0f}",
        f"{row['schedules']:,}",
        f"{row['seconds']:.2f}",
        f"{row['schedules_per_second']:,.0f}",
    ]
