"""A participant as it is: FastAPI and sqlite3. What was put back before it was taken is not taken any more."""

import sqlite3

from fastapi import FastAPI
from pydantic import BaseModel


class Wanted(BaseModel):
    order: str


def write(statement: str, order: str) -> None:
    with sqlite3.connect("stock.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS taken (saga TEXT PRIMARY KEY, held INT)")
        database.execute(statement, (order,))


def create_app() -> FastAPI:
    app = FastAPI()

    @app.post("/take")
    def take(wanted: Wanted) -> None:
        write("INSERT OR IGNORE INTO taken VALUES (?, 1)", wanted.order)

    @app.post("/put")
    def put(wanted: Wanted) -> None:
        write("INSERT OR REPLACE INTO taken VALUES (?, 0)", wanted.order)

    return app
