"""A connection between a process and a store, seen from between them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from ..sql import Defined
from .writes import Write, Writes

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Cut(Exception):
    """This connection is to be broken off."""


class Session(Protocol):
    """One connection's conversation. Both directions run at one time, and end with Cut or the end of a stream."""

    async def to_store(self) -> None: ...
    async def to_client(self) -> None: ...


class Gate(Protocol):
    """What lets commits pass, or not."""

    writes: Writes
    defined: Defined

    async def before(self, label: str, changes: Sequence[str], text: bytes) -> Write: ...
    async def after(self, write: Write) -> None: ...


class Link:
    """The two ends of a connection, and the gate that its commits pass. ``defined`` is what is known of the store's
    tables."""

    def __init__(self, gate: Gate, label: str, client: Streams, store: Streams) -> None:
        self.client_reader, self.client = client
        self.store_reader, self.store = store
        self._gate = gate
        self.defined = gate.defined
        self._label = label

    @asynccontextmanager
    async def commit(self, changes: Sequence[str], text: bytes) -> AsyncIterator[Write]:
        """Around a commit that is on its way to the store, and its answer. ``text`` is what was written, where a
        saga's id may stand. Raises Cut where it does not get through."""
        write = None
        self._gate.writes.hold()
        try:
            write = await self._gate.before(self._label, changes, text)
            yield write
        finally:
            self._gate.writes.release(write)

    async def durable(self, write: Write) -> None:
        """The store has answered, and the client does not know yet. Raises Cut where it is not to know."""
        await self._gate.after(write)

    def reset(self) -> None:
        """Break both ends off."""
        reset(self.client.transport)
        self.store.transport.abort()


def reset(transport: asyncio.Transport | asyncio.WriteTransport) -> None:
    """Break a connection off: the other side reads ECONNRESET, and knows nothing."""
    if transport.is_closing():
        return
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
