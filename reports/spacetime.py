"""A schedule as SVG: lanes side by side, time running down, arrows from sending to arrival.

The words are set in a fixed pitch and wrapped to the width of the picture, and each moment has a band of its own, so
that nothing can overlap or be cut off. Two schedules that begin alike are set so that what they share stands at the
same height in both, down to the line at which they part. What a picture is made of is named in it: elements have
classes and ``data-`` attributes, which tests and the viewer read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup

from .clean import clean, width, wrap
from .line import Line
from .schedule import Arrow, Lane, Life, Schedule, Stop

WIDTH: Final = 344
"""Pixels: what a telephone leaves to a picture, so that it need not be made smaller there."""

CHAR: Final = 6.65
"""Width of a letter at 11 pixels in the widest of the usual fonts of a fixed pitch."""

WAIT_US: Final = 50_000
"""From so long a time without an event on, it is drawn as a gap."""

ROW: Final = 14
_STYLES: Final = {
    "crash": "x",
    "odd": "x",
    "timeout": "w",
    "event": "w",
    "again": "w",
    "write": "m",
    "elided": "m",
    "end": "m",
}
_HANDLING: Final = frozenset({"deliver", "arrival"})
_GAP: Final = 7
_DROP: Final = 11
_WAIT: Final = 26
_PART: Final = 24
_MARGIN: Final = 8
_INCARNATION: Final = 30
_BOW: Final = 28
_HEAD: Final = 2 * ROW


@dataclass(frozen=True, kw_only=True)
class Page:
    """Where things stand: ``xs`` are the lanes, ``wide`` is the width of the picture."""

    lanes: tuple[Lane, ...]
    xs: dict[str, float]
    wide: float

    @property
    def first(self) -> float:
        return self.xs[self.lanes[0].name]


@dataclass(frozen=True, kw_only=True)
class _Placed:
    """A stop with its height: what arrives ends at ``into``, what leaves begins at ``out``. ``words`` are (text, class,
    baseline), to the right of the lane or to its left. ``wait`` is the height of the gap before it, with its length."""

    stop: Stop
    into: float
    out: float
    words: tuple[tuple[str, str, float], ...]
    left: bool
    wait: tuple[float, str] | None = None


@dataclass
class _Column:
    """One schedule while it is being set: ``y`` is where the next stop begins."""

    schedule: Schedule
    page: Page
    arriving: frozenset[int]
    y: float = _HEAD + 6.0
    placed: list[_Placed] = field(default_factory=list)

    def next_row(self) -> int | None:
        """The first position of the next stop, None after the last."""
        stops = self.schedule.stops
        return stops[len(self.placed)].rows[0] if len(self.placed) < len(stops) else None

    def place(self) -> None:
        """Set the next stop."""
        number = len(self.placed)
        stop, wait = self.schedule.stops[number], None
        if number and (passed := stop.t_us - self.schedule.stops[number - 1].until_us) >= WAIT_US:
            wait, self.y = (self.y, _span(passed)), self.y + _WAIT
        arrives = number in self.arriving
        into = self.y + (_DROP if arrives else 0) + 4
        words, left = _words(stop, self.page, into + 3 if arrives else self.y)
        out = words[-1][2] + 4 if words else into
        self.placed.append(_Placed(stop=stop, into=into, out=out, words=words, left=left, wait=wait))
        self.y = out + _GAP


def page(lanes: Sequence[Lane], schedules: Sequence[Schedule]) -> Page:
    """The lanes' places, the same for all of ``schedules``."""
    times = max((width(time_at(stop.t_us)) for found in schedules for stop in found.stops), default=3)
    first = times * 6 + 14.0
    processes = [lane for lane in lanes if lane.kind == "process"]
    others = [lane for lane in lanes if lane.kind != "process"]
    base = first + _INCARNATION * (len(processes) - 1)
    spacing = max([40.0, *(width(lane.label) * CHAR / 2 + 8 for lane in others)])  # headings stand in two rows
    wide = max(float(WIDTH), base + spacing * len(others) + 50)
    step = (wide - base - 50) / max(len(others), 1)
    xs = {lane.name: first + _INCARNATION * n for n, lane in enumerate(processes)}
    xs |= {lane.name: base + step * n for n, lane in enumerate(others, 1)}
    return Page(lanes=tuple(lanes), xs=xs, wide=wide)


def pictures(
    where: Page, schedules: Sequence[Schedule], titles: Sequence[tuple[str, str]], *, shared: int = 0
) -> list[Markup]:
    """A picture of each schedule, in the same lanes. ``titles`` are (an id that is unique on the page, what it shows).

    Of two, the first ``shared`` events are the same: they stand at equal heights, and a line crosses both below.
    """
    columns = [_Column(found, where, frozenset(arrow.end for arrow in found.arrows)) for found in schedules]
    parting = _set(columns, shared) if len(columns) > 1 else None
    return [_svg(column, id, title, parting, shared) for column, (id, title) in zip(columns, titles, strict=True)]


def _set(columns: Sequence[_Column], shared: int) -> float:
    """Set what the schedules share at equal heights; where the line stands at which they part."""
    while True:
        rows = [row for column in columns if (row := column.next_row()) is not None and row < shared]
        if not rows:
            break
        now = [column for column in columns if column.next_row() == min(rows)]
        level = max(column.y for column in now)
        for column in now:
            column.y = level
            column.place()
    level = max(column.y for column in columns)
    for column in columns:
        column.y = level + _PART
    return level + 7


def _svg(column: _Column, id: str, title: str, parting: float | None, shared: int) -> Markup:
    while column.next_row() is not None:
        column.place()
    page, schedule = column.page, column.schedule
    bottom = column.y
    about = f"{len(schedule.stops)} moments, in time order, of {', '.join(lane.label for lane in page.lanes)}"
    parts = [_heading(lane, number, page.xs[lane.name]) for number, lane in enumerate(page.lanes)]
    parts += [_life(life, column, bottom) for life in schedule.lives]
    parts += [_wait(placed.wait, page) for placed in column.placed if placed.wait is not None]
    if parting is not None:
        parts.append(_parting(parting, page, shared))
    parts += [_arrow(arrow, column) for arrow in schedule.arrows]
    told = ""
    for placed in column.placed:
        time = time_at(placed.stop.t_us)
        parts.append(_stop(placed, page, "" if time == told or placed.stop.kind == "elided" else time))
        told = time
    return Markup(
        '<svg class="st" role="img" aria-labelledby="{id}t {id}d" viewBox="0 0 {w} {h}" style="min-width:{w}px;'
        'max-width:{most}px"><title id="{id}t">{title}</title><desc id="{id}d">{about}; the table below has the same '
        "as text</desc>{body}</svg>"
    ).format(
        id=id,
        w=_n(page.wide),
        h=_n(bottom + 4),
        most=_n(page.wide * 1.4),
        title=title,
        about=about,
        body=Markup("").join(parts),
    )


def _heading(lane: Lane, number: int, x: float) -> Markup:
    """Headings stand in the middle of their lanes, in two rows by turns."""
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(
        "h c" if number else "h", _n(x if number else 0), 11 if number % 2 == 0 else 24, lane.label
    )


def _life(life: Life, column: _Column, bottom: float) -> Markup:
    """The line of a lane, from its start to its death, where it is cut."""
    x = column.page.xs[life.lane]
    top = _HEAD if life.start is None else column.placed[life.start].into
    end = bottom if life.end is None else column.placed[life.end].into
    name = clean(life.lane, 40)
    line = Markup('<path class="l" data-lane="{}" d="M{} {}V{}"/>').format(name, _n(x), _n(top), _n(end))
    if life.end is None:
        return line
    cut = Markup('<path class="cut" data-lane="{}" d="M{} {}l10 10m0 -10l-10 10"/>')
    return line + cut.format(name, _n(x - 5), _n(end - 5))


def _wait(wait: tuple[float, str], page: Page) -> Markup:
    """A gap in all lanes, with its length."""
    y, span = wait
    drawn = Markup(
        '<g class="wait" data-wait="{span}"><rect x="0" y="{top}" width="{w}" height="{high}"/>'
        '<path d="M{x} {top}v{high}"/><text class="m" x="{tx}" y="{ty}">{span} pass</text></g>'
    )
    return drawn.format(
        span=span,
        top=_n(y - 2),
        w=_n(page.wide),
        high=_WAIT - 4,
        x=_n(page.first),
        tx=_n(page.first + _MARGIN),
        ty=_n(y + 13),
    )


def _parting(y: float, page: Page, shared: int) -> Markup:
    drawn = Markup(
        '<g class="part" data-shared="{}"><path d="M0 {}H{}"/><text class="e" x="{}" y="{}">here they part</text></g>'
    )
    return drawn.format(shared, _n(y), _n(page.wide), _n(page.wide - _MARGIN), _n(y + 12))


_LOST_AT: Final = 0.55
"""How much of its way is drawn of what is lost."""


def _arrow(arrow: Arrow, column: _Column) -> Markup:
    """Draw the things that travel, sloped from where it is sent to where it arrives; what is lost ends on its way."""
    page = column.page
    x, to_x = page.xs[arrow.source], page.xs[arrow.target]
    y = column.placed[arrow.start].out
    to_y = column.placed[arrow.end].into if arrow.end > arrow.start else y + _GAP
    if arrow.fate in ("lost", "unknown"):
        to_x = x + (to_x - x) * _LOST_AT
    arrives = arrow.fate in ("arrives", "late")
    end = Markup('<path class="lost" d="M{} {}l8 8m0 -8l-8 8"/>').format(_n(to_x - 4), _n(to_y - 4))
    drawn = Markup(
        '<g class="arrow {travels} {fate}" data-msg="{msg}" data-from="{source}" data-to="{target}" data-way="{way}">'
        '<path d="{path}"/>{tip}{end}</g>'
    )
    return drawn.format(
        travels=arrow.travels,
        fate=arrow.fate,
        msg=arrow.msg,
        source=clean(arrow.source, 40),
        target=clean(arrow.target, 40),
        way=f"{column.placed[arrow.start].stop.rows[0]} {column.placed[arrow.end].stop.rows[0]}",
        path=_path(x, y, to_x, to_y),
        tip=_tip(to_x, to_y, to_x > x) if arrives else "",
        end=end if arrow.fate == "lost" else "",
    )


def _path(x: float, y: float, to_x: float, to_y: float) -> str:
    """A straight line; a bow to the right of the lane where somebody sends to himself."""
    if to_x != x:
        return f"M{_n(x)} {_n(y)}L{_n(to_x)} {_n(to_y)}"
    return f"M{_n(x)} {_n(y)}C{_n(x + _BOW)} {_n(y)} {_n(x + _BOW)} {_n(to_y)} {_n(x)} {_n(to_y)}"


def _tip(x: float, y: float, rightwards: bool) -> Markup:
    side = -6 if rightwards else 6
    return Markup('<path class="tip" d="M{} {}l{} -5l0 7z"/>').format(_n(x), _n(y), side)


def _stop(placed: _Placed, page: Page, time: str) -> Markup:
    stop = placed.stop
    x = page.xs[stop.lane]
    parts = []
    if time:
        y = min((baseline for _, _, baseline in placed.words), default=placed.into + 3)
        parts.append(Markup('<text class="t e" x="{}" y="{}">{}</text>').format(_n(page.first - 7), _n(y), time))
    at = x - _MARGIN if placed.left else x + _MARGIN
    for text, style, y in placed.words:
        names = " ".join(filter(None, (style, "e" if placed.left else "")))
        kind = Markup(' class="{}"').format(names) if names else Markup("")
        parts.append(Markup('<text x="{}" y="{}"{}>{}</text>').format(_n(at), _n(y), kind, text))
    if stop.kind in _HANDLING:
        parts.append(Markup('<path class="busy" d="M{} {}V{}"/>').format(_n(x), _n(placed.into), _n(placed.out)))
    if stop.only:
        bar = Markup('<path class="bar" d="M{} {}V{}"/>')
        top = min((baseline - ROW for _, _, baseline in placed.words), default=placed.into - 4)
        parts.append(bar.format(_n(page.wide - 2), _n(top + 3), _n(placed.out)))
    drawn = Markup('<g class="stop {}" data-at="{}">{}</g>')
    return drawn.format(
        f"{stop.kind} only" if stop.only else stop.kind, " ".join(map(str, stop.rows)), Markup("").join(parts)
    )


def _words(stop: Stop, page: Page, y: float) -> tuple[tuple[tuple[str, str, float], ...], bool]:
    """The words of a stop and of its marks, row by row from ``y`` on, and whether they stand to the left of the lane:
    there where the right has less room, and too little."""
    said = [(stop.words, _STYLES.get(stop.kind, ""))] if stop.words else []
    for mark in stop.marks:
        symbol, kind = ("⚡ fault: ", "k") if mark.kind == "fault" else ("◀ ", "v")
        said.append((symbol + clean(mark.text, 40), kind))
    x = page.xs[stop.lane]
    right, left = (int((room - _MARGIN) / CHAR) for room in (page.wide - x - _MARGIN, x - page.first + 4))
    longest = max((width(text) for text, _ in said), default=0)
    to_the_left = longest > right and left > right
    columns = left if to_the_left else right
    placed = []
    for text, kind in said:
        for row in wrap(text, columns).split("\n"):
            placed.append((row, kind, y + ROW - 3))
            y += ROW
    return tuple(placed), to_the_left


def _span(us: int) -> str:
    """``995 ms``, ``12.5 s``."""
    return f"{us / 1_000_000:.1f}".removesuffix(".0") + " s" if us >= 10_000_000 else time_at(us)


def time_at(us: int) -> str:
    """``1004.6 ms``."""
    return f"{us / 1000:.1f}".removesuffix(".0") + " ms"


def time_of(line: Line) -> str:
    """When a line begins, as ``1004.6 ms``."""
    return time_at(line.t_us)


def _n(number: float) -> str:
    return f"{number:.0f}"
