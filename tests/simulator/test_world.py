"""The rest of the world's ports: spawn, reply, alert, dead letter; and the words for using them wrongly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sagafuzz import Outcome, Request, Scenario, Transaction, UsageError

from .conftest import Laboratory


def test_spawned_work_runs_beside_the_saga_and_for_it(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        world.spawn(lambda amount: world.call("payment.charge", amount=amount), 5)
        world.call("order.create")
        return True

    trial = lab.trial(lab.system(run))
    assert [(event.saga, event.step, event.t_us) for event in trial.of("SEND")] == [
        ("saga-1", "order", 0),
        ("saga-1", "pay", 0),
    ]


def test_what_spawned_work_raises_is_a_fact_about_the_adapter(lab: Laboratory) -> None:
    def work() -> None:
        raise KeyError("lost")

    [(kind, message, where, port)] = lab.trial(lab.system(lambda world, order: world.spawn(work) or True)).raised
    assert (kind, message, port) == ("KeyError", "'lost'", False)
    assert where.startswith("spawned task: test_world.py:")


def test_a_coroutine_function_is_not_spawned_by_synchronous_code(lab: Laboratory) -> None:
    async def work() -> None: ...

    with pytest.raises(UsageError, match=r"world\.spawn\(work\): run is not async, so pass a plain function"):
        lab.trial(lab.system(lambda world, order: world.spawn(work) or True))


@pytest.mark.parametrize(
    ("said", "heard"),
    [(True, "completed"), (False, "compensated"), (Outcome.PENDING, "pending"), (Outcome.STUCK, "stuck")],
)
def test_the_client_hears_what_run_returns_and_what_reply_says(lab: Laboratory, said: Any, heard: str) -> None:
    assert lab.trial(lab.system(lambda world, order: said)).answers == [heard]

    def run(world: Any, order: Any) -> Outcome:
        world.reply(order.id, said)
        return Outcome.PENDING

    assert lab.trial(lab.system(run)).answers == [heard, "pending"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [(None, "None"), ("ok", "'ok'"), (1, "1"), ([], "an object of type list"), (object(), "an object of type object")],
)
def test_an_answer_that_makes_no_sense_is_a_fact_about_the_adapter(lab: Laboratory, answer: Any, shown: str) -> None:
    trial = lab.trial(lab.system(lambda world, order: answer))
    assert [event.data for event in trial.of("NONSENSE")] == [(shown,)]
    assert trial.answers == []


def test_alerts_and_dead_letters_are_written_down(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> Outcome:
        world.dead_letter(order.id, step="pay", reason="it keeps failing")
        world.alert(order.id, reason="look")
        return Outcome.STUCK

    trial = lab.trial(lab.system(run))
    assert [(event.kind, event.saga, event.step, event.data) for event in trial.of("DEAD_LETTER", "ALERT")] == [
        ("DEAD_LETTER", "saga-1", "pay", ("it keeps failing",)),
        ("ALERT", "saga-1", "", ("look",)),
    ]


# -- what the adapter raises -------------------------------------------------------------------


class Odd(Exception):
    def __str__(self) -> str:
        raise ValueError


def boom(*args: Any) -> Any:
    raise RuntimeError(f"broken at {object()!r}")


def test_boot_run_and_recover_that_raise_are_told_by_the_users_frame(lab: Laboratory) -> None:
    in_boot = lab.trial(lab.system(lambda world, order: True, boot=boom))
    in_run = lab.trial(lab.system(boom))
    in_recover = lab.trial(
        lab.system(lambda world, order: world.call("payment.charge"), recover=boom), "crash-after-effect pay F"
    )
    for method, trial in (("boot", in_boot), ("run", in_run), ("recover", in_recover)):
        kind, message, where, port = trial.raised[0]
        assert (kind, port) == ("RuntimeError", False)
        assert message == "broken at <object object at 0x…>"
        assert where == f"{method}: test_world.py:{boom.__code__.co_firstlineno + 1}"
    assert in_boot.answers == in_run.answers == []


def test_coroutines_that_raise_are_told_the_same_way(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        await world.call("payment.charge")
        return boom()  # type: ignore[no-any-return]

    [(kind, _, where, _)] = lab.trial(lab.system(run)).raised
    assert (kind, where) == ("RuntimeError", f"run: test_world.py:{boom.__code__.co_firstlineno + 1}")


def test_what_a_port_raised_is_told_apart_from_the_adapters_own(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        return bool(world.call("payment.charge"))

    [(kind, _, where, port)] = lab.trial(lab.system(run), "lost-ack pay F").raised
    assert (kind, port) == ("CallTimeout", True)
    assert where == f"run: test_world.py:{run.__code__.co_firstlineno + 1}"


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), AssertionError("no"), Odd()])
def test_any_exception_will_do(lab: Laboratory, error: BaseException) -> None:
    def run(world: Any, order: Any) -> bool:
        raise error

    [(kind, *_)] = lab.trial(lab.system(run)).raised
    assert kind == type(error).__name__


def test_a_frame_in_the_library_that_was_called_is_not_the_users(lab: Laboratory) -> None:
    import json

    def run(world: Any, order: Any) -> bool:
        return bool(json.loads("{"))

    [(_, _, where, _)] = lab.trial(lab.system(run)).raised
    assert where == f"run: test_world.py:{run.__code__.co_firstlineno + 1}"


@pytest.mark.parametrize("where", ["run", "coroutine", "participant"])
def test_ctrl_c_is_no_fact_about_the_adapter(lab: Laboratory, where: str) -> None:
    def interrupt(*args: Any) -> None:
        raise KeyboardInterrupt

    async def run_async(world: Any, order: Any) -> bool:
        await world.call("order.create")
        raise KeyboardInterrupt

    class Interrupting:
        def handle(self, request: Request, tx: Transaction) -> None:
            raise KeyboardInterrupt

    system = {
        "run": lambda: lab.system(interrupt),
        "coroutine": lambda: lab.system(run_async),
        "participant": lambda: lab.system(
            lambda world, order: world.call("payment.charge"), participants={"payment": Interrupting}
        ),
    }[where]()
    with pytest.raises(KeyboardInterrupt):
        lab.trial(system)


# -- used wrongly ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (
            lambda world: world.call("payment.chrage"),
            "'payment.chrage', which saga 'pair' does not declare (did you mean 'payment.charge'?); give it a Step, or",
        ),
        (
            lambda world: world.call("payment.charge", saga="saga-7"),
            "world.call('payment.charge', ...): saga='saga-7' is none of saga-1; pass saga=order.id",
        ),
        (lambda world: world.alert("mine"), "world.alert('mine', ...): saga='mine' is none of saga-1"),
        (lambda world: world.dead_letter("mine"), "world.dead_letter('mine', ...): saga='mine' is none of saga-1"),
        (lambda world: world.reply("mine", True), "world.reply('mine', ...): saga='mine' is none of saga-1"),
        (
            lambda world: world.reply("saga-1", "yes"),
            "world.reply('saga-1', 'yes'): write True, False or an Outcome",
        ),
    ],
)
@pytest.mark.parametrize("swallow", [False, True])
def test_a_port_used_wrongly_ends_the_run_with_what_to_write(
    lab: Laboratory, use: Any, message: str, swallow: bool
) -> None:
    def run(world: Any, order: Any) -> bool:
        while True:
            try:
                use(world)
            except BaseException:
                if not swallow:
                    raise

    with pytest.raises(UsageError) as refusal:
        lab.trial(lab.system(run))
    assert message in str(refusal.value)


def test_outside_of_run_a_call_must_name_its_saga(lab: Laboratory) -> None:
    system = lab.system(lambda world, order: True, boot=lambda world: world.call("payment.charge"))
    with pytest.raises(UsageError, match=r"saga='' is none of saga-1; pass saga=order.id \(outside of run it cannot"):
        lab.trial(system)


def test_a_coroutine_that_uses_a_port_wrongly_ends_the_run_too(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        await world.call("payment.chrage")
        return True

    with pytest.raises(UsageError, match=r"did you mean 'payment\.charge'"):
        lab.trial(lab.system(run))


def test_a_port_used_by_a_participant_is_refused(lab: Laboratory) -> None:
    worlds: list[Any] = []

    class Meddling:
        def handle(self, request: Request, tx: Transaction) -> None:
            worlds[0].call("order.create", saga=request.saga)

    def run(world: Any, order: Any) -> bool:
        worlds.append(world)
        return bool(world.call("payment.charge"))

    with pytest.raises(UsageError, match=r"a port was used outside of boot, run, recover and world\.spawn"):
        lab.trial(lab.system(run, participants={"payment": Meddling}))


def test_a_port_used_by_a_thread_is_refused(lab: Laboratory) -> None:
    errors: list[BaseException] = []

    def run(world: Any, order: Any) -> bool:
        def work() -> None:
            try:
                world.call("payment.charge", saga=order.id)
            except BaseException as error:
                errors.append(error)

        pool.submit(work).result()
        return True

    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # its thread is there before
        with pytest.raises(UsageError, match=r"\(from a thread, or from a participant\); use world\.spawn"):
            lab.trial(lab.system(run))
    assert [type(error) for error in errors] == [UsageError]


def test_an_error_of_ours_inside_the_code_under_test_is_not_blamed_on_it(lab: Laboratory) -> None:
    with pytest.raises(UsageError, match="sagas=0"):
        lab.trial(lab.system(lambda world, order: bool(Scenario(sagas=0))))
