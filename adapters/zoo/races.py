"""Branches, timers and cancellation: two things at once, and which of them counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from ...faults import FAULT_KINDS
from ...ports import Adapter, CallTimeout, PortError, Rejected, Unavailable, World
from ...saga import Outcome, Saga, Step
from ...scenario import Order
from ..checkout import CHECKOUT
from .host import COMPENSATING, MutableOrchestrator, State, Superseded
from .parts import DECLINED, SUCCEEDS, Mutant, declared, system, told

FORKED: Final = Saga(
    "checkout",
    [
        Step("order", "order.create", undo="order.cancel", after=()),
        Step("inventory", "inventory.reserve", undo="inventory.release", after=("order",)),
        Step("payment", "payment.charge", undo="payment.refund", after=("order",)),
    ],
)
"""Stock and payment are asked for at the same time."""

IN_MEMORY: Final = tuple(kind.name for kind in FAULT_KINDS.values() if kind.takes_over)
"""What a system that keeps nothing on disk does not promise to survive."""


class Parallel(MutableOrchestrator):
    """Right: asks for stock and payment at the same time, and undoes nothing before both have settled."""

    patient = True

    def _forward(self, state: Any) -> bool:
        return all(self.wave(state, names) for names in (("order",), ("inventory", "payment")))

    def wave(self, state: Any, names: tuple[str, ...]) -> bool:
        todo = [name for name in names if name not in state.done]
        if todo and self._cancelled(state):
            return False
        for name in todo:
            if name not in state.begun:
                state.begun.append(name)
                self._save(state, "intent", name)
        answers: dict[str, Any] = {}
        for name in todo:
            self._world.spawn(self.ask, state, name, answers)
        while len(answers) < len(todo) and (self.patient or not any(map(failed, answers.values()))):
            self._world.sleep(0.001)
        for name, answer in answers.items():
            if isinstance(answer, Rejected):
                state.refused = name
            elif not failed(answer):
                state.done[name] = answer
                self._save(state, "outcome", name)
        self.leave_out(state, [name for name in todo if name not in answers])
        return not any(map(failed, answers.values()))

    def leave_out(self, state: Any, running: list[str]) -> None:
        """Nothing runs any more."""

    def ask(self, state: Any, name: str, answers: dict[str, Any]) -> None:
        try:
            answers[name] = self._request(state, self._saga.by_name[name])
        except PortError as error:
            answers[name] = error


def failed(answer: object) -> bool:
    return isinstance(answer, PortError)


class UndoBeforeSiblingsSettle(Parallel):
    """Begins the rollback when one branch has failed, without the one that still runs."""

    patient = False

    def leave_out(self, state: Any, running: list[str]) -> None:
        state.begun = [name for name in state.begun if name not in running]


class TimesOut(MutableOrchestrator):
    """Right: some time after its start a saga is rolled back, unless its end was recorded first."""

    seconds = 1.1

    def execute(self, saga_id: str, request: Any) -> Outcome:
        self._world.spawn(self.watch, saga_id)
        return super().execute(saga_id, request)

    def watch(self, saga_id: str) -> None:
        self._world.sleep(self.seconds)
        record = self._store.get(f"saga/{saga_id}")
        if record is None or self.settled(record):
            return
        state = State(**record)
        state.epoch += 1
        with suppress(Superseded):
            self.roll_back(state)

    def settled(self, record: Mapping[str, Any]) -> bool:
        return bool(record["outcome"])

    def roll_back(self, state: Any) -> None:
        state.phase = COMPENSATING
        self._save(state, "compensating")
        self._world.reply(state.id, self._compensate(state))


class TimeoutRacesCommit(TimesOut):
    """Looks whether the saga has an end, and then rolls it back: between the two it may have come to one."""

    def roll_back(self, state: Any) -> None:
        self._world.sleep(0.01)
        super().roll_back(state)

    def _save(self, state: Any, record: str, step: str = "") -> None:
        self._durably(lambda: self._store.put(f"saga/{state.id}", vars(state), record=record, saga=state.id, step=step))


class Scheduled(TimesOut):
    """Right: ten seconds after it was taken up, by whomever, a saga is rolled back, unless it has an end."""

    seconds = 10.0

    def execute(self, saga_id: str, request: Any) -> Outcome:
        return MutableOrchestrator.execute(self, saga_id, request)

    def _drive(self, state: Any) -> Outcome:
        self._world.spawn(self.watch, state.id)
        return super()._drive(state)


class StaleTimer(Scheduled):
    """Looks only whether the one who set the timer has ended the saga: where it was taken over, the timer fires."""

    def settled(self, record: Mapping[str, Any]) -> bool:
        return record["epoch"] == 1 and super().settled(record)


# -- cancellation of an asyncio task ---------------------------------------------------------------


class Undoing:
    """Right as long as its process lives: keys, retries, reverse order; a client who leaves rolls the saga back."""

    leaves: tuple[type[BaseException], ...] = (asyncio.CancelledError,)

    def boot(self, world: World) -> None:
        self.call: Any = world.call

    async def run(self, order: Order) -> bool:
        begun: list[Step] = []
        try:
            for step in CHECKOUT.steps:
                begun.append(step)
                await self.ask(step.operation, order, step)
        except Rejected:
            begun.pop()
            await self.undo(order, begun)
            return False
        except self.leaves:
            await asyncio.shield(self.undo(order, begun))
            return False
        return True

    async def undo(self, order: Order, begun: list[Step]) -> None:
        for step in reversed(begun):
            if step.undo is not None:
                await self.ask(step.undo, order, step)

    async def ask(self, operation: str, order: Order, step: Step) -> None:
        while True:
            try:
                await self.call(operation, saga=order.id, key=f"{order.id}/{step.name}")
                return
            except (CallTimeout, Unavailable):
                await asyncio.sleep(1)


class MissesCancellation(Undoing):
    """Catches Exception, which a cancellation is not: it passes through, and nothing is rolled back."""

    leaves = (Exception,)


def in_memory(cls: type) -> Adapter:
    cls.__doc__ = told(cls)
    return declared(
        cls, saga=CHECKOUT, scenarios=[SUCCEEDS], cannot_suffer=IN_MEMORY, durable_recovery=False, name=cls.__name__
    )


MUTANTS = (
    Mutant(
        name="undo-before-siblings-settle",
        adapter=system(UndoBeforeSiblingsSettle, saga=FORKED, scenario=DECLINED),
        twin=system(Parallel, saga=FORKED, scenario=DECLINED),
        invariants=("I4", "I5"),
        faults=1,
        schedule="lost-request at saga-1: inventory forward, send",
        source="simplesagas#20",
        timing=True,
    ),
    Mutant(
        name="timeout-races-commit",
        adapter=system(TimeoutRacesCommit),
        twin=system(TimesOut),
        invariants=("I15",),
        faults=1,
        schedule="lost-request at saga-1: payment forward, send",
        source="incubator-seata#5404",
        timing=True,
    ),
    Mutant(
        name="stale-timer",
        adapter=system(StaleTimer),
        twin=system(Scheduled),
        invariants=("I21", "I15"),
        faults=1,
        schedule="crash-after-log at saga-1: write 'create'",
        source="MassTransit#525",
        timing=True,
    ),
    Mutant(
        name="misses-cancellation",
        adapter=in_memory(MissesCancellation),
        twin=in_memory(Undoing),
        invariants=("I11", "I2"),
        faults=1,
        schedule="cancel at saga-1: order forward, send",
        source="the naive orchestrator",
    ),
)
