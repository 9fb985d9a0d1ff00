"""Each kind of fault does what the table of the fault model says that it means, and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from sagafuzz import Adapter, Outcome, PortError, Rejected, Saga, Scenario, Step
from sagafuzz.invariants import check
from sagafuzz.simulator import Setup

from .conftest import Laboratory, Trial

DECLINED = Scenario(rejections=((1, "payment.charge"),))


@pytest.fixture
def once(lab: Laboratory) -> Adapter:
    """Asks each step once and tells the client in a word what came of it; the second step's charge
    is undone, where it was refused or is unknown, as is the order."""

    def run(world: Any, order: Any) -> Outcome:
        world.call("order.create", saga=order.id, key="k")
        try:
            world.call("payment.charge", saga=order.id, key="k")
        except PortError as error:
            world.alert(order.id, step="pay", reason=type(error).__name__)
            if not isinstance(error, Rejected):
                world.call("payment.refund", saga=order.id, key="k")
            world.call("order.cancel", saga=order.id, key="k")
            return Outcome.COMPENSATED
        return Outcome.COMPLETED

    return lab.system(run)


def seen(trial: Trial) -> list[str]:
    """The exceptions that the code under test met."""
    return [event.data[0] for event in trial.of("ALERT")]


def test_without_a_fault_each_call_is_sent_delivered_applied_and_acknowledged_once(
    lab: Laboratory, once: Adapter
) -> None:
    trial = lab.trial(once)
    assert trial.story("order") == trial.story("pay") == ["SEND", "DELIVER", "APPLY", "ACK"]
    assert (trial.answers, trial.end, trial.fired) == (["completed"], "quiescent", [])


def test_lost_request_is_never_delivered_and_the_caller_times_out(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "lost-request pay F")
    assert trial.story("pay") == ["SEND", "LOST", "TIMEOUT"]
    assert trial.of("TIMEOUT")[0].t_us - trial.of("SEND", step="pay")[0].t_us == 1_000_000
    assert trial.of("TIMEOUT")[0].data == (1000.0,)
    assert seen(trial) == ["CallTimeout"]


def test_lost_ack_is_applied_and_the_caller_times_out_all_the_same(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "lost-ack pay F")
    assert trial.story("pay") == ["SEND", "DELIVER", "APPLY", "LOST", "TIMEOUT"]
    assert seen(trial) == ["CallTimeout"]


def test_the_caller_cannot_tell_a_lost_request_from_a_lost_ack(lab: Laboratory, once: Adapter) -> None:
    request, ack = lab.trial(once, "lost-request pay F"), lab.trial(once, "lost-ack pay F")
    assert request.of("TIMEOUT", "ALERT", "CLIENT_ACK") == ack.of("TIMEOUT", "ALERT", "CLIENT_ACK")


def test_duplicate_is_delivered_twice_one_right_after_the_other(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "duplicate pay F")
    first, second = trial.of("DELIVER", step="pay")
    assert (first.data, second.data, second.t_us) == ((1,), (2,), first.t_us)
    assert [event.data[0] for event in trial.of("APPLY", step="pay")] == [True, False]
    assert trial.answers == ["completed"]


def test_delayed_duplicate_arrives_after_the_compensation(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "delayed-duplicate order F", scenario=DECLINED)
    late = trial.of("DELIVER", step="order", direction="F")[1]
    undone = trial.of("APPLY", step="order", direction="C")[0]
    assert late.t_us == undone.t_us + 1000
    assert trial.events.index(late) > trial.events.index(undone)
    assert trial.of("REJECT", step="order")[0].data == ("already compensated",)


def test_delayed_duplicate_of_what_is_never_compensated_arrives_at_the_very_end(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "delayed-duplicate order F")
    assert trial.events[-3:-1] == tuple(trial.events[trial.position("CLIENT_ACK") + 1 :][:2])
    assert [event.kind for event in trial.events[-3:]] == ["DELIVER", "APPLY", "END"]


def test_timeout_is_applied_after_the_caller_gave_up(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "timeout pay F")
    assert trial.story("pay") == ["SEND", "TIMEOUT", "DELIVER", "REJECT"]  # the refund was quicker, the key is closed
    assert lab.trial(once, "timeout order F").story("order") == ["SEND", "TIMEOUT", "DELIVER", "APPLY"]
    assert seen(trial) == ["CallTimeout"]


def test_reject_is_definite_and_without_effect(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "reject pay F")
    assert trial.story("pay") == ["SEND", "DELIVER", "REJECT", "ACK"]
    assert seen(trial) == ["Rejected"]


def test_reject_does_not_strike_where_the_key_was_applied_already(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", saga=order.id, key="k")
        world.call("payment.charge", saga=order.id, key="k")
        return True

    trial = lab.unchecked(lab.system(run), "reject pay F #2")
    assert trial.fired == []
    assert [event.data[0] for event in trial.of("APPLY")] == [True, False]
    impossible = [
        (trial.sites[index].occurrence, "reject" in kinds)
        for index, kinds in trial.run.impossible.items()
        if trial.sites[index].phase == "effect"
    ]
    assert impossible in ([(2, True)], [(1, False), (2, True)])


FORGETS = {"forgetting_refusals": ("payment",)}


def asks_twice(world: Any, order: Any) -> bool:
    """Charges again where it was refused; keyed by the order."""
    for _ in range(2):
        try:
            world.call("payment.charge", saga=order.id, key="k")
            return True
        except Rejected:
            continue
    return False


def test_refused_once_is_without_effect_and_the_next_attempt_is_accepted(lab: Laboratory) -> None:
    trial = lab.trial(lab.system(asks_twice, **FORGETS), "refused-once pay F")
    assert trial.story("pay") == ["SEND", "DELIVER", "REJECT", "ACK", "SEND", "DELIVER", "APPLY", "ACK"]
    assert trial.of("REJECT")[0].data == ("not now",)
    assert [event.data[0] for event in trial.of("APPLY")] == [True]
    assert trial.answers == ["completed"]


def test_refused_once_leaves_another_copy_of_the_request_to_be_accepted(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        try:
            world.call("payment.charge", saga=order.id, key="k")
        except Rejected:
            return False
        return True

    trial = lab.trial(lab.system(run, **FORGETS), "duplicate pay F", "refused-once pay F")
    assert [event.kind for event in trial.of("REJECT", "APPLY")] == ["REJECT", "APPLY"]
    assert "I2" in {found.invariant for found in check(trial.run.history(trial.setup, trial.plan)).violations}


@pytest.mark.parametrize(
    ("options", "faults"),
    [({}, ()), ({"forgetting_refusals": ("order",)}, ()), (FORGETS, ("lost-ack pay F",))],
    ids=["undeclared", "another-participant", "applied-already"],
)
def test_refused_once_strikes_only_what_a_participant_that_forgets_has_not_decided(
    lab: Laboratory, options: Any, faults: tuple[str, ...]
) -> None:
    def run(world: Any, order: Any) -> bool:
        for _ in range(2):
            with contextlib.suppress(PortError):
                world.call("payment.charge", saga=order.id, key="k")
        return True

    system = lab.system(run, **options)
    assert ("refused-once" in Setup(adapter=system, scenario=system.scenarios[0]).kinds) == bool(options)
    trial = lab.trial(system, *faults)
    nth = 2 if faults else 1
    reasons = {
        trial.sites[index].occurrence: kinds.get("refused-once", "")
        for index, kinds in trial.run.impossible.items()
        if trial.sites[index].phase == "effect"
    }
    expected = "the answer is already fixed" if faults else "not declared in forgetting_refusals="
    assert expected in reasons[nth]


def test_a_participant_of_ones_own_forgets_a_refusal_of_the_moment_too(lab: Laboratory) -> None:
    class Till:
        def handle(self, request: Any, tx: Any) -> Any:
            tx.state[request.saga] = tx.state.get(request.saga, 0) + 1
            return {}

    system = lab.system(asks_twice, participants={"payment": Till}, **FORGETS)
    trial = lab.trial(system, "refused-once pay F")
    assert trial.story("pay") == ["SEND", "DELIVER", "REJECT", "ACK", "SEND", "DELIVER", "APPLY", "ACK"]


def test_error_before_effect_applies_nothing(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "error-before-effect pay F")
    assert trial.story("pay") == ["SEND", "DELIVER", "ERROR", "ACK"]
    assert seen(trial) == ["Unavailable"]


def test_error_after_effect_applies_and_the_caller_sees_the_same_error(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "error-after-effect pay F")
    assert trial.story("pay") == ["SEND", "DELIVER", "APPLY", "ACK"]
    assert trial.of("ACK", step="pay")[0].data == ("error",)
    assert seen(trial) == ["Unavailable"]


def test_undo_fails_at_every_attempt_until_an_operator_steps_in(lab: Laboratory, careful: Adapter) -> None:
    trial = lab.trial(careful, "undo-fails order C", scenario=DECLINED)
    story = [event.kind for event in trial.events if event.direction == "C" or event.kind == "HEAL"]
    healed = story.index("HEAL")
    assert story[:healed].count("ERROR") > 10
    assert "APPLY" not in story[:healed]
    assert story[healed + 1 :] == ["SEND", "DELIVER", "APPLY", "ACK"]
    heal = trial.of("HEAL")[0].t_us
    assert 3_540_000_000 < heal - trial.of("ERROR")[0].t_us <= 3_600_000_000
    assert (trial.answers, trial.end) == (["compensated"], "quiescent")


def test_undo_fails_is_repaired_also_for_who_asks_again_all_the_time(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", saga=order.id, key="k")
        while True:
            try:
                world.call("payment.refund", saga=order.id, key="k")
            except PortError:
                world.sleep(0.01)
            else:
                return False

    trial = lab.trial(lab.system(run), "undo-fails pay C")
    assert (len(trial.of("HEAL")), trial.answers, trial.end) == (1, ["compensated"], "quiescent")


def test_undo_fails_for_ever_for_who_has_given_up_and_calls_nobody(lab: Laboratory, once: Adapter) -> None:
    trial = lab.trial(once, "undo-fails order C", scenario=DECLINED)
    assert [event.kind for event in trial.events[-2:]] == ["RAISED", "END"]
    assert trial.events[-1].t_us < 1_000_000


def gives_up(lab: Laboratory, *, call: Callable[[Any, str], object]) -> Adapter:
    """Asks for the undo of its one step a few times, and then calls whom ``call(world, saga)`` does."""

    def run(world: Any, order: Any) -> Outcome:
        world.call("payment.charge", saga=order.id, key="k")
        for _ in range(3):
            try:
                world.call("payment.refund", saga=order.id, key="k")
            except PortError:
                world.sleep(1)
        call(world, order.id)
        return Outcome.STUCK

    return lab.system(run)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "call",
    [
        lambda world, saga: world.alert(saga, step="pay"),
        lambda world, saga: world.dead_letter(saga, step="pay"),
        lambda world, saga: world.alert(saga),
    ],
    ids=["an alert", "a dead letter", "an alert for the saga"],
)
def test_the_operator_comes_to_what_he_is_called_to(lab: Laboratory, call: Callable[[Any, str], object]) -> None:
    trial = lab.trial(gives_up(lab, call=call), "undo-fails pay C")
    assert [heal.get("why") for heal in trial.of("HEAL")] == [None]
    assert trial.events[-1].t_us < 10_000_000, "as soon as all is at rest"


@pytest.mark.parametrize(
    "call",
    [lambda world, saga: None, lambda world, saga: world.alert(saga, step="order")],
    ids=["to nobody", "to another step"],
)
def test_the_operator_does_not_come_to_what_nobody_called_him_to(
    lab: Laboratory, call: Callable[[Any, str], object]
) -> None:
    assert lab.trial(gives_up(lab, call=call), "undo-fails pay C").of("HEAL") == []


def test_who_asks_again_for_an_hour_and_calls_nobody_is_judged_by_then(lab: Laboratory, careful: Adapter) -> None:
    trial = lab.trial(careful, "undo-fails order C", scenario=DECLINED)
    assert [heal.get("why") for heal in trial.of("HEAL")] == ["nobody was called"]
    assert check(trial.history).violations == ()


BESIDE = Saga(
    "beside",
    [
        Step("hotel", "hotel.book", undo="hotel.cancel", after=()),
        Step("flight", "flight.book", undo="flight.cancel", after=()),
        Step("payment", "payment.charge", after=("hotel", "flight")),
    ],
)


@pytest.mark.parametrize(("order_of_undos", "found"), [("flight hotel", [("I11", "undo kept back")]), ("both", [])])
def test_an_undo_that_fails_keeps_back_none_that_need_not_wait_for_it(
    lab: Laboratory, order_of_undos: str, found: list[tuple[str, str]]
) -> None:
    def insist(world: Any, saga: str, step: str) -> None:
        while True:
            try:
                return world.call(f"{step}.cancel", saga=saga, key=step)  # type: ignore[no-any-return]
            except PortError:
                world.sleep(30)

    def run(world: Any, order: Any) -> Outcome:
        for step in ("hotel", "flight"):
            world.call(f"{step}.book", saga=order.id, key=step)
        try:
            world.call("payment.charge", saga=order.id, key="p")
        except Rejected:
            if order_of_undos == "both":
                world.spawn(insist, world, order.id, "hotel")
            insist(world, order.id, "flight")
            insist(world, order.id, "hotel")
            return Outcome.COMPENSATED
        return Outcome.COMPLETED

    trial = lab.trial(
        lab.system(run, saga=BESIDE),
        "undo-fails flight C",
        scenario=Scenario(rejections=((1, "payment.charge"),)),
    )
    assert [(each.invariant, each.anomaly) for each in check(trial.history).violations] == found


@pytest.mark.parametrize(
    ("kind", "story"),
    [
        ("crash-before-send", []),
        ("crash-after-send", ["SEND", "CRASH", "DELIVER", "APPLY"]),
        ("crash-after-effect", ["SEND", "DELIVER", "APPLY", "CRASH"]),
        ("crash-after-ack", ["SEND", "DELIVER", "APPLY", "ACK", "CRASH"]),
    ],
)
def test_a_crash_around_a_call_comes_at_its_exact_moment(
    lab: Laboratory, once: Adapter, kind: str, story: list[str]
) -> None:
    trial = lab.trial(once, f"{kind} pay F")
    of_the_call = [event.kind for event in trial.events if event.step == "pay" or event.kind == "CRASH"]
    assert of_the_call == (story or ["CRASH"])
    assert trial.of("CRASH")[0].data == (kind,)
    assert trial.answers == []
    assert [event.data for event in trial.of("BOOT")] == [(1, "start"), (2, "crash")]
    assert trial.of("BOOT")[1].t_us == trial.of("CRASH")[0].t_us + 100_000


@pytest.mark.parametrize(("kind", "durable"), [("crash-before-log", False), ("crash-after-log", True)])
def test_a_crash_around_a_write_leaves_the_record_or_does_not(lab: Laboratory, kind: str, durable: bool) -> None:
    found: list[Any] = []

    def run(world: Any, order: Any) -> bool:
        world.store.put("note", [1], record="intent", saga=order.id, step="pay")
        world.call("payment.charge", saga=order.id)
        return True

    system = lab.system(run, boot=lambda world: found.append(world.store.get("note")))
    trial = lab.trial(system, f"{kind} 'intent pay'")
    assert found == [None, [1] if durable else None]
    assert [event.kind for event in trial.of("LOG", "LOGACK", "CRASH", "SEND")] == (
        ["LOG", "LOGACK", "CRASH"] if durable else ["LOG", "CRASH"]
    )


def test_key_expiry_makes_a_late_retry_a_new_request(lab: Laboratory) -> None:
    def system(wait: float) -> Adapter:
        def run(world: Any, order: Any) -> bool:
            for _ in range(2):
                world.call("payment.charge", saga=order.id, key="k")
                world.sleep(wait)
            return True

        return lab.system(run, key_retention_ms=1000)  # type: ignore[no-any-return]

    late = lab.trial(system(2), "key-expiry pay F #2")
    assert [event.data[0] for event in late.of("APPLY")] == [True, True]
    for wait, expires in ((2, [True, False]), (0.5, [True, True])):
        trial = lab.trial(system(wait))
        assert [event.data[0] for event in trial.of("APPLY")] == [True, False]
        effects = [index for index, site in enumerate(trial.sites) if site.phase == "effect"]
        assert ["key-expiry" in trial.run.impossible.get(index, ()) for index in effects] == expires


# -- faults in recovery and compensation, and what is recorded of them -------------------------


def test_a_crash_inside_recovery_starts_a_third_incarnation_that_ends_the_saga(
    lab: Laboratory, careful: Adapter
) -> None:
    trial = lab.trial(careful, "crash-after-effect pay F", "crash-before-send pay F #2")
    assert [event.process for event in trial.of("BOOT")] == ["orchestrator", "orchestrator#2", "orchestrator#3"]
    assert [event.data[0] for event in trial.of("TERMINAL")] == ["completed"]
    assert [event.data[0] for event in trial.of("APPLY", step="pay")] == [True, False]
    recovery = [site for site in trial.sites[trial.run.recovery :] if site.saga]
    assert recovery[0] == ("saga-1", "intent pay", "", "log", 2)


def test_a_crash_inside_compensation_does_not_end_it(lab: Laboratory, careful: Adapter) -> None:
    trial = lab.trial(careful, "crash-after-effect order C", scenario=DECLINED)
    assert [event.data[0] for event in trial.of("APPLY", direction="C")] == [True, False]
    assert [event.data[0] for event in trial.of("TERMINAL")] == ["compensated"]
    assert trial.sites[trial.run.compensation] == ("saga-1", "order", "C", "send", 1)


@pytest.mark.parametrize(
    "faults",
    [
        (),
        ("duplicate order F", "lost-ack pay F"),
        ("crash-after-log 'intent pay'", "timeout pay F"),
        ("delayed-duplicate order F", "reject pay F", "undo-fails order C"),
    ],
)
def test_a_site_is_reported_once(lab: Laboratory, careful: Adapter, faults: tuple[str, ...]) -> None:
    trial = lab.trial(careful, *faults)
    assert len(set(trial.sites)) == len(trial.sites)


def test_a_fired_fault_is_recorded_where_it_struck(lab: Laboratory, careful: Adapter) -> None:
    trial = lab.trial(careful, "lost-request order F", "crash-before-log 'terminal'")
    lost, crash = trial.history.fired
    assert trial.events[lost.position].kind == "LOST"
    assert trial.events[crash.position].kind == "CRASH"
    assert (lost.fault.kind, crash.fault.kind) == ("lost-request", "crash-before-log")


def test_a_fault_whose_site_is_not_reached_does_not_fire(lab: Laboratory, once: Adapter) -> None:
    trial = lab.unchecked(once, "undo-fails pay C", "lost-ack order F #4")
    assert trial.fired == []
    assert trial.run.rows == lab.trial(once).run.rows


def test_a_saga_left_open_by_faults_gets_one_restart_without_a_fault(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.store.put(order.id, 1, record="create")
        world.call("payment.charge", saga=order.id, key="k")  # a timeout goes up to the client
        world.call("order.create", saga=order.id, key="k")
        return True

    def recover(world: Any) -> None:
        world.call("payment.refund", saga="saga-1", key="k")

    trial = lab.trial(lab.system(run, recover=recover), "lost-ack pay F")
    assert [event.data for event in trial.of("BOOT")] == [(1, "start"), (2, "heal")]
    assert trial.story("pay", "C") == ["SEND", "DELIVER", "APPLY", "ACK"]
