"""SQS, by boto3, in a service as it is."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sagafuzz import Outcome, UsageError
from sagafuzz.history import rows_digest

from .conftest import Trial
from .test_service import declared, trial


def queue_of(name: str = "orders", **attributes: str) -> Any:
    """A queue as boto3 has it: its client, and the address of the queue."""
    client = boto3.client("sqs", region_name="eu-west-1")
    return client, client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30", **attributes})["QueueUrl"]


def served(work: Callable[[str], object], *faults: str, start: Callable[[], object] | None = None) -> Trial:
    """A run of a service that does ``work(order)``, and in each process ``start()`` in a thread."""

    async def handler(order: str) -> int:
        return await asyncio.to_thread(work, order) or 200  # type: ignore[return-value]

    async def started() -> None:
        if start is not None:
            threading.Thread(target=start).start()

    return trial(declared(handler, started), *faults)


def consumed(handle: Callable[[str, Callable[[], object]], object], *faults: str) -> Trial:
    """A run in which each order is sent to a queue, and a thread hands what it receives to ``handle(order, delete)``.
    What comes of it is waited for."""

    def consume() -> None:
        sqs, queue = queue_of()
        for _ in range(6):  # for two minutes, which is as long as anything takes here
            for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", ()):
                receipt = message["ReceiptHandle"]
                handle(
                    message["Body"], lambda receipt=receipt: sqs.delete_message(QueueUrl=queue, ReceiptHandle=receipt)
                )

    async def handler(order: str) -> int:
        await asyncio.to_thread(send, order)
        return 202

    async def start() -> None:
        threading.Thread(target=consume).start()

    adapter = declared(handler, start)
    adapter.factory.answers = {202: Outcome.PENDING}  # type: ignore[attr-defined]
    return trial(adapter, *faults)


def send(order: str, name: str = "orders", **more: Any) -> None:
    sqs, queue = queue_of(name)
    sqs.send_message(QueueUrl=queue, MessageBody=order, **more)


def writes(seen: Trial) -> list[str]:
    return [event.data[0] for event in seen.of("LOGACK")]


# -- delivery ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delete_first", "times"), [(False, 2), (True, 1)])
def test_a_message_comes_again_after_its_visibility_timeout_unless_it_was_deleted_before(
    delete_first: bool, times: int
) -> None:
    came: list[float] = []

    def handle(order: str, delete: Callable[[], object]) -> None:
        came.append(time.monotonic())
        if delete_first:
            delete()
        send(order, "done")
        if not delete_first:
            delete()

    consumed(handle, "crash-before-log 'sqs: send message done'")
    assert [round(moment / 30) for moment in came] == [0, 1][:times]


@pytest.mark.parametrize("kind", ["crash-before-log", "crash-after-log"])
@pytest.mark.parametrize(
    ("site", "times"),
    [
        ("send message", {"crash-before-log": 0, "crash-after-log": 1}),
        ("receive message", {"crash-before-log": 1, "crash-after-log": 1}),
        ("delete message", {"crash-before-log": 2, "crash-after-log": 1}),
    ],
)
def test_to_send_to_receive_and_to_delete_are_crash_points(kind: str, site: str, times: dict[str, int]) -> None:
    came: list[str] = []

    def handle(order: str, delete: Callable[[], object]) -> None:
        came.append(order)
        delete()

    seen = consumed(handle, f"{kind} 'sqs: {site} orders'")
    assert len(seen.of("CRASH")) == 1 and came == ["saga-1"] * times[kind]


def test_a_message_whose_deletion_the_queue_forgets_is_delivered_once_more() -> None:
    came: list[float] = []

    def handle(order: str, delete: Callable[[], object]) -> None:
        came.append(time.monotonic())
        delete()

    consumed(handle, "lost-write 'sqs: delete message orders'")
    assert [round(moment) for moment in came] == [0, 30]


def test_a_message_whose_sending_was_not_answered_is_sent_again_by_boto3_and_so_there_twice() -> None:
    came: list[str] = []

    def handle(order: str, delete: Callable[[], object]) -> None:
        came.append(order)
        delete()

    consumed(handle, "store-error-after-commit 'sqs: send message orders'")
    assert came == ["saga-1", "saga-1"]


def test_what_is_done_about_a_message_is_done_for_its_order() -> None:
    seen = consumed(lambda order, delete: delete())
    about = {event.data[0]: event.saga for event in seen.of("LOGACK")}
    assert {what: about[f"sqs: {what} message orders"] for what in ("send", "receive", "delete")} == dict.fromkeys(
        ("send", "receive", "delete"), "saga-1"
    )


# -- what a queue does -----------------------------------------------------------------------------------


def test_one_who_waits_is_given_what_comes_and_else_nothing_when_the_time_is_over() -> None:
    said: list[Any] = []

    def wait() -> None:
        sqs, queue = queue_of()
        for _ in range(2):
            found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5).get("Messages", [])
            said.append((round(time.monotonic()), [message["Body"] for message in found]))

    def work(order: str) -> None:
        time.sleep(2)
        send(order)

    served(work, start=wait)
    assert said == [(2, ["saga-1"]), (7, [])]


def test_what_finds_nothing_to_change_is_no_write() -> None:
    def work(order: str) -> None:
        sqs, queue = queue_of()
        for _ in range(3):
            assert "Messages" not in sqs.receive_message(QueueUrl=queue)
        assert sqs.get_queue_url(QueueName="orders")["QueueUrl"] == queue
        queue_of()

    assert writes(served(work)) == ["sqs: create queue orders"]


def test_a_group_of_a_fifo_queue_comes_one_after_the_other_and_a_repetition_is_none() -> None:
    said: list[Any] = []

    def work(order: str) -> None:
        sqs, queue = queue_of("orders.fifo", FifoQueue="true")
        for body, key in (("first", "1"), ("second", "2"), ("second", "2")):
            sqs.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId=order, MessageDeduplicationId=key)
        while found := sqs.receive_message(QueueUrl=queue).get("Messages"):
            said.append(found[0]["Body"])
            assert "Messages" not in sqs.receive_message(QueueUrl=queue)
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=found[0]["ReceiptHandle"])

    assert served(work).answers == ["completed"] and said == ["first", "second"]


def test_what_was_received_too_often_goes_to_the_queue_for_dead_letters() -> None:
    said: list[Any] = []

    def work(order: str) -> None:
        sqs, dead = queue_of("dead")
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        _, queue = queue_of(RedrivePolicy=f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "2"}}')
        sqs.send_message(QueueUrl=queue, MessageBody=order)
        said.extend(len(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20).get("Messages", ())) for _ in range(5))
        said.append(sqs.receive_message(QueueUrl=dead)["Messages"][0]["Body"])

    served(work)
    assert said == [1, 0, 1, 0, 0, "saga-1"]


def test_an_error_of_the_queue_is_the_clients_own() -> None:
    said: list[Any] = []

    def work(order: str) -> None:
        try:
            boto3.client("sqs", region_name="eu-west-1").get_queue_url(QueueName="none")
        except ClientError as error:
            said.append(error.response["Error"]["Code"])

    served(work)
    assert said == ["AWS.SimpleQueueService.NonExistentQueue"]


# -- repeating -------------------------------------------------------------------------------------------


def test_runs_repeat_also_where_boto3_waits_by_chance_and_was_imported_before() -> None:
    runs = [served(send, "store-error-after-commit 'sqs: send message orders'").run for _ in range(3)]
    assert len({rows_digest(run.rows) for run in runs}) == 1


def test_a_run_begins_without_queues() -> None:
    def work(order: str) -> int:
        sqs = boto3.client("sqs", region_name="eu-west-1")
        found = sqs.list_queues().get("QueueUrls", ())
        send(order)
        return 409 if found else 200

    assert [served(work).answers for _ in range(2)] == [["completed"]] * 2


def test_what_is_missing_is_told_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sagafuzz.simulator.sqs", None)
    monkeypatch.delattr("sagafuzz.simulator.sqs", raising=False)
    with pytest.raises(UsageError, match=r"test_sqs.py:\d+ .*speaks with SQS, for which .* 'sagafuzz\[service-sqs\]'"):
        served(send)
