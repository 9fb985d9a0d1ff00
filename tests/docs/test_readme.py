"""What the README shows is so: the adapter and the test run, the commands exist, the picture is a real one."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from .reading import TOP, Shell, fences

README = TOP / "README.md"

pytestmark = pytest.mark.skipif(not README.is_file(), reason="the README is part of the checkout, and this is not one")


def blocks(language: str) -> list[str]:
    return [fence.text for fence in fences(README.read_text(encoding="utf-8")) if fence.language == language]


def test_the_adapter_and_the_test_work_with_a_checkout(
    examples: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in {"shop", "shop_adapter"}]:
        monkeypatch.delitem(sys.modules, name)  # of another test, which had a shop of its own
    adapter, test = blocks("python")
    shop = shell.folder / "shop"
    shop.mkdir()
    shutil.copy(examples / "first_saga" / "checkout_fixed.py", shop / "checkout.py")
    (shell.folder / "shop_adapter.py").write_text(adapter, encoding="utf-8")
    (shell.folder / "test_shop.py").write_text(test, encoding="utf-8")

    (command,) = (block.strip() for block in blocks("") if block.startswith("sagafuzz "))
    assert "CONSISTENT" in shell.do(f"{command} --faults 1 --random 0")  # the last --faults counts: this is quicker
    assert shell.code == 0
    assert "1 passed" in shell.do("pytest test_shop.py --saga-faults 1 --saga-random 10")


def test_an_adapter_and_its_saga_take_few_lines() -> None:
    adapter, _ = blocks("python")
    own = [line for line in adapter.splitlines() if line.strip() and not line.startswith(("import", "from"))]
    assert len(own) < 15


def test_the_picture_is_in_the_report_of_the_seed(shell: Shell) -> None:
    (picture,) = (block for block in blocks("") if block.startswith("F-"))
    report = shell.do("sagafuzz run seed --faults 1 --random 0 --scenario succeeds").splitlines()
    lines = {line.rstrip() for line in report}
    assert [line for line in picture.splitlines() if line.rstrip() not in lines] == []


def test_the_commands_of_make_exist() -> None:
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    (block,) = (block for block in blocks("") if block.startswith("make "))
    named = re.findall(r"^make (\S+)", block, re.MULTILINE)
    assert named == ["demo", "test"]
    for target in named:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
