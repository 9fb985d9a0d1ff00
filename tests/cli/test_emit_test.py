"""``sagafuzz replay --emit-test``: a finding becomes a test that fails until it is fixed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sagafuzz as front

from .conftest import Run


def finding(sagafuzz: Run) -> str:
    sagafuzz("run", "seed", "--faults", 1, "--random", 0, "--scenario", "succeeds", "--report-dir", "sagafuzz-report")
    return next(path.stem for path in sorted(Path("sagafuzz-report").glob("F-*.json")) if '"I1"' in path.read_text())


def test_the_test_fails_on_the_broken_system_and_passes_on_a_correct_one(sagafuzz: Run) -> None:
    id = finding(sagafuzz)
    emitted = sagafuzz("replay", id, "--emit-test")
    assert emitted.code == 0
    Path("test_finding.py").write_text(emitted.out)
    Path("test_other.py").write_text(emitted.out.replace("'adapter': 'seed'", "'adapter': 'reference'"))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "1 failed, 1 passed" in ran.stdout
    assert "FAILED test_finding.py" in ran.stdout
    assert "took effect 2 times" in ran.stdout
    assert "◀── violation" in ran.stdout


def test_an_id_is_looked_up_in_the_reports_here(sagafuzz: Run) -> None:
    id = finding(sagafuzz)
    assert "STILL FAILS" in sagafuzz("replay", id).out
    unknown = sagafuzz("replay", "F-zzzzz")
    assert unknown.code == 2
    assert "no F-zzzzz.json in sagafuzz-report or demo-report here" in unknown.err


def test_a_schedule_that_cannot_be_run_any_more_is_no_success(sagafuzz: Run) -> None:
    text = Path(f"sagafuzz-report/{finding(sagafuzz)}.json").read_text()
    with pytest.raises(AssertionError, match="CANNOT RUN"):
        front.assert_fixed(text.replace('"saga": "saga-1"', '"saga": "saga-7"'))
    with pytest.raises(front.UsageError, match="no replay file"):
        front.assert_fixed("{}")
