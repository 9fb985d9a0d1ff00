"""CONTRIBUTING.md says what to write for a new kind, invariant, adapter, report or reduction: here one of each is added
as it says, and is then everywhere where it must be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sagafuzz.adapters import BUILT_IN
from sagafuzz.cli.arguments import CODE
from sagafuzz.cli.explaining import anomalies
from sagafuzz.effects import AFTER, AT_SEND, Crash, LoseRequest
from sagafuzz.fault_kinds import FaultKind, registered
from sagafuzz.history import TIMEOUT
from sagafuzz.invariants import INVARIANTS
from sagafuzz.invariants.facts import Facts
from sagafuzz.invariants.registry import Checked, invariant
from sagafuzz.loading import load
from sagafuzz.reports import COMPARISONS, REPORTS, ComparisonOutput, Output
from sagafuzz.simulator import Setup
from sagafuzz.verdict import Violation

from ..tools import tool_named
from .conftest import Run

TOP = Path(__file__).resolve().parent.parent.parent
QUICK = ("--faults", 1, "--random", 0, "--scenario", "succeeds")


@pytest.fixture
def reference_page() -> ModuleType:
    """tools/make_reference.py, which writes the tables of docs/reference.md."""
    return tool_named("make_reference")


def written(name: str = "report.json") -> Any:
    return json.loads(Path("sagafuzz-report", name).read_text(encoding="utf-8"))


# -- an adapter ------------------------------------------------------------------------------------


def test_an_adapter(sagafuzz: Run, shop: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    place = shop('self.world.call("order.create", key=order.id)\nreturn True')
    monkeypatch.setitem(BUILT_IN, "dummy", place)
    assert "\ndummy " in sagafuzz("adapters").out
    assert sagafuzz("run", "dummy", *QUICK).code == 1
    assert written()["adapter"] == "Shop"
    finding = next(Path("sagafuzz-report").glob("F-*.json"))
    assert written(finding.name)["adapter"] == "dummy"
    assert sagafuzz("replay", finding).out.startswith(f"{finding.stem} on Shop: STILL FAILS")
    assert "did you mean 'dummy'?" in sagafuzz("run", "dumy").complaint


# -- a report --------------------------------------------------------------------------------------


def test_a_report(sagafuzz: Run, reference_page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(file="report.dummy", render=lambda report: f"{report.verdict}\n", title="the verdict alone")
    monkeypatch.setitem(REPORTS, "dummy", output)  # type: ignore[attr-defined]
    sagafuzz("run", "seed", *QUICK, "--faults", 0)
    file = Path("sagafuzz-report", "report.dummy")
    assert file.read_text() == "inconclusive\n"
    file.unlink()
    sagafuzz("report", "sagafuzz-report")
    assert file.read_text() == "inconclusive\n"
    assert "| `report.dummy` | the verdict alone |" in reference_page.files()


def test_a_report_of_several_systems(
    sagafuzz: Run, reference_page: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = ComparisonOutput(
        file="comparison.dummy", render=lambda reports: f"{len(reports)}\n", title="how many were compared"
    )
    monkeypatch.setitem(COMPARISONS, "dummy", output)  # type: ignore[attr-defined]
    sagafuzz("compare", "seed", "reference", *QUICK, "--faults", 0)
    assert Path("sagafuzz-report", "comparison.dummy").read_text() == "2\n"
    assert "| `comparison.dummy` | how many were compared" in reference_page.files()


def test_a_report_of_one_run(sagafuzz: Run) -> None:
    sagafuzz("run", "seed", *QUICK)
    finding = next(Path("sagafuzz-report").glob("F-*.json"))
    output = "ScheduleOutput(render=lambda history: f'{len(history.rows)} events', title='how many events it has')"
    before = f"from sagafuzz.reports import SCHEDULES, ScheduleOutput\nSCHEDULES['dummy'] = {output}"
    assert in_a_process(before + COMMAND, "replay", finding, "--as", "dummy").endswith(" events\n")


COMMAND = "\nfrom sagafuzz.cli.main import main\nmain()"


def in_a_process(code: str, *arguments: object) -> str:
    """What ``code`` prints in a process of its own, in which it comes before whatever reads a table at its import."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


# -- a kind of fault -------------------------------------------------------------------------------

KIND = FaultKind(
    name="dummy-fault",
    phase=AT_SEND,
    effects=(LoseRequest(), Crash(when=AFTER)),
    meaning="the request is lost, and the orchestrator dies",
    moment="right after losing {call}",
)


@pytest.fixture
def dummy_kind() -> Iterator[None]:
    with registered(KIND):
        yield


@pytest.mark.usefixtures("dummy_kind")
def test_a_kind_is_injected_found_shown_and_replayed(sagafuzz: Run) -> None:
    result = sagafuzz("run", "seed", *QUICK, "--kinds", "dummy-fault")
    assert result.code == 1 and "⚡ dummy-fault" in result.out
    (covered,) = [
        cell for cell in written()["coverage"] if cell["kind"] == "dummy-fault" and cell["phase"] == "forward"
    ]
    assert covered["planned"] == covered["fired"] > 0 and covered["consequential"] > 0
    finding = next(Path("sagafuzz-report").glob("F-*.json"))
    assert [fault["kind"] for fault in written(finding.name)["faults"]] == ["dummy-fault"]
    assert "STILL FAILS" in sagafuzz("replay", finding).out
    assert "dummy-fault" in Path("sagafuzz-report", "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("dummy_kind")
def test_a_kind_is_searched_where_none_is_named_and_certified(sagafuzz: Run) -> None:
    assert sagafuzz("run", "reference", *QUICK).code == 0
    assert "dummy-fault" in written("certificate.json")["kinds"]
    assert "CONFIRMED" in sagafuzz("verify", "sagafuzz-report/certificate.json", "--sample", 3).out


@pytest.mark.usefixtures("dummy_kind")
def test_a_kind_is_explained_completed_and_in_the_reference(sagafuzz: Run, reference_page: ModuleType) -> None:
    assert KIND.meaning in " ".join(sagafuzz("explain", "dummy-fault").out.split())
    assert "did you mean 'dummy-fault'?" in sagafuzz("run", "seed", "--kinds", "dummy-faul").complaint
    assert "dummy-fault" in CODE.known()
    (row,) = [line for line in reference_page.faults().split("\n") if "`dummy-fault`" in line]
    assert row.startswith("| `dummy-fault` | a request is about to be sent |") and KIND.meaning in row


@pytest.mark.usefixtures("dummy_kind")
def test_a_kind_that_the_live_world_can_do_is_planned_there() -> None:
    examples = TOP / "examples" / "live" / "python"
    adapter = load(str(examples / "naive.toml"))
    assert KIND.live
    assert "dummy-fault" in Setup(adapter=adapter, scenario=adapter.scenarios[0]).kinds


# -- an invariant ----------------------------------------------------------------------------------


def dummy_invariant(facts: Facts) -> Checked:
    """Breaks wherever a caller gave up waiting."""
    waited = [position for position, event in enumerate(facts.history.events) if event.kind == TIMEOUT]
    return True, [
        Violation(
            invariant="I99",
            anomaly="dummy anomaly",
            sentence="somebody gave up waiting",
            expected="patience",
            got="none",
            position=position,
        )
        for position in waited[:1]
    ]


@pytest.fixture
def dummy_rule() -> Iterator[None]:
    invariant("I99", "dummy rule", holds_when="nobody gives up", cause="impatience", repair="wait")(dummy_invariant)
    anomalies.cache_clear()
    yield
    del INVARIANTS["I99"]
    anomalies.cache_clear()


@pytest.mark.usefixtures("dummy_rule")
def test_an_invariant_is_judged_reported_and_replayed(sagafuzz: Run) -> None:
    result = sagafuzz("run", "reference", *QUICK, "--kinds", "lost-ack,reject")
    assert result.code == 1 and "I99 dummy rule: dummy anomaly" in result.out
    judged = written()["invariants"]["I99"]
    assert (judged["name"], judged["status"]) == ("dummy rule", "violated")
    folder = Path("sagafuzz-report")
    for name in ("report.md", "report.html", "report.junit.xml", "report.codequality.json"):
        assert "I99" in (folder / name).read_text(encoding="utf-8"), name
    assert "STILL FAILS" in sagafuzz("replay", next(folder.glob("F-*.json"))).out


@pytest.mark.usefixtures("dummy_rule")
def test_an_invariant_is_explained_completed_and_in_the_reference(sagafuzz: Run, reference_page: ModuleType) -> None:
    assert sagafuzz("explain", "i99").out.startswith("I99 dummy rule\n")
    assert "dummy anomaly" in sagafuzz("explain", "I99").out
    assert "'dummy anomaly' is an anomaly of I99" in sagafuzz("explain", "dummy anomaly").out
    assert "I99" in CODE.known()
    assert "| **I99** | dummy rule | nobody gives up | impatience | wait |" in reference_page.invariants()


# -- a reduction -----------------------------------------------------------------------------------

ROW = """
from pathlib import Path
from types import MappingProxyType
from sagafuzz.exploration import reductions
from sagafuzz.exploration.reductions import table

def on(setup, only):
    Path("asked").touch()
    return True

row = reductions.Reduction(name="dummy reduction", spares="nothing", assumes="no more", because="it is none", on=on)
reductions.REDUCTIONS = table.REDUCTIONS = MappingProxyType({**table.REDUCTIONS, row.name: row})
reductions.ALL = table.ALL = (*table.ALL, row)
"""


def test_a_reduction_is_asked_by_the_search_and_can_be_switched_off() -> None:
    arguments = ("run", "reference", *QUICK, "--kinds", "lost-ack")
    in_a_process(ROW + COMMAND, *arguments, "--without", "dummy reduction")
    assert not Path("asked").exists()
    in_a_process(ROW + COMMAND, *arguments)
    assert Path("asked").exists()
    assert "dummy reduction" in in_a_process(ROW + COMMAND, "run", "--help")


def test_a_reduction_is_in_the_reference() -> None:
    code = f"{ROW}\nimport runpy\nprint(runpy.run_path({str(TOP / 'tools' / 'make_reference.py')!r})['reductions']())"
    assert "| dummy reduction | nothing | no more | it is none |" in in_a_process(code)
