"""The checkout on OpenStack's TaskFlow, as a live worker.   taskflow_worker.py recommended|hardened|migrate FOLDER

Recommended: as TaskFlow's documentation writes a flow (docs.openstack.org/taskflow, "Atoms, tasks and retries"): a task
for each step, whose ``revert`` undoes what ``execute`` did and has nothing to do where that failed. Hardened: a request
has a key made of the saga and the step, it is tried again a few times, and ``revert`` undoes also what may have been
applied.

A flow is kept in SQLite; who starts anew loads it and runs it on. ``migrate`` makes its tables once, in FOLDER.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from importlib.metadata import version
from typing import Any

from taskflow import engines, states, task
from taskflow.patterns import linear_flow
from taskflow.persistence import backends, models
from taskflow.types.failure import Failure

from sagafuzz import worker
from sagafuzz.worker_databases import fresh_sqlite, sqlite_template

NAME, BUILD = sys.argv[1:]


class Refused(Exception):
    """The participant does not want it."""


class Step(task.Task):  # type: ignore[misc]
    attempts = 1

    def request(self, saga: dict[str, Any], verb: str, receipt: Any = None) -> Any:
        answer = worker.attempt(saga, self.name, verb, receipt=receipt)
        if answer == worker.REFUSED:
            raise Refused(self.name)
        return answer

    def execute(self, saga: dict[str, Any]) -> Any:
        return self.request(saga, "do")

    def revert(self, saga: dict[str, Any], result: Any, **_: Any) -> None:
        if not isinstance(result, Failure):
            self.request(saga, "undo", result)


class HardenedStep(Step):
    def request(self, saga: dict[str, Any], verb: str, receipt: Any = None) -> Any:
        ask = partial(worker.attempt, saga, self.name, verb, key=f"{saga['id']}/{self.name}", receipt=receipt)
        answer = again(ask, attempts=3 if verb == "do" else 30)
        if answer == worker.REFUSED:
            raise Refused(self.name)
        return answer

    def revert(self, saga: dict[str, Any], result: Any, **_: Any) -> None:
        failed = isinstance(result, Failure)
        if not (failed and result.check(Refused)):
            self.request(saga, "undo", None if failed else result)


def again(ask: Callable[[], Any], attempts: int) -> Any:
    for _ in range(attempts - 1):
        try:
            return ask()
        except worker.Failed:
            time.sleep(0.05)
    return ask()


def stored(file: str) -> Any:
    return backends.fetch({"connection": f"sqlite:///{file}"})


def drive(saga: worker.SagaRequest) -> Any:
    kind = HardenedStep if NAME == "hardened" else Step
    flow = linear_flow.Flow(saga.id).add(*(kind(step, requires=["saga"]) for step in saga.steps))
    backend, id = stored(fresh_sqlite(BUILD)), str(uuid.uuid5(uuid.NAMESPACE_OID, saga.id))
    book, detail = models.LogBook(saga.id, id), models.FlowDetail(saga.id, id)
    with closing(backend.get_connection()) as connection:
        if saga.again:
            book = connection.get_logbook(id)
            detail = book.find(id)
        else:
            book.add(detail)
            connection.save_logbook(book)
    engine = engines.load(flow, store={"saga": saga.plain}, flow_detail=detail, book=book, backend=backend)
    with suppress(Exception):  # the state of the flow tells of it
        engine.run()
    return engine.storage.get_flow_state()


if __name__ == "__main__":
    if NAME == "migrate":
        with closing(stored(sqlite_template(BUILD)).get_connection()) as made:
            made.upgrade()
    else:
        ends: Any = {states.SUCCESS: True, states.REVERTED: False, states.FAILURE: worker.Outcome.STUCK}
        worker.serve(drive, takes_up=True, statuses=ends, engine=f"taskflow {version('taskflow')}, {NAME}")
