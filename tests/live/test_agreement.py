"""Live and simulated agree: one code, the same plans, the same sites, the same verdicts.

`live:seed` and `live:reference` are the adapters of those names as real processes. Faults that last for a
while are left out: how many attempts fall into a while is a matter of real time.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.live import until_fired
from sagafuzz.faults import AT_EFFECT, AT_LOG, Plan
from sagafuzz.invariants import check
from sagafuzz.live.manifest import HOSTED
from sagafuzz.live.supervisor import PRELOADED
from sagafuzz.live.world import LiveWorld
from sagafuzz.loading import load
from sagafuzz.simulator import Run, Setup, simulate
from sagafuzz.verdict import Verdict

from .conftest import fault, in_any_world, run_plans

STYLES = Path(__file__).with_name("sql_styles.py")

LASTING = {"partition", "partition-answers", "participant-outage", "participant-restart", "pause", "cancel"}
LASTING |= {"slow-answer", "late-answer"}


def verdict(run: Run, setup: Setup, plan: Plan) -> Verdict:
    return check(run.history(setup, plan))


def classes(setup: Setup, plan: Plan, run: Run) -> tuple[str, frozenset[str], tuple[tuple[str, str], ...]]:
    """The conclusion, what is violated, and the effects that are left of each step."""
    found = verdict(run, setup, plan)
    net: dict[tuple[str, str], int] = {}
    for row in run.rows:
        if row[1] == "APPLY" and row[9][0]:
            net[row[3], row[4]] = net.get((row[3], row[4]), 0) + (1 if row[5] == "F" else -1)
    left = tuple(sorted((step, str(count)) for (_, step), count in net.items() if count))
    return found.conclusion, frozenset(violation.invariant for violation in found.violations), left


def setups(name: str, scenario: str) -> tuple[Setup, Setup]:
    """A scenario of an adapter in the simulator, and as a real process."""
    simulated, live = load(name), load(f"live:{name}")
    here = Setup(adapter=simulated, scenario=simulated.scenario(scenario))
    return here, Setup(adapter=live, scenario=live.scenario(scenario))


def compare(name: str, scenario: str, only: Collection[str] | None = None) -> int:
    """Run every plan of one fault in both worlds; how many there were."""
    here, there = setups(name, scenario)

    async def work(world: LiveWorld) -> int:
        base, found = simulate(here, Plan()), (await until_fired(world, there, Plan())).run
        assert [tuple(site) for site in found.sites] == [tuple(site) for site in base.sites]
        enumerator = Enumerator(there, 1, only, reductions=())
        plans = [Plan(faults=(fault,)) for fault in enumerator.extensions(found.sites, found.impossible)]
        plans = [plan for plan in plans if plan.faults[0].kind in here.kinds - LASTING]
        runs = await asyncio.gather(*(until_fired(world, there, plan) for plan in plans))
        for plan, lived in zip(plans, runs, strict=True):
            assert lived.blocked == "" and len(lived.run.fired) == 1, plan
            assert classes(there, plan, lived.run) == classes(here, plan, simulate(here, plan)), plan
        return len(plans)

    return int(in_any_world(work))


@pytest.mark.parametrize("name", ["seed", "reference", "reference-sqlite"])
def test_they_agree_on_the_faults_of_participants_and_crashes_at_them(name: str) -> None:
    kinds = {"error-after-effect", "crash-after-effect", "reject", "lost-ack", "undo-fails"}
    assert compare(name, "declined", kinds) >= 12


@pytest.mark.parametrize(
    ("name", "scenario"), [("zoo:earlier-lines-stay", "second-line-short"), ("zoo:rounds-each-part", "unpacked")]
)
def test_they_agree_on_parts_and_amounts(name: str, scenario: str) -> None:
    assert compare(name, scenario, {"lost-ack"}) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
@pytest.mark.parametrize("name", ["seed", "reference", "reference-sqlite"])
def test_they_agree_on_every_plan_of_one_fault(name: str, scenario: str) -> None:
    assert compare(name, scenario) > 30


@pytest.mark.slow
def test_they_agree_on_writes_that_begin_with_a_comment_or_with_or_in_a_savepoint() -> None:
    here, _ = setups(f"{STYLES}:Careful", "succeeds")
    writes = [site[1] for site in simulate(here, Plan()).sites if site[3] == AT_LOG]
    assert writes == ["create steps", "create counts", "insert steps", "insert steps", "update counts + insert steps"]
    assert compare(f"{STYLES}:Careful", "succeeds") > 20


@pytest.mark.parametrize("name", [f"{STYLES}:Forgetful", "seed"])
def test_plans_found_in_the_simulator_violate_the_same_live(name: str) -> None:
    here, there = setups(name, "succeeds")
    kinds = {"crash-before-log", "crash-after-log", "crash-after-effect", "lost-ack"}
    cases = [*Enumerator(here, 1, kinds, reductions=()).cases()]
    found = [case.plan for case in cases if verdict(case.run, here, case.plan).violations]
    assert len(found) >= 2
    for plan, live in zip(found, run_plans(there, *found), strict=True):
        assert live.blocked == "" and len(live.run.fired) == 1, plan
        assert classes(there, plan, live.run) == classes(here, plan, simulate(here, plan)), plan


def test_an_effect_site_is_seen_once_for_each_first_delivery() -> None:
    live = load("live:reference")
    setup = Setup(adapter=live, scenario=live.scenario("succeeds"))
    run = in_any_world(lambda world: world.run(setup)).run
    assert [site[1] for site in run.sites if site[3] == AT_EFFECT] == ["order", "inventory", "payment"]


def test_an_async_adapter_runs_on_an_event_loop_of_its_process() -> None:
    pytest.importorskip("simple_saga", reason="simple-saga is not installed: pip install 'sagafuzz[simple-saga]'")
    there, twin = load("live:simple-saga"), load("simple-saga")
    setup = Setup(adapter=there, scenario=there.scenario("declined"))
    here = Setup(adapter=twin, scenario=twin.scenario("declined"))
    plans = [Plan(), fault("lost-ack", "inventory", "F", "ack"), fault("crash-after-effect", "order", "F", AT_EFFECT)]
    for plan, live in zip(plans, run_plans(setup, *plans), strict=True):
        assert live.blocked == "" and len(live.run.fired) == len(plan)
        assert classes(setup, plan, live.run) == classes(here, plan, simulate(here, plan)), plan


def test_a_hosted_worker_finds_imported_what_it_needs_of_sagafuzz() -> None:
    own = """
import sys
from importlib import import_module
for name in sys.argv[2:]:
    import_module(name)
before = set(sys.modules)
from sagafuzz.loading import load
load(sys.argv[1])
print(sorted(name for name in set(sys.modules) - before if name.startswith("sagafuzz.")))
"""
    words = [sys.executable, "-c", own, f"{STYLES}:Forgetful", *PRELOADED, *HOSTED]
    assert subprocess.run(words, check=True, capture_output=True, text=True).stdout == "[]\n"
