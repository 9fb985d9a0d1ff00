"""Each invariant on histories written by hand: it is content with the good, finds the bad, and says
where it was not asked."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

import sagafuzz.invariants
from sagafuzz.invariants import INVARIANTS, check
from sagafuzz.invariants.isolation import PATTERNS
from sagafuzz.ports import ISOLATION
from sagafuzz.verdict import VIOLATED

from . import (  # noqa: F401 - they fill the tables
    examples_children,
    examples_claims,
    examples_durable,
    examples_effects,
    examples_isolation,
    examples_limits,
    examples_log,
    examples_messages,
    examples_order,
    examples_owners,
    examples_parts,
    examples_undoing,
    examples_unknowns,
)
from .language import history, written
from .tables import BAD, GOOD, IDLE, Bad, Example, every

ALWAYS_ASKED = {"C1", "C2", "C3"}
"""They are about whatever the code under test does, so there is no history that does not exercise them."""

META = {id for id, entry in INVARIANTS.items() if entry.nature == "meta"}


@pytest.mark.parametrize("example", every(GOOD), ids=str)
def test_a_good_history_exercises_it_and_breaks_nothing(example: Example) -> None:
    verdict = check(history(example.text, example.definition))
    assert verdict.violations == ()
    assert verdict.explained == ()
    assert not verdict.gave_up
    assert example.id in verdict.exercised


@pytest.mark.parametrize("example", every(BAD), ids=str)
def test_a_bad_history_breaks_it_once_and_the_sentence_says_what(example: Bad) -> None:
    described, mark = written(example.text, example.definition)
    verdict = check(described, only={example.id})
    (found,) = verdict.violations
    assert (found.anomaly, found.saga, found.step, found.direction, found.position) == (
        example.anomaly,
        example.saga,
        example.step,
        example.direction,
        mark,
    )
    assert example.names in found.sentence
    assert found.expected
    assert found.got
    assert verdict.exercised == {example.id}


@pytest.mark.parametrize("example", every(BAD), ids=str)
def test_a_bad_history_is_reported_as_that_and_nothing_else(example: Bad) -> None:
    verdict = check(history(example.text, example.definition))
    assert not verdict.gave_up
    if example.follows:
        assert {violation.invariant for violation in verdict.violations} == {example.follows}
        assert example.id in {violation.invariant for violation in verdict.explained}
    else:
        assert [violation.invariant for violation in verdict.violations] == [example.id]


@pytest.mark.parametrize("example", every(IDLE), ids=str)
def test_where_it_is_not_exercised_it_says_so(example: Example) -> None:
    verdict = check(history(example.text, example.definition), only={example.id})
    assert verdict.violations == ()
    assert verdict.exercised == frozenset()


def test_every_invariant_has_good_bad_and_idle_histories() -> None:
    ids = set(INVARIANTS) - META
    assert set(GOOD) == ids, "an invariant without a good history, or a good history of none"
    assert set(BAD) == ids, "an invariant without a bad history, or a bad history of none"
    assert set(IDLE) == ids - ALWAYS_ASKED, "an invariant without a history that does not exercise it"


@pytest.mark.parametrize("id", sorted(ALWAYS_ASKED))
def test_conduct_is_always_judged(id: str) -> None:
    assert id in check(history("boot")).exercised


NAMES_THE_CAUSE = {"I9": "I1", "I22": "I13", "I40": "I2", "I41": "I2"}
"""What these see in a history another one sees as well, as their docstrings say; they name the nearer cause."""


@pytest.mark.parametrize("id", sorted(BAD))
def test_an_invariant_that_is_always_content_lets_a_bad_history_pass(id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    note = str(INVARIANTS[id].check.__doc__)
    monkeypatch.setitem(INVARIANTS, id, replace(INVARIANTS[id], check=lambda facts: (True, ())))
    verdicts = [check(history(example.text, example.definition)) for example in BAD[id]]
    assert not any(v.invariant == id for verdict in verdicts for v in (*verdict.violations, *verdict.explained))
    if id in NAMES_THE_CAUSE:
        assert NAMES_THE_CAUSE[id] in note
    else:
        assert any(verdict.conclusion != VIOLATED for verdict in verdicts), "some other invariant makes it superfluous"


# -- every anomaly that can be reported is shown -----------------------------------------------

COMPUTED = {
    ("I11", "anomaly"): ("marked compensated", "nobody called", "undo given up", "undo kept back"),
    ("I7", "anomaly"): ("effect of a null undo", "null undo fails", "no tombstone"),
    ("I25", "str(name)"): tuple(PATTERNS),
    ("C3", "facts.end"): ("livelock", "spins"),
    ("I12", "f'{record} not durable'"): tuple(
        f"{record} not durable" for record in ("create", "intent", "outcome", "compensating")
    ),
    ("I16", "f'told {outcome}'"): ("told completed", "told compensated"),
    ("I2", "anomaly"): ("child without its parent", "parent without its child"),
    ("I17", "f'{unit} not conserved'"): ("money not conserved", "stock not conserved"),
    ("C1", "f'{type_name} escapes'"): ("KeyError escapes", "Rejected escapes"),
}
"""The anomalies that the source makes at run time, and what they can be."""


def anomalies() -> set[tuple[str, str]]:
    """(invariant, anomaly) for every Violation that the source of the invariants can make."""
    found = set()
    for path in Path(sagafuzz.invariants.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Violation":
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                if not isinstance(given["invariant"], ast.Constant):
                    continue  # of a rule of an adapter's own, whose anomaly is its name
                if not isinstance(given["invariant"], ast.Constant):
                    continue  # that of a rule of the user's own
                id = ast.literal_eval(given["invariant"])
                found |= {(id, anomaly) for anomaly in values(id, given["anomaly"])}
    return found


def values(id: str, node: ast.expr) -> tuple[str, ...]:
    if isinstance(node, ast.Constant):
        return (str(node.value),)
    if isinstance(node, ast.IfExp):
        return (*values(id, node.body), *values(id, node.orelse))
    return COMPUTED[id, re.sub('"', "'", ast.unparse(node))]


def test_every_anomaly_has_a_bad_history() -> None:
    shown = {(bad.id, bad.anomaly) for examples in BAD.values() for bad in examples}
    possible = anomalies()
    assert len(possible) > 20
    assert possible <= shown


def test_every_class_of_isolation_can_be_declared() -> None:
    assert tuple(PATTERNS) == ISOLATION
