"""The checkout on Absurd, durable execution in PostgreSQL, as a live worker.   absurd_worker.py serve|migrate SERVER

As Absurd's documentation writes a task: each request is a step, which is kept, and has the idempotency key that the
documentation recommends, of the task's id and the step; a step that fails has the task tried again from there. A
refusal is kept as the step's result, and the steps before it are undone. An approval is an event. A task is spawned
under an idempotency key, so that its client may do it again. ``migrate`` makes Absurd's tables once, in a template that
each case has a copy of.
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

from sagafuzz import Message, worker
from sagafuzz.worker_databases import TEMPLATE, fresh_url, template_url

RETRIES: Final[Any] = {"max_attempts": 10_000, "retry_strategy": {"kind": "fixed", "base_seconds": 0.05}}


def checkout(saga: Any, context: TaskContext) -> bool:
    def ask(saga: Any, step: str, verb: str, receipt: Any) -> Any:
        how: Any = {"key": f"{context.task_id}:{step}:{verb}", "receipt": receipt}
        if verb == "do" and saga["attempts"]:
            how |= {"attempts": saga["attempts"], "gives_up": True}
        return context.step(f"{verb} {step}", partial(worker.attempt, saga, step, verb, **how))

    kit: Any = {"ask": ask, "sleep": partial(context.sleep_for, "wait")}
    return bool(worker.in_turn(saga, hear=lambda topic: context.await_event(f"{topic}:{saga['id']}"), **kit))


def connected(url: str) -> Absurd:
    app = Absurd(url)
    app.register_task("checkout")(checkout)
    return app


def drive(saga: worker.SagaRequest) -> Any:
    app = connected(URL)
    spawned = app.spawn("checkout", saga.plain, idempotency_key=saga.id, **RETRIES)
    return app.await_task_result(spawned["task_id"]).result


def receive(message: Message) -> None:
    connected(URL).emit_event(f"{message.topic}:{message.saga}")


def migrate(server: str) -> None:
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    for words in (["init"], ["create-queue", "default"]):
        control = [str(Path(sys.executable).with_name("absurdctl")), *words]
        subprocess.run(control, env={**os.environ, "PGDATABASE": template_url(server)}, check=True)


if __name__ == "__main__":
    if sys.argv[1] == "migrate":
        migrate(sys.argv[2])
    else:
        URL = fresh_url(sys.argv[2])
        worker.in_a_child(lambda: connected(URL).start_worker(claim_timeout=1, concurrency=4, poll_interval=0.02))
        worker.serve(drive, takes_up=True, receive=receive, engine=f"absurd {version('absurd-sdk')}")
