"""Text from elsewhere, made inert: names, payloads and messages of errors are not ours to trust."""

from __future__ import annotations

import textwrap
from typing import Final
from unicodedata import east_asian_width

ELLIPSIS: Final = "…"

COLUMNS: Final = 100
"""Lines of text are at most so wide, and no wider than a terminal."""


def clean(text: object, limit: int) -> str:
    """``text`` on one line, at most ``limit`` columns wide, without a character that could act.

    White space becomes single spaces; what does not print (escapes of terminals, controls,
    marks that reverse the direction, halves of surrogate pairs) is spelt out, as ``\\x1b``.
    """
    whole = str(text)
    start = whole[: 4 * limit]  # a megabyte need not be read to be cut
    shown = "".join(char if char.isprintable() else _spelt(char) for char in " ".join(start.split()))
    return cut(shown if len(start) == len(whole) else f"{shown} {ELLIPSIS}", limit)


def printable(text: str) -> str:
    """``text`` in its own lines, without a character that could act; for what is put together of clean parts."""
    return "".join(char if char.isprintable() or char in "\n\t" else _spelt(char) for char in text)


def width(text: str) -> int:
    """Columns that ``text`` takes on a terminal; a combining mark counts, so it may take fewer."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, columns: int) -> str:
    """Clean text, its spaces as they are, cut to ``columns``."""
    if width(text) <= columns:
        return text
    room = columns - 1
    for index, char in enumerate(text):
        room -= _columns(char)
        if room < 0:
            return text[:index] + ELLIPSIS
    return text


def pad(text: str, columns: int) -> str:
    """``text`` filled with spaces to ``columns``."""
    return text + " " * (columns - width(text))


def wrap(text: str, columns: int, *, indent: str = "", hanging: str | None = None) -> str:
    """``text`` in lines of at most ``columns``; ``hanging`` indents all lines but the first."""
    return textwrap.fill(
        text,
        columns,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_on_hyphens=False,
    )


def plural(count: int, noun: str) -> str:
    """``1 fault``, ``2 faults``, ``1,200 histories``."""
    if count != 1:
        noun = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun}"


def _columns(char: str) -> int:
    return 2 if east_asian_width(char) in "WF" else 1


def _spelt(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
