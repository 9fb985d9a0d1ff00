"""Scale-out: the same reports from one process, from several, from shards and from a cluster, whoever dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.exploration.certificate import versions
from sagafuzz.exploration.cluster import Job, unfit
from sagafuzz.exploration.part_worker import Facts
from sagafuzz.exploration.settings import Settings
from sagafuzz.exploration.shards import Shard, owner_of

from .conftest import Run, reports

SHOP = '''
import multiprocessing
import os
import sys
import threading

import sagafuzz

SAGA = sagafuzz.Saga("shop", [
    sagafuzz.Step("order", "order.create", undo="order.cancel"),
    sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
])
RUNS = 0


def die_once(who):
    """One of the workers ends in the middle of a part: the process ``who``, its own or that of Dask."""
    global RUNS
    RUNS += "part_worker" in " ".join(sys.orig_argv) or multiprocessing.parent_process() is not None
    if RUNS == 30:
        try:
            os.mkdir("died")
        except FileExistsError:
            return
        os.kill(who(), 9)


if "THREAD" in os.environ:  # with it the process cannot be copied
    threading.Thread(target=threading.Event().wait, daemon=True).start()


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario(), sagafuzz.Scenario(name="two", sagas=2)])
class Shop:
    def boot(self, world):
        self.world = world

    def run(self, order):
        if name := os.environ.get("DIES"):
            die_once({"worker": os.getpid, "dask": os.getppid}[name])
        self.world.call("order.create", key=f"{order.id}/order")
        self.world.call("payment.charge", key=f"{order.id}/payment")
        return True
'''

CAMPAIGN = ("run", "shop.py:Shop", "--faults", 2, "--kinds", "basic", "--random", 5, "--random-plans", 430)


@pytest.fixture(autouse=True)
def _the_shop(_in_a_folder_of_its_own: None) -> None:
    Path("shop.py").write_text(SHOP)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that one process writes."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "shop.py").write_text(SHOP)
    command = [sys.executable, "-m", "sagafuzz", *map(str, CAMPAIGN), "--report-dir", "found"]
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 1
    return reports(folder / "found")


# -- shards ------------------------------------------------------------------------------------


@pytest.fixture
def shard(sagafuzz: Run) -> Callable[..., str]:
    """Search a shard; its folder."""

    def search(share: str, *options: object, folder: str = "") -> str:
        folder = folder or f"shard-{share[0]}"
        result = sagafuzz(*CAMPAIGN, *options, "--shard", share, "--report-dir", folder)
        assert (result.code, result.err) == (1, "")
        assert f"shard {share} ran" in result.out
        return folder

    return search


def test_shards_put_together_report_as_one_process_does(shard: Any, sagafuzz: Run, alone: Any) -> None:
    folders = [shard("2/3"), shard("1/3", "--jobs", 2), shard("3/3")]
    assert sagafuzz("merge", *folders, "--report-dir", "whole").code == 1
    assert reports("whole") == alone
    assert sagafuzz("report", "whole", "--report-dir", "again").code == 1
    assert reports("again") == alone


def test_a_shard_searches_its_share_only(shard: Any, sagafuzz: Run) -> None:
    sagafuzz("report", shard("1/3"))
    said = json.loads(Path("shard-1/report.json").read_text())
    assert (said["verdict"], said["complete"]) == ("violated", False)
    assert "this is shard 1/3 only" in said["reasons"][0]
    assert said["not_exercised"][0].endswith("parts: this is shard 1/3 only")
    assert 0 < said["random_plans"]["run"] < 430


def test_every_part_has_one_owner() -> None:
    parts = [f"{index}/{number}" for index in range(2) for number in range(1, 9)] + ["drawn/0/0", "drawn/1/200"]
    for of in (1, 2, 3, 7):
        for part in parts:
            searching = [number for number in range(1, of + 1) if not Shard(number, of).leave(part)]
            assert searching == [owner_of(part, of)]
    assert {owner_of(part, 3) for part in parts} == {1, 2, 3}


def test_a_missing_shard_is_never_silently_green(sagafuzz: Run) -> None:
    campaign = ("run", "reference", "--scenario", "declined", "--faults", 0, "--random", 0, "--random-plans", 410)
    for share in ("1/3", "3/3"):
        assert sagafuzz(*campaign, "--shard", share, "--report-dir", share[0]).code == 0
    result = sagafuzz("merge", "1", "3", "--report-dir", "whole")
    assert result.code == 3
    said = json.loads(Path("whole/report.json").read_text())
    assert (said["verdict"], said["complete"]) == ("inconclusive", False)
    assert said["reasons"] == ["1 part of the campaign was not searched: shard 2/3 is missing"]
    assert said["not_exercised"][0] == "1 of the campaign's parts: shard 2/3 is missing"


def test_a_shard_cut_short_is_told_and_can_be_resumed(shard: Any, process: Any, sagafuzz: Run, alone: Any) -> None:
    folders = [shard("1/2"), "cut"]
    campaign = process(*CAMPAIGN, "--shard", "2/2", "--report-dir", "cut", "--resume")
    until = time.monotonic() + 60
    while time.monotonic() < until and not Path("cut/campaign.sqlite").exists():
        time.sleep(0.01)
    campaign.popen.terminate()
    assert campaign.result().code == 143
    assert sagafuzz("merge", *folders, "--report-dir", "whole").code == 1
    said = json.loads(Path("whole/report.json").read_text())
    assert said["complete"] is False
    assert "shard 2/2 does not hold them: it was cut short" in said["reasons"][0]
    shard("2/2", "--resume", folder="cut")
    assert sagafuzz("merge", *folders, "--report-dir", "whole").code == 1
    assert reports("whole") == alone


def test_what_cannot_be_merged_is_told(sagafuzz: Run) -> None:
    small = ("run", "seed", "--scenario", "declined", "--random", 0)
    sagafuzz(*small, "--faults", 0, "--shard", "1/2", "--report-dir", "one")
    sagafuzz(*small, "--faults", 1, "--shard", "2/2", "--report-dir", "other")
    sagafuzz(*small, "--faults", 0, "--shard", "2/3", "--report-dir", "of-three")
    sagafuzz(*small, "--faults", 0, "--report-dir", "whole")
    for stores, complaint in (
        (("one", "other"), "are of different campaigns: max_faults was 0 and is 1"),
        (("one", "of-three"), "are of different campaigns: shards was 2 and is 3"),
        (("one", "one"), "are both shard 1/2; leave one of them out"),
        (("whole",), "is no shard but a whole campaign"),
        (("nothing",), "merge: 'nothing' holds no campaign"),
    ):
        result = sagafuzz("merge", *stores, "--report-dir", "merged")
        assert result.code == 2
        assert complaint in result.complaint
    assert "holds one of the shards" in sagafuzz("merge", "one", "--report-dir", "one").complaint
    assert not Path("merged").exists()


def test_shards_that_found_different_things_are_not_merged(
    sagafuzz: Run, shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = shop("self.world.call('order.create', host=os.environ['HOST'])\nreturn True", before="import os\n")
    for share in ("1/2", "2/2"):
        monkeypatch.setenv("HOST", share)
        sagafuzz("run", name, "--faults", 0, "--random", 0, "--shard", share, "--report-dir", share[0])
    result = sagafuzz("merge", "1", "2")
    assert (result.code, result.out) == (4, "")
    assert "part 0/0 is different in '1/campaign.sqlite' and '2/campaign.sqlite': the adapter is not" in result.err


@pytest.mark.parametrize("share", ["0/3", "4/3", "1", "a/b", "1/0"])
def test_a_share_that_is_none_is_told(sagafuzz: Run, share: str) -> None:
    result = sagafuzz("run", "seed", "--shard", share)
    assert result.code == 2
    assert f"--shard: {share!r} is no share; write I/N" in result.complaint


# -- processes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [{}, {"THREAD": "1"}], ids=["copies", "new processes"])
def test_four_processes_one_of_which_is_killed_report_as_one_does(process: Any, alone: Any, kind: Any) -> None:
    result = process(*CAMPAIGN, "--jobs", 4, "--report-dir", "four", DIES="worker", **kind).result()
    assert result.code == 1
    assert Path("died").exists()
    assert "ended by SIGKILL; its part" in result.err
    assert "searched again by the campaign itself" in result.err
    assert reports("four") == alone


# -- a cluster ---------------------------------------------------------------------------------


@pytest.fixture
def dask() -> Iterator[Callable[..., str]]:
    """Start a scheduler and so many workers, real processes that listen on this machine only; its address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *options: object, **environment: str) -> None:
        words = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", "scheduler.json"]
        words += ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", *map(str, options)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
        log = Path(f"{kind}-{len(started)}.log").open("wb")  # noqa: SIM115
        with log:
            started.append(subprocess.Popen(words, stdout=log, stderr=log, env={**inherited, **environment}))

    def run(workers: int, **environment: str) -> str:
        start("scheduler", "--port", 0, "--no-show")
        for _ in range(workers):
            start("worker", "--no-nanny", "--nthreads", 1, **environment)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if Path("scheduler.json").exists() and (text := Path("scheduler.json").read_text()):
                return str(json.loads(text)["address"])
            time.sleep(0.1)
        raise AssertionError("no scheduler came up")

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_cluster_reports_as_one_process_does_whoever_dies(process: Any, dask: Any, alone: Any) -> None:
    address = dask(2, DIES="dask")
    result = process(*CAMPAIGN, "--cluster", address, "--report-dir", "killed").result()
    assert result.code == 1
    assert Path("died").exists()
    assert "is gone; its part" in result.err
    assert "searched again by the campaign itself" in result.err
    assert reports("killed") == alone
    unhurt = process(*CAMPAIGN, "--cluster", address, "--report-dir", "unhurt").result()
    assert (unhurt.code, unhurt.err) == (1, "")
    assert reports("unhurt") == alone


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_or_has_no_worker_is_told(process: Any, dask: Any) -> None:
    nobody = process("run", "seed", "--cluster", "tcp://127.0.0.1:1")
    empty = process("run", "seed", "--cluster", dask(0))
    assert "--cluster: no Dask scheduler answers at 'tcp://127.0.0.1:1'" in nobody.result().complaint
    assert "has no worker; start one with: dask worker tcp://127.0.0.1" in empty.result().complaint


def test_without_the_extra_it_is_named(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    result = sagafuzz("run", "seed", "--cluster", "tcp://127.0.0.1:8786")
    assert result.code == 2
    assert result.complaint.endswith("install it with: pip install 'sagafuzz[cluster]'")


def test_here_or_there_is_a_choice(sagafuzz: Run) -> None:
    assert "choose one of the two" in sagafuzz("run", "seed", "--cluster", "tcp://127.0.0.1:1", "-j", 2).complaint


def test_a_worker_that_would_not_find_the_same_is_given_nothing() -> None:
    job = Job(id="", spec="shop.py:Shop", settings=Settings(), folder="", loud=False)
    assert unfit(Facts(versions=versions(), source="a"), job, "a") == ""
    older = {**versions(), "sagafuzz": "0.0.1"}
    assert "other versions: sagafuzz 0.0.1 (here" in unfit(Facts(versions=older, source="a"), job, "a")
    assert "another file of the adapter 'shop.py:Shop'" in unfit(Facts(versions=versions(), source="b"), job, "a")
    assert "cannot load the adapter: no file" in unfit(Facts(versions={}, source="", complaint="no file"), job, "a")
