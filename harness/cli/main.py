"""The command line. It and the pytest plugin write files; everything else returns values.

Exit codes: 0 no violation, 1 a violation, 2 the input cannot be used, 3 inconclusive, 4 the adapter
is not deterministic, 5 nothing to run, 70 a defect of sagafuzz, 130 and 143 interrupted (by SIGINT
and SIGTERM; reports are written all the same). No command gives 5 yet: with no fault and no example
there is still the plan without faults to run.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import click

from .. import __version__
from ..errors import UsageError, nearest
from ..reports.clean import clean
from . import configuration
from .console import say

USAGE, INTERNAL, INTERRUPTED = 2, 70, 130
MESSAGE_COLUMNS = 2_000


PLACES: Final[Mapping[str, str]] = {
    "run": "campaigns",
    "fuzz": "fuzzing",
    "compare": "campaigns",
    "diff": "diffing",
    "merge": "sharding",
    "report": "storing",
    "check": "checking",
    "replay": "replaying",
    "verify": "verifying",
    "explain": "explaining",
    "adapters": "listing",
    "doctor": "doctoring",
    "init": "creating",
    "config": "configuring",
    "completion": "configuring",
    "zoo": "zoo",
}
"""Each command, and the module beside this one that has it."""


class Commands(MutableMapping[str, click.Command]):
    """The commands by name. Each is loaded when it is first asked for: what one needs costs no other."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module = import_module(f".{self._places[name]}", __package__)
            command: click.Command = getattr(module, name)
            configuration.read_environment({name: command})
            self._loaded[name] = command
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._places[name] = ""
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._places[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class SagafuzzGroup(click.Group):
    """Errors in one line, unknown commands and options with the nearest name."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            raise UsageError(
                f"there is no command {args[0]!r}{nearest(args[0], self.list_commands(ctx))}; see sagafuzz --help"
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=SagafuzzGroup,
    commands=Commands(PLACES),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="sagafuzz")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Finds the bugs of a saga: crashes it, loses its messages, delivers them twice, and checks what
    the participants really applied.

    \b
    Try it:   sagafuzz run seed --faults 1
    Your own: sagafuzz run path/to/adapter.py:YourAdapter
    A start:  sagafuzz init

    Options may also stand in [tool.sagafuzz] of pyproject.toml, or in the environment: --report-dir is
    SAGAFUZZ_REPORT_DIR. sagafuzz config show says what is in force, and why.

    \b
    Exit codes:
      0    no violation, or none that is not known
      1    a violation
      2    the input cannot be used: an option, a file, an adapter
      3    inconclusive: too little was exercised, or a checker gave up
      4    the adapter is not deterministic
      5    nothing to run
      70   a defect of sagafuzz itself
      130  interrupted by Ctrl-C; reports are written all the same
      143  interrupted by SIGTERM; reports are written all the same
    """
    if ctx.invoked_subcommand != "config":  # which reads it by itself
        ctx.default_map = dict(configuration.read(cli.commands, Path.cwd()).values)


def main(arguments: list[str] | None = None) -> None:
    """The console script. Leaves by SystemExit with one of the documented codes."""
    sys.exit(_main(arguments))


def _main(arguments: list[str] | None) -> int:
    try:
        typed = tuple(sys.argv[1:] if arguments is None else arguments)
        code = cli.main(args=typed, prog_name="sagafuzz", standalone_mode=False, obj=typed)
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message(), err=True)
        return USAGE
    except (UsageError, click.ClickException) as error:
        return _complain(_message(error))
    except (click.Abort, KeyboardInterrupt):
        say("sagafuzz: interrupted, and nothing more is written", err=True)
        return INTERRUPTED
    except Exception:
        say("sagafuzz: this is a defect of sagafuzz itself; please report it with what follows", err=True)
        traceback.print_exc()
        return INTERNAL
    return code if isinstance(code, int) else 0


def _message(error: Exception) -> str:
    if isinstance(error, click.exceptions.NoSuchOption):
        known = [option for parameter in (error.ctx.command.params if error.ctx else []) for option in parameter.opts]
        return f"there is no option {error.option_name!r}{nearest(error.option_name, known)}"
    if isinstance(error, click.ClickException):
        return error.format_message().replace("\n", " ") + _from_environment(error)
    return str(error)


def _from_environment(error: click.ClickException) -> str:
    """Which variable a wrong value comes from, "" where it is of the command line."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return ""
    source = error.ctx.get_parameter_source(error.param.name or "")
    return f" (it is in {error.param.envvar})" if source is click.core.ParameterSource.ENVIRONMENT else ""


def _complain(message: str) -> int:
    say(f"sagafuzz: {clean(message, MESSAGE_COLUMNS)}", err=True)
    return USAGE
