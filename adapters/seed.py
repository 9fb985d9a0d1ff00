"""The naive in-memory orchestrator that many write first.

It runs its steps one after the other, keeps a list of those that succeeded, and on any trouble
walks that list backwards. Nothing is durable, nothing has a key, nothing is asked twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..ports import Rejected, World, adapter
from ..scenario import Order
from .checkout import CHECKOUT, OVER_THE_LIMIT, SCENARIOS


@dataclass(frozen=True, kw_only=True)
class NaiveStep:
    """What to do, how to take it back, and what to call it in the log."""

    name: str
    execute: Callable[[], bool]
    compensate: Callable[[], object]


class NaiveOrchestrator:
    """Steps in a list, done ones in another. True when all succeeded."""

    def __init__(self) -> None:
        self.steps: list[NaiveStep] = []
        self.executed: list[NaiveStep] = []

    def add_step(self, execute: Callable[[], bool], compensate: Callable[[], object], name: str) -> None:
        self.steps.append(NaiveStep(name=name, execute=execute, compensate=compensate))

    def run(self) -> bool:
        for step in self.steps:
            try:
                succeeded = step.execute()
            except Exception:
                self.rollback()
                return False
            if not succeeded:
                self.rollback()
                return False
            self.executed.append(step)
        return True

    def rollback(self) -> None:
        """In reverse; an exception in one compensation ends it."""
        for step in reversed(self.executed):
            step.compensate()


@adapter(saga=CHECKOUT, name="seed", scenarios=(*SCENARIOS, OVER_THE_LIMIT))
class Seed:
    """A naive orchestrator: in memory, without keys, without retries."""

    def boot(self, world: World) -> None:
        self.world = world

    def run(self, order: Order) -> bool:
        saga = NaiveOrchestrator()
        saga.add_step(self._do("order.create"), self._undo("order.cancel"), "Create Order")
        saga.add_step(
            self._do("inventory.reserve", item=order.item),
            self._undo("inventory.release", item=order.item),
            "Reserve Inventory",
        )
        saga.add_step(
            self._do("payment.charge", amount=order.amount),
            self._undo("payment.refund", amount=order.amount),
            "Process Payment",
        )
        return saga.run()

    def _do(self, operation: str, **payload: Any) -> Callable[[], bool]:
        def execute() -> bool:
            try:
                self.world.call(operation, **payload)
            except Rejected:
                return False  # a refusal is an answer, as the mock services give it
            return True

        return execute

    def _undo(self, operation: str, **payload: Any) -> Callable[[], object]:
        return lambda: self.world.call(operation, **payload)
