"""What is said of campaigns at the end of a session, and in a JUnit file."""

from __future__ import annotations

from typing import Any, Final

from ..reports.clean import clean
from ..verdict import Report, partial_claim

FACTS: Final = (
    "saga_adapter",
    "saga_verdict",
    "saga_plans",
    "saga_findings",
    "saga_known",
    "saga_advice",
    "saga_left",
)

_NAME: Final = 60


def facts(report: Report) -> list[tuple[str, object]]:
    """Plain text, so that it goes from xdist's workers to the controller, and into a JUnit file."""
    verdict = "not deterministic" if report.nondeterministic else report.verdict
    found = ", ".join(f"{finding.violation.invariant} {finding.id}" for finding in report.findings)
    known = "; ".join(f"{finding.id}: {clean(finding.known, 300)}" for finding in report.findings if finding.known)
    advice = "; ".join(clean(line, 600) for line in report.advice)
    counted = str(report.counts.run)
    left = f"{partial_claim(report)}; faults=2 asks for all of them" if report.pairs.ended else "none"
    values = (clean(report.adapter, _NAME), verdict, counted, found or "none", known or "none", advice or "none", left)
    return list(zip(FACTS, values, strict=True))


def write(terminalreporter: Any) -> None:
    """A line for each campaign, wherever its test ran."""
    properties: dict[str, list[tuple[str, object]]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            told = [entry for entry in getattr(report, "user_properties", ()) if entry[0] in FACTS]
            if told and len(told) >= len(properties.get(report.nodeid, ())):
                properties[report.nodeid] = told
    advised: list[str] = []
    partly: list[str] = []
    rows = [("test", "adapter", "verdict", "plans", "findings")]
    for nodeid, told in sorted(properties.items()):
        for start in range(0, len(told), len(FACTS)):
            adapter, verdict, plans, found, known, advice, left = (str(v) for _, v in told[start : start + len(FACTS)])
            partly += [f"left of {adapter}: {left}"] if left != "none" else []
            advised += [f"advice on {adapter}: {advice}"] if advice != "none" else []
            rows.append((clean(nodeid, 400), adapter, verdict, plans, _brief(found, known)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    terminalreporter.section("sagas")
    for row in rows:
        cells = (
            cell.rjust(width) if cell.isdecimal() else cell.ljust(width)
            for cell, width in zip(row[:4], widths, strict=True)
        )
        terminalreporter.write_line("  ".join([*cells, row[4]]))
    for line in dict.fromkeys([*advised, *partly]):
        terminalreporter.write_line(line)


def _brief(found: str, known: str) -> str:
    """``12: I1 I5 I13, 3 known`` of the findings of a campaign."""
    if found == "none":
        return "none"
    entries = found.split(", ")
    accepted = "" if known == "none" else f", {len(known.split('; F-'))} known"
    return f"{len(entries)}: {' '.join(dict.fromkeys(entry.split()[0] for entry in entries))}{accepted}"
