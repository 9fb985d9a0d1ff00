"""The checkout on Celery with Redis, as a live worker.   celery_worker.py recommended|hardened REDIS

Recommended: as Celery's documentation writes a workflow (docs.celeryq.dev, "Canvas" and "Tasks"): a chain of tasks that
are retried, with an errback that undoes what is known to be done; a message is acknowledged before its task runs, as is
usual. Hardened: it is acknowledged when the task has ended, and comes again after a crash; each request has a key made
of the saga and the step, and what may have been applied is undone too.
"""

from __future__ import annotations

import shlex
import sys
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from celery import Celery, chain
from celery.result import AsyncResult

from sagafuzz import worker

NAME, REDIS = sys.argv[1:]
HARDENED: Final = NAME == "hardened"
RETRIES: Final[Any] = {"autoretry_for": (worker.Failed,), "default_retry_delay": 0.05, "max_retries": 2}
AGAIN: Final = {"visibility_timeout": 2, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}  # seconds
WORDS: Final = "--quiet worker -P threads -c 4 -l ERROR --without-gossip --without-mingle --without-heartbeat"

app = Celery("checkout", broker=REDIS, backend=REDIS)
app.conf.update(task_acks_late=HARDENED, task_reject_on_worker_lost=HARDENED, broker_transport_options=AGAIN)


class Refused(Exception):
    """The participant does not want it; there is no use in a retry."""


def request(saga: dict[str, Any], step: str, verb: str, receipt: Any = None) -> Any:
    key = f"{saga['id']}/{step}" if HARDENED else None
    return worker.attempt(saga, step, verb, key=key, receipt=receipt, refused=Refused)


@app.task(**RETRIES)
def do(receipts: dict[str, Any], saga: dict[str, Any], step: str) -> dict[str, Any]:
    return {**receipts, step: request(saga, step, "do")}


@app.task(**{**RETRIES, "max_retries": None if HARDENED else 2})
def undo(saga: dict[str, Any], step: str, receipt: Any) -> None:
    request(saga, step, "undo", receipt)


@app.task
def finish(outcome: str) -> str:
    return outcome


@app.task
def compensate(failed: Any, error: Exception, _: Any) -> None:
    receipts, saga, step = failed.args
    refused = type(error).__name__ == Refused.__name__  # Celery may make the class anew
    begun = {**receipts, step: None} if HARDENED and not refused else receipts
    undone = [undo.si(saga, earlier, receipt) for earlier, receipt in reversed(begun.items())]
    chain(*undone, finish.si("compensated").set(task_id=f"{saga['id']}-undone")).apply_async()


def drive(saga: worker.SagaRequest) -> Any:
    if not saga.again:
        steps = [do.s(saga.plain, step).set(countdown=saga.waits.get(step, 0) / 1000) for step in saga.steps]
        ending = finish.si("completed").set(task_id=saga.id)
        chain(*steps, ending).apply_async(({},), link_error=compensate.s())
    outcome = AsyncResult(saga.id, app=app).get(propagate=False)  # where a task fails, so does what was to follow
    if isinstance(outcome, Exception):
        outcome = AsyncResult(f"{saga.id}-undone", app=app).get(propagate=False)
    return worker.Outcome.STUCK if isinstance(outcome, Exception) else outcome


if __name__ == "__main__":
    worker.in_a_child(partial(app.worker_main, shlex.split(WORDS)))
    worker.serve(drive, takes_up=True, engine=f"celery {version('celery')}, {NAME}")
