"""The same checkout in other languages gives the same verdicts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import Plan
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import EXAMPLES, fault, run_plans

LANGUAGES = [
    pytest.param(name, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"there is no {name} on the PATH"))
    for name in ("node", "go")
]

AT = (
    fault("lost-ack", "payment", "F", "ack"),
    fault("duplicate", "payment", "F", "send"),
    fault("crash-after-effect", "inventory", "F", "effect"),
    fault("timeout", "payment", "F", "send"),
)


def violated(setup: Setup, plans: tuple[Plan, ...]) -> list[set[str]]:
    runs = run_plans(setup, *plans)
    assert [live.blocked for live in runs] == [""] * len(plans)
    assert [len(live.run.fired) for live in runs] == [len(plan) for plan in plans]
    histories = [live.run.history(setup, plan) for live, plan in zip(runs, plans, strict=True)]
    return [{violation.invariant for violation in check(history).violations} for history in histories]


def system(language: str, name: str) -> Setup:
    adapter = load(str(EXAMPLES / language / f"{name}.toml"))
    return Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_naive_one_is_violated_as_the_one_in_python_is(language: str) -> None:
    expected = [{"I5"}, {"I1"}, {"I13"}, {"I5"}]
    assert violated(system("python", "naive"), AT) == expected
    assert violated(system(language, "naive"), AT) == expected


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_correct_one_survives(language: str) -> None:
    written = (
        fault("crash-before-log", "outcome order", "", "log"),
        fault("crash-after-log", "terminal", "", "logged"),
    )
    assert violated(system(language, "correct"), (*AT, *written)) == [set()] * 6


EARLY = (
    fault("lost-ack", "payment", "F", "ack"),  # its webhook comes before an answer to it
    fault("crash-after-effect", "payment", "F", "effect"),
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_webhook_that_comes_before_the_answer_is_lost_on_the_naive_shop_and_not_on_the_correct_one(
    language: str,
) -> None:
    (first, _) = violated(system(language, "webhook-naive"), EARLY)
    assert "I40" in first
    struck = (
        fault("lost-message-ack", "payment.charged", "M", "handled"),
        fault("crash-at-receipt", "payment.charged", "M", "receipt"),
    )
    assert violated(system(language, "webhook-correct"), (*EARLY, *struck)) == [set()] * 4


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["naive", "correct"])
def test_every_plan_with_one_fault_also_of_compensations(language: str, name: str) -> None:
    adapter = load(str(EXAMPLES / language / f"{name}.toml"))
    report = LiveCampaign(adapter, Settings(max_faults=1, scenarios=(adapter.scenario("declined"),))).run()
    assert report.complete and report.counts.fired == report.counts.run > 90
    assert set(report.distinct_invariants) == ({"I1", "I5", "I11", "I13"} if name == "naive" else set())


def test_a_build_that_fails_says_why(tmp_path: Path) -> None:
    text = (EXAMPLES / "go" / "naive.toml").read_text(encoding="utf-8")
    build = 'build = ["{python}", "-c", "raise SystemExit(\'no compiler\')"]'
    lines = [build if line.startswith("build") else line for line in text.split("\n")]
    (tmp_path / "x.toml").write_text("\n".join(lines), encoding="utf-8")
    adapter = load(str(tmp_path / "x.toml"))
    (live,) = run_plans(Setup(adapter=adapter, scenario=adapter.scenario("succeeds")), Plan())
    assert "ended (exit code 1); its last lines: no compiler" in live.blocked
