"""The checkout on DBOS Transact, as a live worker.   dbos_worker.py recommended|hardened|migrate PLACE [DIRECT]

Recommended: as DBOS's documentation writes a checkout (docs.dbos.dev, "Widget Store" and the pages on steps): each
request is a step with retries, a refusal is a value, and the workflow undoes what it knows to be done. Hardened: each
request has a key made of the saga and the step, an outcome that is not known is undone too, and an undo that keeps
failing is handed to a person. An approval is a message, a saga that is a step of another one a child workflow.

DBOS keeps its state in SQLite or on PostgreSQL, at PLACE; with executor id and version fixed it recovers by itself what
was pending, as it launches. ``migrate`` makes its tables once.
"""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any, Final

from dbos import DBOS, SetWorkflowID, error

from sagafuzz import Message, worker
from sagafuzz.worker_databases import fresh_url, template_url

NAME, *PLACES = sys.argv[1:]
HARDENED: Final = NAME == "hardened"


@DBOS.step(retries_allowed=True, interval_seconds=0.02, max_attempts=3)
def request(saga: dict[str, Any], step: str, verb: str, receipt: Any) -> Any:
    key = f"{saga['id']}/{step}" if HARDENED else None
    return worker.attempt(saga, step, verb, key=key, receipt=receipt)


def ask(saga: dict[str, Any], step: str, verb: str, receipt: Any) -> Any:
    if child := saga["children"].get(step):
        with SetWorkflowID(child["id"]):
            return DBOS.start_workflow(checkout, child).get_result()
    return request(saga, step, verb, receipt)


@DBOS.workflow()
def checkout(saga: dict[str, Any]) -> dict[str, Any]:
    unknown: Any = error.DBOSMaxStepRetriesExceeded if HARDENED else ()
    return worker.in_turn(saga, ask=ask, sleep=DBOS.sleep, hear=DBOS.recv, unknown=unknown)


def launch(url: str) -> None:
    config: Any = {"name": "checkout", "executor_id": "worker", "application_version": "1"}
    DBOS(config=config | {"system_database_url": url, "log_level": "ERROR", "console_log_level": "ERROR"})
    DBOS.launch()


def drive(saga: worker.SagaRequest) -> Any:
    if DBOS.get_workflow_status(saga.id) is None:
        with SetWorkflowID(saga.id):
            DBOS.start_workflow(checkout, saga.plain)
    try:
        return bool(DBOS.retrieve_workflow(saga.id).get_result(polling_interval_sec=0.02))
    except worker.Stuck:
        return worker.Outcome.STUCK
    except error.DBOSMaxStepRetriesExceeded as failed:  # it ended in ERROR: its client learns no more than that
        raise worker.CallTimeout(str(failed)) from None


def receive(message: Message) -> None:
    DBOS.send(message.saga, message.topic, message.topic, idempotency_key=message.id)


if __name__ == "__main__":
    if NAME == "migrate":
        launch(template_url(*PLACES))
        DBOS.destroy()
    else:
        launch(fresh_url(*PLACES))
        worker.serve(drive, takes_up=True, receive=receive, engine=f"dbos {version('dbos')}, {NAME}")
