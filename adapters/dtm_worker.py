"""The checkout on dtm, a coordinator that asks services over HTTP, as a live worker.   dtm_worker.py PORT DTM

As dtm's documentation writes a saga (en.dtm.pub, "SAGA"): the worker is the business service that dtm asks to do and to
undo a step, 409 is a refusal, anything else is tried again, and a request is known by dtm's gid, branch and operation,
as its barrier for sub-transactions knows it. dtm undoes the step that was refused, too, and hands no receipts on.

Cases may share a server; a gid holds the case's folder. The worker listens at the same port after a restart.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from sagafuzz import worker
from sagafuzz.worker_service import listen

PORT, DTM = sys.argv[1:]
ENDS: Final = {"succeed": True, "failed": False}


def answer(path: str, query: Mapping[str, str], content: bytes) -> int:
    step, verb = path.strip("/").split("/")
    key = f"{query['gid']}-{query['branch_id']}-{query['op']}"
    return 409 if worker.attempt(json.loads(content), step, verb, key=key) == worker.REFUSED else 200


def submitted(gid: str, saga: worker.SagaRequest) -> dict[str, Any]:
    mine, numbers = f"http://127.0.0.1:{PORT}", {step: number for number, step in enumerate(saga.steps)}
    order = {numbers[step]: [numbers[earlier] for earlier in saga.after[step]] for step in saga.steps}
    at_once = any(len(layer) > 1 for layer in worker.layers(saga.plain))
    return {
        "gid": gid,
        "trans_type": "saga",
        "steps": [{"action": f"{mine}/{step}/do", "compensate": f"{mine}/{step}/undo"} for step in saga.steps],
        "payloads": [json.dumps(saga.plain)] * len(saga.steps),
        "retry_interval": 1,
        "retry_limit": max(saga.attempts - 1, 0),  # 0: again and again
        "custom_data": json.dumps({"orders": order, "concurrent": at_once}),
        "concurrent": at_once,
    }


def drive(saga: worker.SagaRequest) -> Any:
    gid = f"{worker.case()}-{saga.id}"
    while True:
        found = worker.fetch(f"{DTM}/api/dtmsvr/query?gid={gid}")["transaction"]
        if found is None:
            worker.fetch(f"{DTM}/api/dtmsvr/submit", submitted(gid, saga))
        elif found["status"] in ENDS:
            return found["status"]
        time.sleep(0.05)


if __name__ == "__main__":
    listen(int(PORT), answer)
    versions = f"dtm {worker.fetch(f'{DTM}/api/dtmsvr/version')['version']}"
    worker.serve(drive, takes_up=True, statuses=ENDS, engine=versions)
