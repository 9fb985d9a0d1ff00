"""``--kinds`` and ``--random-plans``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sagafuzz.faults import kind_groups

from .conftest import Run

PLAIN = ("--faults", 1, "--random", 0, "--scenario", "declined")


def report(folder: str = "sagafuzz-report") -> Any:
    return json.loads(Path(folder, "report.json").read_text(encoding="utf-8"))


def planned() -> set[str]:
    return {cell["kind"] for cell in report()["coverage"]}


def test_only_the_kinds_that_are_named(sagafuzz: Run) -> None:
    result = sagafuzz("run", "seed", *PLAIN, "--kinds", "lost-ack, duplicate")
    assert planned() == {"lost-ack", "duplicate"}
    assert report()["kinds"] == ["duplicate", "lost-ack"], "in the order of the table"
    assert "left out of this search by the choice of kinds" in " ".join(result.out.split())
    assert "--kinds 'lost-ack, duplicate'" in result.out


def test_a_group_and_all(sagafuzz: Run) -> None:
    sagafuzz("run", "seed", *PLAIN, "--kinds", "basic")
    assert planned() <= set(kind_groups()["basic"])
    basic = report()["plans"]["run"]
    sagafuzz("run", "seed", *PLAIN, "--kinds", "basic,partition")
    assert "partition" in planned()
    result = sagafuzz("run", "seed", *PLAIN, "--kinds", "all")
    assert report()["plans"]["run"] > basic and report()["kinds"] == []
    assert "--kinds" not in result.out


def test_the_nearest_is_named_before_anything_runs(sagafuzz: Run) -> None:
    for command in ("run", "compare"):
        result = sagafuzz(command, "seed", *PLAIN, "--kinds", "lost-akc")
        assert result.code == 2
        assert result.complaint.startswith("unknown fault kind 'lost-akc' (did you mean 'lost-ack'?)")
    assert "unknown fault kind ''" in sagafuzz("run", "seed", *PLAIN, "--kinds", "lost-ack,").complaint
    assert not Path("sagafuzz-report").exists()


def test_compare_has_them_too(sagafuzz: Run) -> None:
    sagafuzz("compare", "seed", "reference", *PLAIN, "--kinds", "lost-ack", "--random-plans", 8)
    for name in ("seed", "reference"):
        said = report(f"sagafuzz-report/{name}")
        assert {cell["kind"] for cell in said["coverage"]} == {"lost-ack"}
        assert said["random_plans"]["run"] == 8


def test_random_plans_are_reported_with_both_statements(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", *PLAIN, "--random-plans", 20)
    text = " ".join(result.out.split())
    assert result.code == 0
    assert "random plans: 20 of 20 independent plans with at most 3 faults, no violation" in text
    assert "Good and Turing estimate the chance that the next run shows a new one" in text
    assert "0 failures in 20 independent runs bound the rate of failures" in text
    assert "--random-plans 20" in result.out
    said = report()["random_plans"]
    assert (said["run"], said["fired"], said["violated"]) == (20, 20, 0)
    assert said["bound"] > 0.1


def test_without_random_plans_nothing_is_said_of_them(sagafuzz: Run) -> None:
    assert "random plans" not in sagafuzz("run", "reference", *PLAIN).out
