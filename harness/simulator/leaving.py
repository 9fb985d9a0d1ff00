"""Code under test that leaves the simulated world: a real socket, thread, process or file.

What it does there no fault can strike, no run can repeat, and no invariant sees. So the run ends, and the user's own
line is named, whatever that code would have made of an error.
"""

from __future__ import annotations

import builtins
import inspect
import io
import os
import platform
import selectors
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..errors import UsageError
from ..frames import Frame, is_ours, is_own, line, running, users
from .aio import SimLoop
from .host import Host
from .inside import simulation
from .replacing import Check, Instead, Served
from .whose import waiting


class Way(NamedTuple):
    """A way out of the world: what the code does there, and what to write in its place, also in a service, whose code
    knows of no world."""

    does: str
    instead: str
    in_service: str = ""


_LIVE: Final = "the real ones are for live mode"

NETWORK: Final = Way(
    "uses the real network",
    f"ask participants by world.call(...); what is no part of the test goes into world.outside(...); {_LIVE}",
    "ask participants by an HTTP client on blocking sockets or asyncio's streams, and leave out what is no part of "
    f"the test, a server socket or metrics by UDP, say, when the app is made; {_LIVE}",
)
THREAD: Final = Way(
    "starts a real thread", f"write world.spawn(function, ...), or asyncio.to_thread(...) in async code; {_LIVE}"
)
PROCESS: Final = Way(
    "starts a real process",
    f"ask a participant by world.call(...); {_LIVE}",
    f"do that in a thread, or ask a participant for it; {_LIVE}",
)
FILE: Final = Way(
    "opens a real file for writing",
    "keep what is to last in world.store, world.file() or world.sqlite(), write the rest by world.outside(...)",
    "keep what is to last in a database, SQLite, say, and leave the rest out when the app is made",
)
LIBPQ: Final = Way(
    "connects to PostgreSQL by libpq",
    f"connect by asyncpg or pg8000 (postgresql+asyncpg://, postgresql+pg8000://); {_LIVE}",
)
PIPE: Final = Way(
    "waits for a pipe of multiprocessing's",
    f"write concurrent.futures.ThreadPoolExecutor, queue and threading; {_LIVE}",
)
GEVENT: Final = Way("runs gevent's own loop, which waits in C", f"write threads or asyncio; {_LIVE}")
TRIO: Final = Way("runs trio's own loop, which waits for real sockets", f"write asyncio, or anyio on asyncio; {_LIVE}")
GRPC: Final = Way(
    "opens a channel of gRPC, which uses the real network in C",
    f"ask participants by HTTP/1.1 where the app is tested, and leave out what is no part of that; {_LIVE}",
)
DATABASE: Final = Way("opens a real SQLite file", "write world.sqlite(), which is a sqlite3.Connection of the world")

_permitted: ContextVar[bool] = ContextVar("sagafuzz_permitted", default=False)


@contextmanager
def permitted() -> Iterator[None]:
    """Whatever is done here is meant to be outside (`world.outside`, `world.resource`)."""
    token = _permitted.set(True)
    try:
        yield
    finally:
        _permitted.reset(token)


def leave(sim: Host, way: Way, what: object = "") -> None:
    """Code under test is about to take this way: end the run, unless that is permitted, or no doing of its own."""
    if _permitted.get():
        return
    frames = list(running(sys._getframe(1)))
    if _excused(frames, way):
        return
    if way is NETWORK and any(_PSYCOPG in code.co_filename for code, _ in frames):
        way, what = LIBPQ, ""
    if way is NETWORK and any(_MULTIPROCESSING in code.co_filename for code, _ in frames):
        way, what = PIPE, ""
    where = line(users(frames))
    if not any(is_own(code.co_filename) for code, _ in frames):  # in a task that a library made, say
        where = line(users(waiting(sim))) or where or _of_the_class(sim)
    shown = f" ({what})" if what else ""
    error = UsageError(
        f"adapter {sim.setup.adapter.name!r} leaves the simulated world at {where}: it {way.does}{shown}, where no "
        f"fault strikes and nothing is seen; {(sim.setup.adapter.service and way.in_service) or way.instead}"
    )
    sim.kernel.fatal, sim.kernel.stopped = error, "fatal"  # for a participant's code, which might catch it
    sim.refuse(error)


_MULTIPROCESSING: Final = f"{os.sep}multiprocessing{os.sep}"
_PSYCOPG: Final = f"{os.sep}psycopg{os.sep}"

_SCRATCH: Final = frozenset({"tempfile", "logging"})
"""Modules of the standard library that write files in which nothing is kept."""


def _excused(frames: list[Frame], way: Way) -> bool:
    """True if an import does it, or a log."""
    for code, _ in frames:
        if is_own(code.co_filename):
            return False
        if "importlib._bootstrap" in code.co_filename:
            return True
        path = Path(code.co_filename)
        if way is FILE and _SCRATCH & {path.stem, path.parent.name}:
            return True
    return False


def _of_the_class(sim: Host) -> str:
    factory = sim.setup.adapter.factory
    try:
        return f"{Path(inspect.getsourcefile(factory) or '?').name}:{inspect.getsourcelines(factory)[1]}"
    except (OSError, TypeError):
        return "an unknown line"


# -- the ways out -----------------------------------------------------------------------------------


def _network(sim: Host, *args: Any, **_: Any) -> None:
    places = [value for value in args if isinstance(value, str | int | tuple)]
    leave(sim, NETWORK, ", ".join(map(str, places[:2])))


def _connected(sim: Host, sock: socket.socket, *_: Any, **__: Any) -> None:
    if sock.fileno() >= 0:  # one that is closed leads nowhere: a file over it writes what it has left as it goes
        leave(sim, NETWORK)


def _waited_for(sim: Host, *_: Any, **__: Any) -> None:
    files = (code.co_filename for code, _ in running(sys._getframe(1)))
    asks = next(name for name in files if name != selectors.__file__ and not is_ours(name))
    if Path(asks).parent.name != "asyncio":
        leave(sim, NETWORK)  # an event loop of another make is told by the ports


def _thread(sim: Host, *_: Any, **__: Any) -> None:
    leave(sim, THREAD)


def _process(sim: Host, *args: Any, **_: Any) -> None:
    words = [value for value in args if isinstance(value, str | bytes | list | tuple)]
    leave(sim, PROCESS, repr(words[0])[:80] if words else "")


_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _open(sim: Host, file: Any, mode: str = "r", *_: Any, **__: Any) -> None:
    if isinstance(mode, str) and set(mode) & set("wax+"):
        _written(sim, file)


def _os_open(sim: Host, path: Any, flags: int, *_: Any, **__: Any) -> None:
    if flags & _WRITES:
        _written(sim, path)


def _written(sim: Host, file: Any) -> None:
    if not isinstance(file, int) and not os.fsdecode(file).startswith("/dev/"):
        leave(sim, FILE, repr(os.fsdecode(file)))


def _sqlite(sim: Host, database: Any, *_: Any, **__: Any) -> None:
    name = os.fsdecode(database)
    if name and ":memory:" not in name and "mode=memory" not in name:
        leave(sim, DATABASE, repr(name))


def _libpq(sim: Host, original: Callable[..., Any], *args: Any, **options: Any) -> Any:
    leave(sim, LIBPQ)
    return original(*args, **options)


_ask_uname: Final[Callable[[], str | None]] = vars(platform._Processor)["from_subprocess"]  # type: ignore[attr-defined]


def _processor() -> str | None:
    """Return the answer of `uname -p`, in a simulation None: a library that describes the machine asks for it."""
    return _ask_uname() if simulation() is None else None


def _gevent(sim: Host, *_: Any, **__: Any) -> None:
    leave(sim, GEVENT)


def hubs() -> Iterator[Check]:
    """Refuse the loop of gevent, where that is imported."""
    yield Check(import_module("gevent.hub").Hub, "__init__", _gevent)


def _trio(sim: Host, *_: Any, **__: Any) -> None:
    leave(sim, TRIO)


def nurseries() -> Iterator[Check]:
    """Refuse the loop of trio, where that is imported."""
    yield Check(import_module("trio"), "run", _trio)
    yield Check(import_module("trio.lowlevel"), "start_guest_run", _trio)


def _grpc(sim: Host, *_: Any, **__: Any) -> None:
    leave(sim, GRPC)


def channels() -> Iterator[Check]:
    """Refuse channels of gRPC, where that is imported."""
    for module in ("grpc", "grpc.aio"):
        yield from _checks(import_module(module), _grpc, "insecure_channel", "secure_channel")


def drivers() -> Iterator[Served]:
    """What connects a service to a server by a library in C that waits there: of those that are installed. psycopg,
    without a 2, waits where it is seen."""
    if find_spec("psycopg2") is not None:
        with suppress(ImportError):  # libpq itself is missing
            yield Served(import_module("psycopg2"), "connect", _libpq)


def _checks(holder: Any, ask: Callable[..., object], *names: str) -> list[Check]:
    return [Check(holder, name, ask) for name in names]


WAYS_OUT: Final[tuple[Check | Instead, ...]] = (
    *_checks(threading.Thread, _thread, "start"),
    *_checks(socket.socket, _network, "connect", "connect_ex", "bind", "sendto"),
    *_checks(socket.socket, _connected, "send", "sendall", "recv", "recv_into", "recvfrom", "accept"),
    *_checks(socket, _network, "getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"),
    *_checks(SimLoop, _network, "create_connection", "create_server", "create_datagram_endpoint"),
    *_checks(SimLoop, _network, "create_unix_connection", "create_unix_server", "getaddrinfo", "getnameinfo"),
    *_checks(SimLoop, _network, "sock_connect", "sock_recv", "sock_sendall", "add_reader", "add_writer"),
    *_checks(SimLoop, _process, "subprocess_exec", "subprocess_shell"),
    *_checks(selectors._BaseSelectorImpl, _waited_for, "register"),
    *_checks(subprocess.Popen, _process, "__init__"),
    *_checks(os, _process, "system", "fork", "forkpty", "posix_spawn", "posix_spawnp", "execv", "execve"),
    *_checks(builtins, _open, "open"),
    *_checks(io, _open, "open"),
    *_checks(os, _os_open, "open"),
    *_checks(sqlite3, _sqlite, "connect"),
    Instead(platform._Processor, "from_subprocess", _processor),  # type: ignore[attr-defined]
)
"""What leads out of the world, and what is asked before it does."""
