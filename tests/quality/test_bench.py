"""`make bench`: what it counts is so, and the page says what the figures say."""

from __future__ import annotations

import json
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import sagafuzz

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "benchmarks"))
import bench
import checker
from witness import ROWS, by_enumerator

QUICK = "-O0"
"""For gcc: what takes long to make is not measured here."""

CHECKED = cache(checker.check_model)

NAMES = ("no-key", "broken for duplicate")
SMALL = tuple(row for row in ROWS if row.name in NAMES)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """With the search of all plans, which two of them are about, done once."""
    searched = bench.enumerate_plans(bench.CORRECT, bench.FAULTS, bench.ALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "check_model", CHECKED)
        for module in (bench, checker):
            patch.setattr(module, "enumerate_plans", lambda adapter, faults, reductions: searched)
        return bench.collect(rounds=1, seeds=1, examples=1, rows=SMALL, optimise=QUICK)


def test_the_plans_are_counted_and_the_ratio_is_of_the_two_rates(figures: dict[str, Any]) -> None:
    fast = figures["speed"]
    assert fast["plans"] == bench.every_plan(bench.CORRECT, 2) > fast["run"] > 1
    assert fast["ratio"] == pytest.approx(fast["schedules_per_second"] / fast["by_hand_per_second"])


def test_each_way_finds_the_bug_and_the_ratio_is_of_its_count(figures: dict[str, Any]) -> None:
    found = {row["system"]: row for row in figures["witness"]["systems"]}
    assert tuple(found) == NAMES
    assert {name: row["enumerator"] for name, row in found.items()} == {row.name: by_enumerator(row) for row in SMALL}
    assert set(found["no-key"]) - set(found["broken for duplicate"]) == {"by_hand"}
    assert all(row[way] > 1 for row in found.values() for way in ("random", "plans"))
    alone = found["no-key"]
    assert figures["witness"]["ratios"]["by_hand"] == pytest.approx(alone["by_hand"] / alone["enumerator"])


def test_the_same_seed_counts_the_same(figures: dict[str, Any]) -> None:
    assert bench.witness(SMALL, range(1)) == figures["witness"]


def test_a_search_that_was_given_up_is_shown_as_that() -> None:
    assert [bench.cell({"random": count}, "random") for count in (12.0, None)] == ["12", f">{bench.DRAWN}"]
    assert bench.cell({}, "by_hand") == "–"


def test_it_is_written_as_figures_and_as_a_page(figures: dict[str, Any], tmp_path: Path) -> None:
    bench.write(figures, tmp_path / "bench")
    assert json.loads((tmp_path / "bench" / "bench.json").read_text(encoding="utf-8")) == figures
    text = (tmp_path / "bench" / "bench.md").read_text(encoding="utf-8")
    assert f"sagafuzz {sagafuzz.__version__}" in text
    assert f"Ratio: {figures['speed']['ratio']:.1f}." in text
    witnesses, _, models = text.partition("## A model checker on the same saga")
    assert [line.count("|") for line in witnesses.splitlines() if line.startswith("|")] == [6] * 5
    rows = [line for line in models.splitlines() if line.startswith("| to ")]
    assert len(rows) == (0 if checker.missing() else 4)


# -- the model checker -------------------------------------------------------------------------

needs_spin = pytest.mark.skipif(
    bool(checker.missing()) and os.environ.get("SAGAFUZZ_SPIN") != "required",
    reason=f"{' and '.join(checker.missing())} missing; {checker.INSTALL}",
)


def test_where_spin_is_missing_the_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    figures = checker.compare(2)
    assert figures == {"missing": ["spin", "gcc"], "install": "apt-get install spin gcc"}
    assert "Not measured: spin and gcc is missing; apt-get install spin gcc" in checker.page(figures)


@needs_spin
def test_the_model_keeps_every_rule_whatever_two_faults_do_and_breaks_one_with_each_bug() -> None:
    right = CHECKED(faults=2, optimise=QUICK)
    assert (right.states, right.transitions, right.violated) == (10_307, 15_821, "")
    broken = {bug: CHECKED(bug, 2, optimise=QUICK).violated for bug in checker.BUGS}
    assert broken == {
        "no-key": "(effects[step]<=1)",
        "in-memory": "( !(created)||ended)",
        "failed-step-omitted": "((step==(3-1))||(effects[(step+1)]==undos[(step+1)]))",
    }
    assert all(checker.check_model(bug, faults=0, optimise=QUICK).violated == "" for bug in checker.BUGS)


def test_a_search_of_the_model_that_did_not_end_is_an_error() -> None:
    for text in ("", "error: max search depth too small\n 7 states, stored\n 9 transitions (= stored+matched)"):
        with pytest.raises(ValueError, match="did not come to its end"):
            checker.read(text, 1.0)
