"""A checkout on DBOS Transact, as a live worker.   dbos_worker.py started|queued|cancellable|migrate FOLDER

started: a workflow under the order's id, which DBOS runs once however often it is asked for. queued: the same by a
queue. cancellable: an order that is cancelled is undone by a second workflow, and its client is told what DBOS says of
the first. Requests are steps, with a key each where the environment says so (KEYS). Each process is an executor of its
own, by a number that the next one takes over when it has died.
"""

from __future__ import annotations

import fcntl
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

from dbos import DBOS, Queue, SetWorkflowID
from dbos import error as dbos_error

from sagafuzz import worker
from sagafuzz.worker_databases import TEMPLATE, fresh_postgres, fresh_sqlite, sqlite_template

ORDERS = Queue("orders", polling_interval_sec=0.05)
ENDS = {"SUCCESS": True, "CANCELLED": False, "ERROR": False}


@DBOS.step(retries_allowed=True, interval_seconds=0.02, max_attempts=3)
def request(saga: dict[str, Any], step: str, verb: str, key: str | None) -> Any:
    return worker.attempt(saga, step, verb, key=key)


@DBOS.workflow()
def checkout(saga: dict[str, Any]) -> str:
    done: list[str] = []
    for step in saga["steps"]:
        if request(saga, step, "do", key_of(saga, step)) == worker.REFUSED:
            for earlier in reversed(done):
                request(saga, earlier, "undo", key_of(saga, earlier))
            raise ValueError(f"{step} is refused")
        done.append(step)
    return "completed"


@DBOS.workflow()
def undone(saga: dict[str, Any]) -> None:
    DBOS.sleep(0.5)  # longer than what is under way may take
    for step in reversed(saga["steps"]):
        request(saga, step, "undo", key_of(saga, step))


def key_of(saga: dict[str, Any], step: str) -> str | None:
    return f"{saga['id']}/{step}" if os.environ.get("KEYS") else None


def drive(saga: worker.SagaRequest) -> str:
    with SetWorkflowID(saga.id):
        if sys.argv[1] == "queued":
            ORDERS.enqueue(checkout, saga.plain)
        else:
            DBOS.start_workflow(checkout, saga.plain)
    wait_for(saga.id)
    if said(saga.id).status == "CANCELLED":
        wait_for(undo(saga.id))
    return said(saga.id).status


def cancel(order: str) -> None:
    DBOS.cancel_workflow(order)
    if said(order).status == "CANCELLED":
        undo(order)


def undo(order: str) -> str:
    with SetWorkflowID(f"{order}/undo"):
        return DBOS.start_workflow(undone, said(order).input["args"][0]).workflow_id


def said(order: str) -> Any:
    """What DBOS says of it."""
    return DBOS.get_workflow_status(order)


def wait_for(workflow: str) -> None:
    with suppress(ValueError, dbos_error.DBOSAwaitedWorkflowCancelledError):
        DBOS.retrieve_workflow(workflow).get_result(polling_interval_sec=0.02)


def executor() -> str:
    """The first number that no living process has."""
    for number in count():
        file = Path(worker.folder(), f"executor-{number}").open("a")  # noqa: SIM115 - the lock lasts as long as the process
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        held.append(file)
        return f"executor-{number}"
    raise AssertionError


held: list[Any] = []


def launch(url: str, name: str) -> None:
    quiet = {"log_level": "CRITICAL", "console_log_level": "CRITICAL", "run_admin_server": False}
    who = {"name": "checkout", "executor_id": name, "application_version": "1"}
    DBOS(config={"system_database_url": url, **who, **quiet})
    DBOS.launch()


if __name__ == "__main__":
    way, build = sys.argv[1:]
    postgres, direct = os.environ.get("DBOS_POSTGRES"), os.environ.get("DBOS_DIRECT", "")
    if way == "migrate":
        launch(f"{direct}/{TEMPLATE}" if postgres else f"sqlite:///{sqlite_template(build)}", "migrate")
        DBOS.destroy()
    else:
        launch(f"{postgres}/{fresh_postgres(direct)}" if postgres else f"sqlite:///{fresh_sqlite(build)}", executor())
        worker.serve(
            drive,
            takes_up=True,
            each_request=True,
            cancel=cancel if way == "cancellable" else None,
            statuses=ENDS,
            engine=f"dbos {version('dbos')}",
        )
