"""`sagafuzz run --plan` shows what happens under one plan, failing or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz import Scenario
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.one_plan import try_plan
from sagafuzz.exploration.reductions import SHAPING
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import Run

NAIVE = Path(__file__).parents[2] / "examples" / "live" / "python" / "naive.toml"


def test_a_plan_that_fails_shows_its_violation_and_its_schedule(sagafuzz: Run) -> None:
    done = sagafuzz("run", "seed", "--plan", "lost-ack@payment forward")
    assert done.code == 1
    assert done.out.startswith(
        "VIOLATED: seed, succeeds, lost-ack at saga-1: payment forward, ack\n  I5 leaked effect: "
    )
    assert "⚡ lost-ack" in done.out
    assert "◀── violation" in done.out
    assert not Path("sagafuzz-report").exists()


def test_a_plan_that_passes_is_shown_as_well(sagafuzz: Run) -> None:
    done = sagafuzz("run", "reference", "--scenario", "declined", "--plan", "lost-ack@payment forward")
    assert done.code == 0
    assert "CONSISTENT" in done.out
    assert "⚡ lost-ack" in done.out


def test_without_a_fault_it_is_the_plain_run(sagafuzz: Run) -> None:
    done = sagafuzz("run", "seed", "--plan", "no fault")
    assert done.code == 0
    assert "tells the client: completed" in done.out


def test_each_plan_is_found_by_the_name_that_reports_give_it() -> None:
    adapter = load("seed")
    setup = Setup(adapter=adapter, scenario=Scenario())
    for case in Enumerator(setup, 1, reductions=SHAPING).cases():
        tried = try_plan(setup, str(case.plan))
        assert tried.plan == case.plan
        assert tried.history.rows == case.run.rows


def test_a_second_fault_strikes_where_the_first_has_led(sagafuzz: Run) -> None:
    done = sagafuzz("run", "seed", "--plan", "lost-ack@payment forward + crash-before-send@order compensation")
    assert "crash-before-send at saga-1: order compensation, send" in " ".join(done.out.split())
    assert done.code == 1


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        ("lost-ack", "write KIND@WORDS"),
        ("lostack@payment", "did you mean 'lost-ack'?"),
        ("lost-ack@shipping", "it can strike saga-1: order forward, ack; "),
        ("lost-ack@order forward + lost-ack@order forward #1", "lost-ack has no site 'order forward #1'"),
        ("crash-after-log@intent", "it can strike nowhere in this run"),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_says_what_can(sagafuzz: Run, plan: str, expected: str) -> None:
    done = sagafuzz("run", "seed", "--plan", plan)
    assert done.code == 2
    assert expected in done.complaint


def test_it_runs_on_real_processes(sagafuzz: Run) -> None:
    done = sagafuzz("run", str(NAIVE), "--plan", "lost-ack@payment forward")
    assert done.code == 1, done
    assert "⚡ lost-ack" in done.out
