"""Every command that is printed runs as it is printed, in the folder in which it was printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ..exercised import AS_PLUGIN, FOLDER

PROJECT = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\ntestpaths = ["tests"]\n',
    "src/shop/__init__.py": "",
    "src/shop/checkout.py": '''
class Checkout:
    """In memory, without keys: wrong in many ways."""

    def __init__(self, call):
        self.call = call

    def place(self, saga):
        self.call("payment.charge", saga=saga, amount=5)
        return True
''',
    "tests/steps.py": """
import sagafuzz

SAGA = sagafuzz.Saga("shop", [sagafuzz.Step("payment", "payment.charge", undo="payment.refund")])
""",
    "tests/saga_adapter.py": """
import sagafuzz
from shop.checkout import Checkout
from steps import SAGA


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()])
class Shop:
    def boot(self, world):
        self.checkout = Checkout(world.call)

    def run(self, order):
        return self.checkout.place(order.id)
""",
    "tests/test_saga.py": """
import pytest
from saga_adapter import Shop


@pytest.mark.saga(Shop, faults=1, random=0)
def test_shop():
    pass
""",
}
"""Code in src/, tests and the adapter in tests/."""

FIXED = '''
from sagafuzz import CallTimeout, Unavailable


class Checkout:
    """Asks until it is answered, each time with the same key."""

    def __init__(self, call):
        self.call = call

    def place(self, saga):
        while True:
            try:
                self.call("payment.charge", saga=saga, key=saga, amount=5)
                return True
            except (CallTimeout, Unavailable):
                continue
'''


@pytest.fixture
def project() -> Path:
    """The project, written into the current folder."""
    return written("")


def written(below: str) -> Path:
    """Write what of the project lies below a folder, all below ""; the current folder."""
    for name, text in PROJECT.items():
        if not name.startswith(below):
            continue
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    return Path.cwd()


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what a shell is given in the current folder, where ``sagafuzz`` and ``pytest`` are those of this Python."""
    programs = Path("bin").absolute()
    if not programs.exists():
        programs.mkdir()
        flags = " ".join(["-p no:cacheprovider -p no:randomly", *AS_PLUGIN])
        for name, words in {"sagafuzz": "sagafuzz", "pytest": f"pytest {flags}"}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {words} "$@"\n', encoding="utf-8")
            (programs / name).chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "PYTEST"))}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["sh", "-c", command],
        env={**inherited, "PATH": path, "PYTHONPATH": FOLDER, "PYTHONSAFEPATH": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def printed(text: str) -> Iterator[str]:
    """The commands in a text, each with the lines to which a backslash leads on."""
    joined = re.sub(r"\\\n", "\\\n\0", text)
    for line in joined.replace("\\\n\0", "\\\0").splitlines():
        found = re.search(r"(?:^|: +|^ +)((?:cd \S+ && )?(?:sagafuzz [a-z]+|pytest)(?: .*)?)$", line)
        if found:
            yield found[1].replace("\\\0", "\\\n")


def assert_each_runs(text: str, expected: Mapping[str, int]) -> None:
    """Each command that is printed is one that is ``expected`` by a word in it, and gives that exit code."""
    commands = list(dict.fromkeys(printed(text)))
    missing = {word for word in expected if not any(word in command for command in commands)}
    assert not missing, (missing, commands, text)
    for command in commands:
        ran = shell(command)
        codes = [code for word, code in expected.items() if word in command]  # the first that fits
        assert [ran.returncode] == codes[:1], (command, ran.stdout[-2_000], ran.stderr[-2_000])


def test_the_commands_of_a_report_run_where_it_was_printed(project: Path) -> None:
    ran = shell("sagafuzz run tests/saga_adapter.py:Shop --faults 1 --random 0")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert_each_runs(ran.stdout, {"sagafuzz replay": 1, "sagafuzz run": 1})


@pytest.mark.parametrize("flags", ["--max-plans 0", "--max-plans 3 --scenario succeeds"])
def test_the_command_of_a_fuzz_run_runs_whenever_it_ended(flags: str) -> None:
    ran = shell(f"sagafuzz fuzz seed --faults 0 {flags}")
    assert ran.returncode in (1, 3), ran.stderr
    assert_each_runs(re.sub(r"reproduce:.*", "", ran.stdout), {"sagafuzz fuzz": ran.returncode})


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["tests", "tests/regressions", "."])
def test_an_emitted_test_runs_in_any_folder_of_the_project(project: Path, folder: str) -> None:
    shell("sagafuzz run tests/saga_adapter.py:Shop --faults 1 --random 0")
    finding = next(path.stem for path in sorted(Path("sagafuzz-report").glob("F-*.json")))
    Path(folder).mkdir(exist_ok=True)
    assert shell(f"sagafuzz replay {finding} --emit-test > {folder}/test_finding.py").returncode == 0
    for start, named in ((".", f"{folder}/test_finding.py"), (folder, "test_finding.py")):
        ran = shell(f"cd {start} && pytest -q {named}")
        assert "AssertionError: F-" in ran.stdout, ran.stdout + ran.stderr
        assert "STILL FAILS" in ran.stdout


def test_an_adapter_of_a_package_of_tests_may_import_from_it(project: Path) -> None:
    Path("tests/__init__.py").touch()
    adapter = Path("tests/saga_adapter.py")
    adapter.write_text(adapter.read_text().replace("from steps", "from .steps"), encoding="utf-8")
    ran = shell("sagafuzz run tests/saga_adapter.py:Shop --faults 0 --random 0")
    assert "no fault was injected" in ran.stdout, ran.stderr


@pytest.mark.parametrize("words", ["init", pytest.param("init 'a shop' --example payment", marks=pytest.mark.slow)])
def test_what_init_says_next_runs(words: str) -> None:
    said = shell(f"sagafuzz {words}").stdout
    commands = [line.partition(": ")[2] for line in said.splitlines() if re.match(r"next: |  or: ", line)]
    assert len(commands) == 2, said
    by_pytest, by_command = commands
    assert shell(f"{by_pytest} --saga-faults 0 --saga-random 3").returncode == 0
    assert shell(f"{by_command} --faults 0 --random 3").returncode == 0  # of an option the last counts


def test_the_commands_of_a_failed_test_run_where_it_failed(project: Path) -> None:
    ran = shell("pytest -q")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert_each_runs(ran.stdout, {"--emit-test": 0, "sagafuzz replay": 1, "sagafuzz run": 1})
    (emitted,) = Path("tests").glob("test_f_*.py")
    assert "STILL FAILS" in shell(f"pytest -q {emitted}").stdout


def test_the_command_of_some_pairs_runs_them_again() -> None:
    searched = "sagafuzz run reference --scenario succeeds --kinds lost-ack,lost-request --random 0 --pairs 5"
    ran = shell(searched)
    assert "about 5 plans with two faults were asked for" in " ".join(ran.stdout.split())
    assert_each_runs(ran.stdout, {"--pairs 5": 0})


def test_locations_are_the_line_of_the_project_that_acted(project: Path) -> None:
    """In the text, in JSON and HTML, for JUnit, GitHub and GitLab: where the code in src/ asks, not the adapter."""
    lines = PROJECT["src/shop/checkout.py"].splitlines()
    line = next(number for number, text in enumerate(lines, 1) if "payment.charge" in text)
    ran = shell("sagafuzz run tests/saga_adapter.py:Shop --faults 1 --random 0", GITHUB_ACTIONS="true")
    place = f"src/shop/checkout.py:{line}"
    report = Path("sagafuzz-report")
    assert place in ran.stdout and place in (report / "report.html").read_text()
    assert f"::error file=src/shop/checkout.py,line={line},title=" in ran.stdout
    assert f'file="src/shop/checkout.py" line="{line}"' in (report / "report.junit.xml").read_text()
    issues = json.loads((report / "report.codequality.json").read_text())
    assert {"path": "src/shop/checkout.py", "lines": {"begin": line}} in [issue["location"] for issue in issues]
    sources = [
        finding["explanation"]["source"] for finding in json.loads((report / "report.json").read_text())["findings"]
    ]
    assert ("src/shop/checkout.py", line) in [(source["file"], source["line"]) for source in sources if source]


@pytest.mark.parametrize("engine", ["plain", "live"])
def test_init_writes_where_pytest_looks_and_says_what_runs_it(engine: str) -> None:
    Path("pyproject.toml").write_text(PROJECT["pyproject.toml"], encoding="utf-8")
    said = shell(f"sagafuzz init --engine {engine}").stdout
    assert Path("tests/test_saga.py").is_file() and not Path("test_saga.py").exists()
    assert "next: pytest tests/test_saga.py\n" in said
    if engine == "plain":
        assert shell("pytest tests/test_saga.py --saga-faults 0 --saga-random 3").returncode == 0
        assert shell("sagafuzz run tests/saga_adapter.py:Shop --faults 0 --random 3").returncode == 0


@pytest.mark.slow
def test_from_init_to_a_red_test_to_the_line_to_green() -> None:
    """A project with its code in src/, tests and adapter in tests/: each command as it is printed."""
    for below in ("pyproject.toml", "src/"):
        written(below)
    said = shell("sagafuzz init")
    assert {"saga_adapter.py", "test_saga.py"} < {path.name for path in Path("tests").iterdir()}
    run = next(line.partition(": ")[2] for line in said.stdout.splitlines() if line.startswith("next: "))
    written("tests/")  # which puts one's own code in the place of the example's
    red = shell(run)
    assert red.returncode == 1
    code = Path("src/shop/checkout.py")
    number = next(n for n, text in enumerate(code.read_text().splitlines(), 1) if "payment.charge" in text)
    assert f"src/shop/checkout.py:{number}" in red.stdout
    replay = next(command for command in printed(red.stdout) if "sagafuzz replay" in command)
    assert "STILL FAILS" in shell(replay).stdout
    code.write_text(FIXED, encoding="utf-8")
    assert "FIXED" in shell(replay).stdout
    green = shell(run)
    assert green.returncode == 0, green.stdout
