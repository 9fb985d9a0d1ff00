"""The checkout on dtm, a coordinator that asks services over HTTP, as a live worker.   dtm_worker.py PORT DTM

As dtm's documentation writes a saga (en.dtm.pub, "SAGA"): the worker is the business service that dtm asks to do and to
undo a step, 409 is a refusal, anything else is tried again, and a request is known by dtm's gid, branch and operation,
as its barrier for sub-transactions knows it. dtm undoes the step that was refused, too, and hands no receipts on.

The server is one for all cases; a gid holds the case's folder. The worker listens at the same port after a restart.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from sagafuzz import worker

PORT, DTM = sys.argv[1:]
ENDS: Final = {"succeed": True, "failed": False}


class Service(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        place = urlsplit(self.path)
        step, verb = place.path.strip("/").split("/")
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        saga = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = f"{query['gid']}-{query['branch_id']}-{query['op']}"
        try:
            status = 409 if worker.attempt(saga, step, verb, key=key) == worker.REFUSED else 200
        except worker.Failed:
            status = 500
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def http(path: str, content: Any = None) -> Any:
    """What dtm answers; a GET where there is no content."""
    body = None if content is None else json.dumps(content).encode()
    asked = urllib.request.Request(f"{DTM}/api/dtmsvr/{path}", body, {"content-type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        return json.loads(answer.read())


def drive(saga: worker.SagaRequest) -> Any:
    gid = f"{Path(worker.folder()).name}-{saga.id}"
    if not saga.again:
        mine, layers = f"http://127.0.0.1:{PORT}", worker.layers(saga.plain)
        numbers = {step: number for number, step in enumerate(saga.steps)}
        order = {numbers[step]: [numbers[earlier] for earlier in saga.after[step]] for step in saga.steps}
        parallel = any(len(layer) > 1 for layer in layers)
        content = {
            "gid": gid,
            "trans_type": "saga",
            "steps": [{"action": f"{mine}/{step}/do", "compensate": f"{mine}/{step}/undo"} for step in saga.steps],
            "payloads": [json.dumps(saga.plain)] * len(saga.steps),
            "retry_interval": 1,
            "custom_data": json.dumps({"orders": order, "concurrent": parallel}),
            "concurrent": parallel,
        }
        http("submit", content)
    while (status := http(f"query?gid={gid}")["transaction"]["status"]) not in ENDS:
        time.sleep(0.05)
    return status


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(PORT)), Service)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    worker.serve(drive, takes_up=True, statuses=ENDS, engine=f"dtm {http('version')['version']}")
