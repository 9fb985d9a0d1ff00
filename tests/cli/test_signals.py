"""Ctrl-C and SIGTERM: what was found is kept, and the reports say that they are incomplete."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.interrupt import interruptible

ENDLESS = ("--faults", 6, "--random", 0)


@contextmanager
def running(process: Callable[..., Any], *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A campaign that has begun: its folder is made right before."""
    # A shell may have had its background jobs ignore SIGINT, which processes inherit.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        started = process(*arguments, "--report-dir", "kept")
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        until = time.monotonic() + 60
        while not Path("kept").exists() and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(0.7)
        yield started
    finally:
        started.kill()
        started.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_keeps_what_it_found(process: Any, number: int, code: int) -> None:
    with running(process, "run", "seed", *ENDLESS) as campaign:
        campaign.send_signal(number)
        out, err = campaign.communicate(timeout=60)
    assert (campaign.returncode, err) == (code, "")
    said = json.loads(Path("kept/report.json").read_text())
    assert said["complete"] is False
    assert said["plans"]["run"] > 20
    assert said["findings"]
    for finding in said["findings"]:
        assert Path("kept", finding["replay"]).is_file()
    assert "INCOMPLETE" in out
    assert "INCOMPLETE" in Path("kept/report.md").read_text()


def test_an_interrupted_run_that_found_nothing_is_inconclusive(process: Any) -> None:
    with running(process, "run", "reference", *ENDLESS) as campaign:
        campaign.send_signal(signal.SIGINT)
        out, _ = campaign.communicate(timeout=60)
    assert campaign.returncode == 130
    said = json.loads(Path("kept/report.json").read_text())
    assert (said["verdict"], said["complete"]) == ("inconclusive", False)
    assert "the campaign was interrupted" in out


def test_the_state_machine_is_interrupted_too(process: Any) -> None:
    with running(process, "run", "reference", "--faults", 0, "--random", 1_000_000) as campaign:
        campaign.send_signal(signal.SIGINT)
        campaign.communicate(timeout=60)
    assert campaign.returncode == 130
    said = json.loads(Path("kept/report.json").read_text())
    assert said["complete"] is False
    assert 0 < said["random"]["run"] < 1_000_000


def test_an_interrupted_comparison_compares_what_there_is(process: Any) -> None:
    with running(process, "compare", "seed", "reference", *ENDLESS) as campaign:
        campaign.send_signal(signal.SIGINT)
        campaign.communicate(timeout=60)
    assert campaign.returncode == 130
    assert sorted(path.name for path in Path("kept").iterdir()) == ["comparison.md", "seed"]
    assert "incomplete" in Path("kept/comparison.md").read_text()


def test_a_second_signal_ends_the_process_at_once(process: Any) -> None:
    Path("stubborn.py").write_text(
        "import signal, sys, time\nfrom sagafuzz.interrupt import interruptible\n"
        "with interruptible():\n    signal.raise_signal(signal.SIGINT)\n    print('kept on', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n    print('never', flush=True)\n"
    )
    import sys

    result = subprocess.run([sys.executable, "stubborn.py"], capture_output=True, text=True, check=False, timeout=60)
    assert (result.returncode, result.stdout) == (-signal.SIGINT, "kept on\n")


def test_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interruptible() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        assert interrupt()
    assert interrupt.exit_code == 143
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
