"""Asynchronous code under test: asyncio itself, on an event loop in virtual time."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any

import anyio
import pytest

from sagafuzz import CallTimeout, Rejected, Scenario, UsageError, adapter
from sagafuzz.simulator import Setup, simulate

from .conftest import Laboratory


def test_boot_run_and_recover_may_be_coroutines(lab: Laboratory) -> None:
    said: list[str] = []

    async def boot(world: Any) -> None:
        await asyncio.sleep(1)
        said.append("boot")

    async def run(world: Any, order: Any) -> bool:
        await world.call("payment.charge", saga=order.id, key="k")
        said.append("run")
        return True

    async def recover(world: Any) -> None:
        await world.call("payment.charge", saga="saga-1", key="k")
        said.append("recover")

    trial = lab.trial(lab.system(run, boot=boot, recover=recover), "crash-after-effect pay F")
    assert said == ["boot", "boot", "recover"]
    assert [event.data[0] for event in trial.of("APPLY")] == [True, False]


def test_a_loop_that_is_to_tell_of_itself_does_the_same(lab: Laboratory) -> None:
    def system(debug: bool) -> Any:
        async def run(world: Any, order: Any) -> bool:
            asyncio.get_running_loop().set_debug(debug)
            late = asyncio.get_running_loop().call_later(60, pytest.fail, "it was cancelled")
            asyncio.get_running_loop().call_soon(late.cancel)
            await asyncio.wait_for(world.call("order.create", saga=order.id), timeout=2)
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(90_000))
                group.create_task(world.call("payment.charge", saga=order.id))
            return True

        return lab.system(run)

    usual, telling = (lab.trial(system(debug)) for debug in (False, True))
    assert usual.answers == ["completed"] and usual.history.digest == telling.history.digest


def test_a_run_leaves_no_task_behind_for_the_next_to_walk_through(lab: Laboratory) -> None:
    async def never(world: Any) -> None:
        await asyncio.Event().wait()

    async def run(world: Any, order: Any) -> bool:
        await asyncio.gather(asyncio.sleep(1), asyncio.wait_for(asyncio.sleep(1), timeout=2))
        world.spawn(never, world)
        return True

    def known() -> set[Any]:
        return {task for name in ("_all_tasks", "_scheduled_tasks") for task in getattr(asyncio.tasks, name, ())}

    held, before = lab.system(run), known()
    for _ in range(20):
        lab.trial(held)
    assert not known() - before


def test_a_crash_inside_a_scope_of_anyio_leaves_nothing_behind(lab: Laboratory) -> None:
    """anyio keeps what it knows of a task by the task; a scope that is left in another task stays there for good."""
    tasks: list[weakref.ref[Any]] = []

    async def run(world: Any, order: Any) -> bool:
        tasks.append(weakref.ref(asyncio.current_task()))
        with anyio.fail_after(60):
            await world.call("payment.charge", saga=order.id)
        return True

    held = lab.system(run)
    for _ in range(9):
        assert len(lab.trial(held, "crash-after-effect pay F").of("CRASH")) == 1
    for _ in range(3):  # Python 3.12 finds one cycle after the other
        gc.collect()
    assert len(tasks) == 9 and sum(task() is not None for task in tasks) <= 1  # a last one, there


def test_gathered_calls_are_in_flight_at_the_same_time(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        answers = await asyncio.gather(
            world.call("order.create", saga=order.id), world.call("payment.charge", saga=order.id)
        )
        assert [answer["id"] for answer in answers] == ["order-1", "pay-1"]
        return True

    trial = lab.trial(lab.system(run))
    assert [event.kind for event in trial.events if event.msg] == ["SEND"] * 2 + ["DELIVER", "APPLY"] * 2 + ["ACK"] * 2
    assert len({event.t_us for event in trial.of("SEND")}) == 1
    assert trial.answers == ["completed"]


def test_a_call_can_be_made_a_task_of(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(world.call("order.create", saga=order.id))
            second = asyncio.create_task(world.call("payment.charge", saga=order.id))
        await second
        done, _ = await asyncio.wait([asyncio.ensure_future(world.call("payment.refund", saga=order.id))])
        assert [task.result() for task in done] == [{}]
        return bool(first.result()["id"] == "order-1" and second.result()["id"] == "pay-1")

    assert lab.trial(lab.system(run)).answers == ["completed"]


def test_a_call_raises_what_the_port_says(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        with pytest.raises(Rejected):
            await world.call("payment.charge", saga=order.id)
        with pytest.raises(CallTimeout):
            await asyncio.create_task(world.call("order.create", saga=order.id))
        return False

    scenario = Scenario(rejections=((1, "payment.charge"),))
    assert lab.trial(lab.system(run), "lost-ack order F", scenario=scenario).answers == ["compensated"]


def test_wait_for_gives_a_call_up_and_that_is_a_timeout(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.call("payment.charge", saga=order.id), 0.25)
        return False

    trial = lab.trial(lab.system(run), "lost-ack pay F")
    [gave_up] = trial.of("TIMEOUT")
    assert (gave_up.t_us, gave_up.data) == (250_000, (250.0,))


def test_a_call_that_is_cancelled_is_given_up(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        call = asyncio.ensure_future(world.call("payment.charge", saga=order.id))
        await asyncio.sleep(0.0015)
        call.cancel()
        await asyncio.sleep(1)
        return False

    assert lab.trial(lab.system(run)).story("pay") == ["SEND", "DELIVER", "APPLY", "TIMEOUT"]


def test_sleeping_costs_no_real_time(lab: Laboratory) -> None:
    seen: list[float] = []

    async def run(world: Any, order: Any) -> bool:
        await asyncio.sleep(3600)
        await world.sleep(3600)
        seen.extend([asyncio.get_running_loop().time(), time.monotonic()])
        return True

    real = time.perf_counter()
    lab.trial(lab.system(run))
    assert seen == pytest.approx([7200, 7200])
    assert time.perf_counter() - real < 5


def test_two_sagas_interleave(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        await world.call("order.create", key=order.id)
        await world.call("payment.charge", key=order.id)
        return True

    trial = lab.trial(lab.system(run), scenario=Scenario(sagas=2))
    assert [(event.saga, event.step) for event in trial.of("SEND")] == [
        ("saga-1", "order"),
        ("saga-2", "order"),
        ("saga-1", "pay"),
        ("saga-2", "pay"),
    ]


def test_a_crash_in_the_middle_runs_finally_blocks_that_can_do_nothing(lab: Laboratory) -> None:
    said: list[str] = []

    async def careful(world: Any, order: Any, name: str) -> None:
        try:
            await world.call(name, saga=order.id)
        except BaseException as error:
            said.append(type(error).__name__)
            raise
        finally:
            try:
                await world.call("payment.refund", saga=order.id)
            except BaseException as error:
                said.append(type(error).__name__)

    async def run(world: Any, order: Any) -> bool:
        await asyncio.gather(careful(world, order, "order.create"), careful(world, order, "payment.charge"))
        return True

    trial = lab.trial(lab.system(run), "crash-before-send pay F")
    crash = trial.position("CRASH")
    assert [event.kind for event in trial.events[crash + 1 :] if event.process == "orchestrator"] == []
    assert sorted(said) == ["GeneratorExit", "ProcessCrashed", "ProcessCrashed", "ProcessCrashed"]


def test_background_tasks_of_boot_run_beside_the_sagas_and_die_with_the_process(lab: Laboratory) -> None:
    ticks: list[int] = []

    async def poll(world: Any) -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(1)

    async def boot(world: Any) -> None:
        world.task = asyncio.create_task(poll(world))
        world.spawn(poll, world)

    async def run(world: Any, order: Any) -> bool:
        await asyncio.sleep(3.5)
        await world.call("payment.charge", saga=order.id)
        return True

    trial = lab.trial(lab.system(run, boot=boot), "crash-after-ack pay F")
    assert trial.end == "quiescent"
    assert len(ticks) > 6


def test_a_busy_event_loop_lets_time_pass(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        call = asyncio.ensure_future(world.call("payment.charge", saga=order.id))
        while not call.done():  # noqa: ASYNC110
            await asyncio.sleep(0)
        return True

    trial = lab.trial(lab.system(run))
    assert trial.answers == ["completed"]
    assert trial.events[-1].t_us < 10_000


def test_a_thread_of_asyncio_is_a_task_of_the_simulation(lab: Laboratory) -> None:
    def work(world: Any, order: Any) -> str:
        time.sleep(5)
        return str(world.call("payment.charge", saga=order.id)["id"])

    async def run(world: Any, order: Any) -> bool:
        first, second = await asyncio.gather(
            asyncio.to_thread(work, world, order),
            asyncio.get_running_loop().run_in_executor(None, work, world, order),
        )
        return {first, second} == {"pay-1", "pay-2"}

    trial = lab.trial(lab.system(run))
    assert trial.answers == ["completed"]
    assert [event.t_us for event in trial.of("SEND")] == [5_000_000, 5_000_000]


def test_an_async_generator_left_open_is_closed(lab: Laboratory) -> None:
    async def numbers() -> Any:
        n = 0
        while True:
            yield n
            n += 1
            await asyncio.sleep(1)

    async def run(world: Any, order: Any) -> bool:
        async for n in numbers():
            if n:
                break
        await world.call("payment.charge", saga=order.id)
        return True

    hooks = sys.get_asyncgen_hooks()
    lab.trial(lab.system(run), "crash-after-effect pay F")
    assert sys.get_asyncgen_hooks() == hooks


# -- asyncio.run inside a synchronous adapter --------------------------------------------------


def test_asyncio_run_inside_a_synchronous_adapter_is_simulated(lab: Laboratory) -> None:
    async def place(world: Any, order: Any) -> bool:
        await asyncio.sleep(10)
        await asyncio.gather(world.call("order.create", saga=order.id), world.call("payment.charge", saga=order.id))
        return True

    system = lab.system(lambda world, order: asyncio.run(place(world, order)))
    trial = lab.trial(system, scenario=Scenario(sagas=2))
    assert trial.answers == ["completed", "completed"]
    assert {event.t_us for event in trial.of("SEND")} == {10_000_000}
    crashed = lab.trial(system, "crash-after-effect order F")
    assert crashed.answers == []
    assert lab.trial(system, "lost-ack pay F").raised[0][0] == "CallTimeout"


def test_it_can_be_used_where_an_event_loop_runs_already(lab: Laboratory) -> None:
    async def place(world: Any, order: Any) -> bool:
        await world.call("payment.charge", saga=order.id)
        return True

    async def outer() -> tuple[list[str], list[str]]:
        sync = lab.system(lambda world, order: asyncio.run(place(world, order)))
        answers = lab.trial(sync).answers, lab.trial(lab.system(place)).answers
        await asyncio.sleep(0.001)
        assert asyncio.current_task() is not None
        return answers

    assert asyncio.run(outer()) == (["completed"], ["completed"])


def test_an_event_loop_of_another_make_is_refused(lab: Laboratory) -> None:
    async def place(world: Any, order: Any) -> bool:
        await world.call("payment.charge", saga=order.id)
        return True

    def run(world: Any, order: Any) -> bool:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            return runner.run(place(world, order))

    with pytest.raises(
        UsageError, match=r"an event loop of its own making .*write 'async def run', or use asyncio.run"
    ):
        lab.trial(lab.system(run))
    gc.collect()


def test_a_coroutine_behind_a_plain_function_is_refused(lab: Laboratory) -> None:
    async def place(world: Any, order: Any) -> bool:
        return True

    with pytest.raises(UsageError, match="run gives a coroutine; write 'async def run"):
        lab.trial(lab.system(lambda world, order: place(world, order)))  # noqa: PLW0108


def test_what_is_half_asynchronous_is_refused(lab: Laboratory) -> None:
    @adapter(saga=lab.saga)
    class Half:
        async def boot(self, world: Any) -> None: ...

        def run(self, order: Any) -> bool:
            return True

    system = Half.__sagafuzz_adapter__  # type: ignore[attr-defined]
    told = r"boot is async and run is not; write 'async def run.*, or, if nothing is awaited, 'def boot\(self, world\)'"
    with pytest.raises(UsageError, match=told):
        simulate(Setup(adapter=system, scenario=Scenario()))


def test_a_coroutine_that_an_async_run_gives_and_nobody_awaits_is_refused_by_its_name(lab: Laboratory) -> None:
    async def place() -> bool:
        return True

    async def run(world: Any, order: Any) -> Any:
        return place()

    with pytest.raises(UsageError, match=r"what it calls is async: write 'return await place\(…\)'"):
        lab.trial(lab.system(run))


# -- nothing is left behind --------------------------------------------------------------------

CHECK = """
import asyncio, gc, sys
from sagafuzz import Fault, Plan, Saga, Scenario, Site, Step, adapter
from sagafuzz.faults import feasible_kinds
from sagafuzz.simulator import Setup, simulate

SAGA = Saga("s", [Step("order", "order.create", undo="order.cancel"), Step("pay", "payment.charge")])

class Base:
    def boot(self, world):
        self.world = world
    async def place(self, order):
        spare = [self.world.call("order.cancel", saga=order.id)]
        pending = asyncio.create_task(asyncio.sleep(100))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.world.call("order.create", saga=order.id, key="k"))
            group.create_task(self.world.call("payment.charge", saga=order.id, key="k"))
        asyncio.create_task(asyncio.sleep(5))
        await asyncio.gather(*spare)
        return True

@adapter(saga=SAGA)
class Async(Base):
    async def boot(self, world):
        self.world = world
        self.poller = asyncio.create_task(self.poll())
    async def poll(self):
        try:
            while True:
                await asyncio.sleep(24 * 3600)
        finally:
            await asyncio.sleep(1)
    run = Base.place
    async def recover(self):
        await self.world.sleep(1)

@adapter(saga=SAGA)
class Sync(Base):
    def run(self, order):
        return asyncio.run(self.place(order))

for system in (Async.__sagafuzz_adapter__, Sync.__sagafuzz_adapter__):
    setup = Setup(adapter=system, scenario=Scenario())
    plans = [Plan()]
    for site in simulate(setup).sites:
        site = Site(*site)
        kinds = feasible_kinds(SAGA, site, setup.capabilities)
        plans += [Plan(faults=(Fault(kind=kind, site=site),)) for kind in kinds]
    for plan in plans:
        simulate(setup, plan)
    gc.collect()
    print(len(plans))
"""


def test_there_are_no_warnings_about_what_a_crash_leaves_undone(tmp_path: Path) -> None:
    script = tmp_path / "check.py"
    script.write_text(CHECK)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert [int(line) > 20 for line in done.stdout.split()] == [True, True]
