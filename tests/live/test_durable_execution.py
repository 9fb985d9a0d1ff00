"""Where an engine promises durable execution, one crash leaves a saga the end that it has without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sagafuzz.exploration.live import LiveCampaign, replay
from sagafuzz.exploration.replay import from_text, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.verdict import Report

from .conftest import Small

AFTER_A_CRASH = """
import json, pathlib
from sagafuzz import worker

FOLDER = pathlib.Path(worker.folder())

def drive(saga):
    found = FOLDER / f"{saga.id}.json"
    again = found.exists()
    found.write_text(json.dumps(saga.order))
    for step in saga.steps if not (again and %r) else ():
        worker.call(saga, step, "do", key=f"{saga.id}/{step}")
    if again and %r:
        for step in reversed(saga.steps):
            worker.call(saga, step, "undo", key=f"{saga.id}/{step}")
        return False
    return True

def pending():
    for file in FOLDER.glob("saga-*.json"):
        yield worker.SagaRequest(id=file.stem, order=json.loads(file.read_text()), steps=("order", "payment"))

worker.serve(drive, pending=pending)
"""


def searched(small: Small, tmp_path: Path, *, cancels: bool, capabilities: str = "durable_execution = true") -> Report:
    small(AFTER_A_CRASH % (cancels, cancels), capabilities=capabilities)
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=1, scenarios=(adapter.scenario("succeeds"),), kinds=("crash-after-effect",))
    return LiveCampaign(adapter, settings).run()


def test_a_crash_that_cancels_a_good_order_is_an_anomaly_of_its_own(small: Small, tmp_path: Path) -> None:
    report = searched(small, tmp_path, cancels=True)
    (finding,) = report.findings
    violation = finding.violation
    assert (violation.invariant, violation.anomaly, violation.saga) == ("I42", "a crash cancels", "saga-1")
    assert finding.notes[0] == "real processes; it came again in 5 of 5 runs"
    assert finding.plan is not None and [fault.kind for fault in finding.plan.faults] == ["crash-after-effect"]
    adapter = load(str(tmp_path / "small.toml"))
    assert replay(from_text(to_text(finding, adapter.spec), "a finding"), adapter).result == "STILL FAILS"


@pytest.mark.parametrize(("cancels", "capabilities"), [(False, "durable_execution = true"), (True, "")])
def test_one_that_goes_on_keeps_the_promise_and_without_it_a_saga_may_be_cancelled(
    small: Small, tmp_path: Path, cancels: bool, capabilities: str
) -> None:
    report = searched(small, tmp_path, cancels=cancels, capabilities=capabilities)
    assert report.verdict == "consistent"
    (result,) = [result for result in report.invariants if result.id == "I42"]
    assert result.status == ("not exercised" if cancels else "holds")
