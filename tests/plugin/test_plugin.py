"""The pytest plugin, in sessions of its own."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sagafuzz.exploration.fuzz import EndOfTime

Session = Callable[..., pytest.RunResult]

QUICK = "faults=1, random=0"


plain_and_distributed = pytest.mark.parametrize("processes", [0, 1], ids=["plain", "-n1"])
plain_and_on_two_workers = pytest.mark.parametrize("processes", [0, 2], ids=["plain", "-n2"])

MARKED = """
import sagafuzz.adapters.reference, sagafuzz.adapters.seed

@pytest.mark.saga(sagafuzz.adapters.seed.Seed, faults=1, random=0, scenarios=["succeeds", "declined"])
def test_seed():
    raise RuntimeError("the body is not reached")

@pytest.mark.saga(sagafuzz.adapters.reference.Reference, faults=1, random=2, scenarios="succeeds")
def test_reference(saga):
    assert saga.report.complete

def test_fixture(saga):
    assert saga.check(Calm, faults=1, random=0).verdict == "consistent"
    assert saga.run("adapters_of_shop:Careless", faults=1, random=0).verdict == "violated"
    assert saga.report.adapter == "Careless"
"""


@plain_and_distributed
def test_the_seed_fails_and_the_reference_passes(session: Session, processes: int) -> None:
    result = session(test=MARKED, processes=processes)
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "checkout on seed: VIOLATED",
            "F-*  I1 at most once: duplicate effect",
            "*◀── violation",
            "F-*  I5 leaked effect: *",
            "F-*  I13 zombie: *",
            "report: *test_seed/report.html",
            "sagafuzz replay *F-*.json",
            "sagafuzz run seed --faults 1 --random 0 --seed 0 --scenario succeeds *",
            "*= sagas =*",
            "test *adapter *verdict *plans  findings",
            "test_shop.py::test_fixture *Calm *consistent * none",
            "test_shop.py::test_fixture *Careless *violated * 4: *",
            "test_shop.py::test_reference *reference *consistent * none",
            "test_shop.py::test_seed *seed *violated * *: I1 I5 *I13",
            "FAILED test_shop.py::test_seed - Failed: checkout on seed: VIOLATED",
        ]
    )
    shown = result.stdout.str()
    for word in ("plugin.py", "campaign.py", "Traceback", "the body is not reached"):
        assert word not in shown
    assert shown.count("= sagas =") == 1


def test_a_failure_takes_at_most_60_lines(session: Session) -> None:
    result = session(test='@pytest.mark.saga("seed", faults=1, random=3)\ndef test_seed(): ...\n')
    lines = result.outlines
    first = lines.index("checkout on seed: VIOLATED")
    end = next(number for number, line in enumerate(lines) if "= sagas =" in line)
    assert 30 < end - first <= 60
    assert max(map(len, lines[first:end])) <= 80


def test_where_nobody_says_how_many_faults_it_runs_a_stated_number_of_pairs(session: Session) -> None:
    test = """
@pytest.mark.saga("reference", scenarios="declined", random=0)
def test_few(saga):
    assert saga.report.pairs.ended == "about 300 plans with two faults were asked for"
    assert 300 <= saga.report.pairs.run < 500 < saga.report.pairs.planned
    assert saga.report == saga.run()

def test_none_is_left_where_there_are_few(saga):
    assert saga.run(Calm, random=0).complete

@pytest.mark.saga(Calm, faults=2, random=0)
def test_all(saga):
    assert saga.report.complete
"""
    result = session(test=test)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["left of reference: * plans with two faults * were run, *; faults=2 asks for all of them"]
    )


def test_a_user_declares_an_adapter_in_the_test_module(session: Session) -> None:
    test = """
@sagafuzz.adapter(saga=SAGA, scenarios=ONE)
class Own(Careless):
    pass

@pytest.mark.saga(Own, faults=1, random=0)
def test_own(): ...
"""
    result = session(test=test)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["sagafuzz run test_shop:Own --faults 1 --random 0 --seed 0"])


def test_a_lone_class_is_the_adapter_and_not_what_is_marked(session: Session) -> None:
    result = session("--saga-random=0", test="@pytest.mark.saga(Calm)\ndef test_calm(): ...\n")
    result.assert_outcomes(passed=1)


def test_classes_parameters_and_modules_can_be_marked(session: Session) -> None:
    test = """
pytestmark = pytest.mark.saga(Calm, faults=1, random=0)

def test_of_the_module(saga):
    assert (saga.report.adapter, saga.report.max_faults) == ("Calm", 1)

class TestMethods:
    @pytest.mark.saga(faults=2)
    def test_method(self, saga):
        assert (saga.report.adapter, saga.report.max_faults) == ("Calm", 2)

@pytest.mark.saga(Careless)
class TestCareless:
    def test_inherited(self): ...

@pytest.mark.parametrize("adapter", [
    pytest.param(Calm, marks=pytest.mark.saga(Calm, random=0)),
    pytest.param(Careless, marks=pytest.mark.saga(adapter=Careless)),
])
def test_each(adapter, saga):
    assert saga.report.adapter == adapter.__name__
"""
    result = session("-rA", test=test)
    result.assert_outcomes(passed=3, failed=2)
    result.stdout.fnmatch_lines_random(
        ["FAILED test_shop.py::TestCareless::test_inherited*", "FAILED test_shop.py::test_each?Careless?*"]
    )


def test_the_marker_stands_in_for_what_a_call_leaves_out(session: Session) -> None:
    test = f"""
@pytest.mark.saga(Calm, {QUICK})
def test_again(saga):
    report = saga.run(seed=5)
    assert (report.adapter, report.max_faults, report.random.asked, report.seed) == ("Calm", 1, 0, 5)
    more = saga.run(Careless, scenarios=sagafuzz.Scenario(name="mine", sagas=2), sagas=3)
    assert [(s.scenario.name, s.scenario.sagas) for s in more.scenarios] == [("mine", 3)]
    assert more.command == ""
"""
    session(test=test).assert_outcomes(passed=1)


NUMBERS = """
def test_numbers(saga):
    report = saga.run(Calm, **GIVEN)
    assert (report.max_faults, report.random.asked, report.seed) == EXPECTED
"""


@pytest.mark.parametrize(
    ("given", "ini", "options", "expected"),
    [
        ({"random": 0}, "", [], (2, 0, 0)),
        ({}, "saga_faults = 1\nsaga_random = 3\nsaga_seed = 4", [], (1, 3, 4)),
        ({"faults": 0, "random": 1, "seed": 2}, "saga_faults = 1\nsaga_random = 3\nsaga_seed = 4", [], (0, 1, 2)),
        ({"faults": 0, "random": 1}, "", ["--saga-faults=1", "--saga-random=2", "--saga-seed", "-3"], (1, 2, -3)),
    ],
    ids=["defaults", "ini", "test over ini", "option over test"],
)
def test_where_the_numbers_come_from(
    pytester: pytest.Pytester,
    session: Session,
    given: dict[str, int],
    ini: str,
    options: list[str],
    expected: tuple[int, int, int],
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    test = NUMBERS.replace("GIVEN", repr(given)).replace("EXPECTED", repr(expected))
    session(*options, test=test).assert_outcomes(passed=1)


@pytest.mark.skipif(pytest.version_tuple < (9, 0), reason="pytest before 9 has no TOML of its own")
def test_numbers_in_native_toml(session: Session) -> None:
    Path("pytest.toml").write_text("[pytest]\nsaga_faults = 1\nsaga_random = 0\n")
    session(test=NUMBERS.replace("GIVEN", "{}").replace("EXPECTED", "(1, 0, 0)")).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        (
            "Calm, fault=1",
            "sagafuzz: test_it: @pytest.mark.saga has no argument 'fault' (did you mean 'faults'?); it has *",
        ),
        ("faults=1", "sagafuzz: test_it: @pytest.mark.saga names no adapter; write @pytest.mark.saga(YourAdapter) *"),
        ("Calm, 2", "sagafuzz: test_it: @pytest.mark.saga takes one adapter by position; write the rest by name"),
        ("'refrence', faults=1", "sagafuzz: unknown adapter 'refrence' (did you mean 'reference'?); *"),
        ("Calm, faults=9", "sagafuzz: faults is 9; write a whole number from 0 to 6"),
        ("Calm, faults='2'", "sagafuzz: faults is '2'; write a whole number from 0 to 6"),
        ("Calm, random=-1", "sagafuzz: random is -1; write a whole number, 0 or more"),
        ("Calm, sagas=0", "sagafuzz: sagas is 0; write a whole number from 1 to 8"),
        (
            "Calm, scenarios='succeed'",
            "sagafuzz: adapter 'Calm' has no scenario 'succeed' (did you mean 'succeeds'?); *",
        ),
        ("Undeclared", "sagafuzz: 'Undeclared' is not declared; put @sagafuzz.adapter(saga=...) above the class"),
        ("Wrong, faults=0", "sagafuzz: adapter 'Wrong' calls 'order.destroy', which saga 'shop' does not declare*"),
    ],
)
def test_a_wrong_marker_says_what_to_write(session: Session, marker: str, expected: str) -> None:
    test = f"""
class Undeclared:
    def boot(self, world): ...
    def run(self, order): ...

@sagafuzz.adapter(saga=SAGA, scenarios=ONE)
class Wrong(Calm):
    def run(self, order):
        return self.world.call("order.destroy")

@pytest.mark.saga({marker})
def test_it(): ...
"""
    result = session(test=test)
    assert result.ret == 1
    result.stdout.fnmatch_lines([expected.replace("[", "[[]")])
    assert "plugin.py" not in result.stdout.str()


@pytest.mark.parametrize(
    ("options", "ini", "expected"),
    [
        (["--saga-faults=9"], "", "*--saga-faults is 9; write a whole number from 0 to 6"),
        (["--saga-seed=x"], "", "*--saga-seed is 'x'; write a whole number"),
        ([], "saga_random = many", "ERROR: saga_random in tox.ini: *; write a whole number"),
        ([], "saga_faults = 7", "ERROR: saga_faults in tox.ini is 7; write a whole number from 0 to 6"),
    ],
)
def test_a_wrong_number_ends_the_session(
    pytester: pytest.Pytester, session: Session, options: list[str], ini: str, expected: str
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = session(*options, test="def test_it(): ...\n")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([expected])


def test_the_fixture_without_an_adapter_or_a_report(session: Session) -> None:
    test = "def test_a(saga):\n    saga.check()\n\ndef test_b(saga):\n    saga.report\n"
    result = session(test=test)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["sagafuzz: saga.check names no adapter; *", "sagafuzz: saga.report: no campaign was run *"]
    )


def test_a_test_that_exercised_nothing_fails_and_says_why(session: Session) -> None:
    test = f"""
class AsksNobody(Calm):
    def run(self, order):
        return False

class TakesBack(Calm):
    def run(self, order):
        for operation in ("order.create", "order.cancel"):
            self.world.call(operation, key=order.id)
        return False

def declared(cls, **options):
    return sagafuzz.adapter(saga=SAGA, scenarios=ONE, **{{"cannot_suffer": OTHERS, **options}})(cls)

@pytest.mark.saga(declared(AsksNobody), random=2)
def test_nobody(): ...

def test_never(saga):
    saga.check(declared(TakesBack), {QUICK})

def test_nothing(saga):
    saga.check(declared(Calm, cannot_suffer=FAULT_KINDS), {QUICK})
"""
    result = session(test=test)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "shop on AsksNobody: INCONCLUSIVE: scenario succeeds sent no request: *",
            "shop on TakesBack: INCONCLUSIVE: scenario succeeds never completes, not even*",
            "shop on Calm: INCONCLUSIVE: no fault was injected*",
        ]
    )


def test_what_doctor_knows_is_said_at_the_end_and_fails_no_test(session: Session) -> None:
    test = f"""
LEFT = [0]

class Remembers(Calm):
    def run(self, order):
        LEFT[0] = 0
        done = super().run(order)
        LEFT[0] = 1
        self.world.store.put(order.id, "done", record="terminal")
        return done
    def recover(self):
        if LEFT[0]:
            self.world.call("payment.refund", saga="saga-1", key="saga-1")

others = [kind for kind in OTHERS if not kind.startswith("crash")]
remembers = sagafuzz.adapter(saga=SAGA, scenarios=ONE, cannot_suffer=others)(Remembers)

def test_it(saga):
    assert saga.run(remembers, {QUICK}).advice
"""
    result = session(test=test)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["advice on Remembers: scenario succeeds: recovery is not by durable state alone: *"])


def test_a_campaign_that_proves_nothing_fails_and_says_why(session: Session) -> None:
    test = f"""
import dataclasses, itertools
from sagafuzz.invariants import INVARIANTS

def crash(facts):
    raise RuntimeError("out of order")

def test_inconclusive(saga, monkeypatch):
    monkeypatch.setitem(INVARIANTS, "I4", dataclasses.replace(INVARIANTS["I4"], check=crash))
    saga.check(Calm, {QUICK})

@sagafuzz.adapter(saga=SAGA, scenarios=ONE)
class Whimsical(Calm):
    numbers = itertools.count()
    def run(self, order):
        self.world.call("order.create", number=next(self.numbers))
        return True

@pytest.mark.saga(Whimsical)
def test_not_deterministic(): ...
"""
    result = session(test=test)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "shop on Calm: INCONCLUSIVE: the check of I4 gave up: RuntimeError: out of*",
            "shop on Whimsical: INCONCLUSIVE, INCOMPLETE: the adapter is not deterministic:*",
            "*Whimsical *not deterministic *",
        ]
    )


@plain_and_on_two_workers
def test_the_files_of_each_test_go_into_a_folder_of_its_own(session: Session, processes: int) -> None:
    Path("sub").mkdir()
    Path("sub/test_shop.py").write_text(
        "from adapters_of_shop import *\nimport pytest\n\n"
        "@pytest.mark.parametrize('name', ['a/b', 'a?b'])\ndef test_it(saga, name):\n"
        f"    saga.run(Calm, {QUICK})\n    saga.check(Careless, {QUICK})\n"
    )
    result = session("--saga-report-dir", "found/here", processes=processes)
    result.assert_outcomes(failed=2)
    folders = sorted(Path("found/here/sub/test_shop.py").iterdir())
    assert len(folders) == 4
    for idle, careless in ((folders[0], folders[1]), (folders[2], folders[3])):
        assert careless.name == f"{idle.name}-2"
        assert json.loads((idle / "report.json").read_text())["verdict"] == "consistent"
        assert (careless / "report.md").is_file()
    line = next(line for line in result.outlines if line.startswith("sagafuzz replay "))
    file = Path(line.removeprefix("sagafuzz replay "))
    assert not file.is_absolute()
    assert file.with_suffix(".ndjson").is_file()
    again = subprocess.run(
        [sys.executable, "-m", "sagafuzz", "replay", file], capture_output=True, text=True, check=False, timeout=60
    )
    assert (again.returncode, "Careless: STILL FAILS" in again.stdout) == (1, True), again


def test_a_folder_that_cannot_be_made_fails_the_test(session: Session) -> None:
    Path("taken").write_text("")
    result = session("--saga-report-dir=taken", test=f"def test_it(saga):\n    saga.check(Calm, {QUICK})\n")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["sagafuzz: --saga-report-dir: cannot make the folder *"])


@plain_and_distributed
def test_on_a_ci_server_too_the_report_is_printed_once(
    session: Session, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setenv("CI", "true")  # pytest then cuts no line of its summary
    result = session(test=f"@pytest.mark.saga(Careless, {QUICK})\ndef test_it(): ...\n", processes=processes)
    result.assert_outcomes(failed=1)
    assert result.stdout.str().count("◀── violation") == 1
    result.stdout.fnmatch_lines(
        ["FAILED test_shop.py::test_it - Failed: shop on Careless: VIOLATED", "=*"], consecutive=True
    )


@plain_and_distributed
def test_the_facts_are_in_the_junit_file(session: Session, processes: int) -> None:
    test = f"@pytest.mark.saga(Careless, {QUICK})\ndef test_it(): ...\n"
    session("--junit-xml=junit.xml", test=test, processes=processes)
    (case,) = ET.parse("junit.xml").iter("testcase")
    properties = {entry.get("name"): entry.get("value") or "" for entry in case.iter("property")}
    assert (properties["saga_adapter"], properties["saga_verdict"]) == ("Careless", "violated")
    assert int(properties["saga_plans"]) > 10
    assert properties["saga_findings"].startswith("I1 F-")


def test_an_async_adapter(session: Session) -> None:
    test = """
@sagafuzz.adapter(saga=SAGA, scenarios=ONE)
class Async:
    async def boot(self, world):
        self.world = world

    async def run(self, order):
        import asyncio
        await asyncio.sleep(3600)
        await self.world.call("order.create")
        return True

@pytest.mark.saga(Async, faults=1, random=0)
def test_async(): ...

def test_in_a_running_loop(saga):
    import asyncio
    async def main():
        return saga.run(Async, faults=1, random=0)
    assert asyncio.run(main()).verdict == "violated"
"""
    result = session("-W", "error", test=test)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["F-*  I1 at most once: duplicate effect"])


def test_what_the_code_under_test_prints_is_not_heard_and_the_test_is(session: Session) -> None:
    test = f"""
import logging, sys, warnings

@sagafuzz.adapter(saga=SAGA, scenarios=ONE)
class Loud(Calm):
    def run(self, order):
        print("from the adapter " * 1000)
        sys.stderr.write("from the adapter")
        logging.warning("from the adapter")
        warnings.warn("once from the adapter")
        return 7

@pytest.mark.saga(Calm, {QUICK})
def test_loud(saga, capsys, caplog):
    print("before")
    saga.run(Loud, {QUICK})
    print("after")
    logging.warning("heard")
    assert capsys.readouterr().out == "before\\nafter\\n"
    assert caplog.messages == ["heard"]

def test_fails(saga):
    print("kept by pytest")
    saga.check(Loud, {QUICK})
"""
    result = session(test=test)
    result.assert_outcomes(passed=1, failed=1, warnings=2)
    shown = result.stdout.str()
    assert "kept by pytest" in shown
    assert "from the adapter from the adapter" not in shown


def test_a_warning_is_not_raised_into_the_code_under_test(session: Session) -> None:
    test = f"""
import warnings

@sagafuzz.adapter(saga=SAGA, scenarios=ONE, cannot_suffer=OTHERS)
class Warns(Calm):
    def run(self, order):
        warnings.warn("old", DeprecationWarning)
        return super().run(order)

@pytest.mark.saga(Warns, {QUICK})
def test_warns(): ...
"""
    session("-W", "error", test=test).assert_outcomes(passed=1, warnings=1)


def test_an_expected_failure(session: Session) -> None:
    test = f"@pytest.mark.xfail(strict=True)\n@pytest.mark.saga(Careless, {QUICK})\ndef test_it(): ...\n"
    session(test=test).assert_outcomes(xfailed=1)


def test_a_session_without_sagas_pays_nothing(pytester: pytest.Pytester) -> None:
    Path("test_plain.py").write_text(
        "import sys\n\ndef test_it():\n"
        "    ours = {name for name in sys.modules if name.partition('.')[0] == 'sagafuzz'}\n"
        "    light = {f'sagafuzz.plugin.{name}' for name in ('hooks', 'marking', 'options')}\n"
        "    assert ours == {'sagafuzz', 'sagafuzz.plugin'} | light\n"
        "    heavy = {'hypothesis', 'networkx', 'rich', 'greenlet', 'tabulate', 'jinja2', 'click', 'junitparser'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:randomly", "-p", "no:xdist")
    result.assert_outcomes(passed=1)
    assert "= sagas =" not in result.stdout.str()


PATCHED = """
import pytest
from adapters_of_shop import *
from sagafuzz.exploration import pool

def test_each_process_sees_what_the_test_has_patched(saga, monkeypatch):
    made = []
    monkeypatch.setattr(pool, "AFTER_S", 0)
    give = pool.Processes.give
    monkeypatch.setattr(pool.Processes, "give", lambda crew, *to: made.append(to) or give(crew, *to))
    monkeypatch.setattr(Calm, "run", Careless.run)
    report = saga.run(Calm, faults=2, random=0)
    assert report.verdict == "violated" and made
    monkeypatch.setattr(pool, "AFTER_S", 1_000)
    assert saga.run(Calm, faults=2, random=0) == report
"""


def test_a_campaign_of_several_processes_is_that_of_the_patched_code(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_shop=PATCHED)
    result = pytester.runpytest_subprocess("-p", "no:xdist", "-p", "no:randomly", "--saga-jobs", "2")
    result.assert_outcomes(passed=1)


SHORT = """
@pytest.mark.saga("reference", scenarios="succeeds", faults=2, random=3, max_time=1)
def test_marked(saga):
    assert (saga.report.verdict, saga.report.complete) == ("consistent", False)
    assert saga.report.pairs.ended == "its 1 s were over" and saga.report.pairs.run < saga.report.pairs.planned
"""


def test_a_campaign_ends_with_its_time_and_passes_where_every_single_fault_was_survived(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = itertools.count()

    def by_questions(seconds: float, plans: int, pairs: int | None) -> EndOfTime:
        return EndOfTime(seconds=seconds, asked=plans, passed=lambda: next(asked) / 250)

    monkeypatch.setattr("sagafuzz.plugin.running.end_of_time", by_questions)
    pytester.makepyfile(test_shop="import pytest\n" + SHORT)
    pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:randomly", "--saga-jobs=1").assert_outcomes(passed=1)


def test_ctrl_c_ends_the_session(pytester: pytest.Pytester) -> None:
    Path("test_long.py").write_text(
        "import pathlib, pytest\nfrom sagafuzz.adapters.reference import Reference\n\n"
        "class Own(Reference):\n    def run(self, order):\n        pathlib.Path('begun').mkdir(exist_ok=True)\n"
        "        return super().run(order)\n\n"
        "@pytest.mark.saga(Own, faults=6, random=0)\ndef test_long(): ...\n\n"
        "def test_next():\n    pathlib.Path('next').touch()\n"
    )
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    words = [sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "--saga-report-dir=kept"]
    try:
        session = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    until = time.monotonic() + 60
    while not Path("begun").exists() and time.monotonic() < until:
        time.sleep(0.02)
    session.send_signal(signal.SIGINT)
    out, _ = session.communicate(timeout=60)
    assert session.returncode == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in out
    assert "INCOMPLETE" in out and "report: kept/test_long.py/test_long/report.html" in out
    assert not Path("next").exists()
    (report,) = Path("kept").rglob("report.json")
    assert json.loads(report.read_text())["complete"] is False


def test_the_marker_and_the_options_are_in_the_help(session: Session) -> None:
    assert "@pytest.mark.saga(adapter, *, faults=None, random=100, seed=0, " in session("--markers").stdout.str()
    shown = session("--help").stdout.str()
    for name in (
        "--saga-faults=K",
        "--saga-random=N",
        "--saga-seed=S",
        "--saga-report-dir=DIR",
        "saga_faults (int)",
        "--saga-baseline=FILE",
        "--saga-replay=ID|FILE",
    ):
        assert name in shown


WRONG = """
import sagafuzz.adapters.reference

def test_it(saga):
    report = saga.run(sagafuzz.adapters.reference.Reference, faults=1, random=0, scenarios=["declined"]{asked})
    assert any(cell.kind == "empty-answer" and cell.planned for cell in report.coverage) is {expected}
"""


@pytest.mark.parametrize(
    ("asked", "options", "expected"),
    [("", (), False), (", wrong_answers=True", (), True), ("", ("--saga-wrong-answers",), True)],
)
def test_wrong_answers_are_searched_where_somebody_asks_for_them(
    session: Session, asked: str, options: tuple[str, ...], expected: bool
) -> None:
    session(*options, test=WRONG.format(asked=asked, expected=expected)).assert_outcomes(passed=1)


def test_the_ini_file_asks_for_them(session: Session, pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nsaga_wrong_answers = true\n")
    session(test=WRONG.format(asked="", expected=True)).assert_outcomes(passed=1)


SERVICE = """
import sagafuzz

import shop_of_others
from shop_of_others import create_app

SAGA = sagafuzz.Saga("sale", [sagafuzz.Step("card", "card.charge")])


@sagafuzz.service(saga=SAGA, http={"POST card/charge": "card.charge"}, saga_id="json:sale", code=["shop_of_others"])
class Shop:
    app = staticmethod(create_app)

    def submit(self, order):
        return "POST", "/sales", {"id": order.id}
"""

SHOP_OF_OTHERS = """
from flask import Flask, request
from prometheus_client import Counter
from sqlmodel import Field, SQLModel
import requests

SALES = Counter("sales_of_others", "sales")


class SaleOfOthers(SQLModel, table=True):
    id: str = Field(primary_key=True)


def charge(sale):
    return requests.post("http://card/charge", json={"sale": sale}, headers={"Idempotency-Key": sale}).ok


def sell(sale):
    return 201 if charge(sale) else 409


def create_app():
    app = Flask(__name__)
    app.post("/sales")(lambda: ({}, sell(request.json["id"])))
    return app
"""


def test_after_a_campaign_other_tests_find_the_modules_that_they_imported(
    session: Session, pytester: pytest.Pytester
) -> None:
    pytester.makepyfile(shop_of_others=SHOP_OF_OTHERS, adapter_of_others=SERVICE)
    found = session(
        test="""
import adapter_of_others
import shop_of_others
from prometheus_client import REGISTRY
from sqlmodel import SQLModel
from shop_of_others import SALES, SaleOfOthers, sell


def test_campaign(saga):
    saga.run(adapter_of_others.Shop, faults=0, random=0, scenarios=["succeeds"])


def test_other(monkeypatch):
    monkeypatch.setattr("shop_of_others.charge", lambda sale: True)
    assert sell("a") == 201
    assert adapter_of_others.create_app is shop_of_others.create_app
    assert SQLModel.metadata.tables["saleofothers"] is SaleOfOthers.__table__
    SALES.inc()
    assert REGISTRY.get_sample_value("sales_of_others_total") == 1
"""
    )
    found.assert_outcomes(passed=2)
