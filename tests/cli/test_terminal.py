"""What a terminal of 80 columns shows: no line beyond it, and the verdict first and last."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import threading
from pathlib import Path

import pytest

from sagafuzz.cli.console import progress
from sagafuzz.exploration.progress import Progress
from sagafuzz.reports.clean import width

from ..warm import warm

COLUMNS = 80
LITTLE = ("--scenario", "declined", "--kinds", "lost-ack,lost-request", "--report-dir", "r")
TESTS = Path(__file__).resolve().parents[1]
RECIPES, LIVE = (TESTS.parent / "examples" / name for name in ("recipes", "live/python"))

SEARCHES = {
    "seed": ("VIOLATED", "run", "seed", "--faults", "1", "--random", "20", "--report-dir", "r"),
    "reference": ("CONSISTENT", "run", "reference", "--faults", "1", "--random", "5", "--report-dir", "r"),
    "service": (
        *("CONSISTENT", "run", str(RECIPES / "flask_adapter.py:Tickets"), "--faults", "1", "--random", "0"),
        *("--kinds", "lost-ack,crash-after-effect,crash-after-log,reject,timeout", "--report-dir", "r"),
    ),
    "two processes": ("VIOLATED", "run", "seed", "--faults", "2", "--random", "0", *LITTLE, "-j", "2"),
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
BRIEF = ("--faults", "1", "--random", "0", "--scenario", "declined", "--kinds", "lost-ack,lost-request")
FOUND, RIGHT = ("run", "seed", *BRIEF, "--report-dir", "a"), ("run", "reference", *BRIEF, "--report-dir", "b")
SHARDS = [("run", "seed", *BRIEF, "--shard", f"{number}/2", "--report-dir", f"s{number}") for number in (1, 2)]
AFTERWARDS: dict[str, tuple[list[tuple[str, ...]], tuple[str, ...]]] = {
    "replay, still failing": ([FOUND], ("replay", "{finding}")),
    "replay, fixed": ([FOUND], ("replay", "{finding}", "--adapter", "reference")),
    "verify, confirmed": ([RIGHT], ("verify", "b/certificate.json", "--sample", "5")),
    "verify, refuted": ([RIGHT], ("verify", "b/certificate.json", "--adapter", "seed")),
    "diff, worse": ([FOUND, RIGHT], ("diff", "b", "a")),
    "diff, better": ([FOUND, RIGHT], ("diff", "a", "b")),
    "check": ([FOUND], ("check", "{history}")),
    "merge": (SHARDS, ("merge", *("s1", "s2"), "--report-dir", "whole")),
    "report": ([FOUND], ("report", "a")),
    "baseline": ([FOUND], (*FOUND, "--baseline", "known.toml")),
    "init": ([], ("init", "a-folder-of-some-length", "--engine", "live")),
    "init, an app": ([], ("init", "--app", "web_orders.app:create_app")),
    "doctor, real processes": ([], ("doctor", str(LIVE / "naive.toml"))),
    "expected": ([], ("compare", "seed", "reference", *BRIEF, "--expect", "violated,consistent")),
    "not expected": ([], ("compare", "seed", "reference", *BRIEF, "--expect", "violated,violated")),
}
SLOW = {"doctor, real processes": pytest.mark.slow}
COMPLAINTS = {
    "no such mutant": ("zoo", "unstable-keys"),
    "no such site": ("run", "seed", "--plan", "duplicate@payment compensation"),
    "no such file": ("verify", "a-folder/of-a-report/that-is-not-there/certificate.json"),
    "no such option": ("run", "seed", "--falts", "1"),
    "no such adapter": ("doctor", "no.such.module:OfThatName"),
}


def test_while_it_is_paused_a_bar_has_no_thread() -> None:
    ours, theirs = pty.openpty()
    before = threading.active_count()
    with os.fdopen(theirs, "w") as stream, progress("seed", stream) as display:
        assert threading.active_count() == before + 1
        with display.paused():
            assert threading.active_count() == before
        display(Progress(stage="afterwards", done=1, expected=2))
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
    assert b"afterwards" in os.read(ours, 100_000)
    os.close(ours)


def screen(*arguments: str) -> list[str]:
    """The lines that ``sagafuzz`` with these arguments leaves on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    words = warm("sagafuzz", *arguments)
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
    report = [line for line in lines if not re.search(r"━|\d done\b", line)]
    assert verdict in report[0], report[:3]
    assert report[-1].startswith(verdict), report[-3:]


@pytest.mark.parametrize("name", OTHERS)
def test_what_other_commands_say_keeps_to_the_terminal(name: str) -> None:
    lines = screen(*OTHERS[name])
    assert len(lines) > 2
    assert [line for line in lines if width(line) > COLUMNS] == []


@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in AFTERWARDS])
def test_what_a_command_says_of_what_others_wrote_keeps_to_the_terminal(name: str) -> None:
    shutil.copytree(TESTS / "services" / "web_orders", "web_orders")
    before, command = AFTERWARDS[name]
    lines = [line for arguments in before for line in screen(*arguments)]
    found = next(iter(sorted(Path("a").glob("F-*.json"))), Path("none"))
    Path("known.toml").write_text(f'[[known]]\nid = "{found.stem}"\nreason = "{"a reason in words " * 8}"\n')
    said = screen(*(word.format(finding=found, history=found.with_suffix(".ndjson")) for word in command))
    assert len(said) > 1, said
    assert not said[0].startswith("sagafuzz: "), said
    assert [line for line in lines + said if width(line) > COLUMNS] == []


@pytest.mark.parametrize("name", COMPLAINTS)
def test_what_is_wrong_with_the_input_is_wrapped_on_a_terminal(name: str) -> None:
    lines = screen(*COMPLAINTS[name])
    assert lines[0].startswith("sagafuzz: ")
    assert [line for line in lines if width(line) > COLUMNS] == []
