"""PostgreSQL's protocol, as far as a commit and its answer go.

PostgreSQL documentation, "Frontend/Backend Protocol": a message is a letter, its length, and its content; what
the server does with a Query or a Sync it ends with ReadyForQuery, which tells how the transaction stands.
Encryption is declined, so that a commit can be seen. What a COPY outside of a transaction, or a function that a SELECT
calls, makes durable is not seen as a commit.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final

from ..sql import Transaction
from .link import Link

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_ENDS: Final = b"QSF"
"""After these the server answers with ReadyForQuery."""

_GATHERED: Final = b"PBDEC"
"""These are done when a Sync or a Flush follows."""


class PostgresSession:
    """One connection's conversation."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._transaction = Transaction()
        self._prepared: dict[bytes, str] = {}  # statement -> SQL
        self._portals: dict[bytes, str] = {}
        self._asked = 0  # how many times the server is to be ready
        self._ready = 0  # how many times it was
        self._gathering = False
        self._failed = False
        self._held: asyncio.Future[bool] | None = None
        self._holding = bytearray()
        self._text = bytearray()  # what was written since the last commit

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
            changes += self._understand(letter, content)
            self._gathering = letter in _GATHERED
            if self._gathering:
                continue
            if letter in _ENDS:
                self._asked += 1
            if changes and letter in _ENDS:  # after a Flush the client may wait, and what commits is still to come
                await self._commit(bytes(flight), tuple(dict.fromkeys(changes)))
                changes = []
            else:
                await self._forward(bytes(flight))
            if not self._transaction.open and not changes:
                self._text.clear()
            flight.clear()

    async def _start(self) -> bool:
        """What comes before messages have letters. False for a request to cancel, which is passed on."""
        while True:
            head = await self._link.client_reader.readexactly(8)
            length, code = struct.unpack("!ii", head)
            if code in (_SSL, _GSS):
                self._link.client.write(b"N")
                continue
            await self._forward(head + await self._link.client_reader.readexactly(length - 8))
            self._asked += 1
            return bool(code != _CANCEL)

    def _understand(self, letter: bytes, content: bytes) -> tuple[str, ...]:
        """What a message makes durable."""
        if letter == b"Q":
            return self._run(_string(content)[0].decode("utf-8", "replace"), content)
        if letter == b"P":
            name, rest = _string(content)
            self._prepared[name] = _string(rest)[0].decode("utf-8", "replace")
        elif letter == b"B":
            portal, rest = _string(content)
            self._portals[portal] = self._prepared.get(_string(rest)[0], "")
            self._text += rest
        elif letter == b"E":
            return self._run(self._portals.get(_string(content)[0], ""), b"")
        return ()

    def _run(self, sql: str, content: bytes) -> tuple[str, ...]:
        self._text += content
        return self._transaction.run(sql)

    async def _commit(self, flight: bytes, changes: tuple[str, ...]) -> None:
        text, self._text = bytes(self._text), bytearray()
        async with self._link.commit(changes, text) as write:
            self._failed = False
            self._held = asyncio.get_running_loop().create_future()
            await self._forward(flight)
            if await self._held:
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
            self._transaction.settle(is_open=status == b"T", failed=status == b"E")
        if self._held is not None and not self._held.done():
            self._held.set_result(not self._failed)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes, bytes]:
    """Its letter, its content, and all of it as it came."""
    head = await reader.readexactly(5)
    content = await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)
    return head[:1], content, head + content


def _string(content: bytes) -> tuple[bytes, bytes]:
    """A string that ends with a zero, and what follows it."""
    text, _, rest = content.partition(b"\0")
    return text, rest
