"""Where reports and replay files become files. The command line and the pytest plugin write by this alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .errors import UsageError
from .exploration import certificate
from .exploration.findings import output_file
from .exploration.replay import to_text
from .reports import REPORTS
from .reports.clean import printable
from .verdict import Report


def write_report(report: Report, folder: Path) -> None:
    """Write every file form of ``report``, its certificate where it is worth one, the replay files and the
    histories of its findings, and what the processes of a live system wrote in them.

    A certificate, and files of findings, that an earlier campaign left in ``folder`` are removed. What they
    say to run can be run from the current folder, in which the campaign was."""
    shown = with_paths(report, from_here(folder))
    for output in REPORTS.values():
        if output.file:
            write_file(folder / output.file, output.render(shown))
    if certificate.certifies(report):
        write_file(folder / certificate.CERTIFICATE_FILE, certificate.to_text(report))
    else:
        (folder / certificate.CERTIFICATE_FILE).unlink(missing_ok=True)
    wanted = {name for finding in report.findings for name in (finding.replay, history_file(finding.id))}
    wanted |= {output_file(finding.id) for finding in report.findings if finding.wrote}
    for stale in (*folder.glob("F-*.json"), *folder.glob("F-*.ndjson"), *folder.glob("F-*.output.txt")):
        if stale.name not in wanted:
            stale.unlink()
    for finding in report.findings:
        if finding.replay:
            write_file(folder / finding.replay, to_text(finding, report.spec))
        write_file(folder / history_file(finding.id), finding.history.to_ndjson())
        if finding.wrote:
            write_file(folder / output_file(finding.id), _output(finding.wrote))


def history_file(id: str) -> str:
    """The name of the file with the history of a finding in the folder of its report."""
    return f"{id}.ndjson"


def _output(wrote: Iterable[tuple[str, str]]) -> str:
    """What each process wrote under its name, without a character that could act on a terminal."""
    return "".join(f"==== {name}\n{printable(text.rstrip())}\n\n" for name, text in wrote)


def with_paths(report: Report, folder: Path) -> Report:
    """For people: replay files as one can name them from here."""
    return replace(
        report,
        findings=tuple(
            replace(finding, replay=str(folder / finding.replay)) if finding.replay else finding
            for finding in report.findings
        ),
    )


def from_here(folder: Path) -> Path:
    """``folder`` as it is named from the current one, where it lies below that."""
    return Path(os.path.relpath(folder)) if folder.is_relative_to(Path.cwd()) else folder


def folder_name(name: str) -> str:
    """Any name as the name of a folder."""
    return (
        "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)[:80].strip(".") or "adapter"
    )


def make_folder(folder: Path, option: str) -> None:
    """Make ``folder``, named by ``option``, before the work whose results go there. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{option}: cannot make the folder {str(folder)!r}: {error.strerror}; name another") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{option}: may not write into {str(folder)!r}; name another folder")


def write_file(path: Path, text: str) -> None:
    """Write by a temporary file and a rename, so that a reader never sees half a report."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise UsageError(f"cannot write {str(path)!r}: {error.strerror}; name another folder") from None


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.chmod(temporary, 0o644)  # noqa: PTH101
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
