"""Where options come from beside the command line: ``[tool.sagafuzz]`` in pyproject.toml, and the environment.

A key of the table is an option of that name for each command that has it; a table of a command's name below it
speaks of that command alone::

    [tool.sagafuzz]
    report-dir = "build/sagas"
    [tool.sagafuzz.run]
    faults = 2

The environment variable of ``--report-dir`` is SAGAFUZZ_REPORT_DIR.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from ..errors import UsageError, nearest

FILE: Final = "pyproject.toml"
TABLE: Final = "tool.sagafuzz"
PREFIX: Final = "SAGAFUZZ_"

Commands = Mapping[str, click.Command]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What a file says. ``values`` are by command and by the name of its parameter, as click's ``default_map`` has
    them; ``places`` say where each stands, ``pyproject.toml:12``."""

    file: Path | None = None
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    places: Mapping[tuple[str, str], str] = field(default_factory=dict)


def options(command: click.Command) -> dict[str, click.Option]:
    """The options of a command that can be configured, by their long names without dashes in front."""
    found = [entry for entry in command.params if isinstance(entry, click.Option)]
    return {max(entry.opts, key=len).lstrip("-"): entry for entry in found if entry.allow_from_autoenv}


def variable(name: str) -> str:
    """The environment variable of the option of that long name."""
    return PREFIX + name.upper().replace("-", "_")


def read_environment(commands: Commands) -> None:
    """Let click take each option from its variable, where the command line has none."""
    for command in commands.values():
        for name, option in options(command).items():
            option.envvar = variable(name)


def read(commands: Commands, folder: Path) -> Configuration:
    """The configuration in the nearest pyproject.toml from ``folder`` upwards. UsageError, with file and line, for
    what no command knows."""
    file = next((found for above in (folder, *folder.parents) if (found := above / FILE).is_file()), None)
    if file is None:
        return Configuration()
    name = os.path.relpath(file, folder)
    try:
        text = file.read_text(encoding="utf-8")
        table = tomllib.loads(text).get("tool", {}).get("sagafuzz")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {name}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is no TOML: {error}") from None
    if table is None:
        return Configuration()
    if not isinstance(table, dict):
        raise UsageError(f"{name}: tool.sagafuzz is {table!r}; write a table, [{TABLE}]")
    return _Reader(commands, name, text, file.parent).configuration(file, table)


@dataclass(frozen=True)
class _Reader:
    commands: Commands
    name: str
    text: str
    folder: Path

    def configuration(self, file: Path, table: Mapping[str, Any]) -> Configuration:
        values: dict[str, dict[str, Any]] = {name: {} for name in self.commands}
        places: dict[tuple[str, str], str] = {}
        for command, key, value, of in self._entries(table):
            option = options(self.commands[command])[key]
            if option.name is not None:
                place = self._place(of, key)
                values[command][option.name] = self._value(option, value, f"{place}: {key}")
                places[command, option.name] = place
        return Configuration(file=file, values=values, places=places)

    def _entries(self, table: Mapping[str, Any]) -> Iterator[tuple[str, str, Any, str]]:
        """(command, option, value, table that it stands in), the tables of single commands last."""
        known = {name for command in self.commands.values() for name in options(command)}
        own = {key: value for key, value in table.items() if isinstance(value, dict) and key in self.commands}
        for key, value in table.items():
            if key in own:
                continue
            option = key.replace("_", "-")
            if option not in known:
                hint = nearest(option, [*known, *self.commands])
                raise UsageError(
                    f"{self._place(TABLE, key)}: unknown key {key!r}{hint}; it is no option of a command, see "
                    f"'sagafuzz config show'"
                )
            for name, command in self.commands.items():
                if option in options(command):
                    yield name, option, value, TABLE
        for name, entries in own.items():
            for key, value in entries.items():
                option, known = key.replace("_", "-"), set(options(self.commands[name]))
                if option not in known:
                    raise UsageError(
                        f"{self._place(f'{TABLE}.{name}', key)}: unknown key {key!r}{nearest(option, known)}; "
                        f"'sagafuzz {name}' has no such option"
                    )
                yield name, option, value, f"{TABLE}.{name}"

    def _value(self, option: click.Option, value: Any, where: str) -> Any:
        """``value`` as click would take it; a path from the folder of the file."""
        flag = option.is_flag or option.count
        if not isinstance(value, str | int | float | list) or isinstance(value, bool) is not flag:
            raise UsageError(f"{where} is {value!r}; write {'true or false' if flag else 'a string or a number'}")
        if option.multiple:
            value = value if isinstance(value, list) else [value]
        elif isinstance(value, list):
            value = ",".join(map(str, value))
        if isinstance(option.type, click.Path):
            value = os.path.relpath(self.folder / str(value))
        try:
            option.type_cast_value(click.Context(click.Command("config")), value)
        except click.BadParameter as error:
            raise UsageError(f"{where} is {value!r}: {error.message}") from None
        return value

    def _place(self, table: str, key: str) -> str:
        """``pyproject.toml:12``; of an inline or dotted key the line of the table."""
        inside, heading = False, 0
        name = "[-_]".join(map(re.escape, re.split("[-_]", key)))
        written = re.compile(rf"""\s*["']?{name}["']?\s*=""")
        for number, line in enumerate(self.text.splitlines(), 1):
            if found := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
                inside = found[1].replace('"', "") == table
                heading = number if inside else heading
            elif inside and written.match(line):
                return f"{self.name}:{number}"
        return f"{self.name}:{heading}" if heading else self.name
