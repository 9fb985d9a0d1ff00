"""A checkout on a durable log: what it intends is written before it is asked, and what is unknown is undone."""

import json
import threading
import time

from sagafuzz import worker
from sagafuzz.worker import CallTimeout, Outcome, Rejected, Unavailable

FORWARD_ATTEMPTS, UNDO_ATTEMPTS, PAUSE_S = 3, 4, 0.02

log = worker.database()
log.execute("CREATE TABLE IF NOT EXISTS sagas (id TEXT PRIMARY KEY, state TEXT)")
lock = threading.Lock()


def save(state, record, step=""):
    with worker.durable(record, saga=state["id"], step=step), lock:
        log.execute("INSERT OR REPLACE INTO sagas VALUES (?, ?)", (state["id"], json.dumps(state)))


def load(id):
    with lock:
        found = log.execute("SELECT state FROM sagas WHERE id = ?", (id,)).fetchone()
    return json.loads(found[0]) if found else None


def checkout(saga):
    state = load(saga.id)
    if state is None:
        state = {"id": saga.id, "order": saga.order, "steps": saga.steps, "begun": [], "receipts": {}}
        state |= {"phase": "forward", "undone": [], "stuck": []}
        save(state, "create")
    if state["phase"] == "forward" and forward(saga, state):
        return end(state, "completed", Outcome.COMPLETED)
    if state["phase"] == "forward":
        state["phase"] = "compensating"
        save(state, "compensating")
    if state["phase"] == "compensating":
        return end(state, *backward(saga, state))
    return {"completed": Outcome.COMPLETED, "compensated": Outcome.COMPENSATED}.get(state["phase"], Outcome.STUCK)


def forward(saga, state):
    for step in saga.steps:
        if step in state["receipts"]:
            continue
        if step not in state["begun"]:
            state["begun"].append(step)
            save(state, "intent", step)
        try:
            state["receipts"][step] = ask(saga, step, "do", FORWARD_ATTEMPTS)
        except Rejected:  # definite, since every attempt had one key: nothing of this step is to be undone
            state["begun"].remove(step)
            return False
        except (Unavailable, CallTimeout):  # unknown: it is undone with the others
            return False
        save(state, "outcome", step)
    return True


def backward(saga, state):
    for step in reversed(state["begun"]):
        if step in state["undone"]:
            continue
        try:
            ask(saga, step, "undo", UNDO_ATTEMPTS, receipt=state["receipts"].get(step))
        except (Rejected, Unavailable, CallTimeout):
            if step not in state["stuck"]:
                state["stuck"].append(step)  # for a person; the steps before it are undone all the same
            save(state, "stuck", step)
            continue
        state["undone"].append(step)
        save(state, "undone", step)
    for step in state["stuck"]:
        for kind in ("DEAD_LETTER", "ALERT"):
            worker.note(kind, saga=saga.id, step=step, reason="its undo keeps failing")
    return ("stuck", Outcome.STUCK) if state["stuck"] else ("compensated", Outcome.COMPENSATED)


def ask(saga, step, verb, attempts, receipt=None):
    while True:
        try:
            return worker.call(saga, step, verb, key=f"{saga.id}/{step}", receipt=receipt)
        except (Unavailable, CallTimeout):
            attempts -= 1
            if not attempts:
                raise
        time.sleep(PAUSE_S)


def end(state, phase, outcome):
    state["phase"] = phase
    save(state, "terminal")
    return outcome


def pending():
    for (text,) in log.execute("SELECT state FROM sagas").fetchall():
        state = json.loads(text)
        yield worker.SagaRequest(id=state["id"], order=state["order"], steps=tuple(state["steps"]))


worker.serve(checkout, pending=pending, engine="correct")
