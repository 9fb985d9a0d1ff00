"""A live worker in a few lines: the protocol of docs/live.md, for sagas written in Python.

    from sagafuzz import worker

    def checkout(saga):
        for step in saga.steps:
            worker.call(saga, step, "do", key=f"{saga.id}/{step}")
        return True

    worker.serve(checkout)

Standard output belongs to the protocol while `serve` runs: what anything else writes there goes to standard error.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from .errors import UsageError
from .messages import Message
from .ports import CallTimeout, PortError, Rejected, StoreUnavailable, Unavailable
from .saga import Outcome
from .sqlite import WatchedConnection, write_ahead
from .worker_commands import (
    Driving,
    SagaRequest,
    in_a_child,
    serve_in_loop,
    serve_in_main_thread,
    serve_in_threads,
)
from .worker_sagas import GIVEN_UP, REFUSED, Stuck, carried_out, in_turn, layers

__all__ = [
    "GIVEN_UP",
    "REFUSED",
    "CallTimeout",
    "Failed",
    "Outcome",
    "PortError",
    "Rejected",
    "SagaRequest",
    "ShownConnection",
    "StoreUnavailable",
    "Stuck",
    "Unavailable",
    "again",
    "ask",
    "attempt",
    "call",
    "carried_out",
    "case",
    "database",
    "durable",
    "fetch",
    "folder",
    "in_a_child",
    "in_turn",
    "layers",
    "note",
    "post",
    "publish",
    "serve",
    "serve_async",
    "until",
]

_T = TypeVar("_T")
_Connection = TypeVar("_Connection", bound=sqlite3.Connection)


def call(
    saga: SagaRequest,
    step: str,
    verb: str,
    *,
    key: str | None = None,
    payload: Mapping[str, Any] | None = None,
    receipt: Any = None,
    timeout_ms: float | None = None,
    epoch: int = 0,
    part: str | None = None,
) -> Any:
    """Ask the participant of ``step`` to ``do`` or ``undo`` it (the ``verb``). Returns its receipt. Waits at most
    ``timeout_ms`` real milliseconds (None: what the manifest says).

    Raises Rejected (definite), Unavailable (it answered with an error) or CallTimeout (no answer came: it may
    have applied, or may yet); UsageError where there is no such step, saga or part. ``receipt`` is what ``do`` was
    answered with, for its ``undo``; ``epoch`` the caller's fencing token, where it has one; ``part`` tells the requests
    of a step of several apart.
    """
    said = dict(saga.payload if payload is None else payload)
    if receipt is not None:
        said["receipt"] = receipt
    return _asked(saga, f"{step}/{verb}", said, key, timeout_ms, {"Saga-Step": step, **_beside(epoch, part)})


def ask(
    saga: SagaRequest,
    operation: str,
    *,
    key: str | None = None,
    payload: Mapping[str, Any] | None = None,
    timeout_ms: float | None = None,
    epoch: int = 0,
    part: str | None = None,
) -> Any:
    """Ask a participant for an ``operation``, spelt ``participant.verb``: one of a step, or one that the manifest lists
    in ``operations``, a query for instance. Returns what it answers, and raises as `call` does."""
    said = saga.payload if payload is None else payload
    return _asked(saga, operation, said, key, timeout_ms, _beside(epoch, part))


AGAIN_S: Final = 0.05
"""How long is waited before the next attempt."""


async def again(work: Callable[[], Awaitable[_T]], *errors: type[Exception]) -> _T:
    """What it gives, when it does not raise one of ``errors`` any more: a server may be about to start."""
    import asyncio

    while True:
        try:
            return await work()
        except errors:
            await asyncio.sleep(AGAIN_S)


def until(known: Callable[[], _T | None]) -> _T:
    """Ask until there is an answer, and return it: how a saga has ended, where an engine tells another process."""
    while not (found := known()):
        time.sleep(AGAIN_S / 2)
    return found


class Failed(Exception):
    """What `attempt` raises. Plain, since engines keep what a step raises in ways of their own."""


def attempt(
    saga: Mapping[str, Any],
    step: str,
    verb: str,
    *,
    key: str | None = None,
    receipt: Any = None,
    refused: Callable[[str], Exception] | None = None,
    attempts: int = 1,
    gives_up: bool = False,
) -> dict[str, Any]:
    """`call`, as the step of an engine may return it: ``saga`` is `SagaRequest.plain`, and what is returned can be
    written as JSON. Returns the receipt, or REFUSED where it was refused, or raises what ``refused`` makes of that.
    Tries ``attempts`` times, 50 ms apart. Where the outcome is not known then, it raises Failed, or returns GIVEN_UP
    where it ``gives_up``.
    """
    for left in reversed(range(attempts)):
        try:
            return cast("dict[str, Any]", call(SagaRequest.of_plain(saga), step, verb, key=key, receipt=receipt))
        except Rejected:
            if refused is not None:
                raise refused(f"{step} is refused") from None
            return REFUSED
        except PortError as error:
            if not left and not gives_up:
                raise Failed(str(error)) from None
        time.sleep(AGAIN_S if left else 0)
    return GIVEN_UP


def fetch(
    url: str,
    content: Any = None,
    *,
    method: str | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
    over: Callable[[], Any] = bool,
) -> Any:
    """The answer of an engine's server, as JSON, or as text where it is none: to a POST of ``content``, else to a
    GET, or to the ``method`` that is named. Asks again while nobody listens there, or it does not know yet what is
    asked for (404), or is not ready (503), until it is ``over``; then it gives None."""
    body = None if content is None else json.dumps(content).encode()
    while not over():
        try:
            sent = {"content-type": "application/json", **headers}
            request = urllib.request.Request(url, body, sent, method=method)
            with urllib.request.urlopen(request) as answer:
                return _json_or_text(answer.read())
        except urllib.error.HTTPError as error:
            if error.code not in (404, 503):
                raise
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(AGAIN_S)
    return None


def _json_or_text(answer: bytes) -> Any:
    try:
        return json.loads(answer)
    except ValueError:
        return answer.decode()


def _beside(epoch: int, part: str | None) -> dict[str, str]:
    fenced = {"Saga-Epoch": str(epoch)} if epoch else {}
    return fenced if part is None else {**fenced, "Saga-Part": part}


def _asked(
    saga: SagaRequest,
    path: str,
    said: Mapping[str, Any],
    key: str | None,
    timeout_ms: float | None,
    headers: Mapping[str, str],
) -> Any:
    keyed = {"Idempotency-Key": key} if key is not None else {}
    wait_ms = timeout_ms or float(os.environ["SAGAFUZZ_CALL_TIMEOUT_MS"])
    status, answer = post(path, said, headers={"Saga-Id": saga.id, **keyed, **headers}, timeout_ms=wait_ms)
    if status == 200:
        return answer.get("receipt")
    error = {400: UsageError, 404: UsageError, 409: Rejected, 422: Rejected}.get(status, Unavailable)
    raise error(f"{path}: {answer.get('error')}")


def post(
    path: str, content: Mapping[str, Any], *, headers: Mapping[str, str] | None = None, timeout_ms: float = 10_000
) -> tuple[int, dict[str, Any]]:
    """Send JSON to the harness, and wait at most so many real milliseconds: the HTTP status, and the object that was
    answered. Raises CallTimeout where no answer came."""
    target = f"{urlsplit(os.environ['SAGAFUZZ_URL']).path}/{path}"
    sent = {"content-type": "application/json", "authorization": f"Bearer {os.environ['SAGAFUZZ_TOKEN']}"}
    connection = _connection()
    if connection.sock is None:
        connection.timeout = timeout_ms / 1000
    else:
        connection.sock.settimeout(timeout_ms / 1000)
    try:
        connection.request("POST", target, json.dumps(content), {**sent, **(headers or {})})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        connection.close()  # what comes on it later answers nothing
        raise CallTimeout(f"{path}: {type(error).__name__}: {error}") from None


_own = threading.local()


def _connection() -> http.client.HTTPConnection:
    """The thread's connection to the harness, kept open: most of a request's cost is to open one."""
    found: http.client.HTTPConnection | None = getattr(_own, "connection", None)
    if found is None:
        url = urlsplit(os.environ["SAGAFUZZ_URL"])
        found = _own.connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port)
    return found


@contextmanager
def durable(record: str, *, saga: str = "", step: str = "", epoch: int = 0, outcome: str = "") -> Iterator[None]:
    """Show a durable write to the harness: around the commit, so that crashes can strike on either side of it.
    ``epoch`` is the writer's fencing token, ``outcome`` what a terminal record declares. Raises StoreUnavailable where
    the store is to fail, before or after it (``store_errors`` in the manifest)."""
    with showing({"record": record, "saga": saga, "step": step, "epoch": epoch, "outcome": outcome}):
        yield


@contextmanager
def showing(write: Mapping[str, Any]) -> Iterator[None]:
    """Show a durable write, given as the protocol has it, before it and after it. Raises StoreUnavailable where it is
    to fail, on either side."""
    for phase in ("log", "logged"):
        status, _ = post("log", {**write, "phase": phase})
        if status == 503:
            raise StoreUnavailable(f"{write.get('record', 'a transaction')}: the store does not answer")
        if phase == "log":
            yield


def note(kind: str, *, saga: str, **fields: Any) -> None:
    """Show the harness an ALERT, a DEAD_LETTER, an ADOPT or a CLIENT_ACK, with the fields of such an event."""
    post("note", {"kind": kind, "saga": saga, **fields})


def publish(topic: str, *, saga: str, key: str = "", delay_ms: float = 0, payload: Mapping[str, Any]) -> None:
    """Publish a message to ``receive`` of this system's workers; after ``delay_ms`` real milliseconds, a second at
    most. Raises Unavailable where it was not taken."""
    content = {"topic": topic, "saga": saga, "key": key, "delay_ms": delay_ms, "payload": dict(payload)}
    status, answer = post("publish", content)
    if status != 200:
        raise Unavailable(f"publish {topic!r}: {answer.get('error')}")


def folder() -> str:
    """The case's folder; what is written there survives crashes."""
    return os.environ["SAGAFUZZ_DIR"]


def case() -> str:
    """The name of the case's folder: it keeps cases apart on a server that they share."""
    return os.path.basename(folder())  # noqa: PTH119


def database(
    name: str = "log.sqlite", *, shown: bool = False, isolation_level: str | None = None
) -> sqlite3.Connection:
    """A SQLite database in the case's folder, which survives crashes; one thread at a time may use it. ``shown``: its
    commits are sites, see `ShownConnection`."""
    return connect(name, ShownConnection if shown else sqlite3.Connection, isolation_level)


def connect(name: str, factory: type[_Connection], isolation_level: str | None) -> _Connection:
    """A connection of that class to a database in the case's folder."""
    path = os.path.join(folder(), name)  # noqa: PTH118
    level = cast("Any", isolation_level)  # typeshed knows fewer than SQLite takes
    connection = sqlite3.connect(path, isolation_level=level, check_same_thread=False, timeout=10, factory=factory)
    connection.execute("PRAGMA synchronous=OFF")  # a commit outlives every process; not the machine's power
    write_ahead(connection)
    return connection


class ShownConnection(WatchedConnection):
    """A connection that shows what becomes durable, as a proxy does for a server's: crashes and errors can strike on
    both sides of it. A site is named by its changes, as ``insert orders + update stock``, after the connection's
    ``label`` where it has one. For ``sqlite3.connect(…, factory=ShownConnection)``."""

    label = ""
    """Tells databases apart, where a worker has several with the same tables."""

    def __init__(self, database: Any, *args: Any, **options: Any) -> None:
        self._text: list[str] = []
        super().__init__(database, *args, **options)

    def about(self) -> dict[str, str]:
        """For which saga it is: what was said since the last commit, where a saga's id may stand."""
        text, self._text = "\n".join(self._text), []
        return {"text": text}

    def told(self, sql: str, parameters: Any) -> None:
        """Remember what a statement says, to know the saga that the next commit is for."""
        if not self.in_transaction:
            self._text.clear()
        self._text.append(f"{sql} {parameters!r}"[:4000])

    def durable(self, changes: tuple[str, ...], act: Callable[[], _T]) -> _T:
        """Commit by ``act``, and show it on both sides. Raises sqlite3.OperationalError where the store is to fail."""
        record = " + ".join(changes)
        try:
            with showing({"record": f"{self.label}: {record}" if self.label else record, **self.about()}):
                return act()
        except StoreUnavailable as error:
            raise sqlite3.OperationalError(f"disk I/O error ({error})") from None


Drive = Callable[[SagaRequest], Any]


def serve(
    drive: Drive,
    *,
    pending: Callable[[], Iterable[SagaRequest]] = tuple,
    status: Callable[[str], Mapping[str, Any] | str] | None = None,
    cancel: Callable[[str], object] | None = None,
    receive: Callable[[Message], object] | None = None,
    engine: str = "",
    each_request: bool = False,
    takes_up: bool = False,
    statuses: Mapping[Any, bool | Outcome] = MappingProxyType({}),
    in_main_thread: bool = False,
) -> None:
    """Take commands until standard input ends; never returns.

    ``drive`` runs one saga, in a thread of its own: True for completed, False for compensated, or an Outcome or its
    value, or what ``statuses`` says of an engine's own word. ``pending`` gives the sagas that an earlier incarnation
    left open; they are driven on at once. ``status`` answers for a saga that this process did not drive. A saga that is
    asked for again is driven once, unless with ``each_request``: then ``drive`` is to know it again. ``receive``
    handles a message, in a thread of its own; it comes again where that raises.

    For an engine that goes on with its sagas by itself ``takes_up`` takes the place of ``pending``: what an earlier
    process had taken, and what had not come to its end, is driven here with ``again``, and ``drive`` attaches to what
    the engine has under its id. ``in_main_thread``: one after the other, in the thread that calls.
    """
    driving = Driving(
        drive,
        pending=pending,
        status=status,
        cancel=cancel,
        receive=receive,
        engine=engine,
        each_request=each_request,
        takes_up=takes_up,
        statuses=statuses,
    )
    (serve_in_main_thread if in_main_thread else serve_in_threads)(driving)


async def serve_async(
    drive: Callable[[SagaRequest], Awaitable[Any]],
    *,
    engine: str = "",
    takes_up: bool = True,
    statuses: Mapping[Any, bool | Outcome] = MappingProxyType({}),
    receive: Callable[[Message], Coroutine[Any, Any, Any]] | None = None,
) -> None:
    """`serve` for an engine whose library is async: each saga is a task of the event loop that runs."""
    await serve_in_loop(Driving(drive, engine=engine, takes_up=takes_up, statuses=statuses), receive)
