"""The campaign store: reports are made of it again, and a campaign that was killed goes on where it was."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sagafuzz import store
from sagafuzz.errors import UsageError
from sagafuzz.store import SCHEMA, create, find

from .conftest import Run, reports

CAMPAIGN = ("run", "seed", "--faults", 1, "--random", 5, "--random-plans", 30)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the campaign that nothing interrupts."""
    from .conftest import Process

    folder = tmp_path_factory.mktemp("unbroken")
    assert Process(*CAMPAIGN, "--report-dir", folder).result().code == 1
    return reports(str(folder))


# -- every report again ------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["seed", "reference"])
def test_every_report_is_made_again_byte_for_byte(sagafuzz: Run, adapter: str) -> None:
    asked = ("--faults", 1, "--random", 3, "--random-plans", 20, "--scenario", "declined")
    first = sagafuzz("run", adapter, *asked, "--report-dir", "kept")
    files = reports("kept")
    for name in files:
        Path("kept", name).unlink()
    again = sagafuzz("report", "kept")
    assert (again.code, again.out, again.err) == (first.code, first.out, "")
    assert reports("kept") == files
    sagafuzz("report", "kept/campaign.sqlite", "--report-dir", "elsewhere")
    assert reports("elsewhere") == files


def test_nothing_of_the_adapter_is_needed(sagafuzz: Run, shop: Any) -> None:
    name = shop("self.world.call('order.create')\nreturn True")
    sagafuzz("run", name, "--faults", 1, "--random", 0, "--report-dir", "kept")
    files = reports("kept")
    Path("shop.py").unlink()
    sagafuzz("report", "kept")
    assert reports("kept") == files


# -- killed, and resumed -----------------------------------------------------------------------


SMALL = ("run", "seed", "--scenario", "declined", "--faults", "2", "--kinds", "lost-request,crash-after-send,lost-ack")
SMALL = (*SMALL, "--random", "0", "--random-plans", "30")

FORKING = """
import json, os, sys
import hypothesis.stateful, sagafuzz.exploration.stateful
from sagafuzz.cli.main import main

while line := sys.stdin.readline():
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        main(json.loads(line))
    print(child, flush=True)
    sys.stdin.readline()  # until then its number is its own, though it has ended
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forks:
    """Campaigns in processes that need no time to start: forked from one that has imported everything."""

    def __init__(self) -> None:
        self.server = subprocess.Popen(
            [sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str, kill_after_s: float | None = None) -> int:
        """The exit code."""
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(json.dumps(arguments) + "\n")
        self.server.stdin.flush()
        child = int(self.server.stdout.readline())
        if kill_after_s is not None:
            time.sleep(kill_after_s)
            os.kill(child, signal.SIGKILL)
        self.server.stdin.write("\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())


@pytest.fixture
def forks() -> Iterator[Forks]:
    forks = Forks()
    yield forks
    forks.server.communicate()


def killed_and_resumed(forks: Forks, kills: int, seed: int) -> None:
    """Campaigns that are killed at random moments, each five times, come to the reports of one that is not."""
    start = time.monotonic()
    assert forks.run(*SMALL, "--report-dir", "unbroken") == 1
    took = time.monotonic() - start
    chance, killed = random.Random(seed), 0
    while killed < kills:
        for _ in range(5):
            code = forks.run(*SMALL, "--report-dir", "kept", "--resume", kill_after_s=chance.uniform(0, took / 2))
            if code == 1:  # it was quicker
                break
            assert code == -signal.SIGKILL
            killed += 1
            store = find(Path("kept"))
            if store is not None:
                with closing(store), closing(sqlite3.connect(store.path)) as opened:
                    assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                    assert all(store.get(name) for name in store.names())
        assert forks.run(*SMALL, "--report-dir", "kept", "--resume") == 1
        assert reports("kept") == reports("unbroken")
        Path("kept/campaign.sqlite").unlink()


def test_a_killed_campaign_goes_on_to_the_same_end(forks: Forks) -> None:
    killed_and_resumed(forks, 5, seed=7)


@pytest.mark.slow
def test_a_hundred_kills_harm_nothing(forks: Forks) -> None:
    killed_and_resumed(forks, 100, seed=8)


def test_a_killed_campaign_is_reported_as_incomplete(process: Any, sagafuzz: Run) -> None:
    campaign = process("run", "seed", "--faults", 3, "--random", 0, "--report-dir", "kept")
    until = time.monotonic() + 60
    while time.monotonic() < until and ((store := find(Path("kept"))) is None or store.get("0/3") is None):
        time.sleep(0.1)
    campaign.popen.kill()
    campaign.popen.wait()
    result = sagafuzz("report", "kept")
    assert (result.code, result.err) == (1, "")
    said = json.loads(Path("kept/report.json").read_text())
    assert (said["complete"], said["verdict"]) == (False, "violated")
    assert said["plans"]["by_faults"][1] > 30
    assert "INCOMPLETE" in result.out


def test_an_interrupted_campaign_goes_on_to_the_same_end(process: Any, unbroken: Any) -> None:
    campaign = process(*CAMPAIGN, "--report-dir", "kept")
    until = time.monotonic() + 60
    while time.monotonic() < until and ((store := find(Path("kept"))) is None or store.get("0/0") is None):
        time.sleep(0.1)
    campaign.popen.terminate()
    assert campaign.result().code == 143
    assert json.loads(Path("kept/report.json").read_text())["complete"] is False
    assert process(*CAMPAIGN, "--report-dir", "kept", "--resume").result().code == 1
    assert reports("kept") == unbroken


def test_without_a_store_a_resumed_campaign_starts(sagafuzz: Run) -> None:
    result = sagafuzz("run", "seed", "--faults", 0, "--random", 0, "--report-dir", "kept", "--resume")
    assert result.err == "--resume: kept holds no campaign yet; this one starts at its beginning\n"
    assert find(Path("kept")) is not None


def test_another_campaign_is_not_gone_on_with(sagafuzz: Run) -> None:
    sagafuzz("run", "seed", "--faults", 0, "--random", 0, "--report-dir", "kept")
    result = sagafuzz("run", "seed", "--faults", 1, "--random", 0, "--report-dir", "kept", "--resume")
    assert result.code == 2
    assert "of another campaign: max_faults was 0 and is 1; leave out --resume" in result.complaint


# -- the file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("schema", "age"), [(SCHEMA + 1, "newer"), (SCHEMA - 1, "older")])
def test_another_schema_is_told(sagafuzz: Run, schema: int, age: str) -> None:
    create(Path(), {}).close()
    with closing(sqlite3.connect("campaign.sqlite")) as opened:
        opened.execute(f"PRAGMA user_version = {schema}")
    for arguments in (["report", "."], ["run", "seed", "--resume", "--report-dir", "."]):
        result = sagafuzz(*arguments)
        assert result.code == 2
        assert f"a store of the {age} schema {schema}, and this sagafuzz" in result.complaint


@pytest.mark.parametrize("content", [b"", b"no database, and long enough to be looked at" * 30])
def test_what_is_no_store_is_told(sagafuzz: Run, content: bytes) -> None:
    Path("campaign.sqlite").write_bytes(content)
    result = sagafuzz("report", "campaign.sqlite")
    assert result.code == 2
    assert "campaign.sqlite" in result.complaint


def test_a_database_of_another_program_is_told(sagafuzz: Run) -> None:
    with closing(sqlite3.connect("campaign.sqlite")) as opened:
        opened.execute("CREATE TABLE theirs (x)")
    assert "is no campaign store" in sagafuzz("report", ".").complaint


def test_a_store_is_only_added_to() -> None:
    with closing(create(Path(), {"adapter": "x"})) as store:
        store.add("one", "1")
        store.add("one", "2")
        assert (store.get("one"), store.get("none"), store.last) == ("2", None, "one")
        for statement in ("DELETE FROM record", "UPDATE record SET name = 'other'"):
            with closing(sqlite3.connect(store.path)) as opened, pytest.raises(sqlite3.Error, match="only added to"):
                opened.execute(statement)
    with pytest.raises(UsageError, match="cannot be used"):
        store.get("one")


class Creating:
    """A connection to a store that its campaign creates just before the so many-th statement."""

    def __init__(self, connection: sqlite3.Connection, folder: Path, statements: int) -> None:
        self._connection, self._folder, self._left = connection, folder, statements
        self.close = connection.close

    def execute(self, statement: str) -> sqlite3.Cursor:
        self._left -= 1
        if not self._left:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sagafuzz.store._connect", CONNECT)
                patch.setattr(Path, "unlink", lambda *_, **__: None)  # that it has done before
                create(self._folder, {}).close()
        return self._connection.execute(statement)


CONNECT = store._connect


@pytest.mark.parametrize("statements", range(1, 6))
def test_a_store_that_is_just_being_created_is_there_or_not(monkeypatch: pytest.MonkeyPatch, statements: int) -> None:
    with closing(sqlite3.connect("campaign.sqlite")) as opened:
        opened.execute("PRAGMA journal_mode = WAL")
    monkeypatch.setattr("sagafuzz.store._connect", lambda *where: Creating(CONNECT(*where), Path.cwd(), statements))
    assert (find(Path.cwd()) is None) == (statements > 2)
    monkeypatch.setattr("sagafuzz.store._connect", CONNECT)
    assert find(Path.cwd()) is not None
