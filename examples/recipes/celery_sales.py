"""Flask and Celery: a sale is a task, which is asked for again at the start as long as it is open."""

import time
from threading import Thread

import requests
from celery import Celery
from flask import Flask, request
from redis import Redis

broker = "redis://queue"
celery = Celery("sales", broker=broker)
celery.conf.update(task_acks_late=True, task_ignore_result=True, broker_transport_options={"visibility_timeout": 60})
sales = Redis(host="queue", db=1, decode_responses=True)


def ask(what: str, sale: str) -> bool:
    while True:
        try:
            key = {"Idempotency-Key": f"{sale}/{what}"}
            answer = requests.post(f"http://{what}", json={"sale": sale}, headers=key, timeout=2)
            if answer.status_code < 500:
                return answer.ok
        except requests.RequestException:
            pass
        time.sleep(1)


@celery.task
def sell(sale: str) -> None:
    if ask("seats/hold", sale) and not ask("cards/charge", sale):
        ask("seats/release", sale)
    sales.srem("open", sale)


def order() -> tuple[dict, int]:
    sales.sadd("open", request.json["id"])
    sell.delay(request.json["id"])
    return {}, 202


def create_app() -> Flask:
    app = Flask(__name__)
    app.post("/sales")(order)
    worker = celery.WorkController(pool="solo", without_gossip=True, without_mingle=True, without_heartbeat=True)
    Thread(target=worker.start).start()
    for sale in sales.smembers("open"):
        sell.delay(sale)
    return app
