"""The checkout on Narayana's coordinator of MicroProfile LRA, as a live worker.   lra_worker.py PORT SERVER

As the specification writes a long running action: who begins it joins each participant, with the URLs that
compensate and complete it, before the participant is asked; then it closes the action, or cancels it where a step is
refused or its outcome not known. The coordinator compensates, and asks again until it is answered. A request's key is
the action and the step. An action whose beginner died is cancelled as that starts again; what it was is written down
for that before anybody joins. How it ended the coordinator tells once, to the URL "after", and forgets it: that is
written down too.

Cases may share a coordinator. The worker listens at the same port after a restart.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final
from urllib.parse import urlencode

from sagafuzz import worker
from sagafuzz.worker_service import listen

PORT, SERVER = sys.argv[1:]
ENDS: Final[Any] = {"Closed": True, "Cancelled": False, "FailedToCancel": worker.Outcome.STUCK}

log = worker.database()
log.execute("CREATE TABLE IF NOT EXISTS actions (saga TEXT PRIMARY KEY, lra TEXT, status TEXT)")


def answer(path: str, query: Mapping[str, str], content: bytes) -> int:
    """What the coordinator asks: to compensate or complete a step, or what is to be done after all."""
    step, verb = path.strip("/").split("/")
    if verb == "after":
        log.execute("UPDATE actions SET status = ? WHERE lra = ?", (content.decode(), query["lra"]))
    elif verb == "compensate":
        try:
            worker.attempt(json.loads(query["saga"]), step, "undo", key=f"{query['lra']}/{step}")
        except worker.Failed:
            return 503
    return 200


def asked(method: str, url: str, over: Callable[[], Any] = bool, **headers: str) -> str:
    """What the coordinator answers. Asks again, until it is ``over``, while it is away or does not know what it had
    begun: after a restart it first has to recover that."""
    while not over():
        try:
            with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers)) as answered:
                return str(answered.read().decode())
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
        except OSError:
            pass
        time.sleep(0.05)
    return ""


def join(saga: worker.SagaRequest, lra: str, step: str, *verbs: str) -> None:
    query = urlencode({"lra": lra, "saga": json.dumps(saga.plain)})
    links = [f'<http://127.0.0.1:{PORT}/{step}/{verb}?{query}>; rel="{verb}"' for verb in verbs]
    asked("PUT", lra, Link=", ".join(links))


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
    def end() -> Any:
        return log.execute("SELECT status FROM actions WHERE saga = ?", (saga.id,)).fetchone()[0]

    if found := log.execute("SELECT lra FROM actions WHERE saga = ?", (saga.id,)).fetchone():
        lra, verb = found[0], "cancel"
    else:
        lra = asked("POST", f"{SERVER}/lra-coordinator/start?ClientID={worker.case()}-{saga.id}")
        log.execute("INSERT INTO actions VALUES (?, ?, NULL)", (saga.id, lra))
        verb = "close" if forward(saga, lra) else "cancel"
    try:
        asked("PUT", f"{lra}/{verb}", end)
    except urllib.error.HTTPError as error:
        if error.code != 412:  # it is about to end already
            raise
    while end() is None:
        time.sleep(0.02)
    return end()


if __name__ == "__main__":
    listen(int(PORT), answer)
    version = asked("GET", f"{SERVER}/version")
    worker.serve(drive, takes_up=True, statuses=ENDS, engine=f"lra {version}")
