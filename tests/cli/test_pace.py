"""How much longer a search is said to take."""

from __future__ import annotations

import time

import pytest

from sagafuzz.cli import console
from sagafuzz.exploration.progress import Progress


def test_the_time_that_is_left_is_told_by_the_stage_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = console.Pace()

    def left(stage: str, done: int, at: float) -> str:
        now[0] = at
        return pace.left(Progress(stage=stage, done=done, expected=30_000, findings=0))

    assert left("one fault", 0, 0) == ""
    assert left("one fault", 300, 30) == ", about 50 min left"
    assert left("two faults", 0, 60) == ", time left not known yet"
    assert left("two faults", 15_000, 160) == ", about 2 min left"
    assert left("two faults", 29_990, 260) == ""
