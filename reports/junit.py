"""The report as JUnit XML: a test case for each invariant, for every CI that shows tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from ..verdict import GAVE_UP, INCONCLUSIVE, NOT_EXERCISED, VIOLATED, Finding, InvariantResult, Report
from . import facts
from .clean import clean
from .diagram import diagram, to_text
from .layout import COMMAND_COLUMNS

if TYPE_CHECKING:
    from junitparser import TestSuite
    from junitparser.junitparser import FinalResult

MAX_FINDINGS: Final = 20
"""Of one invariant, that are told in its test case."""


def render(report: Report) -> str:
    """Violated is a failure, gave up an error, not exercised skipped. A campaign that is inconclusive as a whole, or
    was interrupted, is a test case of its own that errs: no green by default."""
    return document([_suite(report)])


def render_comparison(reports: Sequence[Report]) -> str:
    """A suite for each system."""
    return document([_suite(report) for report in reports])


def document(suites: Iterable[TestSuite]) -> str:
    """The suites as one JUnit file."""
    from junitparser import JUnitXml

    whole = JUnitXml("sagafuzz")
    for suite in suites:
        whole.add_testsuite(suite)
    return str(whole.tostring(), "utf-8").rstrip("\n") + "\n"  # type: ignore[no-untyped-call]


def _suite(report: Report) -> TestSuite:
    from junitparser import Attr, Error, IntAttr, TestSuite
    from junitparser import TestCase as Plain

    class TestCase(Plain):
        file, line = Attr("file"), IntAttr("line")

    name = f"sagafuzz: {clean(report.saga, 60)} on {clean(report.adapter, 60)}"
    suite = TestSuite(name)
    for key, value in (("seed", str(report.seed)), ("digest", report.digest), ("command", report.command)):
        suite.add_property(key, clean(value, COMMAND_COLUMNS))
    for line in facts.advice(report):
        suite.add_property("advice", line)
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.violation.invariant, []).append(finding)
    for result in report.invariants:
        case = TestCase(clean(f"{result.id} {result.name}", 80), name)
        findings = found.pop(result.id, [])
        case.result = _results(report, result, findings)
        if findings and (place := facts.location(findings[0])) is not None:
            case.file, case.line = place
        suite.add_testcase(case)
    campaign = TestCase("the campaign came to a conclusion", name)
    if report.verdict == INCONCLUSIVE or not report.complete or report.reasons or report.nondeterministic:
        error = Error(clean(facts.headline(report), 1_000), "Inconclusive")
        error.text = "\n".join([facts.headline(report), *facts.statements(report)])
        campaign.result = [error]
    suite.add_testcase(campaign)
    return suite


def _results(report: Report, result: InvariantResult, findings: list[Finding]) -> list[FinalResult]:
    from junitparser import Error, Failure, Skipped

    note = clean(result.note, 200)
    if result.status == VIOLATED:
        if findings and all(finding.known for finding in findings):
            return [Skipped(clean("known: " + "; ".join(finding.known for finding in findings), 300))]
        told = "\n\n".join(_told(report, finding) for finding in findings[:MAX_FINDINGS])
        failure = Failure(clean(findings[0].violation.sentence, 300) if findings else note or "violated", "Violated")
        failure.text = told
        return [failure]
    if result.status == GAVE_UP:
        return [Error(note or "gave up", "GaveUp")]
    return [Skipped(note or "not exercised")] if result.status == NOT_EXERCISED else []


def _told(report: Report, finding: Finding) -> str:
    picture = to_text(diagram(finding.history, finding.violation))
    place = facts.location(finding)
    where = [f"{place[0]}:{place[1]}"] if place is not None else []
    return "\n".join([facts.title(report, finding), *where, picture, facts.replay(report, finding)]).rstrip()
