"""What a diagram shows and hides, over every finding at one fault of every system that the tests know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from sagafuzz import Fault, History, Site, Violation
from sagafuzz.exploration.enumerator import Enumerator
from sagafuzz.exploration.judge import Judge
from sagafuzz.exploration.quiet import quiet
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.history import (
    APPLY,
    BOOT,
    CRASH,
    DELIVER,
    ERROR,
    HANDLED,
    LOG,
    LOGACK,
    PUBLISH,
    RECEIVE,
    REJECT,
    SEND,
    Row,
)
from sagafuzz.reports.diagram import Diagram, diagram
from sagafuzz.saga import MESSAGE, QUERY
from sagafuzz.simulator import Setup

from .every_system import EVERY_SETUP, EXPOSING

LIMITS = (3, 16)
"""Lines that a diagram is given: in a crowded finding, and beside another one. Alone it is given more."""

LIVELOCK = 2_000
"""Rows from which on a history is long to draw; such a one is drawn once."""

OWN_ROWS = {
    "send": {SEND},
    "effect": {DELIVER},
    "ack": {APPLY, REJECT, ERROR},
    "log": {LOG},
    "logged": {LOGACK},
    "boot": {BOOT},
    "publish": {PUBLISH},
    "receipt": {RECEIVE},
    "handled": {HANDLED},
}
"""By the phase of a site, the kinds of the rows that are its own."""

INSTEAD = {
    "pause": "PAUSE",
    "cancel": "CANCEL",
    "clock-forward": "CLOCK",
    "clock-back": "CLOCK",
    "resubmit": "SUBMIT",
    "resubmit-late": "SUBMIT",
    "resubmit-elsewhere": "SUBMIT",
    "message-parked": "PARKED",
    "lost-message-ack": "LOST",
}
"""Kinds with the row that they write: what they strike has none yet, or gets none."""


class Found(NamedTuple):
    history: History
    violation: Violation


def found(setup: Setup) -> Iterator[Found]:
    """Each distinct violation that a plan with at most one fault shows, once for each kind of fault."""
    judge, seen = Judge(setup), set[tuple[object, ...]]()
    for case in Enumerator(setup, 1).cases():
        verdict, _ = judge.judge(case.plan, case.run, case.digest)
        for violation in verdict.violations:
            kinds = [fault.kind for fault in case.plan.faults] if len(case.run.rows) < LIVELOCK else []
            key = (*violation.signature, *kinds)
            if key not in seen:
                seen.add(key)
                yield Found(case.run.history(setup, case.plan), violation)


def told(picture: Diagram) -> frozenset[int]:
    """The rows of the lines that can be read."""
    return frozenset(row for line in picture.lines if line.kind != "elided" for row in line.rows)


def is_struck(row: Row, fault: Fault) -> bool:
    """True if a row is the one in which the fault is to be seen."""
    kind, site = FAULT_KINDS[fault.kind], fault.site
    if kind.crash:
        return row[1] == CRASH and row[9][0] == kind.name
    if kind.name in INSTEAD:
        return row[1] == INSTEAD[kind.name]
    if row[1] not in OWN_ROWS[site.phase]:
        return False
    return site.phase == "boot" or _is_of(row, site)


def _is_of(row: Row, site: Site) -> bool:
    if site.direction == MESSAGE:
        return (row[3], row[9][0]) == (site.saga, site.subject)
    if site.direction == QUERY:
        return (row[3], row[4], row[6]) == (site.saga, "", site.occurrence)
    if site.direction:
        return row[3:7] == (site.saga, site.subject, site.direction, site.occurrence)
    return f"{row[9][0]} {row[4]}".rstrip() in site.subject.split(" + ") and row[9][1] == site.occurrence


def causes(history: History, violation: Violation) -> Iterator[int]:
    """The rows that no diagram may hide, by what the violation says of itself."""
    yield violation.position if 0 <= violation.position < len(history.rows) else len(history.rows) - 1
    for position, row in enumerate(history.rows):
        if row[1] in ("CRASH", "PAUSE", "CANCEL", "CLOCK", "LOGLOST", "EXPIRE", "HEAL") or (
            row[1] == "BOOT" and row[9][0] > 1
        ):
            yield position
    steps = [(violation.saga, violation.step, direction) for direction in ("F", "C")] if violation.step else []
    for call in steps:
        effects = [n for n, row in enumerate(history.rows) if row[1] == APPLY and row[9][0] and row[3:6] == call]
        yield from (*effects[:1], *effects[-1:])


def check(setup: Setup) -> int:
    """How many findings were looked at."""
    with quiet():
        findings = list(found(setup))
    for history, violation in findings:
        for limit in LIMITS if len(history.rows) < LIVELOCK else LIMITS[:1]:
            picture = diagram(history, violation, limit=limit)
            hidden = set(causes(history, violation)) - told(picture)
            assert not hidden, [history.rows[position] for position in sorted(hidden)]
            marks = [(mark.text, line) for line in picture.lines for mark in line.marks if mark.kind == "fault"]
            assert Counter(kind for kind, _ in marks) == Counter(fired.fault.kind for fired in history.fired)
            for fired in history.fired:
                (line,) = [line for kind, line in marks if kind == fired.fault.kind]
                assert any(is_struck(history.rows[row], fired.fault) for row in line.rows), (str(fired.fault), line)
            rows = [row for line in picture.lines for row in line.rows]
            assert not [row for row, times in Counter(rows).items() if times > 1]
    return len(findings)


BROKEN = [name for name in EVERY_SETUP if name.startswith("broken for ") and len(EXPOSING[name]) == 1]
"""Those that fall for one fault; a start, or a repeated request, comes after another."""


@pytest.mark.parametrize("name", BROKEN)
def test_no_diagram_hides_a_cause(name: str) -> None:
    assert check(EVERY_SETUP[name]) > 0


OTHERS = [name for name in EVERY_SETUP if name.startswith(("zoo ", "alone for ", "seed", "simple-saga"))]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS[::2])
def test_no_diagram_of_another_broken_system_hides_a_cause(name: str) -> None:
    check(EVERY_SETUP[name])
