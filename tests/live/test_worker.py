"""What the worker library takes off an adapter of an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz.live.case import LiveRun

from .conftest import Small, fault, run

# An engine of its own: who has a row goes on by itself at the next start, as an engine of durable execution does.
ENGINE = """
import os, threading
from sagafuzz import worker

log = worker.database()
log.execute("CREATE TABLE IF NOT EXISTS runs (saga TEXT UNIQUE, status TEXT, tellings INTEGER DEFAULT 0)")

def drive(saga):
    if saga.again:
        log.execute("UPDATE runs SET tellings = tellings + 1 WHERE saga = ?", (saga.id,))
    else:
        log.execute("INSERT INTO runs (saga, status) VALUES (?, 'RUNNING')", (saga.id,))
    for step in saga.steps:
        worker.call(saga, step, "do", key=step)
    log.execute("UPDATE runs SET status = ? WHERE saga = ?", ("DONE", saga.id))
    print(saga.id, *log.execute("SELECT tellings FROM runs").fetchone(), saga.after["payment"], flush=True)
    return "DONE"
"""
SERVE = 'worker.serve(drive, takes_up=True, statuses={"DONE": True}%s)'


def told(live: LiveRun) -> list[object]:
    assert live.blocked == "", live.blocked
    return [row[9][0] for row in live.run.rows if row[1] == "CLIENT_ACK"]


@pytest.mark.parametrize("where", ["", ", in_main_thread=True"])
def test_the_harness_gives_an_open_order_again_so_that_a_worker_keeps_no_list(small: Small, where: str) -> None:
    live = run(small(ENGINE + SERVE % where), fault("crash-after-ack", "order", "F", "ack"))
    assert told(live) == ["completed"]
    assert dict(live.output)["orchestrator#2"] == ("saga-1 1 ('order',)",)


def test_an_order_that_has_ended_is_not_given_again(small: Small) -> None:
    crash_at_the_end = ENGINE.replace('    return "DONE"', "    return True")
    setup = small(crash_at_the_end + "worker.serve(drive, takes_up=True)", scenario="one-after-the-other")
    live = run(setup, fault("crash-after-ack", "order", "F", "ack", saga="saga-2"))
    assert told(live) == ["completed"] * 2
    assert "saga-1" not in str(dict(live.output).get("orchestrator#2", ""))


def test_a_saga_is_driven_in_the_main_thread_where_that_is_asked_for(small: Small) -> None:
    program = ENGINE.replace('return "DONE"', "return threading.current_thread() is threading.main_thread()")
    assert told(run(small(program + SERVE % ", in_main_thread=True"))) == ["completed"]
    assert told(run(small(program + SERVE % ""))) == ["compensated"]


ASYNC = """
import asyncio, os, subprocess
from sagafuzz import worker

async def drive(saga):
    for step in saga.steps:
        await asyncio.to_thread(worker.call, saga, step, "do", key=step)
    return "completed"

asyncio.run(worker.serve_async(drive))
"""


def test_an_async_engine_is_driven_in_its_loop_and_attached_to_after_a_crash(small: Small) -> None:
    assert told(run(small(ASYNC))) == ["completed"]
    assert told(run(small(ASYNC), fault("crash-after-ack", "order", "F", "ack"))) == ["completed"]


def test_what_is_written_to_standard_output_does_not_disturb_the_protocol(small: Small) -> None:
    noise = 'print("a")\n    os.write(1, b"b\\n")\n    subprocess.run(["sh", "-c", "echo c; cat"], check=True)\n    for'
    live = run(small(ASYNC.replace("for", noise, 1)))
    assert told(live) == ["completed"]
    assert dict(live.output)["orchestrator"] == ("a", "b", "c")


def test_the_outcome_of_a_step_of_an_engine_is_plain(small: Small) -> None:
    program = """
from sagafuzz import worker

def drive(saga):
    plain = saga.plain
    assert worker.SagaRequest.of_plain(plain).plain == plain
    refused = [worker.attempt(plain, step, "do", key=step) == worker.REFUSED for step in saga.steps]
    for step in saga.steps[:-1]:
        worker.attempt(plain, step, "undo", key=step)
    return "compensated" if refused == [False, True] else "completed"

worker.serve(drive)
"""
    assert told(run(small(program, scenario="declined"))) == ["compensated"]


def test_a_step_whose_outcome_is_not_known_fails(small: Small, tmp_path: Path) -> None:
    program = """
from sagafuzz import worker

def drive(saga):
    try:
        worker.attempt(saga.plain, "order", "do", key="order")
    except worker.Failed as error:
        print(type(error).__mro__[1].__name__, error.args[0].split(":")[0])
    return True

worker.serve(drive)
"""
    live = run(small(program), fault("lost-ack", "order", "F", "ack"))
    assert dict(live.output)["orchestrator"] == ("Exception order/do",)


@pytest.mark.parametrize("returned", ["None", "{}", "'done'"])
def test_what_is_no_outcome_is_told_with_what_would_be_one(small: Small, returned: str) -> None:
    live = run(small(f"from sagafuzz import worker\nworker.serve(lambda saga: {returned}, statuses={{'OK': True}})"))
    (raised,) = [row[9] for row in live.run.rows if row[1] == "RAISED"]
    assert raised[1].startswith(f"ValueError: drive returned {eval(returned)!r}; return one of True, False, ")
    assert raised[1].endswith("stuck, OK") and raised[3] is False
