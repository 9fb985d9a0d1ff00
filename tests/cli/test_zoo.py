"""``sagafuzz zoo``: the tester's own measure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sagafuzz.adapters.zoo import ZOO
from sagafuzz.cli import zoo as command

from .conftest import Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "detection-table.md"


def test_it_says_what_was_found_and_by_what(sagafuzz: Run) -> None:
    result = sagafuzz("zoo", "unstable-key", "duplicate-instance", "--json", "table.json")
    assert result.code == 0
    assert "2 of 2 mutants found" in result.out
    assert "0 of 2 correct systems flagged" in result.out
    table = json.loads(Path("table.json").read_text())
    assert table["passed"] is True
    first, second = table["mutants"]
    assert (first["name"], first["found"], first["invariant"], first["size"]) == ("unstable-key", True, "I1", 1)
    assert first["schedule"] == ZOO["unstable-key"].schedule
    assert second["size"] == 0
    assert [twin["flagged"] for twin in table["correct"]] == [[], []]


def test_the_table_is_an_html_page_as_well(sagafuzz: Run) -> None:
    assert sagafuzz("zoo", "duplicate-instance", "--html", "zoo.html").code == 0
    page = Path("zoo.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "<td>duplicate-instance</td>" in page
    assert '<td class="good">✓\N{NO-BREAK SPACE}I1</td>' in page
    assert "all found, nothing invented" in page


def test_each_mutant_and_each_correct_system_is_a_test_case(sagafuzz: Run) -> None:
    assert sagafuzz("zoo", "duplicate-instance", "--junit", "zoo.xml").code == 0
    (suite,) = ET.parse("zoo.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert [case.get("classname") for case in suite] == ["mutants", "correct systems"]


def test_a_mutant_that_is_not_found_fails(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tame = replace(ZOO["unstable-key"], name="tame", adapter=ZOO["unstable-key"].twin)
    monkeypatch.setattr(command, "ZOO", {"tame": tame})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = sagafuzz("zoo", "--junit", "zoo.xml")
    assert "::error title=sagafuzz%3A the bug zoo::MISSED tame: " in result.out
    failed = ET.parse("zoo.xml").getroot().findall(".//failure/..")
    assert [case.get("name") for case in failed] == ["tame"]
    assert result.code == 1
    assert "MISSED tame" in result.out
    assert "0 of 1 mutant found" in result.out


def test_a_correct_system_that_is_flagged_fails(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    guilty = replace(ZOO["unstable-key"], twin=ZOO["unstable-key"].adapter)
    monkeypatch.setattr(command, "ZOO", {"unstable-key": guilty})
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = sagafuzz("zoo", "--junit", "zoo.xml")
    assert result.code == 1
    assert "\nFLAGGED although correct" in result.out
    assert "::error title=sagafuzz%3A the bug zoo::FLAGGED although correct" in result.out
    assert len(ET.parse("zoo.xml").getroot().findall(".//failure")) == 1


def test_an_unknown_name_is_answered_with_the_nearest(sagafuzz: Run) -> None:
    result = sagafuzz("zoo", "unstable-kex")
    assert result.code == 2
    assert "did you mean 'unstable-key'?" in result.err
    assert "did you mean 'unstable-key'?" in sagafuzz("run", "zoo:unstable-kex").err


def test_a_mutant_runs_like_any_adapter_and_its_finding_replays(sagafuzz: Run) -> None:
    result = sagafuzz("run", "zoo:unstable-key", "--faults", 1, "--random", 0, "--report-dir", "out")
    assert result.code == 1
    replay = next(Path("out").glob("F-*.json"))
    assert "STILL FAILS" in sagafuzz("replay", replay).out


@pytest.mark.slow
def test_the_page_of_the_documentation_is_what_it_writes(sagafuzz: Run) -> None:
    assert sagafuzz("zoo", "--markdown", "table.md").code == 0
    assert Path("table.md").read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
