"""A live worker in a few lines: the protocol of docs/live.md, for sagas written in Python.

    from sagafuzz import worker

    def checkout(saga):
        for step in saga.steps:
            worker.call(saga, step, "do", key=f"{saga.id}/{step}")
        return True

    worker.serve(checkout)

Standard output belongs to the protocol while `serve` runs; print goes to standard error.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

from .errors import UsageError
from .messages import Message
from .ports import CallTimeout, PortError, Rejected, StoreUnavailable, Unavailable
from .saga import Outcome
from .sqlite import WatchedConnection, write_ahead

__all__ = [
    "CallTimeout",
    "Outcome",
    "PortError",
    "Rejected",
    "SagaRequest",
    "ShownConnection",
    "StoreUnavailable",
    "Unavailable",
    "ask",
    "call",
    "database",
    "durable",
    "folder",
    "note",
    "post",
    "publish",
    "serve",
]

_T = TypeVar("_T")
_Connection = TypeVar("_Connection", bound=sqlite3.Connection)

PROTOCOL: Final = 1

_STATUS: Final = {
    True: "completed",
    False: "compensated",
    Outcome.COMPLETED: "completed",
    Outcome.COMPENSATED: "compensated",
    Outcome.PENDING: "running",
    Outcome.STUCK: "failed_stuck",
}


@dataclass(frozen=True, kw_only=True)
class SagaRequest:
    """The saga that a client asks for. ``order`` has item, quantity, amount, account and data; ``steps`` are in order.
    ``children`` are, by the step, the sagas that are steps of it."""

    id: str
    order: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    children: Mapping[str, SagaRequest] = field(default_factory=dict)

    @property
    def payload(self) -> dict[str, Any]:
        """What a participant is told of the order."""
        return {name: self.order[name] for name in ("item", "quantity", "amount", "account") if name in self.order}


def _request(saga: str, order: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> SagaRequest:
    """A saga as the command to start it has it."""
    children = {
        step["id"]: _request(step["child"]["saga_id"], order, step["child"]["steps"])
        for step in steps
        if "child" in step
    }
    return SagaRequest(id=saga, order=order, steps=tuple(step["id"] for step in steps), children=children)


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
    have applied, or may yet); UsageError where there is no such step or saga. ``receipt`` is what ``do`` was answered
    with, for its ``undo``; ``epoch`` the caller's fencing token, where it has one; ``part`` tells the requests of a
    step of several apart.
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
    error = {404: UsageError, 409: Rejected, 422: Rejected}.get(status, Unavailable)
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
def durable(record: str, *, saga: str = "", step: str = "") -> Iterator[None]:
    """Show a durable write to the harness: around the commit, so that crashes can strike on either side of it.
    Raises StoreUnavailable where the store is to fail, before or after it (``store_errors`` in the manifest)."""
    with showing({"record": record, "saga": saga, "step": step}):
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


Drive = Callable[[SagaRequest], "bool | Outcome"]


def serve(
    drive: Drive,
    *,
    pending: Callable[[], Iterable[SagaRequest]] = tuple,
    status: Callable[[str], Mapping[str, Any] | str] | None = None,
    cancel: Callable[[str], object] | None = None,
    receive: Callable[[Message], object] | None = None,
    engine: str = "",
    each_request: bool = False,
) -> None:
    """Take commands until standard input ends; never returns.

    ``drive`` runs one saga, in a thread of its own: True for completed, False for compensated, or an Outcome.
    ``pending`` gives the sagas that an earlier incarnation left open; they are driven on at once. ``status``
    answers for a saga that this process did not drive. A saga that is asked for again is driven once, unless with
    ``each_request``: then ``drive`` is to know it again. ``receive`` handles a message, in a thread of its own; it
    comes again where that raises.
    """
    _Worker(drive, pending, status, cancel, receive, engine, each_request).serve()


class _Worker:
    def __init__(
        self,
        drive: Drive,
        pending: Callable[[], Iterable[SagaRequest]],
        status: Callable[[str], Mapping[str, Any] | str] | None,
        cancel: Callable[[str], object] | None,
        receive: Callable[[Message], object] | None,
        engine: str,
        each_request: bool,
    ) -> None:
        self.each_request = each_request
        self.drive = drive
        self.pending = pending
        self.status = status
        self.cancel = cancel
        self.receive = receive
        self.engine = engine
        self.known: dict[str, dict[str, Any]] = {}
        self.lock = threading.Lock()
        self.out, sys.stdout = sys.stdout, sys.stderr

    def serve(self) -> None:
        self._begin([*self.pending()])
        for line in sys.stdin:
            request = json.loads(line)
            if request["op"] == "receive" and self.receive is not None:
                threading.Thread(target=self._receive, args=(request,), daemon=True).start()
                continue
            taken: list[SagaRequest] = []
            try:
                answer = self._answer(request["op"], request, taken)
            except Exception as error:  # told to the harness, which says it to a person
                answer = {"error": f"{type(error).__name__}: {error}", "definite": False}
            self._say({"id": request["id"], **answer})
            # after the answer, so that a crash in its first step finds it taken
            self._begin(taken, asked=request["op"] == "start")
        os._exit(0)

    def _answer(self, operation: str, request: Mapping[str, Any], taken: list[SagaRequest]) -> dict[str, Any]:
        saga = request.get("saga_id", "")
        if operation == "hello":
            return {"protocol": PROTOCOL, "engine": self.engine}
        if operation == "start":
            taken.append(_request(saga, request["order"], request["steps"]))
            return {}
        if operation == "status":
            return self._status(saga)
        if operation == "cancel" and self.cancel is not None:
            self.cancel(saga)
            return {}
        if operation == "recover":
            taken.extend(self.pending())
            return {}
        return {"error": f"{operation} is not among hello, start, status, cancel, recover", "definite": True}

    def _receive(self, request: Mapping[str, Any]) -> None:
        """Handle a message; to answer is to acknowledge it."""
        assert self.receive is not None
        message = Message(
            topic=request["topic"],
            saga=request["saga_id"],
            key=request["key"],
            payload=request["payload"],
            id=request["message_id"],
            delivery=request["delivery"],
        )
        try:
            self.receive(message)
            answer: dict[str, Any] = {}
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}", "definite": False}
        self._say({"id": request["id"], **answer})

    def _status(self, saga: str) -> dict[str, Any]:
        found = self.known.get(saga)
        waits = found is None or (self.receive is not None and found["status"] == "running")
        if waits and self.status is not None:
            said = self.status(saga)
            told = dict(said) if isinstance(said, Mapping) else {"status": said}
            if found is None or told["status"] != "unknown":  # else it waits for a message
                return told
        return found or {"status": "unknown"}

    def _begin(self, sagas: Iterable[SagaRequest], *, asked: bool = False) -> None:
        for saga in sagas:
            with self.lock:
                if saga.id in self.known and not (asked and self.each_request):
                    continue
                self.known[saga.id] = {"status": "running"}
            threading.Thread(target=self._run, args=(saga,), daemon=True).start()

    def _run(self, saga: SagaRequest) -> None:
        try:
            outcome = self.drive(saga)
            told: dict[str, Any] = {"status": _STATUS[outcome]}
        except PortError as error:
            told = {"status": "unknown", "reason": f"{type(error).__name__}: {error}"}
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
            told = {"status": "unknown", "reason": f"{type(error).__name__}: {error}", "stray": True}
        self.known[saga.id] = told
        self._say({"event": "status", "saga_id": saga.id, **told})

    def _say(self, content: Mapping[str, Any]) -> None:
        with self.lock:
            self.out.write(json.dumps(content) + "\n")
            self.out.flush()
