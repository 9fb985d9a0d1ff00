"""Code under test that leaves the world is told with the user's own line, whatever it makes of the error."""

# Each way is taken as users take it.
# ruff: noqa: PTH123, SIM115, PLW0108

from __future__ import annotations

import asyncio
import builtins
import contextlib
import gc
import http.client
import importlib
import inspect
import logging
import multiprocessing
import os
import platform
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
import redis

from sagafuzz import Request, Saga, Step, Transaction, UsageError, adapter
from sagafuzz.simulator import patches

from .conftest import Laboratory
from .test_wsgi import declared

PAIR = Saga("pair", [Step("order", "order.create", undo="order.cancel")])
NOWHERE = ("127.0.0.1", 9)
FILE = str(Path(tempfile.gettempdir()) / "never-made")


@pytest.fixture(autouse=True, scope="module")
def _what_was_there_before_is_not_looked_through() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _what_was_left_open_is_this_modules_affair() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def connected(name: str, *args: Any, **options: Any) -> Any:
    """A method of a socket, called."""
    with socket.socket(**options) as made:
        return getattr(made, name)(*args)


WAYS: dict[str, tuple[Callable[[], Any], str]] = {
    "urlopen": (lambda: urllib.request.urlopen("http://127.0.0.1:9/", timeout=1), "real network"),
    "http.client": (lambda: http.client.HTTPConnection(*NOWHERE).request("GET", "/"), "real network"),
    "create_connection": (lambda: socket.create_connection(NOWHERE), "real network"),
    "connect": (lambda: connected("connect", NOWHERE), r"real network \(\('127.0.0.1', 9\)\)"),
    "connect_ex": (lambda: connected("connect_ex", NOWHERE), "real network"),
    "bind": (lambda: connected("bind", ("127.0.0.1", 0)), "real network"),
    "datagram": (lambda: connected("sendto", b"x", NOWHERE, type=socket.SOCK_DGRAM), "real network"),
    "getaddrinfo": (lambda: socket.getaddrinfo("localhost", 80), r"real network \(localhost, 80\)"),
    "gethostbyname": (lambda: socket.gethostbyname("localhost"), "real network"),
    "redis": (lambda: redis.Redis(*NOWHERE).ping(), "real network"),
    "thread": (lambda: threading.Thread(target=int).start(), "real thread.*world.spawn"),
    "timer": (lambda: threading.Timer(0, int).start(), "real thread"),
    "pool of threads": (lambda: ThreadPoolExecutor(1).submit(int), "real thread"),
    "Popen": (lambda: subprocess.Popen(["true"]), r"real process \(\['true'\]\)"),
    "subprocess.run": (lambda: subprocess.run("true", shell=True, check=False), "real process"),
    "os.system": (lambda: os.system("true"), r"real process \('true'\)"),
    "fork": (lambda: os.fork(), "real process"),
    "multiprocessing": (lambda: multiprocessing.get_context("fork").Process(target=int).start(), "real process"),
    "pool of processes": (lambda: ProcessPoolExecutor(1).submit(int), "real (process|thread)"),
    "open": (lambda: open(FILE, "w"), r"real file for writing \('.*never-made'\).*world.file"),
    "open to append": (lambda: open(FILE, mode="ab"), "real file"),
    "io.open": (lambda: open(FILE, "x"), "real file"),
    "Path.write_text": (lambda: Path(FILE).write_text("x"), "real file"),
    "os.open": (lambda: os.open(FILE, os.O_CREAT | os.O_RDWR), "real file"),
    "sqlite3": (lambda: sqlite3.connect(FILE), r"real SQLite file.*world\.sqlite\(\)"),
}


def told(lab: Laboratory, system: Any, **options: Any) -> str:
    """What is said of a system that leaves the world."""
    with pytest.raises(UsageError, match=r"^adapter 'made' leaves the simulated world at ") as caught:
        lab.trial(system, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def named(text: str) -> str:
    """The line that it names."""
    found = re.search(r" at (\S+ in \w+|\S+): it ", text)
    assert found, text
    return found.group(1)


@pytest.mark.parametrize(("way", "expected"), WAYS.values(), ids=WAYS)
def test_every_way_out_is_told_although_the_error_is_caught(lab: Laboratory, way: Any, expected: str) -> None:
    def attempt() -> bool:
        try:
            way()
        except BaseException:
            return False
        return True

    text = told(lab, lab.system(lambda world, order: attempt()))
    assert re.search(expected, text), text
    assert named(text).startswith("test_leaving.py:")
    assert not Path(FILE).exists()


def test_the_line_is_the_innermost_of_the_users_own(lab: Laboratory) -> None:
    line = 0

    def fetch() -> None:
        nonlocal line
        line = sys._getframe().f_lineno + 1
        urllib.request.urlopen("http://127.0.0.1:9/", timeout=1)

    def run(world: Any, order: Any) -> bool:
        with contextlib.suppress(OSError):
            fetch()
        return True

    found = named(told(lab, lab.system(run)))
    assert found == f"test_leaving.py:{line} in fetch"


@pytest.mark.parametrize("where", ["boot", "recover"])
def test_it_is_told_in_boot_and_in_recover(lab: Laboratory, where: str) -> None:
    def out(world: Any) -> None:
        threading.Thread(target=int).start()

    def run(world: Any, order: Any) -> bool:
        world.call("order.create", saga=order.id)
        return True

    def boot(world: Any) -> None:
        if where == "boot":
            out(world)

    system = lab.system(run, boot=boot, recover=out)
    with pytest.raises(UsageError, match=r"at test_leaving\.py:\d+ in out: it starts a real thread"):
        lab.trial(system, "crash-after-send order F")


def test_it_is_told_of_a_participant_that_catches_everything(lab: Laboratory) -> None:
    class Bank:
        def handle(self, request: Request, tx: Transaction) -> None:
            with contextlib.suppress(BaseException):
                socket.create_connection(NOWHERE)

    def run(world: Any, order: Any) -> bool:
        world.call("payment.charge", saga=order.id)
        return True

    system = lab.system(run, participants={"payment": Bank})
    assert re.fullmatch(r"test_leaving\.py:\d+ in handle", named(told(lab, system)))


async def opened() -> Any:
    return await asyncio.open_connection(*NOWHERE)


async def in_a_task() -> Any:
    return await asyncio.wait_for(asyncio.create_task(asyncio.open_connection(*NOWHERE)), 5)


async def in_a_thread() -> Any:
    return await asyncio.to_thread(socket.create_connection, NOWHERE)


async def resolved() -> Any:
    return await asyncio.get_running_loop().getaddrinfo("localhost", 80)


async def started() -> Any:
    return await asyncio.create_subprocess_exec("true")


async def served() -> Any:
    return await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)


@pytest.mark.parametrize("way", [opened, in_a_task, in_a_thread, resolved, started, served])
def test_asynchronous_code_is_told_the_line_that_waits(lab: Laboratory, way: Any) -> None:
    async def run(world: Any, order: Any) -> bool:
        try:
            await way()
        except BaseException:
            return False
        return True

    assert re.fullmatch(rf"test_leaving\.py:\d+ in {way.__name__}", named(told(lab, lab.system(run))))


@adapter(saga=PAIR, name="made")
class Beside:
    def boot(self, world: Any) -> None:
        self.world = world

    def run(self, order: Any) -> bool:
        self.world.spawn(socket.create_connection, NOWHERE)
        return True


def test_what_none_of_the_users_lines_does_is_told_with_the_adapter(lab: Laboratory) -> None:
    found: Any = Beside
    declared = inspect.getsourcelines(Beside)[1]
    assert named(told(lab, found.__sagafuzz_adapter__)) == f"test_leaving.py:{declared}"


def test_a_library_in_c_that_waits_for_a_server_is_told(lab: Laboratory) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # nobody ever answers there
        port = server.getsockname()[1]

        def run(world: Any, order: Any) -> bool:
            with contextlib.suppress(psycopg.Error):
                psycopg.connect(f"host=127.0.0.1 port={port} connect_timeout=2")
            return True

        assert re.fullmatch(r"test_leaving\.py:\d+ in run", named(told(lab, lab.system(run))))


# -- what is no way out ------------------------------------------------------------------------------


def test_work_in_a_thread_of_asyncio_is_simulated(lab: Laboratory) -> None:
    async def run(world: Any, order: Any) -> bool:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = await loop.run_in_executor(pool, world.call, "order.create")
        await asyncio.to_thread(world.call, "payment.charge", saga=order.id)
        return first is not None or True

    assert lab.trial(lab.system(run)).answers == ["completed"]


def test_what_is_meant_to_be_outside_may_be(lab: Laboratory, tmp_path: Path) -> None:
    @contextlib.contextmanager
    def log() -> Any:
        with open(tmp_path / "log", "w") as file:
            yield file

    def run(world: Any, order: Any) -> bool:
        world.resource("log", log).write("x")
        left, right = world.outside(lambda: socket.socketpair())
        world.outside(lambda: (left.sendall(b"y"), right.recv(1), left.close(), right.close()))
        world.outside(lambda: subprocess.run(["true"], check=True))
        return True

    assert lab.trial(lab.system(run)).answers == ["completed"]
    assert (tmp_path / "log").read_text() == "x"


def test_after_it_the_world_is_closed_again(lab: Laboratory) -> None:
    def run(world: Any, order: Any) -> bool:
        with contextlib.suppress(ZeroDivisionError):
            world.outside(lambda: 1 // 0)
        socket.create_connection(NOWHERE)
        return True

    told(lab, lab.system(run))


def test_reading_logging_scratch_files_and_databases_in_memory_are_no_way_out(lab: Laboratory, tmp_path: Path) -> None:
    def run(world: Any, order: Any) -> bool:
        Path(__file__).read_text()
        builtins.open(os.devnull, "w").close()
        handler = logging.FileHandler(tmp_path / "log")
        handler.emit(logging.makeLogRecord({"msg": "hello"}))
        handler.close()
        with tempfile.TemporaryFile() as file:
            file.write(b"x")
        sqlite3.connect(":memory:").close()
        sqlite3.connect("file:x?mode=memory", uri=True).close()
        world.sqlite().execute("CREATE TABLE t (k)")
        return socket.gethostname() != ""

    assert lab.trial(lab.system(run)).answers == ["completed"]
    assert (tmp_path / "log").read_text() == "hello\n"


def test_a_module_imported_inside_may_do_as_it_likes(
    lab: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_inside.py").write_text("import subprocess\nsubprocess.run(['true'], check=True)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    def run(world: Any, order: Any) -> bool:
        importlib.import_module("imported_inside")
        return True

    with contextlib.suppress(UsageError):
        lab.trial(lab.system(run))
    assert list((tmp_path / "__pycache__").iterdir())  # its bytecode was written


def test_outside_of_a_simulation_everything_is_as_it_was(lab: Laboratory, tmp_path: Path) -> None:
    lab.trial(lab.system(lambda world, order: True))
    (tmp_path / "file").write_text("x")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(os.getpid).result() == os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        served, _ = server.accept()
        served.sendall(b"x")
        served.close()
        assert client.recv(1) == b"x"
    assert subprocess.run(["true"], check=False).returncode == 0
    sqlite3.connect(tmp_path / "db").close()


def test_what_describes_the_machine_starts_no_process(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(world: Any, order: Any) -> bool:
        monkeypatch.setattr(platform, "_uname_cache", None)
        return platform.uname().processor == ""

    assert lab.trial(lab.system(run)).answers == ["completed"]


def test_what_a_service_is_told_to_write_names_no_world(lab: Laboratory) -> None:
    def handler(order: str) -> str:
        subprocess.run(["true"], check=True)
        return ""

    with pytest.raises(UsageError, match=r"starts a real process .*; do that in a thread, or ask a participant"):
        lab.trial(declared(handler))


def test_a_database_in_memory_that_runs_would_share_is_told_and_what_to_write(lab: Laboratory) -> None:
    def handler(order: str) -> str:
        sqlite3.connect("file:of_a_process?mode=memory", uri=True).close()
        sqlite3.connect("file:of_all?mode=memory&cache=shared", uri=True).close()
        return ""

    with pytest.raises(
        UsageError, match=r"that is shared.* \(file:of_all\?mode=memory.*; name a file: .*pytest-django"
    ):
        lab.trial(declared(handler))


def test_a_pool_of_threads_that_is_one_of_multiprocessing_is_told(lab: Laboratory) -> None:
    def handler(order: str) -> str:
        with ThreadPool(1) as pool:
            pool.apply(print)
        return ""

    with pytest.raises(UsageError, match=r"pipe of multiprocessing's.*; write concurrent\.futures\.ThreadPoolExecutor"):
        lab.trial(declared(handler))


@pytest.mark.parametrize(
    ("modules", "name", "said"),
    [
        (["trio", "trio.lowlevel"], "run", r"runs trio's own loop.*; write asyncio, or anyio on asyncio"),
        (["trio.lowlevel", "trio"], "start_guest_run", "runs trio's own loop"),
        (["grpc", "grpc.aio"], "insecure_channel", r"opens a channel of gRPC.*; ask participants by HTTP/1\.1"),
        (["grpc.aio", "grpc"], "secure_channel", "opens a channel of gRPC"),
    ],
)
def test_a_library_that_waits_for_real_sockets_in_a_way_of_its_own_is_told_by_its_name(
    lab: Laboratory, monkeypatch: pytest.MonkeyPatch, modules: list[str], name: str, said: str
) -> None:
    calls = ("run", "start_guest_run", "insecure_channel", "secure_channel")
    for each in modules:
        library = ModuleType(each)
        vars(library).update({call: lambda *_: "done" for call in calls})
        monkeypatch.setitem(sys.modules, each, library)
    monkeypatch.setattr(patches, "_replaced", patches._replaced - {"trio", "grpc"})
    with pytest.raises(UsageError, match=said):
        lab.trial(declared(lambda order: str(getattr(sys.modules[modules[0]], name)(order))))
    assert getattr(sys.modules[modules[0]], name)("") == "done"


def test_a_loop_that_waits_in_c_is_told_before_it_does(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hub:
        """As gevent's, by its name."""

        def __init__(self) -> None:
            self.ran = True

    hub = ModuleType("gevent.hub")
    hub.Hub = Hub  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gevent", ModuleType("gevent"))
    monkeypatch.setitem(sys.modules, "gevent.hub", hub)
    monkeypatch.setattr(patches, "_replaced", {*patches._replaced})
    with pytest.raises(UsageError, match=r"runs gevent's own loop.*; write threads or asyncio"):
        lab.trial(declared(lambda order: str(Hub())))
    assert Hub().ran
