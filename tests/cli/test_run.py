"""``sagafuzz run``: the verdicts, their exit codes, and what is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.invariants import INVARIANTS

from .conftest import Run

QUICK = ("--faults", 1, "--random", 5)
ONE = (*QUICK, "--scenario", "succeeds")
PLANS = ("--faults", 1, "--random", 0, "--scenario", "declined")

REPORT_FILES = ["report.codequality.json", "report.html", "report.json", "report.junit.xml", "report.md"]


def report(folder: str = "sagafuzz-report") -> Any:
    return json.loads(Path(folder, "report.json").read_text(encoding="utf-8"))


def test_the_reference_is_consistent(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", *QUICK)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("checkout on reference: CONSISTENT")
    said = report()
    assert (said["verdict"], said["complete"], said["findings"]) == ("consistent", True, [])
    assert said["plans"]["planned"] == said["plans"]["run"] == said["plans"]["fired"] > 300
    files = sorted(path.name for path in Path("sagafuzz-report").iterdir())
    assert files == sorted(["campaign.sqlite", "certificate.json", *REPORT_FILES])


def test_a_search_without_time_says_that_it_was_not_made(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", "--random", 0, "--scenario", "succeeds", "--max-time", "0.001s")
    assert result.code == 3 and "INCOMPLETE" in result.out
    assert "its 0.001 s were over before every plan with at most one fault was run" in " ".join(result.out.split())
    assert "--max-time 0.001s" in result.out
    assert report()["pairs"]["run"] == 0 and not report()["complete"]


def test_a_time_that_cannot_be_kept_is_told(sagafuzz: Run) -> None:
    assert "'soon' is no time" in sagafuzz("run", "seed", "--max-time", "soon").complaint
    assert "a shard is searched to its end" in sagafuzz("run", "seed", "--max-time", "9s", "--shard", "1/2").complaint


def test_the_seed_is_violated(sagafuzz: Run) -> None:
    result = sagafuzz("run", "seed", "--faults", 1, "--random", 0, "--report-dir", "found")
    assert result.code == 1
    said = report("found")
    assert {"I1", "I5", "I13"} <= {finding["invariant"] for finding in said["findings"]}
    for finding in said["findings"]:
        assert finding["replay"] == f"{finding['id']}.json"
        assert Path("found", finding["replay"]).is_file()
        assert Path("found", f"{finding['id']}.ndjson").is_file()
    assert f"sagafuzz replay found/{said['findings'][0]['id']}.json" in result.out
    assert "written: found/report.md, found/report.html, found/report.json" in result.out


def test_the_report_says_which_command_makes_it_again(sagafuzz: Run) -> None:
    result = sagafuzz("run", "seed", *PLANS, "--seed", 3, "--sagas", 1)
    assert "again: sagafuzz run seed --faults 1 --random 0 --seed 3 --scenario declined --sagas 1\n" in result.out


def test_a_checker_that_crashes_makes_it_inconclusive(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(facts: object) -> Any:
        raise RuntimeError("out of order")

    monkeypatch.setitem(INVARIANTS, "I4", replace(INVARIANTS["I4"], check=crash))
    result = sagafuzz("run", "reference", *ONE)
    assert result.code == 3
    assert "INCONCLUSIVE: the check of I4 gave up: RuntimeError: out of order" in " ".join(result.out.split())
    assert report()["invariants"]["I4"]["status"] == "gave up"


COUNTER = "import itertools\n\nNUMBERS = itertools.count()\n"


@pytest.mark.parametrize(
    "body",
    [
        'self.world.call("order.create", number=next(NUMBERS))\nreturn True',
        # Not seen when the first plan is repeated, since it comes later; and sites vanish.
        'if next(NUMBERS) % 7 == 6:\n    self.world.call("order.create")\nreturn True',
        'if next(NUMBERS) > 20:\n    return True\nself.world.call("order.create")\nreturn False',
    ],
)
def test_an_adapter_that_is_not_deterministic(sagafuzz: Run, shop: Callable[..., str], body: str) -> None:
    result = sagafuzz("run", shop(body, before=COUNTER), *QUICK)
    assert result.code == 4
    said = report()
    assert "not deterministic" in " ".join(said["reasons"])
    assert re.search(r"event \d+.* is .* in one run, .* in the other|again", " ".join(said["reasons"]))
    assert not said["complete"]
    assert "Traceback" not in result.err


def test_the_first_differing_event_is_named(sagafuzz: Run, shop: Callable[..., str]) -> None:
    sagafuzz("run", shop('self.world.call("order.create", number=next(NUMBERS))\nreturn True', before=COUNTER), *QUICK)
    reason, kept, usual = report()["reasons"]
    assert re.fullmatch(
        r"the adapter is not deterministic: succeeds, no fault: event 2, recorded by shop\.py:\d+ in run, "
        r"is SEND of orchestrator, saga saga-1, payload \(\('number', 0\),\) in one run, "
        r"SEND of orchestrator, saga saga-1, payload \(\('number', 1\),\) in the other",
        reason,
    )
    assert "NUMBERS is another after a run than before it" in kept
    assert usual.startswith("the usual causes are ")


def test_a_defect_of_ours_says_so(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("sagafuzz.cli.searching.run_campaign", break_down)
    result = sagafuzz("run", "reference", *QUICK)
    assert result.code == 70
    assert result.err.startswith("sagafuzz: this is a defect of sagafuzz itself")
    assert "ZeroDivisionError: ours" in result.err


def test_there_is_always_the_plan_without_faults_to_run(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", "--faults", 0, "--random", 0)
    assert result.code == 3
    assert report()["plans"]["run"] == 5
    (reason,) = report()["reasons"]
    assert reason.startswith("no fault was injected, so nothing is known of what faults do; ")
    assert "every fault: the search was bounded to none" in result.out


def test_what_an_earlier_run_found_is_cleared_away(sagafuzz: Run) -> None:
    folder = Path("sagafuzz-report")
    sagafuzz("run", "seed", *PLANS)
    (folder / "notes.json").write_text("{}")
    assert list(folder.glob("F-*.json"))
    sagafuzz("run", "reference", *ONE)
    assert sorted(path.name for path in folder.iterdir()) == [
        "campaign.sqlite",
        "certificate.json",
        "notes.json",
        *REPORT_FILES,
    ]


def test_the_code_under_test_is_not_heard_unless_asked(sagafuzz: Run, shop: Callable[..., str]) -> None:
    name = shop('print("loud")\nimport logging\nlogging.warning("loud")\nreturn False')
    assert "loud" not in "".join(sagafuzz("run", name, "--faults", 0, "--random", 5)[1:])
    assert "loud\n" in sagafuzz("run", name, "--faults", 0, "--random", 5, "--show-output").out


def test_a_scenario_given_twice_is_run_once(sagafuzz: Run) -> None:
    sagafuzz("run", "reference", "--faults", 0, "--random", 0, "--scenario", "declined", "--scenario", "declined")
    assert [entry["name"] for entry in report()["scenarios"]] == ["declined"]


def test_a_reader_that_goes_away_does_not_change_the_verdict(process: Any) -> None:
    running = process("run", "reference", *ONE).popen
    running.stdout.close()
    assert running.wait(100) == 0
    assert "Traceback" not in running.stderr.read()
    running.stdout = None


def test_a_terminal_without_the_arrows_gets_question_marks(process: Any) -> None:
    result = process("run", "seed", *PLANS, PYTHONIOENCODING="ascii").result()
    assert (result.code, result.err) == (1, "")
    assert "? violation" in result.out


def test_nothing_is_left_in_the_folder_but_the_report(process: Any) -> None:
    assert process("run", "reference", "--faults", 0, "--random", 5).result().code == 0
    assert [path.name for path in Path.cwd().iterdir()] == ["sagafuzz-report"]
