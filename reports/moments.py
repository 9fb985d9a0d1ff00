"""The events of a history one by one: what each of them carries, and how everything stands after it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .. import history as h
from ..event_words import event_in_words
from ..frames import Source
from ..history import Event, History
from ..saga import COMPENSATION
from .clean import clean, printable
from .line import Line
from .strikes import written

MAX_MOMENTS: Final = 80
"""So many events of a history are told: those first that its picture shows."""

_NAME: Final = 40
_VALUE: Final = 60


@dataclass(frozen=True, kw_only=True)
class Moment:
    """An event: its position and time, who brings it about and what it is, the attempt, key and payload that it
    ``carries``, and what changes by it, as (name, value): of the sagas, the steps, the ledgers and the processes.
    ``code`` is the number of the lines that brought it about, among `code_of`'s; -1 for none."""

    row: int
    t_us: int
    who: str
    words: str
    carries: str
    changes: tuple[tuple[str, str], ...]
    marks: tuple[str, ...]
    code: int


@dataclass(frozen=True, kw_only=True)
class Code:
    """Some lines of a file, as text: the one that acts is marked."""

    place: str
    text: str


def moments(history: History, lines: Sequence[Line], acted: Sequence[tuple[int, Source]]) -> list[Moment]:
    """The events of a history whose picture is made of ``lines``."""
    numbers = {source: number for number, source in enumerate(dict.fromkeys(source for _, source in acted))}
    code = {row: numbers[source] for row, source in acted}
    marks: dict[int, list[str]] = {}
    for line in lines:
        for mark in line.marks:
            marks.setdefault(mark.at, []).append(f"⚡ {mark.text}" if mark.kind == "fault" else f"◀ {mark.text}")
    told = _told(history, lines)
    asked = {event.msg: event.asks for event in history.events if event.kind == h.SEND}
    state = _State(history)
    found = []
    for row, event in enumerate(history.events):
        changes = tuple((clean(name, _NAME), clean(value, _VALUE)) for name, value in state.after(event))
        if row not in told:
            continue
        words = event_in_words(event, history.known, several=history.several, asked=asked.get(event.msg, ""))
        found.append(
            Moment(
                row=row,
                t_us=event.t_us,
                who=clean(event.process, _NAME),
                words=clean(words, 120),
                carries=clean("; ".join(_carried(event)), 200),
                changes=changes,
                marks=tuple(clean(mark, _NAME) for mark in marks.get(row, ())),
                code=code.get(row, -1),
            )
        )
    return found


def code_of(acted: Sequence[tuple[int, Source]]) -> list[Code]:
    """The lines of code that brought events about, each place once."""
    return [_code(source) for source in dict.fromkeys(source for _, source in acted)]


def _code(source: Source) -> Code:
    lines = [
        clean_line(f"{'>' if number == source.line else ' '} {number} | {text.expandtabs(4)}")
        for number, text in enumerate(source.lines, source.first)
    ]
    return Code(place=f"{clean(source.file, 80)}:{source.line}", text="\n".join(lines))


def clean_line(text: str) -> str:
    """A line of code without what could act, its spaces as they are."""
    return printable(text)[:96].rstrip()


def _told(history: History, lines: Sequence[Line]) -> Collection[int]:
    """The positions that are told: all, or those that the picture shows and the first of the others."""
    shown = sorted(row for line in lines if line.kind != "elided" for row in line.rows)
    return frozenset(list(dict.fromkeys([*shown, *range(len(history.rows))]))[:MAX_MOMENTS])


def _carried(event: Event) -> Iterator[str]:
    """The attempt, the key and the payload of a request, and what an effect was answered with."""
    if event.kind == h.SEND:
        yield f"attempt {event.attempt}"
    if event.kind == h.SEND and event.key is not None:
        yield f"key {event.key}"
    payload = event.get("payload")
    if payload:
        yield "payload " + ", ".join(f"{name}={value!r}" for name, value in payload)
    for name in ("epoch", "receipt"):
        if value := event.get(name):
            said = ", ".join(f"{key}={each!r}" for key, each in value) if isinstance(value, tuple) else str(value)
            yield f"{name} {said}"


class _State:
    """How the sagas, the steps, the ledgers and the processes stand, as the events tell."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._effects: dict[tuple[str, str], int] = {}

    def after(self, event: Event) -> Iterable[tuple[str, str]]:
        """The changes that an event makes."""
        if event.kind == h.APPLY:
            yield from self._applied(event)
        elif (say := _SAGA.get(event.kind)) is not None and event.saga:
            yield event.saga, say(event)
        elif (says := _PROCESS.get(event.kind)) is not None:
            yield event.process, says(event)

    def _applied(self, event: Event) -> Iterator[tuple[str, str]]:
        if event.get("effective") and event.step:
            key = (event.saga, event.step)
            self._effects[key] = self._effects.get(key, 0) + (-1 if event.direction == COMPENSATION else 1)
            yield f"{event.saga} {event.step}" if self._history.several else event.step, _net(self._effects[key])
        balance: tuple[Any, ...] = event.get("balance") or ()
        if len(balance) == 6:
            _, subject, left, _, _, initial = balance
            yield f"{event.process}'s ledger, {subject}", f"{_number(left)} of {_number(initial)} left"


def _net(count: int) -> str:
    if count in (0, 1):
        return "in effect" if count else "not in effect"
    return f"in effect {count} times" if count > 1 else f"undone {-count} more than done"


def _number(value: object) -> str:
    return f"{value:,}" if isinstance(value, (int, float)) else str(value)


_SAGA: Final[dict[str, Callable[[Event], str]]] = {
    h.SUBMIT: lambda event: "asked for",
    h.LOGACK: lambda event: f'recorded "{written(event)}"',
    h.LOGLOST: lambda event: f'lost "{written(event)}"',
    h.TERMINAL: lambda event: f"declared {event.get('outcome')}",
    h.CLIENT_ACK: lambda event: f"client told: {event.get('outcome')}",
    h.DEAD_LETTER: lambda event: "put aside for a person",
    h.CANCEL: lambda event: "to be cancelled",
}

_PROCESS: Final[dict[str, Callable[[Event], str]]] = {
    h.BOOT: lambda event: "runs",
    h.CRASH: lambda event: "dead",
    h.PAUSE: lambda event: "stands still",
    h.WAKE: lambda event: "runs",
    h.DOWN: lambda event: "runs" if event.get("reason") == "restart" else "down",
}
