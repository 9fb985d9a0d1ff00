"""How far a search is, on the terminal of a session: in the rest of pytest's own line, and gone afterwards."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios

import pytest

from ..exercised import AS_PLUGIN, FOLDER
from ..warm import warm

COLUMNS = 80
TESTS = """
import pytest
from sagafuzz.adapters.reference import Reference
from sagafuzz.adapters.seed import Seed

class Talking(Reference):
    def run(self, order):
        print("said by the code under test")
        return super().run(order)

@pytest.mark.saga(Talking, faults=1, random=0, scenarios="succeeds")
def test_right(capsys):
    print("said by the test")
    assert capsys.readouterr().out == "said by the test\\n"

@pytest.mark.saga("seed", faults=1, random=0, scenarios="declined")
def test_wrong(): ...
"""


WORDS = ("pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "--color=no", "--saga-report-dir=kept")


def session(*arguments: str) -> str:
    """All that a session of pytest writes on a terminal."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    words = warm(*WORDS, *AS_PLUGIN, *arguments)
    running = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment())
    os.close(theirs)
    written = b""
    try:
        while read := os.read(ours, 65_536):
            written += read
    except OSError:  # the terminal of a process that has ended
        pass
    os.close(ours)
    running.wait(timeout=60)
    return written.decode()


def elsewhere(*arguments: str) -> str:
    """All that it writes where there is no terminal."""
    words = warm(*WORDS, *AS_PLUGIN, *arguments)
    ran = subprocess.run(words, capture_output=True, text=True, env=environment(COLUMNS="80"), check=False, timeout=60)
    return ran.stdout


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COLUMNS", "PYTEST", "COV"))}
    return {**inherited, "TERM": "xterm", "PYTHONPATH": FOLDER, **more}


def screen(written: str) -> list[str]:
    """The lines that are left of it: a step back goes over what was there."""
    lines = []
    for line in written.replace("\r\n", "\n").split("\n"):
        shown, at = [" "] * 2 * len(line), 0
        for char in line:
            if char in "\b\r":
                at = at - 1 if char == "\b" else 0
            else:
                shown[at] = char
                at += 1
        lines.append("".join(shown).rstrip())
    return lines


def stable(lines: list[str]) -> list[str]:
    """Without what differs from one session to the next."""
    stable = [re.sub(r"in \d+\.\d+s( \(\S+\))?", "in some time", line).strip("= ") for line in lines]
    return [line.removeprefix("collecting ... ") for line in stable]


@pytest.mark.parametrize("how", ["-q", "-v", pytest.param("-s", marks=pytest.mark.slow)])
def test_progress_is_shown_and_leaves_pytests_lines_as_they_are(pytester: pytest.Pytester, *, how: str) -> None:
    pytester.makepyfile(test_shop=TESTS)
    written = session(how)
    shown = [line for line in written.split("\b") if " done" in line]
    assert any(re.search(r" Talking: (\d+%, |0 of about )?[\d,]+ (of about [\d,]+ )?done", line) for line in shown), (
        written
    )
    assert "said by the code under test" not in written
    without = elsewhere(how)
    assert " done" not in without
    assert stable(screen(written)) == stable(screen(without))


@pytest.mark.slow
def test_workers_of_xdist_show_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop=TESTS)
    assert not re.search(r"\d done", session("-q", "-n1"))
