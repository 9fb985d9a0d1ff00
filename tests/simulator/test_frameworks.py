"""One saga in the apps of several frameworks, as their documentation has it: the right one is consistent, and the one
that makes a key for each try is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagafuzz import Outcome, Saga, Step, service
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.ports import ADAPTER_ATTRIBUTE
from sagafuzz.verdict import Report

SALE = Saga("sale", [Step("seats", "seats.hold", undo="seats.release"), Step("cards", "cards.charge")])
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in SALE.by_operation}

CORE = """
import sqlite3
import time
from contextlib import closing
from uuid import uuid4

import httpx

KEYS = {KEYS}
STEPS = ["seats/hold", "cards/charge"]


def run(sql, *args):
    with closing(sqlite3.connect("sales.db")) as db, db:
        db.execute("PRAGMA journal_mode = WAL")
        return db.execute(sql, args).fetchall()


def ask(what, sale):
    while True:
        key = f"{sale}/{what}" if KEYS else str(uuid4())
        try:
            answer = httpx.post(f"http://{what}", json={"sale": sale}, headers={"Idempotency-Key": key}, timeout=2)
            if answer.status_code < 500:
                return answer.is_success
        except httpx.HTTPError:
            pass
        time.sleep(1)


def create():
    run("CREATE TABLE IF NOT EXISTS sales (id TEXT PRIMARY KEY, done INT, state TEXT)")


def accept(sale):
    run("INSERT OR IGNORE INTO sales VALUES (?, 0, 'open')", sale)


def left():
    return [sale for (sale,) in run("SELECT id FROM sales WHERE state = 'open'")]


def sell(sale):
    ((done, state),) = run("SELECT done, state FROM sales WHERE id = ?", sale)
    while state == "open":
        if done == len(STEPS):
            state = "sold"
        elif ask(STEPS[done], sale):
            done += 1
        elif done == 0 or ask("seats/release", sale):
            state = "failed"
        run("UPDATE sales SET done = ?, state = ? WHERE id = ?", done, state, sale)
    return 201 if state == "sold" else 409
"""

APPS = {
    "aiohttp": """
import asyncio
from aiohttp import web


async def start(app):
    create()
    for sale in left():
        await asyncio.to_thread(sell, sale)


async def sales(request):
    sale = (await request.json())["id"]
    accept(sale)
    return web.json_response({}, status=await asyncio.to_thread(sell, sale))


def create_app():
    app = web.Application()
    app.on_startup.append(start)
    app.router.add_post("/sales", sales)
    return app
""",
    "bottle": """
import bottle


@bottle.post("/sales")
def sales():
    accept(bottle.request.json["id"])
    bottle.response.status = sell(bottle.request.json["id"])
    return {}


def create_app():
    assert len(bottle.default_app().routes) == 1  # as in a process that has just begun
    create()
    for sale in left():
        sell(sale)
    return bottle.default_app()
""",
    "falcon": """
import falcon


class Sales:
    def on_post(self, request, response):
        accept(request.get_media()["id"])
        response.status = falcon.code_to_http_status(sell(request.get_media()["id"]))


def create_app():
    create()
    for sale in left():
        sell(sale)
    app = falcon.App()
    app.add_route("/sales", Sales())
    return app
""",
    "falcon.asgi": """
import asyncio
import falcon.asgi


class Starts:
    async def process_startup(self, scope, event):
        create()
        for sale in left():
            await asyncio.to_thread(sell, sale)


class Sales:
    async def on_post(self, request, response):
        sale = (await request.get_media())["id"]
        accept(sale)
        response.status = await asyncio.to_thread(sell, sale)


def create_app():
    app = falcon.asgi.App(middleware=[Starts()])
    app.add_route("/sales", Sales())
    return app
""",
    "schedule": """
import threading
import schedule
from flask import Flask, request


@schedule.repeat(schedule.every(2).seconds)
def sweep():
    for sale in left():
        sell(sale)


def work():
    while True:
        schedule.run_pending()
        time.sleep(1)


def create_app():
    assert len(schedule.get_jobs()) == 1
    create()
    threading.Thread(target=work, daemon=True).start()
    app = Flask("sales")
    app.post("/sales")(lambda: ({}, accept(request.json["id"]) or 202))
    return app
""",
    "starlette": """
from contextlib import asynccontextmanager
import anyio
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse
from starlette.routing import Route


@asynccontextmanager
async def life(app):
    create()
    async with anyio.create_task_group() as group:
        for sale in left():
            group.start_soon(anyio.to_thread.run_sync, sell, sale)
        yield


async def sales(request):
    sale = (await request.json())["id"]
    if KEEPS:
        accept(sale)
    return JSONResponse({}, 202, background=BackgroundTask(do, sale))


def do(sale):
    accept(sale)
    sell(sale)


def create_app():
    return Starlette(routes=[Route("/sales", sales, methods=["POST"])], lifespan=life)
""",
}


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def search(framework: str, *kinds: str, keys: bool = True, keeps: bool = True) -> Report:
        text = CORE.replace("{KEYS}", str(keys)) + f"KEEPS = {keeps}\n" + APPS[framework]
        name = f"{framework.replace('.', '_')}_sales_{keys}_{keeps}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)

        class Sales:
            app = f"{name}:create_app"
            answers = {201: True, 409: False, 202: Outcome.PENDING}  # noqa: RUF012

            def submit(self, order: Any) -> tuple[str, str, Any]:
                return "POST", "/sales", {"id": order.id}

        made = service(saga=SALE, http=ROUTES, saga_id="json:sale", code=[name])(Sales)
        adapter = getattr(made, ADAPTER_ATTRIBUTE)
        settings = Settings(max_faults=1, examples=0, scenarios=(adapter.scenario("succeeds"),), kinds=kinds)
        with quiet():
            return Campaign(adapter, settings).run()

    return search


@pytest.mark.parametrize("framework", APPS)
def test_a_right_service_is_consistent_and_one_without_keys_is_found(searched: Any, framework: str) -> None:
    right = searched(framework, "lost-ack", "crash-after-log")
    assert (right.verdict, right.findings) == ("consistent", ())
    assert right.counts.fired == right.counts.run > 5
    wrong = searched(framework, "lost-ack", keys=False)
    assert wrong.verdict == "violated" and wrong.findings[0].violation.invariant == "I1"


def test_what_was_accepted_and_is_kept_only_in_the_background_is_found(searched: Any) -> None:
    lost = searched("starlette", "crash-before-log", keeps=False)
    assert [finding.violation.invariant for finding in lost.findings] == ["I3"]
