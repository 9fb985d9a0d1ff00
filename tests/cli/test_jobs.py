"""Several processes: the same reports, also where one of them dies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FRAIL = """
import multiprocessing
import os

import sagafuzz


def die_once():
    if multiprocessing.parent_process() is not None:
        try:
            os.close(os.open("died", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return
        os.kill(os.getpid(), 9)
"""


def reports(folder: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if "sqlite" not in path.name}


def test_one_process_and_four_report_the_same(process: Any) -> None:
    campaign = ("run", "seed", "--faults", 2, "--scenario", "succeeds", "--random", 5, "--random-plans", 30)
    results = [process(*campaign, "--report-dir", f"j{jobs}", "--jobs", jobs).result() for jobs in (1, 4)]
    assert [(result.code, result.err) for result in results] == [(1, "")] * 2
    assert reports("j1") == reports("j4")


def test_a_worker_that_dies_is_told_and_nothing_is_lost(process: Any, shop: Any) -> None:
    name = shop("die_once()\nself.world.call('order.create')\nreturn True", before=FRAIL)
    campaign = ("run", name, "--faults", 1, "--random", 0)
    assert process(*campaign, "--report-dir", "alone").result().err == ""
    result = process(*campaign, "--report-dir", "two", "--jobs", 2).result()
    assert "ended by SIGKILL; its part 0/0 is searched again by the campaign itself" in result.err
    assert Path("died").exists()
    assert reports("alone") == reports("two")
