"""The smaller pictures of the HTML report: the saga as a graph, and how much was known when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup

from ..saga import Saga
from ..verdict import Discovery
from .clean import clean, plural

MAX_STEPS: Final = 24
_BOX: Final = 132
_PITCH: Final = 164
_ROW: Final = 58

_CHART: Final = (344, 170)
_LEFT: Final = 46
_BOTTOM: Final = 30


def graph(saga: Saga) -> Markup:
    """The steps forward in a row (those that may run at once below one another), their compensations beneath."""
    steps = [saga.by_name[name] for name in saga.sequence][:MAX_STEPS]
    column: dict[str, int] = {}
    for step in steps:
        before = [column[name] for name in saga.predecessors[step.name] if name in column]
        column[step.name] = max(before, default=-1) + 1
    deep: dict[int, int] = {}
    row: dict[str, int] = {}
    for step in steps:
        row[step.name] = deep.get(column[step.name], 0)
        deep[column[step.name]] = row[step.name] + 1
    parts: list[Markup] = []
    for step in steps:
        x, y = column[step.name] * _PITCH + 4, row[step.name] * _ROW * 2 + 4
        parts.extend(
            _edge(column[name] * _PITCH + 4 + _BOX, row[name] * _ROW * 2 + 24, x, y + 20)
            for name in saga.predecessors[step.name]
            if name in column
        )
        note = "pivot" if step.pivot else "retriable" if step.retriable else _group_of(saga, step.name)
        parts.append(_box(x, y, "p" if step.pivot else "s", step.name, step.does, note))
        if not step.can_be_undone:
            undone = "" if step.pivot or step.retriable else "nothing to undo"
            parts.append(Markup('<text class="m" x="{}" y="{}">{}</text>').format(x + 6, y + _ROW + 14, undone))
        else:
            parts.append(Markup('<path class="u" d="M{} {}v16"/>').format(x + _BOX // 2, y + 41))
            parts.append(_box(x, y + _ROW, "c", "undo", step.undo or f"all of {step.does}", ""))
    wide, high = (max(column.values()) + 1) * _PITCH, max(deep.values()) * _ROW * 2
    names = "; ".join(f"{clean(step.name, 24)}{', the pivot' if step.pivot else ''}" for step in steps)
    return Markup(
        '<svg class="g" role="img" aria-labelledby="gt gd" viewBox="0 0 {w} {h}" style="width:{w}px">'
        '<title id="gt">The saga {name}: its steps and what undoes them</title><desc id="gd">In order: {names}. '
        "The table below says the same.</desc>{body}</svg>"
    ).format(w=wide, h=high, name=clean(saga.name, 40), names=names, body=Markup("").join(parts))


def _group_of(saga: Saga, step: str) -> str:
    """What its innermost group makes of a step."""
    group = next((group for group in saga.groups if step in group.members), None)
    return "" if group is None else "optional" if group.optional else "one of"


def _edge(x: int, y: int, to_x: int, to_y: int) -> Markup:
    middle = (x + to_x) // 2
    return Markup('<path class="e" d="M{} {}H{}V{}H{}m-5 -3l5 3l-5 3"/>').format(x, y, middle, to_y, to_x)


def _box(x: int, y: int, kind: str, name: str, operation: str, note: str) -> Markup:
    label = clean(f"{name} · {note}" if note else name, 20)
    return Markup(
        '<rect class="{kind}" x="{x}" y="{y}" width="{w}" height="40" rx="5"/><text class="n" x="{tx}" y="{y1}">'
        '{label}</text><text class="o" x="{tx}" y="{y2}">{operation}</text>'
    ).format(kind=kind, x=x, y=y, w=_BOX, tx=x + 7, y1=y + 16, y2=y + 32, label=label, operation=clean(operation, 19))


def curve(points: Sequence[Discovery]) -> Markup:
    """Distinct histories over plans run; a mark where a violation was first seen."""
    wide, high = _CHART
    most, known = points[-1].plans, max(points[-1].histories, 1)

    def place(point: Discovery) -> tuple[float, float]:
        x = _LEFT + (wide - _LEFT - 16) * point.plans / most
        return round(x, 1), round(high - _BOTTOM - (high - _BOTTOM - 30) * point.histories / known, 1)

    path = "".join(f"L{x:g} {y:g}" for x, y in map(place, points))
    marks, before = [], 0
    for point in points:
        if point.violations > before:
            x, y = place(point)
            marks.append(Markup('<path class="v" d="M{0} {1}l5 -9h-10z"/>').format(x, y - 2))
        before = point.violations
    base = high - _BOTTOM
    about = (
        f"{plural(points[-1].histories, 'distinct history')} and "
        f"{plural(points[-1].violations, 'distinct violation')} after {plural(most, 'plan')}"
    )
    return Markup(
        '<svg class="d" role="img" aria-labelledby="dt dd" viewBox="0 0 {w} {h}"><title id="dt">Discovery: distinct '
        'histories by plans run</title><desc id="dd">{about}. The table below has the points.</desc>'
        '<path class="x" d="M{l} 26V{b}H{r}"/><path class="y" d="M{l} {b}{path}"/>{marks}'
        '<text x="4" y="14">{known}</text><text x="{a}" y="{b}" text-anchor="end">0</text>'
        '<text x="{l}" y="{t}">0</text><text x="{r}" y="{t}" text-anchor="end">{most:,} plans</text>'
        "{legend}</svg>"
    ).format(
        w=wide,
        h=high,
        about=about,
        l=_LEFT,
        a=_LEFT - 6,
        b=base,
        r=wide - 16,
        t=high - 10,
        legend=Markup('<text x="{}" y="{}" text-anchor="middle">▼ a violation first seen</text>').format(
            wide // 2, high - 10
        )
        if marks
        else "",
        path=path,
        marks=Markup("").join(marks),
        known=plural(known, "distinct history"),
        most=most,
    )
