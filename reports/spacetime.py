"""A space-time diagram as SVG: lanes side by side, time running down, every word beside the orchestrator's lane.

The words are set in a fixed pitch and wrapped to the width of the picture, so that nothing can overlap
or be cut off; an arrow runs under the name of its request to the lane of the participant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from .clean import clean, width, wrap
from .diagram import PARTICIPANTS, Diagram
from .line import Line
from .lines import ORCHESTRATOR

WIDTH: Final = 344
"""Pixels: what a telephone leaves to a picture, so that it need not be made smaller there."""

CHAR: Final = 6.65
"""Width of a letter at 11 pixels in the widest of the usual fonts of a fixed pitch."""

MAX_LANES: Final = 6
ROW: Final = 14
_STYLES: Final = {
    "crash": "x",
    "odd": "x",
    "timeout": "w",
    "event": "w",
    "write": "m",
    "elided": "m",
    "end": "m",
}
_GAP: Final = 7
_MARGIN: Final = 8
_NAME: Final = 14


@dataclass(frozen=True, kw_only=True)
class _Page:
    """Where things stand: ``xs`` are the lanes, ``columns`` the letters beside the first of them."""

    xs: dict[str, float]
    wide: float
    columns: int
    folded: bool

    @property
    def first(self) -> float:
        return self.xs[ORCHESTRATOR]


def svg(picture: Diagram, id: str, title: str) -> Markup:
    """The picture, with ``title`` and a description for those who do not see it; ``id`` is unique on the page."""
    page = _page(picture)
    body: list[Markup] = []
    y = 2.0 * ROW + 6
    for line in picture.lines:
        drawn, y = _line(line, page, y)
        body.append(drawn)
    lanes = Markup("").join(_lane(name, number, x, y) for number, (name, x) in enumerate(page.xs.items()))
    about = f"{len(picture.lines)} lines, in time order, of {', '.join(clean(name, 24) for name in page.xs)}"
    return Markup(
        '<svg class="st" role="img" aria-labelledby="{id}t {id}d" viewBox="0 0 {w} {h}" style="min-width:{w}px;'
        'max-width:{most}px"><title id="{id}t">{title}</title><desc id="{id}d">{about}; the table below has the same '
        "as text</desc>{lanes}{body}</svg>"
    ).format(
        id=id,
        w=_n(page.wide),
        h=_n(y + 4),
        most=_n(page.wide * 1.4),
        title=title,
        about=about,
        lanes=lanes,
        body=Markup("").join(body),
    )


def _page(picture: Diagram) -> _Page:
    names = [name for name in picture.participants if name]
    folded = len(names) > MAX_LANES
    names = [*picture.actors, *([PARTICIPANTS] if folded else names)]
    times = max((width(time_of(line)) for line in picture.lines), default=3)
    first = times * 6 + 14.0
    spacing = max([40.0, *(width(clean(name, _NAME)) * CHAR / 2 + 8 for name in names)])  # headings stand in two rows
    wide = max(float(WIDTH), first + spacing * len(names) + 50)
    step = (wide - first - 50) / max(len(names), 1)
    xs = {ORCHESTRATOR: first, **{name: first + step * n for n, name in enumerate(names, 1)}}
    return _Page(xs=xs, wide=wide, columns=int((wide - first - 2 * _MARGIN) / CHAR), folded=folded)


def _lane(name: str, number: int, x: float, bottom: float) -> Markup:
    """The heading of a lane, and its line. Headings stand in the middle of their lanes, in two rows by turns."""
    anchor = Markup(' text-anchor="middle"') if number else Markup("")
    left = x if number else 0
    drawn = Markup('<path class="l" d="M{x} {top}V{bottom}"/><text class="h" x="{at}" y="{y}"{anchor}>{name}</text>')
    return drawn.format(
        x=_n(x),
        top=2 * ROW,
        bottom=_n(bottom),
        at=_n(left),
        y=11 if number % 2 == 0 else 24,
        anchor=anchor,
        name=clean(name, _NAME),
    )


def _line(line: Line, page: _Page, y: float) -> tuple[Markup, float]:
    """One line of the diagram from ``y`` on, and where the next begins."""
    x = page.first
    top = y
    parts = []
    if line.kind != "elided":
        time = Markup('<text class="t" x="{}" y="{}" text-anchor="end">{}</text>')
        parts.append(time.format(_n(x - 7), _n(y + ROW - 3), time_of(line)))
    style = _STYLES.get(line.kind, "")
    acts = page.xs.get(line.source, x)
    y = _words(parts, f"{clean(line.source, _NAME)}: {line.text}" if line.source else line.text, style, page, y)
    if line.target:
        lane = page.xs.get(PARTICIPANTS if page.folded else line.target, page.wide - 24)
        arrow = Markup('<path class="a" d="M{} {}H{}m-5 -3l6 3l-6 3"/>')
        parts.append(arrow.format(_n(acts), _n(y + 4), _n(lane - 2)))
        fate = f"{clean(line.target, 16)}: {line.fate}" if page.folded else line.fate
        y = _words(parts, f"↳ {fate}", "f", page, y + 7)
    for mark in line.marks:
        symbol, kind = ("⚡ fault: ", "k") if mark.kind == "fault" else ("◀ ", "v")
        y = _words(parts, symbol + clean(mark.text, 40), kind, page, y)
    if line.kind != "elided":
        dot = Markup('<path class="x" d="M{0} {1}l8 8m0 -8l-8 8"/>' if line.kind == "crash" else "")
        parts.append(dot.format(_n(acts - 4), _n(top + 5)))
    return Markup("").join(parts), y + _GAP


def _words(parts: list[Markup], text: str, style: str, page: _Page, y: float) -> float:
    for row in wrap(text, page.columns).split("\n"):
        kind = Markup(' class="{}"').format(style) if style else Markup("")
        words = Markup('<text x="{}" y="{}"{}>{}</text>')
        parts.append(words.format(_n(page.first + _MARGIN), _n(y + ROW - 3), kind, row))
        y += ROW
    return y


def time_of(line: Line) -> str:
    """``1004.6 ms``."""
    return f"{line.t_us / 1000:.1f}".removesuffix(".0") + " ms"


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
