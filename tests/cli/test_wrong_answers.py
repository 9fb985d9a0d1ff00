"""``--wrong-answers``: off unless the command line, the configuration, or an adapter's name asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.faults import kind_groups

from .conftest import Run

QUICK = ("--faults", 1, "--random", 0, "--scenario", "declined")
WRONG = set(kind_groups()["wrong-answers"])


def report() -> Any:
    return json.loads(Path("sagafuzz-report", "report.json").read_text(encoding="utf-8"))


def planned() -> set[str]:
    return {cell["kind"] for cell in report()["coverage"] if cell["planned"]}


def test_nobody_meets_them_who_does_not_ask(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", *QUICK)
    assert not planned() & WRONG
    assert "wrong answers were asked for" not in result.out


def test_the_report_says_that_they_were_asked_for_and_how_to_ask_again(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", *QUICK, "--wrong-answers")
    assert planned() & WRONG
    assert "wrong answers were asked for: malformed-answer, empty-answer" in " ".join(result.out.split())
    assert "again: sagafuzz run wrong-answers:reference --faults 1" in result.out


def test_a_finding_of_one_is_replayed(sagafuzz: Run) -> None:
    asked = ("--faults", 1, "--random", 0, "--scenario", "succeeds", "--wrong-answers", "--kinds", "hollow-success")
    assert sagafuzz("run", "reference", *asked).code == 1
    found = next(Path("sagafuzz-report").glob("F-*.json"))
    assert "STILL FAILS" in sagafuzz("replay", found).out


def test_the_configuration_asks_for_them(sagafuzz: Run) -> None:
    Path("pyproject.toml").write_text("[tool.sagafuzz]\nwrong-answers = true\n", encoding="utf-8")
    sagafuzz("run", "reference", *QUICK)
    assert planned() & WRONG


@pytest.mark.parametrize(("name", "says"), [("reference", False), ("wrong-answers:reference", True)])
def test_the_doctor_says_whether_they_are_asked_for(sagafuzz: Run, name: str, says: bool) -> None:
    out = " ".join(sagafuzz("doctor", name).out.split())
    assert ("wrong answers are asked for, and searched with the others" in out) is says
    assert ("hollow-success: it needs that wrong answers are asked for" in out) is not says
