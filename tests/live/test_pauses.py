"""A process that stands still and wakes: what it does then is waited for; where nothing came of it, it did not fire."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.live.manifest import manifest_of
from sagafuzz.live.stillness import runs, waits_for_others
from sagafuzz.loading import load
from sagafuzz.simulator import Setup

from .conftest import STEPS, Small, fault, run, run_plans

NOTHING_BUT_PROCESSES = f"""
[saga]
name = "checkout"
{STEPS}
[[component]]
role = "worker"
argv = ["{{python}}", %r, %r]
prefork = true
replicas = 2
"""

LEASE = str(Path(__file__).parent / "systems" / "lease.py")
PAUSES = [fault("pause", step, "F", "send") for step in ("order", "payment")]


def two_processes(folder: Path, name: str) -> Setup:
    file = folder / f"{name}.toml"
    file.write_text(NOTHING_BUT_PROCESSES % (LEASE, name), encoding="utf-8")
    adapter = load(str(file))
    return Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))


def violated(setup: Setup) -> list[set[str]]:
    """What each pause breaks."""
    found = []
    for plan, live in zip(PAUSES, run_plans(setup, *PAUSES), strict=True):
        assert not live.blocked, live.blocked
        assert live.run.fired
        found.append({violation.invariant for violation in check(live.run.history(setup, plan)).violations})
    return found


def test_a_split_brain_is_found_where_nothing_but_the_processes_is_declared(tmp_path: Path) -> None:
    assert violated(two_processes(tmp_path, "split")) == [{"I15"}, {"I15"}]


def test_one_that_stops_when_it_finds_that_another_has_taken_over_is_right(tmp_path: Path) -> None:
    assert violated(two_processes(tmp_path, "fenced")) == [set(), set()]


GOES_ON_LATER = """
import threading, time
from sagafuzz import worker

def drive(saga):
    worker.call(saga, "order", "do", key="order")
    worker.call(saga, "payment", "do", key="payment")
    threading.Thread(target=later, args=(saga,), daemon=True).start()
    return True

def later(saga):
    time.sleep(0.15)
    worker.call(saga, "payment", "undo", key="payment")

worker.serve(drive)
"""


def undone(live: LiveRun) -> bool:
    assert not live.blocked, live.blocked
    return any(row[1] == "APPLY" and row[5] == "C" for row in live.run.rows)


def test_what_a_process_does_after_its_saga_was_called_over_is_waited_for(small: Small) -> None:
    assert undone(run(small(GOES_ON_LATER)))


def test_a_manifest_says_for_how_long_nothing_may_happen(small: Small) -> None:
    assert not undone(run(small(GOES_ON_LATER, capabilities="settle_ms = 20")))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [("", 250), ("lease_ms = 400", 480), ("pause_ms = 300", 300), ("lease_ms = 400\nsettle_ms = 0", 0)],
)
def test_how_long_that_is_follows_from_the_other_times(small: Small, declared: str, expected: float) -> None:
    manifest = manifest_of(small("", capabilities=declared).adapter)
    assert manifest is not None
    assert manifest.settling_ms == expected


POLLS_WITHOUT_END = """
import threading, time
from sagafuzz import worker

def poll():
    while True:
        with worker.durable("sign of life"):
            pass
        time.sleep(0.02)

def drive(saga):
    for step in saga.steps:
        worker.call(saga, step, "do", key=step)
    return True

threading.Thread(target=poll, daemon=True).start()
worker.serve(drive)
"""


def test_writes_that_are_about_no_saga_do_not_keep_a_case_from_coming_to_rest(small: Small) -> None:
    live = run(small(POLLS_WITHOUT_END, capabilities="records = true\nlease_ms = 200"))
    assert [row[9] for row in live.run.rows if row[1] == "END"] == [("quiescent",)]
    assert sum(1 for row in live.run.rows if row[1] == "LOG") > 3


IN_MEMORY = """
from sagafuzz import worker

def drive(saga):
    for step in saga.steps:
        worker.call(saga, step, "do", key=step, timeout_ms=60_000)
    return True

worker.serve(drive)
"""


def test_a_pause_in_which_nobody_took_over_and_that_nobody_noticed_did_not_fire(small: Small, tmp_path: Path) -> None:
    small(IN_MEMORY)
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=1, scenarios=(adapter.scenario("succeeds"),), kinds=("pause", "duplicate"))
    report = LiveCampaign(adapter, settings).run()
    assert (report.counts.idle, report.counts.run, report.counts.fired) == (2, 3, 3)
    assert {cell.kind for cell in report.coverage if cell.fired} == {"duplicate"}
    assert report.verdict == "consistent"
    assert [line for line in report.not_exercised if line.startswith("pause ")], report.not_exercised


HOLDS_A_LOCK = """
import fcntl
from sagafuzz import worker

lock = open("saga.lock", "a")
fcntl.flock(lock, fcntl.LOCK_EX)
fcntl.flock(lock, fcntl.LOCK_UN)

def drive(saga):
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        for step in saga.steps:
            worker.call(saga, step, "do", key=step, timeout_ms=60_000)
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
    return True

worker.serve(drive)
"""


def test_who_cannot_start_while_another_stands_still_with_a_lock_starts_once_it_goes_on(small: Small) -> None:
    """As with an engine that stands still in a transaction of SQLite."""
    setup, plan = small(HOLDS_A_LOCK, capabilities="pause_ms = 300"), fault("pause", "payment", "F", "send")
    (live,) = run_plans(setup, plan)
    assert not live.blocked, live.blocked
    assert check(live.run.history(setup, plan)).violations == ()
    seen = [(row[1], row[2]) for row in live.run.rows if row[1] in ("PAUSE", "BOOT", "WAKE")][1:]
    assert seen == [("PAUSE", "orchestrator"), ("BOOT", "orchestrator#2"), ("WAKE", "orchestrator")]


@pytest.mark.parametrize(
    ("program", "waiting", "running"),
    [
        ("input()", True, False),
        ("import queue; queue.Queue().get()", True, False),
        ("import time; time.sleep(60)", False, False),
        ("import queue; queue.Queue().get(timeout=60)", False, False),
        ("import os, time; os.fork() and os.wait() or time.sleep(60)", False, False),
        ("while True: pass", False, True),
    ],
)
def test_what_a_process_can_still_do_is_seen_from_outside(program: str, waiting: bool, running: bool) -> None:
    words = [sys.executable, "-c", f"print('on', flush=True)\n{program}"]
    with subprocess.Popen(words, stdin=-1, stdout=-1, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until = time.monotonic() + 5
        while (runs(process.pid), waits_for_others(process.pid)) != (running, waiting) and time.monotonic() < until:
            time.sleep(0.01)
        seen = [(runs(process.pid), waits_for_others(process.pid)) for _ in range(3)]
        os.killpg(process.pid, signal.SIGKILL)
    assert seen == [(running, waiting)] * 3
