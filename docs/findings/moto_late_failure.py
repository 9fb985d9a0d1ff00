"""moto 5.2.5: an attempt that succeeds is taken for a failed one, after one that had failed.

Needs moto[stepfunctions,sqs] and boto3. A task waits for its token and is retried twice: the first attempt is told to
have failed, the second to have succeeded. Ends with 1 where the bug shows.
"""

import json
import os
import sys
import time

import boto3
from moto import mock_aws

os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
    sqs, sfn = boto3.client("sqs"), boto3.client("stepfunctions")
    queue = sqs.create_queue(QueueName="payments")["QueueUrl"]
    pay = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
        "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 2}],
        "End": True,
    }
    definition = json.dumps({"StartAt": "pay", "States": {"pay": pay}})
    role = "arn:aws:iam::123456789012:role/any"
    machine = sfn.create_state_machine(name="checkout", definition=definition, roleArn=role)["stateMachineArn"]
    execution = sfn.start_execution(stateMachineArn=machine)["executionArn"]
    attempts, until = 0, time.monotonic() + 20
    while attempts < 3 and time.monotonic() < until:
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            token, attempts = json.loads(message["Body"])["token"], attempts + 1
            if attempts == 1:
                print("attempt 1: send_task_failure")
                sfn.send_task_failure(taskToken=token, error="Busy", cause="come again")
            elif attempts == 2:
                print("attempt 2: send_task_success")
                sfn.send_task_success(taskToken=token, output='{"paid": true}')
            else:
                print("attempt 3: it is asked for again")
        if sfn.describe_execution(executionArn=execution)["status"] != "RUNNING":
            break
        time.sleep(0.05)
    for event in sfn.get_execution_history(executionArn=execution)["events"]:
        print(event["id"], event["type"])
    print("the execution:", sfn.describe_execution(executionArn=execution)["status"])
    sys.stdout.flush()
    os._exit(attempts > 2)  # its threads would wait
