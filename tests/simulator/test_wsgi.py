"""A WSGI app as it is: each request runs in a thread of its own, with the clients and the databases of sync code."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import flask
import httpx
import pytest
import requests
from aiohttp import web
from sqlalchemy import create_engine, text

from sagafuzz import Adapter, UsageError, service
from sagafuzz.ports import ADAPTER_ATTRIBUTE
from sagafuzz.wsgi import is_wsgi

from .conftest import Laboratory, Trial
from .test_service import PAIR, ROUTES


def declared(handler: Callable[[str], Any] | str, start: Callable[[], Any] = lambda: None, **options: Any) -> Adapter:
    """A Flask app that answers an order by ``handler(id)``, or the app of that name."""

    def create_app() -> flask.Flask:
        app = flask.Flask("small")
        start()
        app.post("/orders/<id>")(lambda id: handler(id))  # type: ignore[operator]  # noqa: PLW0108
        return app

    class Small:
        app = handler if isinstance(handler, str) else staticmethod(create_app)

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", f"/orders/{order.id}?by=client%201", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order", **options)(Small)
    found: Adapter = getattr(made, ADAPTER_ATTRIBUTE)
    return found


def ran(handler: Callable[[str], Any] | str, *faults: str, scenario: str = "succeeds") -> Trial:
    adapter = declared(handler)
    return Laboratory().trial(adapter, *faults, scenario=adapter.scenario(scenario))


def charge(order: str) -> requests.Response:
    return requests.post("http://payment/charge", json={"order": order}, headers={"Idempotency-Key": order}, timeout=2)


def test_what_a_server_tells_an_app_is_there() -> None:
    seen: list[Any] = []

    def handler(order: str) -> tuple[str, int]:
        asked = flask.request
        seen.append((asked.method, asked.path, asked.args["by"], asked.json, asked.host))
        return "", 409

    assert ran(handler).answers == ["compensated"]
    assert seen == [("POST", "/orders/saga-1", "client 1", {"id": "saga-1"}, "orders")]


def test_two_requests_run_side_by_side_and_each_knows_its_order() -> None:
    said: list[str] = []

    def handler(order: str) -> str:
        said.append(f"{order} begins")
        charge(order)
        assert threading.current_thread() is not threading.main_thread()
        said.append(f"{flask.request.json['id']} ends")
        return ""

    assert ran(handler, scenario="two-on-one-item").answers == ["completed", "completed"]
    assert said == ["saga-1 begins", "saga-2 begins", "saga-1 ends", "saga-2 ends"]


def test_an_app_that_fails_has_not_answered() -> None:
    def handler(order: str) -> str:
        return str(flask.request.json["nothing"])

    seen = ran(handler)
    assert seen.answers == [] and [kind for kind, *_ in seen.raised] == ["Unavailable"]


@pytest.mark.parametrize("library", [requests, httpx])
def test_a_pool_of_connections_is_shared_by_the_threads_of_an_app(library: Any) -> None:
    client: list[Any] = []

    def handler(order: str) -> str:
        for _ in range(2):
            answer = client[0].post(
                "https://payment/charge", json={"order": order}, headers={"Idempotency-Key": order}, timeout=2
            )
            assert answer.status_code == 200
        return ""

    def start() -> None:
        client[:] = [requests.Session() if library is requests else httpx.Client()]

    adapter = declared(handler, start)
    seen = Laboratory().trial(adapter, scenario=adapter.scenario("two-on-one-item"))
    assert seen.answers == ["completed", "completed"] and len(seen.of("ACK")) == 4


def test_what_sqlalchemy_has_committed_is_there_after_a_crash() -> None:
    found: list[int] = []

    def start() -> None:
        engine[:] = [create_engine("sqlite:///orders.db", pool_size=1, max_overflow=0)]
        with engine[0].begin() as connection:
            connection.execute(text("CREATE TABLE IF NOT EXISTS orders (id TEXT)"))
            found.append(connection.execute(text("SELECT count(*) FROM orders")).scalar_one())

    def handler(order: str) -> str:
        with engine[0].begin() as connection:  # the other request waits for it
            connection.execute(text("INSERT INTO orders VALUES (:id)"), {"id": order})
            time.sleep(1)
        return ""

    engine: list[Any] = []
    adapter = declared(handler, start)
    for kind, kept in (("crash-before-log", 0), ("crash-after-log", 1)):
        found.clear()
        scenario = adapter.scenario("two-on-one-item")
        seen = Laboratory().trial(adapter, f"{kind} 'orders.db: insert orders'", scenario=scenario)
        assert len(seen.of("CRASH")) == 1 and found == [0, kept]
    assert not Path("orders.db").exists()


MODULE = """
from flask import Flask

app = Flask(__name__)
seen = []

@app.post("/orders/<id>")
def post(id):
    seen.append(id)
    return "", 201 if seen == [id] else 500
"""


def test_an_app_that_is_told_by_its_name_is_loaded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "named_orders.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    for _ in range(2):
        assert ran("named_orders:app").answers == ["completed"]
    for wrong in ("named_orders:nothing", "no_such_module:app", "named_orders"):
        with pytest.raises(UsageError, match=r"there is no such module|names no app"):
            ran(wrong)


def test_which_apps_are_wsgi_is_told_by_what_they_are_called_with() -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None: ...

    def wsgi(environ: Any, start_response: Any) -> Any: ...

    class Any_:  # noqa: N801
        def __call__(self, *args: Any) -> Any: ...

    assert is_wsgi(flask.Flask("small")) and is_wsgi(wsgi)
    assert not is_wsgi(asgi) and not is_wsgi(Any_())


def aiohttp_app(handler: Callable[[Any], Any], start: Callable[[Any], Any]) -> web.Application:
    app = web.Application()
    app.on_startup.append(start)
    app.router.add_post("/orders/{id}", handler)
    return app


def of_aiohttp(handler: Callable[[Any], Any], start: Callable[[Any], Any], *faults: str) -> Trial:
    """A run of a service that is an app of aiohttp."""

    async def create_app() -> web.Application:
        return aiohttp_app(handler, start)

    class Small:
        app = staticmethod(create_app)

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", f"/orders/{order.id}?by=client%201", {"id": order.id}

    made = service(saga=PAIR, http=ROUTES, saga_id="json:order")(Small)
    return Laboratory().trial(getattr(made, ADAPTER_ATTRIBUTE), *faults)


@pytest.mark.parametrize(("faults", "starts"), [((), 1), (("crash-after-effect pay F",), 2)])
def test_an_app_of_aiohttp_runs(faults: tuple[str, ...], starts: int) -> None:
    seen: list[Any] = []
    started: list[int] = []

    async def start(app: Any) -> None:
        started.append(1)

    async def handler(request: Any) -> Any:
        seen.append((request.method, request.match_info["id"], request.query["by"], await request.json()))
        key = {"Idempotency-Key": "k"}
        async with (
            aiohttp.ClientSession() as http,
            http.post("http://payment/charge", json={"order": request.match_info["id"]}, headers=key) as answer,
        ):
            return web.json_response(await answer.json(), status=201)

    run = of_aiohttp(handler, start, *faults)
    assert seen == [("POST", "saga-1", "client 1", {"id": "saga-1"})] and len(started) == starts
    assert run.answers == ([] if faults else ["completed"]) and len(run.of("APPLY")) == 1


@pytest.mark.parametrize("catches", [False, True])
def test_what_flask_tells_its_log_of_a_request_that_fails_is_why(catches: bool) -> None:
    def handler(order: str) -> str:
        try:
            raise RuntimeError("no such card")
        except RuntimeError:
            if not catches:
                raise
            flask.current_app.logger.exception("so what")
            return ""

    seen = ran(handler)
    why = [
        re.search(r"answered 500: RuntimeError \(test_wsgi.py:\d+\): no such card", said) for _, said, *_ in seen.raised
    ]
    assert (seen.answers, why) == (["completed"], []) if catches else all(why) and not seen.answers


def test_what_a_handler_of_aiohttp_raises_is_an_error_of_the_server() -> None:
    async def start(app: Any) -> None: ...

    async def handler(request: Any) -> Any:
        raise RuntimeError("no such card")

    (raised,) = of_aiohttp(handler, start).of("RAISED")
    assert re.search(r"answered 500: RuntimeError \(test_wsgi.py:\d+\): no such card", str(raised.data))


def test_a_client_has_its_answer_before_what_is_done_when_it_is_closed() -> None:
    def handler(order: str) -> flask.Response:
        answer = flask.Response("", 200)
        answer.call_on_close(lambda: charge(order))
        return answer

    seen = ran(handler)
    assert seen.answers == ["completed"] and seen.position("CLIENT_ACK") < seen.position("SEND")
    assert ran(handler, "crash-before-send pay F").answers == ["completed"]


class OfTornado:
    def __call__(self, request: Any) -> None:
        """As `tornado.web.Application` is called."""


OfTornado.__module__ = "tornado.web"


@pytest.mark.parametrize(("app", "kind"), [(OfTornado(), "tornado.web.OfTornado"), ({}, "builtins.dict")])
def test_what_is_no_app_is_refused(app: Any, kind: str) -> None:
    class Other:
        app = staticmethod(lambda: given)

        def submit(self, order: Any) -> tuple[str, str, Any]:
            return "POST", "/orders", {"id": order.id}

    given = app
    adapter: Adapter = getattr(service(saga=PAIR, http=ROUTES, saga_id="json:order")(Other), ADAPTER_ATTRIBUTE)
    with pytest.raises(UsageError, match=rf"the app is a {kind}, which is none of ASGI, WSGI or aiohttp; write an app"):
        Laboratory().trial(adapter)
