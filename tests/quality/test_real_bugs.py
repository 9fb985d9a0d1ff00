"""The table of real bugs: each row can be searched, is told in the docs, and says what it expects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.faults import kind_named
from sagafuzz.invariants import INVARIANTS
from sagafuzz.live.manifest_file import read

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "benchmarks"))
from real_bugs.__main__ import Result, find, main
from real_bugs.environments import is_there
from real_bugs.table import BUGS, Bug

TOP = Path(__file__).resolve().parents[2]

every_bug = pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
QUICKEST = "dbos-cancelled-succeeds"

FOUND = {"plans": 8, "seconds": 19, "seen": True, "again": "4 of 5 runs", "complete": False, "timed_out": False}
ABSENT = {**FOUND, "seen": False, "again": None, "complete": True}
CUT = {**ABSENT, "plans": 1, "complete": False, "reason": "blocked"}


@every_bug
def test_a_row_has_a_version_without_the_bug_or_the_reason_why_there_is_none(bug: Bug) -> None:
    assert bug.bad.requirements
    assert (bug.good is None) == bool(bug.why)
    if bug.good is not None:
        assert bug.good.name != bug.bad.name
        assert len(bug.good.requirements) == len(bug.bad.requirements)


@every_bug
def test_every_version_is_pinned(bug: Bug) -> None:
    pinned = [text for text in bug.bad.requirements if "==" in text or text.count("@") > text.startswith("@")]
    assert pinned and bug.bad.name.rpartition("-")[2] in pinned[0]


@every_bug
def test_what_is_searched_exists(bug: Bug) -> None:
    manifest = read(str(bug.manifest))
    assert set(bug.scenarios) <= {scenario.name for scenario in manifest.scenarios}
    assert all(kind_named(kind) for kind in bug.kinds)
    assert bug.invariant in INVARIANTS
    assert bug.faults >= 1 and 0 < bug.budget_s <= 300


@every_bug
def test_a_row_is_told_in_the_docs(bug: Bug) -> None:
    page = (TOP / "docs" / "real-bugs.md").read_text(encoding="utf-8")
    assert f"`{bug.name}`" in page
    assert bug.report in page


def result(bad: Any, good: Any) -> Result:
    return Result(next(bug for bug in BUGS if bug.good is not None), bad, good)


def test_a_bug_is_found_again_where_it_is_seen_in_the_one_and_looked_for_to_the_end_in_the_other() -> None:
    assert result(FOUND, ABSENT).held
    assert result(FOUND, {**CUT, "timed_out": True}).held
    assert not result(FOUND, CUT).held  # a search that could not be made says nothing
    assert not result(FOUND, FOUND).held
    assert not result(ABSENT, ABSENT).held
    assert not result(None, None).held


def test_a_search_that_was_cut_short_is_not_told_as_absence() -> None:
    assert "absent" in result(FOUND, ABSENT).row[4]
    assert result(FOUND, CUT).row[4] == "undecided: 1 plans, 19 s; blocked"


def test_a_bug_that_there_is_not_is_refused_with_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert f"there is no 'nothing'; write one of {BUGS[0].name}" in capsys.readouterr().err


@pytest.mark.slow
def test_the_quickest_one_is_found_and_absent(tmp_path: Path) -> None:
    bug = next(bug for bug in BUGS if bug.name == QUICKEST)
    assert bug.good is not None
    if not (is_there(bug.bad) and is_there(bug.good)):
        pytest.skip(f"its versions are not installed: python -m benchmarks.real_bugs {QUICKEST}")
    assert find(bug, tmp_path).held
