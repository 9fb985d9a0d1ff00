"""The matrix of engines is made of the reports of campaigns, and of what manifests declare."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.loading import load

from ..tools import tool_named

TOP = Path(__file__).resolve().parent.parent.parent

REPORT: dict[str, Any] = {
    "engine": "good 1.2",
    "verdict": "violated",
    "complete": True,
    "plans": {"run": 61},
    "invariants": {
        "I1": {"status": "violated"},
        "I2": {"status": "holds"},
        "I3": {"status": "violated"},
        "I13": {"status": "gave up"},
        "I20": {"status": "not exercised"},
    },
    "findings": [
        {
            "id": "F-abc12",
            "invariant": "I1",
            "anomaly": "duplicate effect",
            "sentence": "payment.charge took effect 2 times",
            "scenario": "succeeds",
            "faults": [],
            "notes": ["real processes; it came again in 5 of 5 runs"],
            "schedule": [
                {"t_us": 1500, "text": "charge", "to": "payment", "there": "applied", "faults": [], "violation": False},
                {"t_us": 2500, "text": "charge #2", "to": "", "there": "", "faults": ["lost-ack"], "violation": True},
            ],
        }
    ],
}
ABLE = {"good": ["timer"], "other": ["timer"], "short": []}


@pytest.fixture
def tool() -> Any:
    return tool_named("make_matrix")


@pytest.fixture
def page(tool: Any) -> list[str]:
    return "\n".join(tool.lines({"good@timer": tool.kept(REPORT, dt.date(2026, 11, 28))}, ABLE)).splitlines()


def test_a_cell_says_what_became_of_an_invariant_and_leads_to_the_schedule(page: list[str]) -> None:
    assert "| adapter | plans | run on | I1 | I2 | I3 | I13 |" in page
    assert "| `good` | 61 | 2026-11-28 | [✗](#goodtimer-f-abc12) | ✓ | (✗) | ? |" in page


def test_what_was_not_run_and_what_is_not_supported_are_told_apart(page: list[str]) -> None:
    assert page[page.index("## timer") :].count("| `other` | not run | |  |  |  |  |") == 1
    assert "Unsupported, since `workloads` of their manifests does not list it: `short`." in page


def test_the_schedule_of_a_finding_stands_under_its_heading(page: list[str]) -> None:
    shown = page[page.index("### good@timer F-abc12") :]
    assert "      1.5 ms  charge → payment: applied" in shown
    assert "      2.5 ms  charge #2   ⚡ lost-ack   ◀ violation" in shown


def test_a_report_is_not_complete_where_it_is_not(tool: Any) -> None:
    made = list(tool.lines({"good": tool.kept({**REPORT, "complete": False}, dt.date(2026, 11, 28))}, ABLE))
    assert any(line.startswith("| `good` | 61, not complete | 2026-11-28 |") for line in made)


def test_there_is_an_adapter_for_each_name_that_is_to_be_run(tool: Any) -> None:
    names = tool.names()
    assert {"temporal", "temporal@child", "restate@lazy", "dbos-hardened@approval"} <= set(names)
    assert [load(name).name for name in names] == names


def test_every_engine_runs_at_least_three_workloads(tool: Any) -> None:
    assert {adapter for adapter, able in tool.declared().items() if len(able) < 2} == set()


def test_the_page_tells_what_is_kept(tool: Any) -> None:
    rows = json.loads(tool.DATA.read_text(encoding="utf-8"))
    assert tool.PAGE.read_text(encoding="utf-8") == "\n".join(tool.lines(rows, tool.declared()))
