"""What --help says of each command is whole and true."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from sagafuzz.cli.main import cli

EXAMPLE = re.compile(r"(?m)^ *(?:eval \"\$\()?sagafuzz (.*?)(?: >.*|\)\")?$")


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        yield " ".join((*before, name)), command
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)


COMMANDS = dict(commands(cli))
VERDICTS = {"run", "fuzz", "merge", "compare", "diff", "report", "replay", "verify", "doctor", "zoo"}
"""Commands whose exit code says something of what they looked at."""


def examples(command: click.Command) -> list[str]:
    """Those of its help, each as the words after ``sagafuzz``."""
    blocks = re.findall(r"\x08\n(.*?)(?:\n\n|\Z)", command.help or "", re.DOTALL)
    return [words for block in blocks for words in EXAMPLE.findall(block)]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_that_can_be_given(name: str) -> None:
    given = examples(COMMANDS[name])
    assert any(words.startswith(name) for words in given), f"{name} has no example of itself"
    for words in given:
        known, rest = cli, shlex.split(words)
        ctx = click.Context(cli, info_name="sagafuzz")
        while isinstance(known, click.Group):
            _, found, rest = known.resolve_command(ctx, rest)
            assert found is not None
            known = found  # type: ignore[assignment]
        known.make_context(known.name, rest, parent=ctx)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_each_option_says_what_it_does(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    options = [entry for entry in command.params if isinstance(entry, click.Option)]
    assert [option.name for option in options if not (option.help or "").endswith((".", "]"))] == []
    shown = command.get_help(click.Context(command, info_name=f"sagafuzz {name}", terminal_width=80))
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_a_command_that_judges_says_what_its_exit_code_means(name: str) -> None:
    assert re.search(r"(?i)exit (code|s)|exits with", COMMANDS[name].help or "")


def test_the_first_help_has_every_exit_code_and_every_command_in_a_whole_line() -> None:
    shown = cli.get_help(click.Context(cli, info_name="sagafuzz", terminal_width=80))
    for code in (0, 1, 2, 3, 4, 5, 70, 130, 143):
        assert re.search(rf"(?m)^    {code}  +\S", shown)
    listed = shown.partition("Commands:\n")[2]
    assert set(re.findall(r"(?m)^  (\S+)", listed)) == set(cli.commands)
    assert "..." not in listed
