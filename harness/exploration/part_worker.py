"""A process that searches parts of a campaign for another one: the name of a part in, its text out.

It is a process of its own, not a thread, wherever it is started: virtual time, the watchdog's signals and what the
code under test prints are of a whole process. It ends with the process that started it, however that ends.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..live.manifest import manifest_of
from ..loading import load
from ..ports import Adapter
from ..postgres_server import SERVER
from ..simulator import Setup
from ..simulator.patches import Watch, watchdog
from .certificate import source_digest, versions
from .part_search import PartSearch
from .parts import to_text
from .quiet import fewer_collections, quiet
from .settings import Settings
from .stopping import Stop, Why


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a worker is: the versions that its runs depend on, the hash of its adapter's file; or what it lacks."""

    versions: dict[str, str]
    source: str
    complaint: str = ""


Roots = Mapping[int, PartSearch]
"""Of scenarios whose part 0 is there, by number: the searches that go on from it."""


def can_be_copied(adapter: Adapter) -> bool:
    """True if a copy of this process is whole: no other thread is lost to it, and no connection to a server shared."""
    alone = sys.platform == "linux" and threading.active_count() == 1
    on_server = adapter.service is not None and SERVER in os.environ
    return alone and not on_server and manifest_of(adapter) is None and not is_connected()


def is_connected() -> bool:
    """True if this process has a connection to another, beside its standard streams; of Linux."""
    return any(_has_a_peer(int(entry.name)) for entry in Path("/proc/self/fd").iterdir() if int(entry.name) > 2)


def _has_a_peer(handle: int) -> bool:
    """True for a socket that is connected to one with an address: who makes a pair within a process gives it none."""
    try:
        found = socket.socket(fileno=handle)
    except OSError:  # it is no socket
        return False
    try:
        return bool(found.getpeername())
    except OSError:  # it is not connected
        return False
    finally:
        found.detach()


def has_one_thread() -> bool:
    """True if no library runs a thread of its own either, unseen by Python; of Linux."""
    return len(list(Path("/proc/self/task").iterdir())) == 1


class CopiedWorker:
    """A copy of this process, as seen by this one: it searches the adapter as it is here, whatever a test has put in
    the place of its code, and goes on from ``roots``. POSIX only; no other thread may be running."""

    def __init__(self, adapter: Adapter, settings: Settings, roots: Roots, *, loud: bool) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        mine = self.pipe.fileno()
        self._process = multiprocessing.get_context("fork").Process(
            target=_live_as_copy, args=(theirs, mine, adapter, settings, roots, loud)
        )
        with theirs:
            self._process.start()

    @property
    def name(self) -> str:
        return str(self._process.pid)

    @property
    def ending(self) -> str:
        """How it ended, in words; waits for that."""
        self._process.join()
        return _ending(self._process.exitcode or 0)

    def end(self) -> None:
        """End it at once: what it is at is not wanted any more."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


class PartWorker:
    """The process, as seen by the one that starts it. ``folder`` is where it runs, from which files are named. Raises
    UsageError where the system has no processes that inherit a pipe."""

    def __init__(self, spec: str, settings: Settings, *, loud: bool, folder: Path | None = None) -> None:
        if not hasattr(os, "fork"):
            raise UsageError("several processes search on Linux and macOS only; write --jobs 1, without --cluster")
        self.pipe, theirs = multiprocessing.Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", f"from {__name__} import main; main({theirs.fileno()})"],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                cwd=folder,
            )
        self.pipe.send((spec, settings, loud, sys.path))

    @property
    def name(self) -> str:
        return str(self.process.pid)

    @property
    def ending(self) -> str:
        """How it ended, in words; waits for that."""
        return _ending(self.process.wait())

    def facts(self) -> Facts:
        """Asks it; EOFError or OSError where it died."""
        self.pipe.send(None)
        found: Facts = self.pipe.recv()
        return found

    def search(self, part: str) -> str | None:
        """The text of that part, None for one that came to no end; EOFError or OSError where the process died."""
        self.pipe.send(part)
        found: str | None = self.pipe.recv()
        return found

    def end(self) -> None:
        """End it at once: what it is at is not wanted any more."""
        self.process.kill()
        self.process.wait()
        self.pipe.close()


def _ending(code: int) -> str:
    return f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def main(handle: int) -> None:
    """The life of a worker, whose pipe has that number."""
    pipe: Connection[Any, Any] = Connection(handle)
    spec, settings, loud, sys.path[:] = pipe.recv()
    _live(pipe, lambda: load(spec), settings, {}, loud=loud)


def _live_as_copy(
    pipe: Connection[Any, Any], others: int, adapter: Adapter, settings: Settings, roots: Roots, loud: bool
) -> None:
    """The same of a copy of the other process, whose end of the pipe has the number ``others``."""
    os.close(others)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # that of the other's watchdog
    _live(pipe, lambda: adapter, settings, roots, loud=loud)


def _live(
    pipe: Connection[Any, Any], find: Callable[[], Adapter], settings: Settings, roots: Roots, *, loud: bool
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):  # of the whole group: the campaign decides what becomes of it
        signal.signal(number, signal.SIG_IGN)
    asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, asked), daemon=True).start()
    with fewer_collections(), watchdog(settings.spin_s) as watch, nullcontext() if loud else quiet():
        _serve(pipe, asked, find, settings, roots, watch)


def _listen(pipe: Connection[Any, Any], asked: queue.SimpleQueue[str | None]) -> None:
    """Take what is asked for, until the other process is gone; then end with it."""
    try:
        while True:
            asked.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(1)


def _serve(
    pipe: Connection[Any, Any],
    asked: queue.SimpleQueue[str | None],
    find: Callable[[], Adapter],
    settings: Settings,
    roots: Roots,
    watch: Watch,
) -> None:
    try:
        adapter = find()
    except UsageError as error:
        if asked.get() is None:
            pipe.send(Facts(versions=versions(), source="", complaint=str(error)))
        raise

    def spun() -> Stop | None:
        return Why.SPINS.stop(spins=watch.ended) if watch.ended else None

    searches = [
        roots[index].under(spun)
        if index in roots
        else PartSearch(Setup(adapter=adapter, scenario=scenario), settings, spun)
        for index, scenario in enumerate(settings.scenarios)
    ]
    while True:
        name = asked.get()
        if name is None:
            pipe.send(Facts(versions=versions(), source=source_digest(adapter)))
            continue
        watch.ended = 0
        *drawn, index, number = name.split("/")
        search = searches[int(index)]
        record = search.record(drawn=bool(drawn))
        for _ in search.drawn(int(number), record) if drawn else search.plans(int(number), record):
            pass  # each is in the record
        pipe.send(to_text(record) if record.whole and not watch.ended else None)
