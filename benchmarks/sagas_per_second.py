"""Sagas per second: the reference orchestrator beside DBOS Transact, on the same databases, in one run.

Each saga has the same three steps, functions that do nothing, so that what is measured is the price of
durability. Rounds alternate, so that a change in the machine's speed touches both. Needs `pip install dbos`; for
PostgreSQL a server that SAGAFUZZ_TEST_POSTGRES names (tools/servers.sh starts one).

    python benchmarks/sagas_per_second.py [--rounds N] [--sagas N] [--threads N]
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID
from psycopg import connect
from psycopg.conninfo import conninfo_to_dict

from sagafuzz import Outcome
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.reference_saga import Definition, Orchestrator
from sagafuzz.reference_saga.ports import SagaStore
from sagafuzz.reference_saga.runtime import Request, Runtime
from sagafuzz.reference_saga.stores.postgres import PostgresStore
from sagafuzz.reference_saga.stores.sqlite import SQLiteStore

Run = Callable[[str], object]
"""Runs one saga of the id to its end."""

REQUEST = {"item": "55", "quantity": 1, "amount": 100}


def answer(request: Request) -> dict[str, str]:
    return {"id": request.key}


def of_reference(store: SagaStore) -> Run:
    operations = dict.fromkeys(CHECKOUT.by_operation, answer)
    orchestrator = Orchestrator(Definition(CHECKOUT), ports=Runtime(operations), store=store)

    def run(saga: str) -> None:
        assert orchestrator.execute(saga, REQUEST) is Outcome.COMPLETED

    return run


@DBOS.step()
def create(saga: str) -> dict[str, str]:
    return {"id": f"{saga}/order"}


@DBOS.step()
def reserve(saga: str, item: str, quantity: int) -> dict[str, str]:
    return {"id": f"{saga}/inventory"}


@DBOS.step()
def charge(saga: str, amount: int) -> dict[str, str]:
    return {"id": f"{saga}/payment"}


@DBOS.workflow()
def checkout(saga: str, request: dict[str, Any]) -> bool:
    create(saga)
    reserve(saga, request["item"], request["quantity"])
    charge(saga, request["amount"])
    return True


def of_dbos(saga: str) -> None:
    with SetWorkflowID(saga):
        assert checkout(saga, REQUEST)


def per_second(run: Run, sagas: int, threads: int) -> float:
    names = [f"{uuid.uuid4().hex}" for _ in range(sagas)]
    start = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(run, names))
    return sagas / (time.perf_counter() - start)


def compare(where: str, store: SagaStore, dbos_url: str, arguments: argparse.Namespace) -> None:
    config: DBOSConfig = {
        "name": "checkout",
        "system_database_url": dbos_url,
        "run_admin_server": False,
        "log_level": "ERROR",
    }
    DBOS(config=config)
    DBOS.launch()
    try:
        runs: dict[str, Run] = {"reference": of_reference(store), "dbos": of_dbos}
        for threads in (1, arguments.threads):
            found: dict[str, list[float]] = {name: [] for name in runs}
            for run in runs.values():
                per_second(run, 5, threads)  # warm up
            for _ in range(arguments.rounds):
                for name, run in runs.items():
                    found[name].append(per_second(run, arguments.sagas, threads))
            said = ", ".join(
                f"{name} {statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f})"
                for name, rates in found.items()
            )
            ratio = statistics.median(a / b for a, b in zip(found["reference"], found["dbos"], strict=True))
            print(f"{where}, {threads} at a time: {said} sagas/s; ratio {ratio:.2f}", flush=True)
    finally:
        DBOS.destroy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sagas", type=int, default=100)
    parser.add_argument("--threads", type=int, default=4)
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        ours = SQLiteStore(Path(folder, "reference.db"))
        compare("SQLite", ours, f"sqlite:///{folder}/dbos.db", arguments)
        ours.close()
    conninfo = os.environ.get("SAGAFUZZ_TEST_POSTGRES", "")
    if not conninfo:
        print("PostgreSQL: left out, since SAGAFUZZ_TEST_POSTGRES names no server")
        return
    name = f"sagas_{uuid.uuid4().hex[:8]}"
    with connect(conninfo, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            parts = conninfo_to_dict(conninfo)
            on_postgres = PostgresStore(f"{conninfo} dbname={name}")
            url = f"postgresql://{parts['user']}@{parts['host']}:{parts['port']}/{name}"
            compare("PostgreSQL", on_postgres, url, arguments)
            on_postgres.close()
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


if __name__ == "__main__":
    main()
