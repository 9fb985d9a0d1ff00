"""The command line, called as its console script is; adapters are written into the current folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from sagafuzz.cli.main import main

PRELUDE = """
import sagafuzz

SAGA = sagafuzz.Saga("shop", [
    sagafuzz.Step("order", "order.create", undo="order.cancel"),
    sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
])


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()])
class Shop:
    def boot(self, world):
        self.world = world

    def run(self, order):
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line of an error; fails where there is more, or a traceback."""
        assert self.out == ""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("sagafuzz: ")
        return self.err.removeprefix("sagafuzz: ").rstrip("\n")


Run = Callable[..., Result]


def without_progress(err: str) -> str:
    """Standard error less the lines that a slow machine has time for."""
    return re.sub(r"(?m)^.*, [\d,]+(?: of (?:about )?[\d,]+)? done\b.*\n", "", err)


def reports(folder: str | Path) -> dict[str, bytes]:
    """The files of a report as they would be in any folder: the commands in them name theirs. Not the store, nor the
    hidden one that a kill in the midst of writing leaves."""
    files = (path for path in sorted(Path(folder).iterdir()) if "sqlite" not in path.name)
    named = re.compile(f"(?:{re.escape(str(folder))}|{re.escape(Path(folder).name)})/(?=F-)".encode())
    return {path.name: named.sub(b"", path.read_bytes()) for path in files if not path.name.startswith(".")}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)  # where these tests run is not what they are about
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "modules", sys.modules)  # names of adapter files stay; each has a folder of its own


@pytest.fixture
def sagafuzz(capsys: pytest.CaptureFixture[str]) -> Run:
    """Call ``sagafuzz`` with arguments, in this process."""

    def run(*arguments: object) -> Result:
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(left.value.code, int)
        return Result(left.value.code, out, without_progress(err))

    return run


class Process:
    """``python -m sagafuzz`` with arguments and environment, in a process of its own."""

    def __init__(self, *arguments: object, **environment: str) -> None:
        words = [sys.executable, "-m", "sagafuzz", *map(str, arguments)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        self.popen = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**inherited, **environment}
        )

    def result(self) -> Result:
        """Wait for its end."""
        out, err = self.popen.communicate(timeout=400)
        return Result(self.popen.returncode, out, without_progress(err))


@pytest.fixture
def process() -> Iterator[Callable[..., Process]]:
    """Start such processes; none outlives the test."""
    started: list[Process] = []

    def start(*arguments: object, **environment: str) -> Process:
        started.append(Process(*arguments, **environment))
        return started[-1]

    yield start
    for process in started:
        process.popen.kill()
        process.popen.communicate()


@pytest.fixture
def shop() -> Callable[[str], str]:
    """Write shop.py, whose adapter runs an order by these lines; the name to give on the command line."""

    def write(body: str, *, before: str = "") -> str:
        lines = [f"        {line}" for line in body.strip("\n").split("\n")]
        Path("shop.py").write_text(before + PRELUDE + "\n".join(lines) + "\n", encoding="utf-8")
        return "shop.py:Shop"

    return write
