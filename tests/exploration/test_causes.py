"""The cause of a violation is told from what the run itself shows, not from the invariant alone."""

from __future__ import annotations

import pytest

from sagafuzz.exploration import causes
from sagafuzz.exploration.causes import cause_of
from sagafuzz.invariants import INVARIANTS, OURS, check
from sagafuzz.invariants.facts import Facts
from sagafuzz.invariants.registry import Usual

from ..invariants.language import history

BEGUN = "submit\ncall order.create key=o\ncall inventory.reserve key=i\n"
UNANSWERED = "send payment.charge key=p -> m\napply m\nlost m answer\ntimeout m\n"
AT_ONCE = "send payment.charge key=p -> m\nsend payment.charge key=q -> n\napply m\napply n\n"
ROLLED_BACK = "call inventory.release key=i\ncall order.cancel key=o\ntell compensated\n"


def caused(text: str, id: str, step: str) -> Usual:
    described = history(text)
    verdict = check(described, only={id})
    found = next(violation for violation in verdict.violations if violation.step == step)
    return cause_of(Facts(described), found, "", OURS)


@pytest.mark.parametrize(
    ("text", "words", "usual"),
    [
        (
            "send payment.charge key=p -> m\napply m\napply m\nack m\ntell completed",
            "where the participant applies one key twice",
            causes.NOTED_APART,
        ),
        (
            f"{UNANSWERED}call payment.charge key=q\ntell completed",
            "where the requests carry different keys",
            INVARIANTS["I1"].usual("duplicate effect"),
        ),
        (
            "send payment.charge -> m\napply m\nlost m answer\ntimeout m\ncall payment.charge\ntell completed",
            "where the requests carry no key",
            INVARIANTS["I1"].usual("duplicate effect"),
        ),
        (
            f"{AT_ONCE}ack m\nack n\ntell completed",
            "where two requests are under way at once, under different keys",
            causes.TWO_EXECUTIONS,
        ),
        (
            "call payment.charge key=p\ncall payment.charge key=q\ntell completed",
            "where what had been answered is asked for again, under different keys",
            causes.BEGUN_ANEW,
        ),
    ],
)
def test_a_double_charge_says_who_asked_twice(text: str, words: str, usual: Usual) -> None:
    said = caused(BEGUN + text, "I1", "payment")
    assert f", in payment.charge, {words}; the usual cause: {usual.cause}" in said.cause
    assert said.repair == usual.repair


def test_a_step_that_was_answered_and_left_is_no_unknown_outcome() -> None:
    said = caused(BEGUN + "call payment.charge key=p\n" + ROLLED_BACK, "I5", "payment")
    assert "where it had been answered with success; " in said.cause
    assert said.cause.endswith(causes.PASSED_OVER.cause) and said.repair == causes.PASSED_OVER.repair


def test_a_step_whose_answer_was_lost_is_left_out_as_unknown() -> None:
    said = caused(BEGUN + UNANSWERED + ROLLED_BACK, "I5", "payment")
    assert said.cause.endswith(INVARIANTS["I5"].cause) and "answered" not in said.cause


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("", causes.LEFT_OUT),
        ("refused payment.charge key=p\n", INVARIANTS["I23"].usual("hollow success")),
        ("call payment.charge key=p no-effect\n", causes.SAID_AND_NOT_DONE),
    ],
)
def test_a_hollow_success_says_what_the_saga_was_told(text: str, usual: Usual) -> None:
    said = caused(f"{BEGUN}{text}tell completed", "I23", "payment")
    assert said.cause.endswith(usual.cause) and said.repair == usual.repair


def test_an_undo_that_was_not_waited_for_is_told_from_a_rollback_that_walks_forwards() -> None:
    refused = f"{BEGUN}refused payment.charge key=p\n"
    forwards = "call order.cancel key=o\ncall inventory.release key=i\ntell compensated"
    unanswered = "send inventory.release key=i -> m\napply m\nlost m answer\ntimeout m\ncall order.cancel key=o\n"
    assert caused(refused + forwards, "I4", "order").cause.endswith(INVARIANTS["I4"].cause)
    assert caused(f"{refused}{unanswered}tell compensated", "I4", "order").cause.endswith(causes.NOT_AWAITED.cause)


def test_a_violation_of_a_step_and_no_call_names_no_undo() -> None:
    """A stale write of the outcome of a charge is nothing that a refund did."""
    text = """
        boot
        submit
        write create epoch=1
        boot pause
        write takeover epoch=2
        as 1
        write outcome payment epoch=1
    """
    described = history(text)
    (found,) = check(described, only={"I14"}).violations
    said = cause_of(Facts(described), found, "pause at order.create", OURS).cause
    assert said.startswith("pause at order.create brings it out in step payment; the usual cause: ")


def test_an_undo_that_was_passed_over_was_kept_back_by_none() -> None:
    """The order is cancelled, in vain, without a word to the inventory, whose turn was before."""
    failing = "send order.cancel key=o -> u\nerror u\nack u\ndead-letter order\nalert order\ntell stuck"
    said = caused(f"{BEGUN}refused payment.charge key=p\n{failing}", "I11", "inventory")
    assert said.cause.endswith(causes.PASSED_OVER.cause)
    first = "send inventory.release key=i -> u\nerror u\nack u\ndead-letter inventory\nalert inventory\ntell stuck"
    assert caused(f"{BEGUN}refused payment.charge key=p\n{first}", "I11", "order").cause.endswith(
        INVARIANTS["I11"].cause
    )
