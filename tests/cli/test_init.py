"""``sagafuzz init``: something that runs, to start from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def test_what_it_writes_passes_its_own_test_and_a_campaign(sagafuzz: Any) -> None:
    assert sagafuzz("init").code == 0
    assert {path.name for path in Path().iterdir()} == {"checkout.py", "saga_adapter.py", "test_saga.py"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--saga-random", "5"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout
    assert "consistent" in ran.stdout


@pytest.mark.slow
def test_what_it_writes_survives_two_faults(process: Any) -> None:
    assert process("init", "shop").result().code == 0
    result = process("run", "shop/saga_adapter.py:Shop", "--faults", 2, "--random", 20).result()
    assert result.code == 0
    assert "CONSISTENT" in result.out


def test_nothing_is_overwritten(sagafuzz: Any) -> None:
    Path("checkout.py").write_text("mine")
    result = sagafuzz("init")
    assert result.code == 2
    assert "checkout.py" in result.err
    assert [path.name for path in Path().iterdir()] == ["checkout.py"]
    assert Path("checkout.py").read_text() == "mine"


def test_a_folder_can_be_named(sagafuzz: Any) -> None:
    result = sagafuzz("init", "shop")
    assert "cd shop && pytest" in result.out
    assert Path("shop/saga_adapter.py").exists()
