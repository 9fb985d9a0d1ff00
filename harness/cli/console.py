"""What the command line shows while it works."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..reports.clean import COLUMNS, clean, printable

if TYPE_CHECKING:
    from ..exploration.progress import Progress
    from ..verdict import Report

PLAIN_LINE_EVERY_S = 5.0
STAGE_COLUMNS = 100


LEAST_COLUMNS = 60


def columns() -> int:
    """How wide a line that is printed may be: as the terminal, within limits; elsewhere `COLUMNS`."""
    if not sys.stdout.isatty():
        return COLUMNS
    return max(LEAST_COLUMNS, min(COLUMNS, shutil.get_terminal_size((COLUMNS, 24)).columns))


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


class Pace:
    """How long what is left of a stage takes, by how long what was done of it took. The stage before tells no more than
    that it is long: plans with two faults take a small part of the time of those with one, where most are known."""

    def __init__(self) -> None:
        self._stage = ""
        self._began = 0.0
        self._each_s = 0.0

    def left(self, news: Progress) -> str:
        """``, about 3 min left``, or that this is not known yet; "" where it is not worth a word."""
        now = time.monotonic()
        if news.stage != self._stage:
            self._stage, self._began = news.stage, now
        elif news.done:
            self._each_s = (now - self._began) / news.done
        left_s = self._each_s * (news.expected - news.done)
        if left_s < PLAIN_LINE_EVERY_S:
            return ""
        if not news.done:
            return ", time left not known yet"
        return f", about {left_s / 60:,.0f} min left" if left_s >= 90 else f", about {left_s:.0f} s left"


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
        TextColumn("{task.completed:,} done{task.fields[findings]}{task.fields[left]}"),
        TimeElapsedColumn(),
    )
    with Bar(
        *columns, console=Console(file=stream), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task("starting", total=None, findings="", left="")
        pace = Pace()

        def listen(news: Progress) -> None:
            stage = clean(news.stage, STAGE_COLUMNS)
            total, left = news.expected or None, pace.left(news)
            bar.update(task, description=stage, completed=news.done, total=total, findings=_found(news), left=left)

        yield listen


def _found(news: Progress) -> str:
    return "" if news.findings is None else f", {news.findings} findings"


def _plain(label: str, stream: TextIO) -> Any:
    last = time.monotonic()
    pace = Pace()

    def listen(news: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        left = pace.left(news)
        if now - last >= PLAIN_LINE_EVERY_S or (left and not news.done):  # how much there is comes before it
            last = now
            stage = clean(news.stage, STAGE_COLUMNS)
            done = f"{news.done:,} of about {news.expected:,}" if left else f"{news.done:,}"
            stream.write(f"{label}: {stage}, {done} done{_found(news)}{left}\n")
            stream.flush()

    return listen
