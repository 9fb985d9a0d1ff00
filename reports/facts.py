"""What a report says, in words and rows, before it is laid out: text and Markdown print the same facts."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..faults import FAULT_KINDS, given_way
from ..saga import FORWARD
from ..verdict import (
    CONSISTENT,
    GAVE_UP,
    HOLDS,
    INCONCLUSIVE,
    MODES,
    NOT_EXERCISED,
    VIOLATED,
    Finding,
    PlanCounts,
    RandomPlans,
    RandomResult,
    Recorded,
    Report,
    exhaustive_claim,
    partial_claim,
    random_claims,
)
from .clean import clean, plural

SYMBOLS: Final = {HOLDS: "✓", VIOLATED: "✗", NOT_EXERCISED: "○", GAVE_UP: "?"}
"""How the status of an invariant is drawn; the word always stands beside it or in a legend."""

LEGEND: Final = "✓ holds   ✗ violated   ○ not exercised   ? gave up"

FULL_FINDINGS: Final = 6
NAME_COLUMNS: Final = 40
SENTENCE_COLUMNS: Final = 300
LIST_COLUMNS: Final = 800
REASON_COLUMNS: Final = 800
OPERATIONS_SHOWN: Final = 4
REASONS_SHOWN: Final = 10
FILES_SHOWN: Final = 3


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of clean strings under ``headers``; ``numbers`` are the columns that are aligned to the right."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()

    @property
    def alignment(self) -> tuple[str, ...]:
        return tuple("right" if column in self.numbers else "left" for column in range(len(self.headers)))


@dataclass(frozen=True, kw_only=True)
class Others:
    """The findings of one invariant that are listed by a line each."""

    invariant: str
    name: str
    findings: tuple[Finding, ...]


LOOK_INTO: Final = "look at what was not exercised: it says what the record would have to show"
"""The same of a record."""

LOOK_AT: Final = "look at what was not exercised, and at what `sagafuzz doctor` says of the adapter"
"""Where the cause of an inconclusive verdict is to be found, beside what its reasons say."""


# -- the verdict -------------------------------------------------------------------------------


def headline(report: Report) -> str:
    """``checkout on reference: CONSISTENT``, with the reason where it is inconclusive."""
    subject = f"{clean(report.saga, NAME_COLUMNS)} on {clean(report.adapter, NAME_COLUMNS)}"
    line = f"{subject}: {report.verdict.upper()}{'' if report.complete else ', INCOMPLETE'}"
    if report.verdict == INCONCLUSIVE:
        line += f": {why(report)[0]}"
    return line


def last_line(report: Report) -> str:
    """``VIOLATED: checkout on seed, 12 findings, 3 of them known``."""
    verdict = f"{report.verdict.upper()}{'' if report.complete else ', INCOMPLETE'}"
    subject = f"{clean(report.saga, NAME_COLUMNS)} on {clean(report.adapter, NAME_COLUMNS)}"
    found = plural(len(report.findings), "finding") if report.findings else "no finding"
    return f"{verdict}: {subject}, {found}{_accepted(report)}"


def why(report: Report) -> list[str]:
    """The reasons why a campaign concludes less than it could, the most important first. Never empty where it is
    inconclusive: then each form of the report says the first of them beside the verdict."""
    said = [clean(reason, REASON_COLUMNS) for reason in report.reasons]
    if report.verdict == INCONCLUSIVE and not said:
        said = ["it was ended early" if not report.complete else "nothing was found, and too little was exercised"]
    return said


def not_begun(report: Report) -> list[str]:
    """The parts that were asked for and not begun, a few words each."""
    left = [
        f"scenario {clean(result.scenario.name, NAME_COLUMNS)}" for result in report.scenarios if not result.counts.run
    ]
    if report.pairs.planned and not report.pairs.run and report.max_faults > 1:
        left.append("plans with two faults")
    if report.random.asked and not report.random.run:
        left.append("the state machine")
    return left


def look_at(report: Report) -> str:
    """Where the cause is to be found of a verdict that is inconclusive; "" for another."""
    if report.verdict != INCONCLUSIVE:
        return ""
    return LOOK_AT if report.recorded is None else LOOK_INTO


def statements(report: Report) -> list[str]:
    """What the verdict rests on: first what limits it, then what was found or searched; last advice."""
    said: list[str] = []
    counts = report.counts
    if report.pairs.ended:
        said.append(
            f"INCOMPLETE: {clean(report.pairs.ended, REASON_COLUMNS)}; every plan with at most one fault was run, and "
            f"{partial_claim(report)}; nothing is said of the others"
        )
    elif not report.complete:
        asked = report.random.asked
        examples = f" and {report.random.run:,} of {plural(asked, 'example')}" if asked else ""
        ran = f"{counts.run:,} of " if counts.run < counts.planned else ""  # else how many there were is not known
        said.append(
            f"INCOMPLETE: ended after {ran}{plural(counts.planned, 'plan')}{examples}; "
            f"nothing is said of what was not run"
        )
        if share := partial_claim(report):
            said.append(share)
        if left := not_begun(report):
            said.append(f"not begun: {', '.join(left)}")
    given = why(report)[1:] if report.verdict == INCONCLUSIVE else why(report)
    if report.nondeterministic and not any(report.nondeterministic in reason for reason in report.reasons):
        said.append(f"NOT DETERMINISTIC: {clean(report.nondeterministic, REASON_COLUMNS)}")
    said.extend(f"note: {reason}" for reason in given[:REASONS_SHOWN])
    if len(given) > REASONS_SHOWN:
        said.append(f"note: {plural(len(given) - REASONS_SHOWN, 'more reason')}, in report.json")
    if report.verdict == INCONCLUSIVE:
        said.append(look_at(report))
    if wrong := wrong_answers(report):
        said.append(wrong)
    if report.verdict == VIOLATED:
        said.append(_broken(report))
    elif report.verdict == CONSISTENT and report.complete:
        said.append(exhaustive_claim(report))
    return [*said, *(f"advice: {line}" for line in advice(report))]


def harms(report: Report) -> list[str]:
    """The harm that may come to users of a system that is violated, in words: a line for each invariant that findings
    break, the operations named in which it was seen."""
    results = {result.id: result for result in report.invariants}
    asked: dict[str, dict[str, None]] = {}
    for finding in report.findings:
        violation, saga = finding.violation, finding.history.known
        operations = asked.setdefault(violation.invariant, {})
        if operation := saga.operation(violation.step, violation.direction or FORWARD) if violation.step else "":
            operations[operation] = None
    said = []
    for id, operations in asked.items():
        result = results.get(id)
        harm = result.harm if result is not None else ""
        harm = harm or f"the rule {result.name if result is not None else id} can be broken"
        said.append(clean(harm.replace("{what}", _joined(list(operations)) or "a step"), SENTENCE_COLUMNS))
    return said


def _joined(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and 3 more``."""
    shown = [clean(name, NAME_COLUMNS) for name in names]
    if len(shown) > OPERATIONS_SHOWN:
        shown = [*shown[: OPERATIONS_SHOWN - 1], f"{len(shown) - OPERATIONS_SHOWN + 1} more"]
    return " and ".join(filter(None, (", ".join(shown[:-1]), *shown[-1:])))


def advice(report: Report) -> list[str]:
    """What `sagafuzz doctor` says of the adapter, one line each."""
    return [clean(line, REASON_COLUMNS) for line in report.advice]


def wrong_answers(report: Report) -> str:
    """A sentence where answers were made wrong, which no participant gives: that was asked for; else ""."""
    struck = {cell.kind for cell in report.coverage if cell.planned}
    kinds = [kind.name for kind in FAULT_KINDS.values() if kind.name in struck and kind.needs == "wrong"]
    return f"wrong answers were asked for: {', '.join(kinds)}" if kinds else ""


def _broken(report: Report) -> str:
    broken = report.distinct_invariants
    names = ", ".join(clean(id, 12) for id in broken)
    follow = [r.id for r in report.invariants if r.status == VIOLATED and r.id not in broken]
    also = f", and as a consequence {', '.join(clean(id, 12) for id in follow)}" if follow else ""
    return (
        f"{len(broken)} of {plural(len(report.invariants), 'invariant')} violated ({names}{also}): "
        f"{plural(len(report.findings), 'distinct finding')}{_accepted(report)}"
    )


def _accepted(report: Report) -> str:
    known = sum(1 for finding in report.findings if finding.known)
    return f", {known:,} of them known" if known else ""


# -- what was run ------------------------------------------------------------------------------


def scenario_table(report: Report) -> Table:
    """Plans, distinct histories and distinct outcomes of each scenario, and of all. An outcome is what the
    clients were told, saga by saga. Of a record, what was read."""
    if report.recorded is not None:
        return _record_table(report.recorded)
    rows = [
        (clean(result.scenario.name, 28), *_counts(result.counts, len(result.outcomes))) for result in report.scenarios
    ]
    if len(rows) != 1:
        different = {outcome for result in report.scenarios for outcome in result.outcomes}
        rows.append(("all", *_counts(report.counts, len(different))))
    return Table(
        headers=("scenario", "planned", "run", "fired", "consequential", "histories", "outcomes"),
        rows=tuple(rows),
        numbers=frozenset({1, 2, 3, 4, 5, 6}),
    )


def _record_table(recorded: Recorded) -> Table:
    files = ", ".join(clean(file, 40) for file in recorded.files[:FILES_SHOWN])
    more = f" and {len(recorded.files) - FILES_SHOWN:,} more" if len(recorded.files) > FILES_SHOWN else ""
    numbers = (recorded.events, recorded.sagas, recorded.open)
    return Table(
        headers=("record", "events", "sagas", "without an end"),
        rows=((files + more, *(f"{number:,}" for number in numbers)),),
        numbers=frozenset({1, 2, 3}),
    )


def _counts(counts: PlanCounts, outcomes: int) -> tuple[str, ...]:
    numbers = (counts.planned, counts.run, counts.fired, counts.consequential, counts.histories, outcomes)
    return tuple(f"{number:,}" for number in numbers)


def run_notes(report: Report) -> list[str]:
    """How many plans had how many faults, what the clients were told, and what the state machine did; none of these
    where nothing was run."""
    if report.recorded is not None:
        return ["nothing was run: this is what the record shows"]
    notes = []
    if report.counts.by_faults:
        parts = [f"{count:,} with {plural(n, 'fault')}" for n, count in enumerate(report.counts.by_faults)]
        notes.append("plans by faults: " + ", ".join(parts))
    if report.counts.idle:
        notes.append(f"not counted: {plural(report.counts.idle, 'plan')} of which a fault changed nothing")
    for result in report.scenarios:
        told = sorted(result.outcomes.items(), key=lambda item: (-item[1], item[0]))
        parts = [f"{clean(outcome, 40)}: {count:,}" for outcome, count in told[:8]]
        if parts:
            more = ["…"] if len(told) > len(parts) else []
            notes.append(f"outcomes of {clean(result.scenario.name, 32)}: {'; '.join([*parts, *more])}")
    if report.random_plans.asked:
        notes.append(f"random plans: {_drawn(report.random_plans)}")
    notes.append(f"state machine: {_machine(report.random, known=bool(report.findings))}")
    return [*notes, *random_claims(report)]


def _drawn(result: RandomPlans) -> str:
    ending = f"{result.violated:,} with a violation" if result.violated else "no violation"
    return (
        f"{result.run:,} of {plural(result.asked, 'independent plan')} with at most "
        f"{plural(result.max_faults, 'fault')}, {ending}"
    )


def _machine(result: RandomResult, *, known: bool) -> str:
    """What came of its examples; it passes over the violations that were ``known`` before it."""
    if not result.asked and not result.run:
        return "not run"
    none = "no further violation: it passes over those that plans show" if known else "no violation"
    ending = "found a violation" if result.violated else none
    return f"{result.run:,} of {plural(result.asked, 'example')}, {plural(result.steps, 'rule')} executed, {ending}"


def invariant_table(report: Report, *, note_columns: int) -> Table:
    """Every invariant with its status; ``checked`` and ``violated`` count histories."""
    rows = tuple(
        (
            clean(result.id, 10),
            clean(result.name, 28),
            f"{SYMBOLS[result.status]} {result.status}",
            f"{result.checked:,}",
            f"{result.violated:,}",
            clean(result.note, note_columns),
        )
        for result in report.invariants
    )
    headers = ("id", "invariant", "status", "checked", "violated", "note")
    return Table(headers=headers, rows=rows, numbers=frozenset({3, 4}))


def unexercised_first(report: Report) -> Report:
    """The report with its invariants in another order: those first of which it says nothing, then those that are
    violated."""
    order = (NOT_EXERCISED, GAVE_UP, VIOLATED, HOLDS)
    return replace(report, invariants=tuple(sorted(report.invariants, key=lambda result: order.index(result.status))))


def coverage_table(report: Report) -> Table:
    """Fault kind × mode, each as fired/planned; a dash where no site of it exists. A kind without any site has no
    row; why, is told below what was not exercised."""
    cells: dict[tuple[str, str], tuple[int, int]] = {}
    for cell in report.coverage:
        fired, planned = cells.get((cell.kind, cell.mode), (0, 0))
        cells[cell.kind, cell.mode] = (fired + cell.fired, planned + cell.planned)
    struck = dict.fromkeys(kind for kind, _ in cells)
    kinds = dict.fromkeys([*(kind for kind in FAULT_KINDS if kind in struck), *struck])
    modes = tuple(dict.fromkeys([*MODES, *(mode for _, mode in cells)]))
    rows = tuple(
        (
            clean(kind, 32),
            *("{:,}/{:,}".format(*cells[kind, mode]) if (kind, mode) in cells else "–" for mode in modes),
        )
        for kind in kinds
    )
    headers = ("fault, fired/planned", *(clean(mode, 16) for mode in modes))
    return Table(headers=headers, rows=rows, numbers=frozenset(range(1, len(headers))))


def not_exercised(report: Report) -> list[str]:
    """What nobody should conclude anything about, one line each."""
    said = [clean(line, LIST_COLUMNS) for line in report.not_exercised]
    said.extend(
        clean(f"{cell.kind} in {cell.mode}: {plural(cell.planned, 'plan')}, none fired", SENTENCE_COLUMNS)
        for cell in report.coverage
        if cell.planned and not cell.fired
    )
    return list(dict.fromkeys(said))


def footer(report: Report) -> str:
    """What identifies the run: version, seed and digest of its histories; of real processes, which they were."""
    parts = [f"sagafuzz {clean(report.version, 24)}".rstrip(), f"seed {report.seed}"]
    if report.digest:
        parts.append(f"digest {clean(report.digest, 64)}")
    if report.engine:
        parts.append(f"engine {clean(report.engine, 64)}")
    return " · ".join(parts)


# -- findings ----------------------------------------------------------------------------------


def chosen(report: Report, *, limit: int = FULL_FINDINGS) -> tuple[tuple[Finding, ...], tuple[Others, ...]]:
    """The first finding of each invariant, ``limit`` at most, to be shown whole; the others by invariant."""
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault(finding.violation.invariant, []).append(finding)
    whole = tuple(found[0] for found in list(groups.values())[:limit])
    names = {result.id: result.name for result in report.invariants}
    others = tuple(
        Others(invariant=id, name=names.get(id, ""), findings=tuple(found[1:] if index < limit else found))
        for index, (id, found) in enumerate(groups.items())
    )
    return whole, tuple(group for group in others if group.findings)


def title(report: Report, finding: Finding) -> str:
    """``F-3k9q  I1 at most once: duplicate effect``."""
    violation = finding.violation
    name = next((result.name for result in report.invariants if result.id == violation.invariant), "")
    of = f"{clean(violation.invariant, 12)} {clean(name, 32)}".rstrip()
    known = f" (known: {clean(finding.known, NAME_COLUMNS)})" if finding.known else ""
    return f"{clean(finding.id, 24)}  {of}: {clean(violation.anomaly, NAME_COLUMNS)}{known}"


def shrunk(finding: Finding) -> str:
    """From how many events and faults to how many, and in which scenario."""
    events = len(finding.history.rows)
    if is_recorded(finding):
        return f"{plural(events, 'event')} of the record; {plural(finding.hits, 'history')} shows it"
    if finding.plan is None:
        rules = plural(len(finding.actions), "rule")
        size = f"found by the state machine and shrunk to {rules}, {plural(events, 'event')}"
    else:
        faults = len(finding.plan)
        parts = [_fewer(finding.first_events, events, "event"), _fewer(finding.first_faults, faults, "fault")]
        size = ("shrunk " if any(part.startswith("from") for part in parts) else "") + ", ".join(parts)
    seen = f"; shown by {plural(finding.hits, 'schedule')}" if finding.plan is not None else ""
    return f"{size}; scenario {clean(finding.scenario.name, NAME_COLUMNS)}{seen}"


def is_recorded(finding: Finding) -> bool:
    """True if a record shows it: neither a plan nor a program does."""
    return finding.plan is None and not finding.actions


def _fewer(first: int, now: int, noun: str) -> str:
    return f"from {first:,} to {plural(now, noun)}" if first > now else plural(now, noun)


def needs(finding: Finding) -> tuple[str, str] | None:
    """The question whether every fault is needed, and its answer; None where no plan is known."""
    if finding.plan is None:
        return None
    count = len(finding.plan)
    if count == 0:
        return ("needs a fault", "no")
    question = {1: "needs this fault", 2: "needs both faults"}.get(count, f"needs all {count} faults")
    return (question, "yes" if finding.necessary else "not shown")


def location(finding: Finding) -> tuple[str, int] | None:
    """The file and the line of the user's code that acted, where they are known."""
    source = finding.explanation.source if finding.explanation is not None else None
    return None if source is None else (clean(source.file, NAME_COLUMNS * 5), source.line)


def follows(finding: Finding) -> str:
    """What else is broken as a consequence, "" for nothing."""
    shown = [clean(item, 60) for item in finding.explains[:8]]
    more = len(finding.explains) - len(shown)
    return ", ".join([*shown, *([f"{more} more"] if more else [])])


def replay(report: Report, finding: Finding) -> str:
    """The command that runs the schedule again, "" where no file of it was written. Where no command line makes the
    report, its adapter is known to the tests alone."""
    if not finding.replay:
        return ""
    words = "sagafuzz replay" if report.command else "pytest --saga-replay"
    return f"{words} {clean(shlex.quote(finding.replay), 1_000)}"


def faults_of(finding: Finding) -> list[str]:
    """Each fault of the plan, or each rule of the state machine's program, by a line."""
    if finding.plan is None:
        program = finding.shown or tuple(f"{name} {number}" for name, number in finding.actions)
        shown = [clean(rule, 90) for rule in program[:12]]
        more = len(program) - len(shown)
        return [*shown, *([f"… {plural(more, 'more rule')}"] if more else [])]
    return [clean(part, 120) for part in (*finding.plan.faults, *map(given_way, finding.plan.yields))]


def first_of_each(findings: Sequence[Finding]) -> list[Finding]:
    """The first finding of each invariant."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.violation.invariant, finding)
    return list(first.values())
