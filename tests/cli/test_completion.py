"""A shell asks for completions as the script that is printed for it does."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sagafuzz.adapters import BUILT_IN

from .conftest import Run


def completions(process: Any, *words: str) -> list[str]:
    """What bash is answered when the last of ``words`` is to be completed."""
    asked = {
        "_SAGAFUZZ_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(("sagafuzz", *words)),
        "COMP_CWORD": str(len(words)),
    }
    result = process(**asked).result()
    assert result.code == 0, result
    return [line.partition(",")[2] for line in result.out.splitlines()]


def test_commands_options_adapters_and_codes_are_completed(process: Any) -> None:
    assert {"compare", "completion", "config"} <= set(completions(process, "co"))
    assert completions(process, "run", "--rep") == ["--report-dir"]
    references = sorted(name for name in BUILT_IN if name.startswith("ref"))
    assert sorted(completions(process, "run", "ref")) == references != []
    assert completions(process, "explain", "lost-a") == ["lost-ack"]
    assert completions(process, "config", "") == ["show"]


def test_findings_are_completed_from_the_reports_that_are_here(process: Any) -> None:
    Path("sagafuzz-report").mkdir()
    Path("sagafuzz-report/F-abcde.json").write_text("{}")
    assert completions(process, "replay", "F-") == ["F-abcde"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_script(sagafuzz: Run, shell: str) -> None:
    result = sagafuzz("completion", shell)
    assert result.code == 0
    assert f"_SAGAFUZZ_COMPLETE={shell}_complete" in result.out
    if program := shutil.which(shell):
        checked = subprocess.run([program, "-n"], input=result.out, text=True, capture_output=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_bash_runs_the_function_that_it_was_given(sagafuzz: Run, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash")
    command = tmp_path / "sagafuzz"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m sagafuzz "$@"\n')
    command.chmod(0o755)
    script = sagafuzz("completion", "bash").out + (
        f"PATH={tmp_path}:$PATH\nCOMP_WORDS=(sagafuzz doc)\nCOMP_CWORD=1\n"
        '_sagafuzz_completion sagafuzz\necho "${COMPREPLY[@]}"\n'
    )
    ran = subprocess.run([bash, "-c", script], capture_output=True, text=True, check=False, timeout=100)
    assert (ran.stdout, ran.returncode) == ("doctor\n", 0), ran.stderr
