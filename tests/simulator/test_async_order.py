"""Sets of tasks have one order: asyncio cancels the tasks of a group in that of a set, which is elsewhere that of their
addresses."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sagafuzz import Order, PortError, Saga, Scenario, Step, World, adapter
from sagafuzz.history import rows_digest
from sagafuzz.simulator import Setup, simulate

SAGA = Saga("wide", [Step(name, f"{name}.do", undo=f"{name}.undo", after=()) for name in "abcdefg"])


async def in_a_group(ask: Callable[[str], Awaitable[Any]]) -> None:
    async with asyncio.TaskGroup() as group:
        for name in "abcdefg":
            group.create_task(ask(name))  # type: ignore[arg-type]


async def in_a_set(ask: Callable[[str], Awaitable[Any]]) -> None:
    tasks = {asyncio.ensure_future(ask(name)) for name in "abcdefg"}
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    for task in others:
        task.cancel()
    for task in done:
        await task


async def in_threads(ask: Callable[[str], Awaitable[Any]]) -> None:
    loop = asyncio.get_running_loop()
    for future in {loop.run_in_executor(None, str, n) for n in range(7)}:
        await asyncio.gather(future, ask("abcdefg"[int(await future)]))


@pytest.mark.parametrize("together", [in_a_group, in_a_set, in_threads])
def test_tasks_are_told_in_the_same_order_in_each_run(together: Callable[..., Awaitable[None]]) -> None:
    class Wide:
        def boot(self, world: World) -> None:
            self.world = world

        async def ask(self, name: str) -> None:
            try:
                await asyncio.sleep(0.001 if name == "d" else 0.01)
                await self.world.call(f"{name}.do", saga="saga-1", key=name)
            except asyncio.CancelledError:
                self.world.store.put(f"left/{name}", 1, saga="saga-1", record=f"left {name}")
                raise

        async def run(self, order: Order) -> bool:
            try:
                await together(self.ask)
            except (PortError, ExceptionGroup):
                return False
            return True

    declared = adapter(saga=SAGA, name="wide")(Wide).__sagafuzz_adapter__  # type: ignore[attr-defined]
    setup, found = Setup(adapter=declared, scenario=Scenario(rejections=((1, "d.do"),))), set()
    for number in range(6):
        kept = [bytes(size) for size in range(150, 350) for _ in range(20)]
        random.Random(number).shuffle(kept)
        del kept[::2]  # what comes next lies in the gaps
        run = simulate(setup)
        found.add(rows_digest(run.rows))
    assert len(found) == 1
