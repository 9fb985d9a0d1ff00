"""The rule of what a long diagram leaves out, by lines made by hand; and what of a violation is its evidence."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sagafuzz import Violation
from sagafuzz.history import Fired
from sagafuzz.reports.diagram import diagram
from sagafuzz.reports.evidence import LAST_ROWS, evidence
from sagafuzz.reports.line import Line, LineKind, Mark
from sagafuzz.reports.shown import shown
from sagafuzz.reports.strikes import struck_rows

ABOUT = Violation(
    invariant="I1", anomaly="a", sentence="s", expected="e", got="g", saga="saga-1", step="payment", direction="F"
)


def line(number: int, kind: LineKind = "call", saga: str = "saga-1", step: str = "order") -> Line:
    return Line(t_us=number, kind=kind, text=f"{kind} {number}", rows=(number,), saga=saga, step=step)


def texts(lines: list[Line]) -> list[str]:
    return [one.text for one in lines]


def many(*kinds: LineKind, of: int = 40) -> list[Line]:
    return [line(number, kinds[number % len(kinds)]) for number in range(of)]


def test_a_short_diagram_is_whole() -> None:
    lines = many("call", "write", "submit", of=28)
    assert shown(lines, (), ABOUT, 28) == lines


@pytest.mark.parametrize("limit", [1, 3, 28])
@pytest.mark.parametrize("kind", ["crash", "restart", "event", "odd", "end"])
def test_what_befell_a_process_always_stays(kind: LineKind, limit: int) -> None:
    lines = [*many("call"), *(line(number, kind) for number in range(40, 80))]
    assert [one for one in shown(lines, (), ABOUT, limit) if one.kind == kind] == lines[40:]


@pytest.mark.parametrize("limit", [1, 3, 28])
@pytest.mark.parametrize("kind", ["call", "arrival", "write", "submit", "timeout", "client", "person"])
def test_so_do_marks_and_evidence_whatever_their_kind(kind: LineKind, limit: int) -> None:
    lines = many(kind, of=60)
    lines[20] = replace(lines[20], marks=(Mark(kind="fault", text="lost-ack"),))
    kept = shown(lines, (40,), None, limit)
    assert lines[20] in kept and lines[40] in kept
    assert sum(one.kind == "elided" for one in kept) == 3


def test_what_is_left_out_is_counted_and_a_single_line_is_not() -> None:
    lines = [line(0, "crash"), line(1), line(2, "crash"), *(line(number) for number in range(3, 40)), line(40, "end")]
    expected = ["crash 0", "call 1", "crash 2", "… 37 events left out …", "end 40"]
    assert texts(shown(lines, (), ABOUT, 5)) == expected


def test_writes_give_way_before_calls_other_sagas_before_other_steps() -> None:
    ours, theirs = line(1, step="payment"), line(2, saga="saga-2", step="payment")
    other, write, client = line(3, step="order"), line(4, "write"), line(5, "client")
    lines = [one for one in (ours, theirs, other, write, client) for _ in range(2)]

    def left(limit: int) -> set[str]:
        return {one.text for one in shown(lines, (), ABOUT, limit) if one.kind != "elided"}

    everything = {one.text for one in (ours, theirs, other, write, client)}
    assert left(10) == everything
    assert left(9) == everything - {write.text}
    assert left(8) == {ours.text, other.text, client.text}
    assert left(7) == {ours.text, client.text}
    assert left(4) == {ours.text}
    assert left(2) == set()


# -- evidence ----------------------------------------------------------------------------------


def test_the_effects_of_the_step_are_evidence_the_first_and_the_last(make: SimpleNamespace) -> None:
    """The request that was sent first and last, and how they fared, are as well; all between is not."""
    apply = ("APPLY", (True, "saga-1", ()))
    rows = [row for n in range(50) for row in make.charge(10 * n, n + 1, make.SEND, make.ARRIVES, apply, attempt=n + 1)]
    found = evidence(make.history(rows), replace(make.DOUBLE, position=5))
    assert found == {0, 2, 3, 5, 149}


def test_a_saga_and_a_step_that_only_the_words_name_are_evidence(make: SimpleNamespace) -> None:
    apply = ("APPLY", (True, "saga-2", ()))
    rows = [
        *make.charge(0, 1, make.SEND, make.ARRIVES, apply, saga="saga-2"),
        *make.charge(5, 2, ("SEND", ("inventory.reserve", ())), apply, saga="saga-3", step="inventory"),
        make.row(9, "CLIENT_ACK", "client", "completed", saga="saga-2"),
        make.row(10, "END", "harness", "quiescent", saga=""),
    ]
    history = make.history(rows, sagas=("saga-1", "saga-2", "saga-3"))
    words = {"sentence": "payment.charge for saga-1 was kept back by saga-2", "expected": "e", "got": "g"}
    assert evidence(history, Violation(invariant="S1", anomaly="a", saga="saga-1", **words)) == {0, 2, 5, 6}  # type: ignore[arg-type]


def test_a_record_that_is_named_is_evidence(make: SimpleNamespace) -> None:
    rows = [make.row(n, "LOGACK", make.ORCHESTRATOR, record, 1) for n, record in enumerate(("create", "intent"))]
    rows.append(make.row(2, "END", "harness", "quiescent", saga=""))
    late = replace(ABOUT, step="", sentence="it was sent before its record 'intent' was durable")
    assert 1 in evidence(make.history(rows), late)


def test_where_nothing_is_named_the_last_events_are_evidence(make: SimpleNamespace) -> None:
    rows = [row for n in range(20) for row in make.charge(10 * n, n + 1, make.SEND, make.ARRIVES, attempt=n + 1)]
    nothing = replace(ABOUT, saga="", step="", sentence="it goes round without an end")
    assert evidence(make.history(rows), nothing) == set(range(40 - LAST_ROWS, 40))
    assert evidence(make.history([]), nothing) == set()


def test_the_first_use_of_a_key_is_evidence_where_its_second_is_told(make: SimpleNamespace) -> None:
    rows = [*make.charge(0, 1, make.SEND, key="k", saga="saga-2"), *make.charge(1, 2, make.SEND, key="k")]
    history = make.history(rows, sagas=("saga-1", "saga-2"))
    assert evidence(history, replace(ABOUT, position=1)) == {0, 1}


# -- strikes -----------------------------------------------------------------------------------


def test_a_fault_is_shown_by_the_row_of_its_site_and_not_by_what_comes_next(make: SimpleNamespace) -> None:
    """Here another saga does something between the request and what becomes of it."""
    send, deliver = make.charge(1, 1, make.SEND, make.ARRIVES)
    other = make.charge(1.5, 2, make.SEND, saga="saga-2")[0]
    timeout = make.row(1001, "TIMEOUT", make.ORCHESTRATOR, 1000.0, step="payment", direction="F", attempt=1, msg=1)
    rows = [send, other, deliver, timeout]
    for kind, phase, position, shown_by in (
        ("timeout", "send", 1, 0),
        ("error-before-effect", "effect", 3, 2),
        ("reject", "effect", 3, 2),
    ):
        history = make.history(rows, Fired(position=position, fault=make.fault(kind, phase)))
        assert struck_rows(history) == (shown_by,)
    assert struck_rows(make.history([], Fired(position=0, fault=make.LOST_ACK))) == ()


def test_a_query_is_known_by_its_operation(make: SimpleNamespace) -> None:
    asked = ("SEND", ("payment.status", ()))
    rows = [
        *make.charge(1, 1, make.SEND, make.ARRIVES, ("APPLY", (True, "saga-1", ()))),
        *make.charge(
            5, 2, asked, make.ARRIVES, ("APPLY", (False, "", ())), ("LOST", ("answer",)), step="", direction=""
        ),
    ]
    struck = make.fault("lost-ack", "ack", subject="payment.status", direction="Q")
    history = make.history(rows, Fired(position=6, fault=struck))
    assert struck_rows(history) == (5,)
    (line,) = [line for line in diagram(history).lines if line.marks]
    assert (line.text, line.fate) == ("status", "handled, answer lost")
