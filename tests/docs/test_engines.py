"""The table of docs/engines.md is made of what `sagafuzz compare` writes."""

from __future__ import annotations

import datetime as dt
import importlib.util
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parent.parent.parent

COMPARISON = {
    "version": 1,
    "systems": [
        {
            "adapter": "good",
            "engine": "good 1.2",
            "verdict": "consistent",
            "complete": True,
            "plans": 61,
            "invariants": {"I1": "holds", "I2": "holds"},
        },
        {
            "adapter": "bad",
            "verdict": "violated",
            "complete": False,
            "plans": 7,
            "invariants": {"I1": "violated", "I2": "holds", "I3": "violated"},
        },
    ],
}


@pytest.fixture
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("make_engines", TOP / "tools" / "make_engines.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_row_has_the_versions_the_plans_and_what_was_violated(tool: Any) -> None:
    _, _, good, bad, *_, day = tool.table(COMPARISON, dt.date(2026, 11, 27)).splitlines()
    assert good == "| `good` | good 1.2 | 61 | consistent |"
    assert bad == "| `bad` |  | 7 | **violated**: I1, I3, not complete |"
    assert day == "Run on 2026-11-27."


def test_the_page_has_a_place_for_the_table(tool: Any) -> None:
    page = tool.PAGE.read_text(encoding="utf-8")
    assert page.index(tool.BEGIN) < page.index(tool.END)
