"""Correct conduct under faults: odd to look at, and nothing to complain of."""

from __future__ import annotations

import itertools

import pytest

from sagafuzz import Saga, Step
from sagafuzz.invariants import check

from .language import CHECKOUT, history

DIAMOND = Saga(
    "trip",
    [
        Step("order", "order.create", undo="order.cancel", after=()),
        Step("flight", "flight.book", undo="flight.cancel", after=("order",)),
        Step("hotel", "hotel.book", undo="hotel.cancel", after=("order",)),
        Step("payment", "payment.charge", undo="payment.refund", after=("flight", "hotel")),
    ],
)
CHECKED = Saga(
    "checked",
    [
        Step("check", "fraud.check"),
        Step("order", "order.create", undo="order.cancel"),
        Step("payment", "payment.charge", pivot=True),
        Step("shipping", "shipping.send", retriable=True),
    ],
)

CONTENT = {
    "an unknown outcome, then a definite refusal under the same key: nothing to undo": """
        submit
        call order.create key=o
        send inventory.reserve key=i -> m2
        lost m2 request
        timeout m2
        refused inventory.reserve key=i
        call order.cancel key=o
        tell compensated
        """,
    "the refusal's answer is lost, and the same key is refused again": """
        submit
        send order.create key=o -> m1
        reject m1
        lost m1 answer
        timeout m1
        refused order.create key=o
        tell compensated
        """,
    "an undo that comes before its step succeeds without effect, and resolves it": """
        submit
        call order.create key=o
        send inventory.reserve key=i -> m2
        timeout m2
        call inventory.release key=i no-effect
        call order.cancel key=o
        tell compensated
        reject m2
        """,
    "the answer of an undo is lost for good, but it was applied": """
        submit
        call order.create key=o
        refused inventory.reserve key=i
        send order.cancel key=o -> m3
        apply m3
        lost m3 answer
        timeout m3
        tell compensated
        """,
    "the answer of an undo without effect is lost for good, but it was applied": """
        submit
        send order.create key=o -> m1
        lost m1 request
        timeout m1
        send order.cancel key=o -> m2
        apply m2 no-effect
        lost m2 answer
        timeout m2
        tell compensated
        """,
    "an undo that fails is put aside with an alert, and the earlier steps are undone": """
        submit
        call order.create key=o
        call inventory.reserve key=i
        refused payment.charge key=p
        send inventory.release key=i -> m4
        error m4
        ack m4
        dead-letter inventory
        alert inventory
        call order.cancel key=o
        tell stuck
        """,
    "an undo was put aside, the earlier steps are undone, and a person's retry works at last": """
        submit
        call order.create key=o
        call inventory.reserve key=i
        refused payment.charge key=p
        send inventory.release key=i -> m4
        error m4
        ack m4
        dead-letter
        alert
        call order.cancel key=o
        tell stuck
        heal
        call inventory.release key=i
        tell compensated
        """,
    "a first attempt is still in flight, but its key was refused: nothing can come of it": """
        submit
        call order.create key=o
        send inventory.reserve key=i -> m2
        refused inventory.reserve key=i
        call order.cancel key=o
        reject m2
        ack m2
        tell compensated
        """,
    "a later step is in flight, but it was undone: nothing can come of it": """
        submit
        call order.create key=o
        send inventory.reserve key=i -> m2
        call inventory.release key=i no-effect
        call order.cancel key=o
        reject m2
        ack m2
        tell compensated
        """,
    "an undo was put aside by itself, the earlier steps are undone, and a retry works at last": """
        submit
        call order.create key=o
        call inventory.reserve key=i
        refused payment.charge key=p
        send inventory.release key=i -> m4
        error m4
        ack m4
        dead-letter inventory
        alert inventory
        call order.cancel key=o
        tell stuck
        heal
        call inventory.release key=i
        """,
    "neither a step nor its undo is answered, and nobody says that it was compensated": """
        submit
        send order.create key=o -> m1
        lost m1 request
        timeout m1
        send order.cancel key=o -> m2
        lost m2 request
        timeout m2
        raise CallTimeout port=yes
        """,
    "the undo of a step that was refused is lost": """
        submit
        refused order.create key=o
        send order.cancel key=o -> m2
        lost m2 request
        timeout m2
        tell compensated
        """,
    "the undo of an unknown step is put aside, and a person says that there was nothing": """
        submit
        send order.create key=o -> m1
        lost m1 request
        timeout m1
        send order.cancel key=o -> m2
        error m2
        ack m2
        dead-letter order
        alert order
        tell stuck
        tell compensated
        """,
    "a participant refuses an undo, for there is nothing to undo": """
        submit
        send order.create key=o -> m1
        lost m1 request
        timeout m1
        refused order.cancel key=o
        tell compensated
        """,
    "a query finds out that an unknown step did not happen": """
        submit
        send order.create key=o -> m1
        lost m1 request
        timeout m1
        call order.status query no-effect
        tell compensated
        """,
    "a crash after the last durable record: the saga is over, the client is told later": """
        submit
        write create
        write intent order
        refused order.create key=o
        write compensating
        write terminal
        terminal compensated
        crash
        boot
        """,
    "a crash after the last record of an adapter that does not name its ends": """
        submit
        write create
        refused order.create key=o
        write state
        crash
        boot
        """,
    "all is done when the crash comes, and nobody says so": """
        submit
        write create
        call order.create key=o
        call inventory.reserve key=i
        call payment.charge key=p
        crash
        boot
        """,
    "a recovery sends again, under its key, what was applied already": """
        submit
        write create
        write intent order
        send order.create key=o -> m1
        apply m1
        crash
        boot
        call order.create key=o no-effect
        write outcome order
        write intent inventory
        refused inventory.reserve key=i
        write compensating
        send order.cancel key=o -> m4
        apply m4
        crash
        boot
        call order.cancel key=o no-effect
        terminal compensated
        """,
    "the later step was undone before the crash; who read it in the store undoes the earlier one": """
        submit
        call order.create key=o
        call inventory.reserve key=i
        refused payment.charge key=p
        call inventory.release key=i
        write undone inventory
        crash
        boot
        call order.cancel key=o
        tell compensated
        """,
    "the later step was undone before the crash; its participant says so when asked again": """
        submit
        call order.create key=o
        call inventory.reserve key=i
        refused payment.charge key=p
        send inventory.release key=i -> m4
        apply m4
        crash
        boot
        call inventory.release key=i no-effect
        call order.cancel key=o
        tell compensated
        """,
    "a request of a dead incarnation is in flight while the next one undoes": """
        submit
        call order.create key=o
        send inventory.reserve key=i -> m2
        crash
        boot
        call inventory.release key=i no-effect
        call order.cancel key=o
        reject m2
        tell compensated
        """,
    "after a crash a system without a log undoes what it cannot know it had not begun": """
        submit
        call order.create key=o
        crash
        boot
        call payment.refund key=p no-effect
        call inventory.release key=i no-effect
        call order.cancel key=o
        tell compensated
        """,
    "the client is told 'pending', and the outcome by a later incarnation": """
        submit
        write create
        tell pending
        call order.create key=o
        crash
        boot
        call order.create key=o no-effect
        call inventory.reserve key=i
        call payment.charge key=p
        terminal completed
        tell completed
        """,
    "a saga is lost before anything of it was durable or in effect": """
        submit
        log create
        crash
        boot
        """,
    "a saga is lost while its first request is, too": """
        submit
        send order.create -> m1
        lost m1 request
        crash
        boot
        """,
    "a recovery finds a saga of which nothing was begun, and closes it": """
        submit
        write create
        crash
        boot
        write terminal
        terminal compensated
        """,
    "a saga that ended is not touched by a later crash, though another one is": """
        submit
        saga-2: submit
        refused order.create key=o
        tell compensated
        saga-2: call order.create key=o-2
        crash
        boot
        saga-2: call order.cancel key=o-2
        saga-2: tell compensated
        """,
    "each attempt of a step is answered with an error and undone once": """
        submit
        send order.create key=o -> m1
        apply m1
        ack m1 error
        send order.create key=o -> m2
        apply m2 no-effect
        ack m2 error
        call order.cancel key=o
        tell compensated
        """,
    "the record of the end is lost, and the next incarnation comes to another one": """
        submit
        call order.create key=o
        call inventory.reserve key=i
        call payment.charge key=p
        log terminal
        terminal completed
        durable terminal
        lost-write terminal
        crash
        boot
        call payment.refund key=p
        call inventory.release key=i
        call order.cancel key=o
        tell compensated
        """,
    "a step and its undo both name a price, which is not what the participant counts": """
        submit quantity=2 amount=100
        call order.create key=o
        call inventory.reserve key=i item=item-1 amount=100 receipt=id:r-1,quantity:2
        refused payment.charge key=p
        call inventory.release key=i item=item-1 amount=100
        call order.cancel key=o
        tell compensated
        """,
    "a step and its undo both name a price and a quantity, of which the participant counts one": """
        submit quantity=2 amount=100
        call order.create key=o
        call inventory.reserve key=i price=100 quantity=2 receipt=id:r-1,quantity:2
        refused payment.charge key=p
        call inventory.release key=i price=100 quantity=2
        call order.cancel key=o
        tell compensated
        """,
    "an operation that is no step may take effect again, and after the end": """
        submit
        refused order.create key=o
        send mail.send query key=m -> m2
        apply m2
        apply m2
        ack m2
        tell compensated
        apply m2
        send mail.withdraw query key=m -> m3
        apply m3
        ack m3
        """,
}


@pytest.mark.parametrize("text", [pytest.param(text, id=says) for says, text in CONTENT.items()])
def test_there_is_nothing_to_complain_of_when(text: str) -> None:
    verdict = check(history(text, CHECKOUT))
    assert [v.sentence for v in (*verdict.violations, *verdict.explained)] == []
    assert not verdict.gave_up


UNDOS = ("flight.cancel", "hotel.cancel")


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(UNDOS)))
def test_parallel_branches_are_undone_in_any_order(first: str, second: str) -> None:
    verdict = check(
        history(
            f"""
            submit
            call order.create key=o
            call flight.book key=f
            call hotel.book key=h
            refused payment.charge key=p
            call {first} key=u
            call {second} key=v
            call order.cancel key=o
            tell compensated
            """,
            DIAMOND,
        )
    )
    assert verdict.violations == ()
    assert "I4" in verdict.exercised


def test_parallel_branches_may_be_undone_at_once_but_their_root_must_know_of_both() -> None:
    text = """
        submit
        call order.create key=o
        call flight.book key=f
        call hotel.book key=h
        refused payment.charge key=p
        send flight.cancel key=f -> m5
        send hotel.cancel key=h -> m6
        apply m6
        apply m5
        ack m5
        {}
        call order.cancel key=o
        ack m6
        tell compensated
        """
    assert check(history(text.format("").replace("ack m6", ""), DIAMOND)).violations != ()
    assert check(history(text.replace("ack m6", "").format("ack m6"), DIAMOND)).violations == ()


def test_a_branch_is_not_undone_while_the_other_is_in_flight_only_if_it_depends_on_it() -> None:
    text = """
        submit
        call order.create key=o
        call flight.book key=f
        send hotel.book key=h -> m3
        call flight.cancel key=f
        reject m3
        ack m3
        call order.cancel key=o
        tell compensated
        """
    assert check(history(text, DIAMOND)).violations == ()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            """
            submit
            call fraud.check no-effect
            call order.create key=o
            call payment.charge key=p
            call shipping.send key=s
            tell completed
            """,
            id="a check that changes nothing is done when it said yes",
        ),
        pytest.param(
            """
            submit
            call fraud.check
            call order.create key=o
            refused payment.charge key=p
            call order.cancel key=o
            tell compensated
            """,
            id="what has no undo may stay, unless it is the pivot",
        ),
        pytest.param(
            """
            submit
            call fraud.check no-effect
            call order.create key=o
            send payment.charge key=p -> m3
            lost m3 request
            timeout m3
            dead-letter
            alert
            tell stuck
            """,
            id="an ambiguous pivot freezes the saga, and a person is called",
        ),
    ],
)
def test_steps_without_an_undo_are_judged_by_what_they_are(text: str) -> None:
    assert check(history(text, CHECKED)).violations == ()
