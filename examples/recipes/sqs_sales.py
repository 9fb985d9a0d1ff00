"""A consumer of an SQS queue: what is ordered is put there, and who dies over it leaves it to the next one to look."""

import time
from contextlib import suppress
from threading import Thread

import boto3
import requests
from botocore.exceptions import BotoCoreError
from flask import Flask, request


def ask(what: str, sale: str) -> bool:
    while True:
        with suppress(requests.RequestException):
            key = {"Idempotency-Key": f"{sale}/{what}"}
            answer = requests.post(f"http://{what}", json={"sale": sale}, headers=key, timeout=2)
            if answer.status_code < 500:
                return answer.ok
        time.sleep(1)


def sell(sale: str) -> None:
    if ask("seats/hold", sale) and not ask("cards/charge", sale):
        ask("seats/release", sale)


def work(sqs, queue: str) -> None:
    while True:
        with suppress(BotoCoreError):
            for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", ()):
                sell(message["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])


def create_app() -> Flask:
    app = Flask(__name__)
    sqs = boto3.client("sqs", region_name="eu-west-1")
    queue = sqs.create_queue(QueueName="sales", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    app.post("/sales")(lambda: ({}, 202) if sqs.send_message(QueueUrl=queue, MessageBody=request.json["id"]) else None)
    Thread(target=work, args=[sqs, queue]).start()
    return app
