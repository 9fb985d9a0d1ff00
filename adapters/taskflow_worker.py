"""The checkout on OpenStack's TaskFlow, as a live worker.   taskflow_worker.py recommended|hardened|migrate FOLDER

Recommended: as TaskFlow's documentation writes a flow (docs.openstack.org/taskflow, "Atoms, tasks and retries"): a task
for each step, whose ``revert`` undoes what ``execute`` did and has nothing to do where that failed. Hardened: a request
has a key made of the saga and the step, it is tried again a few times, and ``revert`` undoes also what may have been
applied. Steps at once are an unordered flow in the linear one.

A flow is kept in SQLite; who starts anew loads it and runs it on. ``migrate`` makes its tables once, in FOLDER.
"""

from __future__ import annotations

import sys
import time
import uuid
from contextlib import closing, suppress
from importlib.metadata import version
from typing import Any, Final

from taskflow import engines, states, task
from taskflow.patterns import linear_flow, unordered_flow
from taskflow.persistence import backends, models
from taskflow.types.failure import Failure

from sagafuzz import worker
from sagafuzz.worker_databases import fresh_url, template_url

NAME, BUILD = sys.argv[1:]
ENDS: Final[Any] = {states.SUCCESS: True, states.REVERTED: False, states.FAILURE: worker.Outcome.STUCK}


class Step(task.Task):  # type: ignore[misc]
    def request(self, saga: dict[str, Any], verb: str, receipt: Any = None) -> Any:
        how: Any = {"receipt": receipt, "refused": worker.Rejected}
        if NAME == "hardened":
            how |= {"key": f"{saga['id']}/{self.name}", "attempts": 3 if verb == "do" else 30}
        return worker.attempt(saga, self.name, verb, **how)

    def execute(self, saga: dict[str, Any]) -> Any:
        time.sleep(saga["waits"].get(self.name, 0) / 1000)
        return self.request(saga, "do")

    def revert(self, saga: dict[str, Any], result: Any, **_: Any) -> None:
        failed = isinstance(result, Failure)
        if not failed or (NAME == "hardened" and not result.check(worker.Rejected)):
            self.request(saga, "undo", None if failed else result)


def drive(saga: worker.SagaRequest) -> Any:
    flow = linear_flow.Flow(saga.id)
    for layer in worker.layers(saga.plain):
        flow.add(unordered_flow.Flow(" and ".join(layer)).add(*(Step(step, requires=["saga"]) for step in layer)))
    backend, id = backends.fetch({"connection": fresh_url(BUILD)}), str(uuid.uuid5(uuid.NAMESPACE_OID, saga.id))
    book = models.LogBook(saga.id, id)
    with closing(backend.get_connection()) as connection:
        if saga.again:
            book = connection.get_logbook(id)
        else:
            book.add(models.FlowDetail(saga.id, id))
            connection.save_logbook(book)
    kept: Any = {"store": {"saga": saga.plain}, "flow_detail": book.find(id), "book": book, "backend": backend}
    engine = engines.load(flow, engine="parallel", executor="threaded", **kept)
    with suppress(Exception):  # the state of the flow tells of it
        if engine.storage.get_flow_state() not in ENDS:  # run again, it would be called reverted, failed or not
            engine.run()
    return engine.storage.get_flow_state()


if __name__ == "__main__":
    if NAME == "migrate":
        with closing(backends.fetch({"connection": template_url(BUILD)}).get_connection()) as made:
            made.upgrade()
    else:
        worker.serve(drive, takes_up=True, statuses=ENDS, engine=f"taskflow {version('taskflow')}, {NAME}")
