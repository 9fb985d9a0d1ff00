"""`make bench`: what it counts is so, and the page says what the figures say."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import sagafuzz

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "benchmarks"))
import bench
from witness import ROWS, by_enumerator

NAMES = ("no-key", "broken for duplicate")
SMALL = tuple(row for row in ROWS if row.name in NAMES)


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return bench.collect(rounds=1, seeds=1, examples=3, rows=SMALL)


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
    assert [line.count("|") for line in text.splitlines() if line.startswith("|")] == [6] * 5
