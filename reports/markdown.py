"""The consistency report as GitHub-flavoured Markdown, for a step summary or a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from tabulate import tabulate

from ..verdict import Finding, Report
from . import covered, facts, reasons
from .clean import clean, plural
from .diagram import diagram, to_text
from .facts import Table

MAX_BYTES: Final = 200_000
"""GitHub cuts a step summary at a mebibyte and a comment at 65,536 characters; a reader much earlier."""

# What each section may take; together with the headings less than MAX_BYTES.
_VERDICT_BYTES: Final = 15_000
_FINDINGS_BYTES: Final = 60_000
_TABLE_BYTES: Final = 25_000
_LIST_BYTES: Final = 20_000
_OTHERS_BYTES: Final = 25_000

_ACTIVE: Final = re.compile(r"([\\`*_\[\]|~$])")


def render(report: Report) -> str:
    """The whole report, at most MAX_BYTES as UTF-8; what is left out is counted."""
    whole, others = facts.chosen(report)
    parts = [f"# {escape(facts.headline(report))}"]
    parts.extend(_fitting([_statement(line) for line in facts.statements(report)], _VERDICT_BYTES, "statement", "\n\n"))
    if whole:
        parts.append("## Findings")
        blocks = [_finding(report, finding) for finding in whole]
        parts.extend(_fitting(blocks, _FINDINGS_BYTES, "finding", "\n\n"))
    if others:
        parts.append("## Also found")
        parts.append(_lines(_other_lines(others), _OTHERS_BYTES, "finding"))
    parts.append("## What was run")
    parts.append(table(facts.scenario_table(report), "scenario"))
    parts.append("\n".join(f"- {escape(note)}" for note in facts.run_notes(report)))
    parts.append("## Invariants")
    parts.append(table(facts.invariant_table(report, note_columns=300), "invariant"))
    if report.coverage:
        parts.extend(["## Faults", table(facts.coverage_table(report), "kind")])
    parts.extend(_coverage(report))
    parts.append("## What was not exercised")
    missing = [f"- {escape(line)}" for line in facts.not_exercised(report)]
    parts.append(_lines(missing, _LIST_BYTES, "entry") if missing else "Nothing that was planned.")
    parts.append(_ending(report))
    return "\n\n".join(parts) + "\n"


def _coverage(report: Report) -> list[str]:
    parts = ["\n".join(f"- {escape(line)}" for line in covered.notes(report))]
    for heading, content, noun in (
        ("### Pairs of faults by where they struck", covered.mode_table(report), "pair"),
        ("### Orders of conflicting operations", covered.order_table(report), "order"),
        ("### Not reached", covered.unreachable_table(report), "entry"),
    ):
        if content.rows:
            parts.extend([heading, table(content, noun)])
    return ["## Coverage", *parts] if any(parts) else []


def escape(text: str) -> str:
    """Clean text as Markdown that shows exactly it: no markup, no HTML, no link, no mention."""
    shown = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = _ACTIVE.sub(r"\\\1", shown)
    shown = re.sub(r"^([-+=#]|\d+[.)])", r"<!-- -->\1", shown)
    shown = re.sub(r"#(?=\d)", "#<!-- -->", shown)
    return shown.replace("@", "@<!-- -->").replace("://", ":<!-- -->//").replace("www.", "www<!-- -->.")


def fence(text: str) -> str:
    """``text`` as a code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    ticks = "`" * max(3, longest + 1)
    return f"{ticks}text\n{text}\n{ticks}"


def table(content: Table, noun: str, most_bytes: int = _TABLE_BYTES) -> str:
    """A GitHub table; rows beyond its share of the bytes are counted, not shown."""
    if not content.rows:
        return "None."
    rows = [[escape(cell) for cell in row] for row in content.rows]
    text = tabulate(
        rows,
        headers=[escape(header) for header in content.headers],
        tablefmt="github",
        disable_numparse=True,
        colalign=content.alignment,
    )
    heading, rule, *lines = text.split("\n")
    shown, left = _within(lines, most_bytes - len(heading.encode()) - len(rule), 1)
    note = [f"\n… and {plural(left, f'more {noun}')}"] if left else []
    return "\n".join([heading, rule, *shown, *note])


def _statement(line: str) -> str:
    """Set off what limits the verdict."""
    return f"**{escape(line)}**" if line.startswith(("INCOMPLETE", "NOT ")) else escape(line)


def _finding(report: Report, finding: Finding) -> str:
    violation = finding.violation
    facts_of = [f"- fault: {escape(line)}" for line in facts.faults_of(finding)]
    if finding.plan is None:
        facts_of = [f"{n}. {escape(line)}" for n, line in enumerate(facts.faults_of(finding), 1)]
    needed = facts.needs(finding)
    if needed is not None:
        without = reasons.needed(finding)
        facts_of.append(f"- {needed[0]}: **{needed[1]}**{escape(f'; {without}') if without else ''}")
    facts_of.append(f"- expected: {escape(clean(violation.expected, 160))}")
    facts_of.append(f"- got: {escape(clean(violation.got, 160))}")
    if follows := facts.follows(finding):
        facts_of.append(f"- also explains: {escape(follows)}")
    facts_of += [f"- noted: {escape(clean(note, 300))}" for note in finding.notes]
    parts = [
        f"### {escape(facts.title(report, finding))}",
        escape(clean(violation.sentence, facts.SENTENCE_COLUMNS)),
        escape(facts.shrunk(finding)),
        fence(to_text(diagram(finding.history, violation))),
        "\n".join([*facts_of, *_explained(finding)]),
    ]
    if source := reasons.source(finding.explanation):
        parts.append(fence("\n".join(source)))
    if finding.explanation is not None and (states := reasons.states(finding.explanation)) is not None:
        parts.append(table(states, "saga"))
    if again := facts.replay(report, finding):
        parts += ["Reproduce:", fence(again)]
    return "\n\n".join(parts)


def _explained(finding: Finding) -> list[str]:
    said = reasons.pairs(finding.explanation) if finding.explanation is not None else []
    return [f"- {label}: {escape(words)}" for label, words in said]


def _other_lines(groups: Iterable[facts.Others]) -> list[str]:
    lines = []
    for group in groups:
        name = escape(f"{clean(group.invariant, 12)} {clean(group.name, 32)}".rstrip())
        for finding in group.findings:
            what = escape(clean(finding.violation.sentence, 160))
            lines.append(f"- **{name}** {escape(clean(finding.id, 24))}: {what}")
    return lines


def _lines(lines: list[str], budget: int, noun: str) -> str:
    return "\n".join(_fitting(lines, budget, noun, "\n"))


def _fitting(parts: list[str], budget: int, noun: str, joint: str) -> list[str]:
    """Those of ``parts`` that fit, then how many were left out."""
    shown, left = _within(parts, budget, len(joint))
    return [*shown, f"- … {plural(left, f'more {noun}')} left out here; report.json has all"] if left else shown


def _within(parts: list[str], budget: int, joint: int) -> tuple[list[str], int]:
    shown: list[str] = []
    for part in parts:
        budget -= len(part.encode()) + joint
        if budget < 0:
            break
        shown.append(part)
    return shown, len(parts) - len(shown)


def _ending(report: Report) -> str:
    return escape(facts.footer(report))
