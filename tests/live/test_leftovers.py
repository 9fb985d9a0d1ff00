"""What benchmarks/leftovers.py tells: nothing of campaigns on live systems, and each thing that somebody does leave."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import EXAMPLES

BENCHMARKS = EXAMPLES.parent.parent / "benchmarks"

LEAVES = """
import os, pathlib, socket, subprocess, sys, tempfile
sys.path.insert(0, sys.argv[1])
import leftovers

def work():
    door = "import socket, time; door = socket.create_server(('127.0.0.1', 0)); print('on', flush=True); time.sleep(60)"
    words = [sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {door!r}])"]
    with subprocess.Popen(words, stdout=-1, start_new_session=True) as parent:
        parent.stdout.readline()  # from the child, which outlives its parent
    pathlib.Path(sys.argv[2], "left").touch()
    os.open(os.devnull, os.O_RDONLY)

leftovers.adopt_orphans()
leftovers.WAIT_S = 0.2
left = leftovers.left_by(leftovers.Watch(), work, pathlib.Path(sys.argv[2]))
for kind, entries in left.items():
    print(kind, len(entries))
for entry in left.get("processes", ()):
    os.kill(int(entry.split()[0]), 9)
"""


def run(*words: object) -> str:
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def test_what_is_left_is_told_by_its_kind(tmp_path: Path) -> None:
    script, folder = tmp_path / "leaves.py", tmp_path / "folder"
    script.write_text(LEAVES, encoding="utf-8")
    folder.mkdir()
    assert run(script, BENCHMARKS, folder).split("\n")[:-1] == ["processes 1", "ports 1", "files 1", "descriptors 1"]


@pytest.mark.slow
def test_campaigns_on_real_processes_leave_nothing() -> None:
    said = run(BENCHMARKS / "leftovers.py", "--cases", 12, EXAMPLES / "python" / "correct.toml")
    assert said.split("\n")[-3:-1] == ["cases: 12", "left_anything: False"], said
