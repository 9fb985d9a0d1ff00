"""Whole cases whose workers keep their state in a store: they are killed at its commits, and cut off from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sagafuzz.faults import AT_LOG, AT_LOGGED, Fault, Plan, Site
from sagafuzz.live.case import LiveRun
from sagafuzz.simulator import Setup

from .conftest import Small, run, run_plans

SQLITE = """
import sqlite3
from sagafuzz import worker

log = worker.database(shown=True)
log.execute("CREATE TABLE IF NOT EXISTS steps (saga TEXT, step TEXT)")

def drive(saga):
    done = {step for (step,) in log.execute("SELECT step FROM steps WHERE saga = ?", (saga.id,))}
    for step in saga.steps:
        if step not in done:
            worker.call(saga, step, "do", key=step)
            while True:
                try:
                    log.execute("INSERT INTO steps VALUES (?, ?)", (saga.id, step))
                    break
                except sqlite3.OperationalError as error:
                    print("again:", error)
                    if log.execute("SELECT 1 FROM steps WHERE saga = ? AND step = ?", (saga.id, step)).fetchone():
                        break
    return True

def pending():
    return [worker.SagaRequest(id="saga-1", steps=("order", "payment"))] if again else []

again = log.execute("SELECT 1 FROM steps").fetchone()
worker.serve(drive, pending=pending)
"""


def at(kind: str, subject: str, phase: str, *, saga: str = "saga-1", number: int = 1) -> Plan:
    return Plan(faults=(Fault(kind=kind, site=Site(saga, subject, "", phase, number)),))


def writes(live: LiveRun) -> list[tuple[str, str, int]]:
    return [(row[1], row[9][0], row[9][1]) for row in live.run.rows if row[1] in ("LOG", "LOGACK") and row[3]]


def effects(live: LiveRun) -> list[str]:
    return [row[4] for row in live.run.rows if row[1] == "APPLY" and row[9][0]]


def fine(live: LiveRun) -> bool:
    """The fault struck, and the order went through all the same."""
    assert not live.blocked, live.blocked
    assert len(live.run.fired) == 1
    return "CLIENT_ACK" in {row[1] for row in live.run.rows} and effects(live) == ["order", "payment"]


# -- SQLite in a Python worker -----------------------------------------------------------------


def test_commits_of_a_shown_connection_are_sites(small: Small) -> None:
    setup = small(SQLITE, capabilities="store_errors = true\nrecords = true")
    live = run(setup)
    insert = "insert steps"
    assert writes(live) == [(event, insert, number) for number in (1, 2) for event in ("LOG", "LOGACK")]
    assert [site[1] for site in live.run.sites if site[0] == ""] == ["create steps"] * 2
    plans = [
        at("crash-before-log", insert, AT_LOG),
        at("crash-after-log", insert, AT_LOGGED, number=2),
        at("store-error-before-commit", insert, AT_LOG),
        at("store-error-after-commit", insert, AT_LOGGED),
    ]
    before, after, error, late = run_plans(setup, *plans)
    assert writes(before)[0] == ("LOG", insert, 1)
    assert fine(after) and fine(error) and fine(late)
    assert [*map(len, map(writes, (error, late)))] == [5, 4]  # the first was asked for again
    for live in (error, late):
        assert any("disk I/O error" in line for _, lines in live.output for line in lines)


def test_transactions_that_python_opens_by_itself_are_known(small: Small) -> None:
    program = """
import sqlite3
from sagafuzz import worker
db = sqlite3.connect(worker.folder() + "/own.sqlite", factory=worker.ShownConnection, check_same_thread=False)
db.execute("CREATE TABLE steps (saga TEXT, step TEXT)")

def drive(saga):
    with db:
        db.execute("INSERT INTO steps VALUES (?, ?)", (saga.id, "a"))
        db.executemany("UPDATE steps SET step = ? WHERE saga = ?", [("b", saga.id)])
    db.execute("INSERT INTO steps VALUES ('saga-1', 'c')")
    db.rollback()
    db.execute("DELETE FROM steps WHERE saga = 'saga-1'")
    db.commit()
    db.executescript("BEGIN; INSERT INTO steps VALUES ('saga-1', 'd'); COMMIT")
    assert db.execute("SELECT step FROM steps").fetchall() == [("d",)]
    return True

worker.serve(drive)
"""
    live = run(small(program, capabilities="records = true"))
    assert [record for event, record, _ in writes(live) if event == "LOGACK"] == [
        "insert steps + update steps",
        "delete steps",
        "insert steps",
    ]
    assert "CLIENT_ACK" in {row[1] for row in live.run.rows}


# -- a store of the case's own -----------------------------------------------------------------

REDIS_STORE = """
partition_ms = 300

[[component]]
role = "store"
name = "db"
argv = ["redis-server", "--bind", "127.0.0.1", "--port", "{port}", "--dir", "{dir}", "--appendonly", "yes"]
ready = "eady to accept connections"
proxy = "redis"
"""

REDIS_WORKER = """
import os, time, redis
from sagafuzz import worker

db = redis.Redis(port=int(os.environ["DB_PORT"]), host="127.0.0.1", decode_responses=True)

def again(work):
    while True:
        try:
            return work()
        except redis.RedisError as error:
            print("again:", error)
            time.sleep(0.02)

def drive(saga):
    done = again(lambda: db.hgetall(saga.id))
    for step in saga.steps:
        if step not in done:
            worker.call(saga, step, "do", key=step)
            again(lambda: db.hset(saga.id, step, "done"))
    return True

def pending():
    return [worker.SagaRequest(id=id, steps=("order", "payment")) for id in again(lambda: db.keys("saga-*"))]

worker.serve(drive, pending=pending)
"""


@pytest.fixture
def on_redis(small: Small) -> Setup:
    pytest.importorskip("redis", reason="redis is not installed: pip install 'sagafuzz[redis]'")
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server on the PATH")
    return small(REDIS_WORKER, component='env = { DB_PORT = "{db.port}" }', capabilities=REDIS_STORE)


def test_every_fault_at_a_commit_to_a_store_of_the_case(on_redis: Setup) -> None:
    plans = [
        at("store-error-before-commit", "hset", AT_LOG),
        at("store-error-after-commit", "hset", AT_LOGGED),
        at("store-outage", "hset", AT_LOG),
        at("slow-commit", "hset", AT_LOGGED),
        at("store-restart", "hset", AT_LOGGED),
        at("crash-after-log", "hset", AT_LOGGED),
    ]
    runs = run_plans(on_redis, *plans)
    assert [fine(live) for live in runs] == [True] * 6
    rows = [{row[1] for row in live.run.rows} for live in runs]
    assert ["DOWN" in events for events in rows] == [False] * 4 + [True, False]
    assert ["CRASH" in events for events in rows] == [False] * 5 + [True]


def test_a_store_that_ends_by_itself_is_said(small: Small, tmp_path: Path) -> None:
    (tmp_path / "store.py").write_text(
        "import time\nprint('up', flush=True)\ntime.sleep(0.3)\nraise SystemExit('full')\n"
    )
    store = '[[component]]\nrole = "store"\nargv = ["{python}", "store.py"]\nready = "up"\n'
    slow = "import time\nfrom sagafuzz import worker\nworker.serve(lambda saga: time.sleep(300))\n"
    live = run(small(slow, capabilities=store))
    assert live.blocked == "store ended by itself (exit code 1); its last lines: up | full"


def test_a_store_that_is_not_there_is_said(small: Small) -> None:
    store = '[[component]]\nrole = "store"\nname = "db"\naddress = "127.0.0.1:1"\n'
    good = "from sagafuzz import worker\nworker.serve(lambda saga: True)\n"
    assert "db cannot be reached at 127.0.0.1:1" in run(small(good, capabilities=store)).blocked
