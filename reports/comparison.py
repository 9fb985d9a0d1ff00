"""Several systems side by side: invariants × systems, and what the violated ones were caught at."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from ..verdict import Report
from . import facts, layout, markdown
from .clean import COLUMNS, clean, wrap
from .facts import SYMBOLS, Table

_SYSTEM_COLUMNS = 14


def render(reports: Sequence[Report], columns: int = COLUMNS) -> str:
    """The comparison for a terminal in lines of at most ``columns``."""
    if not reports:
        return "Nothing was compared.\n"
    parts = ["\n".join([layout.table(matrix(reports), columns), "", facts.LEGEND])]
    for report in reports:
        lines = [wrap(facts.headline(report), columns, hanging="  ")]
        lines.extend(wrap(line, columns, indent="  ", hanging="    ") for line in caught(report))
        lines.extend(wrap(line, columns, indent="  ") for line in facts.statements(report) if not report.findings)
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def last_line(reports: Sequence[Report]) -> str:
    """``seed violated, reference consistent``."""
    return ", ".join(f"{clean(report.adapter, facts.NAME_COLUMNS)} {_verdict(report)}" for report in reports)


def render_markdown(reports: Sequence[Report]) -> str:
    """The same as GitHub-flavoured Markdown."""
    parts = ["# Comparison"]
    if not reports:
        return "# Comparison\n\nNothing was compared.\n"
    parts.extend([markdown.table(matrix(reports), "row"), facts.LEGEND])
    for report in reports:
        parts.append(f"## {markdown.escape(facts.headline(report))}")
        said = caught(report) or facts.statements(report)
        parts.append("\n".join(f"- {markdown.escape(line)}" for line in said))
    return "\n\n".join(part for part in parts if part) + "\n"


def render_json(reports: Sequence[Report]) -> str:
    """The same for machines; what a system's own report.json says of it is not said again."""
    systems = [
        {
            "adapter": clean(report.adapter, 200),
            "saga": clean(report.saga, 200),
            **({"engine": clean(report.engine, 200)} if report.engine else {}),
            "verdict": report.verdict,
            "complete": report.complete,
            "plans": report.counts.run,
            "findings": [
                {"id": clean(found.id, 24), "invariant": clean(found.violation.invariant, 12)}
                for found in report.findings
            ],
            "invariants": {clean(result.id, 12): result.status for result in report.invariants},
        }
        for report in reports
    ]
    return json.dumps({"version": 1, "systems": systems}, indent=2) + "\n"


def matrix(reports: Sequence[Report]) -> Table:
    """A row for each invariant with a symbol for each system, then its plans and its verdict. A rule of a system's own
    has a row to itself, also where another system has one of that id."""
    named = dict.fromkeys((result.id, result.name) for report in reports for result in report.invariants)
    known = [{(result.id, result.name): SYMBOLS[result.status] for result in report.invariants} for report in reports]
    rows: list[tuple[str, ...]] = [
        (clean(id, 12), clean(name, 32), *(statuses.get((id, name), "–") for statuses in known)) for id, name in named
    ]
    rows.append(_row("plans run", (f"{report.counts.run:,}" for report in reports)))
    rows.append(_row("findings", (f"{len(report.findings):,}" for report in reports)))
    rows.append(_row("verdict", (_verdict(report) for report in reports)))
    systems = (clean(report.adapter, _SYSTEM_COLUMNS) for report in reports)
    return Table(headers=("id", "invariant", *systems), rows=tuple(rows))


def _row(name: str, cells: Iterable[str]) -> tuple[str, ...]:
    return ("", name, *cells)


def _verdict(report: Report) -> str:
    return report.verdict if report.complete else f"{report.verdict} (incomplete)"


def caught(report: Report) -> list[str]:
    """``I1 F-abcd duplicate effect: …`` for the first finding of each invariant."""
    return [
        f"{clean(v.invariant, 12)} {clean(finding.id, 24)} {clean(v.anomaly, 32)}: {clean(v.sentence, 200)}"
        for finding in facts.first_of_each(report.findings)
        for v in (finding.violation,)
    ]
