"""A crash while nothing is in flight: in a timer, in a back-off, after the end; and what it finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.loading import load
from sagafuzz.verdict import Report

from .conftest import Small, fault, run

# Each step that was done is a line of a file. A timer stands before the payment; {again} is what one does with an order
# that an earlier process had taken.
WAITS = """
import pathlib, time
from sagafuzz import worker

file = pathlib.Path(worker.folder(), "done")
file.touch()

def ask(saga, step, what, key):
    while True:
        try:
            return worker.call(saga, step, what, key=key)
        except worker.Unavailable:
            time.sleep(0.2)

def drive(saga):
    done = file.read_text().split()
    if saga.again and done:
        {again}
    for step in saga.steps:
        if step in done:
            continue
        if step == "payment":
            time.sleep(0.3)
        ask(saga, step, "do", step)
        with file.open("a") as lines:
            lines.write(step + "\\n")
    return True

worker.serve(drive, takes_up=True)
"""
KEPT = WAITS.format(again="pass")
LOST = WAITS.format(again="return True  # what its timer was for was in memory")
UNDONE = WAITS.format(again="ask(saga, 'order', 'undo', 'undo')\n        return False")

KINDS = ("crash-at-rest", "crash-in-backoff")


def search(folder: Path, *kinds: str) -> Report:
    adapter = load(str(folder / "small.toml"))
    return LiveCampaign(adapter, Settings(max_faults=1, scenarios=(adapter.scenario("succeeds"),), kinds=kinds)).run()


def rows(live: LiveRun) -> list[str]:
    assert not live.blocked, live.blocked
    return [row[1] for row in live.run.rows if row[1] in ("SEND", "ACK", "CRASH", "BOOT", "CLIENT_ACK")]


def test_a_timer_that_is_lost_with_its_process_is_found(small: Small, tmp_path: Path) -> None:
    small(LOST)
    report = search(tmp_path, "crash-at-rest")
    assert {finding.violation.invariant for finding in report.findings} == {"I23"}
    (schedule,) = {str(finding.plan) for finding in report.findings}
    assert schedule == "crash-at-rest at saga-1: order forward, ack"


def test_one_that_is_kept_is_not_flagged_and_both_moments_were_tried(small: Small, tmp_path: Path) -> None:
    small(KEPT)
    report = search(tmp_path, *KINDS)
    assert (report.verdict, report.counts.idle) == ("consistent", 0)
    assert {(cell.kind, cell.fired) for cell in report.coverage} == {(KINDS[0], 2), (KINDS[1], 2)}


def test_it_dies_in_its_timer_in_its_back_off_and_after_the_end(small: Small) -> None:
    setup = small(KEPT)
    timer = run(setup, fault("crash-at-rest", "order", "F", "ack"))
    assert rows(timer) == ["BOOT", "SEND", "ACK", "CRASH", "BOOT", "SEND", "ACK", "CLIENT_ACK"]
    backoff = run(setup, fault("crash-in-backoff", "order", "F", "effect"))
    assert rows(backoff) == ["BOOT", *["SEND", "ACK", "CRASH", "BOOT"], *["SEND", "ACK"] * 2, "CLIENT_ACK"]
    end = run(setup, fault("crash-at-rest", "payment", "F", "ack"))
    assert rows(end) == ["BOOT", *["SEND", "ACK"] * 2, "CLIENT_ACK", "CRASH", "BOOT"]


GOES_ON = """
from sagafuzz import worker

def drive(saga):
    for step in saga.steps:
        try:
            worker.call(saga, step, "do", key=step)
        except worker.Unavailable:
            for undone in ("payment", "order")[step == "order" :]:
                worker.call(saga, undone, "undo", key=f"undo {undone}")
            return False
    return True

worker.serve(drive)
"""


def test_where_nobody_waits_nothing_was_struck(small: Small, tmp_path: Path) -> None:
    setup = small(GOES_ON)
    plan = fault("crash-in-backoff", "order", "F", "effect")
    live = run(setup, plan)
    assert (live.run.fired, live.run.idle, "CRASH" in rows(live)) == ((), (0,), False)
    assert check(live.run.history(setup, plan)).violations == ()
    report = search(tmp_path, *KINDS)
    assert (report.counts.idle, report.verdict) == (2, "consistent")
    why = "crash-at-rest at order forward: the orchestrator goes on at once: it waits for nothing (1 sites)"
    assert why in report.not_exercised


@pytest.mark.parametrize("declared", [True, False])
def test_a_crash_in_a_timer_is_a_lone_crash_to_what_a_durable_engine_promises(
    small: Small, tmp_path: Path, declared: bool
) -> None:
    small(UNDONE, capabilities="durable_execution = true" if declared else "")
    report = search(tmp_path, "crash-at-rest")
    found = {finding.violation.invariant for finding in report.findings}
    assert found == ({"I42"} if declared else set())
