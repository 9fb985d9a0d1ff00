"""Commands in processes that start warm: forks of one that has imported what they need. A start would cost a second.

A command finds what it would find in a process of its own: folder, environment, open files, path of modules. Only what
the interpreter reads once at its start is the server's: PYTHONHASHSEED, PYTHONIOENCODING. Run as a program, this is the
server (``warm.py serve PATH``), or who asks it (``warm.py PATH sagafuzz run …``).
"""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import NoReturn


def warm(*words: str) -> list[str]:
    """The words that run ``sagafuzz …`` or ``pytest …`` in such a process, as for subprocess."""
    return [*_client(), *words]


@cache
def _client() -> tuple[str, ...]:
    """Start the server, which ends with this process; the words that ask it."""
    folder = tempfile.TemporaryDirectory(prefix="warm-")
    place = str(Path(folder.name) / "server")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    words = [sys.executable, "-P", __file__, "serve", place]
    server = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=inherited)
    assert server.stdin is not None and server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    atexit.register(_end, server, folder)
    return sys.executable, "-I", "-S", __file__, place


def _end(server: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    server.communicate()
    folder.cleanup()


def ask(place: str, words: list[str]) -> int:
    """Have the server at ``place`` run a command as this process would; its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        request = {"words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
        socket.send_fds(connection, [b"\n"], [0, 1, 2])
        connection.sendall(json.dumps(request).encode() + b"\n")
        answers = connection.makefile("r", encoding="utf-8")
        child = int(answers.readline())
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: os.kill(child, number))
        return int(answers.readline())


def serve(place: str) -> None:
    """Run what is asked for at ``place``, until the other end of standard input is closed."""
    _import_all()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as waiting:
        listening.bind(place)
        listening.listen(16)
        waiting.register(listening, selectors.EVENT_READ)
        waiting.register(0, selectors.EVENT_READ)
        os.write(1, b"ready\n")
        while all(key.fileobj is listening for key, _ in waiting.select()):
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                waiting.close()
                _answer(connection)
            connection.close()


def _import_all() -> None:
    """Import what commands need, and have a search done: what it compiles and looks up once is there for all."""
    import_module("_hypothesis_pytestplugin")  # before Hypothesis, as pytest does, or it warns
    main = import_module("sagafuzz.cli.main")
    for module in set(main.PLACES.values()):
        import_module(f"sagafuzz.cli.{module}")
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        words = ["--faults", "1", "--kinds", "lost-ack", "--random", "1", "--report-dir", folder]
        with suppress(SystemExit):
            main.main(["run", "seed", *words])


def _answer(connection: socket.socket) -> NoReturn:
    """Run the command in a child, and tell how it ended. Does not return."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(connection.makefile("r", encoding="utf-8").readline())
    child = os.fork()
    if child == 0:
        connection.close()
        _run(files, **request)
    for file in files:
        os.close(file)
    connection.sendall(f"{child}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())
    os._exit(0)


def _run(files: list[int], *, words: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    """Become the command. Does not return."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    below = [name for name in environment.get("PYTHONPATH", "").split(os.pathsep) if name]
    sys.path[:0] = below if environment.get("PYTHONSAFEPATH") else [folder, *below]
    sys.argv = words
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=stream is sys.stderr or stream.isatty())  # type: ignore[union-attr]
    if words[0] == "pytest":
        words[1:1] = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of libraries, in which nobody asserts
    program = import_module({"sagafuzz": "sagafuzz.cli.main", "pytest": "pytest"}[words[0]])
    sys.exit(program.main())


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
