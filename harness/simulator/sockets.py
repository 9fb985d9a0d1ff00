"""Sockets in the simulated network, below http.client, urllib, requests and httpx: those that connect by TCP.

A socket of the code under test is a real one that never connects; what it sends and receives goes through an `End`.
Where it would block, the task that calls waits in virtual time. Whatever else a socket can do leaves the world.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from .host import Host
from .incarnation import Incarnation
from .parking import Waiters
from .replacing import Served
from .streams import addresses
from .wires import End, Net, connection

_Original = Callable[..., Any]


class _Wire:
    """What a connected socket is."""

    __slots__ = ("end", "waiters")

    def __init__(self, end: End) -> None:
        self.end = end
        self.waiters = Waiters()
        end.on_change = self.waiters.all


_NOWHERE: Final = ("", 0)
"""The address of each end of a pair."""

_wires: Final[WeakKeyDictionary[socket.socket, _Wire]] = WeakKeyDictionary()


def _process(sim: Host) -> Incarnation:
    """The process that calls. Raises ProcessCrashed where it is dead."""
    process = sim.task().process
    assert isinstance(process, Incarnation)
    process.check_alive()
    return process


def _net(sim: Host) -> Net:
    net = _process(sim).net
    assert net is not None, "a service has one"
    return net


def _connect(sim: Host, original: _Original, sock: socket.socket, address: Any) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not sock.type & socket.SOCK_STREAM:
        original(sock, address)
        return
    net = _net(sim)
    end = net.connect(address[0], address[1])
    _wires[sock] = _Wire(end)
    net.known(sock, end)


def _socketpair(sim: Host, original: _Original, *args: Any) -> Any:
    net, pair = _net(sim), original(*args)
    for sock, end in zip(pair, connection(_NOWHERE, _NOWHERE), strict=True):
        _wires[sock] = _Wire(end)
        net.known(sock, end)
    return pair


def _connect_ex(sim: Host, original: _Original, sock: socket.socket, address: Any) -> int:
    try:
        sock.connect(address)
    except OSError as error:
        return error.errno or errno.ECONNREFUSED
    return 0


def _send(sim: Host, original: _Original, sock: socket.socket, data: Any, *flags: int) -> Any:
    _process(sim)
    wire = _wires.get(sock)
    if wire is None:
        return original(sock, data, *flags)
    sent = bytes(data)
    wire.end.send(sent)
    return len(sent)


def _sendall(sim: Host, original: _Original, sock: socket.socket, data: Any, *flags: int) -> None:
    _process(sim)  # who is dead has closed it: that is no way out
    if sock in _wires:
        sock.send(data)
    else:
        original(sock, data, *flags)


def _recv(sim: Host, original: _Original, sock: socket.socket, size: int, flags: int = 0) -> Any:
    _process(sim)
    wire = _wires.get(sock)
    if wire is None:
        return original(sock, size, flags)
    end = wire.end
    while not end.readable:
        _process(sim)
        _wait(sim, sock, wire)
    if not end.buffer and end.error is not None:
        raise end.error
    data = bytes(end.buffer[:size])
    if not flags & socket.MSG_PEEK:
        del end.buffer[:size]
    return data


def _wait(sim: Host, sock: socket.socket, wire: _Wire) -> None:
    seconds = sock.gettimeout()
    if seconds == 0:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    if not wire.waiters.wait(sim.kernel, sim.task(), seconds):
        raise TimeoutError("timed out")


def _recv_into(
    sim: Host, original: _Original, sock: socket.socket, buffer: Any, nbytes: int = 0, flags: int = 0
) -> Any:
    if sock not in _wires:
        return original(sock, buffer, nbytes, flags)
    view = memoryview(buffer).cast("B")
    data = sock.recv(nbytes or len(view), flags)
    view[: len(data)] = data
    return len(data)


def _getpeername(sim: Host, original: _Original, sock: socket.socket) -> Any:
    wire = _wires.get(sock)
    return original(sock) if wire is None else wire.end.address


def _getsockname(sim: Host, original: _Original, sock: socket.socket) -> Any:
    wire = _wires.get(sock)
    return original(sock) if wire is None else wire.end.peer.address


def _shutdown(sim: Host, original: _Original, sock: socket.socket, how: int) -> None:
    wire = _wires.get(sock)
    if wire is None:
        original(sock, how)
    elif how != socket.SHUT_RD:
        wire.end.finish()


def _close(sim: Host, original: _Original, sock: socket.socket, *args: Any) -> None:
    wire = _wires.pop(sock, None)
    if wire is not None:
        for _, poll in _epolls(sim).values():
            poll.forget(sock.fileno())  # as the system does, which may give the number to another one
        wire.end.close()
    original(sock, *args)


def _getaddrinfo(sim: Host, original: _Original, host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
    return addresses(_net(sim), host, port)


# -- whether something has come ------------------------------------------------------------------


def _number(thing: Any) -> int:
    return thing if isinstance(thing, int) else int(thing.fileno())


def _select(
    sim: Host,
    original: _Original,
    read: Iterable[Any],
    write: Iterable[Any],
    special: Iterable[Any],
    timeout: float | None = None,
) -> tuple[list[Any], list[Any], list[Any]]:
    net = _net(sim)
    ends = [(thing, net.end_numbered(_number(thing))) for thing in read]
    writable = list(write)
    if any(end is None for _, end in ends) or any(net.end_numbered(_number(thing)) is None for thing in writable):
        found: tuple[list[Any], list[Any], list[Any]] = original(read, write, special, timeout)
        return found
    waiters = Waiters()
    while True:
        readable = [thing for thing, end in ends if end is not None and end.readable]
        if readable or writable or timeout == 0:
            return readable, writable, []
        if not _changed(sim, [end for _, end in ends if end is not None], waiters, timeout):
            timeout = 0


def _changed(sim: Host, ends: list[End], waiters: Waiters, timeout: float | None) -> bool:
    """Wait until something comes at one of them; False where nothing has for so long."""
    before = [end.on_change for end in ends]
    for end in ends:
        end.on_change = waiters.all
    try:
        return waiters.wait(sim.kernel, sim.task(), timeout)
    finally:
        for end, on_change in zip(ends, before, strict=True):
            end.on_change = on_change


_EPOLL_ALL: Final = select.POLLIN | select.POLLPRI | select.POLLOUT


class _Poll:
    """`select.poll` for the sockets of one process."""

    def __init__(self, sim: Host) -> None:
        self._sim = sim
        self._asked: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = select.POLLIN | select.POLLPRI | select.POLLOUT) -> None:
        self._asked[_number(fd)] = eventmask

    modify = register

    def asks_after(self, fd: int) -> bool:
        """True if it does after that number."""
        return fd in self._asked

    def unregister(self, fd: Any) -> None:
        del self._asked[_number(fd)]

    def forget(self, fd: int) -> None:
        """Ask no more after a socket that is closed."""
        self._asked.pop(fd, None)

    def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
        reads = [fd for fd, asked in self._asked.items() if asked & select.POLLIN]
        writes = [fd for fd, asked in self._asked.items() if asked & select.POLLOUT]
        seconds = None if timeout is None or timeout < 0 else timeout / 1000
        readable, writable, _ = select.select(reads, writes, [], seconds)
        return [
            (fd, (select.POLLIN if fd in readable else 0) | (select.POLLOUT if fd in writable else 0))
            for fd in self._asked
            if fd in readable or fd in writable
        ]


def _poll(sim: Host, original: _Original) -> _Poll:
    return _Poll(sim)


# -- epoll, whose objects stay what they are ---------------------------------------------------------


def _epolls(sim: Host) -> dict[int, tuple[Any, _Poll]]:
    """Each `epoll` of this run, by its id, with what it asks after; it is kept, so that no other one has its id."""
    known: dict[int, tuple[Any, _Poll]] = sim.remembered.setdefault("epoll", {})
    return known


def _epoll(sim: Host, of: Any) -> _Poll:
    """What an `epoll` asks after in this run."""
    return _epolls(sim).setdefault(id(of), (of, _Poll(sim)))[1]


def _epoll_register(sim: Host, original: _Original, of: Any, fd: Any, eventmask: int = _EPOLL_ALL) -> None:
    if _net(sim).end_numbered(_number(fd)) is None:
        original(of, fd, eventmask)
    elif _epoll(sim, of).asks_after(_number(fd)):
        raise FileExistsError(errno.EEXIST, "File exists")
    else:
        _epoll(sim, of).register(fd, eventmask)


def _epoll_modify(sim: Host, original: _Original, of: Any, fd: Any, eventmask: int) -> None:
    if _epoll(sim, of).asks_after(_number(fd)):
        _epoll(sim, of).modify(fd, eventmask)
    else:
        original(of, fd, eventmask)


def _epoll_unregister(sim: Host, original: _Original, of: Any, fd: Any) -> None:
    if _epoll(sim, of).asks_after(_number(fd)):
        _epoll(sim, of).unregister(fd)
    else:
        original(of, fd)


def _epoll_poll(
    sim: Host, original: _Original, of: Any, timeout: float | None = None, maxevents: int = -1
) -> list[tuple[int, int]]:
    milliseconds = None if timeout is None or timeout < 0 else timeout * 1000
    return _epoll(sim, of).poll(milliseconds)[: None if maxevents < 0 else maxevents]


SOCKETS: Final = (
    Served(socket.socket, "connect", _connect),
    Served(socket.socket, "connect_ex", _connect_ex),
    Served(socket.socket, "send", _send),
    Served(socket.socket, "sendall", _sendall),
    Served(socket.socket, "recv", _recv),
    Served(socket.socket, "recv_into", _recv_into),
    Served(socket.socket, "getpeername", _getpeername),
    Served(socket.socket, "getsockname", _getsockname),
    Served(socket.socket, "shutdown", _shutdown),
    Served(socket.socket, "_real_close", _close),
    Served(socket, "getaddrinfo", _getaddrinfo),
    Served(socket, "socketpair", _socketpair),
    Served(select, "select", _select),
    Served(select, "poll", _poll),
    *(
        Served(select.epoll, name, inside)  # where the system has it
        for name, inside in (
            ("register", _epoll_register),
            ("modify", _epoll_modify),
            ("unregister", _epoll_unregister),
            ("poll", _epoll_poll),
        )
        if hasattr(select, "epoll")
    ),
)
"""What of sockets is another thing in the code of a service."""
