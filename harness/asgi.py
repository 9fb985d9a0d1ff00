"""An ASGI app, driven without a socket: its lifespan, and one request at a time or many at once."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from typing import Any, Final, NamedTuple
from urllib.parse import unquote
from weakref import WeakKeyDictionary, ref

from .frames import passed, place, users

App = Callable[..., Awaitable[None]]

_SERVER: Final = ("orders", 80)
_CLIENT: Final = ("10.7.0.1", 50_000)
_FAILED: Final = 500
"""The first status that says so."""


class Response(NamedTuple):
    """The status of an answer, its body and its headers; ``error`` is what left the app before it had answered, if
    anything did, ``rest`` what it still does after its answer, and ``logged`` what it told its log of a failure."""

    status: int
    body: bytes
    error: Exception | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    rest: asyncio.Future[Any] | None = None
    logged: str = ""


logged: Final[ContextVar[list[str] | None]] = ContextVar("sagafuzz_logged", default=None)
"""What an app has told its log of exceptions, while it answers a request: see `simulator.logs`."""


def failure(error: BaseException) -> str:
    """The type of an exception, what it says, and the user's line that it came from."""
    where = place(users(passed(error)))
    return f"{type(error).__name__}{f' ({where})' if where else ''}: {error}"


def left(work: asyncio.Future[Any]) -> asyncio.Future[Any] | None:
    """Return ``work`` where a request that has been answered leaves something to be done, or told; else None."""
    return None if work.done() and not work.cancelled() and work.exception() is None else work


_answering: Final[WeakKeyDictionary[asyncio.Task[Any], ref[asyncio.Future[Any]]]] = WeakKeyDictionary()


def answering(client: asyncio.Task[Any]) -> asyncio.Task[Any] | None:
    """The task in which an app answers what ``client`` asked last; None where it asked none."""
    found = _answering.get(client)
    work = found() if found is not None else None
    return work if isinstance(work, asyncio.Task) else None


class Asked(ABC):
    """An ``app`` that is asked without a socket."""

    app: Any

    async def ask(self, method: str, target: str, body: Any) -> Response:
        """What it answers to a request whose body is JSON."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = [(b"host", _SERVER[0].encode()), (b"content-type", b"application/json")]
        heard: list[str] = []
        before = logged.set(heard)
        try:
            answer = await self.serve(method, target, headers, content, _SERVER)
        finally:
            logged.reset(before)
        return answer._replace(logged=heard[-1]) if heard and answer.status >= _FAILED else answer

    @abstractmethod
    async def start(self) -> None:
        """Start it up. Raises what its startup raises."""

    @abstractmethod
    async def serve(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], content: bytes, server: tuple[str, int]
    ) -> Response:
        """What it answers to a request, as it comes to a server of that name and port."""


class Running(Asked):
    """An app that runs on the event loop that is running."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._state: dict[str, Any] = {}
        self._life: asyncio.Task[None] | None = None
        self._rests: set[asyncio.Future[Any]] = set()  # asyncio itself keeps weak references

    async def start(self) -> None:
        """Start it up. Raises what its startup raises. An app without a lifespan has nothing to start."""
        said = asyncio.get_running_loop().create_future()
        began = False

        async def receive() -> MutableMapping[str, Any]:
            nonlocal began
            if began:  # it is never shut down: it is killed
                await asyncio.get_running_loop().create_future()
            began = True
            return {"type": "lifespan.startup"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if not said.done():
                said.set_result(message)

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        self._life = asyncio.ensure_future(self.app(scope, receive, send))
        await asyncio.wait((said, self._life), return_when=asyncio.FIRST_COMPLETED)
        if said.done() and said.result()["type"].endswith("failed"):
            await asyncio.wait((self._life,), timeout=1)
            if self._life.done():
                await self._life
            self._life.cancel()  # it may wait for a shutdown: Quart's does
            raise RuntimeError(f"its startup failed: {said.result().get('message') or 'it does not say why'}")
        if self._life.done():
            self._life.exception()  # it has no lifespan, as servers see it

    async def serve(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], content: bytes, server: tuple[str, int]
    ) -> Response:
        path, _, query = target.partition("?")
        asked = False
        status, parts = 500, []
        said: tuple[tuple[bytes, bytes], ...] = ()
        answered = asyncio.get_running_loop().create_future()

        async def receive() -> MutableMapping[str, Any]:
            nonlocal asked
            if asked:  # the client waits for its answer, and then leaves
                await asyncio.wait((answered,))
                return {"type": "http.disconnect"}
            asked = True
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status, said
            if message["type"] == "http.response.start":
                status = message["status"]
                said = tuple((bytes(name), bytes(value)) for name, value in message.get("headers", ()))
            else:
                parts.append(bytes(message.get("body", b"")))
                if not (message.get("more_body") or answered.done()):
                    answered.set_result(None)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [*headers, (b"content-length", str(len(content)).encode())],
            "client": _CLIENT,
            "server": server,
            "state": self._state.copy(),
        }
        work = asyncio.ensure_future(self.app(scope, receive, send))
        if (client := asyncio.current_task()) is not None:
            _answering[client] = ref(work)
        await asyncio.wait((answered, work), return_when=asyncio.FIRST_COMPLETED)
        rest = left(work) if answered.done() else None
        if rest is None or (rest.done() and status >= _FAILED):  # it says that it failed, and then how
            rest = None
            try:
                await work
            except Exception as error:
                return Response(status, b"".join(parts), error, said)
        else:
            self._rests.add(rest)
            rest.add_done_callback(self._rests.discard)
        return Response(status, b"".join(parts), None, said, rest)
