"""Between a process and a PostgreSQL server: each commit passes the gate of its link. See `sagafuzz.postgres`.

Encryption is declined, so that a commit can be seen.
"""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from typing import Final

from ..postgres import CANCEL, ENDS, GATHERED, GSS, SSL, Dialogue
from ..sql import effects
from .link import Link

EXECUTED: Final = b"QE"
"""These have statements executed."""

NO_ROW: Final = frozenset({b"UPDATE 0", b"DELETE 0", b"INSERT 0 0", b"MERGE 0"})
"""What the server says of a statement that changed nothing."""


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
        # Of each statement of which the server has said nothing yet: what it adds to a transaction, whether it writes.
        self._executed: deque[tuple[tuple[str, ...], bool]] = deque()
        self._wrote = False  # whether one of them has changed something, or may have, since the last commit

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
            changes += self._hear(letter, content)
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

    def _hear(self, letter: bytes, content: bytes) -> tuple[str, ...]:
        """What a message of the client makes durable."""
        transaction = self._dialogue.transaction
        before = transaction.written
        changes = self._dialogue.hear(letter, content)
        if letter in EXECUTED:
            statements = 1 if letter == b"E" else len(effects(self._dialogue.said))
            added = transaction.since(before) if statements == 1 else ()
            self._executed += [(added, bool(changes or transaction.written > before))] * statements
        return changes

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
            if await self._held and self._wrote:
                self._link.defined.committed(changes)
                await self._link.durable(write)
            self._held, self._wrote = None, False
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
            if letter in (b"C", b"s"):
                self._has_executed(content.rstrip(b"\0"))
            if letter == b"Z":
                self._is_ready(content)
            await self._link.client.drain()

    def _has_executed(self, tag: bytes) -> None:
        """The server has executed a statement, and says what came of it."""
        added, writes = self._executed.popleft() if self._executed else ((), True)
        if tag in NO_ROW:
            self._dialogue.transaction.take_back(added)
        else:
            self._wrote = self._wrote or writes

    def _is_ready(self, status: bytes) -> None:
        self._ready += 1
        if self._ready < self._asked:
            return
        if not self._gathering:  # else it has begun with what the client sent ahead
            self._executed.clear()
            self._dialogue.settle(status)
        if self._held is not None and not self._held.done():
            self._held.set_result(not self._failed)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes, bytes]:
    """Its letter, its content, and all of it as it came."""
    head = await reader.readexactly(5)
    content = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
    return head[:1], content, head + content
