"""What a conftest.py brings to the campaigns of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Session = Callable[..., pytest.RunResult]

INVARIANT = """
import sagafuzz
from sagafuzz.invariants import Invariant


def no_gifts(facts):
    applied = [(n, event.step) for n, event in enumerate(facts.history.events) if event.kind == "APPLY"]
    rows = [n for n, step in applied if "payment" not in {step for _, step in applied}]
    found = [
        sagafuzz.Violation(
            invariant="S1", anomaly="gift", sentence="an order is not paid", expected="none", got="one", position=n
        )
        for n in rows[:1]
    ]
    return True, found


SHY = Invariant(
    id="S1", name="shy", holds_when="nothing is given away", cause="courage", repair="wait", nature="safety",
    check=no_gifts,
)


def pytest_saga_invariants():
    return [SHY]
"""

PARTICIPANT = """
class Closed:
    def handle(self, request, tx):
        raise sagafuzz.Rejected("closed")


def pytest_saga_participants(config, adapter):
    return {"order": Closed, "weather": Closed}
"""

TESTS = """
@pytest.mark.saga(Calm, faults=1, random=0)
def test_calm(saga):
    assert ("S1", "holds") in [(result.id, result.status) for result in saga.report.invariants]

@sagafuzz.adapter(saga=SAGA, scenarios=ONE, cannot_suffer=OTHERS)
class Neat(Calm):
    def run(self, order):
        try:
            self.world.call("order.create", saga=order.id, key=order.id)
        except sagafuzz.Rejected:
            return False
        self.world.call("order.cancel", saga=order.id, key=order.id + "/undo")
        return False

@pytest.mark.saga(Neat, faults=1, random=0)
def test_neat(): ...
"""


def test_an_invariant_of_ones_own_is_judged_beside_the_others(session: Session) -> None:
    Path("conftest.py").write_text(INVARIANT)
    result = session("--saga-report-dir=kept", test=TESTS)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["F-*  S1 shy: gift", "  an order is not paid", "pytest --saga-replay kept/*/F-*.json"])
    result.stdout.no_fnmatch_line("again: sagafuzz run*")
    file = next(Path("kept").rglob("F-*.json"))
    result = session("--saga-replay", str(file))
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(["F-* on Neat: STILL FAILS", "S1: an order is not paid"])


def test_a_participant_of_ones_own_takes_the_place_of_the_built_in_one(session: Session) -> None:
    Path("conftest.py").write_text(INVARIANT + PARTICIPANT)
    session(test=TESTS).assert_outcomes(passed=2)


def test_after_the_session_the_table_is_as_it_was(session: Session) -> None:
    from sagafuzz.invariants import INVARIANTS

    before = dict(INVARIANTS)
    Path("conftest.py").write_text(INVARIANT)
    session(test=TESTS)
    assert before == INVARIANTS


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ('id="S1"->id="I1"', "sagafuzz: invariant 'I1': its id is taken; write another, S1 for instance"),
        ('id="S1"->id="mine"', "sagafuzz: invariant 'mine': its id is no capital letter and a number; *"),
        ("[SHY]->[SHY, SHY]", "sagafuzz: invariant 'S1': its id is taken; *"),
        ("[SHY]->[no_gifts]", "sagafuzz: pytest_saga_invariants gave <function no_gifts *; return *"),
        ("check=->explains=('I99',), check=", "sagafuzz: invariant 'S1' explains 'I99', which is none; take it out"),
        ("True, found->True, [1 / 0]", "*the check of S1 gave up: ZeroDivisionError: *"),
        ('invariant="S1"->invariant="S2"', "*the check of S1 gave up: ValueError: it gave a violation of 'S2'"),
    ],
)
def test_an_invariant_that_cannot_be_used_is_named(session: Session, change: str, expected: str) -> None:
    before, _, after = change.partition("->")
    assert before in INVARIANT
    Path("conftest.py").write_text(INVARIANT.replace(before, after))
    result = session(test=TESTS.partition("@sagafuzz")[0].replace("Calm, faults=1", "Careless, faults=0"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([expected])


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("return {'order': 7}", "sagafuzz: pytest_saga_participants gave 7 as 'order'; give a class"),
        ("return {'order': Closed}", "sagafuzz: two hooks pytest_saga_participants give 'order'; *"),
    ],
)
def test_a_participant_that_cannot_be_used_is_named(
    session: Session, pytester: pytest.Pytester, more: str, expected: str
) -> None:
    Path("conftest.py").write_text(INVARIANT + PARTICIPANT)
    pytester.makepyfile(more=f"from conftest import Closed\n\ndef pytest_saga_participants():\n    {more}\n")
    result = session("-p", "more", test=TESTS)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([expected])
