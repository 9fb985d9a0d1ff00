"""The table of engines is made of the reports of campaigns."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from ..tools import tool_named

TOP = Path(__file__).resolve().parent.parent.parent

GOOD = {
    "adapter": "good",
    "engine": "good 1.2",
    "verdict": "consistent",
    "complete": True,
    "plans": {"run": 61},
    "findings": [],
}
BAD = {
    **GOOD,
    "adapter": "bad",
    "verdict": "violated",
    "complete": False,
    "plans": {"run": 7},
    "findings": [{"invariant": id} for id in ("I1", "I1", "I3")],
}


@pytest.fixture
def tool() -> Any:
    return tool_named("make_engines")


DAY = dt.date(2026, 11, 27)


def test_a_row_has_the_versions_the_plans_what_was_violated_and_the_day(tool: Any) -> None:
    earlier = {**GOOD, "plans": {"run": 1}}
    _, _, bad, good = tool.table("", [earlier, GOOD, BAD], DAY, workloads=True).splitlines()
    assert good == "| `good` | good 1.2 | 61 | consistent | 2026-11-27 |"
    assert bad == "| `bad` | good 1.2 | 7 | **violated**: I1, I3, not complete | 2026-11-27 |"


def test_the_rows_of_what_was_not_run_stay_as_they_were(tool: Any) -> None:
    before = tool.table("", [GOOD, BAD], DAY, workloads=True)
    again = {**GOOD, "plans": {"run": 62}}
    after = tool.table(f"{tool.BEGIN}\n{before}", [again], dt.date(2026, 12, 1), workloads=True)
    assert after == before.replace("| 61 | consistent | 2026-11-27 |", "| 62 | consistent | 2026-12-01 |")


def test_a_workload_has_a_row_where_there_is_room(tool: Any) -> None:
    reports = [GOOD, {**GOOD, "adapter": "good@timer"}]
    tables = {workloads: tool.table("", reports, DAY, workloads=workloads) for workloads in (True, False)}
    assert {workloads: made.count("| `good") for workloads, made in tables.items()} == {True: 2, False: 1}


def test_the_pages_tell_the_same_of_the_same_engines(tool: Any) -> None:
    rows = {}
    for page, workloads in tool.PAGES.items():
        text = page.read_text(encoding="utf-8")
        told = text[text.index(tool.BEGIN) : text.index(tool.END)].splitlines()
        rows[workloads] = [line for line in told if line.startswith("| `")]
    assert rows[False] == [line for line in rows[True] if "@" not in line]
    assert len(rows[False]) > 5
