"""What the command line shows while it works, and how it writes files."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ..exploration.campaign import Progress

PLAIN_LINE_EVERY_S = 5.0


class Interrupt:
    """Becomes true when the user presses Ctrl-C; a second time ends the process at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        return 128 + (self.signal or 0)


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Turn SIGINT and SIGTERM into a request to stop, so that what was found is kept."""
    interrupt = Interrupt()

    def ask(number: int, frame: Any) -> None:
        interrupt.signal = number
        signal.signal(number, previous[number])

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, ask)
    try:
        yield interrupt
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def progress(label: str, stream: TextIO | None = None) -> Iterator[Any]:
    """A listener for a campaign: a bar on a terminal, a plain line now and then elsewhere."""
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(label, stream) as listener:
            yield listener
    else:
        yield _plain(label, stream)


@contextmanager
def _bar(label: str, stream: TextIO) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn(label),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:,} done, {task.fields[findings]} findings"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(file=stream), transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task("starting", total=None, findings=0)

        def listen(news: Progress) -> None:
            bar.update(
                task, description=news.stage, completed=news.done, total=news.expected or None, findings=news.findings
            )

        yield listen


def _plain(label: str, stream: TextIO) -> Any:
    last = time.monotonic()

    def listen(news: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_LINE_EVERY_S:
            last = now
            stream.write(f"{label}: {news.stage}, {news.done:,} done, {news.findings} findings\n")
            stream.flush()

    return listen


def write_file(path: Path, text: str) -> None:
    """Write by a temporary file and a rename, so that a reader never sees half a report."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
