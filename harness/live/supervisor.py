"""The harness's side of the fork server: processes as values that can be awaited, signalled and read."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from ..errors import SagafuzzError
from .fork_server import MARK, MAX_MESSAGE

TAIL_BYTES: Final = 8 * 1024
TAIL_LINES: Final = 8
KEPT_BYTES: Final = 128 * 1024
READ_BYTES: Final = 64 * 1024

WAITS: Final = "SAGAFUZZ_WAITS"
"""The variable that tells a worker to wait for a line with its environment."""

AHEAD: Final = "ahead"
"""In the place of a case, for a process that waits for one."""

PRELOADED: Final = ("sagafuzz.worker", "http.client", "sqlite3", "json", "threading", "queue", "signal", "tempfile")
"""What a forked Python worker finds imported."""


class Blocked(SagafuzzError):
    """The system under test could not be run. ``lines`` are the last ones that it wrote."""

    def __init__(self, reason: str, lines: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.lines = tuple(lines)

    def __str__(self) -> str:
        said = " | ".join(self.lines)
        return f"{self.args[0]}; its last lines: {said}" if said else str(self.args[0])


def nobody(output: Output) -> None:
    """Hears that a process wrote too much, where that is of no interest."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """How a process is started, and what it is called. With ``channel`` its standard input and output are a socket for
    control; what it writes otherwise is kept in part, and ``flooded`` hears where it is more than ``limit`` bytes.
    ``script`` is a Python file, run in a fork instead of ``argv[0]``."""

    name: str
    argv: Sequence[str]
    cwd: Path
    case: str
    limit: int
    env: Mapping[str, str] = field(default_factory=dict)
    script: str = ""
    channel: bool = False
    flooded: Callable[[Output], None] = nobody


class Output:
    """What a process wrote, its beginning and its end where that is much, and how much it was. Above ``limit`` bytes
    ``flooded`` is called, once. ``changed`` is set when it has grown, and at its end."""

    def __init__(self, limit: int, flooded: Callable[[Output], None], fd: int) -> None:
        self._fd = fd
        self._start = bytearray()
        self._tail = bytearray()
        self.total = 0
        self.limit = limit
        self.changed = asyncio.Event()
        self._flooded = flooded

    def add(self, data: bytes) -> None:
        before, self.total = self.total, self.total + len(data)
        self._start += data[: KEPT_BYTES - len(self._start)]
        self._tail += data
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]
        self.changed.set()
        if before <= self.limit < self.total:
            self._flooded(self)

    def belongs_to(self, limit: int, flooded: Callable[[Output], None]) -> None:
        """Let somebody else hear where it is too much."""
        self.limit, self._flooded = limit, flooded

    def __contains__(self, text: str) -> bool:
        return text.encode() in self._tail

    def read(self) -> bool:
        """Take what is there to be read; False at its end."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return True
        self.add(data)
        return bool(data)

    @property
    def lines(self) -> tuple[str, ...]:
        """The last lines, shortened, as text."""
        with suppress(OSError):  # closed
            self.read()
        text = bytes(self._tail[-TAIL_BYTES:]).decode("utf-8", "replace")
        return tuple(line[:200] for line in text.splitlines() if line.strip())[-TAIL_LINES:]

    @property
    def text(self) -> str:
        """All of it; where it is long, its beginning and its end, and between them how much was left out."""
        before = -1
        with suppress(OSError):  # closed
            while self.total != before:
                before = self.total
                self.read()
        end = bytes(self._tail)[-(self.total - len(self._start)) :] if self.total > len(self._start) else b""
        left_out = self.total - len(self._start) - len(end)
        said = f"\n[{left_out} bytes are left out]\n" if left_out else ""
        return f"{self._start.decode('utf-8', 'replace')}{said}{end.decode('utf-8', 'replace')}"


class Process:
    """A process that the fork server started. ``exited`` is done with its exit code (negative: a signal)."""

    def __init__(self, pid: int, name: str, output: Output, channel: int | None) -> None:
        self.pid = pid
        self.name = name
        self.output = output
        self.channel = channel  # our end of its standard input and output, where it has one
        self.exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.exited.add_done_callback(lambda _: output.changed.set())
        self.on_close: list[Callable[[], None]] = []

    @property
    def alive(self) -> bool:
        return not self.exited.done()

    async def ended(self) -> int:
        """Its exit code, when it has ended. Whoever stops waiting for it does so alone."""
        return await asyncio.shield(self.exited)

    @property
    def how_it_ended(self) -> str:
        """``exit code 3``, ``signal 9``."""
        status = self.exited.result()
        return f"signal {-status}" if status < 0 else f"exit code {status}"

    def close(self) -> None:
        """Give back what the harness holds of it."""
        while self.on_close:
            self.on_close.pop()()


class Supervisor:
    """Starts a fork server, and processes through it. Use as ``async with``."""

    def __init__(self) -> None:
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._processes: dict[int, Process] = {}
        self._coming: dict[tuple[str, ...], asyncio.Task[Process]] = {}  # those that wait for a case
        self._early: dict[int, int] = {}  # exits that were told before the answer to their spawn was read
        self._unwanted: set[int] = set()  # started for somebody who has left off waiting for it; swept with its case
        self._next = 0

    async def __aenter__(self) -> Self:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            words = [sys.executable, "-m", "sagafuzz.live.fork_server", str(theirs.fileno())]
            self._popen = _started(words, theirs)
        ours.setblocking(False)
        self._sock = ours
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(ours, self._hear)
        await self.preload(PRELOADED)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._coming.values():
            task.cancel()
        await asyncio.gather(*self._coming.values(), return_exceptions=True)
        self._loop.remove_reader(self._sock)
        self._sock.close()
        await asyncio.to_thread(self._popen.wait)
        for process in list(self._processes.values()):
            process.close()

    @property
    def pid(self) -> int:
        """Of the fork server."""
        return self._popen.pid

    async def spawn(self, start: Start) -> Process:
        """Start a process."""
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write, True)
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        ours = theirs = None
        if start.channel:
            ours, theirs = socket.socketpair()
            ours.setblocking(False)
        fds = [theirs.fileno(), theirs.fileno(), write] if theirs is not None else [nowhere, write, write]
        try:
            env = {**start.env, MARK: start.case}
            what: dict[str, Any] = {"argv": list(start.argv), "script": start.script, "cwd": str(start.cwd)}
            pid = await self._ask("spawn", fds, env=env, **what)
        except BaseException:
            os.close(read)
            if ours is not None:
                ours.close()
            raise
        finally:
            os.close(write)
            os.close(nowhere)
            if theirs is not None:
                theirs.close()
        output = Output(start.limit, start.flooded, read)
        process = Process(pid["pid"], start.name, output, ours.fileno() if ours is not None else None)
        if ours is not None:
            process.on_close.append(ours.close)
        self._loop.add_reader(read, self._read, read, output)
        process.on_close.append(lambda: self._stop_reading(read))
        self._processes[process.pid] = process
        if process.pid in self._early:
            self._exit(process.pid, self._early.pop(process.pid))
        return process

    async def take_ahead(self, start: Start) -> Process:
        """A process that was started before it was needed, and waits for a line with its environment; the next one
        starts. Both have a channel."""
        waiting = replace(start, env={WAITS: "1"}, case=AHEAD, channel=True, flooded=nobody)
        place = (str(start.cwd), *start.argv)
        coming = self._coming.pop(place, None) or self._loop.create_task(self.spawn(waiting))
        self._coming[place] = self._loop.create_task(self.spawn(waiting))
        process = await asyncio.shield(coming)
        await self._ask("give", pid=process.pid, case=start.case)
        process.name = start.name
        process.output.belongs_to(start.limit, start.flooded)
        assert process.channel is not None
        with suppress(OSError):  # it has ended, which is told
            os.write(process.channel, json.dumps({"env": {**start.env, MARK: start.case}}).encode() + b"\n")
        return process

    async def preload(self, modules: Sequence[str]) -> str:
        """Import modules for the forks to come; which cannot be, or ""."""
        return str((await self._ask("preload", modules=list(modules)))["failed"])

    async def signal(self, process: Process, *names: str) -> bool:
        """Send SIG``name`` for each to the process and its group, one upon the other; False where it had ended."""
        return process.alive and bool((await self._ask("signal", pid=process.pid, signals=names))["sent"])

    async def kill(self, process: Process) -> None:
        """End it as ``kill -9`` does, and wait until it is gone."""
        await self.signal(process, "KILL")
        await process.ended()

    async def terminate(self, process: Process, grace_s: float, name: str = "TERM") -> bool:
        """Ask it to end by SIG``name``, also where it stands still, then make it. False where it had to be made to."""
        await self.signal(process, name, "CONT")
        done, _ = await asyncio.wait([process.exited], timeout=grace_s)
        if not done:
            await self.kill(process)
        return bool(done)

    async def sweep(self, case: str, processes: Sequence[Process]) -> None:
        """Leave nothing of a case: no process, no descriptor."""
        await self._ask("sweep", case=case)
        for process in processes:
            await process.ended()
            process.close()
            self._processes.pop(process.pid, None)

    # -- the socket --------------------------------------------------------------------------

    async def _ask(self, operation: str, fds: Sequence[int] = (), **values: Any) -> dict[str, Any]:
        self._next += 1
        id = self._next
        reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._replies[id] = reply
        message = json.dumps({"id": id, "op": operation, **values}).encode()
        if len(message) > MAX_MESSAGE:
            raise Blocked(f"its command line and environment are {len(message)} bytes; keep them under {MAX_MESSAGE}")
        while True:
            try:
                socket.send_fds(self._sock, [message], list(fds))
                break
            except BlockingIOError:
                await asyncio.sleep(0.001)
            except OSError as error:
                raise Blocked(f"the process that starts all others is gone: {error}") from None
        return await reply

    def _hear(self) -> None:
        while True:
            try:
                message = self._sock.recv(MAX_MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._gone()
                return
            told = json.loads(message)
            if "exit" in told:
                self._ended(told["exit"], told["status"])
            else:
                reply = self._replies.pop(told["id"])
                if not reply.done():
                    reply.set_result(told)
                elif "pid" in told and self._early.pop(told["pid"], None) is None:
                    self._unwanted.add(told["pid"])

    def _ended(self, pid: int, status: int) -> None:
        if pid in self._processes:
            self._exit(pid, status)
        elif pid in self._unwanted:
            self._unwanted.discard(pid)
        else:
            self._early[pid] = status

    def _exit(self, pid: int, status: int) -> None:
        process = self._processes[pid]
        if not process.exited.done():
            process.exited.set_result(status)

    def _gone(self) -> None:
        """Somebody ended the fork server; its children die with it."""
        self._loop.remove_reader(self._sock)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(Blocked("the process that starts all others has ended"))
        self._replies.clear()
        for pid in self._processes:
            self._exit(pid, -9)

    def _read(self, fd: int, output: Output) -> None:
        if not output.read():
            self._loop.remove_reader(fd)

    def _stop_reading(self, fd: int) -> None:
        self._loop.remove_reader(fd)
        os.close(fd)


def _started(words: Sequence[str], sock: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(words, pass_fds=(sock.fileno(),), stdin=subprocess.DEVNULL, start_new_session=True)
