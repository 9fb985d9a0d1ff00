"""The checkout on DBOS Transact, as a live worker.   dbos_worker.py recommended|hardened|migrate FOLDER

Recommended: as DBOS's documentation writes a checkout (docs.dbos.dev, "Widget Store" and the pages on steps): each
request is a step with retries, a refusal is a value, and the workflow undoes what it knows to be done. Hardened: each
request has a key made of the workflow's id and the step, an outcome that is not known is undone too, and an
undo that keeps failing is handed to a person.

DBOS keeps its state in SQLite, or on PostgreSQL where the environment says so (DBOS_POSTGRES, by way of the proxy, and
DBOS_DIRECT); with executor id and version fixed it recovers by itself what was pending, as it launches. ``migrate``
makes its tables once, in FOLDER.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Any

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error

from sagafuzz import worker
from sagafuzz.worker_databases import TEMPLATE, fresh_postgres, fresh_sqlite, sqlite_template


@DBOS.step(retries_allowed=True, interval_seconds=0.02, max_attempts=3)
def request(saga: dict[str, Any], step: str, verb: str, key: str | None = None, receipt: Any = None) -> Any:
    return worker.attempt(saga, step, verb, key=key, receipt=receipt)


@DBOS.workflow()
def recommended(saga: dict[str, Any]) -> str:
    done: list[str] = []
    for step in saga["steps"]:
        waited(saga, step)
        if request(saga, step, "do") == worker.REFUSED:
            for earlier in reversed(done):
                request(saga, earlier, "undo")
            return "compensated"
        done.append(step)
    return "completed"


@DBOS.workflow()
def hardened(saga: dict[str, Any]) -> str:
    begun: dict[str, Any] = {}
    for step in saga["steps"]:
        key = f"{DBOS.workflow_id}/{step}"
        waited(saga, step)
        try:
            receipt = request(saga, step, "do", key)
        except dbos_error.DBOSMaxStepRetriesExceeded:  # it may have been applied
            begun[step] = None
            return undone(saga, begun)
        if receipt == worker.REFUSED:
            return undone(saga, begun)
        begun[step] = receipt
    return "completed"


def waited(saga: dict[str, Any], step: str) -> None:
    if step in saga["waits"]:
        DBOS.sleep(saga["waits"][step] / 1000)


def undone(saga: dict[str, Any], begun: dict[str, Any]) -> str:
    outcome = "compensated"
    for step, receipt in reversed(begun.items()):
        try:
            request(saga, step, "undo", f"{DBOS.workflow_id}/{step}", receipt)
        except dbos_error.DBOSMaxStepRetriesExceeded:
            outcome = "stuck"
    return outcome


def launch(url: str) -> None:
    levels = {"log_level": "ERROR", "console_log_level": "ERROR"}
    who = {"name": "checkout", "executor_id": "worker", "application_version": "1"}
    DBOS(config={"system_database_url": url, **who, **levels})  # type: ignore[typeddict-item]
    DBOS.launch()


def drive(saga: worker.SagaRequest) -> Any:
    if DBOS.get_workflow_status(saga.id) is None:
        with SetWorkflowID(saga.id):
            DBOS.start_workflow(hardened if sys.argv[1] == "hardened" else recommended, saga.plain)
    try:
        return DBOS.retrieve_workflow(saga.id).get_result(polling_interval_sec=0.02)
    except (
        dbos_error.DBOSMaxStepRetriesExceeded
    ) as error:  # the workflow's end is ERROR: its client learns no more than that
        raise worker.CallTimeout(str(error)) from None


if __name__ == "__main__":
    name, build = sys.argv[1:]
    postgres, direct = os.environ.get("DBOS_POSTGRES"), os.environ.get("DBOS_DIRECT", "")
    if name == "migrate":
        launch(f"{direct}/{TEMPLATE}" if postgres else f"sqlite:///{sqlite_template(build)}")
        DBOS.destroy()
    else:
        launch(f"{postgres}/{fresh_postgres(direct)}" if postgres else f"sqlite:///{fresh_sqlite(build)}")
        worker.serve(drive, takes_up=True, engine=f"dbos {version('dbos')}, {name}")
