"""The page on a new engine, followed in an empty directory: its files, its repair, its commands and what they print."""

from __future__ import annotations

import pytest

from .reading import TOP, Fence, Shell, commands, fences, shows

PAGE = TOP / "docs" / "new-engine.md"

pytestmark = [
    pytest.mark.skipif(not PAGE.is_file(), reason="the page is part of the checkout, and this is not one"),
    pytest.mark.slow,
]


def test_each_step_of_the_page(shell: Shell) -> None:
    pytest.importorskip("dbos", reason="the page needs: pip install 'sagafuzz[live,dbos]'")
    for fence in fences(PAGE.read_text(encoding="utf-8")):
        DOES[fence.language](fence, shell)
    assert {path.name for path in shell.folder.iterdir()} == {"shop.toml", "shop_worker.py", "sagafuzz-report"}


def file(fence: Fence, shell: Shell) -> None:
    assert fence.file, f"new-engine.md:{fence.line}: a file without a name"
    (shell.folder / fence.file).write_text(fence.text, encoding="utf-8")


def repair(fence: Fence, shell: Shell) -> None:
    before, after = (line[1:] for line in fence.text.splitlines())
    program = (shell.folder / "shop_worker.py").read_text(encoding="utf-8")
    assert program.count(before) == 1
    (shell.folder / "shop_worker.py").write_text(program.replace(before, after), encoding="utf-8")


def console(fence: Fence, shell: Shell) -> None:
    for command in commands(fence):
        if command.words.startswith("pip "):
            continue
        got = shell.do(command.words)
        where = f"new-engine.md:{command.line}: {command.words}"
        assert shows(command.shown, got), f"{where}\n--- shown\n{command.shown}\n--- got\n{got}"


DOES = {"toml": file, "python": file, "diff": repair, "console": console}
