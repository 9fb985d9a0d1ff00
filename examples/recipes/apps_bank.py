"""A participant as it is: Flask and sqlite3. It pays once for each key."""

import sqlite3

from flask import Flask, request

app = Flask(__name__)


def connect() -> sqlite3.Connection:
    database = sqlite3.connect("bank.db")
    database.execute("CREATE TABLE IF NOT EXISTS payments (saga TEXT, key TEXT PRIMARY KEY)")
    return database


@app.post("/pay")
def pay():
    with connect() as database:
        key, order = request.headers["Idempotency-Key"], request.json["order"]
        database.execute("INSERT OR IGNORE INTO payments VALUES (?, ?)", (order, key))
    return {}
