"""What real processes are judged by when all is at rest: the harness's own restart, and who was called to what."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz.exploration.live import LiveCampaign, replay
from sagafuzz.exploration.replay import from_text, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.loading import load
from sagafuzz.simulator import Setup
from sagafuzz.verdict import Verdict

from .conftest import NOTHING, Small, fault, run

FOUND_AT_A_START_ONLY = """
import json, pathlib, time
from sagafuzz import worker

FOLDER = pathlib.Path(worker.folder())

def drive(saga):
    found = FOLDER / f"{saga.id}.json"
    again = found.exists()
    found.write_text(json.dumps(saga.order))
    for step in ("order", "payment"):
        try:
            worker.call(saga, step, "do", key=f"{saga.id}/{step}")
        except worker.CallTimeout:
            if not again:
                time.sleep(3600)  # it waits for what never comes
            worker.call(saga, step, "do", key=f"{saga.id}/{step}")
    return True

def pending():
    return [worker.SagaRequest(id=file.stem, order=json.loads(file.read_text())) for file in FOLDER.glob("saga-*.json")]

worker.serve(drive, pending=pending)
"""

SOON = 500
"""So many milliseconds a system needs at most that never comes to its end."""

LOST = fault("lost-ack", "order", "F", "ack")


def verdict(setup: Setup, live: LiveRun) -> Verdict:
    assert not live.blocked, live.blocked
    return check(live.run.history(setup, LOST))


def test_what_only_the_final_restart_frees_is_stuck_until_a_restart(small: Small) -> None:
    setup = small(FOUND_AT_A_START_ONLY, recovery_ms=SOON)
    live = run(setup, LOST)
    (violation,) = verdict(setup, live).violations
    assert (violation.invariant, violation.anomaly) == ("I3", "stuck until a restart")
    assert "only a restart at the end freed it" in violation.sentence
    assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == [("completed",)]


def test_where_a_supervisor_restarts_what_is_stuck_it_is_no_anomaly(small: Small) -> None:
    setup = small(FOUND_AT_A_START_ONLY, capabilities="supervised = true", recovery_ms=SOON)
    assert verdict(setup, run(setup, LOST)).conclusion == "consistent"


def test_where_nothing_drives_a_saga_on_no_restart_is_tried(small: Small) -> None:
    setup = small(FOUND_AT_A_START_ONLY, capabilities='resume = "none"', recovery_ms=SOON)
    live = run(setup, LOST)
    assert "BOOT" in [row[1] for row in live.run.rows]
    assert [row[9] for row in live.run.rows if row[1] == "CRASH"] == []
    assert set(anomalies(verdict(setup, live))) >= {("I2", "partial"), ("I3", "still running")}


STOPS = """
import pathlib, time
from sagafuzz import worker

FOLDER = pathlib.Path(worker.folder())

def drive(saga):
    (FOLDER / saga.id).touch()
    for step, verb in %r:
        worker.call(saga, step, verb, key=step)
    time.sleep(3600)

worker.serve(drive, status=lambda id: %r if (FOLDER / id).exists() else "unknown")
"""
ALL, NONE = [("order", "do"), ("payment", "do")], [("order", "do"), ("order", "undo")]


def anomalies(found: Verdict) -> list[tuple[str, str]]:
    return sorted((each.invariant, each.anomaly) for each in (*found.violations, *found.explained))


@pytest.mark.parametrize("asked", [[], ALL, NONE])
def test_a_saga_that_is_called_running_at_rest_is_found_whatever_is_in_effect(
    small: Small, asked: list[tuple[str, str]]
) -> None:
    setup = small(STOPS % (asked, "running"), recovery_ms=SOON)
    live = run(setup)
    assert anomalies(check(live.run.history(setup, NOTHING))) == [("C3", "never answers"), ("I3", "still running")]
    assert live.run.rows[-1][9] == ("quiescent",)


@pytest.mark.parametrize("asked", [ALL, NONE])
def test_a_crash_is_no_excuse_for_it(small: Small, asked: list[tuple[str, str]]) -> None:
    setup, plan = (
        small(STOPS % (asked, "running"), recovery_ms=SOON),
        fault("crash-after-ack", *asked_last(asked), "ack"),
    )
    assert anomalies(check(run(setup, plan).run.history(setup, plan))) == [("I3", "still running")]


def asked_last(asked: list[tuple[str, str]]) -> tuple[str, str]:
    step, verb = asked[-1]
    return step, "F" if verb == "do" else "C"


@pytest.mark.parametrize(("asked", "end"), [(ALL, "completed"), (NONE, "compensated")])
def test_one_that_is_over_only_after_a_restart_that_nobody_declared_is_found(
    small: Small, asked: list[tuple[str, str]], end: str
) -> None:
    plan = fault("duplicate", "order", "F", "send")
    setup = small(STOPS % (asked, end), recovery_ms=SOON)
    assert anomalies(check(run(setup, plan).run.history(setup, plan))) == [("I3", "stuck until a restart")]
    setup = small(STOPS % (asked, end), capabilities="supervised = true", recovery_ms=SOON)
    assert anomalies(check(run(setup, plan).run.history(setup, plan))) == []


BUSY = """
import contextlib, time
from sagafuzz import worker

def drive(saga):
    while True:
        for key in %r:
            with contextlib.suppress(worker.CallTimeout):
                worker.call(saga, "order", "do", key=key)
        time.sleep(0.05)

worker.serve(drive)
"""


def test_a_case_that_ends_while_a_saga_still_runs_is_neither_green_nor_red(small: Small) -> None:
    setup = small(BUSY % (["o"],), capabilities='resume = "none"', recovery_ms=SOON)
    assert check(run(setup).run.history(setup, NOTHING)).conclusion == "inconclusive"


def test_what_it_has_done_wrong_by_then_is_judged_all_the_same(small: Small) -> None:
    setup = small(BUSY % (["o", "o2"],), capabilities='resume = "none"', recovery_ms=SOON)
    live = run(setup)
    assert [violation.invariant for violation in check(live.run.history(setup, NOTHING)).violations] == ["I1"]


def test_a_finding_whose_case_is_still_busy_when_it_is_run_again_is_not_fixed(small: Small, tmp_path: Path) -> None:
    small(STOPS % ([], "running"), recovery_ms=250)
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=0, scenarios=(adapter.scenario("succeeds"),))
    finding = next(f for f in LiveCampaign(adapter, settings).run().findings if f.violation.invariant == "C3")
    recorded = from_text(to_text(finding, adapter.spec), "a finding")
    small(BUSY % (["o"],), capabilities='resume = "none"', recovery_ms=SOON)
    again = replay(recorded, load(str(tmp_path / "small.toml")))
    assert (again.result, again.reason[:24]) == ("CANNOT RUN", "a case had to be ended w")


GIVES_UP_AN_UNDO = """
from sagafuzz import worker

def drive(saga):
    for step in ("order", "payment"):
        worker.call(saga, step, "do", key=f"{saga.id}/{step}")
    for step in %r:
        for attempt in range(2):
            try:
                worker.call(saga, step, "undo", key=f"{saga.id}/{step}")
                break
            except worker.Unavailable:
                pass
    for step in %r:
        for kind in ("DEAD_LETTER", "ALERT"):
            worker.note(kind, saga=saga.id, step=step, reason="it cannot be undone")
    return worker.Outcome.STUCK

worker.serve(drive)
"""


def violated(small: Small, *, undone: tuple[str, ...], noted: tuple[str, ...]) -> list[tuple[str, str]]:
    """What is violated, and of which step, where payment's undo fails: by a saga that undoes these steps, and calls a
    person to those."""
    setup = small(GIVES_UP_AN_UNDO % (undone, noted), capabilities='resume = "none"')
    plan = fault("undo-fails", "payment", "C", "effect")
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert live.run.fired
    return [(violation.invariant, violation.step) for violation in check(live.run.history(setup, plan)).violations]


def test_a_saga_that_is_stuck_is_handed_over_as_a_whole_where_no_step_is_named(small: Small) -> None:
    assert violated(small, undone=("payment",), noted=()) == []


def test_a_person_who_was_called_to_the_step_that_is_left_has_it_in_hand(small: Small) -> None:
    assert violated(small, undone=("payment", "order"), noted=("payment",)) == []


def test_what_is_left_of_another_step_is_not_excused(small: Small) -> None:
    assert violated(small, undone=("payment",), noted=("payment",)) == [("I11", "order")]


SPEAKS_AS_IT_DIES = """
import json, os, pathlib, signal, sys, time
from sagafuzz import worker

OUT = os.dup(1)

def last_words(*_):
    os.write(OUT, json.dumps({"event": "status", "saga_id": "saga-1", "status": "compensated"}).encode() + b"\\n")
    time.sleep(0.05)
    os._exit(0)

signal.signal(signal.SIGTERM, last_words)

def drive(saga):
    pathlib.Path(worker.folder(), saga.id).touch()
    for step in saga.steps:
        worker.call(saga, step, "do", key=step)
    return True

def pending():
    found = pathlib.Path(worker.folder()).glob("saga-*")
    return [worker.SagaRequest(id=file.name, order={}, steps=("order", "payment")) for file in found]

worker.serve(drive, pending=pending)
"""


def test_what_a_process_says_because_it_is_ended_is_no_answer(small: Small) -> None:
    setup, plan = (
        small(SPEAKS_AS_IT_DIES, component='signal = "TERM"'),
        fault("crash-after-effect", "order", "F", "effect"),
    )
    live = run(setup, plan)
    assert not live.blocked, live.blocked
    assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == [("completed",)]
