"""The campaign store: reports are made of it again, and a campaign that was killed goes on where it was."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.errors import UsageError
from sagafuzz.store import SCHEMA, create, find

CAMPAIGN = ("run", "seed", "--faults", 1, "--random", 10, "--random-plans", 30)


def reports(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if "sqlite" not in path.name}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the campaign that nothing interrupts."""
    from .conftest import Process

    folder = tmp_path_factory.mktemp("unbroken")
    assert Process(*CAMPAIGN, "--report-dir", folder).result().code == 1
    return reports(str(folder))


# -- every report again ------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["seed", "reference"])
def test_every_report_is_made_again_byte_for_byte(sagafuzz: Any, adapter: str) -> None:
    first = sagafuzz("run", adapter, "--faults", 1, "--random", 10, "--random-plans", 20, "--report-dir", "kept")
    files = reports("kept")
    for name in files:
        Path("kept", name).unlink()
    again = sagafuzz("report", "kept")
    assert (again.code, again.out, again.err) == (first.code, first.out, "")
    assert reports("kept") == files
    sagafuzz("report", "kept/campaign.sqlite", "--report-dir", "elsewhere")
    assert reports("elsewhere") == files


def test_nothing_of_the_adapter_is_needed(sagafuzz: Any, shop: Any) -> None:
    name = shop("self.world.call('order.create')\nreturn True")
    sagafuzz("run", name, "--faults", 1, "--random", 0, "--report-dir", "kept")
    files = reports("kept")
    Path("shop.py").unlink()
    sagafuzz("report", "kept")
    assert reports("kept") == files


# -- killed, and resumed -----------------------------------------------------------------------


def killed_and_resumed(process: Any, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(kills):
        campaign = process(*CAMPAIGN, "--report-dir", "kept", "--resume")
        time.sleep(chance.uniform(0.3, 4))
        campaign.popen.kill()
        assert campaign.result().code in (-signal.SIGKILL, 1)  # it may have been quicker
        store = find(Path("kept"))
        if store is not None:
            with closing(store), closing(sqlite3.connect(store.path)) as opened:
                assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_killed_campaign_goes_on_to_the_same_end(process: Any, sagafuzz: Any, unbroken: Any) -> None:
    killed_and_resumed(process, 5, seed=7)
    assert sagafuzz("report", "kept").code in (1, 2, 3)
    assert process(*CAMPAIGN, "--report-dir", "kept", "--resume").result().code == 1
    assert reports("kept") == unbroken


@pytest.mark.slow
def test_a_hundred_kills_harm_nothing(process: Any, unbroken: Any) -> None:
    for turn in range(20):
        killed_and_resumed(process, 5, seed=turn)
        assert process(*CAMPAIGN, "--report-dir", "kept", "--resume").result().code == 1
        assert reports("kept") == unbroken
        Path("kept/campaign.sqlite").unlink()


def test_a_killed_campaign_is_reported_as_incomplete(process: Any, sagafuzz: Any) -> None:
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


def test_without_a_store_a_resumed_campaign_starts(sagafuzz: Any) -> None:
    result = sagafuzz("run", "seed", "--faults", 0, "--random", 0, "--report-dir", "kept", "--resume")
    assert result.err == "--resume: kept holds no campaign yet; this one starts at its beginning\n"
    assert find(Path("kept")) is not None


def test_another_campaign_is_not_gone_on_with(sagafuzz: Any) -> None:
    sagafuzz("run", "seed", "--faults", 0, "--random", 0, "--report-dir", "kept")
    result = sagafuzz("run", "seed", "--faults", 1, "--random", 0, "--report-dir", "kept", "--resume")
    assert result.code == 2
    assert "of another campaign: max_faults was 0 and is 1; leave out --resume" in result.complaint


# -- the file ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("schema", "age"), [(SCHEMA + 1, "newer"), (SCHEMA - 1, "older")])
def test_another_schema_is_told(sagafuzz: Any, schema: int, age: str) -> None:
    create(Path(), {}).close()
    with closing(sqlite3.connect("campaign.sqlite")) as opened:
        opened.execute(f"PRAGMA user_version = {schema}")
    for arguments in (["report", "."], ["run", "seed", "--resume", "--report-dir", "."]):
        result = sagafuzz(*arguments)
        assert result.code == 2
        assert f"a store of the {age} schema {schema}, and this sagafuzz" in result.complaint


@pytest.mark.parametrize("content", [b"", b"no database, and long enough to be looked at" * 30])
def test_what_is_no_store_is_told(sagafuzz: Any, content: bytes) -> None:
    Path("campaign.sqlite").write_bytes(content)
    result = sagafuzz("report", "campaign.sqlite")
    assert result.code == 2
    assert "campaign.sqlite" in result.complaint


def test_a_database_of_another_program_is_told(sagafuzz: Any) -> None:
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
