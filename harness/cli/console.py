"""What the command line shows while it works."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ..reports.clean import COLUMNS, clean, printable, width, wrap

if TYPE_CHECKING:
    from ..exploration.progress import Progress

PLAIN_LINE_EVERY_S = 5.0
STAGE_COLUMNS = 40
BAR_COLUMNS, BAR_LABEL_COLUMNS = 16, 20
"""Of a terminal of 60 columns and more."""


LEAST_COLUMNS = 60


def columns(stream: TextIO | None = None) -> int:
    """How wide a line that is printed may be: as the terminal, within limits; elsewhere `COLUMNS`."""
    if not (stream or sys.stdout).isatty():
        return COLUMNS
    return max(LEAST_COLUMNS, min(COLUMNS, shutil.get_terminal_size((COLUMNS, 24)).columns))


def say(text: str, *, err: bool = False) -> None:
    """Print ``text``. No character acts on the terminal, what the encoding lacks becomes a question mark, and a reader
    that has gone away (``| head``) changes nothing: the exit code remains that of the verdict. What goes to standard
    error is one line; it is wrapped where that is a terminal."""
    stream = sys.stderr if err else sys.stdout
    if err and stream.isatty():
        wide = columns(stream)
        text = "\n".join(wrap(line, wide, hanging="  ") if width(line) > wide else line for line in text.split("\n"))
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(printable(text).encode(encoding, "replace").decode(encoding) + "\n")
        stream.flush()
    except BrokenPipeError:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), stream.fileno())


def tell_host(reports: Sequence[Any], outputs: Mapping[str, Any]) -> None:
    """In GitHub Actions: print annotations, and add the reports to the summary of the step, by the ``outputs`` of such
    reports."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for report in reports:
        if lines := outputs["github"].render(report).rstrip("\n"):
            say(lines)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.writelines(outputs["markdown"].render(report) for report in reports)
        except OSError as error:
            say(f"sagafuzz: cannot write the step summary {summary!r}: {error.strerror}", err=True)


@dataclass(frozen=True)
class Display:
    """Shows how far a campaign is. While it is ``paused`` it draws nothing, and no thread of its own runs."""

    show: Callable[[Progress], None]
    paused: Callable[[], AbstractContextManager[None]] = nullcontext

    def __call__(self, news: Progress) -> None:
        self.show(news)


@contextmanager
def progress(label: str, stream: TextIO | None = None) -> Iterator[Display]:
    """A listener for a campaign: a bar on a terminal, a plain line now and then elsewhere."""
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(clean(label, BAR_LABEL_COLUMNS), stream) as display:
            yield display
    else:
        yield Display(_plain(clean(label, 60), stream))


@contextmanager
def _bar(label: str, stream: TextIO) -> Iterator[Display]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn
    from rich.progress import Progress as Bar

    from ..pace import Pace

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=BAR_COLUMNS))
    with Bar(
        *columns, console=Console(file=stream), transient=True, redirect_stdout=False, redirect_stderr=False
    ) as bar:
        task = bar.add_task(label, total=None)
        pace = Pace()

        def listen(news: Progress) -> None:
            text = f"{label}: {clean(news.stage, STAGE_COLUMNS)}\n{pace.told(news)}"
            bar.update(task, description=text, completed=news.done, total=news.expected or None)

        def stop() -> None:
            drawing = getattr(bar.live, "_refresh_thread", None)
            bar.stop()
            if drawing is not None:
                drawing.join()  # rich does not wait for it

        @contextmanager
        def paused() -> Iterator[None]:
            stop()
            try:
                yield
            finally:
                bar.start()

        try:
            yield Display(listen, paused)
        finally:
            stop()


def _plain(label: str, stream: TextIO) -> Any:
    from ..pace import NOT_KNOWN, Pace

    last = time.monotonic()
    pace = Pace()

    def listen(news: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        told = pace.told(news)
        if now - last >= PLAIN_LINE_EVERY_S or (told.endswith(NOT_KNOWN) and not news.done):  # before what is long
            last = now
            stream.write(f"{label}: {clean(news.stage, STAGE_COLUMNS)}, {told}\n")
            stream.flush()

    return listen
