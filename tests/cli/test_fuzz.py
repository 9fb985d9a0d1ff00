"""``sagafuzz fuzz``: the clock says when to end, the seed what is run; and what was run is not run again."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.store import find

from .conftest import Run

NAIVE = "self.world.call('order.create', key=order.id)\nself.world.call('payment.charge', key=order.id)\nreturn True"


def report(folder: str = "sagafuzz-report") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(folder, "report.json").read_text())
    return found


def without_the_reason(folder: str) -> dict[str, Any]:
    """All that a report says, but what ended it."""
    said = report(folder)
    said["statements"] = [text for text in said["statements"] if "they ended" not in text]
    return said


def test_it_ends_after_so_many_plans_deeper_than_run_goes(sagafuzz: Run, shop: Any) -> None:
    result = sagafuzz("fuzz", shop(NAIVE), "--max-plans", 250, "--seed", 3)
    said = report()
    assert (result.code, said["complete"]) == (1, True)
    assert (said["random_plans"]["asked"], said["random_plans"]["run"]) == (250, 250)
    assert said["random_plans"]["max_faults"] == 5
    assert "random plans: they ended at 250: 250 random plans were run, as asked" in said["statements"]
    assert {finding["invariant"] for finding in said["findings"]} >= {"I2", "I13"}


def test_the_command_of_a_report_that_the_clock_ended_ends_there_again(sagafuzz: Run, shop: Any) -> None:
    result = sagafuzz("fuzz", shop(NAIVE), "--max-time", "1s", "--report-dir", "timed")
    said = report("timed")
    assert said["complete"] is True
    assert any("its 1 s were over" in text for text in said["statements"])
    command = next(line for line in result.out.split("\n") if line.startswith("again: sagafuzz "))
    assert command.endswith(f" --max-plans {said['random_plans']['run']}")
    sagafuzz(*command.split()[2:], "--report-dir", "counted")
    assert without_the_reason("counted") == without_the_reason("timed")


def test_the_seed_says_what_is_run(sagafuzz: Run, shop: Any) -> None:
    name = shop(NAIVE)
    for folder, seed, jobs in (("a", 1, 1), ("b", 1, 3), ("c", 2, 1)):
        sagafuzz("fuzz", name, "--max-plans", 300, "--seed", seed, "-j", jobs, "--report-dir", folder)
    assert Path("a/report.json").read_bytes() == Path("b/report.json").read_bytes()
    assert report("a")["digest"] != report("c")["digest"]


def test_a_resumed_search_goes_on_after_the_last_plan(sagafuzz: Run, shop: Any) -> None:
    name = shop(NAIVE)
    sagafuzz("fuzz", name, "--max-plans", 300, "--report-dir", "kept")
    result = sagafuzz("fuzz", name, "--max-plans", 700, "--resume", "--report-dir", "kept")
    assert result.err == ""
    sagafuzz("fuzz", name, "--max-plans", 700, "--report-dir", "unbroken")
    assert report("kept") == report("unbroken")
    assert "max_faults was 1 and is 2" in sagafuzz("fuzz", name, "-k", 2, "--resume", "--report-dir", "kept").complaint


def test_it_ends_where_nothing_new_comes(sagafuzz: Run, shop: Any) -> None:
    name = shop("return self.world.call('order.create', key=order.id) is not None")
    sagafuzz("fuzz", name, "--until-plateau", "--beyond", 1, "--kinds", "basic", "--max-plans", 20_000)
    said = report()
    assert any("a plateau: " in text for text in said["statements"])
    assert 2000 <= said["random_plans"]["run"] < 20_000


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_search_leaves_whole_reports_and_goes_on(
    process: Any, sagafuzz: Run, shop: Any, number: int, code: int
) -> None:
    name = shop(NAIVE)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have its jobs ignore it
    try:
        campaign = process("fuzz", name, "--max-time", "1h", "--report-dir", "kept")
    finally:
        signal.signal(signal.SIGINT, before)
    until = time.monotonic() + 60
    while time.monotonic() < until and ((store := find(Path("kept"))) is None or store.get("drawn/0/200") is None):
        time.sleep(0.1)
    campaign.popen.send_signal(number)
    result = campaign.result()
    assert (result.code, result.err) == (code, "")
    said = report("kept")
    assert (said["complete"], said["verdict"]) == (False, "violated")
    assert "INCOMPLETE" in result.out
    run = said["random_plans"]["run"]
    assert run >= 400
    sagafuzz("fuzz", name, "--max-plans", run + 50, "--resume", "--report-dir", "kept")
    sagafuzz("fuzz", name, "--max-plans", run + 50, "--report-dir", "unbroken")
    assert report("kept") == report("unbroken")


def test_a_killed_search_is_reported_from_its_store(process: Any, sagafuzz: Run, shop: Any) -> None:
    campaign = process("fuzz", shop(NAIVE), "--max-time", "1h", "--report-dir", "kept")
    until = time.monotonic() + 60
    while time.monotonic() < until and ((store := find(Path("kept"))) is None or store.get("drawn/0/200") is None):
        time.sleep(0.1)
    campaign.popen.kill()
    campaign.popen.wait()
    assert sagafuzz("report", "kept").code == 1
    said = report("kept")
    assert said["complete"] is False
    assert said["random_plans"]["run"] >= 400


def test_time_that_ends_before_the_first_random_plan_is_told(sagafuzz: Run) -> None:
    result = sagafuzz("fuzz", "reference", "-k", 3, "--max-time", "0.2s")
    assert result.code == 3
    assert report()["reasons"] == ["its 0.2 s were over before every plan with at most 3 faults was run"]


@pytest.mark.parametrize("time", ["", "soon", "10d", "0s", "-1"])
def test_a_time_that_is_none_is_told(sagafuzz: Run, time: str) -> None:
    assert (
        f"--max-time: {time!r} is no time; write a number with s, m or h"
        in sagafuzz("fuzz", "seed", "--max-time", time).complaint
    )


def test_a_baseline_counts_as_in_run(sagafuzz: Run, shop: Any) -> None:
    name = shop(NAIVE)
    sagafuzz("fuzz", name, "--max-plans", 50)
    entries = [f'[[known]]\nid = "{finding["id"]}"\nreason = "known"\n' for finding in report()["findings"]]
    Path("known.toml").write_text("\n".join(entries))
    assert sagafuzz("fuzz", name, "--max-plans", 50, "--baseline", "known.toml").code == 0
    Path("known.toml").write_text("\n".join(entries[1:]))
    assert sagafuzz("fuzz", name, "--max-plans", 50, "--baseline", "known.toml").code == 1
