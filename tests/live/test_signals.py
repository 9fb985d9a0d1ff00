"""A campaign on real processes that is asked to end leaves off at once, and nothing of it runs on."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sagafuzz.live.server import Exchange, Server

from .conftest import Small

SOON_S = 4.0
"""Two seconds, and as much again for a busy machine."""

HANGS = """
import os, pathlib, time
from sagafuzz import worker

def drive(saga):
    worker.call(saga, "order", "do")
    pathlib.Path(f"pid-{os.getpid()}").touch()
    time.sleep(300)

worker.serve(drive)
"""


LISTENS = """
import os, pathlib, signal, socket, sys, time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
with socket.create_server(("127.0.0.1", int(sys.argv[1]))):
    pathlib.Path(f"port-{sys.argv[1]}").touch()
    pathlib.Path(f"pid-{os.getpid()}").touch()
    if not os.fork():
        os.setsid()
        pathlib.Path(f"pid-{os.getpid()}").touch()
    time.sleep(300)
"""
"""A server that does not end when it is asked to, with a child in a session of its own."""

SERVER = """
[[component]]
role = "server"
argv = ["{python}", "listens.py", "{port}"]
ready_url = "tcp://127.0.0.1:{port}"
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_ends_in_the_midst_of_a_case(small: Small, tmp_path: Path, number: int, code: int) -> None:
    small(HANGS, component=SERVER)
    (tmp_path / "listens.py").write_text(LISTENS)
    file = tmp_path / "small.toml"
    file.write_text(file.read_text().replace("max_recovery_ms = 1000", "max_recovery_ms = 60_000"))
    words = [sys.executable, "-m", "sagafuzz", "run", "small.toml", "--faults", "1", "--scenario", "succeeds"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=-1, stderr=-1, text=True) as campaign:
        until = time.monotonic() + 60
        while len([*tmp_path.glob("pid-*")]) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        began = time.monotonic()
        campaign.send_signal(number)
        out, err = campaign.communicate(timeout=60)
        took_s = time.monotonic() - began
    assert (campaign.returncode, err) == (code, ""), out
    assert took_s < SOON_S
    assert "INCOMPLETE" in out
    assert json.loads((tmp_path / "sagafuzz-report" / "report.json").read_text())["complete"] is False
    pids, ports = ([file.name.partition("-")[2] for file in tmp_path.glob(what)] for what in ("pid-*", "port-*"))
    assert len(pids) >= 3 and ports
    assert not [pid for pid in pids if Path("/proc", pid).exists()]
    for port in ports:
        socket.create_server(("127.0.0.1", int(port))).close()


def test_who_still_waits_for_an_answer_does_not_keep_the_world_from_its_end() -> None:
    class Waits:
        def __init__(self) -> None:
            self.asked = asyncio.Event()

        async def answer(self, exchange: Exchange) -> None:
            self.asked.set()
            await asyncio.sleep(300)

    async def go() -> None:
        async with asyncio.timeout(20):
            async with Server() as server:
                server._server.config.timeout_graceful_shutdown = None  # else that would end it, after a second
                door = server.doors["case"] = Waits()
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(b"POST /case/worker/order/do HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n")
                await door.asked.wait()
            writer.close()

    asyncio.run(go())
