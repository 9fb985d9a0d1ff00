"""The detection table: which bugs were found, by what and how fast, and which correct systems were left alone."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from ..detection import Acquittal, Detection, ZooReport
from . import hosts, junit, layout
from .clean import COLUMNS, clean, plural, wrap
from .facts import Table
from .markdown import escape, table
from .to_html import filled

if TYPE_CHECKING:
    from junitparser import TestCase

INCOMPLETE: Final = "INCOMPLETE: interrupted; nothing is said of what was not run"


def render(report: ZooReport, columns: int = COLUMNS) -> str:
    """For a terminal of ``columns``: a row a mutant, then what was not found and what was flagged, then the sum."""
    rows = tuple(
        (
            clean(found.name, 30),
            "found" if found.found else "MISSED",
            found.invariant,
            f"{found.schedules:,}",
            f"{found.seconds:.1f}",
            f"{found.size}F" if found.found else "",
        )
        for found in report.detections
    )
    headers = ("mutant", "", "by", "schedules", "seconds", "shrunk to")
    parts = [layout.table(Table(headers=headers, rows=rows, numbers=frozenset({3, 4, 5})), columns)]
    parts.extend(wrap(_missed(found), columns, hanging="  ") for found in report.detections if not found.found)
    parts.extend(wrap(line, columns, hanging="  ") for twin in report.acquittals for line in _flagged(twin))
    return "\n\n".join([*parts, layout.wrapped(summary(report), columns, hanging="  ")]) + "\n"


def summary(report: ZooReport) -> list[str]:
    """The measure in sentences."""
    found = [detection for detection in report.detections if detection.found]
    late = [detection for detection in report.detections if detection.late]
    flagged = [twin for twin in report.acquittals if twin.flagged]
    plans = sum(twin.plans for twin in report.acquittals)
    seconds = sum(found.seconds for found in report.detections) + sum(twin.seconds for twin in report.acquittals)
    lines = [
        f"{len(found)} of {plural(len(report.detections), 'mutant')} found, each by an invariant that names its cause"
    ]
    if late:
        seen = sum(entry.found for entry in late)
        lines.append(f"{seen} of the {len(late)} that were added when the invariants stood were found")
    lines.append(f"{len(flagged)} of {plural(len(report.acquittals), 'correct system')} flagged, in {plans:,} plans")
    if not report.complete:
        lines.append(INCOMPLETE)
    return [*lines, f"{seconds:.1f} seconds of processor time"]


def _missed(found: Detection) -> str:
    words = f"MISSED {clean(found.name, 30)}: {clean(found.about, 300)} No plan of at most {found.max_faults} faults"
    return f"{words} shows {' or '.join(found.expected)} ({found.schedules:,} were run)"


def _flagged(twin: Acquittal) -> list[str]:
    about = clean(twin.about, 300)
    return [f"FLAGGED although correct: {about} {clean(blame, 300)}" for blame in twin.flagged]


def render_json(report: ZooReport) -> str:
    """For machines. Seconds are the only part that differs from run to run."""
    value = {
        "version": 1,
        "sagafuzz": report.version,
        "passed": report.passed,
        "complete": report.complete,
        "mutants": [asdict(found) for found in report.detections],
        "correct": [asdict(twin) for twin in report.acquittals],
    }
    return json.dumps(value, indent=2) + "\n"


def render_markdown(report: ZooReport) -> str:
    """The page of the documentation. It has no times: they are the machine's."""
    said = "\n".join(f"- {escape(line)}" for line in summary(report)[:-1])
    tables = (table(_mutants(report), "mutant", _PAGE_BYTES), table(_twins(report), "system", _PAGE_BYTES))
    return "\n\n".join([said, *tables]) + "\n"


_PAGE_BYTES: Final = 1_000_000
"""A table of the page has all its rows: the zoo is as large as it is."""


def render_html(report: ZooReport) -> str:
    """The same as one HTML file."""
    return filled(
        "zoo.html.j2",
        title="The bug zoo: " + ("all found, nothing invented" if report.passed else "NOT PASSED"),
        passed=report.passed,
        lines=summary(report),
        mutants=_mutants(report, found="✓\N{NO-BREAK SPACE}", missed="✗\N{NO-BREAK SPACE}"),
        twins=_twins(report, found="✓\N{NO-BREAK SPACE}", missed="✗\N{NO-BREAK SPACE}"),
    )


def render_junit(report: ZooReport) -> str:
    """A test case for each mutant, which fails where it is missed, and for each correct system, which fails where it is
    flagged."""
    from junitparser import TestSuite

    suite = TestSuite("sagafuzz: the bug zoo")
    for found in report.detections:
        suite.add_testcase(_case(clean(found.name, 60), "mutants", "" if found.found else _missed(found)))
    for twin in report.acquittals:
        suite.add_testcase(_case(clean(twin.about, 120), "correct systems", "\n".join(_flagged(twin))))
    if not report.complete:
        suite.add_testcase(_case("the zoo was measured", "sagafuzz", INCOMPLETE))
    return junit.document([suite])


def _case(name: str, group: str, failure: str) -> TestCase:
    from junitparser import Failure, TestCase

    case = TestCase(name, group)
    if failure:
        case.result = [Failure(failure)]
    return case


def render_annotations(report: ZooReport) -> str:
    """Workflow commands of GitHub Actions, a line each: an error for each mutant that was missed and each correct
    system that was flagged."""
    said = [_missed(found) for found in report.detections if not found.found]
    said += [line for twin in report.acquittals for line in _flagged(twin)]
    said += [] if report.complete else [INCOMPLETE]
    return "".join(f"{line}\n" for line in hosts.errors("the bug zoo", said))


def _mutants(report: ZooReport, found: str = "", missed: str = "") -> Table:
    rows = tuple(
        (
            clean(entry.name, 40) + (" (late)" if entry.late else ""),
            clean(entry.about, 300),
            clean(entry.source, 100),
            f"{found}{entry.invariant}" if entry.found else f"{missed}missed",
            f"{entry.schedules:,}",
            clean(entry.schedule, 300),
        )
        for entry in report.detections
    )
    headers = ("mutant", "what it does wrong", "seen in", "found by", "schedules", "smallest schedule")
    return Table(headers=headers, rows=rows, numbers=frozenset({4}))


def _twins(report: ZooReport, found: str = "", missed: str = "") -> Table:
    rows = tuple(
        (
            clean(twin.about, 300),
            ", ".join(twin.mutants),
            f"{twin.plans:,}",
            f"{missed}{clean('; '.join(twin.flagged), 300)}" if twin.flagged else f"{found}no",
        )
        for twin in report.acquittals
    )
    headers = ("correct system", "differs from it", "plans", "flagged")
    return Table(headers=headers, rows=rows, numbers=frozenset({2}))
