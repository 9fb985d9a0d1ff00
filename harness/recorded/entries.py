"""One thing that a record tells, as readers give it, and the events that the entries of a saga become."""

from __future__ import annotations

import marshal
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from ..definitions import root_of
from ..history import (
    ACK,
    ALERT,
    APPLY,
    CLIENT_ACK,
    DEAD_LETTER,
    DELIVER,
    END,
    ERROR,
    LOGACK,
    REJECT,
    SEND,
    SUBMIT,
    TERMINAL,
    TIMEOUT,
    WAITING,
    Row,
)
from ..saga import Outcome, Saga

OK: Final = "ok"
REFUSED: Final = "refused"
FAILED: Final = "error"
TIMED_OUT: Final = "timeout"
RESULTS: Final = (OK, REFUSED, FAILED, TIMED_OUT)
"""How a request may have ended for who sent it, or at the participant."""

FAULT: Final = "internal error"
"""The reason of a participant's failure: a record does not tell a fault that befell it from one of its own, so it is
not laid at its door."""

ORCHESTRATOR: Final = "orchestrator"
CLIENT: Final = "client"

_RANKS: Final = {SEND: 0, DELIVER: 1, APPLY: 2, REJECT: 2, ERROR: 2, ACK: 3, TIMEOUT: 3}
"""The order of what is told of one request, where its time is one."""


EFFECT: Final = "EFFECT"
"""The kind of an entry that stands for a request, its effect and its answer; its data are those of the request."""


class Entry(NamedTuple):
    """Something that happened for ``saga`` at ``t_us``. ``ref`` names the request that it is about, the same in all
    entries of that request ("" where it is about none). ``kind`` is that of an event, or EFFECT; ``data`` are the
    fields of such an event. ``name`` is that of the definition, "" where the record does not say it."""

    saga: str
    t_us: int
    kind: str
    process: str
    step: str = ""
    direction: str = ""
    attempt: int = 0
    key: str | None = None
    ref: str = ""
    data: tuple[Any, ...] = ()
    name: str = ""


def ended(entries: Sequence[Entry]) -> bool:
    """True if somebody said how the saga ended."""
    pending = Outcome.PENDING.value
    return any(entry.kind in (TERMINAL, CLIENT_ACK) and entry.data[0] != pending for entry in entries)


def unanswered(entries: Sequence[Entry]) -> bool:
    """True if of some request nothing tells how it ended for who sent it: that one died, or its span is lost."""
    asked = {entry.ref for entry in entries if entry.ref and entry.kind != EFFECT}
    return bool(asked - {entry.ref for entry in entries if entry.kind in (ACK, TIMEOUT)})


def shape(entries: Sequence[Entry]) -> bytes | None:
    """Bytes that tell the entries of one saga, by their time, from those of another apart from names and times; None
    where more than their order matters, since clocks may differ."""
    saga, before = entries[0].saga, -1
    numbers: dict[str | None, int] = {None: 0}
    told: list[tuple[Any, ...]] = []
    for entry in entries:
        if entry.saga != saga or (entry.ref and entry.kind != EFFECT):
            return None
        key = numbers.setdefault(entry.key, len(numbers))
        told.append((*entry[2:7], key, entry.data, entry.name, entry.t_us == before))
        before = entry.t_us
    return marshal.dumps(told, 2)


def rows_of(entries: Sequence[Entry], definition: Saga, *, at_rest: bool) -> tuple[Row, ...]:
    """The events of one saga, or of one and its children, in causal order; what the record leaves out and must have
    been stands among them: a request before what came of it, an order before all else. Where the saga has not ended
    and the system was not ``at_rest``, the last event says that nobody knows what comes."""
    told = _in_order(list(_put_right(list(_in_full(entries)), definition)))
    numbers: dict[str, int] = {}
    rows: list[Row] = []
    for entry in (*_submitted(told), *told):
        number = numbers.setdefault(entry.ref, len(numbers) + 1) if entry.ref else 0
        about = (entry.saga, entry.step, entry.direction, entry.attempt, entry.key)
        rows.append((entry.t_us, entry.kind, entry.process, *about, number, entry.data))
        if entry.kind in (TERMINAL, CLIENT_ACK) and entry.data[0] == Outcome.STUCK.value:
            whose = (entry.process, entry.saga, "", "", 0, None, 0, (Outcome.STUCK.value,))
            rows.extend((entry.t_us, kind, *whose) for kind in (DEAD_LETTER, ALERT))
    last = told[-1].t_us if told else 0
    reason = "quiescent" if at_rest or ended(told) else WAITING
    rows.append((last, END, "", "", "", "", 0, None, 0, (reason,)))
    return tuple(rows)


def _submitted(told: Sequence[Entry]) -> Iterator[Entry]:
    """The order, where the record does not show it."""
    orders = {root_of(entry.saga) for entry in told} - {entry.saga for entry in told if entry.kind == SUBMIT}
    return (Entry(order, told[0].t_us, SUBMIT, CLIENT, data=("", 0, 0)) for order in sorted(orders))


def _in_order(entries: list[Entry]) -> list[Entry]:
    """By time. Of what has one time an order stands first, then what came of requests that were sent before, then
    requests one after the other, each with what came of it, then what a saga was told."""
    began: dict[str, tuple[int, int]] = {}
    for entry in entries:
        if entry.kind == SEND:
            began.setdefault(entry.ref, (entry.t_us, len(began)))

    def place(entry: Entry) -> tuple[int, int, int, int]:
        if entry.ref:
            sent, number = began[entry.ref]
            earlier = sent < entry.t_us
            return (entry.t_us, 1 if earlier else 3, 0 if earlier else number, _RANKS.get(entry.kind, 4))
        return (entry.t_us, {SUBMIT: 0, LOGACK: 2}.get(entry.kind, 4), 0, 0)

    return sorted(entries, key=place)


def _in_full(entries: Sequence[Entry]) -> Iterator[Entry]:
    """The entries, each effect as its request, what came of it there, and its answer."""
    for entry in entries:
        if entry.kind != EFFECT:
            yield entry
            continue
        yield entry._replace(kind=SEND, process=ORCHESTRATOR)
        yield entry._replace(kind=DELIVER, data=(1,))
        yield entry._replace(kind=APPLY, data=(True, None, (), ()))
        yield entry._replace(kind=ACK, process=ORCHESTRATOR, data=(OK,))


def _put_right(entries: Sequence[Entry], definition: Saga) -> Iterator[Entry]:
    """The entries; those of one request with the times that clocks which differ cannot have meant put right: nothing
    of it is before it was sent, and what it was answered with had happened by then."""
    requests: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.ref:
            requests.setdefault(entry.ref, []).append(entry)
        else:
            yield entry
    for its in requests.values():
        there = [entry for entry in its if entry.kind not in (SEND, ACK, TIMEOUT)]
        sent = next((entry for entry in its if entry.kind == SEND), None)
        if sent is None:
            first = min(its, key=lambda entry: entry.t_us)
            operation = definition.operation(first.step, first.direction)
            sent = first._replace(kind=SEND, process=ORCHESTRATOR, data=(operation, (), 0))
            its.append(sent)
        first_there = min((entry.t_us for entry in there), default=sent.t_us)
        answered = min((entry.t_us for entry in its if entry.kind == ACK), default=first_there)
        shift = sent.t_us - first_there if first_there < sent.t_us else min(answered - first_there, 0)
        for entry in its:
            at = max(entry.t_us + (shift if entry in there else 0), sent.t_us) if shift else entry.t_us
            yield entry if at == entry.t_us else entry._replace(t_us=at)
