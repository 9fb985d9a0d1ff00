"""One store contract: what a store does in the simulator it does in a real process; so does each store of sagas."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.faults import Plan
from sagafuzz.live.case import LiveRun
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate

from .conftest import in_any_world
from .store_contract import SCENARIOS

SPEC = f"{Path(__file__).with_name('store_contract.py')}:Checked"

EXPECTED: dict[str, Any] = {
    "guards": [
        *("refused", "written", "refused", "refused", "written", "refused", "written", "written", "refused"),
        *("refused", "refused"),
    ],
    "reading": [
        *({"key": ["B"]}, None, 5, None, [["b/10", {"key": ["b/10"]}], ["b/2", {"key": ["b/2"]}]]),
        [[key, None if key == "null" else {"key": [key]}] for key in ("B", "b/10", "b/2", "null", "é")],
    ],
    "transactions": [
        *({"n": 3}, "-", [["a", {"n": 3}], ["new", 1]]),
        *("refused", [["a", {"n": 3}], ["new", 1]]),
    ],
    "names": [],
}


def seen(rows: Sequence[Any]) -> Any:
    """What the check of a run saw. Fails with what it raised where it did not end."""
    reasons = [row[9][-1] for row in rows if row[1] == "ALERT"]
    assert len(reasons) == 1, [row for row in rows if row[1] == "RAISED"]
    return json.loads(reasons[0])


def shown(rows: Sequence[Any]) -> list[Any]:
    """The durable writes and declared ends, without their times."""
    return [(row[1], row[3], row[4], row[9]) for row in rows if row[1] in ("LOG", "LOGACK", "TERMINAL")]


@pytest.fixture(scope="module")
def lived() -> dict[str, LiveRun]:
    """Each scenario once in a real process, all in one world."""
    live = load(f"live:{SPEC}")

    async def work(world: Any) -> dict[str, LiveRun]:
        runs = await asyncio.gather(*(world.run(Setup(adapter=live, scenario=one)) for one in SCENARIOS))
        return {one.name: run for one, run in zip(SCENARIOS, runs, strict=True)}

    found: dict[str, LiveRun] = in_any_world(work)
    return found


@pytest.mark.parametrize("scenario", [one.name for one in SCENARIOS])
def test_both_worlds_keep_the_contract(lived: dict[str, LiveRun], scenario: str) -> None:
    simulated = load(SPEC)
    here = simulate(Setup(adapter=simulated, scenario=simulated.scenario(scenario)), Plan()).rows
    there = lived[scenario]
    assert not there.blocked, there.blocked
    assert seen(here) == seen(there.run.rows) == EXPECTED.get(scenario, ["kept"])
    assert shown(here) == shown(there.run.rows)


def test_whose_a_record_is_is_told_by_what_it_says_by_its_key_or_by_who_runs() -> None:
    simulated = load(SPEC)
    rows = simulate(Setup(adapter=simulated, scenario=simulated.scenario("names")), Plan()).rows
    assert [(kind, saga, data[0]) for kind, saga, _, data in shown(rows) if kind != "LOG"] == [
        *(("LOGACK", "saga-1", "intent"), ("LOGACK", "saga-1", "write"), ("LOGACK", "", "write")),
        *(("LOGACK", "saga-1", "delete"), *[("LOGACK", "saga-1", kind) for kind in ("outcome", "create", "outcome")]),
        ("LOGACK", "saga-1", "terminal"),
        *(("TERMINAL", "saga-1", "compensated"), ("LOGACK", "saga-1", "terminal"), ("LOGACK", "saga-1", "write")),
    ]
