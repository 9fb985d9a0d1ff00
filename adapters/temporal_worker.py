"""The checkout on Temporal, as a live worker.   temporal_worker.py ADDRESS

As Temporal's documentation writes a saga: each request is an activity with the usual retry policy (for ever, here with
short pauses), a refusal is an error that is not retried, a compensation is registered before its activity runs, and
the idempotency key is made of the workflow's run and the activity (docs.temporal.io, "Activity Definition"). An
approval is a signal, a saga that is a step of another one a child workflow.

Cases may share a server: each has a task queue of its own, and its folder's name in the workflow's id.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, FailureError, WorkflowAlreadyStartedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sagafuzz import Message, worker

CASE: Final = worker.case()
SOON: Final = timedelta(seconds=1)
SDK: Final = version("temporalio")


@activity.defn
def request(saga: dict[str, Any], step: str, verb: str, receipt: Any) -> Any:
    how: Any = {"key": f"{activity.info().workflow_run_id}-{activity.info().activity_id}", "receipt": receipt}
    return worker.attempt(saga, step, verb, refused=partial(ApplicationError, non_retryable=True), **how)


def begin(saga: Any, step: str, verb: str, receipt: Any, attempts: int) -> Any:
    if child := saga["children"].get(step):
        return workflow.execute_child_workflow(Checkout.run, child, id=f"{CASE}-{child['id']}", task_timeout=SOON)
    limits: Any = {"start_to_close_timeout": SOON, "retry_policy": RetryPolicy(SOON / 20, 1, maximum_attempts=attempts)}
    return workflow.start_activity(request, args=[saga, step, verb, receipt], **limits)


@workflow.defn
class Checkout:
    def __init__(self) -> None:
        self.heard: set[str] = set()

    @workflow.signal
    def hear(self, topic: str) -> None:
        self.heard.add(topic)

    @workflow.run
    async def run(self, saga: dict[str, Any]) -> dict[str, Any]:
        kit: Any = {"hear": lambda topic: workflow.wait_condition(lambda: topic in self.heard)}
        return await worker.carried_out(saga, sleep=workflow.sleep, begin=begin, failed=FailureError, **kit)


async def main(address: str) -> None:
    client = await worker.again(partial(Client.connect, address), RuntimeError)
    server = (await client.workflow_service.get_system_info(GetSystemInfoRequest(), retry=True)).server_version

    async def drive(saga: worker.SagaRequest) -> bool:
        once: Any = {"id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE, "task_timeout": SOON}
        with suppress(WorkflowAlreadyStartedError):
            await client.start_workflow(Checkout.run, saga.plain, id=f"{CASE}-{saga.id}", task_queue=CASE, **once)
        return bool(await client.get_workflow_handle(f"{CASE}-{saga.id}").result())

    async def receive(message: Message) -> None:
        await client.get_workflow_handle(f"{CASE}-{message.saga}").signal(Checkout.hear, message.topic)

    runs: Any = {"workflows": [Checkout], "activities": [request], "activity_executor": ThreadPoolExecutor(8)}
    runs |= {"workflow_runner": UnsandboxedWorkflowRunner(), "sticky_queue_schedule_to_start_timeout": SOON / 5}
    async with Worker(client, task_queue=CASE, **runs):
        await worker.serve_async(drive, receive=receive, engine=f"temporal {server}, temporalio {SDK}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
