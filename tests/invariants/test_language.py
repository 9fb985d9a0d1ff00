"""The language of hand-written histories says what it is told, and refuses nonsense clearly."""

from __future__ import annotations

import pytest

from sagafuzz import History, Saga, Step
from sagafuzz.history import DATA_FIELDS, Event

from .language import VERBS, Unreadable, history, written


def test_a_line_is_an_event_a_millisecond_after_the_one_before() -> None:
    described = history(
        """
        submit amount=1500
        send payment.charge key=k1 amount=1500 note=x -> m1
        apply m1 balance=money/customer/-5/5/5/0
        lost m1 answer
        @1000 timeout m1
        send payment.refund -> m2
        """
    )
    assert described.sagas == ("saga-1",)
    assert described.rows == (
        (0, "SUBMIT", "client", "saga-1", "", "", 0, None, 0, ("item-1", 1, 1500)),
        (
            1000,
            "SEND",
            "orchestrator",
            "saga-1",
            "payment",
            "F",
            1,
            "k1",
            1,
            ("payment.charge", (("amount", 1500), ("note", "x"))),
        ),
        (2000, "DELIVER", "payment", "saga-1", "payment", "F", 1, "k1", 1, (1,)),
        (
            2000,
            "APPLY",
            "payment",
            "saga-1",
            "payment",
            "F",
            1,
            "k1",
            1,
            (True, "saga-1", ("money", "customer", -5, 5, 5, 0)),
        ),
        (3000, "LOST", "orchestrator", "saga-1", "payment", "F", 1, "k1", 1, ("answer",)),
        (1_000_000, "TIMEOUT", "orchestrator", "saga-1", "payment", "F", 1, "k1", 1, (1000.0,)),
        (1_001_000, "SEND", "orchestrator", "saga-1", "payment", "C", 1, None, 2, ("payment.refund", ())),
        (1_002_000, "END", "harness", "", "", "", 0, None, 0, ("quiescent",)),
    )


def test_a_call_is_four_events_and_attempts_are_counted() -> None:
    described = history("call order.create key=o\nrefused order.create key=o\ncall order.cancel no-effect")
    assert [(e.t_us, e.kind, e.attempt, e.data[:2]) for e in described.events if e.kind != "END"] == [
        (0, "SEND", 1, ("order.create", ())),
        (1000, "DELIVER", 1, (1,)),
        (1000, "APPLY", 1, (True, "saga-1")),
        (2000, "ACK", 1, ("ok",)),
        (3000, "SEND", 2, ("order.create", ())),
        (4000, "DELIVER", 2, (1,)),
        (4000, "REJECT", 2, ("refused",)),
        (5000, "ACK", 2, ("rejected",)),
        (6000, "SEND", 1, ("order.cancel", ())),
        (7000, "DELIVER", 1, (1,)),
        (7000, "APPLY", 1, (False, "saga-1")),
        (8000, "ACK", 1, ("ok",)),
    ]


def test_a_second_delivery_is_the_second_and_the_answer_is_the_last() -> None:
    described = history("send order.create -> m1\napply m1\nerror m1\nack m1\nack m1 ok")
    assert [event.data for event in described.events if event.kind == "DELIVER"] == [(1,), (2,)]
    assert [event.data for event in described.events if event.kind == "ACK"] == [("error",), ("ok",)]


def test_lines_are_about_saga_1_another_saga_or_none() -> None:
    described = history("submit\nsaga-2: submit\n-: raise KeyError 'no such key'\nsaga-2: send order.create -> m1")
    assert described.sagas == ("saga-1", "saga-2")
    assert [row[3] for row in described.rows] == ["saga-1", "saga-2", "", "saga-2", ""]
    assert described.rows[2][9] == ("KeyError", "no such key", "run: shop.py:1", False)


def test_after_a_crash_another_incarnation_boots() -> None:
    described = history("boot\nsend order.create -> m1\nwrite create\ncrash\nboot\nwrite create\nend livelock")
    assert [(row[1], row[2]) for row in described.rows] == [
        ("BOOT", "orchestrator"),
        ("SEND", "orchestrator"),
        ("LOG", "orchestrator"),
        ("LOGACK", "orchestrator"),
        ("CRASH", "orchestrator"),
        ("BOOT", "orchestrator#2"),
        ("LOG", "orchestrator#2"),
        ("LOGACK", "orchestrator#2"),
        ("END", "harness"),
    ]
    assert [row[9] for row in described.rows if row[1] == "LOGACK"] == [("create", 1), ("create", 2)]
    assert described.rows[-1][9] == ("livelock",)


def test_a_mark_is_the_position_of_the_last_event_of_its_line() -> None:
    assert written("submit\nsend order.create -> m1\napply m1 <--\nack m1").mark == 3
    assert written("submit").mark == -1


def test_a_fault_is_noted_where_it_struck() -> None:
    (fired,) = history("submit\nsend order.create -> m1\nfault lost-ack m1").fired
    assert (fired.position, str(fired.fault)) == (2, "lost-ack at saga-1: order forward, ack")


def test_another_saga_may_be_told_of() -> None:
    trip = Saga("trip", [Step("flight", "flight.book", undo="flight.cancel")])
    described = history("call flight.cancel\ncall flight.status query", trip)
    assert described.saga == trip
    assert [row[4:6] for row in described.rows if row[1] == "SEND"] == [("flight", "C"), ("", "")]


EVERYTHING = """
    submit
    send order.create key=o -> m1
    publish order.created cause=m1 -> n
    receive n
    nack n
    handled n
    park n
    drop n
    fault duplicate m1
    apply m1 owner=nobody
    reject m1
    error m1
    lost m1 answer
    ack m1
    timeout m1
    call inventory.reserve
    refused payment.charge
    log create
    durable create
    write intent order
    terminal compensated
    tell pending
    dead-letter order
    alert
    raise KeyError where=recover
    nonsense None
    running
    declare max_attempts=3 isolation=dirty-read definitions=v1:a.b+a.c
    adopt epoch=2 definition=v1
    write outcome order epoch=2
    lost-write outcome order
    read m1 stock 3 pending
    wrote m1 stock 4 add
    hold m1 stock
    release m1 stock
    expire m1
    entry m1 captured 100 100
    pause 10000
    boot second
    as 1
    crash
    crash
    boot
    heal
    end quiescent
"""


def test_two_orchestrators_can_live_at_once() -> None:
    described = history("boot\nwrite create\nboot second\nwrite a\nas 1\nwrite b\ncrash\nwrite c")
    assert [(row[1], row[2]) for row in described.rows if row[1] in ("BOOT", "LOG", "CRASH")] == [
        ("BOOT", "orchestrator"),
        ("LOG", "orchestrator"),
        ("BOOT", "orchestrator#2"),
        ("LOG", "orchestrator#2"),
        ("LOG", "orchestrator"),
        ("CRASH", "orchestrator"),
        ("LOG", "orchestrator#2"),
    ]


def test_a_receipt_is_part_of_the_effect_and_not_of_the_request() -> None:
    described = history("call payment.charge amount=5 receipt=id:ch-1,amount:5")
    assert [row[9] for row in described.rows if row[1] in ("SEND", "APPLY")] == [
        ("payment.charge", (("amount", 5),)),
        (True, "saga-1", (), (("amount", 5), ("id", "ch-1"))),
    ]


def test_what_is_declared_is_a_number_some_names_or_a_table() -> None:
    described = history("declare deadline_ms=50 isolation=a,b definitions=v1:x.y+x.z max_attempts=x.y:2\nsubmit")
    assert described.declared == {
        "deadline_ms": 50,
        "isolation": ("a", "b"),
        "definitions": {"v1": ("x.y", "x.z")},
        "max_attempts": {"x.y": 2},
    }


def test_every_verb_writes_events_as_the_simulator_does() -> None:
    described = history(EVERYTHING)
    assert {line.split()[0] for line in EVERYTHING.splitlines() if line.strip()} == set(VERBS)
    for row in described.rows:
        assert len(row) == len(Event._fields)
        assert type(row) is tuple
        assert len(row[9]) <= len(DATA_FIELDS[row[1]])  # what an adapter does not show may be left out
    assert History.from_ndjson(described.to_ndjson()) == described


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "a history without events; write at least 'submit'"),
        ("submit\naply m1", "line 2, 'aply m1': there is no verb 'aply' (did you mean 'apply'?)"),
        ("send order.create", "it names no message; write 'send OPERATION [query]"),
        ("send -> m1", "it lacks the operation"),
        ("send order.craete -> m1", "'order.craete' is no operation of checkout (did you mean 'order.create'?)"),
        ("apply m1", "'m1' is no message; there is none yet; write 'apply MESSAGE"),
        ("send order.create -> m1\napply m2", "'m2' is no message (did you mean 'm1'?); there is m1"),
        ("send order.create -> m1\nsend order.create -> m1", "there is a message 'm1' already; name each once"),
        ("send order.create -> m1\nack m1", "it has no answer yet; write 'apply', 'reject' or 'error' before"),
        ("call order.create -> m1\nack m1 maybe", "'maybe' is no answer"),
        ("send order.create -> m1\napply m1 twice", "'twice' is no word about the effect"),
        ("send order.create -> m1\napply m1 balance=1/2", "a balance has six parts, not 2"),
        ("send order.create -> m1\nlost m1", "it lacks the part; write 'lost MESSAGE request|answer'"),
        ("tell done", "'done' is no outcome"),
        ("write intent ordre", "'ordre' is no step (did you mean 'order'?)"),
        ("submit now", "nothing can be made of 'now'; write 'submit [item=ITEM]"),
        ("submit colour=red", "nothing can be made of 'colour=red'"),
        ("submit amount=much", "invalid literal for int"),
        ("raise KeyError 'x", "No closing quotation"),
        ("submit\ncrash\ncall order.create", "line 3, 'call order.create': the orchestrator is dead; write 'boot'"),
        ("submit\nboot", "the orchestrator runs already; write 'crash' before"),
        ("send order.create -> m1\ncrash\nboot\ntimeout m1", "its sender, orchestrator, is dead"),
        ("submit\n@5 heal\n@4 heal", "line 3, '@4 heal': time goes backwards, it is 5 ms already"),
        ("boot\nas 2", "there is no incarnation 2 alive"),
        ("@soon submit", "'soon' is no time; write '@1000', in milliseconds"),
        ("submit <--\ntell pending <--", "a second line is marked '<--'; mark one"),
        ("send order.create -> m1\nfault lots m1", "'lots' is no kind of fault"),
    ],
)
def test_nonsense_is_refused_and_the_right_form_shown(text: str, complaint: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        history(text)
    assert complaint in str(refusal.value)
