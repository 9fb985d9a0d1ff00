"""``sagafuzz fuzz --shard`` and ``merge``: disjoint shares of one endless search, and one report of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.store import STORE_FILE, Store, find

from .conftest import Run, reports

NAIVE = "self.world.call('order.create', key=order.id)\nself.world.call('payment.charge', key=order.id)\nreturn True"
PLANS = 700


def said(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "report.json").read_text())
    return found


def store_of(folder: str) -> Store:
    store = find(Path(folder))
    assert store is not None
    return store


def drawn(folder: str) -> set[str]:
    """The random parts that a store holds."""
    return {name for name in store_of(folder).names() if name.startswith("drawn/")}


@pytest.fixture
def shard(sagafuzz: Run, shop: Any) -> Callable[..., str]:
    """Search a shard of one campaign; its folder."""

    def search(share: str, *options: object) -> str:
        result = sagafuzz("fuzz", shop(NAIVE), *options, "--shard", share, "--report-dir", share[0])
        assert (result.code, result.err) == (1, "")
        assert f"shard {share} ran" in result.out
        return share[0]

    return search


def test_shards_put_together_report_as_one_process_does(shard: Any, sagafuzz: Run, shop: Any) -> None:
    budget = ("--max-plans", PLANS)
    folders = [shard("2/3", *budget), shard("1/3", *budget, "--jobs", 2), shard("3/3", *budget)]
    assert not Path("1", "report.json").exists()
    for one in folders:
        assert not any(drawn(one) & drawn(other) for other in folders if other != one)
    assert sagafuzz("merge", *folders, "--report-dir", "whole").code == 1
    sagafuzz("fuzz", shop(NAIVE), *budget, "--report-dir", "alone")
    assert reports("whole") == reports("alone")
    assert sagafuzz("report", "whole", "--report-dir", "again").code == 1
    assert reports("again") == reports("alone")


def test_a_shard_goes_on_after_its_last_plan(shard: Any, sagafuzz: Run, shop: Any) -> None:
    for share in ("1/2", "2/2"):
        shard(share, "--max-plans", 300)
        shard(share, "--max-plans", PLANS, "--resume")
    sagafuzz("merge", "1", "2", "--report-dir", "whole")
    sagafuzz("fuzz", shop(NAIVE), "--max-plans", PLANS, "--report-dir", "alone")
    assert reports("whole") == reports("alone")
    other = sagafuzz("fuzz", shop(NAIVE), "--max-plans", PLANS, "--resume", "--shard", "1/3", "--report-dir", "1")
    assert "is of another campaign" in other.complaint


def test_shards_that_end_apart_are_all_counted(shard: Any, sagafuzz: Run) -> None:
    shard("1/2", "--max-time", "1s")
    shard("2/2", "--until-plateau", "--max-plans", 3000)
    result = sagafuzz("merge", "1", "2", "--report-dir", "whole")
    assert result.code == 1
    plans, held = said("whole")["random_plans"], drawn("1") | drawn("2")
    assert said("whole")["complete"] is True
    assert plans["run"] == plans["asked"] == 200 * len(held)
    reach = 200 + max(int(name.split("/")[2]) for name in held)
    assert f" --max-plans {reach}\n" in result.out
    ended = next(text for text in said("whole")["statements"] if "they ended at" in text)
    assert "its 1 s were over" in ended
    assert ("of the first" in ended) == (plans["run"] < reach)


def test_a_number_that_time_did_not_leave_room_for_is_not_said_to_be_reached(shard: Any, sagafuzz: Run) -> None:
    for share in ("1/2", "2/2"):
        shard(share, "--max-time", "1s", "--max-plans", 1_000_000)
    sagafuzz("merge", "1", "2", "--report-dir", "whole")
    plans = said("whole")["random_plans"]
    assert plans["run"] == plans["asked"] == 200 * len(drawn("1") | drawn("2"))
    assert any("its 1 s were over" in text for text in said("whole")["statements"])


def test_a_shard_by_itself_is_reported_from_its_store(shard: Any, sagafuzz: Run) -> None:
    shard("1/2", "--max-plans", 600)
    sagafuzz("report", "1", "--report-dir", "seen")
    assert (said("seen")["verdict"], said("seen")["complete"]) == ("violated", False)
    assert said("seen")["random_plans"]["run"] == 400
    assert (
        "random plans: they ended at 400: its share of 600 random plans was run, as asked" in said("seen")["statements"]
    )
    assert "`sagafuzz merge` does that" in said("seen")["reasons"][-1]


def test_a_missing_shard_is_never_silently_green(sagafuzz: Run) -> None:
    for share in ("1/3", "3/3"):
        campaign = ("fuzz", "reference", "--scenario", "declined", "--faults", 0, "--beyond", 1, "--kinds", "basic")
        assert sagafuzz(*campaign, "--max-plans", 600, "--shard", share, "--report-dir", share[0]).code == 0
    assert sagafuzz("merge", "1", "3", "--report-dir", "whole").code == 3
    assert (said("whole")["verdict"], said("whole")["complete"]) == ("inconclusive", False)
    assert said("whole")["reasons"][0] == "shard 2/3 is missing"


def test_a_killed_shard_is_told_and_can_be_resumed(shard: Any, process: Any, sagafuzz: Run, shop: Any) -> None:
    shard("1/2", "--max-plans", PLANS)
    campaign = process("fuzz", shop(NAIVE), "--max-time", "1h", "--shard", "2/2", "--report-dir", "2")
    until = time.monotonic() + 60
    while time.monotonic() < until and not (Path("2", STORE_FILE).exists() and find(Path("2")) and drawn("2")):
        time.sleep(0.1)
    campaign.popen.kill()
    campaign.popen.wait()
    assert sagafuzz("merge", "1", "2", "--report-dir", "whole").code == 1
    assert said("whole")["complete"] is False
    assert "shard 2/2 was cut short" in said("whole")["reasons"]
    shard("2/2", "--max-plans", PLANS, "--resume")
    sagafuzz("merge", "1", "2", "--report-dir", "whole")
    sagafuzz("fuzz", shop(NAIVE), "--max-plans", PLANS, "--report-dir", "alone")
    assert reports("whole") == reports("alone")


def test_what_a_shard_cannot_do_is_told(sagafuzz: Run, shop: Any) -> None:
    name = shop(NAIVE)
    Path("known.toml").write_text("")
    told = sagafuzz("fuzz", name, "--shard", "1/2", "--baseline", "known.toml").complaint
    assert told == "--baseline: a shard has no findings yet; give it to `sagafuzz merge`"
    assert "'3/2' is no share; write I/N" in sagafuzz("fuzz", name, "--shard", "3/2").complaint
    sagafuzz("fuzz", name, "--max-plans", 200, "--shard", "1/2", "--report-dir", "deep")
    sagafuzz("run", name, "--faults", 1, "--random", 0, "--shard", "2/2", "--report-dir", "wide")
    assert "are of different campaigns: " in sagafuzz("merge", "deep", "wide", "--report-dir", "whole").complaint
