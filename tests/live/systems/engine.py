"""A server that drives sagas: it makes the requests, and goes on after a restart with what its file says is open."""

import json
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sagafuzz import worker
from sagafuzz.worker import CallTimeout, Rejected, SagaRequest, Unavailable

SLOW = "slow" in sys.argv
FORGETS, MIGRATES = "forgets" in sys.argv, "migrates" in sys.argv

log = sqlite3.connect(Path(worker.folder(), "engine.sqlite"), isolation_level=None, check_same_thread=False)
log.execute("CREATE TABLE IF NOT EXISTS sagas (id TEXT PRIMARY KEY, asked TEXT, state TEXT)")
lock = threading.Lock()


def drive(saga: SagaRequest) -> None:
    state = "completed"
    try:
        for step in saga.steps:
            request(saga, step, "do")
    except (Rejected, Unavailable, CallTimeout):
        for step in reversed(saga.steps):
            request(saga, step, "undo", attempts=1000)
        state = "compensated"
    with lock:
        log.execute("UPDATE sagas SET state = ? WHERE id = ?", (state, saga.id))


def request(saga: SagaRequest, step: str, verb: str, attempts: int = 5) -> None:
    for left in reversed(range(attempts)):
        try:
            worker.call(saga, step, verb, key=f"{saga.id}/{step}")
            return
        except (Unavailable, CallTimeout):
            if not left:
                raise
            time.sleep(0.05)


def begin(id: str, asked: str) -> None:
    order, steps = json.loads(asked)
    threading.Thread(target=drive, args=(SagaRequest(id=id, order=order, steps=tuple(steps)),), daemon=True).start()


class Door(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = json.dumps([asked["order"], asked["steps"]])
        with lock:
            new = log.execute("INSERT OR IGNORE INTO sagas VALUES (?, ?, 'running')", (asked["id"], text)).rowcount
        if new:
            begin(asked["id"], text)
        self.tell("{}")

    def do_GET(self) -> None:
        with lock:
            found = log.execute("SELECT state FROM sagas WHERE id = ?", (self.path[1:],)).fetchone()
        self.tell(json.dumps({"status": found[0] if found else "unknown"}))

    def tell(self, text: str) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Nothing."""


if SLOW and log.execute("SELECT 1 FROM sagas").fetchone():
    time.sleep(1.5)
if MIGRATES:
    with worker.durable("migrate"):
        pass
if not FORGETS:
    for id, asked in log.execute("SELECT id, asked FROM sagas WHERE state = 'running'").fetchall():
        begin(id, asked)
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Door)
sys.stdout.write("ready\n")
sys.stdout.flush()
server.serve_forever()
