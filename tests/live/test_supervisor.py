"""Whatever happens to the harness, nothing that it started outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sagafuzz.live.fork_server import children
from sagafuzz.live.supervisor import Start, Supervisor
from sagafuzz.live.world import LiveWorld

from .conftest import EXAMPLES, Small, example, fault, in_a_world

SLEEPER = "import subprocess, sys, time; subprocess.Popen(['sleep', '300']); print('up', flush=True); time.sleep(300)"
DAEMON = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        open('daemon.pid', 'w').write(str(os.getpid()))\n"
    "        time.sleep(300)\n"
    "    os._exit(0)\n"
    "os.wait()\n"  # until it has left the group, which is killed with its first process
)

HARNESS = """
import asyncio, sys
from pathlib import Path
from sagafuzz.live.supervisor import Start, Supervisor

async def main():
    async with Supervisor() as supervisor:
        process = await supervisor.spawn(Start(name="s", argv=[sys.executable, "-c", {program!r}], cwd=Path("."),
                                               case="c", limit=9999))
        while "up" not in process.output.lines:
            await asyncio.sleep(0.01)
        print(supervisor.pid, process.pid, flush=True)
        await asyncio.sleep(300)

asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _written(file: Path, within_s: float = 10) -> None:
    until = time.monotonic() + within_s
    while not (file.exists() and file.read_text()) and time.monotonic() < until:
        time.sleep(0.01)


def gone(pid: int, within_s: float = 10) -> bool:
    until = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def descendants(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    found = [int(word) for word in text.split()]
    return found + [below for child in found for below in descendants(child)]


def test_kill_9_of_the_harness_leaves_no_orphan(tmp_path: Path) -> None:
    code = HARNESS.format(program=SLEEPER)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=tmp_path) as harness:
        assert harness.stdout is not None
        fork_server, worker = map(int, harness.stdout.readline().split())
        started = [fork_server, *descendants(fork_server)]
        assert worker in started and len(started) == 3  # the fork server, the worker, and what the worker started
        harness.kill()
    assert [pid for pid in started if not gone(pid)] == []


def test_kill_9_of_the_nursery_takes_the_workers_along(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        async with Supervisor() as supervisor:
            words = [sys.executable, "-c", "import time; time.sleep(300)"]
            process = await supervisor.spawn(Start(name="w", argv=words, cwd=tmp_path, case="c", limit=999))
            os.kill(supervisor.pid, signal.SIGKILL)
            return process.pid, await process.exited

    pid, status = asyncio.run(go())
    assert status == -signal.SIGKILL
    assert gone(pid)


def test_what_left_its_group_is_found_by_its_mark(tmp_path: Path) -> None:
    async def go() -> int:
        async with Supervisor() as supervisor:
            process = await supervisor.spawn(
                Start(name="d", argv=[sys.executable, "-c", DAEMON], cwd=tmp_path, case="case-7", limit=999)
            )
            assert await process.exited == 0
            file = tmp_path / "daemon.pid"
            await asyncio.to_thread(_written, file)
            pid = int(file.read_text())
            assert alive(pid)
            await supervisor.sweep("another-case", [])
            assert alive(pid)
            await supervisor.sweep("case-7", [process])
            assert not alive(pid)
            return pid

    assert asyncio.run(go())


def test_a_program_that_is_not_there_says_so(tmp_path: Path) -> None:
    async def go() -> tuple[int, tuple[str, ...]]:
        async with Supervisor() as supervisor:
            missing = Start(name="x", argv=["no-such-program"], cwd=tmp_path, case="c", limit=999)
            process = await supervisor.spawn(missing)
            return await process.exited, process.output.lines

    status, lines = asyncio.run(go())
    assert status == 127
    assert "cannot start no-such-program" in lines[0]


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_cases_leave_nothing(places: Path) -> None:
    """The short form; the long one is among the slow tests."""
    _leave_nothing(80, places)


@pytest.mark.slow
def test_a_thousand_cases_leave_nothing(places: Path) -> None:
    _leave_nothing(1000, places)


def _held() -> tuple[int, int]:
    """Open descriptors, and resident kilobytes, of this process."""
    resident = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return sum(1 for _ in Path("/proc/self/fd").iterdir()), resident * os.sysconf("SC_PAGE_SIZE") // 1024


def _listening(pids: list[int]) -> list[str]:
    """The addresses at which these processes listen, as the kernel writes them."""
    ends = {link.readlink().name for pid in pids for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in ends]


def _leave_nothing(cases: int, temporary: Path) -> None:
    """No process, port or file beside the world's own; the harness holds no more descriptors, nor more memory."""
    setup = example("python/correct.toml")
    plans = [fault("crash-after-effect", "inventory", "F", "effect"), fault("lost-ack", "payment", "F", "ack")]
    before_files = sorted((EXAMPLES / "python").iterdir())
    listening, others = _listening([os.getpid()]), children()  # of tests before this one

    async def work(world: LiveWorld) -> None:
        async def batch(count: int) -> tuple[int, int]:
            runs = await asyncio.gather(*(world.run(setup, plans[n % 2]) for n in range(count)))
            assert {live.blocked for live in runs} == {""}
            return _held()

        before, memory = await batch(40)
        after, later = before, memory
        for _ in range(cases // 40 - 1):
            after, later = await batch(40)
        assert after <= before
        assert later - memory < 20_000, f"{later - memory} kB more"
        assert os.listdir(world.folder) == []  # noqa: PTH208
        assert descendants(world.supervisor.pid) == []
        assert world.server.doors == {}
        now = _listening([os.getpid(), world.supervisor.pid])
        assert sorted(now) == sorted([*listening, "0100007F"]), "beside, the participants alone listen, at 127.0.0.1"

    in_a_world(work)
    assert all(pid in others or not alive(pid) for pid in children())
    assert list(temporary.iterdir()) == []
    assert sorted((EXAMPLES / "python").iterdir()) == before_files


def test_output_is_kept_for_a_person(small: Small) -> None:
    program = "from sagafuzz import worker\nprint('hello there')\nworker.serve(lambda saga: True)\n"
    live = in_a_world(lambda world: world.run(small(program, component='control = "http"')))
    assert live.blocked == "orchestrator ended (exit code 0) before it was ready; its last lines: hello there"


def test_a_process_whose_start_nobody_waits_for_any_more_is_swept_with_its_case(tmp_path: Path) -> None:
    async def go() -> None:
        async with Supervisor() as supervisor:
            before = _held()[0]
            for turns in range(4):
                words = [sys.executable, "-c", "import time; time.sleep(300)"]
                start = Start(name="s", argv=words, cwd=tmp_path, case="c", channel=True, limit=9999)
                task = asyncio.create_task(supervisor.spawn(start))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert task.cancelled()
            await supervisor.sweep("c", [])
            assert descendants(supervisor.pid) == [] and _held()[0] == before
            assert not supervisor._early and not supervisor._unwanted  # so that a number used again is not mistaken

    asyncio.run(go())


def test_of_much_output_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    async def go() -> str:
        async with Supervisor() as supervisor:
            words = [sys.executable, "-c", "print('first'); print('x' * 200_000); print('last')"]
            start = Start(name="s", argv=words, cwd=tmp_path, case="c", limit=10**6)
            process = await supervisor.spawn(start)
            await process.ended()
            text = process.output.text
            await supervisor.sweep("c", [process])
            return text

    text = asyncio.run(go())
    assert text.startswith("first\nxxx") and text.endswith("xxx\nlast\n") and len(text) < 150_000
    left_out = int(text.partition("[")[2].partition(" bytes are left out]")[0])
    assert len(text) - len(f"\n[{left_out} bytes are left out]\n") + left_out == len("first\n\nlast\n") + 200_000
