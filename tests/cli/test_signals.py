"""Ctrl-C and SIGTERM: what was found is kept, and the reports say that they are incomplete."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.interrupt import interruptible

from .conftest import Run

ENDLESS = ("--faults", 6, "--random", 0)


WATCHED = """
from pathlib import Path
from sagafuzz.adapters.reference import Reference
from sagafuzz.adapters.seed import Seed


class Counting:
    runs = 0

    def run(self, order):
        Counting.runs += 1
        if Counting.runs == 40:
            Path("begun").mkdir()
        return super().run(order)


class Right(Counting, Reference): ...


class Wrong(Counting, Seed): ...
"""


@pytest.fixture
def begun(process: Any) -> Callable[..., Any]:
    """Start a campaign and wait until it has run a few plans."""

    def start(*arguments: object) -> Any:
        Path("watched.py").write_text(WATCHED)
        # A shell may have its background jobs ignore SIGINT, and processes inherit that.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            campaign = process(*arguments, "--report-dir", "kept")
        finally:
            signal.signal(signal.SIGINT, before)
        until = time.monotonic() + 60
        while not Path("begun").exists() and time.monotonic() < until:
            time.sleep(0.02)
        return campaign

    return start


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_it_found(begun: Any, number: int, code: int) -> None:
    campaign = begun("run", "watched.py:Wrong", *ENDLESS)
    campaign.popen.send_signal(number)
    result = campaign.result()
    assert (result.code, result.err) == (code, "")
    said = json.loads(Path("kept/report.json").read_text())
    assert said["complete"] is False
    assert said["plans"]["run"] > 10
    assert said["findings"]
    for finding in said["findings"]:
        assert Path("kept", finding["replay"]).is_file()
    assert "INCOMPLETE" in result.out
    assert "not begun: scenario " in result.out
    assert "INCOMPLETE" in Path("kept/report.md").read_text()
    again = " ".join(result.out.partition("go on: ")[2].replace("\\\n", " ").split())
    assert again.startswith("sagafuzz run watched.py:Wrong --faults 6 --random 0")
    assert " --report-dir kept --resume " in again


def test_an_interrupted_run_that_found_nothing_is_inconclusive(begun: Any) -> None:
    campaign = begun("run", "watched.py:Right", *ENDLESS)
    campaign.popen.send_signal(signal.SIGINT)
    result = campaign.result()
    assert result.code == 130
    said = json.loads(Path("kept/report.json").read_text())
    assert (said["verdict"], said["complete"]) == ("inconclusive", False)
    assert "the campaign was interrupted" in result.out


def test_who_interrupts_before_the_search_begins_is_told_so_in_a_line(sagafuzz: Run) -> None:
    Path("slow_to_load.py").write_text("raise KeyboardInterrupt  # Ctrl-C, while it loads\n")
    result = sagafuzz("run", "slow_to_load.py:Shop")
    assert result.code == 130
    assert result.err.strip() == "sagafuzz: interrupted, and nothing more is written"


def test_the_state_machine_is_interrupted_too(begun: Any) -> None:
    campaign = begun("run", "watched.py:Right", "--faults", 0, "--random", 1_000_000)
    campaign.popen.send_signal(signal.SIGINT)
    result = campaign.result()
    assert result.code == 130
    said = json.loads(Path("kept/report.json").read_text())
    assert said["complete"] is False
    assert 0 < said["random"]["run"] < 1_000_000


def test_an_interrupted_comparison_compares_what_there_is(begun: Any) -> None:
    campaign = begun("compare", "watched.py:Wrong", "reference", *ENDLESS)
    campaign.popen.send_signal(signal.SIGINT)
    result = campaign.result()
    assert result.code == 130
    assert sorted(path.name for path in Path("kept").iterdir()) == [
        "Wrong",
        "comparison.html",
        "comparison.json",
        "comparison.junit.xml",
        "comparison.md",
    ]
    assert "incomplete" in Path("kept/comparison.md").read_text()
    assert "not begun: reference" in result.out


def test_a_second_signal_ends_the_process_at_once() -> None:
    Path("stubborn.py").write_text(
        "import signal, sys, time\nfrom sagafuzz.interrupt import interruptible\n"
        "with interruptible():\n    signal.raise_signal(signal.SIGINT)\n    print('kept on', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n    print('never', flush=True)\n"
    )
    result = subprocess.run([sys.executable, "stubborn.py"], capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (-signal.SIGINT, "kept on\n")


def test_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruptible() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt()
    assert interrupt.exit_code == 143
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
