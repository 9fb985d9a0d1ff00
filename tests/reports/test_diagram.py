"""The space-time diagram: first the structure, then how it is printed, then what is left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sagafuzz import Plan, Site, Violation
from sagafuzz.faults import FAULT_KINDS, Fault
from sagafuzz.history import Fired, History
from sagafuzz.reports.diagram import COLUMNS, Diagram, Line, Mark, diagram, to_text

FAULT = Mark(kind="fault", text="lost-ack")
VIOLATION = Mark(kind="violation", text="violation")


def test_a_lost_ack(make: SimpleNamespace) -> None:
    about = {"saga": "saga-1", "step": "payment"}
    assert diagram(make.lost_ack(), make.DOUBLE) == Diagram(
        lanes=("orchestrator", "payment"),
        lines=(
            Line(
                t_us=0, kind="submit", text="the client asks: 1 × item-1, amount 100", rows=(0,), saga="saga-1", step=""
            ),
            Line(
                t_us=1000,
                kind="call",
                text="charge",
                target="payment",
                fate="applied +100, answer lost",
                marks=(FAULT,),
                rows=(1, 2, 3, 4),
                **about,
            ),
            Line(
                t_us=1_001_000,
                kind="timeout",
                text="TIMEOUT charge after 1000 ms, outcome unknown",
                rows=(5,),
                **about,  # type: ignore[arg-type]
            ),
            Line(
                t_us=1_001_500,
                kind="call",
                text="charge #2",
                target="payment",
                fate="applied again +100",
                marks=(VIOLATION,),
                rows=(6, 7, 8, 9),
                **about,
            ),
            Line(t_us=1_005_000, kind="client", text="tells the client: completed", rows=(10,), saga="saga-1"),
            Line(t_us=1_005_000, kind="end", text="end, all at rest", rows=(11,)),
        ),
    )


def test_a_crash_with_its_moment(make: SimpleNamespace) -> None:
    picture = diagram(make.crash(), make.ZOMBIE)
    assert picture.lines[2:] == (
        Line(
            t_us=4000,
            kind="crash",
            text='CRASH before the write "outcome payment"',
            marks=(Mark(kind="fault", text="crash-before-log"),),
            rows=(5, 6),
        ),
        Line(t_us=104_000, kind="restart", text="restart", rows=(7,)),
        Line(t_us=104_000, kind="end", text="end, all at rest", marks=(VIOLATION,), rows=(8,)),
    )


@pytest.mark.parametrize(("struck", "text"), [(2, "restart, no more faults"), (3, "restart"), (5, "restart")])
def test_a_last_restart_says_that_no_faults_follow_only_where_none_does(
    make: SimpleNamespace, struck: int, text: str
) -> None:
    """A boot can be struck itself (then its fault stands at its own position), and so can what follows it."""
    rows = (
        make.row(0, "SUBMIT", "client", "item-1", 1, 100),
        make.row(1, "SEND", "orchestrator", "payment.charge", (), step="payment", direction="F", attempt=1, msg=1),
        make.row(2, "CRASH", "orchestrator", "final restart", saga=""),
        make.row(3, "BOOT", "orchestrator#2", 2, "heal", saga=""),
        make.row(4, "SEND", "orchestrator#2", "payment.charge", (), step="payment", direction="F", attempt=2, msg=2),
        make.row(5, "END", "harness", "quiescent", saga=""),
    )
    fired = (Fired(position=struck, fault=make.fault("lost-ack", "ack")),)
    history = make.History(saga=make.SAGA, sagas=("saga-1",), rows=rows, fired=fired)
    assert [line.text for line in diagram(history).lines if line.kind == "restart"] == [text]


def test_it_is_printed_with_arrows_and_marks(make: SimpleNamespace) -> None:
    assert to_text(diagram(make.lost_ack(), make.DOUBLE)) == LOST_ACK_TEXT


LOST_ACK_TEXT = """\
         t   orchestrator      payment
       0ms   the client asks: 1 × item-1, amount 100
       1ms   charge ─────────▶ applied +100, answer lost   ⚡ lost-ack
    1001ms   TIMEOUT charge after 1000 ms, outcome unknown
  1001.5ms   charge #2 ──────▶ applied again +100          ◀── violation
    1005ms   tells the client: completed
    1005ms   end, all at rest"""


def test_without_a_violation_nothing_is_marked_but_the_faults(make: SimpleNamespace) -> None:
    marks = [mark for line in diagram(make.lost_ack()).lines for mark in line.marks]
    assert marks == [FAULT]


@pytest.mark.parametrize("position", range(12))
def test_the_violation_is_marked_wherever_it_is(make: SimpleNamespace, position: int) -> None:
    """Also at an event that has no line of its own, such as a write."""
    for history in (make.lost_ack(), make.crash()):
        violation = Violation(invariant="I1", anomaly="a", sentence="s", expected="e", got="g", position=position)
        marked = [line for line in diagram(history, violation).lines if VIOLATION in line.marks]
        assert len(marked) == 1
        assert min(position, len(history.rows) - 1) in marked[0].rows


def test_an_arrival_after_a_crash_has_its_own_line(make: SimpleNamespace) -> None:
    """So that no effect is shown before what came before it."""
    send, deliver, apply = make.charge(1, 1, make.SEND, make.ARRIVES, ("APPLY", (True, "saga-1", make.money(100))))
    struck = make.fault("crash-after-send", "send")
    rows = [send, make.row(1, "CRASH", make.ORCHESTRATOR, "crash-after-send", saga=""), deliver, apply]
    picture = diagram(make.history(rows, Fired(position=1, fault=struck)))
    assert [(line.kind, line.text, line.fate) for line in picture.lines] == [
        ("call", "charge", "on its way"),
        ("crash", "CRASH right after sending charge", ""),
        ("arrival", "charge arrives", "applied +100"),
    ]


def test_effects_of_one_saga_are_never_shown_out_of_order(make: SimpleNamespace) -> None:
    """Two calls at once, the later one takes effect first: the earlier one arrives by a line of its own. A participant
    that shows no counter counts nothing, whatever amount the request names."""
    first = make.charge(1, 1, make.SEND, make.ARRIVES, ("APPLY", (True, "saga-1", ())))
    second = make.charge(1, 2, make.SEND, make.ARRIVES, ("APPLY", (True, "saga-1", ())), attempt=2)
    picture = diagram(make.history([first[0], *second, *first[1:]]))
    assert [(line.text, line.fate) for line in picture.lines] == [
        ("charge", "on its way"),
        ("charge #2", "applied"),
        ("charge arrives", "applied again"),
    ]


@pytest.mark.parametrize(
    ("events", "fate"),
    [
        ([("LOST", ("request",))], "request lost, not applied"),
        ([("DELIVER", (1,)), ("REJECT", ("declined",))], "refused: declined"),
        ([("DELIVER", (1,)), ("REJECT", ("refused by the business",))], "refused by the business"),
        ([("DELIVER", (1,)), ("ERROR", ("internal error",))], "not applied: internal error"),
        (
            [("DELIVER", (1,)), ("APPLY", (True, "saga-1", ())), ("ACK", ("error",))],
            "applied, answers an error",
        ),
        ([("DELIVER", (1,)), ("APPLY", (False, "saga-1", ()))], "no effect"),
        ([], "unknown"),
    ],
)
def test_the_fates_of_a_call(make: SimpleNamespace, events: list[tuple[str, tuple[object, ...]]], fate: str) -> None:
    (line,) = diagram(make.history(make.charge(0, 1, make.SEND, *events))).lines
    assert line.fate == fate


def test_a_compensation_of_nothing_says_so(make: SimpleNamespace) -> None:
    send = ("SEND", ("payment.refund", ()))
    rows = make.charge(0, 1, send, make.ARRIVES, ("APPLY", (False, "saga-1", ())), direction="C")
    assert diagram(make.history(rows)).lines[0].fate == "nothing to undo, no effect"


def test_two_sagas_are_told_apart(make: SimpleNamespace) -> None:
    rows = [
        *make.charge(0, 1, make.SEND, make.ARRIVES, ("REJECT", ("declined",)), saga="saga-2"),
        make.row(4, "CLIENT_ACK", "client", "compensated", saga="saga-2"),
    ]
    picture = diagram(make.history(rows, sagas=("saga-1", "saga-2")))
    assert [line.text for line in picture.lines] == ["saga-2 charge", "saga-2 tells the client: compensated"]


def test_durable_writes_are_shown_those_that_follow_at_once_on_one_line(make: SimpleNamespace) -> None:
    def write(t_ms: float, kind: str, record: str, step: str = "") -> object:
        return make.row(t_ms, kind, make.ORCHESTRATOR, record, 1, step=step)

    rows = [
        *(write(0, kind, "create") for kind in ("LOG", "LOGACK")),
        *(write(0.2, kind, "intent", "payment") for kind in ("LOG", "LOGACK")),
        *make.charge(1, 1, make.SEND, make.ARRIVES, ("APPLY", (True, "saga-1", make.money(100))), ("ACK", ("ok",))),
        *(write(5, kind, "outcome", "payment") for kind in ("LOG", "LOGACK")),
        write(6, "LOG", "terminal"),
        make.row(6, "TERMINAL", make.ORCHESTRATOR, "completed"),
        write(6, "LOGACK", "terminal"),
    ]
    assert [(line.text, line.rows) for line in diagram(make.history(rows)).lines] == [
        ('durable: "create", "intent payment"', (0, 1, 2, 3)),
        ("charge", (4, 5, 6, 7)),
        ('durable: "outcome payment"', (8, 9)),
        ("declares completed", (11, 10, 12)),
    ]


def test_a_write_without_a_name_is_shown_where_another_process_goes_on_from_it(make: SimpleNamespace) -> None:
    rows = [make.row(0, "LOGACK", make.ORCHESTRATOR, "write", 1), make.row(1, "CLIENT_ACK", "client", "completed")]
    assert [line.kind for line in diagram(make.history(rows)).lines] == ["client"]
    started = make.row(2, "BOOT", "orchestrator#2", 2, "crash", saga="")
    assert [line.kind for line in diagram(make.history([*rows, started])).lines] == ["write", "client", "restart"]


def test_a_write_that_never_becomes_durable_says_so(make: SimpleNamespace) -> None:
    asked = make.row(1, "LOG", make.ORCHESTRATOR, "intent", 1, step="payment")
    (line,) = diagram(make.history([asked])).lines
    assert line.text == 'asks for "intent payment": never durable'


def test_what_befalls_a_process_a_clock_a_store_and_a_reservation_has_a_line(make: SimpleNamespace) -> None:
    rows = [
        make.row(0, "PAUSE", make.ORCHESTRATOR, 10_000, saga=""),
        make.row(1, "CLOCK", "harness", -3600, saga=""),
        make.row(2, "CANCEL", "client"),
        make.row(3, "LOGLOST", make.ORCHESTRATOR, "outcome", 1, step="payment"),
        make.row(4, "EXPIRE", "payment", "customer", 100, step="payment", direction="F"),
        make.row(5, "ADOPT", make.ORCHESTRATOR, 1, "v1"),
        make.row(5, "ADOPT", make.ORCHESTRATOR, 2, "v1"),
        make.row(6, "CRASH", make.ORCHESTRATOR, "final restart", saga=""),
        make.row(7, "HEAL", "harness", saga=""),
    ]
    assert [line.text for line in diagram(make.history(rows), limit=3).lines] == [
        "stands still for 10 s",
        "the wall clock jumps by -3600 s",
        "the client cancels saga-1",
        'LOST: the write "outcome payment", which was durable',
        "payment withdraws what charge took: its time is over",
        'takes saga-1 on, epoch 2, definition "v1"',
        "the harness stops it, for a last start",
        "an operator repairs what fails",
    ]


def test_where_two_processes_live_at_once_each_line_says_whose_it_is(make: SimpleNamespace) -> None:
    rows = [
        make.row(0, "BOOT", make.ORCHESTRATOR, 1, "start", saga=""),
        make.row(1, "BOOT", "orchestrator#2", 2, "second", saga=""),
        *make.charge(2, 1, make.SEND, make.ARRIVES, ("APPLY", (True, "saga-1", make.money(100)))),
        make.row(5, "CRASH", make.ORCHESTRATOR, "killed", saga=""),
        make.row(6, "CLIENT_ACK", "client", "pending"),
    ]
    assert [line.text for line in diagram(make.history(rows)).lines] == [
        "[2] starts as orchestrator#2, beside [1]",
        "[1] charge",
        "CRASH [1] (killed)",
        "tells the client: pending",
    ]


def test_what_a_participant_read_is_told_where_the_violation_rests_on_it(make: SimpleNamespace) -> None:
    about = {"step": "payment", "direction": "F", "attempt": 1, "msg": 1}
    rows = [
        *make.charge(1, 1, make.SEND, make.ARRIVES),
        make.row(2, "READ", "payment", "limit", 3, False, **about),
        make.row(2, "WRITE", "payment", "limit", 4, "set", **about),
        make.row(2, "APPLY", "payment", True, "saga-1", (), **about),
    ]
    words = {"sentence": "saga-1 read payment/limit twice", "expected": "e", "got": "g", "saga": "saga-1"}
    seen = Violation(invariant="I25", anomaly="fuzzy-read", step="payment", position=2, **words)
    assert diagram(make.history(rows), seen).lines[0].fate == "reads limit v3, writes limit v4, applied"
    assert diagram(make.history(rows)).lines[0].fate == "applied"


def long_history(make: SimpleNamespace, calls: int, step: str = "inventory") -> History:
    """Many calls without a fault around the lost ack."""
    rows = list(make.lost_ack().rows)
    send = ("SEND", (f"{step}.reserve", ()))
    many = [
        event
        for n in range(calls)
        for event in make.charge(3, 100 + n, send, make.ARRIVES, ("APPLY", (False, "saga-1", ())), step=step)
    ]
    return make.history([rows[0], *many, *rows[1:]], Fired(position=4 + len(many), fault=make.LOST_ACK))


def test_uneventful_stretches_of_a_long_schedule_are_left_out(make: SimpleNamespace) -> None:
    calls = 40
    violation = Violation(**{**vars(make.DOUBLE), "position": 8 + 3 * calls})
    texts = [line.text for line in diagram(long_history(make, calls), violation).lines]
    assert texts == [
        "the client asks: 1 × item-1, amount 100",
        "… 120 events left out …",
        "charge",
        "TIMEOUT charge after 1000 ms, outcome unknown",
        "charge #2",
        "tells the client: completed",
        "end, all at rest",
    ]


def test_a_livelock_fits_on_two_screens_with_its_marks(make: SimpleNamespace) -> None:
    violation = Violation(**{**vars(make.DOUBLE), "position": 8 + 3 * 5000})
    picture = diagram(long_history(make, 5000, step="payment"), violation)
    assert len(picture.lines) < 65
    assert [mark.kind for line in picture.lines for mark in line.marks] == ["fault", "violation"]


def test_many_participants_share_a_column(make: SimpleNamespace) -> None:
    rows = [
        event
        for n in range(12)
        for event in make.charge(n, n + 1, ("SEND", (f"participant-{n}.do", ())), step=f"step-{n}")
    ]
    text = to_text(diagram(make.history(rows)))
    assert "▶ participant-11: unknown" in text
    assert max(map(len, text.splitlines())) <= COLUMNS


@pytest.mark.parametrize("scenario", ["succeeds", "declined", "two-on-one-item"])
def test_every_pair_of_faults_on_the_reference_fits_on_a_screen(scenario: str) -> None:
    """A sample over all kinds; each fault that fired is marked exactly once."""
    from sagafuzz.adapters.reference import Reference
    from sagafuzz.simulator import Setup, simulate

    adapter = Reference.__sagafuzz_adapter__  # type: ignore[attr-defined]
    setup = Setup(adapter=adapter, scenario=adapter.scenario(scenario))
    for number, kind in enumerate(FAULT_KINDS.values()):
        site = Site("saga-1", "payment", kind.directions[0], kind.phase, 1)
        if kind.phase in {"log", "logged"}:
            site = Site("saga-1", "outcome inventory", "", kind.phase, 1)
        if kind.name not in setup.kinds or kind.phase == "boot":
            continue
        other = Site("saga-1", "order", "F", "ack", 1)
        plan = Plan(faults=(Fault(kind="lost-ack", site=other), Fault(kind=kind.name, site=site)))
        history = simulate(setup, plan).history(setup, plan)
        violation = Violation(
            invariant="I1",
            anomaly="a",
            sentence="s",
            expected="e",
            got="g",
            step="payment",
            position=(number * 7) % len(history.rows),
        )
        picture = diagram(history, violation)
        marks = sorted(mark.text for line in picture.lines for mark in line.marks if mark.kind == "fault")
        assert marks == sorted(fired.fault.kind for fired in history.fired)
        lines = to_text(picture).splitlines()
        assert len(lines) <= 30
        assert max(map(len, lines)) <= COLUMNS


def test_a_start_that_follows_a_death_at_once_is_told_with_it(make: SimpleNamespace) -> None:
    """The state machine starts a process again as soon as it likes; where a fault struck, its line stays alone."""

    def rows(t_ms: float) -> list[object]:
        crash = make.row(4, "CRASH", make.ORCHESTRATOR, "crash-after-send", saga="")
        return [make.row(1, "SUBMIT", "client", "item-1", 1, 100), crash, make.row(t_ms, "BOOT", "o#2", 2, "", saga="")]

    struck = Fired(position=1, fault=make.fault("crash-after-send", "send"))
    for history, expected in (
        (make.history(rows(4)), ["CRASH (crash-after-send), restart"]),
        (make.history(rows(5)), ["CRASH (crash-after-send)", "restart"]),
        (make.history(rows(4), struck), ["CRASH right after sending charge", "restart"]),
    ):
        assert [line.text for line in diagram(history).lines[1:]] == expected


def test_a_call_that_is_taken_back_has_not_timed_out(make: SimpleNamespace) -> None:
    """The task that waited was cancelled: it waited for no time at all, and what left it says no more than its name."""
    about = {"step": "payment", "direction": "F", "attempt": 1, "msg": 1}
    rows = [
        make.row(0, "SEND", make.ORCHESTRATOR, "payment.charge", (), 0, **about),
        make.row(0, "TIMEOUT", make.ORCHESTRATOR, 0.0, **about),
        make.row(0, "RAISED", make.ORCHESTRATOR, "CancelledError", "", "run: shop.py:7", False),
        make.row(1, "END", "harness", "quiescent", saga=""),
    ]
    text = to_text(diagram(make.history(rows)))
    assert "gives charge up at once, outcome unknown" in text and "TIMEOUT" not in text
    assert "RAISES CancelledError in run: shop.py:7\n" in text


def test_a_counter_that_stays_as_it_is_is_not_shown(make: SimpleNamespace) -> None:
    about = {"step": "payment", "direction": "F", "attempt": 1, "msg": 1}
    rows = [
        make.row(0, "SEND", make.ORCHESTRATOR, "payment.charge", (), 0, **about),
        make.row(1, "DELIVER", "payment", 1, **about),
        make.row(1, "APPLY", "payment", True, None, ("money", "customer", 100, 0, 0, 100), **about),
        make.row(2, "END", "harness", "quiescent", saga=""),
    ]
    assert to_text(diagram(make.history(rows))).splitlines()[1].endswith("▶ applied")
