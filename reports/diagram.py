"""The space-time diagram of a schedule: who did what when, and where the faults struck.

`diagram` builds a plain value, which tests compare and other outputs draw; `to_text` prints it.
The layout follows Lamport's space-time diagrams, turned so that time runs down the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ..history import SEND, History
from ..verdict import Violation
from .clean import COLUMNS, clean, cut, pad, width
from .evidence import evidence
from .line import Line, Mark
from .lines import ORCHESTRATOR, narrate
from .shown import shown
from .strikes import struck_rows

MAX_LINES: Final = 28
"""Lines of a diagram before uneventful stretches are left out: with its heading it fills one screen."""

PARTICIPANTS: Final = "participants"

_LANES_COLUMNS: Final = 44
_ACTOR_COLUMNS: Final = 10
"""So much less room each actor's lane leaves to those of participants."""


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """``lanes`` are the orchestrator, the ``actors`` and the participants that take part; ``lines`` run down the
    page."""

    lanes: tuple[str, ...]
    lines: tuple[Line, ...]
    actors: tuple[str, ...] = ()

    @property
    def participants(self) -> tuple[str, ...]:
        """The lanes to which arrows lead."""
        return self.lanes[1 + len(self.actors) :]


def diagram(history: History, violation: Violation | None = None, *, limit: int = MAX_LINES) -> Diagram:
    """The diagram of a history, with a mark at each fault that struck and at the violation.

    Above ``limit`` lines, uneventful stretches give way to a line that counts their events, as `shown` says.
    """
    if not history.rows:
        return Diagram(lanes=(ORCHESTRATOR,), lines=())
    struck = struck_rows(history)
    grounds = frozenset() if violation is None else evidence(history, violation)
    lines = narrate(history, forced={*struck, *grounds})
    marks: dict[int, list[Mark]] = {}
    for position, fired in zip(struck, history.fired, strict=True):
        marks.setdefault(_line_of(lines, position), []).append(Mark(kind="fault", text=fired.fault.kind, at=position))
    if violation is not None:
        at = _position(history, violation)
        marks.setdefault(_line_of(lines, at), []).append(Mark(kind="violation", text="violation", at=at))
    marked = [replace(line, marks=tuple(marks.get(index, ()))) for index, line in enumerate(lines)]
    actors, participants = _actors(history), _participants(history)
    return Diagram(
        lanes=(ORCHESTRATOR, *actors, *participants),
        lines=tuple(shown(marked, grounds, violation, limit)),
        actors=actors,
    )


def _position(history: History, violation: Violation) -> int:
    """The position that shows the violation; the end where it says none."""
    last = len(history.rows) - 1
    return violation.position if 0 <= violation.position <= last else last


def _line_of(lines: Sequence[Line], position: int) -> int:
    """The index of the line that tells of a row, the last one where there are several."""
    return next(index for index in range(len(lines) - 1, -1, -1) if position in lines[index].rows)


def _actors(history: History) -> tuple[str, ...]:
    """Those who act beside the orchestrators, in the order in which they first did."""
    return tuple(dict.fromkeys(event.process for event in history.events if event.process in history.actors))


def _participants(history: History) -> tuple[str, ...]:
    """Those that are sent something: in the saga's order, then others."""
    taking_part = dict.fromkeys(
        str(event.get("operation")).partition(".")[0] for event in history.events if event.kind == SEND
    )
    declared = dict.fromkeys(step.participant for step in history.known.steps if step.child is None)
    ordered = [name for name in declared if name in taking_part]
    ordered.extend(name for name in taking_part if name not in declared)
    return tuple(ordered)


# -- printing ------------------------------------------------------------------------------------

_FAULT: Final = "⚡ "
_VIOLATION: Final = "◀── "
_ABOVE: Final = "↑ "
"""Before marks that find no room beside their line and stand below it."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """Columns of the printed diagram: where times end, and where each lane begins."""

    time: int
    starts: dict[str, int]
    folded: bool


def to_text(picture: Diagram, columns: int = COLUMNS) -> str:
    """The diagram as lines of at most ``columns``, without a line end after the last."""
    layout = _layout(picture, columns)
    bodies = [_body(line, layout, columns) for line in picture.lines]
    notes = ["  ".join(_mark(mark) for mark in line.marks) for line in picture.lines]
    marked = [index for index, note in enumerate(notes) if note]
    widest = max((width(bodies[index]) for index in marked), default=0) + 3
    longest = max((width(notes[index]) for index in marked), default=0)
    column = min(widest, columns - longest)
    printed = [_heading(layout)]
    for body, note in zip(bodies, notes, strict=True):
        if not note:
            printed.append(body)
        elif width(body) + 2 <= column:
            printed.append(pad(body, column) + note)
        elif width(body) + 2 + width(note) <= columns:
            printed.append(f"{body}  {note}")
        else:
            printed.extend((body, pad("", column - width(_ABOVE)) + _ABOVE + note))
    return "\n".join(line.rstrip() for line in printed)


def _mark(mark: Mark) -> str:
    return clean((_FAULT if mark.kind == "fault" else _VIOLATION) + mark.text, 40)


def _layout(picture: Diagram, columns: int) -> _Layout:
    time = max([width(_ms(line.t_us)) for line in picture.lines] + [5]) + 2
    next_start = time + 3
    starts: dict[str, int] = {}
    for name in ("", *picture.actors):
        labels = [width(line.text) for line in picture.lines if line.target and line.source == name]
        starts[name] = next_start
        next_start += max([*labels, width(clean(name or ORCHESTRATOR, 16))]) + (5 if name else 6)
    names = picture.participants
    widths = [width(clean(name, 16)) + 3 for name in names]
    room = _LANES_COLUMNS - (COLUMNS - columns) // 2 - _ACTOR_COLUMNS * len(picture.actors)
    if sum(widths) > room:
        return _Layout(time=time, starts={**starts, PARTICIPANTS: next_start}, folded=True)
    for name, lane in zip(names, widths, strict=True):
        starts[name] = next_start
        next_start += lane
    return _Layout(time=time, starts=starts, folded=False)


def _heading(layout: _Layout) -> str:
    text = " " * (layout.time - 1) + "t"
    for name, start in layout.starts.items():
        text = pad(text, start) + clean(name or ORCHESTRATOR, 16)
    return text


def _body(line: Line, layout: _Layout, columns: int) -> str:
    if line.kind == "elided":
        return pad("", layout.starts[""]) + line.text
    text = pad(_ms(line.t_us).rjust(layout.time), layout.starts[line.source]) + line.text
    if not line.target:
        return cut(text, columns)
    fate = f"{clean(line.target, 16)}: {line.fate}" if layout.folded else line.fate
    start = layout.starts.get(PARTICIPANTS if layout.folded else line.target, layout.starts[""] + 24)
    arrow = "─" * max(start - width(text) - 3, 1) + "▶"
    return cut(f"{text} {arrow} {fate}", columns)


def _ms(t_us: int) -> str:
    return f"{t_us / 1000:.1f}".removesuffix(".0") + "ms"


__all__ = ["COLUMNS", "MAX_LINES", "Diagram", "Line", "Mark", "diagram", "to_text"]
