"""The example's services keep each effect and the memory of its key in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagafuzz import Rejected, Unavailable
from sagafuzz.reference_saga.runtime import Request
from sagafuzz.reference_saga.services import Services

from .stores import open_database, place


class Shop:
    """One saga after the other asks the services."""

    def __init__(self, database: Any) -> None:
        self.database = database
        self.services = Services(database)
        self.services.endow(stock={"book": 2}, accounts={"ann": 150})

    def ask(self, operation: str, saga: str = "s-1", *, epoch: int = 1) -> Any:
        payload = {"item": "book", "quantity": 1, "account": "ann", "amount": 100}
        step = operation.partition(".")[0]
        key = f"{saga}/{'confirmation' if operation == 'order.confirm' else step}"
        request = Request(operation=operation, saga=saga, key=key, epoch=epoch, payload=payload)
        return self.services.operations[operation](request)

    def one(self, query: str) -> Any:
        with self.database.transaction() as execute:
            return execute(query)[0][0]

    @property
    def stock(self) -> int:
        return int(self.one("SELECT available FROM stock"))

    @property
    def money(self) -> int:
        return int(self.one("SELECT balance FROM accounts"))


@pytest.fixture(params=["sqlite", "postgres"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with place(request.param, tmp_path) as where:
        database = open_database(request.param, where)
        try:
            yield Shop(database)
        finally:
            database.close()


def test_a_key_is_applied_once_and_answered_alike(shop: Shop) -> None:
    assert shop.ask("payment.charge") == shop.ask("payment.charge") == {"amount": 100}
    assert shop.money == 50


def test_a_refusal_is_remembered_even_when_the_reason_is_gone(shop: Shop) -> None:
    shop.ask("payment.charge")
    for _ in range(2):
        with pytest.raises(Rejected, match="insufficient funds"):
            shop.ask("payment.charge", "s-2")
        shop.ask("payment.refund")


def test_an_undo_that_comes_first_changes_nothing_and_bars_the_step(shop: Shop) -> None:
    shop.ask("inventory.release")
    with pytest.raises(Rejected, match="already compensated"):
        shop.ask("inventory.reserve")
    assert shop.stock == 2


def test_an_undo_is_applied_once_and_gives_back_what_was_taken(shop: Shop) -> None:
    shop.ask("inventory.reserve")
    assert shop.stock == 1
    shop.ask("inventory.release")
    shop.ask("inventory.release")
    assert shop.stock == 2
    assert shop.services.ledger() == [("s-1", "inventory.reserve"), ("s-1", "inventory.release")]


def test_an_owner_that_was_superseded_can_do_nothing_and_learns_nothing(shop: Shop) -> None:
    shop.ask("order.create", epoch=2)
    with pytest.raises(Unavailable, match="epoch 1 of saga s-1 has ended"):
        shop.ask("inventory.reserve", epoch=1)
    shop.ask("inventory.reserve", "s-2", epoch=1)
    assert shop.stock == 1


def test_what_is_not_confirmed_is_pending(shop: Shop) -> None:
    shop.ask("order.create")
    shop.ask("inventory.reserve")
    states = "SELECT state FROM {} WHERE saga = 's-1'"
    assert [shop.one(states.format(table)) for table in ("orders", "reservations")] == ["PENDING"] * 2
    shop.ask("order.confirm")
    assert [shop.one(states.format(table)) for table in ("orders", "reservations")] == ["CONFIRMED"] * 2


def test_keys_are_forgotten_by_age_and_only_then(shop: Shop) -> None:
    shop.ask("inventory.reserve")
    shop.services.forget(older_than_s=60)
    assert shop.one("SELECT count(*) FROM requests") == 1
    shop.services.forget(older_than_s=-1)
    assert shop.one("SELECT count(*) FROM requests") == shop.one("SELECT count(*) FROM owners") == 0
    assert shop.stock == 1
