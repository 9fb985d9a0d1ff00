"""The consistency report for a terminal: plain text as wide as that, at most 100 columns, no colour codes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from ..verdict import Finding, Report
from . import covered, facts, layout, reasons
from .clean import COLUMNS, clean, cut, plural, wrap
from .diagram import diagram, to_text
from .facts import Others

SCREEN: Final = 45
"""Lines that a finding with its explanation takes at most."""

BRIEF: Final = 60
"""Lines that the brief form has at most, and its verdict of them."""

HEAD: Final = 10
OTHERS_SHOWN: Final = 10
LIST_SHOWN: Final = 40
_INDENT: Final = "  "
_AGAIN: Final = "reproduce"


def render(report: Report, columns: int = COLUMNS) -> str:
    """The whole report in lines of at most ``columns``, ending in a line end. A word of a command is not broken."""
    room = columns - len(_INDENT)
    whole, others = facts.chosen(report)
    parts = [_verdict(report, columns)]
    parts.extend(_finding(report, finding, columns) for finding in whole)
    if others:
        parts.append(_others(others, columns))
    parts.append(_section("What was run", _run(report, room)))
    parts.append(_section("Invariants", layout.table(facts.invariant_table(report, note_columns=160), room)))
    if report.coverage:
        parts.append(_section("Faults", layout.table(facts.coverage_table(report), room)))
    if said := covered.notes(report):
        parts.append(_section("Coverage", layout.wrapped(said, room, hanging=_INDENT)))
    if (pairs := covered.mode_table(report)).rows:
        parts.append(_section("Pairs of faults by where they struck", layout.table(pairs, room)))
    parts.append(_section("What was not exercised", _not_exercised(report, room)))
    parts.append(_ending(report, columns))
    return "\n\n".join(parts) + "\n"


def brief(report: Report, last: Sequence[str], columns: int = COLUMNS, lines: int = BRIEF) -> str:
    """The verdict, a finding whole, the others by a line each, and ``last``: at most ``lines``, no line end."""
    found = [finding for finding in report.findings if not finding.known] or list(report.findings)
    findings = facts.first_of_each(found)
    findings += [finding for finding in found if finding not in findings]
    room = lines - len(last) - 1
    head = _shortened(_verdict(report, columns).split("\n"), HEAD if findings else room)
    if not findings:
        return "\n".join([*head, "", *last])
    others = _shortened([_line_of(finding, columns) for finding in findings[1:]], OTHERS_SHOWN)
    room -= len(head) + len(others) + 1
    first = _finding(report, findings[0], columns, min(SCREEN, room)).split("\n")
    return "\n".join([*head, "", *_shortened(first, room), "", *others, *last])


def _shortened(lines: list[str], most: int) -> list[str]:
    """The first ``most`` lines; the last of these says how many are left out."""
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], f"{_INDENT}… {plural(len(lines) - most + 1, 'more line')}, in the report"]


def _line_of(finding: Finding, columns: int) -> str:
    violation = finding.violation
    words = f"{clean(violation.invariant, 12)} {clean(violation.anomaly, 40)}: {clean(violation.sentence, 200)}"
    return cut(f"{clean(finding.id, 24)}  {words}", columns)


def _verdict(report: Report, columns: int) -> str:
    lines = [wrap(facts.headline(report), columns, hanging=_INDENT)]
    lines.extend(wrap(line, columns, indent=_INDENT) for line in facts.statements(report))
    return "\n".join(lines)


def _section(heading: str, body: str) -> str:
    return f"{heading}\n{textwrap.indent(body, _INDENT)}"


def _finding(report: Report, finding: Finding, columns: int, screen: int = SCREEN) -> str:
    """One finding as a block: what, where, the schedule, expected against got, how to run it again."""
    violation = finding.violation
    lines = [cut(facts.title(report, finding), columns)]
    lines.append(wrap(clean(violation.sentence, facts.SENTENCE_COLUMNS), columns, indent=_INDENT))
    lines.append(wrap(facts.shrunk(finding), columns, indent=_INDENT))
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
    again = facts.replay(report, finding)
    column = max(len(name) for name, _ in (*pairs, (_AGAIN, again))) + 3
    room = columns - len(_INDENT)
    below = _labelled(pairs, column, room)
    below += [_INDENT + cut(line, room) for line in reasons.source(explained)]
    if explained is not None and (table := reasons.states(explained)) is not None:
        below += [_INDENT + line for line in reasons.states_lines(table, room)]
    if again:
        start = _INDENT + f"{_AGAIN + ':':<{column}}"
        below += layout.command(again, columns, start=start, hanging=_INDENT + " " * column).split("\n")
    above = "\n".join(lines)
    left = screen - above.count("\n") - 1 - len(below)
    return "\n".join([above, _schedule(finding, left, columns), *below])


def _labelled(pairs: list[tuple[str, str]], column: int, columns: int) -> list[str]:
    lines: list[str] = []
    for name, value in pairs:
        start = f"{name + ':' if name else '':<{column}}"
        text = wrap(value, columns, indent=start, hanging=" " * column)
        lines += textwrap.indent(text, _INDENT).split("\n")
    return lines


def _schedule(finding: Finding, room: int, columns: int) -> str:
    """The diagram in ``room`` lines, where what is marked in it leaves a choice."""
    text = to_text(diagram(finding.history, finding.violation), columns)
    for lines in (20, 16, 12, 9, 6, 3):
        if text.count("\n") < room or finding.explanation is None:
            break
        text = to_text(diagram(finding.history, finding.violation, limit=lines), columns)
    return text


def _others(groups: tuple[Others, ...], columns: int) -> str:
    lines = ["Also found"]
    for group in groups:
        name = f"{clean(group.invariant, 12)} {clean(group.name, 32)}".rstrip()
        lines.append(f"{_INDENT}{name}: {len(group.findings):,} more")
        for finding in group.findings[:OTHERS_SHOWN]:
            line = f"{clean(finding.id, 24)}  {clean(finding.violation.sentence, 200)}"
            lines.append(_INDENT * 2 + cut(line, columns - 4))
        if (left := len(group.findings) - OTHERS_SHOWN) > 0:
            lines.append(f"{_INDENT * 2}… and {plural(left, 'more finding')}, in report.json")
    return "\n".join(lines)


def _run(report: Report, columns: int) -> str:
    notes = [wrap(note, columns, hanging=_INDENT) for note in facts.run_notes(report)]
    return "\n".join([layout.table(facts.scenario_table(report), columns), *notes])


def _not_exercised(report: Report, columns: int) -> str:
    said = facts.not_exercised(report)
    if not said:
        return "nothing that was planned"
    lines = [wrap(line, columns, indent="- ", hanging="  ") for line in said[:LIST_SHOWN]]
    if (left := len(said) - LIST_SHOWN) > 0:
        lines.append(f"- … and {left:,} more, in report.json")
    return "\n".join(lines)


def _ending(report: Report, columns: int) -> str:
    lines = [wrap(facts.footer(report), columns, hanging=_INDENT)]
    if report.command:
        lines.append(layout.command(clean(report.command, layout.COMMAND_COLUMNS), columns, start="again: "))
    return "\n".join(lines)
