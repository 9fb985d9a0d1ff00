"""``sagafuzz compare``, ``sagafuzz adapters``, and what has no command of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import sagafuzz as package

from .conftest import Run

ONE = ("--faults", 1, "--random", 0, "--scenario", "succeeds")


def test_it_writes_a_report_for_each_and_a_comparison(sagafuzz: Run) -> None:
    result = sagafuzz("compare", "seed", "reference", *ONE, "--report-dir", "both")
    assert (result.code, result.err) == (1, "")
    assert "checkout on seed: VIOLATED" in result.out
    assert "checkout on reference: CONSISTENT" in result.out
    assert Path("both/comparison.md").read_text().startswith("# Comparison")
    verdicts = {
        name: json.loads(Path("both", name, "report.json").read_text())["verdict"] for name in ("seed", "reference")
    }
    assert verdicts == {"seed": "violated", "reference": "consistent"}
    assert list(Path("both/seed").glob("F-*.json"))


def test_it_writes_a_suite_for_each_system_and_annotates_the_code(
    sagafuzz: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    result = sagafuzz("compare", "seed", "reference", *ONE, "--report-dir", "both")
    suites = ET.parse("both/comparison.junit.xml").getroot()
    assert [(suite.get("name"), suite.get("failures") != "0") for suite in suites] == [
        ("sagafuzz: checkout on seed", True),
        ("sagafuzz: checkout on reference", False),
    ]
    assert "\n::error file=sagafuzz/adapters/seed.py,line=" in result.out
    for said in (Path("both/comparison.junit.xml").read_text(), Path("both/seed/report.junit.xml").read_text()):
        assert "sagafuzz replay both/seed/F-" in said


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ("violated,consistent", 0),
        ("violated, consistent", 0),
        ("consistent,consistent", 1),
        ("violated,inconclusive", 1),
    ],
)
def test_the_verdicts_may_be_expected(sagafuzz: Run, expected: str, code: int) -> None:
    result = sagafuzz("compare", "seed", "reference", *ONE, "--expect", expected)
    assert result.code == code
    assert ("as expected: seed violated, reference consistent\n" in result.out) is (code == 0)
    assert ("not as expected: " in result.err) is (code == 1)


def test_the_worst_verdict_decides(sagafuzz: Run) -> None:
    assert sagafuzz("compare", "reference", *ONE).code == 0
    assert sagafuzz("compare", "seed", "seed", *ONE).code == 1


def test_two_of_one_name_do_not_share_a_folder(sagafuzz: Run) -> None:
    sagafuzz("compare", "reference", "reference", "--faults", 0, "--random", 0, "--report-dir", "both")
    assert sorted(path.name for path in Path("both").iterdir()) == [
        "comparison.html",
        "comparison.json",
        "comparison.junit.xml",
        "comparison.md",
        "reference",
        "reference-2",
    ]


def test_not_deterministic_outweighs_violated(sagafuzz: Run, shop: Callable[..., str]) -> None:
    body = 'self.world.call("order.create", number=next(NUMBERS))\nreturn True'
    name = shop(body, before="import itertools\nNUMBERS = itertools.count()\n")
    assert sagafuzz("compare", "seed", name, "--faults", 1, "--random", 0).code == 4


def test_the_adapters_are_listed(sagafuzz: Run) -> None:
    result = sagafuzz("adapters")
    assert (result.code, result.err) == (0, "")
    for name in ("reference", "seed", "simple-saga", "over-the-limit"):
        assert name in result.out


def test_an_adapter_that_cannot_be_loaded_is_listed_all_the_same(
    sagafuzz: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(package.adapters.BUILT_IN, "broken", "absent_module:Shop")
    result = sagafuzz("adapters")
    assert result.code == 0
    assert "cannot be loaded" in result.out


def test_it_says_its_version() -> None:
    command = [sys.executable, "-m", "sagafuzz", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"sagafuzz, version {package.__version__}\n"


def test_machines_read_the_comparison_too(sagafuzz: Run) -> None:
    sagafuzz(
        "compare", "seed", "reference", "--faults", 1, "--random", 0, "--scenario", "declined", "--report-dir", "r"
    )
    said = json.loads(Path("r/comparison.json").read_text())
    assert [(each["adapter"], each["verdict"]) for each in said["systems"]] == [
        ("seed", "violated"),
        ("reference", "consistent"),
    ]
    seed = json.loads(Path("r/seed/report.json").read_text())
    assert [each["id"] for each in said["systems"][0]["findings"]] == [each["id"] for each in seed["findings"]]
