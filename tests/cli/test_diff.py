"""``sagafuzz diff``: new, fixed, same, and what is no longer tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Run

SEARCH = ("--random", 0, "--scenario", "declined")


@pytest.fixture
def written(sagafuzz: Run) -> Callable[..., Any]:
    """Run a campaign on the seed into a folder; what its report.json says."""

    def run(folder: str, *options: object, adapter: str = "seed") -> Any:
        sagafuzz("run", adapter, *SEARCH, *options, "--report-dir", folder)
        return json.loads(Path(folder, "report.json").read_text())

    return run


def test_the_same_campaign_twice_differs_in_nothing(sagafuzz: Run, written: Any) -> None:
    found = written("a", "--faults", 1)
    written("b", "--faults", 1)
    result = sagafuzz("diff", "a", "b/report.json")
    assert (result.code, result.err) == (0, "")
    assert "new: 0 findings\n\nfixed: 0 findings\n" in result.out
    assert f"same: {len(found['findings'])} findings" in result.out
    assert "lost coverage: none" in result.out


def test_a_new_finding_is_told_first_and_gives_one(sagafuzz: Run, written: Any) -> None:
    fewer = written("a", "--faults", 0)
    more = written("b", "--faults", 1)
    assert len(more["findings"]) > len(fewer["findings"])
    result = sagafuzz("diff", "a", "b")
    assert result.code == 1
    one = next(entry for entry in more["findings"] if entry["id"] not in {e["id"] for e in fewer["findings"]})
    assert f"  {one['id']}  {one['invariant']}: {one['sentence']}" in result.out


def test_a_fixed_finding_with_lost_coverage_is_no_success(sagafuzz: Run, written: Any) -> None:
    written("a", "--faults", 1)
    written("b", "--faults", 0)
    result = sagafuzz("diff", "a", "b")
    assert result.code == 3
    assert "fixed: " in result.out and "fixed: 0" not in result.out
    assert "plans with at most 0 faults, it was 1" in result.out
    assert "lost-ack in forward: none fired" in result.out
    assert "so what counts as fixed may only not have been looked for" in result.out


def test_fixed_with_the_same_coverage_is_a_success(sagafuzz: Run, written: Any) -> None:
    data = written("a", "--faults", 1)
    fixed = data["findings"].pop()
    Path("b.json").write_text(json.dumps(data))
    result = sagafuzz("diff", "a", "b.json")
    assert result.code == 0
    assert f"fixed: 1 finding\n  {fixed['id']}" in result.out


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.update(complete=False), "the newer campaign was incomplete"),
        (lambda data: data["invariants"]["I1"].update(status="not exercised"), "I1 at most once: not exercised"),
        (lambda data: data["scenarios"].clear(), "scenario declined: not run"),
        (lambda data: data.update(adapter="other"), "another adapter: other, it was seed"),
    ],
)
def test_what_is_covered_no_more_is_inconclusive(sagafuzz: Run, written: Any, change: Any, told: str) -> None:
    data = written("a", "--faults", 1)
    change(data)
    Path("b.json").write_text(json.dumps(data))
    result = sagafuzz("diff", "a", "b.json")
    assert result.code == 3
    assert told in result.out


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "'b.json' is no JSON"),
        ("[]", "'b.json' is no report"),
        ('{"verdict": "violated", "version": 9}', "'b.json' has version 9, this sagafuzz reads 1"),
        ('{"verdict": "violated", "version": 1}', "a report lacks or misspells 'findings'"),
    ],
)
def test_what_is_no_report_is_told_in_a_line(sagafuzz: Run, text: str, complaint: str) -> None:
    Path("b.json").write_text(text)
    result = sagafuzz("diff", "b.json", "b.json")
    assert result.code == 2
    assert complaint in result.complaint
    assert sagafuzz("diff", "nowhere", "b.json").code == 2


def test_hostile_names_are_inert(sagafuzz: Run, written: Any) -> None:
    data = written("a", "--faults", 1)
    data["findings"][0]["sentence"] = data["adapter"] = "\x1b[31m\n<b>" + "A" * 10_000
    data["findings"][0]["id"] = "\x1b[2J"
    Path("b.json").write_text(json.dumps(data))
    result = sagafuzz("diff", "a", "b.json")
    assert "\x1b" not in result.out
    assert max(map(len, result.out.splitlines())) < 250


def test_findings_of_two_adapters_are_matched_by_what_they_are(sagafuzz: Run, written: Any) -> None:
    """A repaired saga is often another class beside the old one."""
    Path("renamed.py").write_text("from sagafuzz.adapters.seed import Seed\n\n\nclass Renamed(Seed): ...\n")
    old = written("a", "--faults", 1)
    new = written("b", "--faults", 1, adapter="renamed.py:Renamed")
    assert not {entry["id"] for entry in old["findings"]} & {entry["id"] for entry in new["findings"]}
    result = sagafuzz("diff", "a", "b")
    assert "new: 0 findings\n\nfixed: 0 findings\n" in result.out
    assert f"same: {len(old['findings'])} findings" in result.out
