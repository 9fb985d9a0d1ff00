"""``sagafuzz init``: something that runs, to start from."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.cli.creating import EXAMPLES, SKELETONS

from ..exercised import AS_PLUGIN, FOLDER
from ..warm import warm
from .conftest import Run

NEEDS = {"live": "uvicorn", "dbos": "dbos"}


def session(*options: str) -> subprocess.CompletedProcess[str]:
    words = warm("pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *AS_PLUGIN, *options)
    environment = {**os.environ, "PYTHONPATH": FOLDER}
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=500, check=False)


def needed(engine: str) -> None:
    if engine in NEEDS and importlib.util.find_spec(NEEDS[engine]) is None:
        pytest.skip(f"{NEEDS[engine]} is not installed: pip install 'sagafuzz[{engine}]'")


def expect_nothing_wrong(ran: subprocess.CompletedProcess[str], engine: str) -> None:
    """It passes; on real processes, where no example injects a fault either, it says that none was injected."""
    if engine == "plain":
        assert ran.returncode == 0, ran.stdout + ran.stderr
        assert "1 passed" in ran.stdout
    else:
        assert "INCONCLUSIVE: no fault was injected" in " ".join(ran.stdout.split()), ran.stdout + ran.stderr


@pytest.mark.parametrize("engine", SKELETONS)
def test_what_it_writes_passes_its_own_test_without_a_fault(sagafuzz: Run, engine: str) -> None:
    needed(engine)
    result = sagafuzz("init", "--engine", engine)
    assert result.code == 0
    assert {path.name for path in Path().iterdir()} == set(SKELETONS[engine].files)
    assert f"sagafuzz run {SKELETONS[engine].adapter}" in result.out
    ran = session("--saga-faults", "0", "--saga-random", "5")
    expect_nothing_wrong(ran, engine)
    assert ("consistent" if engine == "plain" else "inconclusive") in ran.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_passes_its_own_test_without_a_fault(sagafuzz: Run, example: str) -> None:
    result = sagafuzz("init", "--example", example)
    assert result.code == 0
    assert {path.name for path in Path().iterdir()} == set(EXAMPLES[example].files)
    assert f"sagafuzz run {EXAMPLES[example].adapter}" in result.out
    expect_nothing_wrong(session("--saga-faults", "0", "--saga-random", "5"), "plain")


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_each_example_passes_its_own_test(sagafuzz: Run, example: str) -> None:
    assert sagafuzz("init", "--example", example).code == 0
    expect_nothing_wrong(session("--saga-random", "20"), "plain")


WRONG = {
    "payment": (
        "purchase.py",
        '"payment.capture": saga["packed"]',
        '"payment.capture": saga["packed"], "payment.refund": saga["ordered"]',
    ),
    "webhook": ("shop.py", 'key=f"{id}/{operation}", **said', "**said"),
}
"""A mistake that each example's own test finds: more refunded than was captured; a request without a key."""


@pytest.mark.parametrize("example", WRONG)
def test_a_mistake_in_an_example_is_found_by_its_own_test(sagafuzz: Run, example: str) -> None:
    sagafuzz("init", "--example", example)
    name, right, wrong = WRONG[example]
    file = Path(name)
    assert right in file.read_text()
    file.write_text(file.read_text().replace(right, wrong))
    ran = session("--saga-random", "0")
    assert ran.returncode == 1
    assert "VIOLATED" in ran.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_of_a_plain_saga(sagafuzz: Run, example: str) -> None:
    result = sagafuzz("init", "--engine", "live", "--example", example)
    assert result.code == 2
    assert f"write 'sagafuzz init --example {example}' or 'sagafuzz init --engine live'" in result.complaint
    assert not [*Path().iterdir()]


@pytest.mark.parametrize("engine", ["plain", "live"])
def test_its_test_runs_from_a_folder_above_and_whatever_pytest_imports_by(sagafuzz: Run, engine: str) -> None:
    needed(engine)
    Path("pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\n')
    sagafuzz("init", "shop", "--engine", engine)
    ran = session("--saga-faults", "0", "--saga-random", "5", "shop")
    expect_nothing_wrong(ran, engine)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["plain", "live"])
def test_what_it_writes_passes_its_own_test(sagafuzz: Run, engine: str) -> None:
    needed(engine)
    assert sagafuzz("init", "--engine", engine).code == 0
    ran = session("--saga-random", "5")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


@pytest.mark.slow
def test_what_it_writes_survives_two_faults(process: Any) -> None:
    assert process("init", "shop").result().code == 0
    words = ("--faults", 2, "--random", 20, "--scenario", "succeeds")  # 5,000 of the 36,000 plans that there are
    result = process("run", "shop/saga_adapter.py:Shop", *words).result()
    assert result.code == 0
    assert "CONSISTENT" in result.out


def test_nothing_is_overwritten(sagafuzz: Run) -> None:
    Path("checkout.py").write_text("mine")
    result = sagafuzz("init")
    assert result.code == 2
    assert "checkout.py" in result.err
    assert [path.name for path in Path().iterdir()] == ["checkout.py"]
    assert Path("checkout.py").read_text() == "mine"


def test_a_folder_can_be_named(sagafuzz: Run) -> None:
    result = sagafuzz("init", "shop")
    assert "cd shop && pytest" in result.out
    assert Path("shop/saga_adapter.py").exists()


def test_an_engine_says_what_is_to_be_installed(sagafuzz: Run) -> None:
    assert "it needs: pip install 'sagafuzz[dbos,pytest]'" in sagafuzz("init", "--engine", "dbos").out
