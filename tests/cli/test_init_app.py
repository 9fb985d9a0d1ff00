"""``sagafuzz init --app``: the adapter for an app, drafted from what it asks when it is run without faults."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sagafuzz import Plan
from sagafuzz.exploration.quiet import quiet
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.simulator import Setup, simulate

from .conftest import Run

SERVICES = Path(__file__).parents[1] / "services"


@pytest.fixture(autouse=True)
def _services(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("web_orders", "flask_orders"):
        found = SERVICES / name
        shutil.copytree(found, name) if found.is_dir() else shutil.copy(found.with_suffix(".py"), ".")
        for module in [each for each in sys.modules if each.partition(".")[0] in (name, f"{name}_adapter")]:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.syspath_prepend(".")


def conclusions(spec: str) -> set[str]:
    """What is concluded of the runs without faults of what was written."""
    with quiet():
        adapter = load(spec)
        setups = [Setup(adapter=adapter, scenario=scenario) for scenario in adapter.scenarios]
        return {check(simulate(setup).history(setup, Plan())).conclusion for setup in setups}


def test_what_is_written_for_a_service_has_all_that_it_asks_and_runs_at_once(sagafuzz: Run) -> None:
    result = sagafuzz("init", "--app", "web_orders.app:create_app")
    assert result.code == 0 and "to fill in" not in result.out
    assert "next: sagafuzz run web_orders_adapter.py:WebOrders" in result.out
    assert "POST payment/charge     payment.charge     json:order  header:Idempotency-Key  saga.py:" in result.out
    text = Path("web_orders_adapter.py").read_text()
    for step in (
        'Step("inventory", "inventory.reserve", undo="inventory.release")',
        'Step("payment", "payment.charge", undo="payment.refund")',
        'Step("shipping", "shipping.book", undo="shipping.cancel")',
    ):
        assert step in text
    assert '@sagafuzz.service(saga=WEB_ORDERS, http=ROUTES, saga_id="json:order")' in text
    assert '{"id": order.id, "sku": order.item, "qty": order.quantity, "cents": order.amount}' in text
    assert conclusions("web_orders_adapter.py:WebOrders") == {"consistent"}


def test_what_cannot_be_known_of_an_app_is_marked_with_a_reason(sagafuzz: Run) -> None:
    result = sagafuzz("init", "--app", "flask_orders:create_app")
    lines = Path("flask_orders_adapter.py").read_text().splitlines()
    marked = {number: line for number, line in enumerate(lines, 1) if "# FILL IN: " in line}
    assert [int(found) for found in re.findall(r"to fill in: line (\d+)", result.out)] == [*marked]
    pivot, undo, saga, fields = marked.values()
    assert 'Step("ship", "ship.parcels", pivot=True)' in pivot and "pivot=True is guessed" in pivot
    assert '"local-8001.undo-holds"' in undo and "after a refusal" in undo
    assert 'saga_id="json:…", if it asks at a restart too: ' in saga and "it is at json:ref, json:order" in saga
    assert "the fields that it reads, if there are more" in fields
    text = "\n".join(lines)
    for told in (
        '"GET rates.internal/v1/rate": "rates.get-rate"',
        'Step("local-8001", "local-8001.holds", undo="local-8001.undo-holds")',
        'Step("cards", "cards.put-charges", undo="cards.delete-charges")',
        '"PUT cards.internal/charges/{id}"',
        'key="json:request_id", status={402: "refused"}',
        "answers = {202: True, 422: False}",
        'return "POST", f"/shops/{order.id}/orders", {',
        '"order_ref": order.id, "total": order.amount}',
        "# it takes also: POST /health",
    ):
        assert told in text
    assert conclusions("flask_orders_adapter.py:FlaskOrders") == {"consistent"}


SELLS = """
import requests
from flask import Flask, request

app = Flask(__name__)


def ask(what, sale):
    key = {"Idempotency-Key": f"{what}/{sale}"}
    requests.post(f"http://{what}", json={"sale": sale}, headers=key, timeout=1).raise_for_status()


@app.post("/sales")
def sell():
    sale = request.get_json()["id"]
    try:
        ask("seats/hold", sale)
        ask("parcels/ship", sale)
    except requests.RequestException:
        ask("seats/release", sale)
        return {}, 409
    return {}, 201
"""


def test_a_last_step_that_nothing_undoes_is_drafted_as_the_pivot_so_that_what_it_leaves_is_judged(
    sagafuzz: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "parcel_sales", raising=False)
    Path("parcel_sales.py").write_text(SELLS)
    result = sagafuzz("init", "--app", "parcel_sales:app")
    assert "pivot=True is guessed, since nothing was asked for that undoes it" in result.out
    assert '"parcels.ship", pivot=True),  # FILL IN: ' in Path("parcel_sales_adapter.py").read_text()
    result = sagafuzz("run", "parcel_sales_adapter.py:ParcelSales", "--plan", "lost-ack@parcels")
    assert result.code == 1 and "I10 undo after the pivot" in result.out


ACCEPTS = """
import httpx
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse
from starlette.routing import Route


def ask(what, sale):
    return httpx.post(f"http://{what}", json={"sale": sale}, headers={"Idempotency-Key": f"{what}{sale}"}).is_success


def sell(sale):
    if ask("seats/hold", sale) and not ask("cards/charge", sale):
        ask("seats/release", sale)


async def sales(request):
    return JSONResponse({}, 202, background=BackgroundTask(sell, (await request.json())["id"]))


app = Starlette(routes=[Route("/sales", sales, methods=["POST"])])
"""


def test_of_an_app_that_answers_202_whatever_becomes_of_an_order_it_is_guessed_that_it_is_pending(
    sagafuzz: Run,
) -> None:
    Path("accepting.py").write_text(ACCEPTS)
    result = sagafuzz("init", "--app", "accepting:app", "--submit", "POST /sales")
    assert "guessed, since what is refused is answered so too" in result.out
    text = Path("accepting_adapter.py").read_text()
    assert 'Step("seats", "seats.hold", undo="seats.release")' in text
    assert "answers = {202: sagafuzz.Outcome.PENDING}" in text
    assert conclusions("accepting_adapter.py:Accepting") == {"consistent"}


def test_an_app_that_asks_nothing_is_written_down_with_what_is_missing(sagafuzz: Run) -> None:
    result = sagafuzz("init", "--app", "flask_orders:create_quiet_app")
    assert "the steps; it asked nothing" in result.out
    assert load("flask_orders_adapter.py:FlaskOrders").saga.name == "flask_orders"


def test_the_request_that_submits_an_order_can_be_told(sagafuzz: Run) -> None:
    result = sagafuzz("init", "--app", "flask_orders:create_app", "--submit", "POST /health")
    assert "the steps; it asked nothing" in result.out
    assert 'return "POST", "/health", {"id": order.id}' in Path("flask_orders_adapter.py").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--app", "flask_orders"], "names no app; write --app orders.app:create_app"),
        (["--app", "nobody:app"], "does not import"),
        (["--app", "flask_orders:nobody"], "names no app"),
        (["--app", "flask_orders:create_app", "--submit", "/orders"], "write --submit 'POST /orders'"),
        (["--submit", "POST /orders"], "add --app"),
        (["--app", "flask_orders:create_app_without_routes"], "add --submit 'POST /orders'"),
        (["--app", "flask_orders:create_app_that_does_not_start"], "does not start: RuntimeError (flask_orders.py:"),
    ],
)
def test_what_cannot_be_followed_is_said_in_a_line_and_nothing_is_written(
    sagafuzz: Run, words: list[str], told: str
) -> None:
    result = sagafuzz("init", *words)
    assert result.code == 2 and told in result.complaint
    assert not [*Path().glob("*_adapter.py")]


def test_nothing_is_overwritten_by_it(sagafuzz: Run) -> None:
    Path("flask_orders_adapter.py").write_text("mine")
    assert "is there already" in sagafuzz("init", "--app", "flask_orders:create_app").complaint
    assert Path("flask_orders_adapter.py").read_text() == "mine"


def test_the_command_that_comes_next_runs_where_it_is_told(sagafuzz: Run, tmp_path: Path) -> None:
    told = sagafuzz("init", "drafts", "--app", "web_orders.app:create_app").out
    command = told[told.index("next: ") :].removeprefix("next: ").strip()
    assert command == "sagafuzz run drafts/web_orders_adapter.py:WebOrders --faults 1"
    words = [sys.executable, "-m", *shlex.split(command)[:-1], "0", "--random", "0"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "web_orders on WebOrders:" in done.stdout, done.stderr
