"""The checkout on Restate, as a live worker.   restate_worker.py PORT INGRESS ADMIN

As Restate's guide on sagas writes one (docs.restate.dev, "Sagas"): each request is a durable step, `ctx.run`, that is
tried again until it is answered, a refusal is a TerminalError, a compensation is registered before its step runs, and
the idempotency key is a `ctx.uuid()`, which is the same after a crash. An approval is a durable promise, a saga that is
a step of another one a workflow that it calls. Where state is read lazily, what was reached lies there.

Cases may share a server: in each the workflow has a name of its own. A worker listens at the same port after a restart,
since Restate goes on with what it has begun where it began it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any, Final

import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config
from restate.server import install_shutdown_hook

from sagafuzz import Message, worker

checkout: Final = restate.Workflow(f"checkout_{worker.case()}", state_preload=False)


@checkout.main()
async def run(ctx: restate.WorkflowContext, saga: dict[str, Any]) -> dict[str, Any]:
    def begin(saga: Any, step: str, verb: str, receipt: Any, attempts: int) -> Any:
        if child := saga["children"].get(step):
            return ctx.workflow_call(run, child["id"], child)
        how: Any = {"key": str(ctx.uuid()), "receipt": receipt, "refused": restate.TerminalError}
        until = restate.RunOptions[Any](max_attempts=attempts or None)
        return ctx.run_typed(f"{verb} {step}", partial(worker.attempt, saga, step, verb, **how), until)

    async def before(step: str) -> None:
        if saga["lazy"]:
            known: Any = ctx.get("reached")
            ctx.set("reached", [*(await known or []), step])

    kit: Any = {"begin": begin, "before": before, "gather": restate.gather, "failed": restate.TerminalError}
    kit |= {"sleep": lambda seconds: ctx.sleep(timedelta(seconds=seconds)), "hear": lambda it: ctx.promise(it).value()}
    return await worker.carried_out(saga, **kit)


@checkout.handler()
async def hear(ctx: restate.WorkflowSharedContext, topic: str) -> None:
    promise: Any = ctx.promise(topic)
    if await promise.peek() is None:
        await promise.resolve(topic)


async def main(port: str, ingress: str, admin: str) -> None:
    async def drive(saga: worker.SagaRequest) -> bool:
        await asyncio.to_thread(worker.fetch, f"{ingress}/{checkout.name}/{saga.id}/run/send", saga.plain)
        attach = f"{ingress}/restate/workflow/{checkout.name}/{saga.id}/attach"
        return bool(await asyncio.to_thread(worker.fetch, attach))

    async def receive(message: Message) -> None:
        hears = f"{ingress}/{checkout.name}/{message.saga}/hear/send"
        await asyncio.to_thread(worker.fetch, hears, message.topic)

    install_shutdown_hook(asyncio.get_running_loop(), partial(os._exit, 0))  # else it only lets connections end
    config = Config()
    config.bind, config.errorlog = [f"127.0.0.1:{port}"], None
    listening = asyncio.create_task(serve(restate.app([checkout]), config, shutdown_trigger=asyncio.Event().wait))
    await asyncio.to_thread(worker.fetch, f"{admin}/deployments", {"uri": f"http://127.0.0.1:{port}"})
    server = (await asyncio.to_thread(worker.fetch, f"{admin}/version"))["version"]
    versions = f"restate {server}, restate-sdk {version('restate-sdk')}"
    await asyncio.gather(listening, worker.serve_async(drive, receive=receive, engine=versions))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
