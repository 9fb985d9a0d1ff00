"""Redis's protocol, as far as a write and its answer go.

Redis documentation, "Redis serialization protocol specification": a command is an array of strings, and each has
one answer, in order; what a server pushes beside is no answer. A write is a command that Redis flags as one, a
script, or an EXEC with such commands. Connections that subscribe pass as they are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from .link import Link

WRITES: Final = frozenset(
    """
    APPEND BITFIELD BITOP BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN COPY DECR DECRBY DEL EXPIRE
    EXPIREAT FLUSHALL FLUSHDB GEOADD GEORADIUS GEORADIUSBYMEMBER GEOSEARCHSTORE GETDEL GETEX GETSET HDEL HEXPIRE
    HEXPIREAT HGETDEL HGETEX HINCRBY HINCRBYFLOAT HMSET HPERSIST HPEXPIRE HPEXPIREAT HSET HSETEX HSETNX INCR INCRBY
    INCRBYFLOAT LINSERT LMOVE LMPOP LPOP LPUSH LPUSHX LREM LSET LTRIM MIGRATE MOVE MSET MSETNX PERSIST PEXPIRE
    PEXPIREAT PFADD PFMERGE PSETEX RENAME RENAMENX RESTORE RPOP RPOPLPUSH RPUSH RPUSHX SADD SDIFFSTORE SET SETBIT
    SETEX SETNX SETRANGE SINTERSTORE SMOVE SPOP SREM SUNIONSTORE SWAPDB UNLINK XACK XADD XAUTOCLAIM XCLAIM XDEL XGROUP
    XREADGROUP XSETID XTRIM ZADD ZDIFFSTORE ZINCRBY ZINTERSTORE ZMPOP ZPOPMAX ZPOPMIN ZRANGESTORE ZREM ZREMRANGEBYLEX
    ZREMRANGEBYRANK ZREMRANGEBYSCORE ZUNIONSTORE
    EVAL EVALSHA FCALL
    """.split()  # noqa: SIM905
)

_SUBSCRIBES: Final = ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR")
_LINE_END: Final = b"\r\n"


class RedisSession:
    """One connection's conversation."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._queued: list[str] | None = None  # the writes since a MULTI
        self._text = bytearray()
        self._expected: deque[asyncio.Future[bytes] | None] = deque()  # None: an answer that is passed on
        self._subscribed = False

    async def to_store(self) -> None:
        """Until the client hangs up."""
        while True:
            words, raw = await self._command()
            verb = words[0].upper().decode("latin-1") if words else ""
            self._subscribed = self._subscribed or verb in _SUBSCRIBES
            changes = self._understand(verb, raw)
            if changes:
                await self._write(raw, changes)
                continue
            if not self._subscribed:
                self._expected.append(None)
            await self._forward(raw)

    def _understand(self, verb: str, raw: bytes) -> tuple[str, ...]:
        """What a command makes durable."""
        if verb == "MULTI":
            self._queued = []
        elif verb == "DISCARD":
            self._queued = None
            self._text.clear()
        elif verb == "EXEC":
            changes, self._queued = tuple(dict.fromkeys(self._queued or ())), None
            return changes
        elif verb in WRITES:
            self._text += raw
            if self._queued is None:
                return (verb.lower(),)
            self._queued.append(verb.lower())
        return ()

    async def _write(self, raw: bytes, changes: tuple[str, ...]) -> None:
        text, self._text = bytes(self._text), bytearray()
        async with self._link.commit(changes, text) as write:
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._expected.append(answer)
            await self._forward(raw)
            said = await answer
            if not said.startswith((b"-", b"!", b"*-1", b"_")):  # an error; an EXEC that a WATCH had stopped
                await self._link.durable(write)
            self._link.client.write(said)

    async def _forward(self, data: bytes) -> None:
        self._link.store.write(data)
        await self._link.store.drain()

    async def to_client(self) -> None:
        """Until the server hangs up."""
        while True:
            answer = await self._answer()
            pushed = answer.startswith(b">") or self._subscribed
            waiting = None if pushed or not self._expected else self._expected.popleft()
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
            else:
                self._link.client.write(answer)
                await self._link.client.drain()

    async def _command(self) -> tuple[list[bytes], bytes]:
        """The words of a command, and it as it came."""
        reader = self._link.client_reader
        raw = await reader.readuntil(_LINE_END)
        if not raw.startswith(b"*"):
            return raw.split(), raw
        words = []
        for _ in range(int(raw[1:])):
            head = await reader.readuntil(_LINE_END)
            word = await reader.readexactly(int(head[1:]) + 2)
            words.append(word[:-2])
            raw += head + word
        return words, raw

    async def _answer(self) -> bytes:
        """A whole answer, as it came."""
        reader = self._link.store_reader
        raw = await reader.readuntil(_LINE_END)
        sort, count = raw[:1], raw[1:-2]
        if sort in b"$!=":
            return raw + (await reader.readexactly(int(count) + 2) if count != b"-1" else b"")
        if sort in b"*~>%|":
            parts = max(int(count), 0) * (2 if sort in b"%|" else 1) + (sort == b"|")
            for _ in range(parts):
                raw += await self._answer()
        return raw
