"""Records of runs: what the simulator knows in full, written as somebody else would have recorded it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sagafuzz import Plan
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.reductions import SHAPING
from sagafuzz.history import APPLY, CLIENT_ACK, History
from sagafuzz.loading import load
from sagafuzz.recorded import Sources, check_record
from sagafuzz.reports import SCHEDULES
from sagafuzz.saga import DIRECTION_NAMES
from sagafuzz.simulator import Setup, simulate
from sagafuzz.verdict import Report

Record = Callable[..., Report]


def histories(spec: str, scenario: str) -> Iterator[History]:
    """A run without faults, and one of each plan with one."""
    adapter = load(spec)
    setup = Setup(adapter=adapter, scenario=adapter.scenario(scenario))
    for case in Enumerator(setup, 1, reductions=SHAPING).cases():
        yield case.run.history(setup, case.plan)


def history(spec: str, scenario: str = "succeeds", plan: Plan | None = None) -> History:
    """The run of one plan."""
    adapter = load(spec)
    setup = Setup(adapter=adapter, scenario=adapter.scenario(scenario))
    return simulate(setup, plan or Plan()).history(setup, plan or Plan())


def charged_twice(spec: str = "seed") -> History:
    """A run in which a payment took effect twice."""
    return next(
        found
        for found in histories(spec, "succeeds")
        if sum(e.kind == APPLY and e.get("effective") and e.step == "payment" for e in found.events) == 2
    )


def spans(found: History) -> str:
    """As OTLP, in one line."""
    return SCHEDULES["otlp"].render(found)


def changed(text: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> str:
    """The request with each span as ``change`` makes it, or without it."""
    request = json.loads(text)
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            scope["spans"] = [made for span in scope["spans"] if (made := change(span)) is not None]
    return json.dumps(request) + "\n"


def without(name: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change that takes an attribute away."""
    return lambda span: {**span, "attributes": [a for a in span["attributes"] if a["key"] != name]}


def ledger(found: History, file: Path) -> Path:
    """The effects of a run as rows of CSV."""
    with file.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["saga", "time", "step", "direction", "key"])
        for event in found.events:
            if event.kind == APPLY and event.get("effective"):
                direction = DIRECTION_NAMES[event.direction]
                rows.writerow([event.saga, event.t_us / 1e6, event.step, direction, event.key or ""])
    return file


def log(found: History, file: Path) -> Path:
    """What clients were told, as rows of CSV."""
    with file.open("w", newline="") as text:
        rows = csv.writer(text)
        rows.writerow(["saga", "time", "event"])
        for event in found.events:
            if event.kind == CLIENT_ACK:
                rows.writerow([event.saga, event.t_us / 1e6, event.get("outcome")])
    return file


@pytest.fixture
def judge(tmp_path: Path) -> Record:
    """Judge texts or files of a record, by the definition of ``saga``."""

    def judged(*records: str | Path, saga: str | None = "seed", at_rest: bool = False) -> Report:
        files = []
        for number, record in enumerate(records):
            file = record if isinstance(record, Path) else tmp_path / f"record-{number}.jsonl"
            if isinstance(record, str):
                file.write_text(record, encoding="utf-8")
            files.append(str(file))
        sources = Sources(files=tuple(files))
        return check_record(sources, load(saga) if saga else None, at_rest=at_rest)

    return judged
