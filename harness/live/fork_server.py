"""The process that starts every component, and buries it: forks at once, and leaves no orphan.

It speaks with the harness over a socket whose number is its first argument: JSON messages, and with a
``spawn`` the three descriptors that the new process gets. Since it is single-threaded and has the worker's
usual modules loaded, a Python worker is a fork of it and costs milliseconds. When the socket ends, because
the harness does, whatever way, it kills all that it started, and ends.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MARK: Final = "SAGAFUZZ_CASE"
"""The variable by which a process is known to belong to a case, also when it left its group."""

MAX_MESSAGE: Final = 128 * 1024
SWEEP_S: Final = 5.0
STILL_S: Final = 1.0

_HEARD: Final = frozenset({"INT", "TERM"})
"""Signals that a program may handle. They go to main threads: a process that was stopped takes what is sent to it as
a whole in any of its threads, and a runtime that handles signals in its main thread alone (Python) does not wake."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36


class _Forked(BaseException):
    """Raised in the child, so that a Python script starts on a clean stack."""

    def __init__(self, script: str, arguments: list[str]) -> None:
        self.script = script
        self.arguments = arguments


class ForkServer:
    """Serves one harness. ``living`` maps the pid of each process started, and not yet reaped, to its case."""

    def __init__(self, sock: socket.socket, libc: Any) -> None:
        self.sock = sock
        self.libc = libc
        self.pid = os.getpid()
        self.living: dict[int, str] = {}
        self.wake_read, self.wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Until the harness is gone."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake_write, warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self.sock.fileno(), self.wake_read], [], [])
            if self.wake_read in ready:
                with suppress(BlockingIOError):
                    os.read(self.wake_read, 4096)
                self.reap()
            if self.sock.fileno() in ready:
                try:
                    message, fds, _, _ = socket.recv_fds(self.sock, MAX_MESSAGE, 3)
                except ConnectionResetError:  # the harness died with our messages unread
                    return
                if not message:
                    return
                self.answer(json.loads(message), fds)

    def answer(self, request: dict[str, Any], fds: list[int]) -> None:
        """Do what is asked, and say what came of it."""
        operation = request["op"]
        result: dict[str, Any] = {}
        if operation == "spawn":
            result = {"pid": self.spawn(request, fds)}
        elif operation == "give":
            self.living[request["pid"]] = request["case"]
        elif operation == "signal":
            result = {"sent": self.signal(request["pid"], request["signals"])}
        elif operation == "sweep":
            result = {"killed": self.sweep(request["case"])}
        elif operation == "preload":
            result = {"failed": self.preload(request["modules"])}
        self.tell({"id": request["id"], **result})

    def tell(self, message: dict[str, Any]) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self.sock.send(json.dumps(message).encode())

    def preload(self, modules: list[str]) -> str:
        """Import what forked workers will need; the first that cannot be imported is named."""
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception as error:  # it is the worker that will say what it lacks
                return f"{name}: {error}"
        gc.collect()
        gc.freeze()
        return ""

    # -- starting ----------------------------------------------------------------------------

    def spawn(self, request: dict[str, Any], fds: list[int]) -> int:
        """Fork; the pid. The child leads a session and a group of its own, and dies with this process."""
        pid = os.fork()
        if pid == 0:
            self.become(request, fds)
        self.living[pid] = request["env"].get(MARK, "")
        for fd in fds:
            os.close(fd)
        return pid

    def become(self, request: dict[str, Any], fds: list[int]) -> None:
        """Turn the child into the component. Does not return."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.setsid()
            self.libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self.pid:  # it died in between
                os._exit(1)
            for target, fd in enumerate(fds):
                os.dup2(fd, target)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            os.environ.update(request["env"])
            os.chdir(request["cwd"])
            if request.get("script"):
                raise _Forked(request["script"], request["argv"])
            os.execvpe(request["argv"][0], request["argv"], os.environ)
        except _Forked:
            raise
        except BaseException as error:
            why = error.strerror if isinstance(error, OSError) else error
            os.write(2, f"cannot start {request['argv'][0]}: {why}\n".encode())
            os._exit(127)

    # -- ending ------------------------------------------------------------------------------

    def signal(self, pid: int, names: list[str]) -> bool:
        """Signal a process and its group, once for each name; False where it is reaped already."""
        if pid not in self.living:
            return False
        for name in names:
            number = signal.Signals[f"SIG{name}"]
            if name in _HEARD:
                for member in self.group(pid):
                    self.libc.tgkill(member, member, number)
            else:
                with suppress(ProcessLookupError):
                    os.killpg(pid, number)
            if name == "STOP":
                self.until_still(pid)
        return True

    def until_still(self, pid: int) -> None:
        """Wait until every thread of the group stands still: on a busy machine those that run, or are about to wake,
        go on for a while after the signal was sent."""
        until = time.monotonic() + STILL_S
        while time.monotonic() < until and not all(map(_stands_still, self.group(pid))):
            time.sleep(0.0002)

    def group(self, pid: int) -> list[int]:
        """The process and those of its group that descend from it, or did before they were adopted here."""
        found = [pid, *(child for child in children() if child != pid and _group_of(child) == pid)]
        for member in found:  # it grows
            found += (child for child in children(member) if _group_of(child) == pid)
        return found

    def reap(self) -> None:
        """Take the exit status of every child that has ended, adopted orphans included, and tell the harness."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            pid = found.si_pid
            if pid in self.living:  # what it left in its group goes with it, while the group's number is still its own
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            if self.living.pop(pid, None) is not None:
                self.tell({"exit": pid, "status": os.waitstatus_to_exitcode(status)})

    def sweep(self, case: str) -> int:
        """Kill what is left of a case, wait until it is gone, and count it."""
        killed: set[int] = set()
        until = time.monotonic() + SWEEP_S
        while left := [*self.of_case(case)]:
            for pid in left:
                killed.add(pid)
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL) if self.living.get(pid) else os.kill(pid, signal.SIGKILL)
            self.reap()
            if time.monotonic() > until:
                break
            select.select([self.wake_read], [], [], 0.01)
        return len(killed)

    def of_case(self, case: str) -> list[int]:
        """The children of that case: those started, and orphans, known by the mark in their environment."""
        found = [pid for pid, mark in self.living.items() if not case or mark == case]
        mark = f"{MARK}={case}".encode()
        adopted = [pid for pid in children() if pid not in self.living]
        return found + [pid for pid in adopted if not case or mark in _environment(pid).split(b"\0")]


def children(pid: int | None = None) -> list[int]:
    """The pids of the children of a process (None: of this one), those that it adopted included."""
    tasks = Path(f"/proc/{os.getpid() if pid is None else pid}/task")
    try:
        return [int(word) for task in tasks.iterdir() for word in (task / "children").read_text().split()]
    except OSError:
        return []


def _stands_still(pid: int) -> bool:
    """True if each thread of the process is stopped, or gone."""
    try:
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return not Path(f"/proc/{pid}").exists()
    return all(stat.rpartition(")")[2].split()[0] in "TtZX" for stat in stats)


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def main() -> None:
    """Run until the harness is gone; in a forked child, go on as its script."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    fork_server = ForkServer(socket.socket(fileno=int(sys.argv[1])), libc)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness decides what an interrupt means
    try:
        fork_server.serve()
    except _Forked as child:
        become_script(child.script, child.arguments)
    fork_server.sweep("")
    os._exit(0)


def become_script(script: str, arguments: list[str]) -> None:
    """Run a Python file as ``python file`` would, with descriptors 0 to 2 as they are now."""
    sys.stdin, sys.stdout, sys.stderr = (
        open(fd, mode, encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
        for fd, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            sys.stderr.write(error.code + "\n")
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()
