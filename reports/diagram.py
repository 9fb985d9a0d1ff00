"""The space-time diagram of a schedule: who did what when, and where the faults struck.

`diagram` builds a plain value, which tests compare and other outputs draw; `to_text` prints it.
The layout follows Lamport's space-time diagrams, turned so that time runs down the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..faults import AT_SEND, FAULT_KINDS
from ..history import SEND, Fired, History
from ..verdict import Violation
from .clean import clean, cut, pad, plural, width
from .lines import Line, Mark, narrate

MAX_LINES: Final = 28
"""Lines of a diagram before uneventful stretches are left out: with its heading it fills one screen."""

MAX_VITAL: Final = 60
"""Lines kept at all, save those that are marked: a livelock has thousands of calls of one step."""

COLUMNS: Final = 100
ORCHESTRATOR: Final = "orchestrator"
PARTICIPANTS: Final = "participants"

_LANES_COLUMNS: Final = 44
_ABOUT_WRITES: Final = frozenset({"I12"})  # invariants that are told only by showing the durable writes
_ORDINARY: Final = frozenset({"call", "arrival", "write"})
_PASSING: Final = frozenset({"submit", "timeout", "client", "person"})


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """``lanes`` are the orchestrator and the participants that take part; ``lines`` run down the page."""

    lanes: tuple[str, ...]
    lines: tuple[Line, ...]


def diagram(
    history: History, violation: Violation | None = None, *, limit: int = MAX_LINES, most: int = MAX_VITAL
) -> Diagram:
    """The diagram of a history, with a mark at each fault that struck and at the violation.

    Above ``limit`` lines, uneventful stretches give way to a line that counts their events; what is
    marked always stays; so do the calls of the violated step, up to ``most`` lines.
    """
    shown = None if violation is None else _position(history, violation)
    writes_of: tuple[str, ...] = ()
    if violation is not None and violation.invariant in _ABOUT_WRITES:
        writes_of = (violation.saga,) if violation.saga else history.sagas
    lines = narrate(history, forced=() if shown is None else (shown,), writes_of=writes_of)
    marks: dict[int, list[Mark]] = {}
    for fired in history.fired:
        if lines:
            marks.setdefault(_line_of_fault(lines, fired), []).append(Mark(kind="fault", text=fired.fault.kind))
    if shown is not None:
        for index in _lines_at(lines, shown)[-1:]:
            marks.setdefault(index, []).append(Mark(kind="violation", text="violation"))
    marked = [replace(line, marks=tuple(marks.get(index, ()))) for index, line in enumerate(lines)]
    return Diagram(lanes=_lanes(history), lines=tuple(_elide(marked, violation, limit, most)))


def _position(history: History, violation: Violation) -> int | None:
    """The position that shows the violation; the end where it says none, None where there is nothing."""
    last = len(history.rows) - 1
    if last < 0:
        return None
    return violation.position if 0 <= violation.position <= last else last


def _lines_at(lines: Sequence[Line], position: int) -> list[int]:
    return [index for index, line in enumerate(lines) if position in line.rows]


def _line_of_fault(lines: Sequence[Line], fired: Fired) -> int:
    """The line at which a fault struck: a crash shows at once, the others at their request or its fate."""
    kind = FAULT_KINDS.get(fired.fault.kind)
    at = _lines_at(lines, fired.position)
    if kind is not None and kind.crash and at:
        return at[0]
    site = fired.fault.site
    before = _lines_at(lines, fired.position - 1)
    near = [
        index
        for index in ((*before, *at) if site.phase == AT_SEND else (*at, *before))
        if (lines[index].saga, lines[index].step) == (site.saga, site.subject)
    ]
    if near:
        return near[0]
    earlier = [index for index, line in enumerate(lines) if line.rows and line.rows[0] <= fired.position]
    return earlier[-1] if earlier else 0


def _lanes(history: History) -> tuple[str, ...]:
    """The orchestrator, then the participants that are sent something: in the saga's order, then others."""
    taking_part = dict.fromkeys(
        str(event.get("operation")).partition(".")[0] for event in history.events if event.kind == SEND
    )
    declared = dict.fromkeys(step.participant for step in history.saga.steps)
    ordered = [name for name in declared if name in taking_part]
    ordered.extend(name for name in taking_part if name not in declared)
    return (ORCHESTRATOR, *ordered)


# -- leaving out what is uneventful --------------------------------------------------------------


def _elide(lines: list[Line], violation: Violation | None, limit: int, most: int) -> list[Line]:
    if len(lines) <= limit:
        return lines
    vital = [_is_vital(line, violation) for line in lines]
    passing = [line.kind in _PASSING for line in lines]
    kept = _shortened(lines, [keep or ok for keep, ok in zip(vital, passing, strict=True)])
    if len(kept) > limit:
        kept = _shortened(lines, vital)
    if len(kept) > most:
        kept = _shortened(lines, _cropped(lines, vital, most))
    return kept


def _is_vital(line: Line, violation: Violation | None) -> bool:
    if line.marks or line.kind not in _ORDINARY | _PASSING:
        return True
    if violation is None or not violation.step or line.kind not in ("call", "arrival", "write"):
        return False
    return line.step == violation.step and violation.saga in ("", line.saga)


def _cropped(lines: Sequence[Line], vital: Sequence[bool], most: int) -> list[bool]:
    """Of too many vital lines: those with marks, and of the others the first and the last ones."""
    unmarked = [index for index, keep in enumerate(vital) if keep and not lines[index].marks]
    half = most // 3
    chosen = {*unmarked[:half], *unmarked[len(unmarked) - half :]}
    return [bool(line.marks) or index in chosen for index, line in enumerate(lines)]


def _shortened(lines: Sequence[Line], keep: Sequence[bool]) -> list[Line]:
    """``lines`` with each run of two or more that are not kept replaced by a line that counts its events."""
    result: list[Line] = []
    run: list[Line] = []
    for line, kept in zip(lines, keep, strict=True):
        if not kept:
            run.append(line)
            continue
        result.extend(_summary(run))
        result.append(line)
        run = []
    result.extend(_summary(run))
    return result


def _summary(run: list[Line]) -> list[Line]:
    if len(run) < 2:
        return run
    rows = tuple(row for line in run for row in line.rows)
    text = f"… {plural(len(rows), 'event')} without a fault …"
    return [Line(t_us=run[0].t_us, kind="elided", text=text, rows=rows)]


# -- printing ------------------------------------------------------------------------------------

_FAULT: Final = "⚡ "
_VIOLATION: Final = "◀── "


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Columns of the printed diagram: where times end, and where each lane begins."""

    time: int
    starts: dict[str, int]
    folded: bool


def to_text(picture: Diagram) -> str:
    """The diagram as lines of at most COLUMNS columns, without a line end after the last."""
    layout = _layout(picture)
    bodies = [_body(line, layout) for line in picture.lines]
    notes = ["  ".join(_mark(mark) for mark in line.marks) for line in picture.lines]
    marked = [index for index, note in enumerate(notes) if note]
    widest = max((width(bodies[index]) for index in marked), default=0) + 3
    longest = max((width(notes[index]) for index in marked), default=0)
    column = min(widest, COLUMNS - longest)
    printed = [_heading(layout)]
    for body, note in zip(bodies, notes, strict=True):
        if not note:
            printed.append(body)
        elif width(body) + 2 <= column:
            printed.append(pad(body, column) + note)
        elif width(body) + 2 + width(note) <= COLUMNS:
            printed.append(f"{body}  {note}")
        else:
            printed.extend((body, pad("", column) + note))
    return "\n".join(line.rstrip() for line in printed)


def _mark(mark: Mark) -> str:
    return clean((_FAULT if mark.kind == "fault" else _VIOLATION) + mark.text, 40)


def _layout(picture: Diagram) -> _Layout:
    time = max([width(_ms(line.t_us)) for line in picture.lines] + [5]) + 2
    labels = [width(line.text) for line in picture.lines if line.target]
    first = time + 3
    next_start = first + max([*labels, len(ORCHESTRATOR)]) + 6
    names = picture.lanes[1:]
    widths = [width(clean(name, 16)) + 3 for name in names]
    if sum(widths) > _LANES_COLUMNS:
        return _Layout(time=time, starts={"": first, PARTICIPANTS: next_start}, folded=True)
    starts = {"": first}
    for name, columns in zip(names, widths, strict=True):
        starts[name] = next_start
        next_start += columns
    return _Layout(time=time, starts=starts, folded=False)


def _heading(layout: _Layout) -> str:
    text = " " * (layout.time - 1) + "t"
    for name, start in layout.starts.items():
        text = pad(text, start) + clean(name or ORCHESTRATOR, 16)
    return text


def _body(line: Line, layout: _Layout) -> str:
    if line.kind == "elided":
        return pad("", layout.starts[""]) + line.text
    text = pad(_ms(line.t_us).rjust(layout.time), layout.starts[""]) + line.text
    if not line.target:
        return cut(text, COLUMNS)
    fate = f"{clean(line.target, 16)}: {line.fate}" if layout.folded else line.fate
    start = layout.starts.get(PARTICIPANTS if layout.folded else line.target, layout.starts[""] + 24)
    arrow = "─" * max(start - width(text) - 3, 1) + "▶"
    return cut(f"{text} {arrow} {fate}", COLUMNS)


def _ms(t_us: int) -> str:
    return f"{t_us / 1000:.1f}".removesuffix(".0") + "ms"


__all__ = ["COLUMNS", "MAX_LINES", "Diagram", "Line", "Mark", "diagram", "to_text"]
