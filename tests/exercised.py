"""What the suite asks of every verdict "consistent": each scenario came to its end without a fault, and a fault struck.

It asks that of runs of its own, not of what a report says of itself. It is a pytest plugin, of the suite and of the
sessions that tests start in processes of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from sagafuzz import Adapter, Outcome, Plan, Report, Scenario
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.events import CaseJudged, Event
from sagafuzz.exploration.report_builder import ReportBuilder
from sagafuzz.exploration.vacuity import meant_to_succeed
from sagafuzz.history import APPLY, CLIENT_ACK, DATA, DIRECTION, KIND, OUTCOME, REJECT, SAGA, SEND, STEP, TERMINAL
from sagafuzz.live.manifest import manifest_of
from sagafuzz.saga import COMPENSATION, FORWARD, split
from sagafuzz.simulator import Run, Setup, simulate

COMPLETED = Outcome.COMPLETED.value
COMPENSATED = Outcome.COMPENSATED.value
ENDS = {COMPLETED, COMPENSATED}

AS_PLUGIN = ("-p", Path(__file__).stem)
"""The words that bring it into another session of pytest, whose PYTHONPATH is to be `FOLDER`."""

FOLDER = str(Path(__file__).parent)


def comes_to_its_end(run: Run, setup: Setup) -> bool:
    """True if something was asked, every order came to an end, and one completed, where any is meant to."""
    ends = {saga: _ends(run, setup, saga) for saga in setup.orders}
    completes = any(COMPLETED in told for told in ends.values()) or not meant_to_succeed(run, setup)
    return completes and all(ends.values()) and any(row[KIND] == SEND for row in run.rows)


def _ends(run: Run, setup: Setup, saga: str) -> set[str]:
    """What an order came to: what was told or noted of it, else "completed" where each of its steps had an effect, and
    "compensated" where one was refused and those that had an effect were undone."""
    rows = [row for row in run.rows if row[SAGA] == saga]
    told = {row[DATA][OUTCOME] for row in rows if row[KIND] in (CLIENT_ACK, TERMINAL)} & ENDS
    done = {split(row[STEP])[0] for row in rows if row[KIND] == APPLY and row[DIRECTION] == FORWARD}
    if told or setup.definition(saga).by_name.keys() <= done:
        return told or {COMPLETED}
    undone = {split(row[STEP])[0] for row in rows if row[KIND] == APPLY and row[DIRECTION] == COMPENSATION}
    return {COMPENSATED} if done <= undone and any(row[KIND] == REJECT for row in rows) else set()


def left_open(adapter: Adapter, scenarios: Iterable[Scenario], seed: int = 0) -> list[str]:
    """A sentence for each scenario that does not come to its end where nothing fails."""
    setups = [Setup(adapter=adapter, scenario=scenario) for scenario in scenarios]
    return [
        _open(setup.scenario) for setup in setups if not comes_to_its_end(simulate(setup, Plan(), seed=seed), setup)
    ]


def _open(scenario: Scenario) -> str:
    return f"scenario {scenario.name} does not come to its end without a fault"


def unexercised(report: Report, adapter: Adapter, ended: Collection[str] = ()) -> list[str]:
    """Why a report has no right to say "consistent"; ``ended`` are the scenarios of which a real run came to its end
    without a fault, since a system of real processes is not run here once more."""
    scenarios = [each.scenario for each in report.scenarios if each.counts.run]
    if manifest_of(adapter) is None:
        found = left_open(adapter, scenarios, report.seed)
    else:
        found = [_open(scenario) for scenario in scenarios if scenario.name not in ended]
    drawn = report.random_plans.fired if any(report.random_plans.by_faults[1:]) else 0
    struck = sum(cell.fired for cell in report.coverage) + report.random.faults + drawn
    return found if struck else [*found, "no fault struck"]


def unproven(adapter: Adapter, max_faults: int) -> list[str]:
    """Why a system has no right to be acquitted."""
    found = left_open(adapter, adapter.scenarios)
    setups = [Setup(adapter=adapter, scenario=scenario) for scenario in adapter.scenarios]
    struck = any(case.run.fired for setup in setups for case in Enumerator(setup, min(max_faults, 1)).cases())
    return found if struck else [*found, "no fault struck"]


@pytest.fixture(autouse=True, scope="session")
def consistent_means_exercised() -> Iterator[None]:
    """Whatever campaign is called consistent had its scenarios come to their end, and was struck: else the test that
    ran it fails."""
    with pytest.MonkeyPatch.context() as patch:
        _watch_reports(patch)
        yield


def _watch_reports(patch: pytest.MonkeyPatch) -> None:
    """Have every report that says "consistent" fail where it has no right to."""
    made, told = ReportBuilder.report, ReportBuilder.__call__
    ended: WeakKeyDictionary[ReportBuilder, set[str]] = WeakKeyDictionary()

    def hear(self: ReportBuilder, event: Event) -> None:
        match event:
            case CaseJudged(setup=setup, case=case) if not case.plan.faults and comes_to_its_end(case.run, setup):
                ended.setdefault(self, set()).add(setup.scenario.name)
        told(self, event)

    def report(self: Any) -> Report:
        found = made(self)
        if found.verdict == "consistent":
            why = unexercised(found, self._adapter, ended.get(self, ()))
            assert not why, f"{found.adapter} was called consistent, but {', and '.join(why)}"
        return found

    patch.setattr(ReportBuilder, "__call__", hear)
    patch.setattr(ReportBuilder, "report", report)
