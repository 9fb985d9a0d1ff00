"""Every command that is printed runs as it is printed, in the folder in which it was printed."""

from __future__ import annotations

import ast
import html
import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import metadata
from pathlib import Path

import pytest

from sagafuzz.cli.creating import SKELETONS
from sagafuzz.cli.main import PLACES
from sagafuzz.errors import UsageError
from sagafuzz.importing import EXTRAS
from sagafuzz.loading import load

from ..exercised import AS_PLUGIN, FOLDER
from ..warm import warm

TOP = Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "examples"

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
        flags = ["-p", "no:cacheprovider", "-p", "no:randomly", *AS_PLUGIN]
        for name, words in {"sagafuzz": [], "pytest": flags}.items():
            started = shlex.join(warm(name, *words))
            (programs / name).write_text(f'#!/bin/sh\nexec {started} "$@"\n', encoding="utf-8")
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


# -- what else prints commands -----------------------------------------------------------------

INTERRUPTED = """
import signal
from pathlib import Path
from sagafuzz.adapters.seed import Seed


class Counting(Seed):  # presses Ctrl-C in its 8th run, once
    runs = 0

    def run(self, order):
        Counting.runs += 1
        if Counting.runs == 8 and not Path("pressed").exists():
            Path("pressed").mkdir()
            signal.raise_signal(signal.SIGINT)
        return super().run(order)
"""
SEARCH = "--scenario succeeds --kinds lost-ack,lost-request,crash-after-effect"
BRIEF = "--scenario succeeds --kinds lost-ack --faults 1 --random 0"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (f"run {SEARCH} --faults 1 --random 0 --report-dir 'a report' counting.py:Counting", 1),
        (f"run {SEARCH} --faults 1 --random 0 --baseline known.toml counting.py:Counting", 0),
        (f"run {SEARCH} --faults 1 --random 0 --shard 1/2 counting.py:Counting", 1),
        (f"fuzz {SEARCH} --max-plans 20 counting.py:Counting", 1),
        (f"compare {SEARCH} --faults 1 --random 0 counting.py:Counting reference", 1),
    ],
    ids=["run", "baseline", "shard", "fuzz", "compare"],
)
def test_the_command_that_goes_on_ends_as_if_nobody_had_interrupted(words: str, code: int) -> None:
    Path("counting.py").write_text(INTERRUPTED, encoding="utf-8")
    Path("pressed").mkdir()
    shell(f"sagafuzz run {SEARCH} --faults 1 --random 0 counting.py:Counting --report-dir before")
    Path("pressed").rmdir()
    ids = [json.loads(file.read_text())["id"] for file in Path("before").glob("F-*.json")]
    known = [f'[[known]]\nid = "{id}"\nreason = "for now"\n' for id in ids]
    Path("known.toml").write_text("\n".join(known), encoding="utf-8")
    interrupted = shell(f"sagafuzz {words} --jobs 1")
    assert interrupted.returncode == 130, interrupted.stderr
    (go_on,) = [line for line in printed(interrupted.stdout) if "--resume" in line]
    resumed = shell(go_on)
    assert resumed.returncode == code, resumed.stdout + resumed.stderr
    assert "INCOMPLETE" not in resumed.stdout


def test_the_commands_in_the_files_of_a_report_run_where_the_search_did(project: Path) -> None:
    ran = shell(
        "sagafuzz run tests/saga_adapter.py:Shop --faults 1 --random 0 --report-dir kept", GITHUB_ACTIONS="true"
    )
    folder = Path("kept")
    page = re.sub(r"<(?!/?code)[^>]*>", "", (folder / "report.html").read_text())
    said = {
        "report.md": (folder / "report.md").read_text(),
        "report.html": html.unescape(re.sub(r"</?code>", "\n", page)),
        "report.junit.xml": re.sub(r"<[^>]*>", "\n", (folder / "report.junit.xml").read_text()),
        "report.codequality.json": re.sub(r"[()]", "\n", (folder / "report.codequality.json").read_text()),
        "annotations": re.sub(r"[()]", "\n", ran.stdout.partition("::error")[2]),
    }
    found = {name: [line for line in printed(text) if "replay" in line][:1] for name, text in said.items()}
    assert all(found.values()), found
    for command in dict.fromkeys(command for commands in found.values() for command in commands):
        assert "STILL FAILS" in shell(command).stdout, command
    (again,) = set(printed(said["report.html"])) & set(printed(ran.stdout)) - {*found["report.html"]}
    assert shell(again).returncode == 1


def test_the_commands_of_a_comparison_run() -> None:
    """They stand in the reports of its systems."""
    assert shell(f"sagafuzz compare seed reference {BRIEF}").returncode == 1
    said = Path("sagafuzz-report/seed/report.md").read_text()
    (replay, *_) = [command for command in printed(said) if "replay" in command]
    assert "STILL FAILS" in shell(replay).stdout


def test_the_commands_of_a_merged_report_and_of_one_made_again_run() -> None:
    for number in (1, 2):
        shell(f"sagafuzz run seed {BRIEF} --shard {number}/2 --report-dir s{number}")
    merged = shell("sagafuzz merge s1 s2 --report-dir whole")
    assert merged.returncode == 1, merged.stderr
    made_again = shell("sagafuzz report whole --report-dir copy")
    assert_each_runs(merged.stdout + made_again.stdout, {"replay whole/": 1, "replay copy/": 1, "sagafuzz run": 1})


def test_the_command_of_a_judged_record_runs() -> None:
    rows = ("order", "inventory", "payment", "payment")
    ledger = [f"1,1.{at},{step},1/{at}" for at, step in enumerate(rows)]
    Path("the ledger.csv").write_text("\n".join(["id,time,step,key", *ledger, ""]), encoding="utf-8")
    ran = shell("sagafuzz check 'the ledger.csv' --saga seed --columns saga=id --at-rest")
    assert ran.returncode == 1, ran.stderr
    assert_each_runs(ran.stdout, {"sagafuzz check": 1})


def test_the_commands_of_a_search_of_real_processes_run() -> None:
    shutil.copytree(EXAMPLES / "live" / "python", "workers")
    ran = shell(f"sagafuzz run workers/naive.toml {BRIEF}")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert_each_runs(ran.stdout, {"sagafuzz replay": 1, "sagafuzz run": 1})


def test_the_command_for_a_manifest_that_was_to_be_simulated_runs() -> None:
    shutil.copytree(EXAMPLES / "live" / "python", "the workers")
    with pytest.raises(UsageError, match="real processes") as refused:
        load("the workers/naive.toml").factory()
    (command,) = printed(str(refused.value).replace("; ", "\n"))
    ran = shell(f"{command} --scenario succeeds --faults 0")
    assert "no fault was injected" in ran.stdout, ran.stderr


def test_the_commands_with_a_baseline_judge_by_it_again() -> None:
    searched = f"sagafuzz run seed {BRIEF}"
    shell(searched)
    known = [f'[[known]]\nid = "{file.stem}"\nreason = "so"\n' for file in Path("sagafuzz-report").glob("F-*.json")]
    Path("what is known.toml").write_text("\n".join(known), encoding="utf-8")
    ran = shell(f"{searched} --baseline 'what is known.toml'")
    assert ran.returncode == 0
    assert_each_runs(ran.stdout, {"sagafuzz replay": 1, "sagafuzz run": 0})


def test_a_finding_on_what_only_the_tests_know_is_replayed_by_them(project: Path) -> None:
    Path("tests/test_saga.py").write_text(
        "import sagafuzz\nfrom saga_adapter import Shop as Base\nfrom steps import SAGA\n\n"
        "def test_local(saga):\n"
        "    @sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()])\n"
        "    class Shop(Base): ...\n"
        "    saga.check(Shop, faults=1, random=0)\n",
        encoding="utf-8",
    )
    ran = shell("pytest -q --saga-report-dir kept")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert [command.split()[:2] for command in printed(ran.stdout)] == [["pytest", "--saga-replay"]]


def test_what_init_advises_can_be_typed() -> None:
    refused = shell("sagafuzz init --engine live --example payment").stderr
    for folder, command in enumerate(re.findall(r"'(sagafuzz [^']*)'", refused)):
        ran = shell(f"{command} into-{folder}")
        assert ran.returncode == 0, (command, ran.stderr)
        assert any(Path(f"into-{folder}").iterdir())


def test_what_init_says_of_an_app_runs() -> None:
    shutil.copytree(EXAMPLES / "service", "service", ignore=shutil.ignore_patterns("*_adapter.py"))
    said = shell("cd service && sagafuzz init --app tours.app:create_app")
    commands = list(printed(said.stdout))
    assert len(commands) == 1, said.stdout + said.stderr
    ran = shell(f"cd service && {commands[0]} --faults 0 --random 0")
    assert ran.returncode in (0, 1, 3), ran.stderr


def test_what_the_help_says_to_try_runs() -> None:
    tried, _, start = re.findall(r"(?m)^ *(?:Try it|Your own|A start): +(.*)", shell("sagafuzz --help").stdout)
    assert shell(f"{tried} --scenario declined --random 0").returncode == 1
    (plan,) = re.findall(r"(?m)^ +(sagafuzz run .*--plan.*)", shell("sagafuzz run --help").stdout)
    assert shell(plan).returncode == 1
    assert shell(start).returncode == 0


def test_what_is_said_of_the_configuration_runs() -> None:
    Path("pyproject.toml").write_text("[tool.sagafuzz]\nfalts = 1\n", encoding="utf-8")
    refused = shell("sagafuzz run seed")
    (command,) = re.findall(r"'(sagafuzz [^']*)'", refused.stderr)
    Path("pyproject.toml").unlink()
    assert shell(command).returncode == 0


def test_each_extra_that_is_told_to_install_is_one() -> None:
    named = {
        extra for text in literals().values() for words in text for extra in re.findall(r"sagafuzz\[([\w,-]+)", words)
    }
    told = {extra for extras in named for extra in extras.split(",")} | {
        *EXTRAS.values(),
        "service-redis",
        "service-sqs",
    }
    told |= {extra for skeleton in SKELETONS.values() for extra in skeleton.extra.split(",") if extra}
    assert told <= set(metadata("sagafuzz").get_all("Provides-Extra") or ())


RUN_BY = {
    "harness/commands.py: sagafuzz …": test_the_commands_of_a_report_run_where_it_was_printed,
    "harness/cli/campaigns.py: sagafuzz …": test_the_command_that_goes_on_ends_as_if_nobody_had_interrupted,
    "harness/cli/campaigns.py: command_line()": test_the_command_of_some_pairs_runs_them_again,
    "harness/cli/fuzzing.py: command_line()": test_the_command_of_a_fuzz_run_runs_whenever_it_ended,
    "harness/plugin/running.py: command_line()": test_the_commands_of_a_failed_test_run_where_it_failed,
    "harness/plugin/running.py: {} --emit-test": test_the_commands_of_a_failed_test_run_where_it_failed,
    "harness/cli/concluding.py: {} --baseline {}": test_the_commands_with_a_baseline_judge_by_it_again,
    "harness/cli/checking.py: sagafuzz …": test_the_command_of_a_judged_record_runs,
    "reports/facts.py: sagafuzz replay": test_the_commands_in_the_files_of_a_report_run_where_the_search_did,
    "reports/facts.py: pytest --saga-replay": test_a_finding_on_what_only_the_tests_know_is_replayed_by_them,
    "harness/live/manifest.py: sagafuzz run {}": test_the_command_for_a_manifest_that_was_to_be_simulated_runs,
    "harness/cli/creating.py: sagafuzz run {} --faults 1": test_what_init_says_of_an_app_runs,
    "harness/cli/creating.py: sagafuzz run {} --faults 2": test_what_init_says_next_runs,
    "harness/cli/creating.py: sagafuzz init --example {}": test_what_init_advises_can_be_typed,
    "harness/cli/creating.py: sagafuzz init --engine {}": test_what_init_advises_can_be_typed,
    "harness/cli/configuration.py: sagafuzz config show": test_what_is_said_of_the_configuration_runs,
    "harness/cli/searching.py: {} --max-plans {}": test_the_command_of_a_fuzz_run_runs_whenever_it_ended,
    "harness/cli/creating.py: pytest {}": test_init_writes_where_pytest_looks_and_says_what_runs_it,
    "harness/cli/creating.py: {}pytest": test_what_init_says_next_runs,
}
"""Each command in the code's own text, and the test that runs it."""

CODE = ("harness", "reports", "adapters", "reference_saga")
COMMAND = re.compile(
    rf"(?:\bsagafuzz (?:{'|'.join(PLACES)})\b|\bpytest (?=-|\{{)|\{{\}}pytest|^\{{\}} (?=--\w))[^'\"`;()\n]*"
)  # and what begins with a command that is put in and goes on with an option


@cache
def literals() -> dict[str, list[str]]:
    """The texts in the code of each file, docstrings left out, with {} for what is put into them; templates whole."""
    found = {}
    for file in sorted(file for folder in CODE for file in (TOP / folder).rglob("*") if file.is_file()):
        name = str(file.relative_to(TOP))
        if file.suffix == ".py":
            found[name] = list(_texts(ast.parse(file.read_text(encoding="utf-8"))))
        elif file.suffix in (".j2", ".txt", ".js"):
            found[name] = [file.read_text(encoding="utf-8")]
    return found


def _texts(tree: ast.Module) -> Iterator[str]:
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    apart = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        match node:
            case ast.JoinedStr():
                yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            case ast.Constant(value=str(text)) if id(node) not in parts | apart:
                yield text
            case ast.List(elts=[ast.Constant(value="sagafuzz"), *_]):
                yield "sagafuzz …"
            case ast.Call(func=ast.Name(id="command_line")):
                yield "command_line()"


def test_each_command_that_the_code_can_print_is_run_by_a_test_here() -> None:
    """A command without its arguments is named in backticks: nobody would copy it. Another needs a row in `RUN_BY`."""
    commands = {
        f"{file}: {found.strip()}"
        for file, texts in literals().items()
        for text in texts
        for found in (
            [text] if text in ("sagafuzz …", "command_line()") else COMMAND.findall(re.sub(r"`[^`\n]*`", "", text))
        )
    }
    assert commands == RUN_BY.keys()
