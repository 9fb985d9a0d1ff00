"""What a terminal of 80 columns shows: no line beyond it, and the verdict first and last."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from sagafuzz.reports.clean import width

COLUMNS = 80
RECIPES = Path(__file__).resolve().parents[2] / "examples" / "recipes"

SEARCHES = {
    "seed": ("VIOLATED", "run", "seed", "--faults", "1", "--random", "20", "--report-dir", "r"),
    "reference": ("CONSISTENT", "run", "reference", "--faults", "1", "--random", "5", "--report-dir", "r"),
    "service": (
        *("CONSISTENT", "run", str(RECIPES / "flask_adapter.py:Tickets"), "--faults", "1", "--random", "0"),
        *("--kinds", "lost-ack,crash-after-effect,crash-after-log,reject,timeout", "--report-dir", "r"),
    ),
    "fuzz": ("VIOLATED", "fuzz", "seed", "--max-plans", "60", "--report-dir", "r"),
    "one plan": ("VIOLATED", "run", "seed", "--plan", "lost-ack@payment forward"),
}
OTHERS = {
    "several": ("compare", "seed", "simple-saga", "reference", "--faults", "0", "--random", "0", "--report-dir", "r"),
    "doctor": ("doctor", "seed"),
    "adapters": ("adapters",),
    "explain": ("explain", "I5"),
    "config": ("config", "show"),
    "zoo": ("zoo", "unstable-key"),
}


def screen(*arguments: str) -> list[str]:
    """The lines that ``sagafuzz`` with these arguments leaves on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    words = [sys.executable, "-m", "sagafuzz", *arguments]
    running = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm"})
    os.close(theirs)
    written = b""
    try:
        while read := os.read(ours, 65_536):
            written += read
    except OSError:  # the terminal of a process that has ended
        pass
    os.close(ours)
    running.wait(timeout=60)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
    return [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").strip("\n").split("\n")]


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_keeps_to_the_terminal_and_begins_and_ends_with_its_verdict(name: str) -> None:
    verdict, *arguments = SEARCHES[name]
    lines = [line for line in screen(*arguments) if line]
    assert [line for line in lines if width(line) > COLUMNS] == []
    report = [line for line in lines if not re.search(r"\d findings", line) or verdict in line]
    assert verdict in report[0], report[:3]
    assert report[-1].startswith(verdict), report[-3:]


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_commands_say_keeps_to_the_terminal(name: str) -> None:
    lines = screen(*OTHERS[name])
    assert len(lines) > 2
    assert [line for line in lines if width(line) > COLUMNS] == []
