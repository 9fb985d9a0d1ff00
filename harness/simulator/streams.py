"""asyncio's connections in the simulated network: the event loop of a service as it is.

`NetLoop` has what a loop needs below httpx, aiohttp and asyncio's own streams. TLS is the identity there: see `tls`.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import socket
import sys
import weakref
from asyncio import events
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, cast

from greenlet import getcurrent, greenlet

from ..ports import ProcessCrashed
from .aio import SimLoop, settle
from .kernel import Kernel, Task
from .tls import PlainTLS
from .wires import End, Net

_TRIES: Final = 20
"""How often a greenlet of a dead process may wait again while it is ended."""


class NetLoop(SimLoop):
    """The event loop of a process whose sockets reach ``net``."""

    def __init__(self, kernel: Kernel, task: Task, net: Net) -> None:
        super().__init__(kernel, task)
        self._net = net
        self.made: list[weakref.ref[greenlet]] = []  # greenlets that a library made on it
        self._streams: weakref.WeakSet[Stream] = weakref.WeakSet()

    def check_alive(self) -> None:
        self._task.process.check_alive()

    async def getaddrinfo(self, host: Any, port: Any, **_: int) -> list[Any]:
        return addresses(self._net, host, port)

    async def create_connection(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: Any = None,
        port: Any = None,
        *,
        ssl: Any = None,
        sock: Any = None,
        server_hostname: str | None = None,
        **_: Any,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        end = self._end(sock, host, port)
        _say_nothing_of_the_dead()
        protocol = protocol_factory()
        transport, made = Stream(self, end, protocol, self._net.number(end), sock), self.create_future()
        self._streams.add(transport)
        if ssl:
            transport.secure()
        self.call_soon(settle, made, None, None)
        await made  # by then the protocol knows of its connection
        return transport, protocol

    def _end(self, sock: Any, host: Any, port: Any) -> End:
        if sock is None:
            return self._net.connect(_text(host), int(port))
        found = self._net.end_numbered(sock.fileno())
        if found is None:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return found

    async def sock_connect(self, sock: Any, address: Any) -> None:
        sock.connect(address)

    async def start_tls(
        self, transport: Any, protocol: asyncio.BaseProtocol, sslcontext: Any, **_: Any
    ) -> asyncio.Transport:
        transport.set_protocol(protocol)
        transport.secure()
        return cast("asyncio.Transport", transport)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.Handle:
        self.check_alive()
        handle = self.call_soon(callback, *args, context=context)
        self.rouse()
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """A pool of the user's own is what does it."""
        if executor is None:
            return super().run_in_executor(None, func, *args)
        return asyncio.wrap_future(executor.submit(func, *args), loop=self)

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        if not self._task.process.dead:
            super()._asyncgen_finalizer_hook(agen)  # type: ignore[misc]
            return
        if asyncio.iscoroutine(waits_for := agen.ag_await):  # gone with its process, and to say nothing
            with suppress(BaseException):
                waits_for.close()

    def close(self) -> None:
        """End what is still suspended, greenlets first: each stands in a coroutine, and would run on in its end."""
        outer = events._get_running_loop()
        events._set_running_loop(self)  # what ends may make tasks, which end in turn
        try:
            if not self.is_closed():
                for reference in self.made:
                    if (child := reference()) is not None:
                        _end(child)
                self.made.clear()
                for stream in self._streams:
                    stream.silence()
            super().close()
        finally:
            events._set_running_loop(outer)
        for stream in self._streams:
            stream.forget()


def _say_nothing_of_the_dead() -> None:
    """Keep sessions of aiohttp whose process died from complaining, when they are collected, that nobody closed them.
    A system may load aiohttp later than another one that was run before."""
    if (aiohttp := sys.modules.get("aiohttp")) is not None:
        _silence(aiohttp)


@functools.cache
def _silence(aiohttp: Any) -> None:
    for of in (aiohttp.ClientSession, aiohttp.BaseConnector):
        of.__del__ = functools.partialmethod(_unless_simulated, of.__del__)


def _unless_simulated(it: Any, complain: Callable[[Any], object]) -> None:
    if not isinstance(it._loop, NetLoop):
        complain(it)


def _end(child: greenlet) -> None:
    """End a greenlet of a dead process: its ``finally`` blocks run, and can do nothing."""
    for _ in range(_TRIES):
        if child.dead or not child:
            return
        child.parent = getcurrent()
        with suppress(BaseException):
            waits_for = child.throw(ProcessCrashed)
            if asyncio.iscoroutine(waits_for):
                waits_for.close()


class Stream(asyncio.Transport):
    """The transport of one connection, of the socket ``sock`` where a library has connected one. What is written has
    arrived."""

    def __init__(self, loop: NetLoop, end: End, protocol: asyncio.BaseProtocol, number: int, sock: Any = None) -> None:
        known = {"peername": end.address, "sockname": end.peer.address, "socket": Described(end, number)}
        super().__init__(known)
        self._loop = loop
        self._end = end
        self._protocol: Any = protocol
        self._sock = sock
        self._closing = self._paused = self._waits = self._ended = False
        end.on_change = self._changed
        loop.call_soon(protocol.connection_made, self)
        if end.readable:
            self._changed()

    def secure(self) -> None:
        """Be one with TLS, as far as anybody asks."""
        tls = PlainTLS()
        self._extra |= {"ssl_object": tls, "cipher": tls.cipher(), "peercert": tls.getpeercert()}  # type: ignore[attr-defined]

    def _changed(self) -> None:
        if not self._waits:
            self._waits = True
            self._loop.poke(self._read)

    def _read(self) -> None:
        self._waits = False
        end, protocol = self._end, self._protocol
        if self._paused or self._closing:
            return
        if end.buffer:
            data = bytes(end.buffer)
            end.buffer.clear()
            if isinstance(protocol, asyncio.BufferedProtocol):
                _fill(protocol, data)
            else:
                protocol.data_received(data)
        if end.error is not None:
            self._lose(end.error)
        elif end.eof and not (self._ended or self._closing):
            self._ended = True
            if not protocol.eof_received():
                self.close()

    def _lose(self, error: Exception | None) -> None:
        if not self._closing:
            self._closing = True
            self._end.close()
            if self._sock is not None:
                self._sock.close()
            self._loop.call_soon(self._protocol.connection_lost, error)

    def silence(self) -> None:
        """Let a connection of asyncpg that died with its process not complain, when it is collected, that it is
        open."""
        if type(self._protocol).__module__.startswith("asyncpg.protocol"):
            self._closing = True
            with suppress(ProcessCrashed):
                self._protocol.abort()

    def forget(self) -> None:
        """Be closed: who reads of it, dead as it is, is not to complain that it is open."""
        self._closing = True

    def write(self, data: Any) -> None:
        self._loop.check_alive()
        if self._closing or not data:
            return
        try:
            self._end.send(bytes(data))
        except OSError as error:
            self._lose(error)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self.write(b"".join(list_of_data))

    def write_eof(self) -> None:
        self._end.finish()

    def can_write_eof(self) -> bool:
        return True

    def close(self) -> None:
        self._lose(None)

    def abort(self) -> None:
        self._lose(None)

    def is_closing(self) -> bool:
        return self._closing

    def pause_reading(self) -> None:
        self._paused = True

    def resume_reading(self) -> None:
        self._paused = False
        if self._end.readable:
            self._changed()

    def is_reading(self) -> bool:
        return not self._paused

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", self._protocol)

    def get_write_buffer_size(self) -> int:
        return 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return 0, 65_536

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


def _fill(protocol: asyncio.BufferedProtocol, data: bytes) -> None:
    """Give a protocol that has buffers of its own what has come."""
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        count = min(len(buffer), len(data))
        buffer[:count] = data[:count]
        protocol.buffer_updated(count)
        data = data[count:]


class Described:
    """What a transport says of its socket: enough to ask whether something has come, and to set options."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM
    proto = socket.IPPROTO_TCP

    def __init__(self, end: End, number: int) -> None:
        self._end = end
        self._number = number

    def fileno(self) -> int:
        return -1 if self._end.closed else self._number

    def getpeername(self) -> tuple[str, int]:
        return self._end.address

    def getsockname(self) -> tuple[str, int]:
        return self._end.peer.address

    def setsockopt(self, *_: Any) -> None:
        pass

    def getsockopt(self, *_: Any) -> int:
        return 0


def addresses(net: Net, host: Any, port: Any) -> list[Any]:
    """What `socket.getaddrinfo` says: there is every host, and each has one address."""
    where = (net.address_of(_text(host)), int(port or 0))
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", where)]


def _text(host: Any) -> str:
    return host.decode() if isinstance(host, bytes) else str(host)


def loop_for(kernel: Kernel, task: Task, net: Net | None) -> SimLoop:
    """The event loop of a process."""
    return SimLoop(kernel, task) if net is None else NetLoop(kernel, task, net)
