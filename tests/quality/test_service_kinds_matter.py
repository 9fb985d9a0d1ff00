"""Each kind of fault that strikes services only is needed: it finds a broken service, and the right one survives it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagafuzz import Adapter, Plan
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.invariants import check
from sagafuzz.simulator import Setup
from sagafuzz.verdict import CONSISTENT, Verdict

from .broken_services import BROKEN, RIGHT, RIGHT_WITH_APP
from .test_fault_kinds_matter import OF_SERVICES

KINDS = {needs: [kind.name for kind in FAULT_KINDS.values() if kind.needs == needs] for needs in OF_SERVICES}


def judged(adapter: Adapter, kinds: list[str]) -> Iterator[tuple[str, Plan, Verdict]]:
    """Every plan with at most one fault of those kinds, its kind ("" for none), and the verdict on it."""
    setup = Setup(adapter=adapter, scenario=adapter.scenario("succeeds"))
    for case in Enumerator(setup, 1, only=set(kinds), reductions=()).cases():
        assert case.fired, f"{case.plan} did not strike"
        kind = case.plan.faults[0].kind if case.plan.faults else ""
        yield kind, case.plan, check(case.run.history(setup, case.plan))


def test_there_is_a_broken_service_for_every_kind_that_strikes_services() -> None:
    assert set(BROKEN) == {kind for kinds in KINDS.values() for kind in kinds}


@pytest.mark.parametrize("kind", BROKEN)
def test_of_the_kinds_that_strike_services_it_finds_the_service_out_with_those_that_are_stated(kind: str) -> None:
    broken = BROKEN[kind]
    found: dict[str, set[str]] = {}
    for struck, _, verdict in judged(broken.adapter, KINDS[FAULT_KINDS[kind].needs]):
        entries = (*verdict.violations, *verdict.explained)
        if entries:
            found.setdefault(struck, set()).update(entry.invariant for entry in entries)
    assert set(found) == {kind, *broken.also}
    assert broken.invariant in found[kind]


@pytest.mark.parametrize(("adapter", "needs"), [(RIGHT, "sockets"), (RIGHT_WITH_APP, "apps")], ids=OF_SERVICES)
def test_a_right_service_survives_them_all(adapter: Adapter, needs: str) -> None:
    struck = set()
    for kind, plan, verdict in judged(adapter, KINDS[needs]):
        assert verdict.conclusion == CONSISTENT, (str(plan), verdict.violations)
        struck.add(kind)
    assert struck == {"", *KINDS[needs]}
