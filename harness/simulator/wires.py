"""Connections of the simulated network: two ends, and the bytes between them.

Bytes arrive at once; what takes time is the request that they make up. See `edge`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Protocol

Address = tuple[str, int]


def _reset() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


class End:
    """One end of a connection. ``on_change()`` is called when bytes or an end of them have come; ``peer`` is the other
    end, ``address`` where it is."""

    __slots__ = ("address", "buffer", "closed", "eof", "error", "on_change", "peer")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.buffer = bytearray()
        self.closed = False
        self.eof = False
        self.error: OSError | None = None
        self.on_change: Callable[[], object] | None = None
        self.peer: End = self

    @property
    def readable(self) -> bool:
        """True if reading would give something, if only the end."""
        return bool(self.buffer) or self.eof or self.error is not None

    def send(self, data: bytes) -> None:
        """Bring bytes to the other end. Raises OSError where there is none."""
        if self.error is not None:
            raise self.error
        if self.closed:
            raise OSError(errno.EBADF, "Bad file descriptor")
        if self.peer.closed:
            self.error = _reset()
            raise self.error
        self.peer.buffer += data
        self.peer._changed()

    def finish(self) -> None:
        """Say that no more bytes follow."""
        self.peer.eof = True
        self.peer._changed()

    def close(self) -> None:
        """Close it as a process does that is done with it."""
        if not self.closed:
            self.closed = True
            self.finish()

    def reset(self) -> None:
        """Break it off: the other end is told of an error."""
        if not self.closed:
            self.closed = True
            self.peer.error = _reset()
            self.peer._changed()

    def _changed(self) -> None:
        if self.on_change is not None and not self.closed:
            self.on_change()


def connection(here: Address, there: Address) -> tuple[End, End]:
    """The two ends of a new connection: the one at ``here``, and the one at ``there``."""
    mine, theirs = End(there), End(here)
    mine.peer, theirs.peer = theirs, mine
    return mine, theirs


class Net(Protocol):
    """The network as one process of a service sees it. Its connections are known by the numbers of their sockets."""

    def address_of(self, name: str) -> str:
        """The address of a host of that name."""

    def connect(self, host: str, port: int) -> End:
        """A connection to a host, by its name or address."""

    def number(self, end: End) -> int:
        """A number for a connection that has no socket."""

    def known(self, sock: socket.socket, end: End) -> None:
        """A socket has connected."""

    def end_numbered(self, number: int) -> End | None:
        """The open connection of that number; None where there is none."""
