"""The lines of a space-time diagram: which events are worth one, and what each of them says.

A call and its fate stand on one line wherever that keeps the order of events: the line is that of
the request, and what the participant did with it is written at the arrow's end. Where something
that matters lies between (a crash, a timeout, another effect), the arrival has a line of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from .. import history as h
from ..faults import AT_BOOT, AT_LOG, FAULT_KINDS, Fault, Site
from ..history import Event, History
from ..saga import COMPENSATION, FORWARD, MESSAGE
from .clean import clean, width
from .line import Draft, Line, LineKind
from .strikes import struck_rows, written

ORCHESTRATOR: Final = "orchestrator"

SAGA_COLUMNS: Final = 12
LABEL_COLUMNS: Final = 18
TOPIC_COLUMNS: Final = 24
TEXT_COLUMNS: Final = 84
WRITE_COLUMNS: Final = 60
"""How long the line of durable writes grows as those that follow at once are added to it."""


def narrate(history: History, *, forced: Collection[int] = ()) -> list[Line]:
    """The lines of a history, without marks.

    ``forced`` are positions that are told even where others of their kind are not: a read, a first start.
    """
    narrator = _Narrator(history, frozenset(forced))
    for position, event in enumerate(history.events):
        narrator.tell(position, event)
    return narrator.finish()


@dataclass(kw_only=True)
class _Call:
    """A request on its way: ``sent`` is its position, ``draft`` the line that its next event belongs to."""

    sent: int
    label: str
    draft: Draft
    deliveries: int = 0


class _Narrator:
    """Walks over the events once and keeps what later ones need to be told."""

    def __init__(self, history: History, forced: frozenset[int]) -> None:
        self.drafts: list[Draft] = []
        self._definition = history.known
        self._actors = history.actors
        self._submitted: set[str] = set()
        self._several = history.several
        self._forced = forced
        self._struck: dict[int, list[Fault]] = {}
        for at, fired in zip(struck_rows(history), history.fired, strict=False):
            self._struck.setdefault(at, []).append(fired.fault)
        self._last_fault = max((fired.position for fired in history.fired), default=-1)
        self._living: dict[str, None] = {}
        self._beside = _side_by_side(history)  # whether it must be said which process acts
        self._taken_up = any(event.kind == h.BOOT and event.get("incarnation") != 1 for event in history.events)
        self._durable = _durable(history)
        self._asked: dict[tuple[object, ...], list[int]] = {}  # the writes that were asked for and are durable later
        self._adopted: set[str] = set()
        self._unwritten: list[tuple[int, Event]] = []  # those asked for last that never are
        self._dying: list[int] = []  # those of which the next crash tells
        self._writing: tuple[object, ...] | None = None
        self._declared: tuple[object, ...] | None = (
            None  # how many lines there were after that of a write, whose it was
        )
        self._calls: dict[int, _Call] = {}
        self._applied: dict[tuple[str, str, str], int] = {}  # effective applies of (saga, step, direction)
        self._taken: dict[tuple[str, str, str], float] = {}  # the counter of (participant, unit, subject)
        self._barrier = -1  # the last event that a call's line must not reach over
        self._topics: dict[int, str] = {}  # of messages, by their numbers
        self._messages: dict[int, Draft] = {}  # where each was received last
        self._received: dict[int, int] = {}
        self._effects: dict[str, int] = {}  # where the latest request that took effect was sent, by saga and service

    def tell(self, position: int, event: Event) -> None:
        if self._unwritten and event.kind != h.LOG:
            self._never_durable(position, event)
        if event.kind not in _OF_WRITES:
            self._writing = None
        teller = _TELLERS.get(event.kind)
        before = len(self.drafts)
        if teller is not None:
            teller(self, position, event)
        unsaid = position in self._forced and len(self.drafts) == before and event.kind != h.LOG
        if unsaid and not self._told(position):
            text = f"{event.kind} {' '.join(map(str, event.data))}"
            self._add(position, event, "odd", self._of(event, text))

    def finish(self) -> list[Line]:
        """The lines, when all events are told."""
        self._never_durable(-1, None)
        return [draft.line() for draft in self.drafts]

    def _told(self, position: int) -> bool:
        return any(position in draft.rows for draft in self.drafts)

    def _add(self, position: int, event: Event, kind: LineKind, text: str) -> Draft:
        draft = Draft(
            t_us=event.t_us,
            kind=kind,
            text=clean(text, TEXT_COLUMNS),
            rows=[position],
            saga=event.saga,
            step=event.step,
            source=event.process if event.process in self._actors else "",
        )
        self.drafts.append(draft)
        return draft

    def _of(self, event: Event, text: str) -> str:
        """``text`` with the saga before it where there is more than one, and the process where several act."""
        saga = f"{clean(event.saga, SAGA_COLUMNS)} " if self._several and event.saga else ""
        return f"{self._who(event)}{saga}{text}"

    def _who(self, event: Event) -> str:
        """``[2] `` for what the second incarnation does, where more than one lives at a time; else ""."""
        return f"{_number(event.process)} " if self._beside and event.process.startswith(ORCHESTRATOR) else ""

    def _label(self, event: Event) -> str:
        """How a call is called: its verb, and which attempt it is."""
        operation = event.asks or self._definition.operation(event.step, event.direction)
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
        source = call.draft.source
        call.draft = self._add(position, event, "arrival", text)
        call.draft.target, call.draft.source = event.process, source

    def apply(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        if call is None:
            self._carried_out(position, event)
            return
        which = (event.saga, event.step, event.direction)
        times = self._applied.get(which, 0)
        if event.get("effective"):
            self._applied[which] = times + 1
            fate = f"applied again{self._delta(event)}" if times else f"applied{self._delta(event)}"
        elif not event.step:
            fate = _HANDLED
        elif times:
            fate = "seen before, no effect"
        else:
            undoable = self._applied.get((event.saga, event.step, FORWARD), 0)
            fate = "no effect" if event.direction != COMPENSATION or undoable else "nothing to undo, no effect"
        self._fate(position, event, call, fate)

    def _carried_out(self, position: int, event: Event) -> None:
        """What a participant does beside what it was asked for, or later."""
        verb = self._definition.operation(event.step, event.direction).rpartition(".")[2]
        of = f" for {clean(event.saga, SAGA_COLUMNS)}" if self._several else ""
        service = clean(event.process, LABEL_COLUMNS)
        self._befell(position, event, f"{service} carries out {clean(verb, LABEL_COLUMNS)}{of}")

    def entry(self, position: int, event: Event) -> None:
        """What an account holds is told where it matters."""
        if position in self._forced:
            text = f"{event.process} holds {event.get('holds')} on {event.get('account')!r} for {event.saga}"
            self._befell(position, event, f"{clean(text, 80)} ({event.get('amount'):+})")

    def reject(self, position: int, event: Event) -> None:
        if call := self._calls.get(event.msg):
            reason = str(event.get("reason"))
            self._fate(position, event, call, reason if reason.startswith("refused") else f"refused: {reason}")

    def error(self, position: int, event: Event) -> None:
        if call := self._calls.get(event.msg):
            down = call.draft.fates[-1:] == [_GOES_DOWN]
            self._fate(position, event, call, "not applied" if down else f"not applied: {event.get('reason')}")

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
        return f" {amount:+,}" if amount else ""

    def ack(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        if call is None:
            return
        call.draft.rows.append(position)
        if event.get("answer") == "error" and any(fate.startswith(("applied", _HANDLED)) for fate in call.draft.fates):
            call.draft.fates.append("answers an error")

    def lost(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        if call is None:
            self._message_lost(position, event)
            return
        call.draft.rows.append(position)
        call.draft.fates.append("request lost, not applied" if event.get("what") == "request" else "answer lost")

    def touch(self, position: int, event: Event) -> None:
        """What a participant reads, writes or locks is part of its call, and told where it matters."""
        call, version = self._calls.get(event.msg), event.get("version")
        of = f" v{version}" if version is not None else ""
        text = f"{_TOUCHES[event.kind]} {clean(event.get('entity'), 20)}{of}"
        if call is not None:
            call.draft.rows.append(position)
            call.draft.fates += [text] if position in self._forced else []
        elif position in self._forced:  # as its own work
            self._befell(position, event, f"{clean(event.process, LABEL_COLUMNS)} {text} for {event.saga}")

    def down(self, position: int, event: Event) -> None:
        fate = "restarts" if event.get("reason") == "restart" else _GOES_DOWN
        if call := self._calls.get(event.msg):
            call.draft.fates.append(fate)
            call.draft.rows.append(position)
        else:
            self._befell(position, event, f"{clean(event.process, LABEL_COLUMNS)} {fate}")

    def timeout(self, position: int, event: Event) -> None:
        call = self._calls.get(event.msg)
        label = call.label if call is not None else self._label(event)
        waited = event.get("after_ms")
        how = f"TIMEOUT {label} after {waited:g} ms" if waited else f"gives {label} up at once"
        self._add(position, event, "timeout", f"{how}, outcome unknown")
        self._barrier = position

    # -- processes, writes, the client, people -----------------------------------------------

    def boot(self, position: int, event: Event) -> None:
        others = [_number(label) for label in self._living if label != event.process]
        self._living[event.process] = None
        struck = [fault for fault in self._struck.get(position, ()) if fault.site.phase == AT_BOOT]
        if event.get("incarnation") == 1 and not struck:
            if position in self._forced:
                self._add(position, event, "restart", "start")
            return
        last = self.drafts[-1] if self.drafts else None
        at_once = last is not None and last.kind == "crash" and (last.t_us, last.rows[-1]) == (event.t_us, position - 1)
        if last is not None and at_once and not (struck or others or last.rows[-1] in self._struck):
            last.text += ", restart"
            last.rows.append(position)
            self._barrier = position
            return
        if others:
            number, who = _number(event.process), clean(event.process, LABEL_COLUMNS)
            text = f"{number} starts{f' as {who}' if number != who else ''}, beside {' and '.join(others)}"
        else:
            healed = event.get("reason") == "heal" and self._last_fault < position
            text = f"restart{f' as {_number(event.process)}' if self._beside else ''}"
            text += ", no more faults" if healed else ""
        text += "".join(f": {FAULT_KINDS[fault.kind].meaning}" for fault in struck if fault.kind in FAULT_KINDS)
        self._add(position, event, "restart", text)
        self._barrier = position

    def crash(self, position: int, event: Event) -> None:
        self._living.pop(event.process, None)
        fault = next((fault for fault in self._struck.get(position, ()) if fault.kind == event.get("reason")), None)
        who = f"{_number(event.process)} " if self._beside else ""
        if event.get("reason") == h.FINAL_RESTART:
            self._befell(position, event, f"the harness stops {who.rstrip() or 'it'}, for a last start")
        else:
            text = self._moment(fault) if fault is not None else f"({event.get('reason')})"
            draft = self._add(position, event, "crash", f"CRASH {who}{text}")
            draft.rows, self._dying = [*self._dying, position], []
        self._barrier = position

    def _moment(self, fault: Fault) -> str:
        kind, place = FAULT_KINDS.get(fault.kind), self._place(fault.site)
        return kind.moment.format(call=place, write=place) if kind and kind.moment else f"({fault.kind}) at {place}"

    def _place(self, site: Site) -> str:
        """``charge`` or ``the write "outcome payment"``, with the saga where there is more than one."""
        saga = clean(site.saga, SAGA_COLUMNS) if self._several else ""
        if not site.direction:
            return f'the write "{clean(site.subject, 32)}"' + (f" of {saga}" if saga else "")
        if site.direction == MESSAGE:
            return f"{saga} {clean(site.subject, TOPIC_COLUMNS)}".lstrip()
        verb = (self._definition.operation(site.subject, site.direction) or site.subject).rpartition(".")[2]
        return f"{saga} {clean(verb, LABEL_COLUMNS)}".lstrip()

    def pause(self, position: int, event: Event) -> None:
        seconds = f"{event.get('for_ms') / 1000:g} s"
        self._befell(position, event, f"{self._who(event)}stands still for {seconds}{self._before(position)}")

    def wake(self, position: int, event: Event) -> None:
        self._befell(position, event, f"{self._who(event)}wakes")

    def clock(self, position: int, event: Event) -> None:
        self._befell(position, event, f"the wall clock jumps by {event.get('by_s'):+} s{self._before(position)}")

    def cancel(self, position: int, event: Event) -> None:
        self._befell(position, event, f"the client cancels {clean(event.saga, SAGA_COLUMNS)}{self._before(position)}")

    def _before(self, position: int) -> str:
        """``, before charge is sent``: what the process was about to do, where a fault struck just then."""
        return "".join(f", before {self._place(fault.site)} is sent" for fault in self._struck.get(position, ()))

    def expire(self, position: int, event: Event) -> None:
        verb = self._definition.operation(event.step, FORWARD).rpartition(".")[2]
        saga = f" for {clean(event.saga, SAGA_COLUMNS)}" if self._several else ""
        service = clean(event.process, LABEL_COLUMNS)
        self._befell(
            position, event, f"{service} withdraws what {clean(verb, LABEL_COLUMNS)} took{saga}: its time is over"
        )

    def _befell(self, position: int, event: Event, text: str) -> None:
        self._add(position, event, "event", text)
        self._barrier = position

    def log(self, position: int, event: Event) -> None:
        if position in self._durable:
            self._asked.setdefault(_write(event), []).append(position)
        else:
            self._unwritten.append((position, event))

    def _never_durable(self, position: int, event: Event | None) -> None:
        """Tell of writes that were asked for and never came to be durable, before the next event: a crash at one of
        them tells of it itself."""
        asked, self._unwritten = self._unwritten, []
        at_a_write = any(fault.site.phase == AT_LOG for fault in self._struck.get(position, ()))
        dying = event.process if event is not None and event.kind == h.CRASH and at_a_write else ""
        for at, write in asked:
            if write.process == dying:
                self._dying.append(at)
            else:
                text = f'asks for "{_about(write)}": never durable'
                self._add(at, write, "write", self._of(write, text))

    def logack(self, position: int, event: Event) -> None:
        rows = [*self._asked.pop(_write(event), ()), position]
        last = self.drafts[-1] if self.drafts else None
        if last is not None and self._declared == (len(self.drafts), event.saga, event.process):
            last.rows += rows  # the saga's end, told as it was made durable
            return
        struck = any(row in self._struck for row in rows)
        unnamed = event.get("record") in _UNNAMED and not self._taken_up
        if unnamed and not struck and self._forced.isdisjoint(rows):
            return
        about, epoch = f'"{_about(event)}"', event.get("epoch")
        follows = not struck and self._writing == (len(self.drafts), event.saga, event.process, epoch)
        if last is not None and follows and width(f"{last.text}, {about}") <= WRITE_COLUMNS:
            last.text += f", {about}"
            last.rows += rows
            return
        under = f" under epoch {epoch}" if epoch and self._beside else ""
        draft = self._add(position, event, "write", self._of(event, f"durable{under}: {about}"))
        draft.rows = rows
        if not struck:
            self._writing = (len(self.drafts), event.saga, event.process, epoch)

    def loglost(self, position: int, event: Event) -> None:
        self._befell(position, event, self._of(event, f'LOST: the write "{_about(event)}", which was durable'))

    def adopt(self, position: int, event: Event) -> None:
        first = event.saga not in self._adopted
        self._adopted.add(event.saga)
        if first and position not in self._forced:
            return
        epoch, definition = event.get("epoch"), event.get("definition")
        text = f"takes {'it' if self._several else clean(event.saga, SAGA_COLUMNS)} on"
        text += f", epoch {epoch}" if epoch else ""
        text += f', definition "{clean(definition, 20)}"' if definition else ""
        self._add(position, event, "write", self._of(event, text))

    # -- messages ------------------------------------------------------------------------------

    def publish(self, position: int, event: Event) -> None:
        topic, delay_ms = clean(event.get("topic"), TOPIC_COLUMNS), event.get("delay_ms")
        due = f", due in {delay_ms / 1000:g} s" if delay_ms else ""
        self._topics[event.msg] = topic
        call = self._calls.get(event.get("cause"))
        if call is not None and position not in self._struck:
            call.draft.fates.append(f"publishes {topic}{due}")
            call.draft.rows.append(position)
            return
        by = "" if event.process.startswith(ORCHESTRATOR) else f"{clean(event.process, LABEL_COLUMNS)} "
        self._add(position, event, "event", self._of(event, f"{by}publishes {topic}{due}"))

    def receive(self, position: int, event: Event) -> None:
        nth = event.get("nth")
        again = f", delivery {nth}" if nth > 1 else ""
        copies = self._received[event.msg] = self._received.get(event.msg, 0) + 1
        again = again or (f", copy {copies}" if copies > nth else "")
        text = self._of(event, f"receives {clean(event.get('topic'), TOPIC_COLUMNS)}{again}")
        self._messages[event.msg] = self._add(position, event, "again" if nth > 2 else "event", text)
        self._barrier = position

    def handled(self, position: int, event: Event) -> None:
        draft = self._messages.get(event.msg)
        if draft is not None and draft is self.drafts[-1]:
            draft.text += ", acknowledges it"
            draft.rows.append(position)
        elif position in self._forced or position in self._struck or len(self._messages) > 1:
            text = self._of(event, f"acknowledges {clean(event.get('topic'), TOPIC_COLUMNS)}")
            self._add(position, event, "event", text)

    def nack(self, position: int, event: Event) -> None:
        topic, reason = clean(event.get("topic"), TOPIC_COLUMNS), clean(event.get("reason"), 48)
        where = clean(event.get("where"), 32).removeprefix("receive: ")
        received = self._messages.get(event.msg)
        kind: LineKind = "again" if received is not None and received.kind == "again" else "odd"
        self._add(position, event, kind, self._of(event, f"cannot handle {topic}, in {where}: {reason}"))

    def parked(self, position: int, event: Event) -> None:
        topic = clean(event.get("topic"), TOPIC_COLUMNS)
        times = event.get("deliveries")
        text = f"{topic} goes to the dead-letter queue, after {times} deliver{'y' if times == 1 else 'ies'}"
        self._befell(position, event, text)

    def redrive(self, position: int, event: Event) -> None:
        topic = clean(event.get("topic"), TOPIC_COLUMNS)
        self._befell(position, event, f"an operator replays {topic} from the dead-letter queue")

    def _message_lost(self, position: int, event: Event) -> None:
        if (topic := self._topics.get(event.msg)) is not None:
            whole = event.get("what") == "message"
            self._befell(position, event, f"{topic} is lost" if whole else f"the acknowledgement of {topic} is lost")

    def submit(self, position: int, event: Event) -> None:
        again = " again" if event.saga in self._submitted else ""
        self._submitted.add(event.saga)
        who = again + (f" for {clean(event.saga, SAGA_COLUMNS)}" if self._several else "")
        item = clean(event.get("item"), 20)
        asked = f"the client asks{who}: {event.get('quantity')} × {item}, amount {event.get('amount')}"
        self._add(position, event, "submit", asked)

    def terminal(self, position: int, event: Event) -> None:
        self._add(position, event, "client", self._of(event, f"declares {event.get('outcome')}"))
        self._declared = (len(self.drafts), event.saga, event.process)

    def client_ack(self, position: int, event: Event) -> None:
        outcome = event.get("outcome")
        last = self.drafts[-1] if self.drafts else None
        if last is not None and last.saga == event.saga and last.text.endswith(f"declares {clean(outcome, 40)}"):
            last.text = clean(f"{last.text}, tells the client", TEXT_COLUMNS)
            last.rows.append(position)
            return
        self._add(position, event, "client", self._of(event, f"tells the client: {outcome}"))

    def raised(self, position: int, event: Event) -> None:
        name, message, place = (clean(event.get(part), 60) for part in ("type", "message", "where"))
        where = place.removesuffix(": ?")  # no frame of the user's own
        self._add(position, event, "odd", self._of(event, f"RAISES {name} in {where}{f': {message}' * bool(message)}"))

    def nonsense(self, position: int, event: Event) -> None:
        self._add(position, event, "odd", self._of(event, f"ANSWERS NONSENSE: {event.get('answer')}"))

    def running(self, position: int, event: Event) -> None:
        self._add(position, event, "odd", self._of(event, "STILL RUNNING, and nothing happens any more"))

    def dead_letter(self, position: int, event: Event) -> None:
        what = f"DEAD LETTER {clean(event.step, LABEL_COLUMNS)}".rstrip()
        self._add(position, event, "person", self._of(event, f"{what}: {event.get('reason')}"))

    def alert(self, position: int, event: Event) -> None:
        what = f"ALERT {clean(event.step, LABEL_COLUMNS)}".rstrip()
        self._add(position, event, "person", self._of(event, f"{what}: {event.get('reason')}"))

    def heal(self, position: int, event: Event) -> None:
        why = event.get("why")
        text = "an operator repairs what fails" + (f", although {clean(why, 40)}" if why else "")
        self._befell(position, event, text)

    def state(self, position: int, event: Event) -> None:
        """Nothing: what a participant holds is for rules to read, and the transaction before it is shown."""

    def end(self, position: int, event: Event) -> None:
        reason = event.get("reason")
        self._add(position, event, "end", "end, all at rest" if reason == "quiescent" else f"end: {reason}")


def _number(label: str) -> str:
    """``[2]`` for orchestrator#2; a server is called by its name."""
    name, _, number = label.partition("#")
    return f"[{number or 1}]" if name == ORCHESTRATOR else clean(label, LABEL_COLUMNS)


def _side_by_side(history: History) -> bool:
    """True if a process starts while another one lives."""
    living: set[str] = set()
    for event in history.events:
        if event.kind == h.BOOT:
            if living - {event.process}:
                return True
            living.add(event.process)
        elif event.kind == h.CRASH:
            living.discard(event.process)
    return False


def _write(event: Event) -> tuple[object, ...]:
    """What the LOG and the LOGACK of one write have in common."""
    return event.process, event.saga, event.step, event.get("record"), event.get("occurrence")


def _durable(history: History) -> frozenset[int]:
    """The positions of the LOGs that a LOGACK follows."""
    asked: dict[tuple[object, ...], list[int]] = {}
    found: set[int] = set()
    for position, event in enumerate(history.events):
        if event.kind == h.LOG:
            asked.setdefault(_write(event), []).append(position)
        elif event.kind == h.LOGACK:
            found.update(asked.pop(_write(event), ()))
    return frozenset(found)


def _about(event: Event) -> str:
    return clean(written(event), 32)


_UNNAMED: Final = ("write", "delete")
"""Kinds of records that say nothing; a write of such a one matters where another process goes on from it."""

_HANDLED: Final = "handled"  # a call of no step, which asks and changes nothing
_GOES_DOWN: Final = "goes down"
_OF_WRITES: Final = frozenset({h.LOG, h.LOGACK})
_TOUCHES: Final = {h.READ: "reads", h.WRITE: "writes", h.HOLD: "locks", h.RELEASE: "unlocks"}

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
    h.RUNNING: _Narrator.running,
    h.DEAD_LETTER: _Narrator.dead_letter,
    h.ALERT: _Narrator.alert,
    h.HEAL: _Narrator.heal,
    h.READ: _Narrator.touch,
    h.WRITE: _Narrator.touch,
    h.HOLD: _Narrator.touch,
    h.RELEASE: _Narrator.touch,
    h.DOWN: _Narrator.down,
    h.PAUSE: _Narrator.pause,
    h.WAKE: _Narrator.wake,
    h.CLOCK: _Narrator.clock,
    h.CANCEL: _Narrator.cancel,
    h.EXPIRE: _Narrator.expire,
    h.STATE: _Narrator.state,
    h.ENTRY: _Narrator.entry,
    h.LOGLOST: _Narrator.loglost,
    h.ADOPT: _Narrator.adopt,
    h.PUBLISH: _Narrator.publish,
    h.RECEIVE: _Narrator.receive,
    h.HANDLED: _Narrator.handled,
    h.NACK: _Narrator.nack,
    h.PARKED: _Narrator.parked,
    h.REDRIVE: _Narrator.redrive,
    h.END: _Narrator.end,
}
