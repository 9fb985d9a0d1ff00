"""The door: one HTTP server on loopback for the participants of all cases, which can also hang up.

A request's path begins with the case and the process that it was given to, so that each request is known by
its sender in any language: ``POST /{case}/{process}/{step}/{do|undo}``. An answer may be a TCP reset, as a
caller meets it whose connection breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import suppress
from typing import Any, Final, Protocol, Self

from ..errors import UsageError
from .link import reset

try:
    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol
except ModuleNotFoundError as error:
    raise UsageError("live mode needs an HTTP server; install it with: pip install 'sagafuzz[live]'") from error

MAX_BODY: Final = 1 << 20

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Door(Protocol):
    """What answers the requests of one case."""

    async def answer(self, exchange: Exchange) -> None:
        """Answer it, or reset it; an exchange that is left alone is answered with 500."""


class Exchange:
    """One request and the way to answer it. ``path`` is what follows the case, in parts."""

    def __init__(
        self,
        method: str,
        path: tuple[str, ...],
        headers: dict[str, str],
        body: bytes,
        receive: Receive,
        send: Send,
        transport: asyncio.Transport | None,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.over = False
        self._receive = receive
        self._send = send
        self._transport = transport

    async def respond(self, status: int, content: dict[str, Any] | str) -> None:
        """Answer with JSON, or with a text that is none."""
        if self.over:
            return
        self.over = True
        body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
        kind = b"text/html" if isinstance(content, str) else b"application/json"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def gone(self, within_s: float) -> bool:
        """Wait until the caller has hung up, so long at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
            return True
        return False

    def reset(self) -> None:
        """Break the connection off: the caller reads ECONNRESET, and knows nothing."""
        self.over = True
        if self._transport is not None:
            reset(self._transport)


class Server:
    """The server and its doors, by the name of the case. Use as ``async with``."""

    def __init__(self) -> None:
        self.doors: dict[str, Door] = {}
        self.port = 0
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}
        self._answers: set[asyncio.Task[Any]] = set()  # those that are being given

    async def __aenter__(self) -> Self:
        # With the protocol named, asyncio lets what is written go at once (TCP_NODELAY).
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", 0))
        sock.listen(1024)
        self.port = sock.getsockname()[1]
        config = uvicorn.Config(
            self._serve,
            http=self._protocol(),
            interface="asgi3",
            proxy_headers=False,
            ws="none",
            log_level=logging.CRITICAL,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=3600,  # a connection that is closed while a request is on its way would be a fault
        )
        self._sock = sock
        self._server = _Quiet(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.001)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        for answer in self._answers:  # of cases that are over: one may still wait for its caller to give up
            answer.cancel()
        for transport in list(self._transports.values()):
            transport.abort()
        await self._task
        self._sock.close()

    def _protocol(self) -> type[H11Protocol]:
        """uvicorn's protocol, that leaves its transports where the application finds them."""
        transports = self._transports

        class Protocol(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                self.peer = transport.get_extra_info("peername")
                transports[self.peer] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.peer, None)
                super().connection_lost(exc)

        return Protocol

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        answer = asyncio.current_task()
        assert answer is not None
        self._answers.add(answer)
        try:
            await self._answer(scope, receive, send)
        finally:
            self._answers.discard(answer)

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # the caller died in the middle of it: nothing that could be understood was sent
            body += message.get("body", b"")
            if not message.get("more_body") or len(body) > MAX_BODY:
                break
        case, *path = scope["path"].strip("/").split("/")
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        transport = self._transports.get(tuple(scope["client"]))
        exchange = Exchange(scope["method"], tuple(path), headers, body, receive, send, transport)
        door = self.doors.get(case)
        if door is None:
            await exchange.respond(410, {"error": f"there is no case {case!r}, or it is over", "definite": False})
            return
        await door.answer(exchange)
        if not exchange.over:
            await exchange.respond(500, {"error": "no answer", "definite": False})


class _Quiet(uvicorn.Server):
    """Leaves the signals to those who started the harness."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
