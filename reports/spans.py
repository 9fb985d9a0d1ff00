"""A history as spans of time: what Chrome's and OpenTelemetry's tools draw. Times are virtual."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from .. import history as h
from ..history import Event, History
from ..saga import DIRECTION_NAMES, split
from .clean import clean
from .strikes import struck_rows

Role: TypeAlias = Literal["saga", "request", "delivery"]

NAME_COLUMNS: Final = 80
_ANSWERED: Final = frozenset({h.ACK, h.TIMEOUT})
_HANDLED: Final = {h.APPLY: "applied", h.REJECT: "refused", h.ERROR: "failed"}
_INSTANTS: Final = frozenset(
    {h.CRASH, h.BOOT, h.DOWN, h.PAUSE, h.WAKE, h.CLOCK, h.LOGACK, h.LOGLOST, h.LOST, h.TERMINAL, h.RAISED, h.NONSENSE}
    | {h.DEAD_LETTER, h.ALERT, h.EXPIRE, h.CANCEL, h.HEAL}
)


@dataclass(frozen=True, kw_only=True)
class Span:
    """From ``start_us`` to ``end_us`` in ``process``. ``parent`` is the number of the span that caused it, -1 for
    none; ``result`` is how it ended, "open" where it did not; ``bad`` says that this is no success. ``effect`` says
    whether a delivery changed anything, None where that is not known; ``amount`` is what a request asks for, of a step
    whose effects add up, and ``actor`` who sent it, where that is somebody beside the orchestrator."""

    number: int
    parent: int
    role: Role
    name: str
    process: str
    saga: str
    start_us: int
    end_us: int
    result: str
    bad: bool
    attempt: int = 0
    key: str = ""
    step: str = ""
    direction: str = ""
    effect: bool | None = None
    amount: int | float | None = None
    actor: str = ""


@dataclass(frozen=True, kw_only=True)
class Instant:
    """Something that took no time: a crash, a durable write, a lost message, a fault that struck."""

    t_us: int
    name: str
    process: str
    saga: str


@dataclass
class _Open:
    number: int
    parent: int
    role: Role
    name: str
    event: Event
    process: str
    end_us: int
    result: str = "open"
    bad: bool = True
    effect: bool | None = None
    amount: int | float | None = None
    actor: str = ""

    def close(self, t_us: int, result: str, *, bad: bool, effect: bool | None = None) -> None:
        self.end_us, self.result, self.bad, self.effect = t_us, result, bad, effect

    def span(self) -> Span:
        return Span(
            number=self.number,
            parent=self.parent,
            role=self.role,
            name=clean(self.name, NAME_COLUMNS),
            process=clean(self.process, NAME_COLUMNS),
            saga=clean(self.event.saga, NAME_COLUMNS),
            start_us=self.event.t_us,
            end_us=max(self.end_us, self.event.t_us),
            result=clean(self.result, NAME_COLUMNS),
            bad=self.bad,
            attempt=self.event.attempt,
            key=clean(self.event.key or "", NAME_COLUMNS),
            step=clean(self.event.step, NAME_COLUMNS),
            direction=DIRECTION_NAMES.get(self.event.direction, ""),
            effect=self.effect,
            amount=self.amount,
            actor=clean(self.actor, NAME_COLUMNS),
        )


@dataclass
class _Reader:
    history: History
    last_us: int
    spans: list[_Open] = field(default_factory=list)
    instants: list[Instant] = field(default_factory=list)
    sagas: dict[str, _Open] = field(default_factory=dict)
    requests: dict[int, _Open] = field(default_factory=dict)
    deliveries: dict[int, _Open] = field(default_factory=dict)

    def read(self, event: Event) -> None:
        kind, msg = event.kind, event.msg
        if kind == h.SUBMIT:
            name = self.history.definition(event.saga).name
            self.sagas[event.saga] = self._open(event, "saga", f"{name} {event.saga}", -1)
        elif kind == h.CLIENT_ACK and event.saga in self.sagas:
            outcome = str(event.get("outcome"))
            self.sagas[event.saga].close(event.t_us, outcome, bad=outcome != "completed")
        elif kind == h.SEND:
            parent = self.sagas.get(event.saga)
            name = event.asks
            sent = self.requests[msg] = self._open(event, "request", name, parent.number if parent else -1)
            sent.actor = event.process if event.process in self.history.actors else ""
            sent.amount = self._amount(event)
        elif kind == h.DELIVER and msg in self.requests:
            cause = self.requests[msg]
            self.deliveries[msg] = self._open(event, "delivery", cause.name, cause.number)
        elif kind in _HANDLED and msg in self.deliveries:
            result = _HANDLED[kind] if kind != h.APPLY or event.get("effective") else "no effect"
            effect = bool(event.get("effective")) if kind == h.APPLY else None
            self.deliveries[msg].close(event.t_us, result, bad=kind != h.APPLY, effect=effect)
        elif kind in _ANSWERED and msg in self.requests:
            answer = str(event.get("answer")) if kind == h.ACK else "timeout, outcome unknown"
            self.requests[msg].close(event.t_us, answer, bad=answer != "ok")
        if kind in _INSTANTS:
            self.instants.append(self._instant(event.t_us, f"{kind} {' '.join(map(str, event.data))}", event))

    def _amount(self, event: Event) -> int | float | None:
        """How much a request asks for, where its step says which field tells that."""
        step = self.history.known.by_name.get(split(event.step)[0])
        if step is None or step.amount is None:
            return None
        found = dict(event.get("payload") or ()).get(step.amount)
        return found if isinstance(found, (int, float)) else None

    def _open(self, event: Event, role: Role, name: str, parent: int) -> _Open:
        opened = _Open(len(self.spans), parent, role, name, event, event.process, self.last_us)
        self.spans.append(opened)
        return opened

    def _instant(self, t_us: int, name: str, event: Event) -> Instant:
        saga, process = clean(event.saga, NAME_COLUMNS), clean(event.process, NAME_COLUMNS)
        return Instant(t_us=t_us, name=clean(name, NAME_COLUMNS), process=process, saga=saga)


def spans(history: History) -> tuple[tuple[Span, ...], tuple[Instant, ...]]:
    """The sagas, their requests and what was delivered of them, in the order of their beginnings; and the instants,
    each fault that struck among them."""
    events = history.events
    reader = _Reader(history, events[-1].t_us if events else 0)
    struck: dict[int, list[str]] = {}
    for at, fired in zip(struck_rows(history), history.fired, strict=False):
        struck.setdefault(at, []).append(str(fired.fault))
    for position, event in enumerate(events):
        for fault in struck.get(position, ()):
            reader.instants.append(reader._instant(event.t_us, f"FAULT {fault}", event))
        reader.read(event)
    return tuple(opened.span() for opened in reader.spans), tuple(reader.instants)
