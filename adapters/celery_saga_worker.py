"""The checkout on celery-saga, a library of sagas for Celery, as a live worker.   celery_saga_worker.py REDIS

As its README writes one: a task for each step with the task that compensates it, a refusal is a permanent failure, and
the library undoes what succeeded. It neither retries a step nor gives it a key; Celery acknowledges early, as is usual.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from celery import Celery
from celery_saga import Saga, StepResponse, saga_step, set_default_backend
from celery_saga.backends import RedisSagaBackend

from sagafuzz import worker

REDIS: Final = sys.argv[1]
WORDS: Final = ("--quiet", "worker", "--pool=threads", "--concurrency=4", "--loglevel=CRITICAL", "--without-gossip")
ENDS: Final[Any] = {"completed": True, "compensated": False, "failed": worker.Outcome.STUCK}

app = Celery("checkout", broker=REDIS, backend=REDIS)
app.set_default()
states = RedisSagaBackend(url=REDIS)
set_default_backend(states)


def step(name: str) -> Any:
    """The task of a step; the one that undoes it is beside it."""

    @app.task(name=f"undo.{name}")
    def undo(compensation_data: Any) -> None:
        worker.attempt(compensation_data["saga"], name, "undo", receipt=compensation_data["receipt"])

    @saga_step(compensate=undo)
    @app.task(name=f"do.{name}")
    def do(saga: dict[str, Any]) -> Any:
        receipt = worker.attempt(saga, name, "do")
        if receipt == worker.REFUSED:
            StepResponse.permanent_failure(f"{name} is refused")
        return StepResponse(output={}, compensation_data={"saga": saga, "receipt": receipt})

    return do


@app.task
def pause(saga: dict[str, Any]) -> None:
    time.sleep(sum(saga["waits"].values()) / 1000)


TASKS: Final = {name: step(name) for name in ("order", "inventory", "payment")}


def drive(saga: worker.SagaRequest) -> Any:
    if not saga.again:
        made = Saga("checkout")
        for layer in worker.layers(saga.plain):
            tasks = [TASKS[name] for name in layer]
            if not saga.waits.keys().isdisjoint(layer):
                made = made.add_step(pause, no_compensation=True)
            made = made.add_step(*tasks) if len(tasks) == 1 else made.add_parallel(*tasks)
        made.run(saga=saga.plain, idempotency_key=saga.id)
    while (found := states.find_by_idempotency_key(saga.id)) is None or found.status.value not in ENDS:
        time.sleep(0.02)
    return found.status.value


if __name__ == "__main__":
    worker.in_a_child(partial(app.worker_main, WORDS))
    worker.serve(drive, takes_up=True, statuses=ENDS, engine=f"celery-saga {version('celery-saga')}")
