"""Each finding in a current version has a script that needs the engine only, and shows what its page says."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sagafuzz.live.presets import found

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "findings"
SCRIPTS = sorted(FOLDER.glob("*.py"))
NEEDS = {  # modules and programs, the exit code, and what is printed in the end
    "celery_lost_task": (("celery", "redis"), "redis-server", 1, "worker 2 ends; charge is PENDING"),
    "celery_saga_lost_update": (("celery_saga", "redis"), "redis-server", 1, "of 10"),
    "dbos_step_again": (("dbos",), "", 0, "the ledger: ['charged', 'charged']"),
    "dtm_parallel_undo_order": ((), "dtm", 1, "inventory/undo is answered with 200"),
    "lra_closing_for_ever": ((), "lra-coordinator", 1, "it asked for /payment/complete; the action is Closing"),
    "moto_late_failure": (("boto3", "moto", "jsonpath_ng", "antlr4"), "", 1, "attempt 3: it is asked for again"),
    "taskflow_failed_task": (("taskflow",), "", 0, "the ledger: ['charged']"),
}
SLOW = set(NEEDS) - {"taskflow_failed_task"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_short_needs_no_sagafuzz_and_is_on_a_page(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert "sagafuzz" not in text
    assert ast.get_docstring(ast.parse(text))
    assert any(f"({script.name})" in page.read_text(encoding="utf-8") for page in FOLDER.glob("*.md"))
    assert script.stem in NEEDS


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in NEEDS])
def test_a_script_shows_it(name: str) -> None:
    modules, program, code, said = NEEDS[name]
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    where = found(program) if program else None
    if missing or (program and where is None):
        pytest.skip(f"not installed: {', '.join([*missing, *([program] if program and where is None else [])])}")
    path = f"{where.parent}:{os.environ['PATH']}" if where is not None else os.environ["PATH"]
    done = subprocess.run(
        [shutil.which(sys.executable) or sys.executable, str(FOLDER / f"{name}.py")],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr[-2000:]
    assert said in done.stdout
