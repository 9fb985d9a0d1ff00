"""The checkout on Absurd, durable execution in PostgreSQL, as a live worker.   absurd_worker.py serve|migrate SERVER

As Absurd's documentation writes a task: each request is a step, which is kept, and has the idempotency key that the
documentation recommends, of the task's id and the step; a step that fails has the task tried again from there. A
refusal is kept as the step's result, and the steps before it are undone. A task is spawned under an idempotency key, so
that its client may do it again. ``migrate`` makes Absurd's tables once, in a template that each case has a copy of.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psycopg
from absurd_sdk import Absurd, TaskContext

from sagafuzz import worker
from sagafuzz.worker_databases import TEMPLATE, fresh_postgres

RETRIES: Final[Any] = {"max_attempts": 10_000, "retry_strategy": {"kind": "fixed", "base_seconds": 0.05}}


def checkout(saga: Any, context: TaskContext) -> str:
    def asked(step: str, verb: str, receipt: Any = None) -> Any:
        key = f"{context.task_id}:{step}:{verb}"
        return context.step(f"{verb} {step}", partial(worker.attempt, saga, step, verb, key=key, receipt=receipt))

    receipts: dict[str, Any] = {}
    for step in saga["steps"]:
        if step in saga["waits"]:
            context.sleep_for(f"wait {step}", saga["waits"][step] / 1000)
        answer = asked(step, "do")
        if answer == worker.REFUSED:
            for earlier, receipt in reversed(receipts.items()):
                asked(earlier, "undo", receipt)
            return "compensated"
        receipts[step] = answer
    return "completed"


def connected(url: str) -> Absurd:
    app = Absurd(url)
    app.register_task("checkout")(checkout)
    return app


def work(url: str) -> None:
    connected(url).start_worker(claim_timeout=1, concurrency=4, poll_interval=0.02)


def drive(url: str, saga: worker.SagaRequest) -> Any:
    app = connected(url)
    spawned = app.spawn("checkout", saga.plain, idempotency_key=saga.id, **RETRIES)
    return app.await_task_result(spawned["task_id"]).result


def migrate(server: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    control = Path(sys.executable).with_name("absurdctl")
    for words in (["init"], ["create-queue", "default"]):
        subprocess.run([control, *words], env={**os.environ, "PGDATABASE": f"{server}/{TEMPLATE}"}, check=True)


if __name__ == "__main__":
    name, server = sys.argv[1:]
    if name == "migrate":
        migrate(server)
    else:
        url = f"{server}/{fresh_postgres(server)}"
        worker.in_a_child(partial(work, url))
        worker.serve(partial(drive, url), takes_up=True, engine=f"absurd {version('absurd-sdk')}")
