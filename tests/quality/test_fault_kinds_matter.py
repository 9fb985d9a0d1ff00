"""Each kind of fault is needed: it finds out a broken system that no other kind does, and the reference survives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagafuzz import Adapter, Plan
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import PAUSE
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.saga import MESSAGE, QUERY
from sagafuzz.simulator import Run, Setup, simulate
from sagafuzz.verdict import CONSISTENT

from .broken_systems import BROKEN, KEPT_FOR_A_DAY, SOUND

OF_SERVICES = ("sockets", "apps")
"""What kinds need that strike a service as it is: see `test_service_kinds_matter`."""

SIMULATED = [
    kind.name
    for kind in FAULT_KINDS.values()
    if kind.simulated and MESSAGE not in kind.directions and kind.needs not in OF_SERVICES
]
"""The others are struck in tests/live, and those that strike messages in `test_message_kinds_matter`."""


def setups(adapter: Adapter) -> Iterator[Setup]:
    return (Setup(adapter=adapter, scenario=scenario) for scenario in adapter.scenarios)


def runs(setup: Setup, after: str = "", only: set[str] | None = None) -> Iterator[tuple[str, Plan, Run]]:
    """The kind that a plan with one fault is about, the plan and its run; "" for the plan without a fault.
    With ``after`` the plans strike by that kind first, and the one that counts is the other. What the systems here ask
    beside their steps is a means to see what one kind does; faults at those questions are in tests/simulator."""
    kinds = set(FAULT_KINDS) if only is None else only
    enumerator = Enumerator(setup, 1, only=kinds, reductions=())
    first = Enumerator(setup, 1, only={after}, reductions=()) if after else enumerator
    for case in first.cases():
        if not after or not case.plan.faults:
            kind = case.plan.faults[0].kind if case.plan.faults else ""
            if (kind in kinds and case.plan.faults[0].site.direction != QUERY) or not kind:
                yield kind, case.plan, case.run
            continue
        if case.plan.faults[0].site.direction == QUERY:
            continue
        yield "", case.plan, case.run
        struck = case.run.sites.index(case.plan.faults[0].site) + 1
        impossible = {index - struck: kinds for index, kinds in case.run.impossible.items()}
        for fault in enumerator.extensions(case.run.sites[struck:], impossible):
            if fault.kind in kinds and fault.site.direction != QUERY:
                plan = Plan(faults=(*case.plan.faults, fault))
                yield fault.kind, plan, simulate(setup, plan)


def test_there_is_a_broken_system_for_every_kind_of_fault() -> None:
    assert set(BROKEN) == set(SIMULATED)


@pytest.mark.parametrize("kind", SIMULATED)
def test_one_kind_alone_finds_it_out(kind: str) -> None:
    broken = BROKEN[kind]
    found: dict[str, set[str]] = {}
    for setup in setups(broken.adapter):
        for struck, plan, run in runs(setup, broken.after):
            verdict = check(run.history(setup, plan))
            assert not verdict.gave_up
            if verdict.violations:
                entries = (*verdict.violations, *verdict.explained)
                found.setdefault(struck, set()).update(entry.invariant for entry in entries)
    assert set(found) == {kind, *broken.also}
    assert broken.invariant in found[kind]


@pytest.mark.parametrize("kind", SIMULATED)
def test_the_reference_survives_it(kind: str) -> None:
    struck = 0
    for adapter in SOUND.get(kind, (load("reference"),)):
        for setup in setups(adapter):
            for found, plan, run in runs(setup, BROKEN[kind].after, {kind}):
                verdict = check(run.history(setup, plan))
                assert verdict.conclusion == CONSISTENT, (str(plan), verdict.violations, verdict.gave_up)
                assert run.struck == len(plan), f"{plan} did not strike"
                struck += found == kind
    assert struck > 0


def test_the_reference_never_asks_again_when_its_keys_may_be_forgotten() -> None:
    (setup,) = setups(KEPT_FOR_A_DAY)
    for _, plan, run in runs(setup, "lost-ack"):
        assert "key-expiry" in setup.kinds
        assert all(fault.kind != "key-expiry" for fault in plan.faults), plan
        assert check(run.history(setup, plan)).conclusion == CONSISTENT, plan


@pytest.mark.parametrize("kind", SOUND)
def test_its_variants_survive_every_other_kind_too(kind: str) -> None:
    for adapter in SOUND[kind]:
        for setup in setups(adapter):
            for _, plan, run in runs(setup):
                verdict = check(run.history(setup, plan))
                assert verdict.conclusion == CONSISTENT, (str(plan), verdict.violations)


def test_a_paused_process_does_nothing_at_all_not_even_in_tasks_that_were_about_to_start() -> None:
    (setup,) = setups(BROKEN["crash-after-send"].adapter)  # it has a task start with each charge
    for struck, _, run in runs(setup, only={"pause"}):
        if struck:
            at = next(position for position, row in enumerate(run.rows) if row[1] == PAUSE)
            over_us = run.rows[at][0] + 10_000_000
            assert not [row for row in run.rows[at + 1 :] if row[2] == "orchestrator" and row[0] < over_us]
