"""The tutorial, followed word for word in an empty directory: its files, its repairs, its commands, what they print."""

from __future__ import annotations

import tomllib

import pytest

from .reading import TOP, Fence, Shell, commands, fences, shows

TUTORIAL = TOP / "docs" / "tutorial.md"

pytestmark = pytest.mark.skipif(not TUTORIAL.is_file(), reason="the page is part of the checkout, and this is not one")


def chapters() -> list[str]:
    _, *found = TUTORIAL.read_text(encoding="utf-8").split("\n## ")
    return found


def test_each_chapter_of_the_tutorial(shell: Shell) -> None:
    assert not any(shell.folder.iterdir())
    for fence in fences(TUTORIAL.read_text(encoding="utf-8")):
        DOES[fence.language](fence, shell)
    assert {path.name for path in shell.folder.iterdir()} - LEFT_BY_COMMANDS == {"shop.py"}


LEFT_BY_COMMANDS = {"sagafuzz-report", "__pycache__"}


def console(fence: Fence, shell: Shell) -> None:
    for command in commands(fence):
        where = f"tutorial.md:{command.line}: {command.words}"
        if command.words.startswith("pip "):
            assert command.words == f"pip install {distribution()}", where
            continue
        got = shell.do(command.words)
        assert command.shown, f"{where}: nothing is shown of what it prints"
        assert shows(command.shown, got), f"{where}\n--- shown\n{command.shown}\n--- got\n{got}"


def distribution() -> str:
    """The name of this project for pip; it is installed already."""
    name: str = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    return name


def program(fence: Fence, shell: Shell) -> None:
    """Writes a new file; one that is there already is shown as it stands."""
    assert fence.file, f"tutorial.md:{fence.line}: a program without a name"
    target = shell.folder / fence.file
    if target.exists():
        assert fence.text == target.read_text(encoding="utf-8"), f"tutorial.md:{fence.line}"
    else:
        target.write_text(fence.text, encoding="utf-8")


def repair(fence: Fence, shell: Shell) -> None:
    """Changes the lines of shop.py that the diff shows, which stand there once."""
    file = shell.folder / "shop.py"
    before, after = (
        "".join(line[1:] or "\n" for line in fence.text.splitlines(keepends=True) if line[:1] not in left_out)
        for left_out in ("+", "-")
    )
    text = file.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"tutorial.md:{fence.line}: shop.py has these lines {text.count(before)} times"
    file.write_text(text.replace(before, after), encoding="utf-8")


DOES = {"console": console, "python": program, "diff": repair}
"""What a reader does with a block, by its language."""


def test_a_chapter_says_what_was_learnt() -> None:
    *told, last = chapters()
    assert last.startswith("8. What comes next")
    for chapter in told:
        *_, end = chapter.strip().split("\n\n")
        assert end.startswith("**What was learnt.** "), chapter.splitlines()[0]
        sentences = end.removeprefix("**What was learnt.** ").replace("\n", " ").split(". ")
        assert 2 <= len(sentences) <= 3, f"{chapter.splitlines()[0]}: {len(sentences)} sentences"
