"""An ASGI app, driven without a socket: its lifespan, and one request at a time or many at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

App = Callable[..., Awaitable[None]]

_SERVER: Final = ("orders", 80)
_CLIENT: Final = ("10.7.0.1", 50_000)


class Response(NamedTuple):
    """The status of an answer and its body; ``error`` is what left the app, if anything did."""

    status: int
    body: bytes
    error: Exception | None = None


class Running:
    """An app that runs on the event loop that is running."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._life: asyncio.Task[None] | None = None

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
                said.set_result(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        self._life = asyncio.ensure_future(self._app(scope, receive, send))
        await asyncio.wait((said, self._life), return_when=asyncio.FIRST_COMPLETED)
        if said.done() and said.result().endswith("failed"):
            await self._life
            raise RuntimeError("its startup failed")
        if self._life.done():
            self._life.exception()  # it has no lifespan, as servers see it

    async def ask(self, method: str, target: str, body: Any) -> Response:
        """What it answers to a request whose body is JSON."""
        content = b"" if body is None else json.dumps(body).encode()
        path, _, query = target.partition("?")
        asked = False
        status, parts = 500, []

        async def receive() -> MutableMapping[str, Any]:
            nonlocal asked
            if asked:  # the client waits for its answer
                await asyncio.get_running_loop().create_future()
            asked = True
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(bytes(message.get("body", b"")))

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (b"host", _SERVER[0].encode()),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
            ],
            "client": _CLIENT,
            "server": _SERVER,
            "state": self._state.copy(),
        }
        try:
            await self._app(scope, receive, send)
        except Exception as error:
            return Response(status, b"".join(parts), error)
        return Response(status, b"".join(parts))
