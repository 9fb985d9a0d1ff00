"""The same plan gives the same rows: again, in another process, under another hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sagafuzz import Adapter, Fault, Plan, Scenario, Site
from sagafuzz.faults import feasible_kinds
from sagafuzz.simulator import Setup, simulate

from .conftest import Laboratory

SCENARIOS = {
    "succeeds": Scenario(),
    "declined": Scenario(rejections=((1, "payment.charge"),)),
    "contended": Scenario(sagas=2),
}


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_plan_gives_the_same_rows_twice(careful: Adapter, data: st.DataObject) -> None:
    setup = Setup(adapter=careful, scenario=data.draw(st.sampled_from(sorted(SCENARIOS)).map(SCENARIOS.__getitem__)))
    plan = Plan()
    for _ in range(data.draw(st.integers(0, 3))):
        taken = {fault.site for fault in plan.faults}
        sites = [Site(*site) for site in simulate(setup, plan).sites]
        choices = [
            (kind, site)
            for site in sites
            if site not in taken
            for kind in feasible_kinds(setup.adapter.saga, site, setup.capabilities)
        ]
        if not choices:
            break
        kind, site = data.draw(st.sampled_from(choices))
        plan = Plan(faults=(*plan.faults, Fault(kind=kind, site=site)))
    assert simulate(setup, plan) == simulate(setup, plan)


PLANS = {
    "succeeds": [(), ("lost-ack pay F", "crash-after-ack pay F #2"), ("duplicate order F",)],
    "declined": [(), ("undo-fails order C",), ("delayed-duplicate order F", "crash-before-log 'compensating'")],
    "contended": [(), ("crash-after-effect order F",), ("timeout pay F", "crash-after-log 'intent pay'")],
}

PINNED = {
    "succeeds": [
        "9884f8395c7caf33022eabd148e12ad9",
        "4afe7fb11c2fb032144c3780458ad61e",
        "cf272dbbe32d00a37a322687a2f43fd3",
    ],
    "declined": [
        "a9f80bbfd793051d38b275184e48491f",
        "1626e7d109e6b63a285999c604ee5462",
        "106e223719e3c0803d76360a4d6b9483",
    ],
    "contended": [
        "7fbc968f96def69968a63f501c6ea6d9",
        "6cf164fbab60039abacbf706de6d53c1",
        "defd41dbf74cc21d26e279768c596799",
    ],
}
"""Digests of those runs. A change to how runs go is a change to what every replay file means: if it is
meant, pin the new ones."""


@pytest.mark.parametrize("name", sorted(PLANS))
def test_runs_go_as_they_always_went(lab: Laboratory, careful: Adapter, name: str) -> None:
    digests = [lab.trial(careful, *faults, scenario=SCENARIOS[name]).history.digest for faults in PLANS[name]]
    assert digests == PINNED[name]


SCRIPT = """
import asyncio, random, uuid
from sagafuzz import Fault, Plan, Saga, Scenario, Site, Step, adapter
from sagafuzz.faults import feasible_kinds
from sagafuzz.history import rows_digest
from sagafuzz.simulator import Setup, simulate

SAGA = Saga("s", [Step(name, f"{name}.do", undo=f"{name}.undo") for name in ("order", "payment")])

class Base:
    def boot(self, world):
        self.world = world
        with world.sqlite() as db:
            db.execute("CREATE TABLE IF NOT EXISTS t (k)")
            self.db = db
    def note(self, order):
        for word in {"a", "b", "c"} & {"b"}:
            self.world.store.put(word, {"id": str(uuid.uuid4()), "r": random.random()}, saga=order.id)
        with self.db:
            self.db.execute("INSERT INTO t VALUES (1)")

@adapter(saga=SAGA)
class Sync(Base):
    def run(self, order):
        self.note(order)
        for step in SAGA.steps:
            self.world.call(step.operation, saga=order.id, key=str(uuid.uuid4()), tags=sorted({"x", "y", "z"}))
        return True

@adapter(saga=SAGA)
class Async(Base):
    async def run(self, order):
        self.note(order)
        calls = [self.world.call(step.operation, key=str(random.random())) for step in SAGA.steps]
        await asyncio.gather(*calls, asyncio.sleep(random.random()))
        return True

for system in (Sync.__sagafuzz_adapter__, Async.__sagafuzz_adapter__):
    setup = Setup(adapter=system, scenario=Scenario())
    for site in simulate(setup).sites:
        site = Site(*site)
        for kind in feasible_kinds(SAGA, site, setup.capabilities):
            run = simulate(setup, Plan(faults=(Fault(kind=kind, site=site),)), seed=5)
            print(kind, site, rows_digest(run.rows).hex())
"""


def test_other_processes_and_other_hash_seeds_see_the_same(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    outputs = {
        subprocess.run(
            [sys.executable, str(script)], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().splitlines()) > 50


def test_runs_do_not_depend_on_what_ran_before(lab: Laboratory, careful: Adapter) -> None:
    alone = lab.trial(careful, "lost-ack pay F").run
    for faults in PLANS["succeeds"]:
        lab.trial(careful, *faults)
    assert lab.trial(careful, "lost-ack pay F").run == alone
