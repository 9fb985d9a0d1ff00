"""A service as it is gets webhooks: what the participants tell it later is a request to the app."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from flask import Flask, request
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sagafuzz import Outcome, Saga, Step, UsageError, service
from sagafuzz.invariants import check
from sagafuzz.ports import ADAPTER_ATTRIBUTE, Adapter

from .conftest import Laboratory

SALE = Saga("sale", [Step("payment", "payment.charge", pivot=True), Step("shipping", "shipping.send", retriable=True)])
ROUTES = {"POST payment/charge": "payment.charge", "POST shipping/send": "shipping.send"}
CHARGED = {"payment.charge": "payment.charged"}


async def ask(path: str, order: str) -> None:
    async with httpx.AsyncClient() as client:
        key = {"Idempotency-Key": f"{order}{path}"}
        (await client.post(f"http://{path}", json={"order": order}, headers=key)).raise_for_status()


def asgi_app(early: int) -> Starlette:
    """A shop that ships when it is told that the order is paid; ``early`` is its answer while it does not know that
    order: it keeps an order once the charge was answered."""
    paid: set[str] = set()

    async def submit(asked: Request) -> Response:
        order = (await asked.json())["id"]
        await ask("payment/charge", order)
        await asyncio.sleep(0.5)
        paid.add(order)
        return Response(status_code=202)

    async def told(asked: Request) -> Response:
        order = (await asked.json())["order"]
        if order not in paid:
            return Response(status_code=early)
        await ask("shipping/send", order)
        return Response(status_code=204)

    return Starlette(routes=[Route("/orders", submit, methods=["POST"]), Route("/paid", told, methods=["POST"])])


def wsgi_app() -> Flask:
    app = Flask(__name__)

    @app.post("/orders")
    def submit() -> Any:
        httpx.post("http://payment/charge", json={"order": request.json["id"]})  # type: ignore[index]
        return "", 202

    @app.post("/paid")
    def told() -> Any:
        httpx.post("http://shipping/send", json={"order": request.json["order"]})  # type: ignore[index]
        return "", 204

    return app


def shop(make: Any, **members: Any) -> Adapter:
    body = {
        "app": staticmethod(make),
        "submit": lambda self, order: ("POST", "/orders", {"id": order.id}),
        "answers": {202: Outcome.PENDING},
        "webhook": lambda self, message: ("POST", "/paid", {"order": message.saga}),
        **members,
    }
    made = service(saga=SALE, http=ROUTES, saga_id="json:order", emits=CHARGED)(type("Shop", (), body))
    found: Adapter = getattr(made, ADAPTER_ATTRIBUTE)
    return found


@pytest.mark.parametrize("make", [lambda: asgi_app(503), wsgi_app], ids=["asgi", "wsgi"])
def test_a_message_is_a_request_to_the_app(make: Any) -> None:
    seen = Laboratory().trial(shop(make))
    assert seen.story("shipping") == ["SEND", "DELIVER", "APPLY", "ACK"]
    assert {event.saga for event in seen.of("SEND")} == {"saga-1"}


def test_a_webhook_that_was_not_answered_with_2xx_comes_again() -> None:
    seen = Laboratory().trial(shop(lambda: asgi_app(503)))
    assert len(seen.of("RECEIVE")) > 1 and len(seen.of("APPLY")) == 2


def test_a_webhook_that_was_answered_with_200_and_forgotten_is_told() -> None:
    seen = Laboratory().trial(shop(lambda: asgi_app(200)))
    assert len(seen.of("RECEIVE")) == 1 and "shipping" not in {event.step for event in seen.of("SEND")}
    assert {found.invariant for found in check(seen.history).violations} == {"I40"}


def test_messages_without_anybody_who_receives_them_are_refused_with_the_line_to_add() -> None:
    class Deaf:
        app = staticmethod(wsgi_app)

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    with pytest.raises(UsageError, match="add 'def webhook"):
        service(saga=SALE, http=ROUTES, emits=CHARGED)(Deaf)
