"""A call that belongs to no step is a site of real processes as well, by the same name as in the simulator."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sagafuzz import UsageError
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.live import LiveCampaign, replay, until_fired
from sagafuzz.exploration.replay import from_text, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import AT_ACK, AT_EFFECT, AT_SEND, Plan
from sagafuzz.invariants import check
from sagafuzz.live.world import LiveWorld
from sagafuzz.loading import load
from sagafuzz.reports import REPORTS
from sagafuzz.saga import QUERY
from sagafuzz.simulator import Setup, simulate

from .asking import ASK
from .conftest import Small, fault, in_any_world, run
from .test_agreement import LASTING, classes

SYSTEMS = Path(__file__).with_name("asking.py")


def setups(name: str) -> tuple[Setup, Setup]:
    """A system in the simulator, and as a real process."""
    here, there = (load(f"{world}{SYSTEMS}:{name}") for world in ("", "live:"))
    return Setup(adapter=here, scenario=here.scenarios[0]), Setup(adapter=there, scenario=there.scenarios[0])


@pytest.mark.parametrize(
    ("kind", "phase", "story"),
    [
        ("lost-request", AT_SEND, ["SEND", "LOST", "TIMEOUT"]),
        ("timeout", AT_SEND, ["SEND", "TIMEOUT", "DELIVER", "APPLY"]),
        ("duplicate", AT_SEND, ["SEND", "DELIVER", "APPLY", "DELIVER", "APPLY", "ACK"]),
        ("error-before-effect", AT_EFFECT, ["SEND", "DELIVER", "ERROR", "ACK"]),
        ("error-after-effect", AT_EFFECT, ["SEND", "DELIVER", "APPLY", "ACK"]),
        ("lost-ack", AT_ACK, ["SEND", "DELIVER", "APPLY", "LOST", "TIMEOUT"]),
        ("late-answer", AT_ACK, ["SEND", "DELIVER", "APPLY", "TIMEOUT"]),
        ("partition", AT_SEND, ["SEND", "LOST", "TIMEOUT"]),
    ],
)
def test_what_a_fault_does_to_a_query(kind: str, phase: str, story: list[str]) -> None:
    _, setup = setups("Careful")
    plan = fault(kind, ASK, QUERY, phase)
    live = run(setup, plan)
    assert len(live.run.fired) == 1
    events = [row for row in live.run.rows if row[1] in story and (row[4], row[5]) == ("", "") and row[8]]
    assert sorted(row[1] for row in events) == sorted(story)
    assert check(live.run.history(setup, plan)).conclusion == "consistent"


def test_its_sites_are_those_of_the_simulator() -> None:
    here, there = setups("Careful")
    assert [tuple(site) for site in run(there).run.sites] == [tuple(site) for site in simulate(here, Plan()).sites]


@pytest.mark.parametrize("name", ["Careful", "Hopeful"])
def test_a_plan_with_a_fault_at_a_query_comes_to_the_same_in_both_worlds(name: str) -> None:
    here, there = setups(name)

    async def work(world: LiveWorld) -> int:
        enumerator = Enumerator(there, 1, reductions=())
        base = simulate(here, Plan())
        faults = [fault for fault in enumerator.extensions(base.sites, base.impossible) if fault.site[2] == QUERY]
        plans = [Plan(faults=(fault,)) for fault in faults if fault.kind in here.kinds - LASTING]
        runs = await asyncio.gather(*(until_fired(world, there, plan) for plan in plans))
        for plan, live in zip(plans, runs, strict=True):
            assert live.blocked == "" and len(live.run.fired) == 1, plan
            assert classes(there, plan, live.run) == classes(here, plan, simulate(here, plan)), plan
        return len(plans)

    assert in_any_world(work) > 8


def test_a_finding_of_the_simulator_at_a_query_is_run_again_on_real_processes_by_its_name() -> None:
    here, there = setups("Hopeful")
    settings = Settings(max_faults=1, examples=0, scenarios=(here.scenario,), kinds=("lost-ack",))
    (finding,) = Campaign(here.adapter, settings).run().findings
    recorded = from_text(to_text(finding, here.adapter.spec), "a finding")
    assert recorded.plan is not None and [fault.site.subject for fault in recorded.plan.faults] == [ASK]
    assert replay(recorded, there.adapter).result == "STILL FAILS"
    assert replay(recorded, setups("Careful")[1].adapter).result == "FIXED"


def test_what_strikes_a_query_stands_in_the_report_of_real_processes() -> None:
    _, there = setups("Hopeful")
    settings = Settings(max_faults=1, scenarios=(there.scenario,), kinds=("lost-ack",))
    text = REPORTS["text"].render(LiveCampaign(there.adapter, settings).run())
    assert f"lost-ack at saga-1: {ASK} query, ack" in text
    line = next(line for line in text.splitlines() if "lost-ack  " in line or "⚡ lost-ack" in line)
    assert "status" in line, text
    assert "the same schedule shows the same" in " ".join(text.split())


STATUS = """
import urllib.error, urllib.request, json, os
from sagafuzz import worker

def drive(saga):
    headers = {"Saga-Id": saga.id, "content-type": "application/json"}
    request = urllib.request.Request(os.environ["SAGAFUZZ_URL"] + "/payment.list", b"{}", headers)
    try:
        answer = json.load(urllib.request.urlopen(request))["receipt"]
    except urllib.error.HTTPError as error:
        answer = f"{error.code}: {json.load(error)['error']}"
    worker.note("ALERT", saga=saga.id, reason=str(answer))
    for step in ("order", "payment"):
        worker.call(saga, step, "do", key=f"{saga.id}/{step}")
    return True

worker.serve(drive)
"""


@pytest.mark.parametrize(
    ("saga", "answered"),
    [
        ("", "404: there is no operation 'payment.list'; give it a step, or list it in operations"),
        ('operations = ["payment.list"]', "{'applied': False}"),
    ],
    ids=["not listed", "listed"],
)
def test_an_operation_that_nobody_has_is_the_askers_affair(small: Small, saga: str, answered: str) -> None:
    setup = small(STATUS, saga=saga)
    live = run(setup)
    assert live.blocked == ""
    assert [row[9][0] for row in live.run.rows if row[1] == "ALERT"] == [answered]
    assert check(live.run.history(setup, Plan())).conclusion == "consistent"


def test_who_asks_in_python_for_what_nobody_has_is_told_what_to_write() -> None:
    _, there = setups("Undeclared")
    live = run(there)
    (violation,) = check(live.run.history(there, Plan())).violations
    assert (violation.invariant, violation.anomaly[:7]) == ("C1", "unknown")
    assert f"there is no operation '{ASK}'; give it a step, or list it in operations" in violation.sentence


@pytest.mark.parametrize(
    ("listed", "said"),
    [("status", "operation 'status' names no participant"), ("payment.charge", "which belongs to step 'payment'")],
)
def test_what_cannot_be_an_operation_of_no_step_is_refused(small: Small, listed: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        small(STATUS, saga=f"operations = ['{listed}']")
