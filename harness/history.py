"""What happened: the events of one run, as the participants and the world saw them.

A history is the only thing that is judged. It is written as NDJSON: a header line,
then one line an event.
"""

from __future__ import annotations

import hashlib
import json
import marshal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from .definitions import definition_of, root_of, united
from .errors import UsageError
from .faults import Fault
from .plain import from_plain, to_brief, to_plain
from .saga import Saga, instance, split
from .scenario import Scenario

VERSION: Final = 1

# Kinds of events. The comment says what ``data`` holds; DATA_FIELDS below names it.
SUBMIT: Final = "SUBMIT"  # the client asks for a saga
BOOT: Final = "BOOT"  # a process starts (again)
LOG: Final = "LOG"  # a durable write is asked
LOGACK: Final = "LOGACK"  # it is durable
LOGLOST: Final = "LOGLOST"  # it was acknowledged, and is lost all the same
SEND: Final = "SEND"  # a request leaves the orchestrator
DELIVER: Final = "DELIVER"  # it reaches the participant
APPLY: Final = "APPLY"  # the participant committed its local transaction
REJECT: Final = "REJECT"  # the participant refused, definitely
ERROR: Final = "ERROR"  # the participant failed
ACK: Final = "ACK"  # the answer reaches the orchestrator
LOST: Final = "LOST"  # the network dropped a message
TIMEOUT: Final = "TIMEOUT"  # the caller gave up
CRASH: Final = "CRASH"  # an orchestrator dies
DOWN: Final = "DOWN"  # a participant is down, or restarts
PAUSE: Final = "PAUSE"  # an orchestrator stands still for a while
WAKE: Final = "WAKE"  # it goes on, as a real process is let
CLOCK: Final = "CLOCK"  # the wall clock jumps
TERMINAL: Final = "TERMINAL"  # the orchestrator declares the saga's end
CLIENT_ACK: Final = "CLIENT_ACK"  # the client is told an outcome
RAISED: Final = "RAISED"  # an exception left the code under test
NONSENSE: Final = "NONSENSE"  # the code under test answered what no client understands
DEAD_LETTER: Final = "DEAD_LETTER"  # a saga or step is put aside for a person
ALERT: Final = "ALERT"  # a person is called
READ: Final = "READ"  # a participant's transaction read an entity
WRITE: Final = "WRITE"  # a participant's transaction wrote one
HOLD: Final = "HOLD"  # a participant locked an entity beyond one transaction
RELEASE: Final = "RELEASE"  # it gave the lock back
EXPIRE: Final = "EXPIRE"  # a participant withdrew a reservation whose time was over
ENTRY: Final = "ENTRY"  # a participant's transaction changed what an account holds for a saga
STATE: Final = "STATE"  # what a participant holds, where a rule of the adapter's own asks for it
CANCEL: Final = "CANCEL"  # the client asks to cancel the saga
ADOPT: Final = "ADOPT"  # a process takes a saga over, or starts it
HEAL: Final = "HEAL"  # the harness ends lasting faults
PUBLISH: Final = "PUBLISH"  # a message is published: by a process, a participant, or somebody outside
RECEIVE: Final = "RECEIVE"  # it is handed to a process
HANDLED: Final = "HANDLED"  # the process has acknowledged it
NACK: Final = "NACK"  # its handling failed: it comes again
PARKED: Final = "PARKED"  # it is in the dead-letter queue
REDRIVE: Final = "REDRIVE"  # an operator takes it out of there, to be delivered again
RUNNING: Final = "RUNNING"  # all is at rest, and a saga is called running, or was never taken
END: Final = "END"  # the run is over

INJECTED: Final = frozenset({"internal error", "connection refused", "cannot undo"})
"""The reasons of an ERROR that a fault did to a participant; any other is the participant's own."""

GARBLED: Final = "<html><body>502 Bad Gateway</body></html>"
"""What stands in the place of an answer that is malformed."""

DATA_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    SUBMIT: ("item", "quantity", "amount"),
    BOOT: ("incarnation", "reason"),
    LOG: ("record", "occurrence", "epoch"),
    LOGACK: ("record", "occurrence", "epoch"),
    LOGLOST: ("record", "occurrence"),
    SEND: ("operation", "payload", "epoch"),
    DELIVER: ("nth",),
    APPLY: ("effective", "owner", "balance", "receipt"),
    REJECT: ("reason",),
    ERROR: ("reason",),
    ACK: ("answer",),
    LOST: ("what",),
    TIMEOUT: ("after_ms",),
    CRASH: ("reason",),
    DOWN: ("reason",),
    PAUSE: ("for_ms",),
    WAKE: (),
    CLOCK: ("by_s",),
    TERMINAL: ("outcome",),
    CLIENT_ACK: ("outcome",),
    RAISED: ("type", "message", "where", "port"),
    NONSENSE: ("answer",),
    DEAD_LETTER: ("reason",),
    ALERT: ("reason",),
    READ: ("entity", "version", "pending"),
    WRITE: ("entity", "version", "mode"),
    HOLD: ("entity",),
    RELEASE: ("entity",),
    EXPIRE: ("subject", "amount"),
    ENTRY: ("account", "amount", "holds"),
    STATE: ("state",),
    CANCEL: (),
    ADOPT: ("epoch", "definition"),
    HEAL: ("why",),
    PUBLISH: ("topic", "payload", "delay_ms", "cause"),
    RECEIVE: ("topic", "nth"),
    HANDLED: ("topic",),
    NACK: ("topic", "reason", "where"),
    PARKED: ("topic", "deliveries"),
    REDRIVE: ("topic",),
    RUNNING: (),
    END: ("reason",),
}


FINAL_RESTART: Final = "final restart"
"""The reason of a CRASH with which the harness itself ends a process, when all is at rest and a saga is still open."""

FAILED_BOOT: Final = "it could not boot"
"""The reason of a CRASH of a process whose boot raised what a fault had made of it."""

WAITING: Final = "waiting"
"""Why a run was ended that was not at rest: somebody still polled, and the harness could not wait for what comes."""

STILL_BUSY: Final = "still busy"
"""Why a case of real processes was ended that was not at rest, although it had twice the time that it says it needs."""

UNCALLED: Final = "nobody was called"
"""Why a compensation that had failed for as long as anybody waits works again although nobody was called to it."""

# Notes on the data of some kinds.
#   epoch       the fencing token under which a process acts, where the adapter shows one (0: it shows none)
#   owner       whose row an effective compensation touched: a saga, "" for nobody's, None where the participant
#               does not show it
#   receipt     what an effective forward request was answered with, as sorted (name, value) pairs
#   version     counts the committed writes of an entity; a READ gives the version that it saw, a WRITE the one it made
#   pending     whether the value was marked as not final (a semantic lock) when it was read
#   mode        "set" replaces the value, "add" changes it by an amount and so commutes with other adds
#   cause       the request that made a participant publish the message (0: none)
#   nth         which delivery of the request, or of the message, it is
#   definition  the version of the saga's definition that the process will follow
#   state       as JSON text


# Where the fields of a `Row` stand.
T_US: Final = 0
KIND: Final = 1
PROCESS: Final = 2
SAGA: Final = 3
STEP: Final = 4
DIRECTION: Final = 5
ATTEMPT: Final = 6
KEY: Final = 7
MSG: Final = 8
DATA: Final = 9

# And where, in its data, those that are asked for one by one: as DATA_FIELDS has them for the kinds that are named.
OUTCOME: Final = 0  # TERMINAL, CLIENT_ACK
ANSWER: Final = 0  # ACK, NONSENSE
REASON: Final = 0  # REJECT, ERROR, CRASH, DOWN, DEAD_LETTER, ALERT, END
BOOT_REASON: Final = 1  # BOOT
OPERATION: Final = 0  # SEND
PAYLOAD: Final = 1  # SEND
EFFECTIVE: Final = 0  # APPLY
OWNER: Final = 1  # APPLY
BALANCE: Final = 2  # APPLY
RECEIPT: Final = 3  # APPLY
RECORD: Final = 0  # LOG, LOGACK, LOGLOST
OCCURRENCE: Final = 1  # LOG, LOGACK, LOGLOST
EPOCH: Final = 2  # LOG, LOGACK, SEND
ENTITY: Final = 0  # READ, WRITE, HOLD, RELEASE
BY_S: Final = 0  # CLOCK
FOR_MS: Final = 0  # PAUSE
HELD: Final = 0  # STATE
ACCOUNT: Final = 0  # ENTRY
HOLDS: Final = 2  # ENTRY
DEFINITION: Final = 1  # ADOPT
WHERE: Final = 2  # RAISED
PORT: Final = 3  # RAISED
TOPIC: Final = 0  # PUBLISH, RECEIVE, HANDLED, NACK, PARKED, REDRIVE
NTH: Final = 1  # RECEIVE
WHY: Final = 1  # NACK
CAUSE: Final = 3  # PUBLISH

OFTEN: Final = 30
"""A message that nobody could handle so many times, the later of them a day apart, comes again for ever."""


class Event(NamedTuple):
    """One thing that happened. ``t_us`` is virtual time in microseconds.

    ``msg`` links a request's SEND, DELIVER, APPLY, ACK (0: no message). ``data`` is ordered as
    DATA_FIELDS says for the kind. A tuple, because a search makes millions of them.
    """

    t_us: int
    kind: str
    process: str
    saga: str = ""
    step: str = ""
    direction: str = ""
    attempt: int = 0
    key: str | None = None
    msg: int = 0
    data: tuple[Any, ...] = ()

    def get(self, name: str) -> Any:
        """The data field of that name; None where this kind has no such field."""
        fields = DATA_FIELDS[self.kind]
        return self.data[fields.index(name)] if name in fields and len(self.data) > fields.index(name) else None

    @property
    def asks(self) -> str:
        """The operation that a SEND asks for, and of which part; "" for another kind of event."""
        operation = str(self.get("operation") or "")
        part = split(self.step)[1]
        return instance(operation, part) if operation and part else operation


Row: TypeAlias = tuple[int, str, str, str, str, str, int, "str | None", int, tuple[Any, ...]]
"""An event as the simulator records it: the same fields as a plain tuple, which marshals and hashes fast."""


@dataclass(frozen=True, kw_only=True)
class Fired:
    """A planned fault that struck: ``position`` is the number of events before it."""

    position: int
    fault: Fault


@dataclass(frozen=True, kw_only=True)
class History:
    """The events of one run and what they are to be judged against.

    ``rows`` are in causal order. ``declared`` is what the adapter promises beyond its saga, by the names of
    `Adapter.declared`: an invariant that rests on a promise is not exercised where it is not given. ``given`` is the
    scenario, where the adapter has rules of its own, which may ask for it. ``others`` are further definitions, and
    ``of`` says by its id which one an order is of, where there are such.
    """

    saga: Saga
    sagas: tuple[str, ...]
    rows: tuple[Row, ...]
    fired: tuple[Fired, ...] = ()
    adapter: str = ""
    scenario: str = ""
    declared: Mapping[str, object] = field(default_factory=dict, hash=False)
    given: Scenario | None = None
    others: tuple[Saga, ...] = ()
    of: Mapping[str, str] = field(default_factory=dict, hash=False)

    def of_events(self, rows: tuple[Row, ...], fired: tuple[Fired, ...]) -> History:
        """The history of other events that are judged against the same. A search makes one for each run, so what both
        have in common is found out once, and not one field after the other is set."""
        own = {**self.__dict__, "known": self.known, "actors": self.actors, "rows": rows, "fired": fired}
        own.pop("events", None)
        own.pop("digest", None)
        other = object.__new__(History)
        object.__setattr__(other, "__dict__", own)
        return other

    @cached_property
    def known(self) -> Saga:
        """All definitions, and their children, as one, for look-ups: ``saga`` where there is no other."""
        return united((self.saga, *self.others)) if self.others or self.saga.children else self.saga

    def definition(self, saga: str) -> Saga:
        """What the saga of that id was to do."""
        if self.known is self.saga:
            return self.saga
        name = self.of.get(root_of(saga), "")
        return definition_of(next((each for each in self.others if each.name == name), self.saga), saga)

    @property
    def several(self) -> bool:
        """True if it must be said which saga is meant."""
        return len(self.sagas) > 1 or (self.known is not self.saga and any(each.children for each in self.definitions))

    @property
    def definitions(self) -> tuple[Saga, ...]:
        """What orders can be of."""
        return (self.saga, *self.others)

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """The rows as events, whose fields have names."""
        return tuple(map(Event._make, self.rows))

    @cached_property
    def actors(self) -> frozenset[str]:
        """Who acts beside the orchestrators: as PROCESS such a name is no process of the system."""
        named: Any = self.declared.get("actors", ())
        return frozenset(named)

    @cached_property
    def digest(self) -> str:
        """A hash of the events, the same in every process and on every machine."""
        return rows_digest(self.rows).hex()

    def to_ndjson(self) -> str:
        """The history as text: a header line, then one JSON object a line for each event."""
        header = {
            "sagafuzz_history": VERSION,
            "adapter": self.adapter,
            "scenario": self.scenario,
            "saga": to_plain(self.saga),
            "sagas": list(self.sagas),
            "fired": to_brief(self.fired),
            **({"declared": dict(self.declared)} if self.declared else {}),
            **({"given": to_brief(self.given)} if self.given is not None else {}),
            **({"others": to_plain(self.others), "of": dict(self.of)} if self.others else {}),
        }
        lines = [_line(header), *(_line(_event_to_json(event)) for event in self.events)]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_ndjson(cls, text: str) -> History:
        """The history that ``to_ndjson`` wrote. Raises UsageError for another version or a line that is no event,
        with the number of the line."""
        lines = text.split("\n")  # not splitlines(): a JSON string may hold the line ends that only Unicode knows
        header = _json_object(lines[0] if lines else "", "line 1 of the history")
        if header.get("sagafuzz_history") != VERSION:
            raise UsageError(
                f"history: version {header.get('sagafuzz_history')!r}, this sagafuzz reads {VERSION}; "
                f"write it again with this version"
            )
        try:
            read: _Header = from_plain(_Header, header)
        except UsageError as error:
            raise UsageError(f"history: line 1: {error}; write it with to_ndjson()") from None
        return cls(
            saga=read.saga,
            sagas=read.sagas,
            rows=tuple(row_from_line(line, n) for n, line in enumerate(lines[1:], 2) if line),
            fired=read.fired,
            adapter=read.adapter,
            scenario=read.scenario,
            declared=read.declared,
            given=read.given,
            others=read.others,
            of=read.of,
        )


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The first line of a history's file."""

    sagafuzz_history: int
    adapter: str = ""
    scenario: str = ""
    saga: Saga
    sagas: tuple[str, ...]
    fired: tuple[Fired, ...] = ()
    declared: Mapping[str, object] = field(default_factory=dict, hash=False)
    given: Scenario | None = None
    others: tuple[Saga, ...] = ()
    of: Mapping[str, str] = field(default_factory=dict, hash=False)


def rows_digest(rows: Sequence[Row], known: int = 0, head: bytes = b"") -> bytes:
    """16 bytes over the rows, of which ``head`` may give the first ``known`` as `marshalled`."""
    if not known:
        return hashlib.blake2b(marshal.dumps(tuple(rows), 2), digest_size=16).digest()
    size = len(rows).to_bytes(4, "little")
    return hashlib.blake2b(b"(" + size + head + marshalled(rows[known:]), digest_size=16).digest()


def marshalled(rows: Sequence[Row]) -> bytes:
    """The rows one after the other, as marshal's version 2 writes a tuple's items. It keeps no references, so equal
    rows give equal bytes."""
    return marshal.dumps(tuple(rows), 2)[5:]


def _event_to_json(event: Event) -> dict[str, Any]:
    defaults = Event._field_defaults
    pairs = zip(Event._fields, event, strict=True)
    fields: dict[str, Any] = {name: value for name, value in pairs if name not in defaults or value != defaults[name]}
    if event.data:
        fields["data"] = dict(zip(DATA_FIELDS[event.kind], event.data, strict=False))
    return fields


def row_from_line(line: str, number: int) -> Row:
    """The event of a line of `History.to_ndjson`. Raises UsageError, which names the line by its number."""
    data = _json_object(line, f"line {number} of the history")
    kind: Any = data.get("kind")
    if not isinstance(kind, str) or kind not in DATA_FIELDS:
        raise UsageError(f"line {number} of the history: {kind!r} is no kind of event")
    values = data.pop("data", {})
    try:
        given = [values[name] for name in DATA_FIELDS[kind] if name in values]
        event: Event = from_plain(Event, {**data, "data": given})
    except (UsageError, TypeError) as error:
        raise UsageError(f"line {number} of the history is no event: {error}") from None
    return tuple(event)  # type: ignore[return-value]


def _line(data: Mapping[str, Any]) -> str:
    """One line of JSON, readable where it can be: what does not print, or has no UTF-8 form, is escaped."""
    text = json.dumps(data, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(data)


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{where} is not JSON ({error.msg}); each line holds one object") from None
    if not isinstance(data, dict):
        raise UsageError(f"{where} is {type(data).__name__}, not an object")
    return data
