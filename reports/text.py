"""The consistency report for a terminal: plain text, at most 100 columns, no colour codes."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import Final

from tabulate import tabulate

from ..verdict import Finding, Report
from . import covered, facts, reasons
from .clean import clean, cut, plural, wrap
from .diagram import COLUMNS, diagram, to_text
from .facts import Others, Table

SCREEN: Final = 45
"""Lines that a finding with its explanation takes at most."""

OTHERS_SHOWN: Final = 10
LIST_SHOWN: Final = 40
_INDENT: Final = "  "


def render(report: Report) -> str:
    """The whole report, ending in a line end."""
    whole, others = facts.chosen(report)
    parts = [_verdict(report)]
    parts.extend(_finding(report, finding) for finding in whole)
    if others:
        parts.append(_others(others))
    parts.append(_section("What was run", _run(report)))
    parts.append(_section("Invariants", _wrapped_table(facts.invariant_table(report, note_columns=160))))
    if report.coverage:
        parts.append(_section("Faults", _table(facts.coverage_table(report))))
    if said := covered.notes(report):
        parts.append(_section("Coverage", "\n".join(wrap(line, COLUMNS - 2, hanging=_INDENT) for line in said)))
    if (pairs := covered.mode_table(report)).rows:
        parts.append(_section("Pairs of faults by where they struck", _table(pairs)))
    parts.append(_section("What was not exercised", _not_exercised(report)))
    parts.append(_ending(report))
    return "\n\n".join(parts) + "\n"


def _verdict(report: Report) -> str:
    lines = [wrap(facts.headline(report), COLUMNS, hanging=_INDENT)]
    lines.extend(wrap(line, COLUMNS, indent=_INDENT) for line in facts.statements(report))
    return "\n".join(lines)


def _section(heading: str, body: str) -> str:
    return f"{heading}\n{textwrap.indent(body, _INDENT)}"


def _finding(report: Report, finding: Finding) -> str:
    """One finding as a block: what, where, the schedule, expected against got, how to run it again."""
    violation = finding.violation
    lines = [cut(facts.title(report, finding), COLUMNS)]
    lines.append(wrap(clean(violation.sentence, facts.SENTENCE_COLUMNS), COLUMNS, indent=_INDENT))
    lines.append(wrap(facts.shrunk(finding), COLUMNS, indent=_INDENT))
    label = "rules" if finding.plan is None else "faults"
    pairs = [(label if index == 0 else "", line) for index, line in enumerate(facts.faults_of(finding))]
    question = facts.needs(finding)
    if question is not None:
        without = reasons.needed(finding)
        pairs.append((question[0], f"{question[1]}; {without}" if without else question[1]))
    pairs.append(("expected", clean(violation.expected, 160)))
    pairs.append(("got", clean(violation.got, 160)))
    if follows := facts.follows(finding):
        pairs.append(("also explains", follows))
    pairs += [("noted" if number == 0 else "", clean(note, 300)) for number, note in enumerate(finding.notes)]
    explained = finding.explanation
    pairs += reasons.pairs(explained) if explained is not None else []
    again = facts.replay(finding)
    last = [("reproduce", again)] if again else []
    column = max(len(name) for name, _ in (*pairs, *last)) + 3
    below = _labelled(pairs, column)
    below += [_INDENT + line for line in reasons.source(explained)]
    if explained is not None and (table := reasons.states(explained)) is not None:
        below += [_INDENT + cut(line, COLUMNS - len(_INDENT)) for line in reasons.states_lines(table)]
    below += _labelled(last, column)
    above = "\n".join(lines)
    room = SCREEN - above.count("\n") - 1 - len(below)
    return "\n".join([above, _schedule(finding, room), *below])


def _labelled(pairs: list[tuple[str, str]], column: int) -> list[str]:
    lines: list[str] = []
    for name, value in pairs:
        start = f"{name + ':' if name else '':<{column}}"
        text = wrap(value, COLUMNS - len(_INDENT), indent=start, hanging=" " * column)
        lines += textwrap.indent(text, _INDENT).split("\n")
    return lines


def _schedule(finding: Finding, room: int) -> str:
    """The diagram in ``room`` lines, where what is marked in it leaves a choice."""
    text = to_text(diagram(finding.history, finding.violation))
    for lines in (20, 16, 12, 9, 6, 3):
        if text.count("\n") < room or finding.explanation is None:
            break
        text = to_text(diagram(finding.history, finding.violation, limit=lines))
    return text


def _others(groups: tuple[Others, ...]) -> str:
    lines = ["Also found"]
    for group in groups:
        name = f"{clean(group.invariant, 12)} {clean(group.name, 32)}".rstrip()
        lines.append(f"{_INDENT}{name}: {len(group.findings):,} more")
        for finding in group.findings[:OTHERS_SHOWN]:
            line = f"{clean(finding.id, 24)}  {clean(finding.violation.sentence, 200)}"
            lines.append(_INDENT * 2 + cut(line, COLUMNS - 4))
        if (left := len(group.findings) - OTHERS_SHOWN) > 0:
            lines.append(f"{_INDENT * 2}… and {plural(left, 'more finding')}, in report.json")
    return "\n".join(lines)


def _run(report: Report) -> str:
    notes = [wrap(note, COLUMNS - len(_INDENT), hanging=_INDENT) for note in facts.run_notes(report)]
    return "\n".join([_table(facts.scenario_table(report)), *notes])


def _wrapped_table(table: Table) -> str:
    """A table whose last column takes the room that the others leave."""
    used = len(_table(replace(table, rows=tuple((*row[:-1], "") for row in table.rows))).split("\n")[1])
    room = COLUMNS - len(_INDENT) - used + len(table.headers[-1])
    return _table(replace(table, rows=tuple((*row[:-1], wrap(row[-1], max(room, 16))) for row in table.rows)))


def _table(table: Table) -> str:
    text = tabulate(
        table.rows, headers=table.headers, tablefmt="simple", disable_numparse=True, colalign=table.alignment or None
    )
    return "\n".join(line.rstrip() for line in text.split("\n"))


def _not_exercised(report: Report) -> str:
    said = facts.not_exercised(report)
    if not said:
        return "nothing that was planned"
    lines = [wrap(line, COLUMNS - len(_INDENT), indent="- ", hanging="  ") for line in said[:LIST_SHOWN]]
    if (left := len(said) - LIST_SHOWN) > 0:
        lines.append(f"- … and {left:,} more, in report.json")
    return "\n".join(lines)


def _ending(report: Report) -> str:
    lines = [facts.footer(report)]
    if report.command:
        lines.append(f"again: {clean(report.command, 300)}")
    return "\n".join(wrap(line, COLUMNS, hanging=_INDENT) for line in lines)
