"""In GitHub Actions a campaign annotates the code and adds itself to the summary of the step."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Run

SEED = ("run", "seed", "--faults", 1, "--random", 0, "--scenario", "succeeds")


def test_in_github_actions_findings_are_annotated(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "::error" not in sagafuzz(*SEED).out
    Path("summary.md").write_text("# before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    result = sagafuzz(*SEED)
    assert result.code == 1
    assert "\n::error file=sagafuzz/adapters/seed.py,line=" in result.out
    summary = Path("summary.md").read_text(encoding="utf-8")
    assert summary.startswith("# before\n# checkout on seed: VIOLATED\n")


def test_a_summary_that_cannot_be_written_changes_no_verdict(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "no/such/folder.md")
    result = sagafuzz(*SEED)
    assert result.code == 1
    assert "cannot write the step summary 'no/such/folder.md'" in result.err
