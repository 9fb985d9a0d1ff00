"""A worker that hands each order to a server, and asks it how the saga stands."""

import http.client
import json
import sys
import time
import urllib.request

from sagafuzz import worker
from sagafuzz.worker import SagaRequest

ENGINE = f"http://127.0.0.1:{sys.argv[1]}/"


def ask(path: str, content: object = None) -> dict[str, str]:
    data = None if content is None else json.dumps(content).encode()
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(ENGINE + path, data), timeout=5) as answer:
                return dict(json.load(answer))
        except (OSError, http.client.HTTPException):  # it was killed
            time.sleep(0.02)


def drive(saga: SagaRequest) -> bool:
    ask("", {"id": saga.id, "order": saga.order, "steps": saga.steps})
    while (said := ask(saga.id)["status"]) == "running":
        time.sleep(0.02)
    return said == "completed"


worker.serve(drive, status=ask, engine="engine")
