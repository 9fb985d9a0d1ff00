"""The checkout on Temporal, as a live worker.   temporal_worker.py ADDRESS

As Temporal's documentation writes a saga: each request is an activity with the usual retry policy (for ever, here with
short pauses), a refusal is an error that is not retried, a compensation is registered before its activity runs, and
the idempotency key is made of the workflow's run and the activity (docs.temporal.io, "Activity Definition").

The server is one for all cases: each case has a task queue of its own, and its folder's name in the workflow's id.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.common import RetryPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from sagafuzz import worker

LIMITS: Final[Any] = {"start_to_close_timeout": timedelta(seconds=1)}
ONCE: Final = WorkflowIDReusePolicy.REJECT_DUPLICATE
CASE: Final = Path(worker.folder()).name


def retried(attempts: int) -> RetryPolicy:
    """Again and again, where ``attempts`` is 0."""
    pause = timedelta(milliseconds=50)
    return RetryPolicy(initial_interval=pause, backoff_coefficient=1, maximum_attempts=attempts)


@activity.defn
def request(saga: dict[str, Any], step: str, verb: str, receipt: Any = None) -> Any:
    info = activity.info()
    answer = worker.attempt(saga, step, verb, key=f"{info.workflow_run_id}-{info.activity_id}", receipt=receipt)
    if answer == worker.REFUSED:
        raise ApplicationError(f"{step} is refused", non_retryable=True)
    return answer


@workflow.defn
class Checkout:
    @workflow.run
    async def run(self, saga: dict[str, Any]) -> str:
        begun: dict[str, Any] = {}

        async def do(step: str) -> None:
            if step in saga["waits"]:
                await workflow.sleep(saga["waits"][step] / 1000)
            begun[step] = None
            begun[step] = await workflow.execute_activity(
                request, args=[saga, step, "do"], **LIMITS, retry_policy=retried(saga["attempts"])
            )

        async def undo(step: str) -> None:
            undoing = [saga, step, "undo", begun[step]]
            await workflow.execute_activity(request, args=undoing, **LIMITS, retry_policy=retried(0))

        for layer in worker.layers(saga):
            ended = await asyncio.gather(*map(do, layer), return_exceptions=True)
            if any(isinstance(error, ActivityError) for error in ended):
                break
        else:
            return "completed"
        for layer in reversed(worker.layers(saga)):
            await asyncio.gather(*(undo(step) for step in layer if step in begun))
        return "compensated"


async def main(address: str) -> None:
    client = await Client.connect(address)
    server = await client.workflow_service.get_system_info(GetSystemInfoRequest())

    async def drive(saga: worker.SagaRequest) -> Any:
        id = f"{CASE}-{saga.id}"
        with suppress(WorkflowAlreadyStartedError):
            await client.start_workflow(Checkout.run, saga.plain, id=id, task_queue=CASE, id_reuse_policy=ONCE)
        return await client.get_workflow_handle(id).result()

    async with Worker(
        client,
        task_queue=CASE,
        workflows=[Checkout],
        activities=[request],
        activity_executor=ThreadPoolExecutor(8),
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=timedelta(milliseconds=200),
    ):
        await worker.serve_async(drive, engine=f"temporal {server.server_version}, temporalio {version('temporalio')}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
