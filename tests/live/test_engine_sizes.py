"""What an adapter of an engine may cost: how many lines its worker and its manifest have at most."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import Final

import pytest

from sagafuzz import adapters

FOLDER: Final = Path(adapters.__file__).resolve().parent
WORKERS: Final = sorted(FOLDER.glob("*_worker.py"))
MANIFESTS: Final = sorted(FOLDER.glob("*.toml"))
DESCRIBED: Final = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
BLANK: Final = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def lines_of(node: ast.stmt) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)


def lines_of_code(text: str) -> int:
    """The lines of a module without blank ones, docstrings, comments and imports."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, DESCRIBED) and ast.get_docstring(node) is not None:
            left_out.update(lines_of(node.body[0]))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            left_out.update(lines_of(node))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    lines = {line for token in tokens if token.type not in BLANK for line in range(token.start[0], token.end[0] + 1)}
    return len(lines - left_out)


def test_lines_are_counted_without_what_says_nothing_of_the_saga() -> None:
    text = '"""About."""\n\nimport os\n\ndef work(\n    it,  # all\n):\n    """Does it."""\n    # well\n    return it\n'
    assert lines_of_code(text) == 4


@pytest.mark.parametrize("worker", WORKERS, ids=lambda path: path.stem)
def test_a_worker_has_fewer_than_40_lines(worker: Path) -> None:
    assert lines_of_code(worker.read_text(encoding="utf-8")) < 40


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.stem)
def test_a_manifest_has_fewer_than_20_lines(manifest: Path) -> None:
    lines = manifest.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip() and not line.startswith("#")]) < 20
