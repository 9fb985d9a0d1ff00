"""The checkout on Restate, as a live worker.   restate_worker.py PORT INGRESS ADMIN

As Restate's guide on sagas writes one (docs.restate.dev, "Sagas"): each request is a durable step, `ctx.run`, that is
tried again until it is answered, a refusal is a TerminalError, a compensation is registered before its step runs, and
the idempotency key is a `ctx.uuid()`, which is the same after a crash.

The server is one for all cases: in each the workflow has a name of its own. A worker listens at the same port after a
restart, since Restate goes on with what it has begun where it began it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import restate
from hypercorn.asyncio import serve
from hypercorn.config import Config
from restate import RunOptions
from restate.server import install_shutdown_hook

from sagafuzz import worker

checkout: Final = restate.Workflow(f"checkout_{Path(worker.folder()).name}")


def step_of(saga: dict[str, Any], step: str, verb: str, key: str, receipt: Any) -> Any:
    answer = worker.attempt(saga, step, verb, key=key, receipt=receipt)
    if answer == worker.REFUSED:
        raise restate.TerminalError(f"{step} is refused")
    return answer


@checkout.main()
async def run(ctx: restate.WorkflowContext, saga: dict[str, Any]) -> str:
    begun: dict[str, Any] = {}

    def asked(step: str, verb: str, receipt: Any = None, attempts: int = 0) -> Any:
        until = RunOptions[Any](max_attempts=attempts or None)
        return ctx.run_typed(f"{verb} {step}", partial(step_of, saga, step, verb, str(ctx.uuid()), receipt), until)

    try:
        for layer in worker.layers(saga):
            for step in layer:
                if step in saga["waits"]:
                    await ctx.sleep(timedelta(milliseconds=saga["waits"][step]))
                begun[step] = None
            asking = {step: asked(step, "do", attempts=saga["attempts"]) for step in layer}
            await restate.gather(*asking.values())
            for step, answer in asking.items():
                begun[step] = await answer  # raises where it was refused
    except restate.TerminalError:
        for layer in reversed(worker.layers(saga)):
            await restate.gather(*(asked(step, "undo", begun[step]) for step in layer if step in begun))
        return "compensated"
    return "completed"


def http(url: str, content: Any = None) -> Any:
    """What is answered; a GET where there is no content. Asks again while Restate does not know what was registered."""
    body = None if content is None else json.dumps(content).encode()
    while True:
        try:
            request = urllib.request.Request(url, body, {"content-type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            time.sleep(0.02)


async def main(port: str, ingress: str, admin: str) -> None:
    async def drive(saga: worker.SagaRequest) -> Any:
        await asyncio.to_thread(http, f"{ingress}/{checkout.name}/{saga.id}/run/send", saga.plain)
        return await asyncio.to_thread(http, f"{ingress}/restate/workflow/{checkout.name}/{saga.id}/attach")

    install_shutdown_hook(asyncio.get_running_loop(), partial(os._exit, 0))  # else it only lets connections end
    config = Config()
    config.bind, config.errorlog = [f"127.0.0.1:{port}"], None
    listening = asyncio.create_task(serve(restate.app([checkout]), config, shutdown_trigger=asyncio.Event().wait))
    while True:
        try:
            await asyncio.to_thread(http, f"{admin}/deployments", {"uri": f"http://127.0.0.1:{port}"})
            break
        except OSError:
            await asyncio.sleep(0.02)
    server = await asyncio.to_thread(http, f"{admin}/version")
    serving = worker.serve_async(drive, engine=f"restate {server['version']}, restate-sdk {version('restate-sdk')}")
    await asyncio.gather(listening, serving)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
