"""Amazon's SQS in the simulated world, which moto is, with a crash point at each request that changes something.

A message that was received comes again when its visibility timeout is over in virtual time, unless it was deleted. What
finds nothing to change is no write, so that a consumer may poll. Where the store fails, the connection breaks off.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from botocore.loaders import JSONFileLoader
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BackendDict
from moto.core.request import Request
from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.sqs import models, responses

from ..http_routes import Answer, Asked
from ..ports import StoreUnavailable
from ..records import Write
from .clocks import wall_s
from .host import Host
from .incarnation import Incarnation
from .kernel import Task
from .parking import expect
from .redis_names import named
from .server_code import serving
from .sqs_state import Kept, backends_in, keep, next_change, put_back
from .store import durable_write
from .threads import works_for

iam_backends[DEFAULT_ACCOUNT_ID]["aws"]  # which moto would make in the first run, drawing an id for it

_ANSWER_US: Final = 100
"""How long the server takes to answer what is no write."""

_NAME: Final = "sqs"

_TAKES: Final = "ReceiveMessage"

_MAY_BE_FORGOTTEN: Final = ("DeleteMessage", "DeleteMessageBatch")
"""Writes that a queue which is no FIFO queue may forget: then a message is delivered once more, as Amazon says."""

_ROLES: Final = "/latest/meta-data/iam/security-credentials/"
_ROLE: Final = {
    "Code": "Success",
    "Type": "AWS-HMAC",
    "AccessKeyId": "sagafuzz",
    "SecretAccessKey": "sagafuzz",
    "Token": "sagafuzz",
    "LastUpdated": "2020-01-01T00:00:00Z",
    "Expiration": "2100-01-01T00:00:00Z",
}
"""Where a machine of Amazon's finds its credentials, and those that it has here. Nobody checks them."""

_WORD: Final = re.compile(r"[A-Z][a-z]*")


_loaded = functools.cache(functools.partial(JSONFileLoader.load_file, JSONFileLoader()))
JSONFileLoader.load_file = lambda _, file_path: _loaded(file_path)  # what describes a service, which takes long to read


class Server:
    """All queues of a run, by account and region: they outlive the processes of the run."""

    def __init__(self, host: Host) -> None:
        host.resources[_NAME] = self  # which says that runs share more than their ports tell
        self.host = host
        self.sagas: dict[str, str] = {}  # of each receipt
        self.waiting: list[Waiting] = []
        self.backends: Any = BackendDict(models.SQSBackend, _NAME)
        mock_random.seed(host.seed)
        for model in (models.Message, models.Queue):
            model.instances_tracked.clear()  # moto keeps all that ever were
        host.on_close.append(self.waiting.clear)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """moto runs, on the queues of this run."""
        before = models.sqs_backends
        models.sqs_backends = responses.sqs_backends = self.backends
        try:
            with serving(self.host):
                yield
        finally:
            models.sqs_backends = responses.sqs_backends = before

    def act(self, asked: Asked) -> Answer:
        """Do what a request asks for."""
        url = f"http://{asked.headers.get('host', asked.host)}{asked.target}"
        with self.at_work():
            made = Request.from_primitives(asked.method, url, asked.headers, asked.body)
            status, headers, body = responses.SQSResponse.dispatch(made)
        told = tuple(
            (name.encode(), str(value).encode())
            for name, value in headers.items()
            if name.lower() not in ("content-length", "status")
        )
        return Answer(int(status), told, body.encode() if isinstance(body, str) else body)

    def rehearsed(self, asked: Asked) -> tuple[Answer, bool]:
        """The answer to a request, and whether it would change something. Nothing has changed."""
        before = keep(self.backends)
        answer = self.act(asked)
        if keep(self.backends) == before:
            return answer, False
        put_back(before)
        return answer, True

    def changed(self) -> None:
        """Let those look again who wait for messages."""
        for waiting in self.waiting[:]:
            waiting.look()


class Waiting:
    """A request that waits for messages, for so many seconds at most. ``answered(answer)`` is called in the end, with
    None where the connection is to break off. As a `parking.Waiting` it is told when its time is over."""

    def __init__(
        self,
        server: Server,
        process: Incarnation,
        asked: Asked,
        task: Task,
        seconds: float,
        answered: Callable[[Answer | None], object],
    ) -> None:
        self.over = False
        self._server = server
        self._process = process
        self._asked = asked
        self._task = task
        self._answered = answered
        self._looks = self._late = False
        self._expected: float | None = None
        server.waiting.append(self)
        expect(server.host.kernel, max(1, round(seconds * 1e6)), self)
        self._expect_message()

    def _expect_message(self) -> None:
        """Look again when a message comes to be seen that is not now."""
        host = self._server.host
        with serving(host):
            now_ms = wall_s(host) * 1000
        moment = next_change(self._server.backends, now_ms)
        if moment is not None and moment != self._expected:
            self._expected = moment
            expect(host.kernel, round((moment - now_ms) * 1000) + 1000, _Again(self))

    def look(self) -> None:
        """Something may have come: it is received in a task of its own, since a fault may strike it."""
        if self.over or self._looks:
            return
        answer, changes = self._server.rehearsed(self._asked)
        if changes:
            self._looks = True
            self._process.spawn(_NAME, self._task.saga, self._receive)
        elif self._late:
            self._end(answer)
        else:
            self._expect_message()

    def _receive(self) -> None:
        if not self.over:
            answer, changes = self._server.rehearsed(self._asked)
            if changes:
                self._end(_write(self._server, self._process, self._asked, answer, self._task))
        self._looks = False
        self.look()  # somebody else was first

    def go(self, *, in_time: bool) -> None:
        """It has waited for as long as it was to."""
        self._late = True
        self.look()

    def _end(self, answer: Answer | None) -> None:
        self.leave()
        self._answered(answer)

    def leave(self) -> None:
        """Nobody waits any longer."""
        if not self.over:
            self.over = True
            self._server.waiting.remove(self)


class _Again:
    """A moment at which one who waits looks again."""

    def __init__(self, of: Waiting) -> None:
        self.over = False
        self._of = of

    def go(self, *, in_time: bool) -> None:
        self._of.look()


def ask(
    host: Host, process: Incarnation, asked: Asked, answered: Callable[[Answer | None], object]
) -> Callable[[], None] | None:
    """Do what a request to SQS asks for, and give ``answered`` what is said; None where the connection is to break
    off. Where it waits for messages, what to call when the client does not any more."""
    if "x-amz-target" not in asked.headers:
        answered(_credentials(asked))
        return None
    server: Server = host.remembered.get(_NAME) or host.remembered.setdefault(_NAME, Server(host))
    process.check_alive()
    task, takes = host.task(), _operation(asked) == _TAKES
    seconds = 0.0
    if takes:
        works_for(task, "")
        asked, seconds = _at_once(server, asked)
    answer, changes = server.rehearsed(asked)
    if changes:
        answered(_write(server, process, asked, answer, task))
        return None
    if takes and seconds and answer.status == 200:
        return Waiting(server, process, asked, task, seconds, answered).leave
    if not host.manual:
        host.kernel.sleep(task, _ANSWER_US)
    answered(answer)
    return None


def _credentials(asked: Asked) -> Answer:
    """The answer to a machine of Amazon's that asks who it is."""
    said = {"/latest/api/token": _NAME, _ROLES: _NAME, f"{_ROLES}{_NAME}": json.dumps(_ROLE)}.get(asked.path)
    return Answer(404 if said is None else 200, ((b"content-type", b"text/plain"),), (said or "").encode())


def _write(server: Server, process: Incarnation, asked: Asked, answer: Answer, task: Task) -> Answer | None:
    """One durable write; ``answer`` is what it would be answered now. None where the store fails."""
    host, takes = server.host, _operation(asked) == _TAKES
    saga = _about(server, asked, answer) or process.current_saga()
    queue = str(asked.payload.get("QueueUrl") or asked.payload.get("QueueName", "")).rpartition("/")[2]
    what = f"{_NAME}: {' '.join(_WORD.findall(_operation(asked))).lower()} {queue}".rstrip()
    said: list[Answer] = []
    kept: list[Kept] = []

    def commit(_: object) -> None:
        kept.append(keep(server.backends))
        said.append(server.act(asked))
        for message in said[-1].said.get("Messages", ()):
            server.sagas[message["ReceiptHandle"]] = named([message["Body"].encode()], host.setup.known) or saga
        server.changed()

    forgets = _operation(asked) in _MAY_BE_FORGOTTEN and not queue.endswith(".fifo")
    undo = (lambda: put_back(kept[-1])) if forgets else None
    try:
        durable_write(host, process, saga, what, (Write(saga, "", what),), commit, undo=undo)
    except StoreUnavailable:
        return None
    if takes:
        works_for(task, saga)
    return said[-1]


def _operation(asked: Asked) -> str:
    return asked.headers["x-amz-target"].rpartition(".")[2]


def _at_once(server: Server, asked: Asked) -> tuple[Asked, float]:
    """The same request without a time to wait, and how many seconds it would wait."""
    seconds: Any = asked.payload.get("WaitTimeSeconds")
    if seconds is None:
        name = str(asked.payload.get("QueueUrl", "")).rpartition("/")[2]
        queues = [backend.queues[name] for backend in backends_in(server.backends) if name in backend.queues]
        seconds = queues[0].receive_message_wait_time_seconds if queues else 0
    if not 0 <= int(seconds) <= 20:
        return asked, 0.0
    payload = asked.payload | {"WaitTimeSeconds": 0}
    body = json.dumps(payload).encode()
    headers = {**asked.headers, "content-length": str(len(body))}
    made = Asked.of(asked.method, asked.host, asked.port, asked.target, headers, body)
    return made, float(seconds)


def _about(server: Server, asked: Asked, answer: Answer) -> str:
    """The saga that a request is about: by its receipts, or what it or its answer names."""
    entries: Any = asked.payload.get("Entries", ())
    receipts = [each["ReceiptHandle"] for each in (asked.payload, *entries) if "ReceiptHandle" in each]
    if receipts:
        found = {server.sagas.get(receipt, "") for receipt in receipts}
        return found.pop() if len(found) == 1 else ""
    return named([asked.body, answer.body], server.host.setup.known)
