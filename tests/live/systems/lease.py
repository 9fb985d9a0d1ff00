"""Two processes and a lease: one drives a saga, the other takes it over when no sign of life was seen for a while.

``fenced`` stops when it finds that it lost a saga; ``split`` undoes what it did, although another one goes on with it.
"""

import json
import os
import sys
import threading
import time
from typing import Any

from sagafuzz import worker
from sagafuzz.worker import CallTimeout, Outcome, Rejected, SagaRequest, Unavailable

LEASE_S, AGAIN_S, ATTEMPTS = 0.25, 0.05, 5
FENCED = sys.argv[1] == "fenced"
ME = os.environ["SAGAFUZZ_URL"]

log = worker.database()
log.execute("CREATE TABLE IF NOT EXISTS sagas (id TEXT PRIMARY KEY, asked TEXT, owner TEXT, until REAL, ended TEXT)")
log.execute("CREATE TABLE IF NOT EXISTS undoing (id TEXT PRIMARY KEY)")
lock = threading.Lock()


class NotMineError(Exception):
    pass


def ask(sql: str, *values: Any) -> list[Any]:
    with lock:
        return log.execute(sql, values).fetchall()


def drive(saga: SagaRequest) -> Outcome:
    asked = json.dumps([saga.order, saga.steps])
    ask("INSERT OR IGNORE INTO sagas VALUES (?, ?, ?, ?, '')", saga.id, asked, ME, time.time() + LEASE_S)
    return own(saga)


def own(saga: SagaRequest) -> Outcome:
    over = threading.Event()
    threading.Thread(target=beat, args=(saga, over), daemon=True).start()
    try:
        return backward(saga) if ask("SELECT 1 FROM undoing WHERE id = ?", saga.id) else forward(saga)
    except NotMineError:
        while not (ended := ask("SELECT ended FROM sagas WHERE id = ?", saga.id)[0][0]):
            time.sleep(AGAIN_S)
        return Outcome(ended)
    finally:
        over.set()


def beat(saga: SagaRequest, over: threading.Event) -> None:
    while not over.wait(LEASE_S / 5):
        ask("UPDATE sagas SET until = ? WHERE id = ? AND owner = ?", time.time() + LEASE_S, saga.id, ME)


def mine(saga: SagaRequest) -> bool:
    return ask("SELECT owner FROM sagas WHERE id = ?", saga.id) == [(ME,)]


def forward(saga: SagaRequest) -> Outcome:
    for step in saga.steps:
        try:
            request(saga, step, "do")
        except (Rejected, Unavailable, CallTimeout):
            return backward(saga)
        if not mine(saga):
            if FENCED:
                raise NotMineError
            time.sleep(2 * AGAIN_S)
            return backward(saga)
    return end(saga, Outcome.COMPLETED)


def backward(saga: SagaRequest) -> Outcome:
    ask("INSERT OR IGNORE INTO undoing SELECT id FROM sagas WHERE id = ? AND (? OR owner = ?)", saga.id, not FENCED, ME)
    for step in reversed(saga.steps):
        request(saga, step, "undo")
    return end(saga, Outcome.COMPENSATED)


def request(saga: SagaRequest, step: str, verb: str) -> Any:
    attempts = 0
    while True:
        if verb == "undo" and FENCED and not mine(saga):
            raise NotMineError
        try:
            return worker.call(saga, step, verb, key=f"{saga.id}/{step}")
        except (Unavailable, CallTimeout) as error:
            attempts += 1
            if attempts == ATTEMPTS and verb == "do":
                raise
            if attempts == ATTEMPTS:
                worker.note("ALERT", saga=saga.id, step=step, reason=str(error))
        time.sleep(AGAIN_S)


def end(saga: SagaRequest, outcome: Outcome) -> Outcome:
    ask("UPDATE sagas SET ended = ? WHERE id = ? AND ended = ''", outcome.value, saga.id)
    return outcome


def status(id: str) -> str:
    found = ask("SELECT ended FROM sagas WHERE id = ?", id)
    return (found[0][0] or "running") if found else "unknown"


def watch() -> None:
    while True:
        time.sleep(LEASE_S / 5)
        for id, asked in ask("SELECT id, asked FROM sagas WHERE ended = '' AND until < ?", time.time()):
            taken = "UPDATE sagas SET owner = ?, until = ? WHERE id = ? AND until < ? RETURNING id"
            if ask(taken, ME, time.time() + LEASE_S, id, time.time()):
                order, steps = json.loads(asked)
                own(SagaRequest(id=id, order=order, steps=tuple(steps)))


threading.Thread(target=watch, daemon=True).start()
worker.serve(drive, status=status, engine="lease")
