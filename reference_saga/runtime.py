"""The ports of an orchestrator where nothing is simulated: functions for operations, real clocks, a log."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import UsageError, nearest
from ..ports import PortError, Unavailable

LOG = logging.getLogger("sagafuzz.reference_saga")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a step function is given. ``key`` is the same at every attempt of the step and its undo: apply an
    operation once for each. ``epoch`` is the owner's fencing token."""

    operation: str
    saga: str
    key: str
    epoch: int
    payload: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.payload[name]


StepFunction = Callable[[Request], Any]
Report = Callable[[str, str, str], object]


def logged(saga: str, step: str, reason: str) -> None:
    """A call for a person that ends in the log; put a pager in its place."""
    LOG.error("saga %s%s needs a person: %s", saga, f", step {step}" if step else "", reason)


class Runtime:
    """Operations by name, each a function of a `Request` that returns JSON data.

    It raises `sagafuzz.Rejected` where the business refuses, definitely and without effect. Any other exception
    leaves the outcome unknown, so the step is asked again under its key. Functions may be async; under an
    `Orchestrator` each of those runs on an event loop of its own, under an `AsyncOrchestrator`
    (``asynchronous=True``) they are awaited, and the others run in threads. ``report(saga, step, reason)`` calls
    for a person.
    """

    def __init__(
        self,
        operations: Mapping[str, StepFunction],
        *,
        report: Report = logged,
        asynchronous: bool = False,
    ) -> None:
        self._operations = dict(operations)
        self._report = report
        self._asynchronous = asynchronous
        self.process = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:12]}"

    def call(
        self, operation: str, /, *, saga: str | None = None, key: str | None = None, epoch: int = 0, **payload: Any
    ) -> Any:
        function = self._operations.get(operation)
        if function is None:
            raise UsageError(
                f"Runtime: there is no operation {operation!r}{nearest(operation, self._operations)}; "
                f"give it a function"
            )
        request = Request(operation=operation, saga=saga or "", key=key or "", epoch=epoch, payload=payload)
        if self._asynchronous:
            return self._awaited(function, request)
        try:
            answer = function(request)
            return _run(answer) if inspect.isawaitable(answer) else answer
        except PortError:
            raise
        except Exception as error:
            raise _unknown(request, error) from error

    async def _awaited(self, function: StepFunction, request: Request) -> Any:
        try:
            if inspect.iscoroutinefunction(function):
                return await function(request)
            answer = await asyncio.to_thread(function, request)
            return await answer if inspect.isawaitable(answer) else answer
        except PortError:
            raise
        except Exception as error:
            raise _unknown(request, error) from error

    def sleep(self, seconds: float) -> Any:
        if self._asynchronous:
            return asyncio.sleep(seconds)
        time.sleep(seconds)
        return None

    def now(self) -> float:
        return time.time()

    def alert(self, saga: str, *, step: str = "", reason: str = "") -> None:
        with suppress(Exception):  # who cannot be reached must not stop the saga
            self._report(saga, step, reason)

    def dead_letter(self, saga: str, *, step: str = "", reason: str = "") -> None:
        LOG.warning("saga %s, step %s is put aside: %s", saga, step, reason)

    def adopt(self, saga: str, *, epoch: int = 0, definition: str = "") -> None:
        LOG.info("saga %s: owner under epoch %d, by %s", saga, epoch, definition)


def _unknown(request: Request, error: Exception) -> Unavailable:
    LOG.warning("%s for saga %s failed, its outcome is unknown", request.operation, request.saga, exc_info=error)
    return Unavailable(f"{request.operation}: {type(error).__name__}: {error}")


def _run(awaitable: Any) -> Any:
    """Wait for an async function from sync code, beside an event loop that may be running here."""

    async def wait() -> Any:
        return await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, wait()).result()
