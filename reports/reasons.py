"""The explanation of a finding, in words and rows: text and Markdown print the same."""

from __future__ import annotations

from collections.abc import Sequence

from ..verdict import EITHER, Explanation, Finding, StateRow
from .clean import clean, cut, pad, printable, width
from .facts import Table

WORDS_COLUMNS = 240
SOURCE_COLUMNS = 96
SAGAS_SHOWN = 2
STEPS_SHOWN = 6
NAME_COLUMNS = 10

_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


def needed(finding: Finding) -> str:
    """What holds without each of the faults: ``without it all invariants hold``; "" where it is not known."""
    removed = finding.explanation.removed if finding.explanation is not None and finding.plan is not None else ()
    if not removed:
        return ""
    results = list(dict.fromkeys(entry.then for entry in removed))
    if len(removed) == 1:
        return f"without it {clean(results[0], WORDS_COLUMNS)}"
    if len(results) == 1:
        return f"without {'either' if len(removed) == 2 else 'any'} of them {clean(results[0], WORDS_COLUMNS)}"
    each = (f"without the {name} {clean(entry.then, 80)}" for name, entry in zip(_ORDINALS, removed, strict=False))
    return "; ".join(each)


def pairs(explanation: Explanation) -> list[tuple[str, str]]:
    """What stands below the schedule, as (label, words), without the table of states."""
    said = []
    if explanation.code:
        said.append(("code", clean(explanation.code, WORDS_COLUMNS)))
    if explanation.passing:
        said.append(("passes", clean(explanation.passing, WORDS_COLUMNS)))
        said.append(("they part", clean(explanation.parting, WORDS_COLUMNS)))
    if explanation.cause:
        said.append(("cause", clean(explanation.cause, 2 * WORDS_COLUMNS)))
    if explanation.repair:
        said.append(("repair", clean(explanation.repair, 2 * WORDS_COLUMNS)))
    return said


def source(explanation: Explanation | None) -> list[str]:
    """The lines of code that a finding points at, the one in question marked, below the name of their file; none where
    they are not known."""
    shown = explanation.source if explanation is not None else None
    if shown is None:
        return []
    last = shown.first + len(shown.lines) - 1
    lines = [f"{clean(shown.file, SOURCE_COLUMNS - 8)}:{shown.line}"]
    for number, text in enumerate(shown.lines, shown.first):
        mark = ">" if number == shown.line else " "
        lines.append(
            cut(f"{mark} {number:>{len(str(last))}} | {printable(text.expandtabs(4))}".rstrip(), SOURCE_COLUMNS)
        )
    return lines


def states(explanation: Explanation) -> Table | None:
    """Net effects, expected and found, a column for each step; None where there are none, or all are as expected."""
    if all(map(_as_expected, explanation.states)):
        return None
    names = explanation.steps[:STEPS_SHOWN]
    more = ("…",) if len(explanation.steps) > len(names) else ()
    rows: list[tuple[str, ...]] = []
    for row in explanation.states[:SAGAS_SHOWN]:
        for label, values in (("expected", row.expected), ("found", row.found)):
            shown = tuple(clean(value, 8) for value in values[:STEPS_SHOWN])
            rows.append((f"{clean(row.saga, 12)} {label}", *shown, *more))
    alike = any("/" in value for row in explanation.states for value in row.expected)
    heading = "net effects (0/1: all alike)" if alike else "net effects"
    return Table(headers=(heading, *_told_apart(names), *more), rows=tuple(rows))


def _as_expected(row: StateRow) -> bool:
    """True if the effects found show nothing wrong: what went wrong was their order, a record or an answer."""
    alike = {found for expected, found in zip(row.expected, row.found, strict=False) if expected == EITHER}
    pairs = zip(row.expected, row.found, strict=False)
    return len(alike) < 2 and all(expected in ("any", EITHER, found) for expected, found in pairs)


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names of the steps, cut to ``NAME_COLUMNS`` where that leaves them different."""
    short = [clean(name, NAME_COLUMNS) for name in names]
    return [clean(name, 24) if short.count(cut) > 1 else cut for name, cut in zip(names, short, strict=True)]


def states_lines(table: Table, columns: int) -> list[str]:
    """The table without rules, for a terminal: as many steps as there is room for."""
    widths = [max(width(row[column]) for row in (table.headers, *table.rows)) for column in range(len(table.headers))]
    lines = [
        "  ".join(pad(cell, room) for cell, room in zip(row, widths, strict=True)).rstrip()
        for row in (table.headers, *table.rows)
    ]
    return [cut(line, columns) for line in lines]
