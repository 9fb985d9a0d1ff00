"""The compensation algebra on participants themselves."""

from __future__ import annotations

from typing import Any

import pytest

from sagafuzz import Rejected, Request, Saga, Step, Transaction, UsageError
from sagafuzz.exploration.algebra import LAWS, check_algebra
from sagafuzz.simulator import Register

SHOP = Saga(
    "shop",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("inventory", "inventory.reserve", undo="inventory.release"),
        Step("payment", "payment.charge", undo="payment.refund"),
        Step("mail", "mail.send"),
    ],
)


class Bank:
    """Right: it remembers keys and tombstones, and undoes what the saga took."""

    def handle(self, request: Request, tx: Transaction) -> Any:
        seen = (request.operation, request.key)
        if seen not in tx.memory:
            self.act(request, tx)
            tx.memory[seen] = True
        return tx.memory[seen]

    def act(self, request: Request, tx: Transaction) -> None:
        if request.direction == "F":
            if ("undone", request.saga) in tx.memory:
                raise Rejected("undone")
            tx.state[request.saga] = 5
        else:
            tx.state.pop(request.saga, None)
            tx.memory["undone", request.saga] = True


class ForgetsKeys(Bank):
    def handle(self, request: Request, tx: Transaction) -> Any:
        tx.state["taken"] = tx.state.get("taken", 0) + (5 if request.direction == "F" else -5)


class NoTombstone(Bank):
    def act(self, request: Request, tx: Transaction) -> None:
        if request.direction == "F":
            tx.state[request.saga] = 5
        else:
            tx.state.pop(request.saga, None)


class LooksForTheRow(NoTombstone):
    def handle(self, request: Request, tx: Transaction) -> Any:
        self.act(request, tx)


class RemembersInMemory(Bank):
    def __init__(self) -> None:
        self.seen: set[tuple[str, str | None]] = set()

    def handle(self, request: Request, tx: Transaction) -> Any:
        if (request.operation, request.key) not in self.seen:
            self.seen.add((request.operation, request.key))
            tx.state["count"] = tx.state.get("count", 0) + (1 if request.direction == "F" else -1)


class UndoesTheLast(Bank):
    def act(self, request: Request, tx: Transaction) -> None:
        rows = tx.state.setdefault("rows", [])
        if request.direction == "F":
            rows.append(request.saga)
        elif rows:
            rows.pop()


@pytest.mark.parametrize("step", ["order", "inventory", "payment"])
def test_the_built_in_participants_keep_the_laws(step: str) -> None:
    assert check_algebra(step, SHOP, step) == ()


@pytest.mark.parametrize(
    ("participant", "payload"),
    [(Bank, {}), (Register, {"entity": "x", "add": 5}), (Register, {"entity": "x", "set": 5})],
)
def test_participants_that_remember_keep_them(participant: Any, payload: dict[str, Any]) -> None:
    assert check_algebra(participant, SHOP, "payment", payload=payload) == ()


@pytest.mark.parametrize(
    ("participant", "laws"),
    [
        (ForgetsKeys, {"F·F = F", "C·C = C", "C·F = C", "F·C·F = F·C", "C = nothing"}),
        (NoTombstone, {"C·F = C"}),
        (LooksForTheRow, {"C·F = C", "F·C·F = F·C"}),
        (RemembersInMemory, {"F·F = F", "C·C = C", "F·C·F = F·C", "C·F = C", "C = nothing"}),
    ],
)
def test_each_law_that_is_broken_is_named(participant: Any, laws: set[str]) -> None:
    found = check_algebra(participant, SHOP, "payment")
    assert {violation.anomaly for violation in found} == laws <= set(LAWS)
    assert {violation.invariant for violation in found} == {"I9"}


def test_the_smallest_past_that_shows_it_is_told() -> None:
    found = {v.anomaly: v for v in check_algebra(UndoesTheLast, SHOP, "payment")}
    assert found["C = nothing"].sentence in (
        "payment breaks C = nothing, after saga-2 did it",
        "payment breaks C = nothing",
    )


def test_a_memory_that_is_lost_in_a_restart_is_told() -> None:
    (found,) = [v for v in check_algebra(RemembersInMemory, SHOP, "payment") if v.anomaly == "F·F = F"]
    assert found.sentence == "payment breaks F·F = F, with a restart after each request"
    assert (found.expected, found.got) == ("{'count': 1}", "{'count': 2}")


@pytest.mark.parametrize(("step", "complaint"), [("pay", "has no step 'pay'"), ("mail", "has no undo")])
def test_a_step_without_an_algebra_is_refused(step: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        check_algebra("payment", SHOP, step)
