"""The guide, from its first command to its last: what it shows is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from .reading import TOP, Command, Fence, Shell, commands, fences, shows, visiting

GUIDE = TOP / "docs" / "guide.md"

pytestmark = pytest.mark.skipif(not GUIDE.is_file(), reason="the guide is part of the checkout, and this is not one")


@pytest.mark.slow
def test_each_step_of_the_guide(examples: Path, shell: Shell) -> None:
    shell.folder = examples / "first_saga"
    known: dict[str, object] = {}
    for fence in fences(GUIDE.read_text(encoding="utf-8")):
        if fence.language == "python":
            program(fence, shell, known)
        elif fence.language == "console":
            for command in commands(fence):
                compare(command, shell.do(command.words))
        else:
            pytest.fail(f"guide.md:{fence.line}: a block of {fence.language!r}, which nothing runs")


def program(fence: Fence, shell: Shell, known: dict[str, object]) -> None:
    """Write a file, or run what is no file. Both must be whole programs."""
    code = compile(fence.text, f"guide.md:{fence.line}", "exec")
    if fence.file:
        target = shell.folder / fence.file
        assert not target.exists(), f"guide.md:{fence.line}: {fence.file} is there already"
        target.write_text(fence.text, encoding="utf-8")
    else:
        with visiting(shell.folder):
            exec(code, known)


def compare(command: Command, got: str) -> None:
    if command.shown:
        assert shows(command.shown, got), (
            f"guide.md:{command.line}: {command.words}\n--- shown\n{command.shown}\n--- got\n{got}"
        )


def test_the_guide_tells_the_saga_of_the_example() -> None:
    """Its first program is the example's adapter, set in another way."""
    shown = next(fence.text for fence in fences(GUIDE.read_text(encoding="utf-8")) if fence.language == "python")
    real = (TOP / "examples" / "first_saga" / "shop_adapter.py").read_text(encoding="utf-8")
    for line in shown.splitlines():
        for part in line.partition("#")[0].split("    "):
            assert bare(part) in bare(real), line


def bare(code: str) -> str:
    return "".join(code.split()).strip(",[]()")


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("one", "one", True),
        ("one", "two", False),
        ("one … three", "one two three", True),
        ("one\n…", "one\ntwo\nthree", True),
        ("one\n…", "one", True),
        ("…\nthree", "one\ntwo\nthree", True),
        ("one\n…\nthree", "one\nthree", True),
        ("one\n…\nthree", "one\n2\n2\nthree", True),
        ("one\n…\nthree", "one\ntwo", False),
        ("o…e", "o\ne", False),
        ("a.c", "abc", False),
    ],
)
def test_what_is_left_out(expected: str, got: str, *, same: bool) -> None:
    assert shows(expected, got) is same
