"""Between a process and a PostgreSQL server: each commit passes the gate of its link. See `sagafuzz.postgres`.

Encryption is declined, so that a commit can be seen.
"""

from __future__ import annotations

import asyncio
import struct

from ..postgres import CANCEL, ENDS, GATHERED, GSS, SSL, Dialogue
from .link import Link


class PostgresSession:
    """One connection's conversation."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._dialogue = Dialogue(link.defined)
        self._asked = 0  # how many times the server is to be ready
        self._ready = 0  # how many times it was
        self._gathering = False
        self._failed = False
        self._held: asyncio.Future[bool] | None = None
        self._holding = bytearray()

    # -- from the client -----------------------------------------------------------------------

    async def to_store(self) -> None:
        """Until the client hangs up."""
        if not await self._start():
            await self._link.client_reader.read()
            return
        flight, changes = bytearray(), list[str]()
        while True:
            letter, content, raw = await _message(self._link.client_reader)
            flight += raw
            changes += self._dialogue.hear(letter, content)
            flushes_commit = letter == b"H" and changes and self._dialogue.explicit  # a Sync is to follow at once
            self._gathering = letter in GATHERED or bool(flushes_commit)
            if self._gathering:
                continue
            if letter in ENDS:
                self._asked += 1
            if changes and letter in ENDS:  # after a Flush the client may wait, and what commits is still to come
                await self._commit(bytes(flight), tuple(dict.fromkeys(changes)))
                changes = []
            else:
                await self._forward(bytes(flight))
            if not self._dialogue.transaction.open and not changes:
                self._dialogue.taken()
            flight.clear()

    async def _start(self) -> bool:
        """What comes before messages have letters. False for a request to cancel, which is passed on."""
        while True:
            head = await self._link.client_reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            if code in (SSL, GSS):
                self._link.client.write(b"N")
                continue
            await self._forward(head + await self._link.client_reader.readexactly(length - 8))
            self._asked += 1
            return bool(code != CANCEL)

    async def _commit(self, flight: bytes, changes: tuple[str, ...]) -> None:
        async with self._link.commit(changes, self._dialogue.taken()) as write:
            self._failed = False
            self._held = asyncio.get_running_loop().create_future()
            await self._forward(flight)
            if await self._held:
                self._link.defined.committed(changes)
                await self._link.durable(write)
            self._held = None
            self._link.client.write(bytes(self._holding))
            self._holding.clear()

    async def _forward(self, data: bytes) -> None:
        self._link.store.write(data)
        await self._link.store.drain()

    # -- from the server -----------------------------------------------------------------------

    async def to_client(self) -> None:
        """Until the server hangs up."""
        while True:
            letter, content, raw = await _message(self._link.store_reader)
            if self._held is None or self._held.done() or self._ready < self._asked - 1:
                self._link.client.write(raw)
            else:
                self._holding += raw
                self._failed = self._failed or letter == b"E"
            if letter == b"Z":
                self._is_ready(content)
            await self._link.client.drain()

    def _is_ready(self, status: bytes) -> None:
        self._ready += 1
        if self._ready < self._asked:
            return
        if not self._gathering:  # else it has begun with what the client sent ahead
            self._dialogue.settle(status)
        if self._held is not None and not self._held.done():
            self._held.set_result(not self._failed)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes, bytes]:
    """Its letter, its content, and all of it as it came."""
    head = await reader.readexactly(5)
    content = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
    return head[:1], content, head + content
