"""How text is laid out on a terminal: tables and commands in as many columns as there are."""

from __future__ import annotations

import io
import shlex
from collections.abc import Iterable
from typing import Final

from .clean import cut, width, wrap
from .facts import Table

_BOX: Final = "    \n    \n -  \n    \n    \n    \n    \n    \n"
"""Nothing but a rule under the headings."""

COMMAND_COLUMNS: Final = 1_500
"""More of a command is cut off: it came from elsewhere, and nobody types it."""


def table(content: Table, columns: int) -> str:
    """The table with a rule under its headings, at most ``columns`` wide: text in cells is wrapped, numbers are not."""
    from rich.box import Box
    from rich.console import Console
    from rich.table import Table as Laid
    from rich.text import Text

    laid = Laid(box=Box(_BOX), show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for index, heading in enumerate(content.headers):
        number = index in content.numbers
        laid.add_column(
            Text(heading), justify="right" if number else "left", no_wrap=number, overflow="fold", header_style=""
        )
    for row in content.rows:
        laid.add_row(*map(Text, row))
    written = io.StringIO()
    Console(file=written, width=columns, color_system=None, force_terminal=False, legacy_windows=False).print(laid)
    return "\n".join(line.rstrip() for line in written.getvalue().rstrip("\n").split("\n"))


def command(line: str, columns: int, *, start: str = "", hanging: str = "  ") -> str:
    """A command of the shell as it can be copied, after ``start``: where that is wider than ``columns``, a backslash
    ends each line but the last, and ``hanging`` begins each but the first, unless it goes on within a word."""
    line = cut(line, COMMAND_COLUMNS)
    if width(start) + width(line) <= columns:
        return start + line
    try:
        words = shlex.split(line)
    except ValueError:  # it is no command: an adapter of a strange name
        return wrap(line, columns, indent=start, hanging=hanging)
    lines, current, begun = [], start, False
    for word in words:
        *before, last = _pieces(word, columns)
        whole = [*before, last][0]
        if begun and width(current) + width(whole) + 2 > columns:
            lines.append(current + "\\")
            current = hanging
        for piece in before:
            fits = width(current) + width(piece) + 1 <= columns
            lines += [f"{current}{piece}\\"] if fits else [f"{current}\\", f"{piece}\\"]
            current = ""
        current, begun = f"{current}{last} ", True
    return "\n".join([*lines, current.rstrip()])


def _pieces(word: str, columns: int) -> list[str]:
    """A word as the shell reads it, in pieces of less than ``columns``, one where that is enough."""
    pieces = []
    while width(shlex.quote(word)) >= columns - 2:
        size = next(size for size in range(columns, 0, -1) if width(shlex.quote(word[:size])) < columns - 2)
        pieces.append(shlex.quote(word[:size]))
        word = word[size:]
    return [*pieces, *([shlex.quote(word)] if word or not pieces else [])]


def wrapped(lines: Iterable[str], columns: int, *, indent: str = "", hanging: str | None = None) -> str:
    """Each of ``lines`` in as many as it needs."""
    return "\n".join(wrap(line, columns, indent=indent, hanging=hanging) for line in lines)
