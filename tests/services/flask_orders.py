"""A Flask app that makes it hard to draft an adapter for it: a port, a question, parts of paths, an undo elsewhere."""

import time

import requests
from flask import Flask, request


class Refused(Exception):
    pass


def ask(method: str, url: str, body: dict[str, object]) -> None:
    for _ in range(5):
        answer = requests.request(method, url, json={**body, "request_id": f"{body['ref']} {url}"}, timeout=2)
        if answer.status_code == 402:
            raise Refused
        if answer.ok:
            return
        time.sleep(0.5)
    raise RuntimeError("no answer")


def order() -> int:
    asked = request.json
    body = {"ref": asked["order_ref"], "cents": asked["total"]}
    card = f"http://cards.internal/charges/{body['ref']}"
    done = []
    try:
        ask("POST", "http://localhost:8001/v1/holds", body)
        done.append("hold")
        requests.get(f"http://rates.internal/v1/rate?order={body['ref']}", timeout=1)
        ask("PUT", card, body)
        done.append("card")
        ask("POST", "https://api.ship.com/parcels", body)
    except Refused:
        if "card" in done:
            ask("DELETE", card, body)
        if "hold" in done:
            ask("POST", "http://undo.internal/holds", body)
        return 422
    return 202


def create_app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/health", "health", dict, methods=["POST"])
    app.add_url_rule("/shops/<shop>/orders", "order", lambda shop: ({}, order()), methods=["POST"])
    return app


def create_quiet_app() -> Flask:
    app = Flask(__name__)
    app.add_url_rule("/orders", "orders", dict, methods=["POST"])
    return app


def create_app_without_routes() -> Flask:
    return Flask(__name__)


def create_app_that_does_not_start() -> Flask:
    raise RuntimeError("no licence")
