"""A checkout on Step Functions as moto simulates them, in the memory of a live worker.

A state for each step puts a message with its task token into a queue, and waits for the token; a failure is retried.
The worker takes the messages, asks the participants, and gives the tokens back.
"""

from __future__ import annotations

import json
import os
import threading
import time
from importlib.metadata import version
from typing import Any

os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

import boto3
from moto import mock_aws

from sagafuzz import worker

mock_aws(config={"stepfunctions": {"execute_state_machine": True}}).start()
queues, machines = boto3.client("sqs"), boto3.client("stepfunctions")
URL = queues.create_queue(QueueName="steps")["QueueUrl"]
ENDS = {"SUCCEEDED": True, "FAILED": worker.Outcome.STUCK}


def state(step: str, verb: str, then: str | None, refused: str | None = None) -> dict[str, Any]:
    """Ask for a step and wait for the token; go on with ``then``, or with ``refused``."""
    body = {"step": step, "verb": verb, "token.$": "$$.Task.Token", "saga.$": "$"}
    again = {"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 3}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": URL, "MessageBody": body},
        "ResultPath": None,
        "Retry": [again],
        **({"Catch": [{"ErrorEquals": ["Refused"], "Next": refused, "ResultPath": None}]} if refused else {}),
        **({"Next": then} if then else {"End": True}),
    }


def definition(steps: tuple[str, ...]) -> str:
    states: dict[str, Any] = {"cancelled": {"Type": "Pass", "End": True, "Result": {"compensated": True}}}
    for number, step in enumerate(steps):
        before = f"undo-{steps[number - 1]}" if number else "cancelled"
        states[f"do-{step}"] = state(step, "do", (*[f"do-{each}" for each in steps], None)[number + 1], before)
        states[f"undo-{step}"] = state(step, "undo", before)
    return json.dumps({"StartAt": f"do-{steps[0]}", "States": states})


def serve_tokens() -> None:
    while True:
        for message in queues.receive_message(QueueUrl=URL).get("Messages", []):
            queues.delete_message(QueueUrl=URL, ReceiptHandle=message["ReceiptHandle"])
            asked = json.loads(message["Body"])
            try:
                receipt = worker.attempt(asked["saga"], asked["step"], asked["verb"])
            except worker.Failed as error:
                machines.send_task_failure(taskToken=asked["token"], error="Busy", cause=str(error))
                continue
            if receipt == worker.REFUSED:
                machines.send_task_failure(taskToken=asked["token"], error="Refused")
            else:
                machines.send_task_success(taskToken=asked["token"], output="{}")
        time.sleep(0.01)


def drive(saga: worker.SagaRequest) -> Any:
    role = "arn:aws:iam::123456789012:role/any"
    machine = machines.create_state_machine(name=saga.id, definition=definition(saga.steps), roleArn=role)
    started = machines.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(saga.plain))
    while (told := machines.describe_execution(executionArn=started["executionArn"]))["status"] == "RUNNING":
        time.sleep(0.02)
    return False if "compensated" in told.get("output", "") else told["status"]


if __name__ == "__main__":
    threading.Thread(target=serve_tokens, daemon=True).start()
    worker.serve(drive, statuses=ENDS, engine=f"moto {version('moto')}")
