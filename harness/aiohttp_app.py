"""An app of aiohttp, driven without a socket: what its server would be sent, and what that answers."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any, Final

import h11

from .asgi import Asked, Response

_CLIENT: Final = ("10.7.0.1", 50_000)


class RunningHandlers(Asked):
    """An app that runs on the event loop that is running: each request on a connection of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self._runner = import_module("aiohttp.web").AppRunner(app, access_log=None)

    async def start(self) -> None:
        """Start it up. Raises what its startup raises."""
        await self._runner.setup()

    async def serve(
        self, method: str, target: str, headers: list[tuple[bytes, bytes]], content: bytes, server: tuple[str, int]
    ) -> Response:
        line = h11.Connection(h11.CLIENT)
        told = [*headers, (b"content-length", str(len(content)).encode()), (b"connection", b"close")]
        events = [h11.Request(method=method, target=target, headers=told), h11.Data(content), h11.EndOfMessage()]
        answer = _Answer(line)
        handler = self._runner.server()
        handler.connection_made(answer)
        handler.data_received(b"".join(line.send(event) or b"" for event in events))
        found: Response = await answer.whole
        return found


class _Answer(asyncio.Transport):
    """The other end of a connection: ``whole`` is the answer when it has come."""

    def __init__(self, line: h11.Connection) -> None:
        super().__init__({"peername": _CLIENT})
        self._line = line
        self._status, self._headers, self._parts = 500, (), []  # type: tuple[int, Any, list[bytes]]
        self.whole = asyncio.get_running_loop().create_future()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._line.receive_data(bytes(data))
        while (event := self._line.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                self._status, self._headers = event.status_code, tuple(event.headers.raw_items())
            elif isinstance(event, h11.Data):
                self._parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                self._end()
                return

    def _end(self) -> None:
        if not self.whole.done():
            self.whole.set_result(Response(self._status, b"".join(self._parts), None, self._headers))

    def is_closing(self) -> bool:
        return self.whole.done()

    def close(self) -> None:
        self._end()

    def abort(self) -> None:
        self._end()
