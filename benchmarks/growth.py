"""How a search grows with the steps of a saga: plans, full runs and processor time, with one fault and with two.

One saga of so many steps, each with its undo, is driven by the same few lines three times: over `world.store`, as
asyncio code, and over `world.sqlite`. Each search is judged. A full run is one that came to its end; all others were
ended in a state that is known. A search that would take longer than ``--seconds`` of processor time is measured on a
like share of its parts, and scaled up: then ``~`` stands before its figures. The fit is the exponent e of steps^e, over
all numbers of steps.

    python benchmarks/growth.py [--steps 3,5,8,12] [--faults 1,2] [--code sync,async,sqlite] [--seconds 60]
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tabulate import tabulate

import sagafuzz
from sagafuzz import Adapter, CallTimeout, Rejected, Saga, Scenario, Step, Unavailable
from sagafuzz.exploration.cases import Case
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge
from sagafuzz.exploration.quiet import fewer_collections
from sagafuzz.exploration.spreading import spread
from sagafuzz.simulator import Setup

UNKNOWN = (CallTimeout, Unavailable)
NOT_SAVED = (Unavailable, sqlite3.Error)


class Driver:
    """Goes forward until a step is refused, then back; what is durable is how far it is."""

    steps: tuple[Step, ...]

    def boot(self, world: Any) -> None:
        self.world = world

    def load(self, saga: str) -> dict[str, Any]:
        return dict(self.world.store.get(saga) or {"at": 0, "back": False, "over": False})

    def save(self, saga: str, state: dict[str, Any]) -> None:
        self.world.store.put(saga, state)

    def open(self) -> list[str]:
        return [saga for saga, state in self.world.store.items() if not state["over"]]

    def run(self, order: Any) -> bool:
        self.keep(order.id, self.load(order.id))
        return self.drive(order.id)

    def recover(self) -> None:
        for saga in self.open():
            self.drive(saga)

    def drive(self, saga: str) -> bool:
        state = self.load(saga)
        while not state["over"]:
            self.ask(saga, state)
            self.keep(saga, state)
        return not state["back"]

    def keep(self, saga: str, state: dict[str, Any]) -> None:
        while True:
            try:
                return self.save(saga, state)
            except NOT_SAVED:
                self.world.sleep(1)

    def ask(self, saga: str, state: dict[str, Any]) -> None:
        operation = next_operation(self.steps, state)
        while operation:
            try:
                self.world.call(operation, saga=saga, key=f"{saga}/{operation}")
            except UNKNOWN:
                self.world.sleep(1)
                continue
            except Rejected:
                state["back"] = True
            else:
                state["at"] += -1 if state["back"] else 1
            return


class AsyncDriver(Driver):
    """The same, as asyncio code."""

    async def run(self, order: Any) -> bool:  # type: ignore[override]
        await self.keep_async(order.id, self.load(order.id))
        return await asyncio.shield(self.drive_async(order.id))  # a client who leaves stops nothing

    async def recover(self) -> None:  # type: ignore[override]
        for saga in self.open():
            await self.drive_async(saga)

    async def drive_async(self, saga: str) -> bool:
        state = self.load(saga)
        while not state["over"]:
            await self.ask_async(saga, state)
            await self.keep_async(saga, state)
        return not state["back"]

    async def keep_async(self, saga: str, state: dict[str, Any]) -> None:
        while True:
            try:
                return self.save(saga, state)
            except NOT_SAVED:
                await asyncio.sleep(1)

    async def ask_async(self, saga: str, state: dict[str, Any]) -> None:
        operation = next_operation(self.steps, state)
        while operation:
            try:
                await self.world.call(operation, saga=saga, key=f"{saga}/{operation}")
            except UNKNOWN:
                await asyncio.sleep(1)
                continue
            except Rejected:
                state["back"] = True
            else:
                state["at"] += -1 if state["back"] else 1
            return


class SQLiteDriver(Driver):
    """The same, over a database."""

    def boot(self, world: Any) -> None:
        super().boot(world)
        self.database = world.sqlite()
        self.database.execute("CREATE TABLE IF NOT EXISTS saga (id TEXT PRIMARY KEY, at INT, back INT, over INT)")
        self.database.commit()

    def load(self, saga: str) -> dict[str, Any]:
        row = self.database.execute("SELECT at, back, over FROM saga WHERE id = ?", (saga,)).fetchone()
        return dict(zip(("at", "back", "over"), row or (0, 0, 0), strict=True))

    def save(self, saga: str, state: dict[str, Any]) -> None:
        values = (saga, state["at"], int(state["back"]), int(state["over"]))
        self.database.execute("INSERT OR REPLACE INTO saga VALUES (?, ?, ?, ?)", values)
        self.database.commit()

    def open(self) -> list[str]:
        return [row[0] for row in self.database.execute("SELECT id FROM saga WHERE NOT over ORDER BY id").fetchall()]


CODE: dict[str, type[Driver]] = {"sync": Driver, "async": AsyncDriver, "sqlite": SQLiteDriver}


def next_operation(steps: Sequence[Step], state: dict[str, Any]) -> str:
    """What is to be asked now; "" at the end, which the state is told."""
    at, back = state["at"], state["back"]
    if at == (0 if back else len(steps)):
        state["over"] = True
        return ""
    return steps[at - 1].undo or "" if back else steps[at].operation


def system(code: str, steps: int) -> Adapter:
    """The adapter of a saga with so many steps."""
    each = tuple(Step(f"step{n}", f"service{n}.do", undo=f"service{n}.undo") for n in range(1, steps + 1))
    made = type(f"{code}{steps}", (CODE[code],), {"steps": each})
    declared = sagafuzz.adapter(saga=Saga("growing", list(each)), scenarios=[Scenario()])(made)
    return declared.__sagafuzz_adapter__  # type: ignore[attr-defined,no-any-return]


class Searched(NamedTuple):
    """A search: plans, full runs, seconds of processor time; ``share`` of the plans with two faults was measured."""

    plans: float
    full: float
    seconds: float
    share: float = 1.0


def search(adapter: Adapter, faults: int, limit_s: float) -> Searched:
    """Run and judge every plan; where that takes longer than the limit, a share of the parts."""
    setup = Setup(adapter=adapter, scenario=adapter.scenarios[0])
    enumerator = Enumerator(setup, faults)

    def judged(cases: Any, judge: Judge) -> tuple[int, int]:
        plans = full = 0
        for case in cases:
            plans += 1
            if not case.known:
                full += 1
                judge.judge(case.plan, case.run, case.digest, case.projection)
        return plans, full

    with fewer_collections():
        start = time.process_time()
        singles: list[Case] = list(enumerator.roots())
        plans, full = judged(singles, Judge(setup))
        alone = time.process_time() - start
        pairs = enumerator.ahead() if faults > 1 else ()
        kinds = [enumerator.nodes[n].faults[0].kind for n in range(len(pairs))]
        done, of_parts, begun = 0, [0, 0], time.process_time()
        for number in spread(list(zip(kinds, range(len(pairs)), strict=True))):
            if time.process_time() - start > limit_s:
                break
            found = judged(enumerator.subtree(number), Judge(setup))
            of_parts = [of_parts[0] + found[0], of_parts[1] + found[1]]
            done += pairs[number]
        share = done / sum(pairs) if sum(pairs) else 1.0
        took = time.process_time() - begun
    return Searched(plans + of_parts[0] / share, full + of_parts[1] / share, alone + took / share, share)


def exponent(steps: Sequence[int], values: Sequence[float]) -> float:
    """The e of steps^e that fits best."""
    xs, ys = [math.log(n) for n in steps], [math.log(max(value, 1e-9)) for value in values]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum((x - mean_x) ** 2 for x in xs)


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=numbers, default=[3, 5, 8, 12])
    parser.add_argument("--faults", type=numbers, default=[1, 2])
    parser.add_argument("--code", type=lambda text: text.split(","), default=list(CODE))
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    rows: list[list[str]] = []
    show: Callable[[Searched, str], str] = lambda found, text: text if found.share == 1 else f"~{text}"  # noqa: E731
    for code in asked.code:
        for faults in asked.faults:
            found = [search(system(code, steps), faults, asked.seconds) for steps in asked.steps]
            for steps, one in zip(asked.steps, found, strict=True):
                figures = (f"{one.plans:,.0f}", f"{one.full:,.0f}", f"{one.seconds:,.2f}")
                each_ms = f"{1e3 * one.seconds / one.plans:.2f}"
                rows.append([code, str(faults), str(steps), *(show(one, text) for text in figures), each_ms])
            if len(asked.steps) > 1:
                fits = (f"{exponent(asked.steps, [one[n] for one in found]):.1f}" for n in range(3))
                rows.append([code, str(faults), "fit", *(f"steps^{fit}" for fit in fits), ""])
            print(tabulate(rows[-len(asked.steps) - 1 :], tablefmt="plain", disable_numparse=True), flush=True)
    headers = ["code", "faults", "steps", "plans", "full runs", "processor s", "ms a plan"]
    print(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
