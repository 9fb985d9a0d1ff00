"""A copy of the examples to work in."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .reading import TOP, Shell

LEFT_BEHIND = shutil.ignore_patterns("__pycache__", ".*", "sagafuzz-report")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    source = TOP / "examples"
    if not source.is_dir():
        pytest.skip("the examples are part of the checkout, and this is not one")
    return Path(shutil.copytree(source, tmp_path / "examples", ignore=LEFT_BEHIND))


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, lambda: tuple(capsys.readouterr()))  # type: ignore[arg-type]
