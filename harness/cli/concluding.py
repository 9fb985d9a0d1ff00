"""How every search ends: its report is judged, written and said, and gives the exit code."""

from __future__ import annotations

import datetime as dt
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import click

from ..baseline import Judged, Known, concerning, in_words, judge, read
from ..exploration.certificate import CERTIFICATE_FILE, certifies
from ..reports import facts, layout, text
from ..reports.clean import clean, wrap
from ..reports.outputs import REPORTS
from ..verdict import INCONCLUSIVE, VIOLATED, Report
from ..writing import with_paths, write_report
from .console import columns, say, tell_host

baseline_option = click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Known findings, a TOML file of [[known]] tables with id, reason and expires.",
)


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """The file that --baseline names, and what stands in it."""

    file: Path
    known: tuple[Known, ...]


def known_findings(baseline: Path | None) -> Baseline | None:
    """Those of the file that --baseline names, None without it."""
    return None if baseline is None else Baseline(file=baseline, known=read(baseline, "--baseline"))


def judged_today(report: Report, baseline: Baseline | None) -> Judged | None:
    """By the entries of a baseline that speak of its adapter, with the command that does so again; None without one."""
    if baseline is None:
        return None
    if report.command:
        report = replace(report, command=f"{report.command} --baseline {shlex.quote(str(baseline.file))}")
    return judge(report, concerning(baseline.known, report.adapter), dt.datetime.now(dt.UTC).date())


def conclude(report: Report, folder: Path, judged: Judged | None, go_on: str = "") -> int:
    """Write the reports into ``folder``, say what is in them, the verdict first and last, and ``go_on``, the command
    that goes on with what is left; the exit code."""
    report = report if judged is None else judged.report
    write_report(report, folder)
    shown, wide = with_paths(report, folder), columns()
    say(text.render(shown, wide))
    files = [output.file for output in REPORTS.values() if output.file]
    files += [CERTIFICATE_FILE] if certifies(report) else []
    say(wrap(f"written: {', '.join(str(folder / file) for file in files)}", wide, hanging="  "))
    said = in_words(judged) if judged is not None else []
    for line in said:
        say(wrap(clean(line, 300), wide, hanging="  "))
    tell_host([shown], REPORTS)
    if go_on:
        say(layout.command(go_on, wide, start="go on: "))
    say(wrap(facts.last_line(report), wide, hanging="  "))
    return exit_code(report) if judged is None else _exit_code_with(judged)


def exit_code(report: Report) -> int:
    """0 consistent, 1 violated, 3 inconclusive, 4 not deterministic."""
    if report.nondeterministic:
        return 4
    return {VIOLATED: 1, INCONCLUSIVE: 3}.get(report.verdict, 0)


def _exit_code_with(judged: Judged) -> int:
    """As without a baseline, but known findings alone are no violation, and a stale entry is one."""
    report = judged.report
    if report.nondeterministic:
        return 4
    if judged.new or judged.stale:
        return 1
    return 3 if report.verdict == INCONCLUSIVE or report.reasons else 0
