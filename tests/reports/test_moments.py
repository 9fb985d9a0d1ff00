"""The events of a finding one by one: what they carry, and how everything stands after them."""

from __future__ import annotations

from types import SimpleNamespace

from sagafuzz.frames import Source
from sagafuzz.history import History
from sagafuzz.reports.diagram import diagram
from sagafuzz.reports.moments import MAX_MOMENTS, Moment, code_of, moments

ACTED = Source(file="shop/pay.py", line=12, first=11, lines=("def pay():", "    call()\x1b", "    done()"))


def told(history: History, *acted: tuple[int, Source]) -> list[Moment]:
    return moments(history, diagram(history).lines, acted)


def test_each_event_says_what_it_carries(make: SimpleNamespace) -> None:
    where = {"step": "payment", "direction": "F", "attempt": 2, "msg": 1, "key": "k-1"}
    rows = [make.row(0, "SEND", "orchestrator", "payment.charge", (("amount", 100),), 3, **where)]
    rows += [make.row(1, "DELIVER", "payment", 1, **where)]
    sent, arrived = told(make.history(rows))
    assert (sent.who, sent.words) == ("orchestrator", "payment.charge #2 is sent")
    assert sent.carries == "attempt 2; key k-1; payload amount=100; epoch 3"
    assert arrived.carries == ""


def test_the_state_at_a_moment_is_what_the_events_changed(make: SimpleNamespace) -> None:
    changes = [moment.changes for moment in told(make.lost_ack())]
    ledger = "payment's ledger, customer"
    assert changes[0] == (("saga-1", "asked for"),)
    assert changes[3] == (("payment", "in effect"), (ledger, "900 of 1,000 left"))
    assert changes[8] == (("payment", "in effect 2 times"), (ledger, "800 of 1,000 left"))
    assert changes[10] == (("saga-1", "client told: completed"),)
    assert [moment.changes for moment in told(make.crash())][6] == (("orchestrator", "dead"),)


def test_an_effect_that_is_undone_is_in_effect_no_more(make: SimpleNamespace) -> None:
    where = {"step": "payment", "attempt": 1, "msg": 1}
    done, undone, again = (
        make.row(n, "APPLY", "payment", True, "saga-1", **where, direction=direction)
        for n, direction in enumerate("FCC")
    )
    said = [dict(moment.changes)["payment"] for moment in told(make.history([done, undone, again]))]
    assert said == ["in effect", "not in effect", "undone 1 more than done"]


def test_faults_and_the_violation_stand_at_their_events(make: SimpleNamespace) -> None:
    history = make.lost_ack()
    found = moments(history, diagram(history, make.DOUBLE).lines, ())
    assert {moment.row: moment.marks for moment in found if moment.marks} == {3: ("⚡ lost-ack",), 8: ("◀ violation",)}


def test_an_event_leads_to_the_lines_of_code_behind_it(make: SimpleNamespace) -> None:
    other = ACTED._replace(line=13)
    acted = ((1, ACTED), (5, other), (6, ACTED))
    found = told(make.lost_ack(), *acted)
    assert [moment.code for moment in found[:7]] == [-1, 0, -1, -1, -1, 1, 0]
    first, second = code_of(acted)
    assert first.place == "shop/pay.py:12"
    assert first.text == "  11 | def pay():\n> 12 |     call()\\x1b\n  13 |     done()"
    assert second.place == "shop/pay.py:13"


def test_of_a_long_history_what_the_picture_shows_is_told(make: SimpleNamespace) -> None:
    applied = ("APPLY", (True, "saga-1", make.money(100)))
    rows = [row for n in range(100) for row in make.charge(n * 10, n + 1, make.SEND, make.ARRIVES, applied)]
    found = told(make.history(rows))
    assert len(found) == MAX_MOMENTS < len(rows)
