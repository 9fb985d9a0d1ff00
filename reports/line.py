"""One line of a space-time diagram, and the draft of it while its events are still coming in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from .clean import clean

FATE_COLUMNS: Final = 56

LineKind: TypeAlias = Literal[
    "submit",
    "call",
    "arrival",
    "timeout",
    "write",
    "crash",
    "restart",
    "event",
    "again",
    "client",
    "odd",
    "person",
    "end",
    "elided",
]
"""``write`` is a durable write, or that a process takes a saga on; ``event`` is something that befell a process, a
store, a clock or a reservation, without a request; ``again`` is a message that came twice before."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something pointed out beside a line: a fault that struck there, or the violation; ``at`` is the position that
    shows it."""

    kind: Literal["fault", "violation"]
    text: str
    at: int = field(default=-1, compare=False)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a diagram.

    ``text`` stands in the lane ``source``, an actor's, or in the orchestrator's (""); an arrow leads from it to the
    lane ``target``, where ``fate`` stands ("" for no arrow). ``rows`` are the positions that it tells of.
    """

    t_us: int
    kind: LineKind
    text: str
    target: str = ""
    fate: str = ""
    marks: tuple[Mark, ...] = ()
    rows: tuple[int, ...] = ()
    saga: str = ""
    step: str = ""
    source: str = ""


@dataclass(kw_only=True)
class Draft:
    """A line while the events that it tells of are still coming in."""

    t_us: int
    kind: LineKind
    text: str
    target: str = ""
    fates: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    saga: str = ""
    step: str = ""
    source: str = ""

    def line(self) -> Line:
        fate = ", ".join(self.fates)
        return Line(
            t_us=self.t_us,
            kind=self.kind,
            text=self.text,
            target=self.target,
            fate=clean(fate or ("unknown" if self.target else ""), FATE_COLUMNS),
            rows=tuple(self.rows),
            saga=self.saga,
            step=self.step,
            source=self.source,
        )
