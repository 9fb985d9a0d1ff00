"""The checkout on DBOS Transact, as a live worker.   dbos_worker.py recommended|hardened FOLDER

Recommended: as DBOS's documentation writes a checkout (docs.dbos.dev, "Widget Store" and the pages on steps): each
request is a step with retries, a refusal is a value, and the workflow undoes what it knows to be done. Hardened: each
request has a key made of the workflow's id and the step, an outcome that is not known is undone too, and an
undo that keeps failing is handed to a person.

DBOS keeps its state in SQLite in the case's folder, or on PostgreSQL, where the environment says so
(DBOS_POSTGRES, by way of the proxy, and DBOS_DIRECT), in a database of the case's own; with executor id and version
fixed it recovers by itself what was pending, as it launches.   dbos_worker.py migrate FOLDER makes its tables once, to
be copied for each case.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error

from sagafuzz import worker
from sagafuzz.ports import PortError, Rejected
from sagafuzz.saga import Outcome

REFUSED: Final = {"refused": True}
RETRIES: Final[dict[str, Any]] = {"retries_allowed": True, "interval_seconds": 0.02, "max_attempts": 3}
TEMPLATE: Final = "dbos_template"
ON_POSTGRES: Final = "DBOS_POSTGRES" in os.environ


class StepFailed(Exception):
    """A request whose outcome is not known. Plain, since DBOS pickles what a step raises."""


def _ask(id: str, order: dict[str, Any], step: str, verb: str, key: str | None, receipt: Any = None) -> Any:
    try:
        return worker.call(worker.SagaRequest(id=id, order=order), step, verb, key=key, receipt=receipt)
    except Rejected:
        return REFUSED
    except PortError as error:
        raise StepFailed(str(error)) from None


@DBOS.step(**RETRIES)
def request(id: str, order: dict[str, Any], step: str, verb: str) -> Any:
    return _ask(id, order, step, verb, None)


@DBOS.step(**RETRIES)
def keyed_request(id: str, order: dict[str, Any], step: str, verb: str, receipt: Any) -> Any:
    return _ask(id, order, step, verb, f"{DBOS.workflow_id}/{step}", receipt)


@DBOS.workflow()
def recommended(id: str, order: dict[str, Any], steps: list[str]) -> str:
    done: list[str] = []
    for step in steps:
        if request(id, order, step, "do") == REFUSED:
            for earlier in reversed(done):
                request(id, order, earlier, "undo")
            return Outcome.COMPENSATED.value
        done.append(step)
    return Outcome.COMPLETED.value


@DBOS.workflow()
def hardened(id: str, order: dict[str, Any], steps: list[str]) -> str:
    begun: list[tuple[str, Any]] = []
    for step in steps:
        try:
            receipt = keyed_request(id, order, step, "do", None)
        except Exception:  # what DBOS raises when the attempts are over: it may have been applied
            begun.append((step, None))
            return _undo(id, order, begun)
        if receipt == REFUSED:
            return _undo(id, order, begun)
        begun.append((step, receipt))
    return Outcome.COMPLETED.value


def _undo(id: str, order: dict[str, Any], begun: list[tuple[str, Any]]) -> str:
    outcome = Outcome.COMPENSATED
    for step, receipt in reversed(begun):
        try:
            keyed_request(id, order, step, "undo", receipt)
        except Exception:
            outcome = Outcome.STUCK
    return outcome.value


WORKFLOWS: Final = {"recommended": recommended, "hardened": hardened}


def launch(url: str) -> None:
    DBOS(
        config={
            "name": "checkout",
            "system_database_url": url,
            "executor_id": "worker",
            "application_version": "1",
            "log_level": "ERROR",
            "console_log_level": "ERROR",
        }
    )
    DBOS.launch()


def sqlite_of(folder: Path, template: Path) -> str:
    """The case's database: a copy of the one that was made before, which appears when it is whole."""
    file = folder / "dbos.sqlite"
    if not file.exists():
        copy = folder / f"dbos-{os.getpid()}.sqlite"
        shutil.copy(template, copy)
        copy.rename(file)
    return f"sqlite:///{file}"


def postgres_of(name: str, template: str) -> str:
    """The same on PostgreSQL; it is copied past the proxy, so that no site is in it."""
    import psycopg
    from psycopg import errors, sql

    with psycopg.connect(f"{os.environ['DBOS_DIRECT']}/postgres", autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
            copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, template)))
            with suppress(errors.DuplicateDatabase, errors.UniqueViolation):  # by one that was killed as it waited
                connection.execute(copy)
    return f"{os.environ['DBOS_POSTGRES']}/{name}"


def serve(name: str, folder: Path, build: Path) -> None:
    """Take sagas; each is a workflow of the same id."""
    launch(postgres_of(folder.name, TEMPLATE) if ON_POSTGRES else sqlite_of(folder, build / f"{TEMPLATE}.sqlite"))
    workflow = WORKFLOWS[name]

    def drive(saga: worker.SagaRequest) -> Outcome:
        handle: Any
        if DBOS.get_workflow_status(saga.id) is not None:
            handle = DBOS.retrieve_workflow(saga.id)
        else:
            with SetWorkflowID(saga.id):
                handle = DBOS.start_workflow(workflow, saga.id, dict(saga.order), list(saga.steps))
        try:
            return Outcome(handle.get_result(polling_interval_sec=0.02))
        except (
            dbos_error.DBOSMaxStepRetriesExceeded
        ) as error:  # the workflow's end is ERROR: its client learns no more than that
            raise worker.CallTimeout(str(error)) from None

    def pending() -> Iterable[worker.SagaRequest]:
        return [worker.SagaRequest(id=found.workflow_id) for found in DBOS.list_workflows()]

    worker.serve(drive, pending=pending, engine=f"dbos {version('dbos')}, {name}")


def migrate(folder: Path) -> None:
    """Make DBOS's tables, to be copied; a file gets its name when it is whole."""
    made = folder / f"{TEMPLATE}.new"
    launch(f"{os.environ['DBOS_DIRECT']}/{TEMPLATE}" if ON_POSTGRES else f"sqlite:///{made}")
    DBOS.destroy()
    if not ON_POSTGRES:
        made.rename(folder / f"{TEMPLATE}.sqlite")


if __name__ == "__main__":
    if sys.argv[1] == "migrate":
        migrate(Path(sys.argv[2]))
    else:
        serve(sys.argv[1], Path(os.environ["SAGAFUZZ_DIR"]), Path(sys.argv[2]))
