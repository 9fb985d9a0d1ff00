"""The schedule as it happened, before it is drawn: who acts where and when, and what travels between them.

The words are those of a `Diagram`; here each of its lines is taken apart into the moments that it tells of, so that a
request leaves at one of them and arrives at another, in the lane of the one who sends or receives it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final, Literal, TypeAlias

from .. import history as h
from ..faults import AT_LOG, AT_LOGGED, Site
from ..history import Event, History, Row
from .clean import clean
from .diagram import PARTICIPANTS, Diagram
from .line import Line, Mark
from .lines import ORCHESTRATOR
from .strikes import written

LaneKind: TypeAlias = Literal["process", "actor", "participant", "store"]
Travels: TypeAlias = Literal["request", "answer", "message", "write"]
Fate: TypeAlias = Literal["arrives", "late", "lost", "unknown"]

STORE: Final = "store"
MAX_PARTICIPANTS: Final = 6
"""Where more take part, they share a lane."""

_REPLIES: Final = {h.APPLY: "ok", h.REJECT: "rejected", h.ERROR: "error"}
_MOMENTS: Final = frozenset({h.DELIVER, *_REPLIES, h.ACK, h.LOST, h.BOOT})


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Whose events stand below one another: an incarnation of the orchestrator, an actor, a participant, the store.
    ``label`` is its heading."""

    name: str
    label: str
    kind: LaneKind


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A moment in a lane: ``rows`` are the positions that it shows. What is left out goes from ``t_us`` to
    ``until_us``, which are the same for every other one. ``only`` says that the schedule beside has nothing like it."""

    rows: tuple[int, ...]
    t_us: int
    until_us: int
    lane: str
    kind: str
    words: str = ""
    marks: tuple[Mark, ...] = ()
    only: bool = False


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """A thing on its way from the lane ``source`` to ``target``, between the stops of these numbers. A ``lost`` one
    ends before it arrives; what is ``late`` comes when its sender has given up, or is dead."""

    travels: Travels
    fate: Fate
    msg: int
    source: str
    target: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Life:
    """From which stop to which one a lane is alive; None for the beginning, and for the end of the run."""

    lane: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The stops run down the page, in the order of events."""

    stops: tuple[Stop, ...]
    arrows: tuple[Arrow, ...]
    lives: tuple[Life, ...]


def lanes(pictures: Sequence[Diagram], histories: Sequence[History]) -> tuple[Lane, ...]:
    """The lanes that all of these histories need: processes in the order of their starts, actors, participants, and
    the store where a fault struck a durable write."""
    events = [event for history in histories for event in history.events]
    processes = list(dict.fromkeys(e.process for e in events if e.process.startswith(ORCHESTRATOR))) or [ORCHESTRATOR]
    actors = dict.fromkeys(actor for picture in pictures for actor in picture.actors)
    participants = list(dict.fromkeys(name for picture in pictures for name in picture.participants if name))
    if len(participants) > MAX_PARTICIPANTS:
        participants = [PARTICIPANTS]
    found = [Lane(name=name, label=_label(name, n), kind="process") for n, name in enumerate(processes)]
    found += [Lane(name=name, label=clean(name, 14), kind="actor") for name in actors if name not in processes]
    found += [Lane(name=name, label=clean(name, 14), kind="participant") for name in participants if name not in actors]
    if any(map(_strikes_a_write, histories)):
        found.append(Lane(name=STORE, label=STORE, kind="store"))
    return tuple(found)


def _label(process: str, number: int) -> str:
    """``orchestrator``, and ``[2]`` for its second incarnation."""
    return f"[{process.partition('#')[2] or 1}]" if number else clean(process, 14)


def _strikes_a_write(history: History) -> bool:
    return any(row[h.KIND] == h.LOGLOST for row in history.rows) or any(
        fired.fault.site.phase in (AT_LOG, AT_LOGGED) for fired in history.fired
    )


def schedule(picture: Diagram, history: History, among: Sequence[Lane], beside: History | None = None) -> Schedule:
    """The schedule that the lines of ``picture`` tell of, in the lanes ``among``; with what it has and ``beside`` has
    not."""
    cast = _Cast(history, among)
    only = _only_here(history, beside) if beside is not None else frozenset()
    made = (stop for line in picture.lines for stop in _stops(line, cast))
    told = (replace(stop, only=stop.kind != "elided" and not only.isdisjoint(stop.rows)) for stop in made)
    stops = sorted(told, key=lambda stop: stop.rows[0])
    numbers = {row: number for number, stop in enumerate(stops) for row in stop.rows}
    arrows = [arrow for arrow in _Travelling(cast, numbers).arrows() if arrow.end > arrow.start or _is_open(arrow)]
    return Schedule(stops=tuple(stops), arrows=tuple(arrows), lives=tuple(_lives(cast, numbers)))


def _only_here(history: History, beside: History) -> frozenset[int]:
    """The positions of the events that the other history has not, or not so often, whenever they are."""
    there = Counter(map(_likeness, beside.rows))
    found = []
    for position, row in enumerate(history.rows):
        like = _likeness(row)
        there[like] -= 1
        if there[like] < 0:
            found.append(position)
    return frozenset(found)


def _likeness(row: Row) -> tuple[object, ...]:
    """The features that two events share which are called the same: not when they are, nor their keys and numbers."""
    return (*row[h.KIND : h.KEY], row[h.DATA][:1] if row[h.KIND] in _TOLD_APART else ())


_TOLD_APART: Final = frozenset({h.APPLY, h.ACK, h.LOST, h.LOG, h.LOGACK, h.TERMINAL, h.CLIENT_ACK})


def _is_open(arrow: Arrow) -> bool:
    return arrow.fate == "unknown"


class _Cast:
    """In which lane each event of a history happens."""

    def __init__(self, history: History, among: Sequence[Lane]) -> None:
        self.history = history
        self.lanes = tuple(among)
        self._known = {lane.name: lane.kind for lane in among}
        self.folded = PARTICIPANTS in self._known
        acting, self.of = among[0].name, []
        for event in history.events:
            if self._known.get(event.process) == "process" and event.kind != h.CRASH:
                acting = event.process
            self.of.append(self._lane(event, acting))

    @property
    def has_store(self) -> bool:
        return STORE in self._known

    @cached_property
    def struck_writes(self) -> frozenset[int]:
        """The positions of the writes that a fault struck, and of those that were lost."""
        events = self.history.events
        sites = [fired.fault.site for fired in self.history.fired if fired.fault.site.phase in (AT_LOG, AT_LOGGED)]
        lost = {_write(event)[1:] for event in events if event.kind == h.LOGLOST}
        return frozenset(
            row
            for row, event in enumerate(events)
            if event.kind in (h.LOG, h.LOGACK)
            and (_write(event)[1:] in lost or any(_is_of(event, site) for site in sites))
        )

    def _lane(self, event: Event, acting: str) -> str:
        if event.kind == h.LOGLOST and self.has_store:
            return STORE
        if event.process in self._known:
            return event.process
        at_a_participant = event.kind in (h.DELIVER, *_REPLIES, h.DOWN, h.EXPIRE)
        return PARTICIPANTS if self.folded and at_a_participant else acting

    def target(self, name: str) -> str:
        """The lane of a participant of that name; the last one where it has none."""
        return PARTICIPANTS if self.folded else name if name in self._known else self.lanes[-1].name


# -- moments ---------------------------------------------------------------------------------------


@dataclass
class _Draft:
    """A stop while the rows that it shows are still coming in."""

    rows: list[int]
    lane: str
    kind: str
    words: str = ""
    marks: list[Mark] = field(default_factory=list)


def _stops(line: Line, cast: _Cast) -> Iterator[Stop]:
    """The moments of a line. Its words stand at the first of them, but those of a death where it is."""
    events, rows = cast.history.events, sorted(line.rows)
    if line.kind == "elided":
        yield _stop(_Draft(rows, cast.lanes[0].name, "elided", line.text), events)
        return
    durable = [row for row in rows if events[row].kind == h.LOGACK]
    struck = not cast.struck_writes.isdisjoint(rows)
    apart = cast.has_store and struck and (line.kind == "crash" or len(durable) == 1)
    if durable and not apart:
        rows = [row for row in rows if events[row].kind != h.LOG]
    drafts = [_Draft([rows[0]], cast.of[rows[0]], line.kind, line.text)]
    for row in rows[1:]:
        last, event = drafts[-1], events[row]
        begins = event.kind in _MOMENTS and not (event.kind in _REPLIES and last.lane == cast.of[row])
        if begins or (apart and event.kind in (h.CRASH, h.LOGACK)):
            drafts.append(_Draft([row], STORE if event.kind == h.LOGACK else cast.of[row], event.kind.lower()))
        else:
            last.rows.append(row)
    if line.kind == "crash":
        died = next((draft for draft in drafts if draft.kind == "crash" and draft is not drafts[0]), drafts[0])
        drafts[0].words, died.words = "", line.text
    if line.fate and line.kind != "arrival":
        at = _fate_stands_at(drafts, events, cast.target(line.target))
        fate = f"{clean(line.target, 16)}: {line.fate}" if cast.folded else line.fate
        at.words = ": ".join(filter(None, (at.words, fate)))
    elif line.fate:
        drafts[0].words = f"{line.text}: {line.fate}"
    for mark in line.marks:
        next((draft for draft in drafts if mark.at in draft.rows), drafts[0]).marks.append(mark)
    for draft in drafts:
        yield _stop(draft, events)


def _fate_stands_at(drafts: list[_Draft], events: Sequence[Event], lane: str) -> _Draft:
    """Where it is said what became of a call: at its participant, else where it was lost, else where it was sent."""
    there = [draft for draft in drafts[1:] if draft.lane == lane]
    lost = [draft for draft in drafts[1:] if events[draft.rows[0]].kind == h.LOST]
    return [drafts[0], *lost[:1], *there[-1:]][-1]


def _stop(draft: _Draft, events: Sequence[Event]) -> Stop:
    rows = sorted(draft.rows)
    return Stop(
        rows=tuple(rows),
        t_us=events[rows[0]].t_us,
        until_us=events[rows[-1 if draft.kind == "elided" else 0]].t_us,
        lane=draft.lane,
        kind=draft.kind,
        words=draft.words,
        marks=tuple(draft.marks),
    )


def _lives(cast: _Cast, numbers: dict[int, int]) -> Iterator[Life]:
    """Each lane from its start to its death; a participant that goes down lives again when it restarts."""
    living = {lane.name: Life(lane=lane.name) for lane in cast.lanes}
    waiting = {lane.name for lane in cast.lanes[1:] if lane.kind == "process"}
    for row, event in enumerate(cast.history.events):
        name, number = event.process, numbers.get(row)
        begins = event.kind == h.BOOT or (event.kind == h.DOWN and event.get("reason") == "restart")
        ends = event.kind == h.CRASH or (event.kind == h.DOWN and not begins)
        if begins and (name in waiting or (name not in living and cast.of[row] == name)):
            waiting.discard(name)
            living[name] = Life(lane=name, start=number)
        elif ends and name in living and name not in waiting:
            yield replace(living.pop(name), end=number)
    yield from (life for name, life in living.items() if name not in waiting)


# -- what travels ----------------------------------------------------------------------------------


class _Travelling:
    """Walks over the events and pairs each arrival, and each loss, with what was sent."""

    def __init__(self, cast: _Cast, numbers: dict[int, int]) -> None:
        self._cast = cast
        self._numbers = numbers
        self._sent: dict[int, int] = {}
        self._replies: dict[int, list[tuple[int, str]]] = {}
        self._given_up: set[int] = set()
        self._dead: set[str] = set()
        self._published: dict[int, int] = {}
        self._asked: dict[tuple[object, ...], int] = {}
        self._met: set[int] = set()

    def arrows(self) -> Iterator[Arrow]:
        for row, event in enumerate(self._cast.history.events):
            yield from self._arrows(row, event)
        for msg, sent in self._sent.items():
            if msg not in self._met and sent in self._numbers:
                operation = str(self._cast.history.events[sent].get("operation"))
                source, target = self._cast.of[sent], self._cast.target(operation.partition(".")[0])
                at = self._numbers[sent]
                yield Arrow(travels="request", fate="unknown", msg=msg, source=source, target=target, start=at, end=at)

    def _arrows(self, row: int, event: Event) -> Iterator[Arrow]:
        kind, msg = event.kind, event.msg
        if kind == h.SEND:
            self._sent[msg] = row
        elif kind == h.DELIVER and msg in self._sent:
            self._met.add(msg)
            late = msg in self._given_up or self._cast.of[self._sent[msg]] in self._dead
            yield from self._arrow("request", "late" if late else "arrives", self._sent[msg], row, self._cast.of[row])
        elif kind in _REPLIES:
            self._replies.setdefault(msg, []).append((row, _REPLIES[kind]))
        elif kind == h.ACK and self._replies.get(msg):
            yield from self._arrow("answer", "arrives", self._reply(msg, event), row, self._cast.of[row])
        elif kind == h.LOST:
            yield from self._lost(row, event)
        elif kind == h.TIMEOUT:
            self._given_up.add(msg)
        elif kind == h.CRASH:
            self._dead.add(event.process)
            asked = [at for write, at in self._asked.items() if write[0] == event.process]
            for at in asked if self._cast.has_store else ():
                yield from self._arrow("write", "lost", at, row, STORE)
            self._asked = {write: at for write, at in self._asked.items() if at not in asked}
        elif kind == h.PUBLISH:
            self._published[msg] = row
        elif kind == h.RECEIVE and msg in self._published:
            yield from self._arrow("message", "arrives", self._published[msg], row, self._cast.of[row])
        elif kind == h.LOG and row in self._cast.struck_writes:
            self._asked[_write(event)] = row
        elif kind == h.LOGACK and _write(event) in self._asked and self._cast.has_store:
            yield from self._arrow("write", "arrives", self._asked.pop(_write(event)), row, STORE)

    def _lost(self, row: int, event: Event) -> Iterator[Arrow]:
        msg, what = event.msg, event.get("what")
        if what == "request" and msg in self._sent:
            self._met.add(msg)
            operation = str(self._cast.history.events[self._sent[msg]].get("operation"))
            target = self._cast.target(operation.partition(".")[0])
            yield from self._arrow("request", "lost", self._sent[msg], row, target)
        elif what == "answer" and self._replies.get(msg):
            target = self._cast.of[self._sent[msg]] if msg in self._sent else self._cast.of[row]
            yield from self._arrow("answer", "lost", self._replies[msg][-1][0], row, target)
        elif what == "message" and msg in self._published:
            yield from self._arrow("message", "lost", self._published[msg], row, self._cast.lanes[-1].name)

    def _reply(self, msg: int, ack: Event) -> int:
        """Where an answer that arrived came from: the first reply that says the same, of copies that were handled."""
        replies = self._replies[msg]
        return next((row for row, answer in replies if answer == ack.get("answer")), replies[-1][0])

    def _arrow(self, travels: Travels, fate: Fate, sent: int, row: int, target: str) -> Iterator[Arrow]:
        start, end = self._numbers.get(sent), self._numbers.get(row)
        if start is not None and end is not None:
            msg, source = self._cast.history.events[sent].msg, self._cast.of[sent]
            yield Arrow(travels=travels, fate=fate, msg=msg, source=source, target=target, start=start, end=end)


def _is_of(event: Event, site: Site) -> bool:
    """True if a write is the one that the site names."""
    named = written(event) in site.subject.split(" + ")
    return named and (event.saga, event.get("occurrence")) == (site.saga, site.occurrence)


def _write(event: Event) -> tuple[object, ...]:
    return event.process, event.saga, event.step, event.get("record"), event.get("occurrence")
