"""A baseline of known findings: with a reason, maybe with an end, and never stale."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Run

SEARCH = ("run", "seed", "--faults", 1, "--random", 0, "--scenario", "declined")


@pytest.fixture
def ids(sagafuzz: Run) -> list[str]:
    """Of the findings of the seed."""
    assert sagafuzz(*SEARCH).code == 1
    return [entry["id"] for entry in json.loads(Path("sagafuzz-report/report.json").read_text())["findings"]]


def baseline(ids: list[str], more: str = "") -> tuple[str, str]:
    """Write known.toml, and the options that name it."""
    entries = [f'[[known]]\nid = "{id}"\nreason = "PAY-12: it waits"\n' for id in ids]
    Path("known.toml").write_text("\n".join(entries) + more)
    return ("--baseline", "known.toml")


def test_where_all_is_known_the_build_is_green_and_the_report_is_not(sagafuzz: Run, ids: list[str]) -> None:
    result = sagafuzz(*SEARCH, *baseline(ids))
    assert result.code == 0
    assert result.out.startswith("checkout on seed: VIOLATED")
    assert f"baseline: {len(ids)} of the findings known, 0 new" in result.out
    assert "(known: PAY-12: it waits)" in result.out
    data = json.loads(Path("sagafuzz-report/report.json").read_text())
    assert {entry["known"] for entry in data["findings"]} == {"PAY-12: it waits"}
    junit = Path("sagafuzz-report/report.junit.xml").read_text()
    assert "<failure" not in junit or "follows from" in junit
    assert "known: PAY-12: it waits" in junit


def test_a_new_finding_is_red(sagafuzz: Run, ids: list[str]) -> None:
    result = sagafuzz(*SEARCH, *baseline(ids[1:]))
    assert result.code == 1
    assert f"baseline: {len(ids) - 1} of the findings known, 1 new" in result.out


@pytest.mark.parametrize(("date", "code"), [("2000-01-31", 1), ("9999-12-31", 0)])
def test_what_is_known_may_expire(sagafuzz: Run, ids: list[str], date: str, code: int) -> None:
    result = sagafuzz(*SEARCH, *baseline(ids, f"expires = {date}\n"))
    assert result.code == code
    assert (f"baseline: {ids[-1]} expired on 2000-01-31: PAY-12: it waits" in result.out) is (code == 1)


def test_a_stale_entry_is_red(sagafuzz: Run, ids: list[str]) -> None:
    result = sagafuzz(*SEARCH, *baseline([*ids, "F-gone1"]))
    assert result.code == 1
    assert "baseline: F-gone1 is stale" in result.out
    clean = ("run", "reference", *SEARCH[2:])
    assert sagafuzz(*clean, *baseline([])).code == 0
    assert sagafuzz(*clean, *baseline(["F-gone1"])).code == 1


def test_the_reports_of_a_store_are_judged_by_a_baseline_too(sagafuzz: Run, ids: list[str]) -> None:
    assert sagafuzz("report", "sagafuzz-report").code == 1
    assert sagafuzz("report", "sagafuzz-report", *baseline(ids)).code == 0
    assert json.loads(Path("sagafuzz-report/report.json").read_text())["findings"][0]["known"] == "PAY-12: it waits"
    assert sagafuzz("report", "sagafuzz-report", *baseline(ids[1:])).code == 1
    assert sagafuzz("report", "sagafuzz-report", *baseline([*ids, "F-gone1"])).code == 1
    assert sagafuzz("report", "sagafuzz-report").code == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[known]]\nid = 'F-1'", "entry 1: its reason is None; write reason = 'PAY-12"),
        ("[[known]]\nreason = 'x'", "entry 1: its id is None; write id = 'F-wmx2y'"),
        ("[[known]]\nid = 'F-1'\nreason = ' '", "entry 1: its reason is ' '"),
        (
            "[[known]]\nid = 'F-1'\nreason = 'x'\nexpired = 2027-01-01",
            "unknown key 'expired' (did you mean 'expires",
        ),
        ("[[known]]\nid = 'F-1'\nreason = 'x'\nexpires = '2027-01-01'", "write a date without quotes"),
        ("[[known]]\nid = 'F-1'\nreason = 'x'\n" * 2, "F-1 stands there twice"),
        ("[[unknown]]\n", "unknown key 'unknown'"),
        ("known = 1", "'known' is no list of tables"),
        ("known = [1]", "entry 1 is no table"),
        ("= 1", "it is no TOML"),
    ],
)
def test_a_baseline_that_says_nothing_useful_is_refused(sagafuzz: Run, text: str, complaint: str) -> None:
    Path("known.toml").write_text(text)
    result = sagafuzz(*SEARCH, "--baseline", "known.toml")
    assert result.code == 2
    assert complaint in result.complaint
    assert not Path("sagafuzz-report").exists()


def test_a_baseline_that_is_not_there_is_told(sagafuzz: Run) -> None:
    assert "cannot read 'known.toml'" in sagafuzz(*SEARCH, "--baseline", "known.toml").complaint
