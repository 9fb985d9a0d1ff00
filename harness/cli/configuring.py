"""``sagafuzz config`` and ``sagafuzz completion``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from click.shell_completion import get_completion_class

from ..errors import UsageError, nearest
from ..reports.clean import clean
from ..reports.facts import Table
from ..reports.layout import table
from . import configuration
from .configuration import Configuration
from .console import columns, say

SHELLS = ("bash", "zsh", "fish")


@click.group(short_help="Show what is configured.")
def config() -> None:
    """What is configured: [tool.sagafuzz] in pyproject.toml, the environment, the command line.

    \b
    sagafuzz config show
    """


@config.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND [OPTION]...]")
@click.pass_context
def show(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Say with which options each command would run, or COMMAND alone with these OPTIONs, and where each value comes
    from: the command line, an environment variable, pyproject.toml, or the default; the first of these that has one.

    \b
    sagafuzz config show
    sagafuzz config show run
    sagafuzz config show run --faults 3
    """
    commands = _commands(ctx)
    known = configuration.read(commands, Path.cwd())
    if words and words[0] not in commands:
        raise UsageError(
            f"config show: there is no command {words[0]!r} with options{nearest(words[0], commands)}; "
            f"write one of {', '.join(commands)}, or none for all"
        )
    for name in words[:1] or commands:
        rows = tuple(_rows(name, commands[name], known, words[1:]))
        say(f"sagafuzz {name}")
        say(table(Table(headers=("option", "value", "from"), rows=rows), columns()) + "\n")
    where = f"[{configuration.TABLE}] of {known.file}" if known.file else f"no {configuration.FILE} with a table "
    say(f"read: {where}{'' if known.file else f'[{configuration.TABLE}]'}")
    return 0


def _commands(ctx: click.Context) -> dict[str, click.Command]:
    """Those that have options."""
    top = ctx.find_root().command
    assert isinstance(top, click.Group)
    return {name: command for name, command in top.commands.items() if configuration.options(command)}


def _rows(
    name: str, command: click.Command, known: Configuration, words: tuple[str, ...]
) -> Iterator[tuple[str, str, str]]:
    found = configuration.options(command)
    rest = click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)
    alone = click.Command(name, params=[*found.values(), rest], add_help_option=False)
    ctx = alone.make_context(name, list(words), default_map=dict(known.values.get(name, {})))
    for option, entry in found.items():
        parameter = entry.name or ""
        yield f"--{option}", _shown(ctx.params[parameter]), _source(ctx, name, option, parameter, known)


def _source(ctx: click.Context, command: str, option: str, parameter: str, known: Configuration) -> str:
    source = ctx.get_parameter_source(parameter)
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        return configuration.variable(option)
    return known.places.get((command, parameter), "") if source is ParameterSource.DEFAULT_MAP else "default"


def _shown(value: Any) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return clean(", ".join(map(str, value)) if isinstance(value, tuple) else value, 80)


@click.command(short_help="Make a shell complete sagafuzz.")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> int:
    """Print what makes SHELL complete sagafuzz's commands, options, adapters and findings.

    For bash put the first line into ~/.bashrc, for zsh the second into ~/.zshrc; for fish run the third once:

    \b
    eval "$(sagafuzz completion bash)"
    eval "$(sagafuzz completion zsh)"
    sagafuzz completion fish > ~/.config/fish/completions/sagafuzz.fish
    """
    made = get_completion_class(shell)
    assert made is not None
    say(made(ctx.find_root().command, {}, "sagafuzz", "_SAGAFUZZ_COMPLETE").source())
    return 0
