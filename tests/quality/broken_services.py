"""Services that are wrong in one thing: one for every kind of fault that strikes services only.

Each takes one sign of trouble for an answer. What its client cannot tell apart, as a kept connection that had gone and
one that is closed at once, is told by what was done: who takes it for a yes is found by the kind that did nothing, and
who takes it for a no by both, since nobody knows.
"""

from __future__ import annotations

import http.client
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from sagafuzz import Adapter, App, Saga, Step, service
from sagafuzz.ports import ADAPTER_ATTRIBUTE

from ..simulator.test_service import app_of

PAIR = Saga(
    "pair",
    [
        Step("order", "order.create", undo="order.cancel"),
        Step("pay", "payment.charge", undo="payment.refund"),
    ],
)
ROUTES = {"POST shop/create": "order.create", "POST shop/cancel": "order.cancel", "POST shop/charge": "payment.charge"}

CLOSED, RESET, HALVED, STALLED, GATEWAY = "closed", "reset", "halved", "stalled", "gateway"


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What is wrong, as an adapter; the invariant that tells of it, and which other kinds find it too."""

    adapter: Adapter
    invariant: str
    also: tuple[str, ...] = ()


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        yield from (each for each in error.args if isinstance(each, BaseException))
        error = error.__cause__ or error.__context__


def sign(error: BaseException) -> str:
    """What has become of a connection; "" where nothing came of it."""
    for each in causes(error):
        if isinstance(each, http.client.RemoteDisconnected):
            return CLOSED
        if isinstance(each, (http.client.IncompleteRead, urllib3.exceptions.IncompleteRead)):
            return HALVED
        if isinstance(each, ConnectionResetError):
            return RESET
    stalled = isinstance(error, requests.ConnectionError) and "Read timed out" in str(error)
    return STALLED if stalled else ""


def serving(takes: Mapping[str, bool], apps: Mapping[str, App] | None = None) -> Adapter:
    """A service that creates an order, charges for it, and cancels it where that was refused. Each request it makes
    until it has an answer, and ``takes`` is what it takes for one."""

    def ask(session: requests.Session, path: str, order: str) -> bool:
        for _ in range(20):
            try:
                key = {"Idempotency-Key": f"{order}{path}"}
                answer = session.post(f"http://shop{path}", json={"id": order}, headers=key, timeout=2)
                seen = GATEWAY if answer.status_code == 502 else ""
                if answer.status_code < 500:
                    return answer.ok
            except requests.RequestException as error:
                seen = sign(error)
            if seen in takes and path == "/charge":
                return takes[seen]
        raise AssertionError("it has no answer")

    async def handler(order: str) -> int:
        with requests.Session() as session:
            if not ask(session, "/create", order):
                return 409
            if ask(session, "/charge", order):
                return 200
            ask(session, "/cancel", order)
            return 409

    class Shop:
        app = staticmethod(lambda: app_of(handler))

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:id", apps=apps)(Shop)
    found: Adapter = getattr(made, ADAPTER_ATTRIBUTE)
    return found


def bank(*transactions: Callable[[sqlite3.Connection, str], object]) -> Mapping[str, App]:
    """The app of the payment, which charges once, and notes for whom; each part in a transaction of its own."""

    async def handler(order: str) -> int:
        database = sqlite3.connect("bank.db")
        database.execute("CREATE TABLE IF NOT EXISTS charges (saga TEXT)")
        database.execute("CREATE TABLE IF NOT EXISTS seen (saga TEXT)")
        if not database.execute("SELECT 1 FROM seen WHERE saga = ?", (order,)).fetchone():
            for transaction in transactions:
                with database:
                    transaction(database, order)
        database.close()
        return 200

    return {"payment": App(lambda: app_of(handler), db="bank.db", effects="SELECT saga FROM charges")}


def charge(database: sqlite3.Connection, order: str) -> None:
    database.execute("INSERT INTO charges VALUES (?)", (order,))


def note(database: sqlite3.Connection, order: str) -> None:
    database.execute("INSERT INTO seen VALUES (?)", (order,))


def at_once(database: sqlite3.Connection, order: str) -> None:
    charge(database, order)
    note(database, order)


RIGHT = serving({})
RIGHT_WITH_APP = serving({}, bank(at_once))

BEFORE, AFTER = "participant-crash-before-commit", "participant-crash-after-commit"

BROKEN = {
    "stale-connection": Broken(adapter=serving({CLOSED: True}), invariant="I23"),
    "reset-before-effect": Broken(adapter=serving({RESET: True}), invariant="I23"),
    "reset-after-effect": Broken(adapter=serving({RESET: False}), invariant="I5", also=("reset-before-effect",)),
    "closed-unanswered": Broken(adapter=serving({CLOSED: False}), invariant="I5", also=("stale-connection",)),
    "half-answer": Broken(adapter=serving({HALVED: False}), invariant="I5"),
    "stalled-answer": Broken(adapter=serving({STALLED: False}), invariant="I5"),
    "bad-gateway": Broken(adapter=serving({GATEWAY: False}), invariant="I5"),
    BEFORE: Broken(adapter=serving({}, bank(note, charge)), invariant="I23", also=(AFTER,)),
    AFTER: Broken(adapter=serving({}, bank(charge, note)), invariant="I1", also=(BEFORE,)),
}
