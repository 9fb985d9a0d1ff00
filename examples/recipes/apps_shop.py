"""FastAPI, httpx and sqlite3: a shop asks a stock and a bank, which are apps too."""

import sqlite3
import time

import httpx
from fastapi import FastAPI, Response

client = httpx.Client(timeout=2)


def connect() -> sqlite3.Connection:
    database = sqlite3.connect("shop.db", isolation_level=None)
    database.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT PRIMARY KEY, state TEXT)")
    return database


def ask(url: str, order: str) -> bool:
    while True:
        try:
            answer = client.post(f"http://{url}", json={"order": order}, headers={"Idempotency-Key": f"{order}/{url}"})
            if answer.status_code < 500:
                return answer.is_success
        except httpx.HTTPError:
            time.sleep(1)


def sell(order: str) -> bool:
    try:
        database = connect()
        database.execute("INSERT OR IGNORE INTO orders VALUES (?, 'open')", (order,))
        (state,) = database.execute("SELECT state FROM orders WHERE id = ?", (order,)).fetchone()
        if state == "open":
            state = "failed" if not ask("stock/take", order) else "sold" if ask("bank/pay", order) else "undoing"
            database.execute("UPDATE orders SET state = ? WHERE id = ?", (state, order))
        if state == "undoing":
            ask("stock/put", order)
            database.execute("UPDATE orders SET state = 'failed' WHERE id = ?", (order,))
    except sqlite3.OperationalError:
        time.sleep(1)
        return sell(order)
    return state == "sold"


def create_app() -> FastAPI:
    app = FastAPI()
    for (order,) in connect().execute("SELECT id FROM orders WHERE state IN ('open', 'undoing')").fetchall():
        sell(order)

    @app.post("/orders/{order}")
    def post(order: str) -> Response:
        return Response(status_code=201 if sell(order) else 409)

    return app
