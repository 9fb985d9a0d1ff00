"""The lines of a space-time diagram: which events are worth one, and what each of them says.

A call and its fate stand on one line wherever that keeps the order of events: the line is that of
the request, and what the participant did with it is written at the arrow's end. Where something
that matters lies between (a crash, a timeout, another effect), the arrival has a line of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from .. import history as h
from ..faults import FAULT_KINDS, Fault
from ..history import Event, History
from ..saga import COMPENSATION, FORWARD
from .clean import clean

LineKind: TypeAlias = Literal[
    "submit", "call", "arrival", "timeout", "write", "crash", "restart", "client", "odd", "person", "end", "elided"
]

SAGA_COLUMNS: Final = 12
LABEL_COLUMNS: Final = 18
FATE_COLUMNS: Final = 40
TEXT_COLUMNS: Final = 84


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something pointed out beside a line: a fault that struck there, or the violation."""

    kind: Literal["fault", "violation"]
    text: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a diagram.

    ``text`` stands in the orchestrator's lane; an arrow leads from it to the lane ``target``, where
    ``fate`` stands ("" for no arrow). ``rows`` are the positions in the history that the line tells of.
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


def narrate(history: History, *, forced: Collection[int] = (), writes_of: Collection[str] = ()) -> list[Line]:
    """The lines of a history, without marks.

    ``forced`` are positions that get a line although their kind has none. ``writes_of`` names sagas
    whose durable writes are shown, too.
    """
    narrator = _Narrator(history, frozenset(forced), frozenset(writes_of))
    for position, event in enumerate(history.events):
        narrator.tell(position, event)
    return [draft.line() for draft in narrator.drafts]


@dataclass(kw_only=True)
class _Draft:
    """A line while the events that it tells of are still coming in."""

    t_us: int
    kind: LineKind
    text: str
    target: str = ""
    fates: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    saga: str = ""
    step: str = ""

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
        )


@dataclass(kw_only=True)
class _Call:
    """A request on its way: ``sent`` is its position, ``draft`` the line that its next event belongs to."""

    sent: int
    label: str
    draft: _Draft
    deliveries: int = 0


class _Narrator:
    """Walks over the events once and keeps what later ones need to be told."""

    def __init__(self, history: History, forced: frozenset[int], writes_of: frozenset[str]) -> None:
        self.drafts: list[_Draft] = []
        self._definition = history.saga
        self._several = len(history.sagas) > 1
        self._forced = forced
        self._writes_of = writes_of
        self._fired = {fired.position: fired.fault for fired in history.fired}
        self._calls: dict[int, _Call] = {}
        self._applied: dict[tuple[str, str, str], int] = {}  # effective applies of (saga, step, direction)
        self._taken: dict[tuple[str, str, str], float] = {}  # the counter of (participant, unit, subject)
        self._barrier = -1  # the last event that a call's line must not reach over
        self._effects: dict[str, int] = {}  # where the latest request that took effect was sent, by saga and service

    def tell(self, position: int, event: Event) -> None:
        teller = _TELLERS.get(event.kind)
        before = len(self.drafts)
        if teller is not None:
            teller(self, position, event)
        if position in self._forced and len(self.drafts) == before and not self._told(position):
            text = f"{event.kind} {' '.join(map(str, event.data))}"
            self._add(position, event, "odd", self._of(event, text))

    def _told(self, position: int) -> bool:
        return any(position in draft.rows for draft in self.drafts)

    def _add(self, position: int, event: Event, kind: LineKind, text: str) -> _Draft:
        draft = _Draft(
            t_us=event.t_us,
            kind=kind,
            text=clean(text, TEXT_COLUMNS),
            rows=[position],
            saga=event.saga,
            step=event.step,
        )
        self.drafts.append(draft)
        return draft

    def _of(self, event: Event, text: str) -> str:
        """``text`` with the saga before it where there is more than one."""
        return f"{clean(event.saga, SAGA_COLUMNS)} {text}" if self._several and event.saga else text

    def _label(self, event: Event) -> str:
        """How a call is called: its verb, and which attempt it is."""
        operation = str(event.get("operation") or self._definition.operation(event.step, event.direction))
        verb = clean(operation.partition(".")[2] or operation, LABEL_COLUMNS)
        return self._of(event, f"{verb} #{event.attempt}" if event.attempt > 1 else verb)

    # -- calls -------------------------------------------------------------------------------

    def send(self, position: int, event: Event) -> None:
        label = self._label(event)
        draft = self._add(position, event, "call", label)
        draft.target = str(event.get("operation")).partition(".")[0]
        self._calls[event.msg] = _Call(sent=position, label=label, draft=draft)

    def deliver(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        if call is None:
            return
        call.deliveries += 1
        overtaken = max(self._effects.get(f"saga {event.saga}", -1), self._effects.get(f"at {event.process}", -1))
        if call.deliveries == 1 and call.sent > max(self._barrier, overtaken):
            call.draft.rows.append(position)
            return
        if call.deliveries == 1 and not call.draft.fates:
            call.draft.fates.append("on its way")
        text = f"{call.label} arrives" if call.deliveries == 1 else f"{call.label}, copy {call.deliveries}"
        call.draft = self._add(position, event, "arrival", text)
        call.draft.target = event.process

    def apply(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        if call is None:
            return
        which = (event.saga, event.step, event.direction)
        times = self._applied.get(which, 0)
        if event.get("effective"):
            self._applied[which] = times + 1
            fate = f"applied again{self._delta(event)}" if times else f"applied{self._delta(event)}"
        elif times:
            fate = "seen before, no effect"
        else:
            undoable = self._applied.get((event.saga, event.step, FORWARD), 0)
            fate = "no effect" if event.direction != COMPENSATION or undoable else "nothing to undo, no effect"
        self._fate(position, event, call, fate)

    def reject(self, position: int, event: Event) -> None:
        if call := self._calls.get(event.msg):
            reason = str(event.get("reason"))
            self._fate(position, event, call, reason if reason.startswith("refused") else f"refused: {reason}")

    def error(self, position: int, event: Event) -> None:
        if call := self._calls.get(event.msg):
            self._fate(position, event, call, f"not applied: {event.get('reason')}")

    def _fate(self, position: int, event: Event, call: _Call, fate: str) -> None:
        call.draft.fates.append(fate)
        call.draft.rows.append(position)
        for key in (f"saga {event.saga}", f"at {event.process}"):
            self._effects[key] = max(self._effects.get(key, -1), call.sent)

    def _delta(self, event: Event) -> str:
        """By how much the participant's counter went up or down, "" where it counts nothing: an order is created."""
        balance = event.get("balance")
        if not balance or len(balance) <= 3 or not isinstance(balance[3], (int, float)):
            return ""
        unit, subject, _, taken = balance[:4]
        key = (event.process, str(unit), str(subject))
        amount = taken - self._taken.get(key, 0)
        self._taken[key] = taken
        return f" {amount:+,}"

    def ack(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        if call is None:
            return
        call.draft.rows.append(position)
        if event.get("answer") == "error" and any(fate.startswith("applied") for fate in call.draft.fates):
            call.draft.fates.append("answers an error")

    def lost(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        if call is None:
            return
        call.draft.rows.append(position)
        call.draft.fates.append("request lost, not applied" if event.get("what") == "request" else "answer lost")

    def timeout(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        label = call.label if call is not None else self._label(event)
        self._add(position, event, "timeout", f"TIMEOUT {label} after {event.get('after_ms'):g} ms, outcome unknown")
        self._barrier = position

    # -- processes, writes, the client, people -----------------------------------------------

    def boot(self, position: int, event: Event) -> None:
        if event.get("incarnation") == 1:
            if position in self._forced:
                self._add(position, event, "restart", "start")
            return
        healed = event.get("reason") == "heal" and max(self._fired, default=-1) < position
        self._add(position, event, "restart", "restart, no more faults" if healed else "restart")
        self._barrier = position

    def crash(self, position: int, event: Event) -> None:
        fault = self._fired.get(position)
        text = self._moment(fault) if fault is not None else f"({event.get('reason')})"
        self._add(position, event, "crash", f"CRASH {text}")
        self._barrier = position

    def _moment(self, fault: Fault) -> str:
        site = fault.site
        saga = clean(site.saga, SAGA_COLUMNS) if self._several else ""
        verb = self._definition.operation(site.subject, site.direction).rpartition(".")[2] if site.direction else ""
        call = f"{saga} {clean(verb, LABEL_COLUMNS)}".lstrip()
        write = f'the write "{clean(site.subject, 32)}"' + (f" of {saga}" if saga else "")
        kind = FAULT_KINDS.get(fault.kind)
        return kind.moment.format(call=call, write=write) if kind and kind.moment else f"({fault.kind})"

    def logack(self, position: int, event: Event) -> None:
        if event.saga in self._writes_of or position in self._forced:
            about = f"{event.get('record')} {event.step}".rstrip()
            self._add(position, event, "write", self._of(event, f'durable: "{about}"'))

    def log(self, position: int, event: Event) -> None:
        if position in self._forced:
            about = f"{event.get('record')} {event.step}".rstrip()
            self._add(position, event, "write", self._of(event, f'asks for the write "{about}"'))

    def submit(self, position: int, event: Event) -> None:
        who = f" for {clean(event.saga, SAGA_COLUMNS)}" if self._several else ""
        item = clean(event.get("item"), 20)
        asked = f"the client asks{who}: {event.get('quantity')} × {item}, amount {event.get('amount')}"
        self._add(position, event, "submit", asked)

    def terminal(self, position: int, event: Event) -> None:
        self._add(position, event, "client", self._of(event, f"declares {event.get('outcome')}"))

    def client_ack(self, position: int, event: Event) -> None:
        outcome = event.get("outcome")
        last = self.drafts[-1] if self.drafts else None
        if last is not None and last.text == clean(self._of(event, f"declares {outcome}"), TEXT_COLUMNS):
            last.text = clean(self._of(event, f"declares {outcome}, tells the client"), TEXT_COLUMNS)
            last.rows.append(position)
            return
        self._add(position, event, "client", self._of(event, f"tells the client: {outcome}"))

    def raised(self, position: int, event: Event) -> None:
        name, message, place = (clean(event.get(part), 60) for part in ("type", "message", "where"))
        where = place.removesuffix(": ?")  # no frame of the user's own
        self._add(position, event, "odd", self._of(event, f"RAISES {name} in {where}: {message}"))

    def nonsense(self, position: int, event: Event) -> None:
        self._add(position, event, "odd", self._of(event, f"ANSWERS NONSENSE: {event.get('answer')}"))

    def dead_letter(self, position: int, event: Event) -> None:
        what = f"DEAD LETTER {clean(event.step, LABEL_COLUMNS)}".rstrip()
        self._add(position, event, "person", self._of(event, f"{what}: {event.get('reason')}"))

    def alert(self, position: int, event: Event) -> None:
        what = f"ALERT {clean(event.step, LABEL_COLUMNS)}".rstrip()
        self._add(position, event, "person", self._of(event, f"{what}: {event.get('reason')}"))

    def heal(self, position: int, event: Event) -> None:
        self._add(position, event, "person", "an operator repairs what fails")
        self._barrier = position

    def end(self, position: int, event: Event) -> None:
        reason = event.get("reason")
        self._add(position, event, "end", "end, all at rest" if reason == "quiescent" else f"end: {reason}")


_TELLERS: Final = {
    h.SUBMIT: _Narrator.submit,
    h.BOOT: _Narrator.boot,
    h.LOG: _Narrator.log,
    h.LOGACK: _Narrator.logack,
    h.SEND: _Narrator.send,
    h.DELIVER: _Narrator.deliver,
    h.APPLY: _Narrator.apply,
    h.REJECT: _Narrator.reject,
    h.ERROR: _Narrator.error,
    h.ACK: _Narrator.ack,
    h.LOST: _Narrator.lost,
    h.TIMEOUT: _Narrator.timeout,
    h.CRASH: _Narrator.crash,
    h.TERMINAL: _Narrator.terminal,
    h.CLIENT_ACK: _Narrator.client_ack,
    h.RAISED: _Narrator.raised,
    h.NONSENSE: _Narrator.nonsense,
    h.DEAD_LETTER: _Narrator.dead_letter,
    h.ALERT: _Narrator.alert,
    h.HEAL: _Narrator.heal,
    h.END: _Narrator.end,
}
