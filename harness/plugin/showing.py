"""How far a campaign is, on the terminal of the session, while its test runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, TextIO

import pytest

from ..exploration.events import Listener
from ..exploration.progress import EVERY, Progress, Teller
from ..pace import Pace
from ..reports.clean import clean, cut, width

EVERY_S: Final = 0.2
LEAST_COLUMNS: Final = 24
"""In less room nothing can be read."""


@contextmanager
def shown(config: pytest.Config, label: str, *, live: bool) -> Iterator[tuple[Listener, ...]]:
    """What listens to a campaign and shows how far it is, in the rest of the line that pytest has begun, and leaves it
    as it was. Nothing listens where nobody looks: no terminal, no room, another reporter than pytest's own, a worker
    of xdist."""
    line = _line(config)
    if line is None:
        yield ()
        return
    pace, last = Pace(), -EVERY_S

    def listen(news: Progress) -> None:
        nonlocal last
        told = pace.told(news)
        if time.monotonic() - last >= EVERY_S:
            last = time.monotonic()
            line.show(f" {clean(label, 20)}: {told}")

    try:
        yield (Teller(listen, 1 if live else EVERY),)
    finally:
        line.show("")


def _line(config: pytest.Config) -> _Line | None:
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    stream = sys.__stdout__
    if type(reporter).__module__ != "_pytest.terminal" or stream is None or not reporter.isatty:
        return None
    writer = config.get_terminal_writer()
    room = writer.fullwidth - writer.width_of_current_line - 1
    return _Line(stream, room, config.pluginmanager.get_plugin("capturemanager")) if room >= LEAST_COLUMNS else None


class _Line:
    """The rest of a line of a terminal, ``room`` columns. By steps back alone, which every terminal knows."""

    def __init__(self, stream: TextIO, room: int, captured: Any) -> None:
        self._stream = stream
        self._room = room
        self._captured = captured
        self._columns = 0

    def show(self, text: str) -> None:
        """Put ``text`` where the last one was."""
        encoding = self._stream.encoding or "ascii"
        text = cut(text, self._room).encode(encoding, "replace").decode(encoding)
        rest = max(0, self._columns - width(text))
        redirected = sys.stdout, sys.stderr  # of the code under test; pytest puts its own there when it captures again
        try:
            with self._captured.global_and_fixture_disabled() if self._captured is not None else nullcontext():
                self._stream.write("\b" * self._columns + text + " " * rest + "\b" * rest)
                self._stream.flush()
        finally:
            sys.stdout, sys.stderr = redirected
        self._columns = width(text)
