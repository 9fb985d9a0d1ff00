"""What real processes are judged by when all is at rest: the harness's own restart, and who was called to what."""

from __future__ import annotations

from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.simulator import Setup
from sagafuzz.verdict import Verdict

from .conftest import Small, fault, run

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

LOST = fault("lost-ack", "order", "F", "ack")


def verdict(setup: Setup, live: LiveRun) -> Verdict:
    assert not live.blocked, live.blocked
    return check(live.run.history(setup, LOST))


def test_what_only_the_final_restart_frees_is_stuck_until_a_restart(small: Small) -> None:
    setup = small(FOUND_AT_A_START_ONLY)
    live = run(setup, LOST)
    (violation,) = verdict(setup, live).violations
    assert (violation.invariant, violation.anomaly) == ("I3", "stuck until a restart")
    assert "only a restart at the end freed it" in violation.sentence
    assert [row[9] for row in live.run.rows if row[1] == "CLIENT_ACK"] == [("completed",)]


def test_where_a_supervisor_restarts_what_is_stuck_it_is_no_anomaly(small: Small) -> None:
    setup = small(FOUND_AT_A_START_ONLY, capabilities="supervised = true")
    assert verdict(setup, run(setup, LOST)).conclusion == "consistent"


def test_where_nothing_drives_a_saga_on_no_restart_is_tried(small: Small) -> None:
    setup = small(FOUND_AT_A_START_ONLY, capabilities='resume = "none"')
    live = run(setup, LOST)
    assert "BOOT" in [row[1] for row in live.run.rows]
    assert [row[9] for row in live.run.rows if row[1] == "CRASH"] == []
    assert {violation.invariant for violation in verdict(setup, live).violations} <= {"I3", "C3"}


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
