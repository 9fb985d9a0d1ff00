"""Each fault does to a real process what it does to a simulated one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sagafuzz.errors import UsageError
from sagafuzz.invariants import check
from sagafuzz.live.case import LiveRun
from sagafuzz.live.manifest import as_adapter, manifest_of
from sagafuzz.reports import SCHEDULES
from sagafuzz.simulator import Setup

from .conftest import example, fault, run

NAIVE = "python/naive.toml"
CORRECT = "python/correct.toml"


def kinds(live: LiveRun, **where: Any) -> list[str]:
    fields = {"process": 2, "step": 4, "direction": 5}
    return [row[1] for row in live.run.rows if all(row[fields[name]] == value for name, value in where.items())]


def outcome(live: LiveRun) -> str:
    return next((row[9][0] for row in reversed(live.run.rows) if row[1] == "CLIENT_ACK"), "")


def violated(setup: Setup, live: LiveRun, plan: Any) -> set[str]:
    assert not live.blocked, live.blocked
    assert len(live.run.fired) == len(plan.faults)
    return {violation.invariant for violation in check(live.run.history(setup, plan)).violations}


def test_without_a_fault_the_order_goes_through() -> None:
    setup = example(CORRECT)
    live = run(setup, gentle=True)
    assert (live.blocked, live.engine, outcome(live)) == ("", "correct", "completed")
    assert kinds(live, step="payment", direction="F") == ["SEND", "DELIVER", "APPLY", "ACK"]
    assert [row[9] for row in live.run.rows if row[1] == "END"] == [("quiescent",)]
    assert not check(live.run.history(setup, fault("reject", "order", "F", "effect"))).violations


def test_a_killed_worker_is_dead_and_another_one_resumes() -> None:
    setup, plan = example(CORRECT), fault("crash-after-effect", "inventory", "F", "effect")
    live = run(setup, plan)
    assert violated(setup, live, plan) == set()
    seen = [row[1] for row in live.run.rows if row[1] in ("CRASH", "BOOT")]
    assert seen == ["BOOT", "CRASH", "BOOT"]
    assert outcome(live) == "completed"


def test_what_the_naive_one_did_before_it_was_killed_stays() -> None:
    setup, plan = example(NAIVE), fault("crash-after-ack", "inventory", "F", "ack")
    live = run(setup, plan)
    assert violated(setup, live, plan) == {"I13"}
    assert outcome(live) == ""


def test_a_lost_ack_is_a_reset_after_the_effect() -> None:
    setup, plan = example(NAIVE), fault("lost-ack", "payment", "F", "ack")
    live = run(setup, plan)
    assert kinds(live, step="payment", direction="F") == ["SEND", "DELIVER", "APPLY", "LOST", "TIMEOUT"]
    assert violated(setup, live, plan) == {"I5"}


def test_a_lost_request_has_no_effect() -> None:
    live = run(example(CORRECT), fault("lost-request", "payment", "F", "send"))
    assert kinds(live, step="payment", direction="F")[:3] == ["SEND", "LOST", "TIMEOUT"]
    assert outcome(live) == "completed"


def test_a_slow_request_is_applied_after_its_caller_gave_up() -> None:
    setup, plan = example(NAIVE), fault("timeout", "payment", "F", "send")
    live = run(setup, plan)
    seen = kinds(live, step="payment", direction="F")
    assert seen == ["SEND", "TIMEOUT", "DELIVER", "APPLY"]
    waited_ms = next(row[9][0] for row in live.run.rows if row[1] == "TIMEOUT")
    assert 350 <= waited_ms < 900
    assert violated(setup, live, plan) == {"I5"}


@pytest.mark.parametrize(("system", "expected"), [(NAIVE, {"I1"}), (CORRECT, set())])
def test_a_duplicate_takes_effect_twice_only_without_a_key(system: str, expected: set[str]) -> None:
    setup, plan = example(system), fault("duplicate", "payment", "F", "send")
    assert violated(setup, run(setup, plan), plan) == expected


@pytest.mark.parametrize("kind", ["error-before-effect", "error-after-effect", "participant-restart"])
def test_the_correct_one_survives_a_participant_that_fails(kind: str) -> None:
    setup, plan = example(CORRECT), fault(kind, "payment", "F", "effect")
    live = run(setup, plan)
    assert violated(setup, live, plan) == set()
    assert outcome(live) in ("completed", "compensated")  # by whether it is back before the last attempt


def test_a_refusal_of_the_moment_is_definite_and_forgotten() -> None:
    setup, plan = example(CORRECT), fault("refused-once", "payment", "F", "effect")
    assert "refused-once" not in setup.kinds, "its manifest declares nothing"
    manifest = replace(manifest_of(setup.adapter), forgetting_refusals=("payment",))
    setup = replace(setup, adapter=as_adapter(manifest, setup.adapter.spec))
    with pytest.raises(UsageError, match="forgetting_refusals has 'paymnt'"):
        as_adapter(replace(manifest, forgetting_refusals=("paymnt",)), "")
    live = run(setup, plan)
    assert violated(setup, live, plan) == set()
    assert kinds(live, step="payment", direction="F") == ["SEND", "DELIVER", "REJECT", "ACK"]
    assert outcome(live) == "compensated"


def test_a_manifest_says_how_widely_a_key_is_known() -> None:
    manifest = replace(manifest_of(example(CORRECT).adapter), key_scope={"payment": "account"})
    assert as_adapter(manifest, "").declared["key_scope"] == {"payment": "account"}
    told = {"mean 'account'": {"payment": "acount"}, "key_scope has 'paymnt'": {"paymnt": "account"}}
    for problem, wrong in told.items():
        with pytest.raises(UsageError, match=problem):
            as_adapter(replace(manifest, key_scope=wrong), "")


def test_a_compensation_that_fails_for_good_is_put_in_a_persons_hands() -> None:
    setup, plan = example(CORRECT, "declined"), fault("undo-fails", "inventory", "C", "effect")
    live = run(setup, plan)
    assert violated(setup, live, plan) == set()
    assert outcome(live) == "stuck"
    assert {"DEAD_LETTER", "ALERT", "HEAL"} <= set(kinds(live))


def test_a_crash_strikes_on_either_side_of_a_durable_write() -> None:
    setup = example(CORRECT)
    for kind, phase, acked in (("crash-before-log", "log", False), ("crash-after-log", "logged", True)):
        plan = fault(kind, "outcome order", "", phase)
        live = run(setup, plan)
        assert violated(setup, live, plan) == set()
        before = [row[1] for row in live.run.rows[: kinds(live).index("CRASH")] if row[9][:2] == ("outcome", 1)]
        assert before == (["LOG", "LOGACK"] if acked else ["LOG"])


def test_a_paused_worker_wakes_and_goes_on() -> None:
    setup, plan = example(CORRECT), fault("pause", "payment", "F", "send")
    live = run(setup, plan)
    assert violated(setup, live, plan) == set()
    seen = kinds(live)
    assert seen.index("PAUSE") < len(seen) - 1 - seen[::-1].index("BOOT") < seen.index("WAKE")
    assert [row[2] for row in live.run.rows if row[1] in ("PAUSE", "WAKE")] == ["orchestrator"] * 2
    assert "stands still" in (told := SCHEDULES["text"].render(live.run.history(setup, plan))) and " wakes" in told
    payers = {row[2] for row in live.run.rows if row[1] == "SEND" and row[4] == "payment"}
    assert payers == {"orchestrator", "orchestrator#2"}


def test_two_orders_for_the_last_piece_meet_in_the_same_order_each_time() -> None:
    setup = example(CORRECT, "two-on-one-item")
    orders = set()
    for _ in range(3):
        live = run(setup)
        orders.add(tuple((row[3], row[4], row[5]) for row in live.run.rows if row[1] == "APPLY"))
    assert len(orders) == 1
