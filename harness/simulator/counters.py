"""The built-in participants that move amounts: stock and money."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from ..keys import OPERATION
from ..saga import Step
from ..scenario import Order, Scenario
from .message import Message
from .participants import Ledger, Row, count_of, text_of


class CounterLedger(Ledger):
    """A participant that moves an amount from ``free`` to ``taken`` for each subject."""

    __slots__ = ("free", "initial", "taken")
    blind = True
    unit = ""
    short = ""

    def __init__(
        self,
        scenario: Scenario,
        orders: Mapping[str, Order],
        scope: str = OPERATION,
        terms: Mapping[str, Step] = MappingProxyType({}),
        confirms: bool = True,
    ) -> None:
        super().__init__(scenario, orders, scope, terms, confirms)
        self.free: dict[str, int] = {}
        self.taken: dict[str, int] = {}
        self.initial = self.endowment(scenario)

    def copy(self) -> CounterLedger:
        twin = super().copy()
        assert isinstance(twin, CounterLedger)
        twin.free = self.free.copy()
        twin.taken = self.taken.copy()
        twin.initial = self.initial
        return twin

    def endowment(self, scenario: Scenario) -> int:
        raise NotImplementedError

    def objection(self, row: Row) -> str | None:
        return self.short if self.free.get(row.subject, self.initial) < row.amount else None

    def add(self, row: Row) -> None:
        subject, amount = row.subject, row.amount
        self.free[subject] = self.free.get(subject, self.initial) - amount
        self.taken[subject] = self.taken.get(subject, 0) + amount

    def remove(self, subject: str, amount: int) -> None:
        self.free[subject] = self.free.get(subject, self.initial) + amount
        self.taken[subject] = self.taken.get(subject, 0) - amount

    def balance(self, subject: str) -> tuple[Any, ...]:
        live = 0
        for row in self.rows:
            if row.subject == subject:
                live += row.amount
        return (self.unit, subject, self.free[subject], self.taken[subject], live, self.initial)

    def held(self) -> dict[str, Any]:
        subjects = dict.fromkeys((*map(self.subject, self.orders.values()), *self.free))
        return {
            **super().held(),
            "free": {subject: self.free.get(subject, self.initial) for subject in subjects},
            "taken": {subject: self.taken.get(subject, 0) for subject in subjects},
        }


class Inventory(CounterLedger):
    """Stock for each item: available and reserved."""

    __slots__ = ()
    unit = "stock"
    counts = "quantity"
    short = "out of stock"

    def endowment(self, scenario: Scenario) -> int:
        return scenario.stock

    def measure(self, msg: Message, order: Order) -> tuple[str, int]:
        return text_of(msg, "item", order.item), count_of(msg, "quantity", order.quantity)

    def subject(self, order: Order) -> str:
        return order.item


class Payment(CounterLedger):
    """Money for each account: the customer's and the merchant's."""

    __slots__ = ("limit",)
    unit = "money"
    counts = "amount"
    short = "insufficient funds"

    def __init__(
        self,
        scenario: Scenario,
        orders: Mapping[str, Order],
        scope: str = OPERATION,
        terms: Mapping[str, Step] = MappingProxyType({}),
        confirms: bool = True,
    ) -> None:
        super().__init__(scenario, orders, scope, terms, confirms)
        self.limit = scenario.limit

    def copy(self) -> Payment:
        twin = super().copy()
        assert isinstance(twin, Payment)
        twin.limit = self.limit
        return twin

    def endowment(self, scenario: Scenario) -> int:
        return scenario.funds

    def measure(self, msg: Message, order: Order) -> tuple[str, int]:
        return text_of(msg, "account", order.account), count_of(msg, "amount", order.amount)

    def subject(self, order: Order) -> str:
        return order.account

    def objection(self, row: Row) -> str | None:
        if self.limit is not None and row.amount > self.limit:
            return "card declined: over the limit"
        return super().objection(row)


LEDGERS: Final[Mapping[str, type[Ledger]]] = {"inventory": Inventory, "payment": Payment}
"""Built-in participants with counters; order, shipping and every other name is a plain Ledger."""
