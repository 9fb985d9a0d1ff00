"""What the command line shows while it works."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..reports.clean import clean, printable

if TYPE_CHECKING:
    from ..exploration.progress import Progress
    from ..verdict import Report

PLAIN_LINE_EVERY_S = 5.0
STAGE_COLUMNS = 100


def say(text: str, *, err: bool = False) -> None:
    """Print ``text``. No character acts on the terminal, what the encoding lacks becomes a question mark, and a reader
    that has gone away (``| head``) changes nothing: the exit code remains that of the verdict."""
    stream = sys.stderr if err else sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(printable(text).encode(encoding, "replace").decode(encoding) + "\n")
        stream.flush()
    except BrokenPipeError:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), stream.fileno())


def tell_host(reports: Sequence[Report]) -> None:
    """In GitHub Actions: print annotations, and add the reports to the summary of the step."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from ..reports import REPORTS

    for report in reports:
        if lines := REPORTS["github"].render(report).rstrip("\n"):
            say(lines)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.writelines(REPORTS["markdown"].render(report) for report in reports)
        except OSError as error:
            say(f"sagafuzz: cannot write the step summary {summary!r}: {error.strerror}", err=True)


@contextmanager
def progress(label: str, stream: TextIO | None = None) -> Iterator[Any]:
    """A listener for a campaign: a bar on a terminal, a plain line now and then elsewhere."""
    stream, label = stream or sys.stderr, clean(label, 60)
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
        TextColumn(label, markup=False),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.completed:,} done, {task.fields[findings]} findings"),
        TimeElapsedColumn(),
    )
    with Bar(
        *columns, console=Console(file=stream), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task("starting", total=None, findings=0)

        def listen(news: Progress) -> None:
            stage = clean(news.stage, STAGE_COLUMNS)
            bar.update(
                task, description=stage, completed=news.done, total=news.expected or None, findings=news.findings
            )

        yield listen


def _plain(label: str, stream: TextIO) -> Any:
    last = time.monotonic()

    def listen(news: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PLAIN_LINE_EVERY_S:
            last = now
            stage = clean(news.stage, STAGE_COLUMNS)
            stream.write(f"{label}: {stage}, {news.done:,} done, {news.findings} findings\n")
            stream.flush()

    return listen
