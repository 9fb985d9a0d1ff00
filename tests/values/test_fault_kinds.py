"""A row of the table of kinds: what it must say, and what follows from its effects."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sagafuzz.effects import (
    AFTER,
    AT_ACK,
    AT_BOOT,
    AT_EFFECT,
    AT_LOG,
    AT_LOGGED,
    AT_SEND,
    BEFORE,
    CUT_OFF,
    DEAD,
    DECIDED,
    FAILING,
    NO_EXPIRY,
    REASONS,
    UNSHARED,
    Crash,
    DelayAnswer,
    Fail,
    JumpClock,
    LoseAnswer,
    LoseRequest,
    Refuse,
    StoreOutage,
    Tear,
)
from sagafuzz.fault_kinds import FAULT_KINDS, FaultKind, impossible, register, registered
from sagafuzz.faults import Fault, Site, chosen_kinds, kind_groups

LOST_WITH_ITS_SENDER = FaultKind(
    name="lost-with-its-sender",
    phase=AT_SEND,
    effects=(LoseRequest(), Crash(when=AFTER)),
    meaning="the request is lost and the orchestrator dies",
)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FaultKind(name="x", phase=AT_SEND, effects=(), meaning=""), "'x' has no effect; name one of"),
        (lambda: FaultKind(name="x", phase=AT_ACK, effects=(LoseRequest(),), meaning=""), r"LoseRequest\(\) cannot be"),
        (
            lambda: FaultKind(name="x", phase=AT_LOG, effects=(Crash(when=AFTER),), meaning=""),
            "cannot be done at 'log'",
        ),
        (lambda: FaultKind(name="x", phase=AT_BOOT, effects=(Crash(when=AFTER),), meaning=""), "cannot be done at"),
        (lambda: FaultKind(name="x", phase=AT_LOG, effects=(Tear(), StoreOutage()), meaning=""), "no world can do"),
        (lambda: FaultKind(name="x", phase=AT_ACK, effects=(LoseAnswer(),), meaning="", needs="luck"), "needs 'luck'"),
    ],
)
def test_a_row_that_says_nothing_possible_is_refused(make: Callable[[], FaultKind], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_name_stands_in_the_table_once() -> None:
    with pytest.raises(ValueError, match="'reject' is registered twice"):
        register(FAULT_KINDS["reject"])


def test_a_kind_is_known_everywhere_as_long_as_it_is_registered() -> None:
    site = Site("saga-1", "pay", "F", AT_SEND, 1)
    with registered(LOST_WITH_ITS_SENDER):
        assert Fault(kind="lost-with-its-sender", site=site).kind in kind_groups()["all"]
        assert chosen_kinds("lost-with-its-sender,reject") == ("reject", "lost-with-its-sender")
        assert impossible(AT_SEND, CUT_OFF)["lost-with-its-sender"] == REASONS[CUT_OFF]
    assert "lost-with-its-sender" not in FAULT_KINDS
    assert "lost-with-its-sender" not in impossible(AT_SEND, CUT_OFF)


def kind(phase: str, *effects: object) -> FaultKind:
    return FaultKind(name="x", phase=phase, effects=effects, meaning="")  # type: ignore[arg-type]


def test_what_a_kind_is_follows_from_its_effects() -> None:
    assert LOST_WITH_ITS_SENDER.crash
    assert LOST_WITH_ITS_SENDER.takes_over
    assert (kind(AT_LOG, Tear(), Crash(when=BEFORE)).simulated, kind(AT_LOG, Tear()).live) == (True, False)
    assert (kind(AT_LOG, StoreOutage()).simulated, kind(AT_LOG, StoreOutage()).live) == (False, True)
    assert kind(AT_ACK, DelayAnswer(by_ms=2)).only_delays
    assert not kind(AT_ACK, DelayAnswer(by_ms=2, late=True)).only_delays
    assert kind(AT_SEND, JumpClock(by_s=60), JumpClock(by_s=-60)).only_jumps_clock
    assert not kind(AT_SEND, JumpClock(by_s=60), LoseRequest()).only_jumps_clock


@pytest.mark.parametrize(
    ("phase", "when", "visible"),
    [
        (AT_SEND, BEFORE, 0),
        (AT_SEND, AFTER, 1),
        (AT_EFFECT, AFTER, 1),
        (AT_ACK, AFTER, 0),
        (AT_LOG, BEFORE, 0),
        (AT_LOGGED, AFTER, 0),
    ],
)
def test_of_a_mere_crash_it_is_known_how_much_outlives_the_process_at_its_site(
    phase: str, when: str, visible: int
) -> None:
    assert kind(phase, Crash(when=when)).visible_first == visible  # type: ignore[arg-type]


def test_a_crash_with_another_effect_is_no_mere_crash() -> None:
    assert LOST_WITH_ITS_SENDER.visible_first is None
    assert FAULT_KINDS["lost-write"].visible_first is None


def test_what_cannot_act_is_told_with_what_lasts_before_what_passes() -> None:
    assert impossible(AT_EFFECT, DECIDED | NO_EXPIRY)["expiry"] == REASONS[NO_EXPIRY]
    assert impossible(AT_EFFECT, DECIDED)["expiry"] == REASONS[DECIDED]
    assert impossible(AT_EFFECT, DECIDED) == dict.fromkeys(
        ("reject", "expiry", "refused-once", "hollow-success"), REASONS[DECIDED]
    )
    assert set(impossible(AT_EFFECT, FAILING)) == {k.name for k in FAULT_KINDS.values() if k.phase == AT_EFFECT}
    assert set(impossible(AT_SEND, UNSHARED)) == {"overtaken", "overtaken-twice"}
    assert impossible(AT_SEND, UNSHARED) is impossible(AT_SEND, UNSHARED)


def test_nothing_that_happens_before_a_request_leaves_is_barred_where_none_gets_through() -> None:
    free = {k.name for k in FAULT_KINDS.values() if k.phase == AT_SEND} - set(impossible(AT_SEND, CUT_OFF))
    resubmits = {"resubmit", "resubmit-late", "resubmit-elsewhere"}
    assert free == {"crash-before-send", "pause", "cancel", "clock-forward", "clock-back"} | resubmits


def test_a_dead_process_cannot_die_or_pause() -> None:
    for phase in (AT_SEND, AT_EFFECT, AT_ACK, AT_LOG, AT_LOGGED):
        dying = {k.name for k in FAULT_KINDS.values() if k.phase == phase and (k.crash or k.name == "pause")}
        assert set(impossible(phase, DEAD)) == dying


def test_an_effect_is_a_value() -> None:
    assert Refuse() == Refuse()
    assert Fail(when=BEFORE) != Fail(when=AFTER)
    assert len({Fail(when=BEFORE), Fail(when=BEFORE)}) == 1
