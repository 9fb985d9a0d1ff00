"""The report as one HTML file: whole without JavaScript, without a request, in the reader's colour scheme.

The templates escape whatever they are given; what is put in as markup was made by `Markup.format`,
which escapes too. One script, which steps through events and filters findings, is named by its hash; the page forbids
every other one, and every load, should something slip through all the same.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from markupsafe import Markup, escape

from ..faults import FAULT_KINDS
from ..verdict import GAVE_UP, HOLDS, NOT_EXERCISED, VIOLATED, Finding, InvariantResult, Report
from . import comparison, covered, facts, reasons
from .clean import clean, plural
from .diagram import Diagram, diagram
from .heatmap import LEGEND, heatmaps, never_tried, otherwise_untested, untried_kinds
from .moments import Code, Moment, code_of, moments
from .pictures import curve, graph
from .schedule import lanes, schedule
from .spacetime import page, pictures, time_at, time_of

if TYPE_CHECKING:
    from jinja2 import Environment

CARDS_BYTES: Final = 225_000
"""What the findings that are shown whole may take together; the others get a line each."""

INDEXED: Final = 5
"""So many findings of one invariant stand in the index."""

_REPORT: Final = "report.html"
_COMPARISON: Final = "comparison.html"
MAX_LISTED: Final = 500
MAX_ENTRIES: Final = 150
MAX_ROWS: Final = 100
_PASSING_LINES: Final = 20


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A schedule with its caption, as a picture that is ``wide`` pixels wide at least, and as rows of (time,
    orchestrator, where, what, marks) from the event after the first ``after`` on. Where it fails, ``moments`` are its
    events one by one, but for those that are ``left_out``, and ``codes`` the lines of code behind them."""

    caption: str
    svg: Markup
    wide: int
    rows: tuple[tuple[str, str, str, str, str], ...]
    after: int
    moments: tuple[Moment, ...] = ()
    codes: tuple[Code, ...] = ()
    left_out: int = 0


def render(report: Report) -> str:
    """The whole report, under 300 KB where names are of a usual length."""
    cards, listed = _cards(report)
    points = report.discovery
    return filled(
        "report.html.j2",
        **viewer(),
        report=report,
        facts=facts,
        covered=covered,
        clean=clean,
        title=facts.headline(report),
        harms=facts.harms(report),
        linked=linking(report),
        index=_index(report),
        cards=cards,
        listed=listed[:MAX_LISTED],
        unlisted=max(len(listed) - MAX_LISTED, 0),
        numbers=_numbers(report),
        untested=_untested(report),
        missing=otherwise_untested(report),
        invariants=facts.unexercised_first(report).invariants,
        symbols=facts.SYMBOLS,
        most=MAX_ENTRIES,
        max_rows=MAX_ROWS,
        graph=graph(report.definition) if report.definition is not None else "",
        maps=heatmaps(report),
        legend=LEGEND,
        never=never_tried(report),
        points=points,
        curve=curve(points) if len(points) > 1 else "",
    )


def linking(report: Report) -> Callable[[str], Markup]:
    """Returns a filter that makes each code of an invariant a link to its row, with the rule that it stands for."""
    links = {
        clean(result.id, 12): Markup('<a href="#{0}" title="{1}">{0}</a>').format(
            clean(result.id, 12), clean(f"{result.name}: {result.rule}" if result.rule else result.name, 300)
        )
        for result in report.invariants
    }

    def linked(text: str) -> Markup:
        parts = re.split(r"\b([A-Z]\d{1,4})\b", text)
        return Markup("").join(links.get(part, part) if at % 2 else part for at, part in enumerate(parts))

    return linked


@dataclass(frozen=True, kw_only=True)
class Link:
    """A finding in the index: where it stands, and what it says."""

    anchor: str
    sentence: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """The findings of one invariant in the index, of which ``more`` are left out."""

    invariant: str
    name: str
    links: tuple[Link, ...]
    more: int


def _index(report: Report) -> list[Group]:
    """What is wrong, by invariant, each finding a link; none where nothing is."""
    names = {result.id: result.name for result in report.invariants}
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings[:MAX_LISTED]:
        groups.setdefault(finding.violation.invariant, []).append(finding)
    return [
        Group(
            invariant=clean(id, 12),
            name=clean(names.get(id, ""), 32),
            links=tuple(map(_link, found[:INDEXED])),
            more=max(len(found) - INDEXED, 0),
        )
        for id, found in groups.items()
    ]


def _link(finding: Finding) -> Link:
    known = "known" if finding.known else ""
    return Link(anchor=clean(finding.id, 24), sentence=clean(finding.violation.sentence, 160), note=known)


@dataclass(frozen=True, kw_only=True)
class Square:
    """A cell of one system and one invariant: its sign, with how many histories break or exercise it; ``link`` leads to
    the finding, "" where there is none to show."""

    text: str
    shade: str
    link: str = ""


_SHADES: Final = {VIOLATED: "bad", HOLDS: "good", NOT_EXERCISED: "warn", GAVE_UP: "warn"}


def render_comparison(reports: Sequence[Report]) -> str:
    """Several systems side by side, and the first finding of each of their invariants."""
    shown: list[tuple[Report, list[Markup]]] = []
    links: list[dict[str, str]] = []
    left = CARDS_BYTES
    for number, report in enumerate(reports):
        cards: list[Markup] = []
        anchors: dict[str, str] = {}
        for finding in facts.first_of_each(report.findings):
            anchor = f"s{number}-{clean(finding.id, 24)}"
            id = f"s{number}-{len(cards)}"
            page = _COMPARISON
            card = _card(report, finding, id, anchor=anchor, opened=not cards, linked=escape, page=page)
            left -= len(card.encode())
            if left < 0:
                break
            cards.append(card)
            anchors[finding.violation.invariant] = anchor
        shown.append((report, cards))
        links.append(anchors)
    return filled(
        "comparison.html.j2",
        **viewer(),
        title="Comparison",
        shown=shown,
        facts=facts,
        clean=clean,
        caught=comparison.caught,
        matrix=comparison.matrix(reports) if reports else None,
        squares=_squares(reports, links),
    )


def _squares(reports: Sequence[Report], links: Sequence[dict[str, str]]) -> list[tuple[str, str, list[Square]]]:
    """A row for each invariant, as (id, name, squares), with a square for each system."""
    named = dict.fromkeys((result.id, result.name) for report in reports for result in report.invariants)
    known = [{(result.id, result.name): result for result in report.invariants} for report in reports]
    return [
        (
            clean(id, 12),
            clean(name, 32),
            [_square(found.get((id, name)), anchors) for found, anchors in zip(known, links, strict=True)],
        )
        for id, name in named
    ]


def _square(result: InvariantResult | None, anchors: dict[str, str]) -> Square:
    if result is None:
        return Square(text="–", shade="")
    counts = {VIOLATED: result.violated, HOLDS: result.checked}
    count = f" {counts[result.status]:,}" if result.status in counts else ""
    link = anchors.get(result.id, "") if result.status == VIOLATED else ""
    return Square(text=f"{facts.SYMBOLS[result.status]}{count}", shade=_SHADES[result.status], link=link)


def _cards(report: Report) -> tuple[list[Markup], list[Finding]]:
    """The findings that fit, whole, the first of each invariant before others; and the rest."""
    first = facts.first_of_each(report.findings)
    order = [*first, *(finding for finding in report.findings if finding not in first)]
    cards: list[Markup] = []
    linked = linking(report)
    left = CARDS_BYTES
    for number, finding in enumerate(order):
        anchor = clean(finding.id, 24)
        card = _card(report, finding, f"c{number}", anchor=anchor, opened=not number, linked=linked)
        left -= len(card.encode())
        if left < 0:
            return cards, order[number:]
        cards.append(card)
    return cards, []


def _card(
    report: Report,
    finding: Finding,
    id: str,
    *,
    anchor: str,
    opened: bool,
    linked: Callable[[str], Markup],
    page: str = _REPORT,
) -> Markup:
    """A finding, whole: folded unless ``opened``. ``anchor`` is the name by which a link on the ``page`` leads to it
    and opens it; ``linked`` makes links of codes."""
    violation, explanation = finding.violation, finding.explanation
    rule = next((result.rule for result in report.invariants if result.id == violation.invariant), "")
    said = [("rule", clean(f"{violation.invariant}: {rule}", 300))] if rule else []
    said += [("rules" if finding.plan is None else "faults", line) for line in facts.faults_of(finding)]
    said += [("which is", words) for words in _meanings(finding)]
    if (needed := facts.needs(finding)) is not None:
        without = reasons.needed(finding)
        said.append((needed[0], f"{needed[1]}; {without}" if without else needed[1]))
    said += [("expected", clean(violation.expected, 160)), ("got", clean(violation.got, 160))]
    if follows := facts.follows(finding):
        said.append(("also explains", follows))
    said += [("noted", clean(note, 300)) for note in finding.notes]
    said += reasons.pairs(explanation) if explanation is not None else []
    name = clean(finding.id, 24)
    text = filled(
        "card.html.j2",
        id=id,
        anchor=anchor,
        page=page,
        opened=opened,
        name=name,
        title=facts.title(report, finding),
        sentence=clean(violation.sentence, facts.SENTENCE_COLUMNS),
        shrunk=facts.shrunk(finding),
        said=[(label, [words for _, words in lines]) for label, lines in groupby(said, key=itemgetter(0))],
        invariant=clean(violation.invariant, 12),
        linked=linked,
        pictures=_pictures(finding, id, name),
        time=time_at,
        source="\n".join(reasons.source(explanation)),
        states=reasons.states(explanation) if explanation is not None else None,
        again=facts.replay(report, finding),
    )
    return Markup(text)


def _meanings(finding: Finding) -> list[str]:
    """The effect of each kind of fault of its plan, once."""
    kinds = dict.fromkeys(fault.kind for fault in finding.plan.faults) if finding.plan is not None else {}
    return [clean(f"{kind}: {FAULT_KINDS[kind].meaning}", 200) for kind in kinds if kind in FAULT_KINDS]


def _pictures(finding: Finding, id: str, name: str) -> list[Picture]:
    """The schedule that fails, and beside it the nearest one that passes, in the same lanes."""
    contents = [diagram(finding.history, finding.violation)]
    histories, captions = [finding.history], ["fails"]
    titles = [(f"{id}f", f"The schedule that fails, {name}")]
    explanation = finding.explanation
    if explanation is not None and explanation.passing_history is not None:
        contents.append(diagram(explanation.passing_history, limit=_PASSING_LINES))
        histories.append(explanation.passing_history)
        captions = ["fails; a bar at the edge: only here"]
        captions.append(f"passes: {clean(explanation.passing, 120)}")
        titles.append((f"{id}p", f"The nearest schedule that passes, beside {name}"))
    among = lanes(contents, histories)
    beside = [*reversed(histories)] if len(histories) > 1 else [None]
    both = zip(contents, histories, beside, strict=True)
    schedules = [schedule(content, history, among, other) for content, history, other in both]
    shared = explanation.shared if explanation is not None else 0
    where = page(among, schedules)
    drawn = pictures(where, schedules, titles, shared=shared)
    fails, *passes = [
        Picture(caption=caption, svg=svg, wide=round(where.wide), rows=_rows(content, after=shared), after=shared)
        for caption, svg, content in zip(captions, drawn, contents, strict=True)
    ]
    acted = explanation.lines if explanation is not None else ()
    events = tuple(moments(finding.history, contents[0].lines, acted))
    left_out = len(finding.history.rows) - len(events)
    return [replace(fails, moments=events, codes=tuple(code_of(acted)), left_out=left_out), *passes]


def _rows(content: Diagram, *, after: int) -> tuple[tuple[str, str, str, str, str], ...]:
    """The lines of a picture as a table, without those of the first ``after`` events."""
    return tuple(
        (
            "" if line.kind == "elided" else time_of(line),
            line.text,
            clean(line.target, 24),
            line.fate,
            ", ".join(clean(f"fault: {mark.text}" if mark.kind == "fault" else mark.text, 40) for mark in line.marks),
        )
        for line in content.lines
        if max(line.rows) >= after
    )


def _numbers(report: Report) -> Iterable[tuple[str, str]]:
    """What stands beside the verdict: how much was tried, or read."""
    holds = sum(result.status == HOLDS for result in report.invariants)
    idle = sum(result.status == NOT_EXERCISED for result in report.invariants)
    invariants = f"{holds:,} hold, {idle:,} not exercised, of {len(report.invariants):,}"
    if report.recorded is not None:
        yield "Findings", f"{len(report.findings):,}"
        yield "Recorded", f"{plural(report.recorded.events, 'event')} of {plural(report.recorded.sagas, 'saga')}"
        yield "Without an end", f"{report.recorded.open:,}"
        yield "Invariants", invariants
        return
    counts = report.counts
    planned = [cell for cell in report.coverage if cell.planned]
    kinds = {cell.kind for cell in planned}
    fired = {cell.kind for cell in planned if cell.fired}
    yield "Status", "complete" if report.complete else "INCOMPLETE"
    yield "Findings", f"{len(report.findings):,}"
    yield "Plans run", f"{counts.run:,} of {counts.planned:,}, up to {plural(report.max_faults, 'fault')}"
    if not report.complete and report.pairs.planned:
        yield "Plans with two faults", f"{report.pairs.run:,} of {report.pairs.planned:,}, {report.pairs.percent}"
    if report.random_plans.run:
        yield "Random plans", f"{report.random_plans.run:,}, up to {plural(report.random_plans.max_faults, 'fault')}"
    yield "Every fault struck", f"in {counts.fired:,} of {plural(counts.run, 'plan')}"
    yield "Distinct histories", f"{counts.histories:,}"
    untried = untried_kinds(report)
    tried = f"{len(fired):,} fired of {len(kinds):,} planned"
    yield "Kinds of faults", f"{tried}, {untried:,} not tried" if untried else tried
    yield "Invariants", invariants


def _untested(report: Report) -> Iterable[tuple[str, str, str]]:
    """The part that was not exercised of a table or a map below: how much, where that stands, and its names."""
    idle = [result for result in report.invariants if result.status == NOT_EXERCISED]
    if idle:
        names = clean(", ".join(f"{result.id} {result.name}" for result in idle), 800)
        yield f"{len(idle):,} of {plural(len(report.invariants), 'invariant')}", "invariants", names
    if kinds := untried_kinds(report):
        yield plural(kinds, "kind") + " of faults", "never", "with what each of them needs"
    if unseen := sum(not cell.seen for cell in report.covered.orders):
        of = f"{unseen:,} of {plural(len(report.covered.orders), 'order')} of conflicting operations"
        yield of, "orders", "with the reason"


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def filled(template: str, **values: Any) -> str:
    """One of the templates with its values, which it escapes."""
    return _environment().get_template(template).render({"script": "", **values})


@functools.cache
def viewer() -> dict[str, Markup | str]:
    """The script of a page with findings, and its hash, by which the page allows it."""
    text = (Path(__file__).parent / "templates" / "viewer.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"script": Markup(text), "script_hash": digest}
