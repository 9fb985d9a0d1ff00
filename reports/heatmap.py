"""Fault kinds × places of the saga: where faults were planned, where they fired, and why some could not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from ..faults import FAULT_KINDS
from ..saga import COMPENSATION, FORWARD
from ..verdict import Report
from .clean import clean

Shade: TypeAlias = Literal["all", "some", "none", "off"]

MAX_PLACES: Final = 40
_NAME: Final = 40
_REASON: Final = 400


@dataclass(frozen=True, kw_only=True)
class Square:
    """``text`` is fired/planned; ``shade`` says whether all, some or none fired, "off" where none was planned."""

    text: str
    shade: Shade


@dataclass(frozen=True, kw_only=True)
class HeatRow:
    kind: str
    squares: tuple[Square, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Heatmap:
    """A row for each kind, a square for each of ``places``; ``more`` places are left out."""

    title: str
    places: tuple[str, ...]
    rows: tuple[HeatRow, ...]
    more: int = 0


_OFF: Final = Square(text="–", shade="off")


def heatmaps(report: Report) -> tuple[Heatmap, ...]:
    """One of the requests, by operation; one of durable writes and starts, by record."""
    counts: dict[tuple[str, tuple[str, str]], list[int]] = {}
    for cell in report.covered.sites:
        sums = counts.setdefault((cell.kind, (cell.site.subject, cell.site.direction)), [0, 0])
        sums[0] += cell.fired
        sums[1] += cell.planned
    why: dict[str, list[str]] = {}
    for entry in report.covered.unreachable:
        where = f"{entry.where}: " if entry.where else ""
        why.setdefault(entry.kind, []).append(f"{where}{entry.reason}")
    known = tuple(dict.fromkeys([*FAULT_KINDS, *(kind for kind, _ in counts)]))
    found = []
    for title, wanted in (("requests", False), ("durable writes and starts", True)):
        kinds = [kind for kind in known if (kind in FAULT_KINDS and FAULT_KINDS[kind].directions == ("",)) is wanted]
        places = _places(report, {place for kind, place in counts if kind in kinds}, writes=wanted)
        rows = tuple(
            HeatRow(
                kind=clean(kind, _NAME),
                squares=tuple(_square(counts.get((kind, place))) for place in places[:MAX_PLACES]),
                reason=clean("; ".join(dict.fromkeys(why.get(kind, ()))), _REASON),
            )
            for kind in kinds
        )
        names = tuple(clean(_name(report, *place), _NAME) for place in places[:MAX_PLACES])
        if rows and counts:
            found.append(Heatmap(title=title, places=names, rows=rows, more=max(len(places) - MAX_PLACES, 0)))
    return tuple(found)


def _square(counts: list[int] | None) -> Square:
    if counts is None or not counts[1]:
        return _OFF
    fired, planned = counts
    shade: Shade = "all" if fired == planned else "some" if fired else "none"
    return Square(text=f"{fired:,}/{planned:,}", shade=shade)


def _places(report: Report, seen: set[tuple[str, str]], *, writes: bool) -> list[tuple[str, str]]:
    """The operations in the order of the saga, then what else was struck, by name."""
    declared = []
    if not writes:
        declared = [(name, FORWARD) for name, operation, _ in report.steps if operation]
        declared += [(name, COMPENSATION) for name, _, undo in reversed(report.steps) if undo]
    return [*declared, *sorted(seen - set(declared))]


def _name(report: Report, subject: str, direction: str) -> str:
    for name, operation, undo in report.steps:
        if name == subject and direction:
            return operation if direction == FORWARD else undo
    return subject or "start"
