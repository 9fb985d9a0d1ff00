"""The minimal violations are reported; what follows from one of them on the same saga is not."""

from __future__ import annotations

import re
from dataclasses import replace

import networkx as nx
import pytest

from sagafuzz.invariants import INVARIANTS, check, consequences
from sagafuzz.verdict import Violation

from .language import history

GRAPH = nx.DiGraph((id, follower) for id, entry in INVARIANTS.items() for follower in entry.explains)


def test_every_id_in_the_graph_is_an_invariant() -> None:
    assert set(GRAPH) <= set(INVARIANTS)


def test_nothing_explains_itself_however_far_around() -> None:
    assert list(nx.simple_cycles(GRAPH)) == []


def test_consequences_are_all_that_can_be_reached() -> None:
    for id in INVARIANTS:
        assert consequences(id) == (nx.descendants(GRAPH, id) if id in GRAPH else set())


@pytest.mark.parametrize(
    ("cause", "follower", "in_words"),
    [
        ("I1", "I17", "a double effect breaks conservation"),
        ("I5", "I2", "a leaked effect breaks atomicity"),
        ("I5", "I16", "a false terminal is told to the client"),
        ("I15", "I2", "an effect after the end breaks atomicity"),
        ("I8", "I15", "what hangs takes effect after the end"),
        ("I7", "I8", "without a tombstone a late step hangs"),
        ("I9", "I1", "an undo that is not idempotent takes effect twice"),
        ("I6", "I5", "who takes one attempt's refusal for all leaves a step out"),
        ("I14", "I15", "a stale owner declares another end"),
        ("I22", "I13", "who waits behind a saga that cannot be handled is never taken up"),
        ("I10", "I2", "what is given up after the pivot breaks atomicity"),
        ("I12", "I5", "who did not write down what it asks for leaves it out of the rollback"),
        ("I1", "I23", "a key that was used for another saga makes its success hollow"),
        ("I23", "I15", "what was called completed too early takes effect after the end"),
        ("C3", "I3", "who never comes to rest releases nothing"),
    ],
)
def test_the_implications_of_the_catalogue(cause: str, follower: str, in_words: str) -> None:
    assert follower in consequences(cause), in_words


# -- every pair, with checks that say what they are told to ------------------------------------


@pytest.mark.parametrize("id", [id for id, entry in INVARIANTS.items() if entry.nature != "meta"])
def test_each_says_in_words_what_can_happen_where_it_is_broken(id: str) -> None:
    harm = INVARIANTS[id].harm
    assert " can " in harm, "a verdict in words begins with what can happen"
    assert not re.search(r"\b[A-Z]\d+\b", harm), "in words, not codes"
    assert set(re.findall(r"\{.*?\}", harm)) <= {"{what}"}


JUDGED = [id for id, entry in INVARIANTS.items() if entry.nature != "meta"]


def violation(id: str, saga: str) -> Violation:
    return Violation(invariant=id, anomaly="made up", sentence="", expected="", got="", saga=saga)


def pretend(monkeypatch: pytest.MonkeyPatch, *violations: Violation) -> None:
    """Let exactly these violations be found."""
    for id, entry in INVARIANTS.items():
        mine = [each for each in violations if each.invariant == id]
        monkeypatch.setitem(INVARIANTS, id, replace(entry, check=lambda facts, mine=mine: (True, mine)))


@pytest.mark.parametrize("cause", JUDGED)
@pytest.mark.parametrize(("where", "explains"), [("saga-1", True), ("", True), ("saga-2", False)])
def test_a_violation_is_explained_exactly_by_a_cause_on_the_same_saga_or_on_all(
    cause: str, where: str, explains: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in JUDGED:
        if other == cause:
            continue
        follows = other in consequences(cause) and explains
        leads = cause in consequences(other) and where == "saga-1"
        pretend(monkeypatch, violation(cause, where), violation(other, "saga-1"))
        verdict = check(history("submit"))
        assert (violation(other, "saga-1") in verdict.explained) == follows, other
        assert (violation(cause, where) in verdict.explained) == leads, other
        assert len(verdict.violations) + len(verdict.explained) == 2
        assert verdict.violations, "something must be the cause"


def test_a_chain_is_explained_by_its_first_link(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = [violation(id, "saga-1") for id in ("I22", "I13", "I2", "I3", "I16")]
    pretend(monkeypatch, *chain)
    verdict = check(history("submit"))
    assert verdict.violations == (violation("I22", "saga-1"),)
    assert {each.invariant for each in verdict.explained} == {"I13", "I2", "I3", "I16"}


# -- on histories ------------------------------------------------------------------------------

LEAK = """
    submit
    send order.create -> m1
    apply m1
    ack m1 error
    tell compensated
"""

CASES = {
    "a leaked effect explains the broken atomicity, the orphan and the untrue answer": (
        LEAK,
        {("I5", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "it does not explain what happens to another saga": (
        f"""{LEAK}
        saga-2: submit
        saga-2: call order.create
        saga-2: refused inventory.reserve
        saga-2: dead-letter
        saga-2: alert
        saga-2: tell compensated
        """,
        {("I5", "saga-1"), ("I16", "saga-2")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "an undo of another's row explains what seems to be left of that saga, which has nothing to undo any more": (
        """
        submit
        saga-2: submit
        call order.create
        saga-2: refused order.create
        saga-2: send order.cancel -> m3
        apply m3 owner=saga-1
        ack m3
        refused inventory.reserve
        call order.cancel no-effect
        tell compensated
        saga-2: tell compensated
        """,
        {("I18", "saga-2")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "an undo that is delivered twice gives back what is not there": (
        """
        submit
        call order.create
        refused inventory.reserve
        send order.cancel -> m3
        apply m3
        apply m3 owner=nobody balance=orders/saga-1/2/-1/0/1
        ack m3
        tell compensated
        """,
        {("I1", "saga-1")},
        {("I18", "saga-1"), ("I17", "saga-1")},
    ),
    "a zombie explains what it holds": (
        """
        submit
        call order.create
        crash
        boot
        """,
        {("I13", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1")},
    ),
    "a rollback that a crash ends is a zombie; it has not given up the undo that failed": (
        """
        submit
        call order.create
        refused inventory.reserve
        send order.cancel -> m3
        error m3
        ack m3
        crash
        boot
        """,
        {("I13", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1")},
    ),
    "a rollback that a crash ends is a zombie; it has not left out what it had not come to": (
        """
        submit
        call order.create
        call inventory.reserve
        refused payment.charge
        call inventory.release
        crash
        boot
        """,
        {("I13", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1")},
    ),
    "an undo without an answer keeps back the others; they are not left out besides": (
        """
        submit
        call order.create
        call inventory.reserve
        refused payment.charge
        send inventory.release -> m4
        apply m4
        lost m4 answer
        timeout m4
        tell stuck
        """,
        {("I11", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1")},
    ),
    "who hears of no success of an undo keeps back the others, though one that died had heard of it": (
        """
        submit
        call order.create
        call inventory.reserve
        refused payment.charge
        send inventory.release -> m4
        apply m4
        ack m4
        crash
        boot
        send inventory.release -> m5
        lost m5 request
        timeout m5
        tell compensated
        """,
        {("I11", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "the same where that one died before it heard of it": (
        """
        submit
        call order.create
        call inventory.reserve
        refused payment.charge
        send inventory.release -> m4
        apply m4
        crash
        boot
        send inventory.release -> m5
        lost m5 request
        timeout m5
        tell compensated
        """,
        {("I11", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "who died said to nobody that an undo had failed: the other one is left out, not kept back": (
        """
        submit
        call order.create
        call inventory.reserve
        refused payment.charge
        send inventory.release -> m4
        apply m4
        lost m4 answer
        timeout m4
        crash
        boot
        tell compensated
        """,
        {("I5", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "a saga whose end is durable is no zombie, though it left something behind": (
        """
        submit
        call order.create
        write terminal
        crash
        boot
        """,
        {("I2", "saga-1")},
        {("I3", "saga-1")},
    ),
    "a swallowed error explains what is missing in the end": (
        """
        submit
        call order.create
        send inventory.reserve -> m2
        error m2
        ack m2
        call payment.charge
        tell completed
        """,
        {("I6", "saga-1")},
        {("I23", "saga-1"), ("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "a swallowed refusal does so too": (
        """
        submit
        call order.create
        refused inventory.reserve
        call payment.charge
        tell completed
        """,
        {("I23", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "an effect after the end explains that it stays": (
        """
        submit
        send order.create -> m1
        timeout m1
        call order.cancel no-effect
        tell compensated
        apply m1
        """,
        {("I8", "saga-1")},
        {("I15", "saga-1"), ("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "a step that comes twice, once after its undo, is a duplicate before it hangs": (
        """
        submit
        send order.create -> m1
        apply m1
        ack m1
        refused inventory.reserve
        call order.cancel
        apply m1
        tell compensated
        """,
        {("I1", "saga-1")},
        {("I8", "saga-1"), ("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "a participant that leaves no tombstone explains what hangs, and what that does": (
        """
        submit
        send order.create key=o -> m1
        timeout m1
        call order.cancel key=o no-effect
        tell compensated
        apply m1
        """,
        {("I7", "saga-1")},
        {("I8", "saga-1"), ("I15", "saga-1"), ("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "an undo of other data explains that the sums are wrong": (
        """
        submit
        call order.create
        call inventory.reserve
        call payment.charge amount=100
        send payment.refund amount=90 -> m4
        apply m4 balance=money/customer/90/0/0/100
        ack m4
        call inventory.release
        call order.cancel
        tell compensated
        """,
        {("I19", "saga-1")},
        {("I17", "saga-1")},
    ),
    "an undo that is given up explains its remains": (
        """
        submit
        call order.create
        refused inventory.reserve
        send order.cancel -> m3
        error m3
        ack m3
        tell compensated
        """,
        {("I11", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I16", "saga-1")},
    ),
    "two sagas with one key: the participant takes the second for the first": (
        """
        submit
        saga-2: submit
        call order.create key=o
        call inventory.reserve key=i
        call payment.charge key=p
        tell completed
        saga-2: call order.create key=o-2
        saga-2: call inventory.reserve key=i-2
        saga-2: call payment.charge key=p no-effect
        saga-2: tell completed
        """,
        {("I1", "saga-2")},
        {("I23", "saga-2"), ("I2", "saga-2"), ("I3", "saga-2"), ("I16", "saga-2")},
    ),
    "success is called out too early": (
        """
        submit
        call order.create
        call inventory.reserve
        send payment.charge -> m3
        tell completed
        apply m3
        ack m3
        """,
        {("I23", "saga-1")},
        {("I15", "saga-1")},
    ),
    "a livelock explains every saga's remains": (
        """
        submit
        saga-2: submit
        call order.create
        saga-2: call order.create
        end livelock
        """,
        {("C3", "")},
        {("I2", "saga-1"), ("I3", "saga-1"), ("I2", "saga-2"), ("I3", "saga-2")},
    ),
    "a record that comes too late does not explain that nobody looks for it": (
        """
        submit
        call order.create
        write create
        crash
        boot
        """,
        {("I12", "saga-1"), ("I13", "saga-1")},
        {("I2", "saga-1"), ("I3", "saga-1")},
    ),
    "a bug in boot explains every saga's remains": (
        """
        submit
        call order.create
        crash
        boot
        -: raise KeyError state
        """,
        {("C1", "")},
        {("I13", "saga-1"), ("I2", "saga-1"), ("I3", "saga-1")},
    ),
}


@pytest.mark.parametrize(
    ("text", "minimal", "explained"), [pytest.param(*case, id=says) for says, case in CASES.items()]
)
def test_the_cause_is_reported(text: str, minimal: set[tuple[str, str]], explained: set[tuple[str, str]]) -> None:
    verdict = check(history(text))
    assert not verdict.gave_up
    assert {(each.invariant, each.saga) for each in verdict.violations} == minimal
    assert {(each.invariant, each.saga) for each in verdict.explained} == explained
