"""Names, payloads and errors that mean harm do nothing in whatever the command line and the plugin write."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.reports import COMPARISONS, REPORTS, SCHEDULES
from sagafuzz.reports.to_html import viewer

from ..warm import warm
from .conftest import Run

ADAPTER = r"""
import sagafuzz

EVIL = '\x1b[31mred\x1b[0m\r\n::error ::x\n# h\n<script>alert(1)</script><b onclick="x">| `y` @me \u202e' + "A" * 10_000
STEPS = [
    sagafuzz.Step("one " + EVIL, f"shop {EVIL}.create {EVIL}", undo=f"shop {EVIL}.cancel {EVIL}"),
    sagafuzz.Step("two " + EVIL, "payment.charge", undo="payment.refund"),
]
SCENARIO = sagafuzz.Scenario(name=EVIL, about=EVIL, items=(EVIL,), accounts=(EVIL,))


@sagafuzz.adapter(saga=sagafuzz.Saga(EVIL, STEPS), name=EVIL, scenarios=[SCENARIO])
class Evil:
    __doc__ = EVIL

    def boot(self, world):
        self.world = world

    def run(self, order):
        self.world.store.put(EVIL, EVIL, record=EVIL, saga=order.id, step="one " + EVIL)
        self.world.call(STEPS[0].operation, saga=order.id, **{EVIL: EVIL, "note": EVIL})
        try:
            self.world.call("payment.charge", saga=order.id, amount=100, account=EVIL)
        except sagafuzz.CallTimeout:
            raise RuntimeError(EVIL)
        self.world.alert(order.id, step=EVIL, reason=EVIL)
        self.world.dead_letter(order.id, step=EVIL, reason=EVIL)
        return EVIL


@sagafuzz.adapter(saga=sagafuzz.Saga(EVIL, STEPS), name=EVIL, scenarios=[SCENARIO])
class Unsteady(Evil):
    numbers = iter(range(10_000))

    def run(self, order):
        return f"{next(self.numbers)} {EVIL}"
"""

TEST = """
import pytest
from evil import EVIL, Evil

@pytest.mark.saga(Evil, faults=1, random=0)
def test_marked(): ...

def test_refused(saga):
    saga.check(Evil, scenarios=f"no {EVIL}")
"""

SEARCH = ("--faults", 1, "--random", 2)
WHOLE = (".ndjson", ".sqlite", "F-")
"""Files that keep names as long as they are, to be run again."""


def acting(name: str, text: str, *, whole: bool = False) -> Iterator[str]:
    """What in an output is not inert."""
    if found := {char for char in text if not char.isprintable() and char not in "\n\t"}:
        yield f"{name}: {sorted(map(ascii, found))}"
    for line in text.splitlines():
        if line.startswith(("::error ::x", "# h")):
            yield f"{name}: a line of its own: {line[:80]}"
    if not whole and "A" * 2_500 in text:
        yield f"{name}: a name of 10 kB"
    if name.endswith((".html", ".md")):
        prose = re.sub(r"(?ms)^(`{3,})text\n.*?\n\1$", "", text)
        prose = prose.replace(f"<script>{viewer()['script']}</script>", "", 1)  # our own
        if "<script" in prose or "<b " in prose:
            yield f"{name}: markup"


@pytest.fixture
def evil(sagafuzz: Run, monkeypatch: pytest.MonkeyPatch, searched: Path) -> Path:
    """The folder of a campaign on an adapter whose every name means harm; it is made once."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    if any(searched.iterdir()):
        shutil.copytree(searched, Path.cwd(), dirs_exist_ok=True)
        return Path("sagafuzz-report")
    Path("evil.py").write_text(ADAPTER, encoding="utf-8")
    result = sagafuzz("run", "evil.py:Evil", *SEARCH)
    assert result.code == 1
    assert list(acting("run", result.out + result.err)) == []
    assert re.search(r"(?m)^::error ", result.out)  # the annotations are ours
    shutil.copytree(Path.cwd(), searched, dirs_exist_ok=True)
    return Path("sagafuzz-report")


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the folder of that campaign is kept."""
    return tmp_path_factory.mktemp("evil")


def test_every_file_is_inert(evil: Path) -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in evil.iterdir() if "sqlite" not in path.name}
    assert {output.file for output in REPORTS.values() if output.file} < set(files)
    files["summary.md"] = Path("summary.md").read_text(encoding="utf-8")
    kept = [ill for name, text in files.items() for ill in acting(name, text, whole=any(w in name for w in WHOLE))]
    assert kept == []
    for name in (name for name in files if name.endswith(".json")):
        json.loads(files[name])


def test_every_form_of_a_schedule_is_inert(sagafuzz: Run, evil: Path) -> None:
    file = min(evil.glob("F-*.json"))
    plain = sagafuzz("replay", file)
    assert "STILL FAILS" in plain.out
    shown = {"replay": plain.out, **{form: sagafuzz("replay", file, "--as", form).out for form in SCHEDULES}}
    assert all(shown.values())
    ills = [ill for name, text in shown.items() for ill in acting(name, text, whole=name == "ndjson")]
    assert ills == []


def test_an_emitted_test_is_one_that_runs(sagafuzz: Run, evil: Path) -> None:
    text = sagafuzz("replay", min(evil.glob("F-*.json")), "--emit-test").out
    assert list(acting("test", text, whole=True)) == []
    names = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert len(names) == 1
    known: dict[str, Any] = {}
    exec(compile(text, "emitted", "exec"), known)
    with pytest.raises(AssertionError, match="STILL FAILS") as failed:
        known[names[0]]()
    assert list(acting("assertion", str(failed.value))) == []


def test_every_other_command_is_inert(sagafuzz: Run, evil: Path) -> None:
    name = ADAPTER.partition("EVIL = ")[2].partition("\n")[0]
    text = eval(name)
    Path("known.toml").write_text(f"[[known]]\nid = 'F-gone1'\nreason = {json.dumps(text)}\n", encoding="utf-8")
    calls: dict[str, tuple[object, ...]] = {
        "report": ("report", evil, "--report-dir", "again"),
        "compare": ("compare", "evil.py:Evil", "evil.py:Unsteady", *SEARCH, "--report-dir", "both"),
        "diff": ("diff", evil, "again"),
        "doctor": ("doctor", "evil.py:Evil"),
        "doctor of one that is not deterministic": ("doctor", "evil.py:Unsteady"),
        "run with a baseline": ("run", "evil.py:Evil", *SEARCH, "--baseline", "known.toml", "--report-dir", "third"),
        "explain": ("explain", text),
        "no such command": (text,),
        "no such option": ("run", f"--{text}"),
        "no such adapter": ("run", text),
        "no such attribute": ("run", f"evil.py:{text}"),
        "no such scenario": ("run", "evil.py:Evil", "--scenario", f"no {text}"),
        "no such kind": ("run", "evil.py:Evil", "--kinds", text),
        "no such file": ("replay", text),
        "no such mutant": ("zoo", text),
        "no such baseline": ("run", "evil.py:Evil", "--baseline", text),
    }
    for called, arguments in calls.items():
        result = sagafuzz(*arguments)
        assert result.code in (0, 1, 2, 3, 4), (called, result.err)
        assert list(acting(called, result.out)) == []
        assert list(acting(called, result.err)) == []
        assert called.startswith(("report", "compare", "diff", "doctor", "run")) or result.err.count("\n") == 1
    for output in COMPARISONS.values():
        if output.file:
            assert list(acting(output.file, Path("both", output.file).read_text(encoding="utf-8"))) == []


def test_the_plugin_is_inert(evil: Path) -> None:
    Path("test_evil.py").write_text(TEST, encoding="utf-8")
    words = ["-p", "no:cacheprovider", "-p", "no:randomly", "--saga-report-dir=kept", "--junit-xml=junit.xml"]
    ran = subprocess.run(warm("pytest", *words), capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 1
    assert "VIOLATED" in ran.stdout and "sagafuzz: adapter " in ran.stdout
    assert list(acting("pytest", ran.stdout + ran.stderr)) == []
    assert list(acting("junit.xml", Path("junit.xml").read_text(encoding="utf-8"))) == []
