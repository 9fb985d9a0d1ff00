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

import asyncio
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final
from urllib.error import HTTPError
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
        worker.attempt(json.loads(query["saga"]), step, "undo", key=f"{query['lra']}/{step}")
    return 200


def join(saga: Any, lra: str, step: str, *verbs: str) -> None:
    query = urlencode({"lra": lra, "saga": json.dumps(saga)})
    links = [f'<http://127.0.0.1:{PORT}/{step}/{verb}?{query}>; rel="{verb}"' for verb in verbs]
    worker.fetch(lra, method="PUT", headers={"Link": ", ".join(links)})


def forward(saga: Any, lra: str) -> bool:
    async def begin(_: Any, step: str, verb: str, receipt: Any, attempts: int) -> None:
        if verb == "do":  # the coordinator asks for what is to be undone
            await asyncio.to_thread(join, saga, lra, step, "compensate", "complete")
            how: Any = {"key": f"{lra}/{step}", "refused": worker.Failed, "attempts": attempts or 1}
            await asyncio.to_thread(worker.attempt, saga, step, verb, **how)

    join(saga, lra, "saga", "after")
    return bool(asyncio.run(worker.carried_out(saga, begin=begin, sleep=asyncio.sleep, failed=worker.Failed)))


def drive(saga: worker.SagaRequest) -> Any:
    def kept(column: str) -> Any:
        found = log.execute(f"SELECT {column} FROM actions WHERE saga = ?", (saga.id,)).fetchone()
        return found and found[0]

    verb = "cancel"
    if not kept("lra"):
        lra = worker.fetch(f"{SERVER}/lra-coordinator/start?ClientID={worker.case()}-{saga.id}", method="POST")
        log.execute("INSERT INTO actions VALUES (?, ?, NULL)", (saga.id, lra))
        verb = "close" if forward(saga.plain, lra) else verb
    with suppress(HTTPError):  # it is about to end already; how it has ended is told to "after"
        worker.fetch(f"{kept('lra')}/{verb}", method="PUT", over=partial(kept, "status"))
    return worker.until(partial(kept, "status"))


if __name__ == "__main__":
    listen(int(PORT), answer)
    worker.serve(drive, takes_up=True, statuses=ENDS, engine=f"lra {worker.fetch(f'{SERVER}/version')}")
