"""Where POSIX's own modules and functions are missing, everything can be imported, and the simulator says the same.

They are hidden in a process of its own: what Windows lacks, and macOS in part. No machine of theirs is tried here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sagafuzz.cli.main import main
from sagafuzz.errors import UsageError
from sagafuzz.exploration.part_worker import PartWorker
from sagafuzz.exploration.pool import cores
from sagafuzz.exploration.settings import Settings
from sagafuzz.postgres_server import server

HIDING = """
import asyncio, concurrent.futures, multiprocessing.connection, multiprocessing.util, os, random, select, shutil
import signal, socket, socketserver, subprocess, sys, tempfile, time  # they look at once for what is hidden below

MODULES = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
HIDDEN = {
    os: "fork forkpty getegid geteuid getgid getpgid getuid initgroups killpg mkfifo nice O_CLOEXEC O_NONBLOCK pipe2 "
    "posix_spawn pread pwrite register_at_fork sched_getaffinity sched_setaffinity setpgid setsid sysconf uname wait3 "
    "wait4 WNOHANG",
    select: "epoll kqueue poll",
    signal: "alarm getitimer ITIMER_PROF ITIMER_REAL ITIMER_VIRTUAL pthread_kill pthread_sigmask setitimer SIGALRM "
    "SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIGWINCH sigwait",
    socket: "recv_fds send_fds SOCK_SEQPACKET",
    time: "clock_gettime tzset",
}


class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name in MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


for name in MODULES:
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Hiding())
for module, names in HIDDEN.items():
    for name in names.split():
        vars(module).pop(name, None)
"""

IMPORTING = """
import importlib, pkgutil
import sagafuzz

def fail(name):
    raise

for found in pkgutil.walk_packages(sagafuzz.__path__, "sagafuzz.", onerror=fail):
    worker = found.name.startswith("sagafuzz.adapters.") and found.name.endswith("_worker")  # of an engine, live only
    if found.name != "sagafuzz.__main__" and not worker:
        importlib.import_module(found.name)
        print(found.name)
"""

RUNNING = """
from sagafuzz.cli.main import main
main(sys.argv[1:])
"""


def elsewhere(code: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", HIDING + code, *arguments]
    return subprocess.run(
        words, capture_output=True, text=True, cwd=folder, check=False, timeout=120, encoding="utf-8", env=CLEAN
    )


CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("COV")} | {
    "PYTHONIOENCODING": "utf-8"
}


def test_everything_can_be_imported(tmp_path: Path) -> None:
    done = elsewhere(IMPORTING, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = set(done.stdout.split())
    assert {
        "sagafuzz.cli.campaigns",
        "sagafuzz.simulator.patches",
        "sagafuzz.live.world",
        "sagafuzz.plugin.running",
    } <= found


def test_the_simulator_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("run", "seed", "--faults", "1", "--random", "5")
    done = elsewhere(RUNNING, *words, folder=tmp_path)
    assert done.returncode == 1, done.stderr
    monkeypatch.chdir(tmp_path)
    first = (tmp_path / "sagafuzz-report" / "report.json").read_bytes()
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert left.value.code == 1
    capsys.readouterr()
    assert (tmp_path / "sagafuzz-report" / "report.json").read_bytes() == first


def test_without_fork_one_process_searches_and_more_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    assert cores() == 1
    with pytest.raises(UsageError, match="several processes search on Linux and macOS only; write --jobs 1"):
        PartWorker("seed", Settings(), loud=False)


def test_a_server_needs_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("select.poll")
    with pytest.raises(UsageError, match="services on PostgreSQL are run on Linux and macOS only"):
        server("host=127.0.0.1")


def test_live_mode_says_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(["run", "dbos", "--faults", "1"])
    assert left.value.code == 2
    assert "live mode needs Linux, and this is Darwin; write an adapter for the simulator" in capsys.readouterr().err
