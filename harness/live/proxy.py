"""Between the processes of a case and one of its stores: each commit is seen before it reaches the store, and after.

A process is given a port of its own, so that a commit is known by its writer. What travels is understood just enough
to know a commit and its answer (see `postgres` and `resp`); everything else passes as it is. A cut is a TCP reset.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from ..effects import (
    AFTER,
    AT_LOG,
    AT_LOGGED,
    BEFORE,
    LIVE,
    Crash,
    Effect,
    RestartStore,
    SlowCommit,
    StoreError,
    StoreOutage,
    check_doings,
    doing,
)
from ..faults import FaultKind
from ..sql import Defined
from . import mail
from .injection import DOINGS
from .link import Cut, Link, Session, Streams, reset
from .manifest import Component, Manifest
from .postgres import PostgresSession
from .resp import RedisSession
from .writes import Write, Writes, circumstances_of

CONNECT_S: Final = 5.0
BACKLOG: Final = 128

SESSIONS: Final[Mapping[str, Callable[[Link], Session]]] = {"postgresql": PostgresSession, "redis": RedisSession}
"""By what the manifest calls the protocol."""


class StoreHost(Protocol):
    """Who can do to a process what a fault asks for."""

    def known_as(self, label: str) -> str: ...
    def dead(self, label: str) -> bool: ...
    def spares(self, label: str) -> bool: ...
    async def crash(self, label: str, reason: str) -> None: ...
    async def restart(self, component: str) -> None: ...
    def fail(self, error: BaseException) -> None: ...


class StoreProxy:
    """Stands before one store, for one case. ``port`` is where the store itself listens."""

    def __init__(self, component: Component, port: int, writes: Writes, host: StoreHost, manifest: Manifest) -> None:
        self._component = component
        self._port = port
        self.writes = writes
        self.defined = Defined()
        self._host = host
        self._manifest = manifest
        self._out_until = 0.0
        self._listening: dict[str, socket.socket] = {}
        self._accepted: set[socket.socket] = set()  # and not served yet
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, label: str) -> int:
        """The port at which this process finds the store."""
        sock = self._listening.get(label)
        if sock is None:
            sock = self._listening[label] = socket.create_server(("127.0.0.1", 0), backlog=BACKLOG)
            sock.setblocking(False)
            asyncio.get_running_loop().add_reader(sock, self._accept, label, sock)
        return int(sock.getsockname()[1])

    async def close(self) -> None:
        """Break off what there is, and listen no more."""
        for sock in self._listening.values():
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sock in self._accepted:  # by tasks that had not begun
            sock.close()

    def heal(self) -> bool:
        """End an outage; False where there was none."""
        was, self._out_until = self._out_until, 0.0
        return was > 0

    # -- commits -------------------------------------------------------------------------------

    async def before(self, label: str, changes: Sequence[str], text: bytes) -> Write:
        record = " + ".join(changes)
        if len(self._manifest.proxied) > 1:  # they may have tables of the same names
            record = f"{self._component.name}: {record}"
        label = self._host.known_as(label)
        write = self.writes.write(label, [{"record": record, "text": text.decode("utf-8", "replace")}], begins=True)
        kind = self.writes.before(write, self._circumstances(label))
        if kind is not None:
            await self._strike(kind, write, _COMMITTING)
        return write

    async def after(self, write: Write) -> None:
        kind = self.writes.after(write, self._circumstances(write.label))
        if kind is not None:
            await self._strike(kind, write, _COMMITTED)

    async def _strike(self, kind: FaultKind, write: Write, table: Mapping[type[Effect], Strike]) -> None:
        """Do what the kind does. Raises Cut where the commit, or its answer, does not get through."""
        through = True
        for effect in kind.effects:
            through = await doing(table, effect)(self, write, kind) and through
        if not through:
            raise Cut

    async def _crash(self, write: Write, kind: FaultKind) -> bool:
        spared = self._host.spares(write.label)
        await self._host.crash(write.label, kind.name)
        return spared

    async def _error(self, write: Write, kind: FaultKind) -> bool:
        return False

    async def _outage(self, write: Write, kind: FaultKind) -> bool:
        self._out_until = time.monotonic() + self._manifest.partition_ms / 1000
        for link in list(self._links):
            link.reset()
        return False

    async def _restart(self, write: Write, kind: FaultKind) -> bool:
        await self._host.restart(self._component.name)
        return False

    async def _slow(self, write: Write, kind: FaultKind) -> bool:
        await asyncio.sleep(self._manifest.slow_commit_ms / 1000)
        return True

    def _circumstances(self, label: str) -> int:
        return circumstances_of(dead=self._host.dead(label), proxied=True, errors=True)

    # -- connections ---------------------------------------------------------------------------

    def _accept(self, label: str, listening: socket.socket) -> None:
        # Here and now: asyncio's own server leaves open what it was just accepting when it was closed.
        try:
            sock, _ = listening.accept()
        except OSError:  # who asked has hung up
            return
        self._accepted.add(sock)
        task = asyncio.create_task(self._keep(label, sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, label: str, sock: socket.socket) -> None:
        self._accepted.discard(sock)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            await self._serve(label, (reader, writer))
            writer.close()  # so that the store's last words arrive
        except (Cut, OSError, TimeoutError):
            pass
        except Exception as error:  # a defect of ours
            self._host.fail(error)
        finally:
            reset(writer.transport)  # nothing where it is closed already

    async def _serve(self, label: str, client: Streams) -> None:
        """Until one side hangs up. Raises Cut or OSError where the connection is to break, or did."""
        if time.monotonic() < self._out_until:
            raise Cut
        async with asyncio.timeout(CONNECT_S):
            store = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            await self._converse(Link(self, label, client, store))
        finally:
            store[1].transport.abort()

    async def _converse(self, link: Link) -> None:
        self._links.add(link)
        session = SESSIONS[self._component.proxy](link)
        pumps = [asyncio.create_task(session.to_store()), asyncio.create_task(session.to_client())]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for pump in pumps:
                pump.cancel()
            found = await asyncio.gather(*pumps, return_exceptions=True)
        for error in found:
            if isinstance(error, Exception) and not isinstance(error, EOFError):
                raise error


Strike = Callable[[StoreProxy, Write, FaultKind], Awaitable[bool]]
"""What is done for an effect; whether the commit, or its answer, goes through."""

_COMMITTING: Final[Mapping[type[Effect], Strike]] = {
    Crash: StoreProxy._crash,
    StoreError: StoreProxy._error,
    StoreOutage: StoreProxy._outage,
}
_COMMITTED: Final[Mapping[type[Effect], Strike]] = {
    Crash: StoreProxy._crash,
    StoreError: StoreProxy._error,
    RestartStore: StoreProxy._restart,
    SlowCommit: StoreProxy._slow,
}

check_doings(LIVE, {**DOINGS, **mail.DOINGS, (AT_LOG, BEFORE): _COMMITTING, (AT_LOGGED, AFTER): _COMMITTED})
