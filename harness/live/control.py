"""How the harness speaks to a worker: JSON, by lines on its standard input and output, or over HTTP on loopback.

``hello``, ``start``, ``status``, ``cancel``, ``recover``; every error says whether it is definite.
A worker on stdio may tell of a status without being asked: ``{"event": "status", "saga_id": …, "status": …}``.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from ..errors import SagafuzzError, UsageError
from .supervisor import Process

try:
    import h11
except ModuleNotFoundError as error:
    raise UsageError("live mode needs h11; install it with: pip install 'sagafuzz[live]'") from error

PROTOCOL: Final = 1
STATUSES: Final = ("running", "completed", "compensated", "failed_stuck", "unknown")
MAX_LINE: Final = 1 << 20
SHOWN: Final = 100
"""So much of what cannot be understood is quoted."""


class ControlError(SagafuzzError):
    """A worker refused a command (``definite``), or gave no answer that could be understood."""

    def __init__(self, message: str, *, definite: bool = False) -> None:
        super().__init__(message)
        self.definite = definite


class Control(Protocol):
    """A way to ask a worker."""

    async def ask(self, operation: str, within_s: float, **values: Any) -> Mapping[str, Any]:
        """The worker's answer. Raises ControlError where it refuses, is gone, or does not answer in time."""

    def hear(self) -> None:
        """Take what it has said by now without being asked."""

    def lose(self) -> None:
        """Break it off: the worker reads the end of its commands, and cannot answer any more."""

    def close(self) -> None: ...


class StdioControl:
    """JSON lines. ``told`` hears events, ``garbage`` what is no such line."""

    def __init__(
        self, process: Process, told: Callable[[Mapping[str, Any]], None], garbage: Callable[[str], None]
    ) -> None:
        assert process.channel is not None
        self._process = process
        self._fd = process.channel
        self._told = told
        self._garbage = garbage
        self._buffer = b""
        self._unsent = b""
        self._next = 0
        self._replies: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._loop.add_reader(self._fd, self._read)
        process.exited.add_done_callback(lambda _: self._end())

    async def ask(self, operation: str, within_s: float, **values: Any) -> Mapping[str, Any]:
        if not self._open:
            raise ControlError("it has ended")
        self._next += 1
        reply = self._replies[self._next] = self._loop.create_future()
        line = json.dumps({"id": self._next, "op": operation, **values}).encode() + b"\n"
        if len(self._unsent) > MAX_LINE:
            raise ControlError("it does not read its standard input")
        self._unsent += line
        self._write()
        try:
            async with asyncio.timeout(within_s):
                return _understood(operation, await reply)
        except TimeoutError:
            raise ControlError(f"it gave no answer to {operation!r} within {within_s * 1000:g} ms") from None

    def hear(self) -> None:
        if self._open:
            self._read()

    def lose(self) -> None:
        with suppress(OSError), socket.socket(fileno=os.dup(self._fd)) as channel:
            channel.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._end()

    def _write(self) -> None:
        """Write what it takes; the rest when it has read that."""
        try:
            self._unsent = self._unsent[os.write(self._fd, self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""  # it reads no more: it is about to end, of which we shall hear, or will not answer
        if self._unsent:
            self._loop.add_writer(self._fd, self._write)
        else:
            self._loop.remove_writer(self._fd)

    def _end(self) -> None:
        if self._open:
            with suppress(OSError):
                self._read()
            self._stop_reading()
            self._loop.remove_writer(self._fd)
            self._open = False
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_exception(ControlError("it ended before it answered"))
                    reply.exception()  # nobody may be waiting any more

    def _stop_reading(self) -> None:
        self._loop.remove_reader(self._fd)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, MAX_LINE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._stop_reading()
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        if len(self._buffer) > MAX_LINE:
            lines.append(self._buffer)
            self._buffer = b""
        for line in lines:
            if line.strip():
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict) and "event" in said:
            self._told(said)
        elif isinstance(said, dict) and said.get("id") in range(1, self._next + 1):
            reply = self._replies.pop(said["id"], None)
            if reply is not None and not reply.done():
                reply.set_result(said)
        else:
            text = line[:SHOWN].decode("utf-8", "replace")
            self._process.output.add(line[:SHOWN] + b"\n")
            self._stop_reading()
            self._garbage(text)


class HttpControl:
    """The same as POST {address}/{operation}, with the token of the case as a bearer's."""

    def __init__(self, address: str, token: str) -> None:
        self._port, path = _place(address)
        if not self._port:
            raise ControlError(f"its control address is {address!r}; write http://127.0.0.1:PORT", definite=True)
        self._path = path.rstrip("/")
        self._token = token

    async def ask(self, operation: str, within_s: float, **values: Any) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(within_s):
                said = json.loads(await self._post(f"{self._path}/{operation}", json.dumps(values).encode()))
        except TimeoutError:
            raise ControlError(f"it gave no answer to {operation!r} within {within_s * 1000:g} ms") from None
        except (OSError, ValueError, RecursionError, h11.RemoteProtocolError) as error:
            what = f"it gave no answer to {operation!r} that can be understood: {type(error).__name__}: {error}"
            raise ControlError(what) from None
        return _understood(operation, said)

    def hear(self) -> None:
        """Nothing: it is asked."""

    def lose(self) -> None:
        """Nothing: see `close`."""

    def close(self) -> None:
        """Each request has a connection of its own."""

    async def _post(self, path: str, body: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            connection = h11.Connection(h11.CLIENT)
            headers = {
                "host": f"127.0.0.1:{self._port}",
                "authorization": f"Bearer {self._token}",
                "content-type": "application/json",
                "content-length": str(len(body)),
                "connection": "close",
            }
            request = h11.Request(method="POST", target=path, headers=list(headers.items()))
            for event in (request, h11.Data(data=body), h11.EndOfMessage()):
                writer.write(connection.send(event) or b"")
            return await _content(connection, reader)
        finally:
            writer.transport.abort()


async def _content(connection: h11.Connection, reader: asyncio.StreamReader) -> bytes:
    """What an answer holds, whatever its status."""
    content = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(MAX_LINE))
        elif isinstance(event, h11.Data):
            content += event.data
            if len(content) > MAX_LINE:
                raise ControlError(f"its answer is longer than {MAX_LINE} bytes")
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            return bytes(content)


def _place(address: str) -> tuple[int, str]:
    """Its port on loopback and its path; port 0 where it is no such address."""
    try:
        parts = urlsplit(address)
        here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost")
        return (parts.port or 0) if here else 0, parts.path
    except ValueError:
        return 0, ""


def _understood(operation: str, said: Any) -> Mapping[str, Any]:
    if not isinstance(said, dict):
        raise ControlError(f"its answer to {operation!r} is no JSON object: {str(said)[:SHOWN]}")
    if "error" in said:
        raise ControlError(f"{operation}: {str(said['error'])[:300]}", definite=bool(said.get("definite")))
    return said
