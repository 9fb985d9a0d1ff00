"""No finding of load: what a slow machine may have brought about is looked at again before it counts."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.live.world import LiveWorld
from sagafuzz.loading import load
from sagafuzz.verdict import Report

from .conftest import EXAMPLES, Small


def searched(small: Small, tmp_path: Path, program: str, *, faults: int, kinds: tuple[str, ...] = ()) -> Report:
    small(program)
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=faults, scenarios=(adapter.scenario("succeeds"),), kinds=kinds)
    return LiveCampaign(adapter, settings, jobs=4).run()


WRONG_ONCE = """
import pathlib
from sagafuzz import worker

def drive(saga):
    worker.call(saga, "order", "do")
    try:
        pathlib.Path("seen").touch(exist_ok=False)
    except FileExistsError:
        worker.call(saga, "payment", "do")
    return True

worker.serve(drive)
"""


def test_what_no_repetition_shows_again_is_no_finding_and_leaves_the_verdict_open(small: Small, tmp_path: Path) -> None:
    report = searched(small, tmp_path, WRONG_ONCE, faults=0)
    assert (report.findings, report.verdict) == ((), "inconclusive")
    (reason,) = [reason for reason in report.reasons if "in none of 5 runs of the same schedule" in reason]
    assert (
        "saga-1 was called completed, but payment.charge had never been asked for (succeeds, no fault), once" in reason
    )
    assert not [result.id for result in report.invariants if result.status == "violated"]


STANDS_STILL_BESIDE_OTHERS = """
import os, pathlib, time
from sagafuzz import worker

HERE = pathlib.Path("running")
HERE.mkdir(exist_ok=True)
(HERE / str(os.getpid())).touch()

def drive(saga):
    if sum(pathlib.Path("/proc", file.name).exists() for file in HERE.iterdir()) > 1:
        pathlib.Path("stood").touch()
        time.sleep(3600)
    for step in saga.steps:
        worker.call(saga, step, "do", key=step)
    return True

worker.serve(drive)
"""


def test_a_saga_that_is_late_is_run_again_alone_before_that_counts(small: Small, tmp_path: Path) -> None:
    report = searched(small, tmp_path, STANDS_STILL_BESIDE_OTHERS, faults=1, kinds=("duplicate",))
    assert (tmp_path / "stood").exists()
    assert (report.verdict, report.counts.run) == ("consistent", 3)


def test_a_case_that_runs_alone_has_no_other_beside_it() -> None:
    async def most_at_once(alone: int) -> list[int]:
        world, now, seen = LiveWorld(jobs=4), set[int](), list[int]()
        await world.__aenter__()
        try:

            async def case(number: int) -> None:
                async with world.slots.all() if number == alone else world.slots.one():
                    now.add(number)
                    await asyncio.sleep(0.01)
                    seen.append(len(now) if number == alone or alone not in now else -1)
                    now.discard(number)

            await asyncio.gather(*(case(number) for number in range(12)))
        finally:
            await world.__aexit__()
        return seen

    seen = asyncio.run(most_at_once(5))
    assert -1 not in seen and seen.count(1) >= 1 and max(seen) == 4


def test_two_campaigns_at_once_find_nothing_in_a_correct_worker(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "sagafuzz", "run", str(EXAMPLES / "python" / "correct.toml"), "--faults", "1"]
    words += ["--scenario", "succeeds", "--kinds", "lost-ack,crash-after-ack,pause,slow-answer"]
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    campaigns = [subprocess.Popen(words, cwd=folder, stdout=-1, text=True) for folder in folders]
    for campaign in campaigns:
        out, _ = campaign.communicate(timeout=120)
        assert campaign.returncode == 0, out
