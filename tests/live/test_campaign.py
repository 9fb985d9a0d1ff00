"""A manifest is run, reported and replayed as any adapter is."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.cli.main import main
from sagafuzz.errors import UsageError
from sagafuzz.exploration.live import LiveCampaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.live.manifest import as_adapter, manifest_of
from sagafuzz.loading import load

from .conftest import EXAMPLES, Small

NAIVE = str(EXAMPLES / "python" / "naive.toml")
CORRECT = str(EXAMPLES / "python" / "correct.toml")
STORE = '[[component]]\nrole = "store"\nname = "db"\n'
SAME = "in the simulator (seed) the same schedule shows the same"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def sagafuzz(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    assert isinstance(left.value.code, int)
    return left.value.code


def report() -> Any:
    return json.loads(Path("sagafuzz-report/report.json").read_text(encoding="utf-8"))


def test_the_naive_one_is_violated_as_in_the_simulator(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = "crash-after-effect,crash-after-ack,lost-ack,duplicate"
    assert sagafuzz("run", NAIVE, "--faults", 1, "--scenario", "succeeds", "--kinds", kinds) == 1
    out = capsys.readouterr().out
    assert out.startswith("checkout on python-naive: VIOLATED")
    said = report()
    assert said["complete"] and said["plans"]["run"] == said["plans"]["fired"] >= 13  # more where somebody was slow
    assert {finding["invariant"] for finding in said["findings"]} == {"I1", "I5", "I13"}
    assert said["engine"] == "naive" and said["packages"]["uvicorn"] == version("uvicorn")
    assert out.count(" · engine naive\n") == 1
    for finding in said["findings"]:
        assert finding["notes"][:2] == ["real processes; it came again in 5 of 5 runs", SAME]
        said = finding["explanation"]
        assert [each["then"] for each in said["removed"]] == ["all invariants hold"]
        assert said["passing"].startswith("without ") and said["cause"] and said["repair"]
        assert said["shared_events"] > 1 and said["parting"].startswith(f"after {said['shared_events']} equal events")
        assert said["net_effects"]
    file = next(Path("sagafuzz-report").glob("F-*.json"))
    assert sagafuzz("replay", file) == 1
    assert "STILL FAILS (5 of 5 runs)" in capsys.readouterr().out
    assert sagafuzz("replay", file, "--adapter", CORRECT) == 0


def test_the_correct_one_is_consistent(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        sagafuzz(
            "run", CORRECT, "--faults", 1, "--scenario", "declined", "--kinds", "crash-after-effect,lost-ack,undo-fails"
        )
        == 0
    )
    out = capsys.readouterr().out
    assert "consistent" in out.lower() and "these runs of real processes" in " ".join(out.split())
    said = report()
    assert said["plans"]["run"] == said["plans"]["fired"] > 10
    assert not Path("sagafuzz-report/certificate.json").exists()  # such a run cannot be verified by repeating it


def test_real_processes_are_struck_by_nothing_that_they_cannot_suffer() -> None:
    """What is declared, and what nobody recovers from, or cancels, is left out with its reason."""
    manifest = manifest_of(load(CORRECT))
    assert manifest is not None
    tried = {"duplicate", "slow-answer"}
    left_to_chance = {*tried, "pause", "cancel", "refused-once", "expiry", "clock-back"}
    system = as_adapter(
        replace(manifest, resume="none", cancel=False, cannot_suffer=tuple(set(FAULT_KINDS) - left_to_chance)), CORRECT
    )
    found = LiveCampaign(system, Settings(max_faults=1, examples=0, scenarios=system.scenarios[:1])).run()
    assert {cell.kind for cell in found.coverage if cell.planned} == tried
    why = {entry.kind: entry.reason for entry in found.covered.unreachable if not entry.where}
    assert why["pause"] == "it needs that the adapter has a method recover"
    assert why["refused-once"] == "it needs that the adapter declares forgetting_refusals="
    assert why["expiry"] == "it needs that the adapter declares expiring="
    assert why["clock-back"] == "no system of real processes can be made to suffer it from outside"
    assert why["lost-ack"] == "the adapter 'python-correct' declares that it cannot suffer it"


@pytest.mark.slow
@pytest.mark.parametrize(("manifest", "code"), [(NAIVE, 1), (CORRECT, 0)])
def test_every_plan_with_one_fault(manifest: str, code: int) -> None:
    assert sagafuzz("run", manifest, "--faults", 1) == code
    said = report()
    assert said["plans"]["run"] == said["plans"]["fired"] > 250
    if code:
        assert {finding["invariant"] for finding in said["findings"]} == {"I1", "I5", "I11", "I13"}


def test_a_system_that_cannot_be_run_is_inconclusive_with_its_last_lines(
    small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small("raise SystemExit('no database at all')\n")
    assert sagafuzz("run", tmp_path / "small.toml", "--faults", 1) == 3
    out = " ".join(capsys.readouterr().out.split())
    assert "INCONCLUSIVE, INCOMPLETE: blocked: succeeds, no fault: orchestrator ended (exit code 1) before" in out
    assert "its last lines: no database at all" in out


def test_a_system_whose_sagas_do_not_end_in_time_is_inconclusive(
    small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "import time\nfrom sagafuzz import worker\n\ndef drive(saga):\n    while True:\n"
    program += "        worker.call(saga, 'order', 'do', key='o')\n        time.sleep(0.05)\n\nworker.serve(drive)\n"
    small(program, capabilities='resume = "none"')
    assert sagafuzz("run", tmp_path / "small.toml", "--faults", 0, "--scenario", "succeeds") == 3
    out = " ".join(capsys.readouterr().out.split())
    checks = "I2, I3, I10, I11, I13, I21, I22, I40, I41, C3"
    assert f"INCONCLUSIVE: the checks of {checks} gave up: a case had to be ended" in out


def test_a_test_marked_with_a_manifest_runs_real_processes(
    small: Small, tmp_path: Path, pytester: pytest.Pytester
) -> None:
    small("from sagafuzz import worker\nworker.serve(lambda saga: True)\n")
    mark = f"@pytest.mark.saga({str(tmp_path / 'small.toml')!r}, faults=0, scenarios=['succeeds'])"
    pytester.makepyfile(f"import pytest\n\n{mark}\ndef test_small():\n    pass\n")
    session = pytester.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider")
    session.assert_outcomes(failed=1)
    session.stdout.fnmatch_lines(["*checkout on small: VIOLATED*", "*real processes; it came again in 5 of 5 runs*"])


def test_a_finding_that_comes_now_and_then_is_said_to_be_flaky(small: Small, tmp_path: Path) -> None:
    program = """
import pathlib
from sagafuzz import worker

FILE = pathlib.Path("seen")

def drive(saga):
    FILE.write_text(FILE.read_text() + "x" if FILE.exists() else "x")
    worker.call(saga, "order", "do")
    if len(FILE.read_text()) % 2:
        worker.call(saga, "payment", "do")
    return True

worker.serve(drive)
"""
    small(program)
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=0, scenarios=(adapter.scenario("declined"), adapter.scenario("succeeds")))
    report = LiveCampaign(adapter, settings, jobs=1).run()
    assert report.live
    notes = [note for finding in report.findings for note in finding.notes if note.startswith("real")]
    assert any(note.endswith("flaky") for note in notes), notes


def test_of_several_schedules_the_one_that_shows_it_each_time_is_reported(small: Small, tmp_path: Path) -> None:
    """The payment is missing where the order's answer is late, and where it is lost every other time."""
    program = """
import pathlib
from sagafuzz import worker

FILE = pathlib.Path("late")

def drive(saga):
    try:
        worker.call(saga, "order", "do")
    except worker.CallTimeout as error:
        if "timed out" in str(error):  # and else the connection was reset
            return True
        FILE.write_text(FILE.read_text() + "x" if FILE.exists() else "x")
        if len(FILE.read_text()) % 2:
            return True
    worker.call(saga, "payment", "do")
    return True

worker.serve(drive)
"""
    small(program)
    adapter = load(str(tmp_path / "small.toml"))
    settings = Settings(max_faults=1, scenarios=(adapter.scenario("succeeds"),), kinds=("late-answer", "lost-ack"))
    report = LiveCampaign(adapter, settings, jobs=1).run()
    (finding,) = report.findings
    assert finding.plan is not None
    assert [fault.kind for fault in finding.plan.faults] == ["late-answer"]
    assert finding.notes[0] == "real processes; it came again in 5 of 5 runs"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('role = "worker"', 'role = "wurker"', "role = 'wurker'; write one of store, server, worker"),
        ("call_timeout_ms = 250", "call_timout_ms = 250", "did you mean 'call_timeout_ms'?"),
        ("call_timeout_ms = 250", "call_timeout_ms = '250'", "write a whole number"),
        ("call_timeout_ms = 250", "call_timeout_ms = -1", "write 0 or more"),
        ("call_timeout_ms = 250", "resume = 'maybe'", "write one of auto, on_poke, none"),
        ("call_timeout_ms = 250", "cannot_suffer = ['duplikate']", "did you mean 'duplicate'?"),
        ('argv = ["{python}", "small.py"]', 'argv = "small.py"', "write a list of strings"),
        ('argv = ["{python}", "small.py"]', 'argv = ["./small"]', "prefork needs argv"),
        ('id = "payment"', 'id = "order"', "two steps are called 'order'"),
        ('id = "payment"', 'idd = "payment"', "[[saga.step]] number 2: unknown key 'idd' (did you mean 'id'?)"),
        ('do = "payment.charge"', "", "[[saga.step]] number 2: do is missing; write a string"),
        ('do = "payment.charge"', 'do = "payment.charge"\nkind = "pivo"', "write one of compensatable, pivot"),
        ('do = "payment.charge"', 'do = "payment.charge"\nafter = "order"', "after = 'order'; write a list of strings"),
        ("prefork = true", "replicas = 0", "[[component]] number 1: replicas = 0; write 1 or more"),
        ("prefork = true", "stop_ms = 0.5", "[[component]] number 1: stop_ms = 0.5; write a whole number"),
        ("[capabilities]", "[[scenario]]\nsaga = 2\n[capabilities]", "[[scenario]] number 1: unknown key 'saga' (did"),
        ("[capabilities]", "[[scenario]]\nsagas = 0\n[capabilities]", "sagas=0; write a whole number, 1 or more"),
        ("[capabilities]", "[capabilities.x]\n[capabilities]", "[capabilities]: unknown key 'x'"),
        ('[saga]\nname = "checkout"', "[saga", "is no TOML"),
        ("[[component]]", "[[parts]]", "unknown key 'parts'"),
        ("prefork = true", 'proxy = "redis"', "proxy is for the role store, not for a worker"),
        ("prefork = true", "shared = true", "shared is for the role store or server, not for a worker"),
        ("prefork = true", 'signal = "HUP"', "signal = 'HUP'; write one of KILL, TERM, INT"),
        ("[capabilities]", '[[component]]\nrole = "worker"\nargv = ["x"]\n[capabilities]', "2 components are workers"),
        ("[capabilities]", f"{STORE}address = '10.0.0.1:5432'\n[capabilities]", "write '127.0.0.1:PORT'"),
        ("[capabilities]", f"{STORE}address = '127.0.0.1:{{env.NO_SUCH}}'\n[capabilities]", "NO_SUCH is not set"),
        ("[capabilities]", f"{STORE}argv = ['x']\naddress = '127.0.0.1:1'\n[capabilities]", "argv and address"),
        ("[capabilities]", f"{STORE}argv = ['x']\nproxy = 'mysql'\n[capabilities]", "write one of postgresql, redis"),
        ("[capabilities]", f"{STORE}argv = ['x']\n{STORE}argv = ['y']\n[capabilities]", "2 components are called 'db'"),
    ],
)
def test_a_manifest_that_cannot_be_used(small: Small, tmp_path: Path, old: str, new: str, complaint: str) -> None:
    small("")
    file = tmp_path / "small.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        load(str(file))
    assert complaint in str(raised.value) and "small.toml" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_manifest_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="name a file from the current folder"):
        load("nowhere.toml")


SAYS = """
from sagafuzz import worker

def drive(saga):
    for number in range(400):
        print(f"line {number}: about to charge \\x1b[31m")
    worker.call(saga, "payment", "do")
    return True

worker.serve(drive)
"""


def test_all_that_its_processes_wrote_stands_beside_a_finding(small: Small, tmp_path: Path) -> None:
    small(SAYS)
    only = ("--faults", 1, "--scenario", "succeeds", "--kinds", "duplicate")
    assert sagafuzz("run", tmp_path / "small.toml", *only) == 1
    for finding in report()["findings"]:
        (file,) = Path("sagafuzz-report").glob(f"{finding['id']}.output.txt")
        said = file.read_text(encoding="utf-8")
        assert said.startswith("==== orchestrator\nline 0: about to charge \\x1b[31m\n") and "line 399" in said
        assert f"all that its processes wrote: {file.name}" in finding["notes"]
    assert len(report()["findings"]) == len([*Path("sagafuzz-report").glob("F-*.output.txt")]) > 0


def test_how_a_store_started_stands_beside_a_finding_and_not_in_its_notes(small: Small, tmp_path: Path) -> None:
    small(SAYS)
    program = "import time; print('ready to accept', flush=True); time.sleep(60)"
    with (tmp_path / "small.toml").open("a", encoding="utf-8") as manifest:
        manifest.write(f'\n{STORE}argv = ["{{python}}", "-c", "{program}"]\nready = "ready to accept"\n')
    only = ("--faults", 1, "--scenario", "succeeds", "--kinds", "duplicate")
    assert sagafuzz("run", tmp_path / "small.toml", *only) == 1
    for finding in report()["findings"]:
        assert "ready to accept" in Path(f"sagafuzz-report/{finding['id']}.output.txt").read_text(encoding="utf-8")
        assert [note.partition(" wrote")[0] for note in finding["notes"] if " wrote: line" in note] == ["orchestrator"]
        assert not any(note.startswith("db wrote") for note in finding["notes"])


AT_ONE_TIME = """
import pathlib, time
from sagafuzz import worker

def drive(saga):
    running = pathlib.Path({here!r}, f"{{pathlib.Path(worker.folder()).name}}.running")
    running.touch()
    with open({here!r} + "/seen", "a") as seen:
        seen.write(f"{{len([*running.parent.glob('*.running')])}}\\n")
    for step in saga.steps:
        worker.call(saga, step, "do", key=step)
    running.unlink()
    return True

worker.serve(drive)
"""


def test_so_many_cases_run_at_one_time_as_asked(small: Small, tmp_path: Path) -> None:
    small(AT_ONE_TIME.format(here=str(tmp_path)))
    only = ("--faults", 1, "--scenario", "succeeds", "--kinds", "duplicate,delayed-duplicate")
    sagafuzz("run", tmp_path / "small.toml", *only, "--jobs", 1)
    assert set((tmp_path / "seen").read_text().split()) == {"1"}
