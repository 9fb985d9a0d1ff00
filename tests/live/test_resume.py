"""A campaign on real processes that was interrupted goes on where it was left, with the same system only."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.cli.searching import How, open_store
from sagafuzz.errors import UsageError
from sagafuzz.exploration.live_runs import from_text, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import Plan
from sagafuzz.live.manifest import manifest_of
from sagafuzz.live.sources import sources
from sagafuzz.loading import load

from .conftest import EXAMPLES, NOTHING, Small, example, fault, run

CARELESS = """
import pathlib, time
from sagafuzz import worker

pathlib.Path("boots").open("a").write("x")

def drive(saga):
    time.sleep(0.05)
    for step in saga.steps:
        worker.call(saga, step, "do")
    return True

worker.serve(drive, takes_up=True, engine="careless 1")
"""
"""It begins anew after a crash, without keys; each of its starts leaves a letter."""

WORDS = (
    "run",
    "small.toml",
    "--faults",
    "1",
    "--scenario",
    "succeeds",
    "--kinds",
    "lost-ack,crash-after-effect,duplicate",
)


@pytest.fixture
def campaign(small: Small, tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts one of the careless worker."""
    small(CARELESS, capabilities="resubmits = true")

    def start(*more: str) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "sagafuzz", *WORDS, *more]
        return subprocess.Popen(words, cwd=tmp_path, stdout=-1, stderr=-1, text=True)

    return start


def kept(folder: Path) -> list[str]:
    """The names of the runs in the store."""
    file = folder / "sagafuzz-report" / "campaign.sqlite"
    if not file.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as store:
            return [name for (name,) in store.execute("SELECT name FROM record WHERE name LIKE 'run/%'")]
    except sqlite3.Error:  # it is about to be made
        return []


def report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "sagafuzz-report" / "report.json").read_text())
    return found


def ended(started: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = started.communicate(timeout=120)
    return started.returncode, out + err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_goes_on_where_it_was_left(campaign: Any, tmp_path: Path, number: int) -> None:
    first = campaign("-j", "1")
    until = time.monotonic() + 60
    while len(kept(tmp_path)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    first.send_signal(number)
    code, said = ended(first)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    assert number == signal.SIGKILL or "--resume" in said
    before = kept(tmp_path)
    assert len(before) >= 2
    assert ended(campaign("--resume"))[0] == 1
    after = kept(tmp_path)
    assert (after[: len(before)], len(set(after))) == (before, len(after)), "no plan was run twice"
    told = report(tmp_path)
    assert (told["complete"], told["plans"]["run"]) == (True, len(after))
    assert told["plans"]["run"] > len(before)
    boots = (tmp_path / "boots").stat().st_size
    assert ended(campaign("--resume"))[0] == 1
    assert (tmp_path / "boots").stat().st_size == boots, "all is known, and nothing is run"
    assert {**report(tmp_path), "packages": []} == {**told, "packages": []}


def test_another_system_is_not_gone_on_with(small: Small, tmp_path: Path) -> None:
    small(CARELESS)

    def store(how: How) -> None:
        loaded = load(str(tmp_path / "small.toml"))
        open_store(tmp_path / "kept", loaded, Settings(max_faults=1), how).close()

    store(How())
    for file, old, new, why in (
        ("small.py", "time.sleep(0.05)", "time.sleep(0.04)", "small.py was"),
        ("small.toml", "call_timeout_ms = 250", "call_timeout_ms = 260", "small.toml was"),
        ("shop.py", "", "LIMIT = 3", "shop.py was null and is"),
    ):
        changed = tmp_path / file
        changed.write_text(changed.read_text().replace(old, new) if old else new)
        with pytest.raises(UsageError, match=f"of another campaign: {why}.*leave out --resume"):
            store(How(resume=True))
        changed.write_text(changed.read_text().replace(new, old))
    (tmp_path / "shop.py").unlink()
    store(How(resume=True))


@pytest.mark.slow
def test_another_version_of_the_engine_is_not_gone_on_with(campaign: Any, tmp_path: Path) -> None:
    """What an engine calls itself is not known before it runs."""
    (tmp_path / "version").write_text("1")
    program = (tmp_path / "small.py").read_text()
    own = program.replace('engine="careless 1"', "engine=f\"careless {pathlib.Path('version').read_text()}\"")
    (tmp_path / "small.py").write_text(own)
    first = campaign("-j", "1")
    until = time.monotonic() + 60
    while len(kept(tmp_path)) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    first.terminate()
    assert ended(first)[0] == 143
    (tmp_path / "version").write_text("2")
    code, said = ended(campaign("--resume"))
    assert code == 2
    assert "of the engine 'careless 1', which now calls itself 'careless 2'" in said.replace("\n", " ")


@pytest.mark.parametrize("plan", [NOTHING, fault("crash-after-effect", "payment", "F", "effect")], ids=str)
def test_a_run_is_kept_whole(plan: Plan) -> None:
    setup = example("python/correct.toml")
    live = run(setup, plan)
    text = to_text(live)
    assert text and from_text(text) == live


def test_the_files_of_a_system_are_those_that_it_is_written_in_and_its_programs() -> None:
    manifest = manifest_of(example("go/correct.toml").adapter)
    assert manifest is not None
    found = [Path(name).name for name in sources(manifest)]
    assert {"correct.go", "correct.toml", "go.mod", "main.go", "naive.toml"} <= set(found)
    assert manifest.folder == (EXAMPLES / "go").resolve()
