"""The checkout on Narayana's coordinator of MicroProfile LRA, as a live worker.   lra_worker.py PORT SERVER

As the specification writes a long running action: who begins it joins each participant, with the URLs that
compensate and complete it, before the participant is asked; then it closes the action, or cancels it where a step is
refused or its outcome not known. The coordinator compensates, and asks again until it is answered. A request's key is
the action and the step. An action whose beginner died is cancelled as that starts again. How an action ended the
coordinator tells once, to the URL "after", and forgets it: that is written down.

The server is one for all cases; a client's id holds the case's folder.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from sagafuzz import worker

PORT, SERVER = sys.argv[1:]
COORDINATOR: Final = f"{SERVER}/lra-coordinator"
CASE: Final = Path(worker.folder()).name
ENDS: Final[Any] = {"Closed": True, "Cancelled": False, "FailedToCancel": worker.Outcome.STUCK}

log = worker.database()
log.execute("CREATE TABLE IF NOT EXISTS ends (saga TEXT PRIMARY KEY, status TEXT)")


class Participants(BaseHTTPRequestHandler):
    """What the coordinator calls: to compensate or complete a step, and after all."""

    def do_PUT(self) -> None:
        place, told = urlsplit(self.path), self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        saga = json.loads(parse_qs(place.query)["saga"][0])
        status, (step, verb) = 200, place.path.strip("/").split("/")
        if verb == "after":
            log.execute("INSERT OR IGNORE INTO ends VALUES (?, ?)", (saga["id"], told))
        elif verb == "compensate":
            try:
                worker.attempt(saga, step, "undo", key=f"{self.headers['Long-Running-Action']}/{step}")
            except worker.Failed:
                status = 503
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def http(method: str, url: str, **headers: str) -> str:
    """What the coordinator answers."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers)) as answer:
        return str(answer.read().decode())


def join(saga: worker.SagaRequest, lra: str, step: str, *verbs: str) -> None:
    content = quote(json.dumps(saga.plain))
    links = [f'<http://127.0.0.1:{PORT}/{step}/{verb}?saga={content}>; rel="{verb}"' for verb in verbs]
    http("PUT", lra, Link=", ".join(links))


def done(saga: worker.SagaRequest, lra: str, step: str) -> bool:
    """True if it is known to be done."""
    join(saga, lra, step, "compensate", "complete")
    for _ in range(saga.attempts or 1):
        try:
            return worker.attempt(saga.plain, step, "do", key=f"{lra}/{step}") != worker.REFUSED
        except worker.Failed:
            time.sleep(0.05)
    return False


def forward(saga: worker.SagaRequest, lra: str) -> bool:
    join(saga, lra, "saga", "after")
    for layer in worker.layers(saga.plain):
        time.sleep(max(saga.waits.get(step, 0) for step in layer) / 1000)
        with ThreadPoolExecutor() as pool:
            if not all(pool.map(partial(done, saga, lra), layer)):
                return False
    return True


def drive(saga: worker.SagaRequest) -> Any:
    client = f"{CASE}-{saga.id}"
    ended = partial(log.execute, "SELECT status FROM ends WHERE saga = ?", (saga.id,))
    left = [found for found in json.loads(http("GET", COORDINATOR)) if found["clientId"] == client]
    if not left and ended().fetchone() is None:
        lra = http("POST", f"{COORDINATOR}/start?ClientID={client}")
        http("PUT", f"{lra}/{'close' if forward(saga, lra) else 'cancel'}")
    for found in left:
        if found["status"] == "Active":
            http("PUT", f"{found['lraId']}/cancel")
    while (end := ended().fetchone()) is None:
        time.sleep(0.02)
    return end[0]


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Participants)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    worker.serve(drive, takes_up=True, statuses=ENDS, engine=f"lra {http('GET', f'{SERVER}/version')}")
