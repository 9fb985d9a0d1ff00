"""Known findings in tests: an expected failure as long as nothing else is found, and strict."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from ..baseline import Judged, Known, concerning, judge, read
from ..verdict import VIOLATED, Report


def entries(file: Path | None) -> tuple[Known, ...]:
    """Those of the file. Raises UsageError for what is none."""
    return read(file, "the baseline") if file is not None else ()


def judged(report: Report, known: tuple[Known, ...], test: str) -> Judged:
    """The report of the test with that node id, its known findings marked."""
    return judge(report, concerning(known, report.adapter, test), dt.datetime.now(dt.UTC).date())


def expected(judged: Judged) -> str:
    """Why the failure of a campaign was expected, "" where it was not: everything that was found is known, and
    nothing else stands against the campaign."""
    report = judged.report
    if report.verdict != VIOLATED or report.nondeterministic or report.reasons or judged.new or judged.stale:
        return ""
    return "; ".join(f"{finding.id} {finding.violation.invariant}: {finding.known}" for finding in report.findings)
