"""Each kind of fault that strikes messages is needed: it finds out a broken system, and right ones survive it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sagafuzz import Adapter, Plan
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.invariants import check
from sagafuzz.saga import MESSAGE
from sagafuzz.simulator import Setup
from sagafuzz.verdict import CONSISTENT, Verdict

from .broken_messages import BROKEN, RIGHT, SOUND

KINDS = [kind.name for kind in FAULT_KINDS.values() if MESSAGE in kind.directions]


def judged(adapter: Adapter, kinds: list[str]) -> Iterator[tuple[str, Plan, Verdict]]:
    """Every plan with at most one fault of those kinds, its kind ("" for none), and the verdict on it."""
    (scenario,) = adapter.scenarios
    setup = Setup(adapter=adapter, scenario=scenario)
    for case in Enumerator(setup, 1, only=set(kinds), reductions=()).cases():
        kind = case.plan.faults[0].kind if case.plan.faults else ""
        assert case.fired, f"{case.plan} did not strike"
        yield kind, case.plan, check(case.run.history(setup, case.plan))


def test_there_is_a_broken_system_for_every_kind() -> None:
    assert set(BROKEN) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_of_the_kinds_that_strike_messages_it_finds_the_system_out_with_those_that_are_stated(kind: str) -> None:
    broken = BROKEN[kind]
    found: dict[str, set[str]] = {}
    for struck, _, verdict in judged(broken.adapter, KINDS):
        assert not verdict.gave_up
        if verdict.violations:
            found.setdefault(struck, set()).update(violation.invariant for violation in verdict.violations)
    assert set(found) == {kind, *broken.also}
    assert broken.invariant in found[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_right_system_survives_it(kind: str) -> None:
    struck = 0
    for found, plan, verdict in judged(SOUND.get(kind, RIGHT), [kind]):
        assert verdict.conclusion == CONSISTENT, (str(plan), verdict.violations, verdict.gave_up)
        struck += found == kind
    assert struck > 0


@pytest.mark.parametrize("adapter", [RIGHT, *SOUND.values()], ids=lambda adapter: adapter.name)
def test_right_systems_survive_every_fault(adapter: Adapter) -> None:
    for _, plan, verdict in judged(adapter, list(FAULT_KINDS)):
        assert verdict.conclusion == CONSISTENT, (str(plan), verdict.violations)
