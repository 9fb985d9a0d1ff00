"""How much longer a search is said to take."""

from __future__ import annotations

import time

import pytest

from sagafuzz.exploration.progress import Progress
from sagafuzz.pace import Pace


def test_the_time_that_is_left_is_told_by_the_stage_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace()

    def left(stage: str, done: int, at: float) -> str:
        now[0] = at
        return pace.left(Progress(stage=stage, done=done, expected=30_000, violations=0))

    assert left("one fault", 0, 0) == ""
    assert left("one fault", 300, 30) == "about 50 min left"
    assert left("two faults", 0, 60) == "time left not known yet"
    assert left("two faults", 15_000, 160) == "about 2 min left"
    assert left("two faults", 29_990, 260) == ""


def test_progress_says_percent_rate_and_that_violations_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The findings are fewer: those that follow from others are joined with them at the end."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace()
    assert pace.told(Progress(stage="some", done=0, expected=2_000, violations=1)) == (
        "0 of about 2,000 done, 1 violation seen"
    )
    now[0] = 10.0
    assert pace.told(Progress(stage="some", done=1_000, expected=2_000, violations=26)) == (
        "50%, 1,000 done, 100/s, 26 violations seen, about 10 s left"
    )
    assert pace.told(Progress(stage="others", done=0, expected=0)) == "0 done"
