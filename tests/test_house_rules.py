"""What no linter of ours says: one pass over the project's files, each breach as ``path:line: …``."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pytest

from sagafuzz.faults import FAULT_KINDS

TOP = Path(__file__).resolve().parent.parent
CODE = ("harness", "reference_saga", "adapters", "reports")
FOLDERS = (*CODE, "tests", "docs", "examples", "benchmarks", "tools", ".ci")
SUFFIXES = {"", ".py", ".md", ".toml", ".txt", ".sh", ".cfg", ".ini", ".yml", ".yaml"}
PURE = ("harness/simulator/", "harness/invariants/", "reports/")

MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70


class Source(NamedTuple):
    path: str  # from the top of the project, with slashes
    text: str

    def under(self, *prefixes: str) -> bool:
        return self.path.startswith(prefixes)

    @property
    def is_code(self) -> bool:
        return self.path.endswith(".py") and self.under(*(f"{folder}/" for folder in CODE))


Breach = tuple[int, str]
Rule = Callable[[Source, ast.Module | None], Iterator[Breach]]


def no_leftovers(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := re.search(r"\b(TODO|FIXME|XXX)\b", line):
            yield number, f"{found[1]} is banned, use an issue"


def no_machine_paths(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    for number, line in enumerate(source.text.splitlines(), 1):
        found = re.search(r"(?<![\w.$}/-])/(tmp|work|root|home|Users)/", line)
        if found and not (found[1] in ("home", "Users") and source.under("tests/")):  # there, someone's made-up path
            yield number, f"the machine path {found[0]} is banned, use one that starts at the project or tmp_path"


def no_prints(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    if source.is_code and not source.under("harness/cli/"):
        for call in calls(tree):
            if dotted(call.func) == "print":
                yield call.lineno, "print is banned, use a returned value; only harness/cli writes"


IMPURE = {
    "time.time": "the virtual clock",
    "time.monotonic": "the virtual clock",
    "time.perf_counter": "the virtual clock",
    "time.sleep": "the virtual clock",
    "datetime.now": "the virtual clock",
    "datetime.utcnow": "the virtual clock",
    "datetime.today": "the virtual clock",
    "date.today": "the virtual clock",
    "uuid.uuid4": "a number counted up",
    "uuid.uuid1": "a number counted up",
    "os.urandom": "a random.Random(seed)",
    "hash": "hashlib: the builtin differs from process to process",
}


def no_chance_no_clock(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    if not source.under(*PURE) or source.path == "harness/simulator/patches.py":
        return
    for call in calls(tree):
        name = dotted(call.func)
        short = ".".join(name.split(".")[-2:])
        if short in IMPURE:
            yield call.lineno, f"{short} is banned, use {IMPURE[short]}"
        elif name.startswith(("random.", "secrets.")) and name != "random.Random":
            yield call.lineno, f"{name} is banned, use a random.Random(seed)"


def no_second_copy(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top in CODE:
                right = "sagafuzz" if top == "harness" else f"sagafuzz.{top}"
                yield node.lineno, f"import of {name} is banned, use {right}{'.' if rest else ''}{rest}"


def no_long_files(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    count = len(source.text.splitlines())
    if source.is_code and count > MAX_FILE_LINES:
        yield count, f"a file of {count} lines is banned, use two of at most {MAX_FILE_LINES}"


def no_long_functions(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    if not source.is_code or tree is None:
        return
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = (node.end_lineno or node.lineno) - node.lineno + 1
            if count > MAX_FUNCTION_LINES:
                yield (
                    node.lineno,
                    f"{node.name}, a function of {count} lines, is banned, use some of at most {MAX_FUNCTION_LINES}",
                )


PUBLIC = tuple(
    f"harness/{name}.py"
    for name in (
        *("ports", "faults", "fault_kinds", "history", "saga", "scenario", "verdict", "worker", "plain", "versioned"),
        *("live/manifest", "live/manifest_file", "invariants/registry"),
    )
)
"""What users and those who extend sagafuzz read first."""


def no_public_thing_without_words(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    if source.path not in PUBLIC or tree is None:
        return
    todo: list[ast.Module | ast.ClassDef] = [tree]
    while todo:
        for node in todo.pop().body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                if not ast.get_docstring(node):
                    yield node.lineno, f"{node.name} without a docstring is banned, say what it does or returns"
                if isinstance(node, ast.ClassDef):
                    todo.append(node)


def no_kinds_beside_the_table(source: Source, tree: ast.Module | None) -> Iterator[Breach]:
    """Names of kinds of faults stand in the table: a hyphenated one nowhere else, none beside a ``kind`` compared."""
    spared = source.under(
        "reference_saga/", "harness/fault_table.py", "harness/message_kinds.py"
    )  # there a kind is one of records
    if not source.is_code or spared or tree is None:
        return
    compared = {id(word) for node in nodes(tree) if isinstance(node, ast.Compare) for word in beside(node)}
    for node in nodes(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or node.value not in FAULT_KINDS:
            continue
        if "-" in node.value or id(node) in compared:
            yield node.lineno, f"the kind {node.value!r} is banned here, use a column of harness/fault_table.py"


def beside(compare: ast.Compare) -> Iterator[ast.AST]:
    """What stands in a comparison with something that is called a kind."""
    sides = [compare.left, *compare.comparators]
    if any(dotted(side).rpartition(".")[2] == "kind" for side in sides):
        for side in sides:
            yield from ast.walk(side)


RULES: tuple[Rule, ...] = (
    no_leftovers,
    no_machine_paths,
    no_prints,
    no_chance_no_clock,
    no_second_copy,
    no_long_files,
    no_long_functions,
    no_kinds_beside_the_table,
    no_public_thing_without_words,
)


def calls(tree: ast.Module | None) -> Iterator[ast.Call]:
    return (node for node in nodes(tree) if isinstance(node, ast.Call))


@lru_cache(maxsize=1)
def nodes(tree: ast.Module | None) -> list[ast.AST]:
    """All of a tree, walked once for all rules."""
    return list(ast.walk(tree)) if tree else []


def dotted(node: ast.expr) -> str:
    """``a.b.c`` as written; "" for what is no plain name."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def sources() -> Iterator[Source]:
    files = [path for folder in FOLDERS for path in (TOP / folder).rglob("*")]
    files += TOP.glob("*")
    for path in sorted(files):
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(TOP).parts)
        if path.is_file() and path.suffix in SUFFIXES and not hidden and path != Path(__file__):
            yield Source(path.relative_to(TOP).as_posix(), path.read_text(encoding="utf-8"))


def breaches(source: Source) -> list[str]:
    tree = ast.parse(source.text) if source.path.endswith(".py") else None
    return [f"{source.path}:{line}: {what}" for rule in RULES for line, what in rule(source, tree)]


def test_the_house_rules_are_kept() -> None:
    seen = list(sources())
    assert {"harness/saga.py", "reports/__init__.py", "pyproject.toml"} <= {source.path for source in seen}
    found = [breach for source in seen for breach in breaches(source)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("docs/a.md", "one\nTODO two", "docs/a.md:2: TODO is banned, use an issue"),
        ("tools/a.sh", "cd /home/me", "tools/a.sh:1: the machine path /home/ is banned"),
        ("adapters/a.py", "print(1)", "adapters/a.py:1: print is banned"),
        (
            "harness/simulator/a.py",
            "import time\nt = time.time()",
            "a.py:2: time.time is banned, use the virtual",
        ),
        ("harness/invariants/a.py", "datetime.datetime.now()", "a.py:1: datetime.now is banned"),
        ("reports/a.py", "random.choice([1])", "reports/a.py:1: random.choice is banned, use a random.Random(seed)"),
        ("reports/a.py", "hash('x')", "reports/a.py:1: hash is banned"),
        ("tests/a.py", "from harness.saga import Saga", "import of harness.saga is banned, use sagafuzz.saga"),
        ("tests/a.py", "import reports", "import of reports is banned, use sagafuzz.reports"),
        ("harness/a.py", "SLOW = ('late-answer',)", "a.py:1: the kind 'late-answer' is banned here, use a column"),
        ("reports/a.py", "if fault.kind in ('reject', x): y()", "a.py:1: the kind 'reject' is banned here"),
        ("harness/a.py", "x = 1\n" * 601, "harness/a.py:601: a file of 601 lines is banned"),
        ("harness/a.py", "def f():\n" + "    x = 1\n" * 70, "harness/a.py:1: f, a function of 71 lines, is banned"),
        (
            "harness/saga.py",
            'class A:\n    """Words."""\n    def f(self): ...',
            "saga.py:3: f without a docstring is banned",
        ),
    ],
)
def test_a_breach_is_named(path: str, text: str, expected: str) -> None:
    (found,) = breaches(Source(path, text))
    assert expected in found


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("harness/cli/a.py", "print(1)"),
        ("harness/simulator/a.py", "rng = random.Random(1)\nrng.random()\nself.random.choice([1])"),
        ("harness/simulator/patches.py", "time.time()"),
        ("harness/exploration/a.py", "time.monotonic()"),
        ("harness/a.py", '"""Never print(1)."""'),
        ("harness/a.py", "line.kind == 'crash' or operation == 'cancel'"),
        ("harness/fault_table.py", "name='late-answer'"),
        ("harness/saga.py", 'class A:\n    """Words."""\n    def _f(self): ...'),
        ("harness/a.py", "def f(): ..."),
        ("harness/a.py", "from .reports import x\nfrom sagafuzz.adapters import y"),
        ("docs/a.md", "see docs/tmp/a and $HOME/work/b"),
    ],
)
def test_what_is_no_breach(path: str, text: str) -> None:
    assert breaches(Source(path, text)) == []
