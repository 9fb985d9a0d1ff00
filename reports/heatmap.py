"""Fault kinds × places of the saga: what each of them led to, and why some were never tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeAlias

from ..faults import FAULT_KINDS, infeasible
from ..saga import COMPENSATION, DIRECTION_NAMES, FORWARD
from ..verdict import MORE_ORDERS, Report, Signature, SiteCell, Unreachable
from .clean import clean
from .facts import Table, not_exercised

Shade: TypeAlias = Literal["bad", "both", "fine", "after", "idle", "off"]

LEGEND: Final[dict[Shade, str]] = {
    "bad": "✗ by itself it broke a rule",
    "both": "✗ with another fault",
    "fine": "✓ fired, and by itself broke nothing",
    "after": "~ fired after another fault only",
    "idle": "○ never fired",
    "off": "not tried",
}
"""What the signs in the squares mean; a number is that of the plans in which the fault fired."""

MAX_PLACES: Final = 40
_NAME: Final = 40
_REASON: Final = 400
_FINE: Final[tuple[str, Shade]] = ("✓", "fine")
_AFTER: Final[tuple[str, Shade]] = ("~", "after")
_UNKNOWN: Final = "no plan: it was not reached, or spared as equivalent to a plan that was run"


@dataclass(frozen=True, kw_only=True)
class Square:
    """``text`` says what came of it, ``link`` is the finding to which it leads, "" for none; ``note`` is the number of
    the reason why it was not tried, 0 for none."""

    text: str
    shade: Shade
    link: str = ""
    note: int = 0


@dataclass(frozen=True, kw_only=True)
class HeatRow:
    kind: str
    meaning: str
    squares: tuple[Square, ...]


@dataclass(frozen=True, kw_only=True)
class Heatmap:
    """A row for each kind that was tried, a square for each of ``places``; ``more`` places are left out. ``reasons``
    are those of its squares, by number."""

    title: str
    places: tuple[str, ...]
    rows: tuple[HeatRow, ...]
    reasons: tuple[str, ...] = ()
    more: int = 0


Place: TypeAlias = tuple[str, str]
"""What a site is about: (subject, direction)."""


@dataclass
class _Counts:
    """The results of the plans of one square."""

    fired: int = 0
    planned: int = 0
    alone: bool = False
    broken: dict[Signature, None] = field(default_factory=dict)


def heatmaps(report: Report) -> tuple[Heatmap, ...]:
    """One of the requests, by operation; one of durable writes, starts and messages, by record."""
    counts: dict[tuple[str, Place], _Counts] = {}
    for cell in report.covered.sites:
        _add(counts.setdefault((cell.kind, (cell.site.subject, cell.site.direction)), _Counts()), cell)
    links = _links(report)
    pairs = _together(report)
    known = tuple(dict.fromkeys([*FAULT_KINDS, *(kind for kind, _ in counts)]))
    tried = [kind for kind in known if any(counts[key].planned for key in counts if key[0] == kind)]
    found = []
    for title, wanted in (("requests", False), ("durable writes, starts and messages", True)):
        kinds = [kind for kind in tried if _beside_requests(kind) is wanted]
        places = _places(report, {place for kind, place in counts if kind in kinds}, beside=wanted)
        reasons: dict[str, int] = {}
        rows = tuple(
            HeatRow(
                kind=clean(kind, _NAME),
                meaning=clean(FAULT_KINDS[kind].meaning, 160) if kind in FAULT_KINDS else "",
                squares=tuple(
                    _square(counts.get((kind, place)), links, pairs.get((kind, place), ""))
                    or _off(report, kind, place, reasons)
                    for place in places[:MAX_PLACES]
                ),
            )
            for kind in kinds
        )
        names = tuple(clean(_name(report, *place), _NAME) for place in places[:MAX_PLACES])
        more = max(len(places) - MAX_PLACES, 0)
        if rows:
            found.append(Heatmap(title=title, places=names, rows=rows, reasons=tuple(reasons), more=more))
    return tuple(found)


def _links(report: Report) -> dict[Sequence[str], str]:
    """The finding of each violation, and the first one of its invariant at its step, and of its invariant."""
    found: dict[Sequence[str], str] = {}
    for finding in report.findings:
        for key in _as_well(finding.violation.signature):
            found.setdefault(key, clean(finding.id, 24))
    return found


def _as_well(signature: Signature) -> tuple[Sequence[str], ...]:
    invariant, _, step, direction = signature
    return (signature, (invariant, step, direction), (invariant,))


def _add(counts: _Counts, cell: SiteCell) -> None:
    counts.fired += cell.fired
    counts.planned += cell.planned
    counts.alone = counts.alone or cell.alone
    counts.broken.update(dict.fromkeys(cell.broken))


def _beside_requests(kind: str) -> bool:
    return kind in FAULT_KINDS and not {FORWARD, COMPENSATION} & set(FAULT_KINDS[kind].directions)


def _together(report: Report) -> dict[tuple[str, Place], str]:
    """The first finding of each square that takes another fault beside it."""
    found: dict[tuple[str, Place], str] = {}
    for finding in report.findings:
        faults = finding.plan.faults if finding.plan is not None else ()
        for fault in faults if len(faults) > 1 else ():
            found.setdefault((fault.kind, (fault.site.subject, fault.site.direction)), clean(finding.id, 24))
    return found


def _square(counts: _Counts | None, links: dict[Sequence[str], str], pair: str) -> Square | None:
    """The result of a square that was tried; None of another."""
    if counts is None or not counts.planned:
        return None
    if counts.broken:
        link = next((links[key] for signature in counts.broken for key in _as_well(signature) if key in links), "")
        return Square(text=f"✗ {link or f'{counts.fired:,}'}", shade="bad", link=link)
    if pair:
        return Square(text=f"✗ {pair}", shade="both", link=pair)
    if not counts.fired:
        return Square(text=f"○ 0/{counts.planned:,}", shade="idle")
    partly = "" if counts.fired == counts.planned else f"/{counts.planned:,}"
    sign, shade = _FINE if counts.alone else _AFTER
    return Square(text=f"{sign} {counts.fired:,}{partly}", shade=shade)


def _off(report: Report, kind: str, place: Place, reasons: dict[str, int]) -> Square:
    """A square that was not tried, with the number of the reason."""
    why = clean(_why_not(report, kind, place), _REASON)
    number = reasons.setdefault(why, len(reasons) + 1)
    return Square(text="", shade="off", note=number)


def _why_not(report: Report, kind: str, place: Place) -> str:
    """Why a kind was not tried at a place: what rules it out there, else what is known of the kind."""
    subject, direction = place
    row, saga = FAULT_KINDS.get(kind), report.definition
    if row is not None:
        step = saga.step(subject) if saga is not None and direction else None
        if (reason := infeasible(row, phase=row.phase, direction=direction, step=step)) is not None:
            return reason
    name = DIRECTION_NAMES.get(direction, direction)
    wheres = (f"{subject} {name}", "durable writes" if not direction else name, "")
    entries = [entry for entry in report.covered.unreachable if entry.kind == kind]
    for where in wheres:
        for entry in entries:
            if where in entry.where.split(", "):
                return entry.reason
    return _UNKNOWN


def _places(report: Report, seen: set[Place], *, beside: bool) -> list[Place]:
    """The operations in the order of the saga, then what else was struck, by name."""
    declared = []
    if not beside:
        declared = [(name, FORWARD) for name, operation, _ in report.steps if operation]
        declared += [(name, COMPENSATION) for name, _, undo in reversed(report.steps) if undo]
    return [*declared, *sorted(seen - set(declared))]


def _name(report: Report, subject: str, direction: str) -> str:
    for name, operation, undo in report.steps:
        if name == subject and direction:
            return operation if direction == FORWARD else undo
    return subject or "start"


# -- what was not tried at all ------------------------------------------------------------------


def never_tried(report: Report) -> Table:
    """The reasons for which kinds were not tried, anywhere or in a part of the saga, each with its kinds."""
    rows: dict[tuple[str, str], list[str]] = {}
    for (kind, reason), where in _by_kind(report.covered.unreachable):
        rows.setdefault((reason, where), []).append(kind)
    return Table(
        headers=("why not", "where", "faults"),
        rows=tuple(
            (clean(reason, _REASON), clean(where, 120), clean(", ".join(kinds), 600))
            for (reason, where), kinds in rows.items()
        ),
    )


def _by_kind(unreachable: Sequence[Unreachable]) -> Iterator[tuple[tuple[str, str], str]]:
    """The places of each kind and reason, together."""
    places: dict[tuple[str, str], list[str]] = {}
    for entry in unreachable:
        places.setdefault((entry.kind, entry.reason), []).append(entry.where or "anywhere")
    for key, where in places.items():
        yield key, ", ".join(where)


def untried_kinds(report: Report) -> int:
    """How many kinds were tried nowhere."""
    tried = {cell.kind for cell in report.covered.sites if cell.planned}
    return len({entry.kind for entry in report.covered.unreachable} - tried)


def otherwise_untested(report: Report) -> list[str]:
    """The gaps that the heatmap and the tables of invariants and orders do not show by themselves."""
    orders = {f"{cell.scenario}, {cell.first} before {cell.second}: {cell.why}" for cell in report.covered.orders}
    shown = {*orders, *(f"invariant {result.id} ({result.name})" for result in report.invariants)}
    reasons = {(entry.kind, f": {entry.reason}") for entry in report.covered.unreachable}

    def told(line: str) -> bool:
        in_the_map = any(kind in line and reason in line for kind, reason in reasons)
        return line in shown or in_the_map or (bool(orders) and line.endswith(MORE_ORDERS))

    left = replace(report, not_exercised=tuple(line for line in report.not_exercised if not told(line)))
    return not_exercised(left)
