"""Where code under test meets the world: what it calls, what it may see, how it is plugged in.

An adapter is a class with ``boot`` and ``run`` (and, where it can resume, ``recover``). The
same adapter runs in the simulator and, later, in real processes: it only ever sees a World.
"""

from __future__ import annotations

import inspect
import random
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Final, Protocol, TypeVar

from .actors import Script, check_actors
from .definitions import placed, united
from .errors import UsageError, nearest
from .faults import kind_named
from .http_routes import Service
from .keys import CONFIRMS, KEY_SCOPES, OPERATION, usual_scope
from .messages import Topic
from .participant import Participant, Request
from .rules import Judge, Rule, as_rule
from .saga import Outcome, Saga, check_operations, split
from .scenario import Order, Scenario, default_scenarios

_T = TypeVar("_T")


class PortError(Exception):
    """Base of what a port raises into code under test. ``told`` is what a participant answered, if it did."""

    told: Any = None


class Rejected(PortError):
    """Definite: the participant refused for a business reason, nothing was applied."""


class Unavailable(PortError):
    """Transient: the participant answered with an error. Whether it applied is not known."""


class CallTimeout(PortError):
    """Unknown: no answer came in time. The participant may have applied, or may yet apply."""


class StoreUnavailable(Unavailable):
    """The store answered with an error. Whether it committed is not known."""


class Conflict(PortError):
    """Definite: a guarded write was refused, since the record is not what the guard names."""


class ProcessCrashed(BaseException):
    """The process is dead. A BaseException, so that only what ``kill -9`` would allow can follow:
    every later port call of the dead incarnation raises it again."""


class LocalTransaction(Protocol):
    """The durable local transaction of a built-in participant, with code under test around it."""

    memory: dict[str, Any]
    """What that code keeps, durable together with the effect; plain data."""

    def apply(self) -> Any:
        """Let the participant act, as often as it is asked: it looks at no key. Its answer, or Rejected."""

    def emit(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        """Publish a message, once this transaction is durable; see `World.publish`."""


class Surrounding(Protocol):
    """Code under test around a built-in participant: one object a process, durable only through the transaction."""

    def handle(self, request: Request, tx: LocalTransaction) -> Any:
        """Handle one delivery. Returns the answer; raises Rejected to refuse, which keeps what was written, and
        anything else to fail, which does not."""


class Store(Protocol):
    """A durable key-value store. Every write is a crash point; values are JSON data.

    A write may raise StoreUnavailable (unknown) and, with a ``guard``, Conflict (definite). ``guard`` names
    fields that the record must have when the write commits, where one that it has not counts as None; an empty guard
    says that there must be no record. In a transaction all guards are about what there was before it.
    ``epoch`` is the fencing token of the writer, where it has one.
    ``record`` names the kind of record, ``saga`` and ``step`` what it is about. The invariants on
    write-ahead logging know the kinds "create", "intent", "outcome", "compensating", "terminal".
    """

    def put(
        self,
        key: str,
        value: Any,
        *,
        record: str | None = None,
        saga: str | None = None,
        step: str = "",
        guard: Mapping[str, Any] | None = None,
        epoch: int = 0,
    ) -> None:
        """Make ``value`` durable under ``key``. Raises StoreUnavailable and, with a ``guard``, Conflict."""

    def get(self, key: str, default: Any = None) -> Any:
        """The durable value, a fresh copy at each call."""

    def delete(self, key: str, *, record: str | None = None, saga: str | None = None) -> None:
        """Remove ``key``, durably; nothing happens where it is absent. Raises StoreUnavailable."""

    def items(self, prefix: str = "") -> list[tuple[str, Any]]:
        """All durable (key, value) whose key starts with ``prefix``, sorted by key."""

    def transaction(self) -> AbstractContextManager[None]:
        """Writes inside become durable together, or not at all. What is read inside shows them already."""


class DurableFile(Protocol):
    """An append-only file. What was appended and not synced is lost with the process."""

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end; durable only after the next sync."""

    def sync(self, *, record: str | None = None, saga: str | None = None, step: str = "") -> None:
        """Make everything appended so far durable."""

    def read(self) -> bytes:
        """The whole content, as this process sees it."""


class World(Protocol):
    """All that code under test may touch."""

    store: Store

    def call(
        self,
        operation: str,
        /,
        *,
        saga: str | None = None,
        key: str | None = None,
        timeout_ms: float | None = None,
        epoch: int = 0,
        part: str | None = None,
        **payload: Any,
    ) -> Any:
        """Ask a participant, and wait for its answer, at most ``timeout_ms`` virtual milliseconds (None: what the
        adapter declares). Raises Rejected, Unavailable or CallTimeout. ``saga`` says for which saga the request is,
        where that is not the one that ``run`` works for; ``key`` is the idempotency key, ``payload`` what is said
        beside; ``epoch`` is the caller's fencing token, where it has one. ``part`` tells the requests of a step of
        several apart; an undo without one is of all that were asked for."""

    def publish(
        self, topic: str, /, *, saga: str | None = None, key: str = "", delay_ms: float = 0, **payload: Any
    ) -> None:
        """Send a message to ``receive`` of this adapter, whichever process it comes to: an event, a signal, with
        ``delay_ms`` a timer. It is delivered at least once, in no order unless its `Topic` keeps one."""

    def sqlite(self, name: str = "main") -> sqlite3.Connection:
        """A durable SQLite database; every commit is a crash point, named by what it writes, as ``insert orders``."""

    def file(self, name: str = "log") -> DurableFile:
        """A file that survives crashes as far as it was synced; each sync is a crash point."""

    def proxy(self, thing: _T, *, name: str = "") -> _T:
        """What stands for an object that stores things in memory, a repository say. What it holds survives crashes, and
        is that of the run's first process afterwards; a method that changes it is a durable write, named as in
        ``Orders.add``, and one that changes nothing is none. ``name`` tells two of one class apart."""

    def resource(self, name: str, make: Callable[[], AbstractContextManager[_T]]) -> _T:
        """Something outside of the world that all processes of a run share, a database on a real server say. It is
        made and entered when it is first asked for, and must be empty then; it is left at the run's end."""

    def outside(
        self,
        act: Callable[[], _T],
        *,
        saga: str | None = None,
        records: Sequence[tuple[str, str]] = (),
        epoch: int = 0,
        outcome: str = "",
    ) -> _T:
        """Do ``act()`` outside of the world. Where it makes something durable, ``records`` lists that as (kind of
        record, step), as `Store.put` does, and it is a crash point; ``outcome`` is the end that it declares. The
        run is given up if it raises StoreUnavailable itself: the real server is no part of what is tested."""

    def now(self) -> float:
        """The time of day by the virtual wall clock, in seconds since 1970. It may jump."""

    def sleep(self, seconds: float) -> Any:
        """Wait for so many virtual seconds. Async code awaits it."""

    def alert(self, saga: str, *, step: str = "", reason: str = "") -> None:
        """Call a person, to look at a saga or one step of it. It stands in the history as ALERT."""

    def adopt(self, saga: str, *, epoch: int = 0, definition: str = "") -> None:
        """Show that this process starts a saga or takes it over, under which fencing token, and which version
        of the definition it will follow for it. It does nothing else."""

    def dead_letter(self, saga: str, *, step: str = "", reason: str = "") -> None:
        """Put a saga, or one step of it, aside for a person. It stands in the history as DEAD_LETTER."""

    def reply(self, saga: str, outcome: Outcome | bool) -> None:
        """Tell the client of ``saga`` its outcome, outside of ``run``."""

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Run ``function`` beside the sagas, in the same process."""

    @property
    def process(self) -> str:
        """A name for this incarnation of the process, which no other has, nor had."""

    @property
    def random(self) -> random.Random:
        """A source of randomness that repeats with the plan."""


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """A system under test as the harness holds it: its class and what was declared of it.

    Without ``durable_recovery`` recovery needs more than durable state. With ``forgets_retries`` a request or write
    that failed, is made again in the same words and then answered leaves nothing in the process that an answer at
    the first time would not have left; nor does a write that is refused by its guard, since it had been done
    already, and is then found so. With ``supervised`` something outside, a liveness probe for instance, restarts a
    process in which a saga is stuck. ``invariants`` are its own: each a `Rule`, or an invariant as a plugin brings it.
    ``sagas`` are further definitions, of which a scenario may have orders.
    """

    name: str
    factory: Callable[[], Any]
    saga: Saga
    scenarios: tuple[Scenario, ...]
    participants: Mapping[str, Callable[[], Participant]] = field(default_factory=dict)
    around: Mapping[str, Callable[[], Surrounding]] = field(default_factory=dict)
    operations: tuple[str, ...] = ()
    tickets: tuple[str, ...] = ()
    call_timeout_ms: float = 1000.0
    restart_ms: float = 100.0
    durable_recovery: bool = True
    forgets_retries: bool = False
    expiring: tuple[str, ...] = ()
    refusing_repeats: tuple[str, ...] = ()
    forgetting_refusals: tuple[str, ...] = ()
    key_retention_ms: float | None = None
    key_scope: Mapping[str, str] = field(default_factory=dict)
    upgrade: Callable[[], Any] | None = None
    cannot_suffer: tuple[str, ...] = ()
    max_attempts: int | Mapping[str, int] | None = None
    min_backoff_ms: float | None = None
    deadline_ms: float | None = None
    definitions: Mapping[str, Saga] = field(default_factory=dict)
    isolation: tuple[str, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)
    emits: Mapping[str, str] = field(default_factory=dict)
    supervised: bool = False
    invariants: tuple[Any, ...] = ()
    hidden_writes: bool = False
    envelope: tuple[str, ...] = ()
    actors: Mapping[str, Script] = field(default_factory=dict)
    resubmits: bool = False
    wrong_answers: bool = False
    sagas: tuple[Saga, ...] = ()
    service: Service | None = None
    about: str = ""
    spec: str = ""

    @cached_property
    def known(self) -> Saga:
        """All its definitions, and their children, as one, for look-ups; its saga where there is no other."""
        return united((self.saga, *self.sagas))

    def put_aside(self, payload: Mapping[str, Any]) -> str:
        """Which step is put aside by a request of `tickets`, as its field ``step`` says; "" for the whole saga."""
        named = payload.get("step")
        return named if isinstance(named, str) and self.known.step(named) is not None else ""

    def is_final(self, operation: str) -> bool:
        """True if what a request of that operation takes cannot run out: it confirms, or uses up, what was reserved."""
        return operation.endswith(CONFIRMS) or operation in self.known.using_up

    def definition(self, name: str) -> Saga:
        """Its definition of that name; the first one for ""."""
        return next((saga for saga in self.sagas if saga.name == name), self.saga)

    def orders(self, scenario: Scenario) -> tuple[Order, ...]:
        """The orders of a scenario, in the order of their submission: each knows what it is of, and its children."""
        return tuple(placed(order, self.definition(order.saga)) for order in scenario.orders)

    @cached_property
    def declared(self) -> Mapping[str, object]:
        """What a history has to carry of this for the invariants that rest on a promise."""
        promises: dict[str, object] = {
            "max_attempts": self.max_attempts if isinstance(self.max_attempts, int) else dict(self.max_attempts or {}),
            "min_backoff_ms": self.min_backoff_ms,
            "deadline_ms": self.deadline_ms,
            "definitions": {name: tuple(saga.by_operation) for name, saga in self.definitions.items()},
            "isolation": self.isolation,
            "key_retention_ms": self.key_retention_ms,
            "key_scope": self._unusual_scopes,
            "supervised": self.supervised or None,
            "hidden_writes": self.hidden_writes or None,
            "envelope": self.envelope,
            "actors": tuple(sorted(self.actors)),
        }
        found = {name: value for name, value in promises.items() if value not in (None, (), {})}
        if "deadline_ms" in found:
            found["call_timeout_ms"] = self.call_timeout_ms
        return found

    def scope_of(self, participant: str) -> str:
        """How widely that participant knows a key: one of the user's own each operation's apart, unless declared."""
        own = participant in self.participants or participant in self.around
        return self.key_scope.get(participant, OPERATION if own else usual_scope(participant))

    @property
    def _unusual_scopes(self) -> dict[str, str]:
        named = sorted({*self.key_scope, *self.participants, *self.around})
        return {name: self.scope_of(name) for name in named if self.scope_of(name) != usual_scope(name)}

    def scenario(self, name: str) -> Scenario:
        """Its scenario of that name; UsageError with the nearest name where it has none."""
        for scenario in self.scenarios:
            if scenario.name == name:
                return scenario
        names = [scenario.name for scenario in self.scenarios]
        raise UsageError(
            f"adapter {self.name!r} has no scenario {name!r}{nearest(name, names)}; it has {', '.join(names)}"
        )


ADAPTER_ATTRIBUTE = "__sagafuzz_adapter__"

ISOLATION: Final = (
    "dirty-read",
    "intermediate-read",
    "fuzzy-read",
    "lost-update",
    "write-skew",
    "undo-clobber",
)
"""The anomalies between sagas that an adapter can declare itself free of."""

_C = TypeVar("_C", bound=type)


def adapter(
    *,
    saga: Saga,
    name: str | None = None,
    scenarios: Iterable[Scenario] | None = None,
    participants: Mapping[str, Callable[[], Participant]] | None = None,
    around: Mapping[str, Callable[[], Surrounding]] | None = None,
    operations: Iterable[str] = (),
    tickets: Iterable[str] = (),
    call_timeout_ms: float = 1000.0,
    restart_ms: float = 100.0,
    durable_recovery: bool = True,
    forgets_retries: bool = False,
    expiring: Iterable[str] = (),
    refusing_repeats: Iterable[str] = (),
    forgetting_refusals: Iterable[str] = (),
    key_retention_ms: float | None = None,
    key_scope: Mapping[str, str] | None = None,
    upgrade: Callable[[], Any] | None = None,
    cannot_suffer: Iterable[str] = (),
    max_attempts: int | Mapping[str, int] | None = None,
    min_backoff_ms: float | None = None,
    deadline_ms: float | None = None,
    definitions: Mapping[str, Saga] | None = None,
    isolation: Iterable[str] = (),
    topics: Mapping[str, Topic] | None = None,
    emits: Mapping[str, str] | None = None,
    supervised: bool = False,
    envelope: Iterable[str] = (),
    actors: Mapping[str, Script] | None = None,
    invariants: Iterable[Rule | Judge] = (),
    resubmits: bool = False,
    wrong_answers: bool = False,
    sagas: Iterable[Saga] = (),
) -> Callable[[_C], _C]:
    """Declare a class to be a system under test; times are virtual milliseconds. What each argument means is in the
    reference. ``participants`` plugs the user's own in, by name; ``around`` puts code of the user's around built-in
    ones, in their local transactions. ``operations`` lists calls of no step, ``tickets`` those of them that call a
    person and put a saga aside, ``envelope`` the fields of a request that are headers and may differ from attempt to
    attempt. Promises to be held to: ``max_attempts`` bounds the requests of
    one step in one direction over all incarnations, ``min_backoff_ms`` is the least time between two, ``deadline_ms``
    is when a saga is over or in a person's hands. ``actors`` are scripts of who acts beside the orchestrator,
    ``invariants`` rules of its own: see `rule`. ``sagas`` are further definitions, see `Scenario.of`.
    """
    given = dict(locals())
    _check_saga(saga)

    def declare(cls: _C) -> _C:
        called = name or cls.__name__
        check_shape(cls, called)
        values = _as_declared(given)
        own = tuple(as_rule(entry, f"adapter {called!r}") for entry in values["invariants"])
        said = {"name": called, "factory": cls, "about": _first_line(cls), "invariants": own}
        declared = Adapter(**{**values, **said})
        check_declared(declared, cls.__name__)
        setattr(cls, ADAPTER_ATTRIBUTE, declared)
        return cls

    return declare


def _as_declared(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `adapter` as the fields of an `Adapter` hold them: lists as tuples, what was left out as it is
    by default."""
    found: dict[str, Any] = {}
    for entry in fields(Adapter):
        if entry.name not in given:
            continue
        value = given[entry.name]
        if entry.default_factory is dict:
            if value is not None and not isinstance(value, Mapping):
                raise UsageError(f"adapter: {entry.name}={value!r} is no mapping; write {entry.name}={{'name': ...}}")
            value = dict(value or {})
        elif entry.default == ():
            if not isinstance(value, Iterable):
                raise UsageError(f"adapter: {entry.name}={value!r} is no list; write {entry.name}=[...]")
            if isinstance(value, str):
                raise UsageError(f"adapter: {entry.name}={value!r} is a string; write {entry.name}=({value!r},)")
            value = tuple(value)
        found[entry.name] = value
    scenarios = given["scenarios"]
    found["scenarios"] = tuple(scenarios) if scenarios is not None else default_scenarios(given["saga"])
    found["cannot_suffer"] = tuple(kind_named(kind).name for kind in found["cannot_suffer"])
    return found


def _first_line(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n")[0]


def _check_saga(saga: object) -> None:
    if not isinstance(saga, Saga):
        raise UsageError(f"adapter: saga={saga!r} is not a Saga; write saga=sagafuzz.Saga(name, [steps])")


def check_declared(declared: Adapter, where: str) -> None:
    """Raise UsageError where one thing that is declared does not fit another."""
    _check_definitions(declared)
    live = hasattr(declared.factory, "live_capabilities")
    _check_scenarios(declared.scenarios, declared.known, where, live=live)
    check_operations(declared.known, declared.operations)
    participants = {operation.partition(".")[0] for operation in (*declared.known.by_operation, *declared.operations)}
    check_actors(declared.actors, declared.scenarios, participants, where)
    _check_promises(declared)
    _check_messages(declared)


def _check_definitions(adapter: Adapter) -> None:
    """Raise UsageError where its definitions cannot stand beside one another, or a scenario names none of them."""
    where = f"adapter {adapter.name!r}"
    for saga in adapter.sagas:
        if not isinstance(saga, Saga):
            raise UsageError(f"{where}: sagas has {saga!r}; write sagas=[sagafuzz.Saga(name, [steps])]")
    names = [saga.name for saga in (adapter.saga, *adapter.sagas)]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{where}: two of its sagas are called {name!r}; give each its own name")
    try:
        assert adapter.known.steps
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    for scenario in adapter.scenarios:
        for name in scenario.of:
            if name not in names:
                raise UsageError(
                    f"scenario {scenario.name!r}: of has {name!r}{nearest(name, names)}; {where} has {', '.join(names)}"
                )


def _check_scenarios(scenarios: tuple[Scenario, ...], saga: Saga, name: str, *, live: bool) -> None:
    if not scenarios:
        raise UsageError(f"adapter {name!r}: scenarios is empty; leave it out or list one")
    for scenario in scenarios:
        if scenario.signal and not live:
            raise UsageError(
                f"scenario {scenario.name!r}: signal={scenario.signal!r}, which only a live system hears; leave it out"
            )
        if scenario.strikes and not live:
            raise UsageError(
                f"scenario {scenario.name!r}: strikes={scenario.strikes!r}, and only a live system has components; "
                f"leave it out"
            )
        for saga_id, operation in scenario.refused:
            whole, part = split(operation)
            if whole not in saga.by_operation or (part and whole not in saga.in_parts):
                raise UsageError(
                    f"scenario {scenario.name!r} refuses {operation!r} of {saga_id}, which no step of "
                    f"{saga.name!r} has{nearest(operation, saga.by_operation)}"
                )


def _check_promises(adapter: Adapter) -> None:
    where = f"adapter {adapter.name!r}"
    for name, saga in adapter.definitions.items():
        if not isinstance(saga, Saga):
            raise UsageError(f"{where}: definitions[{name!r}] is {saga!r}; write a Saga for each version")
    if isinstance(adapter.max_attempts, Mapping):
        for operation in adapter.max_attempts:
            if operation not in adapter.known.by_operation:
                raise UsageError(
                    f"{where}: max_attempts bounds {operation!r}, which no step of {adapter.saga.name!r} has"
                    f"{nearest(operation, adapter.known.by_operation)}"
                )
    _check_named(adapter)
    for name, make in adapter.participants.items():
        if not callable(make):
            raise UsageError(f"{where}: participants[{name!r}] is {make!r}; write its class, which each run makes anew")
        if inspect.isclass(make) and not callable(getattr(make, "handle", None)):
            raise UsageError(
                f"{where}: participants[{name!r}] is {make.__name__}, which has no method 'handle'; "
                f"add 'def handle(self, request, tx): ...'"
            )
    for name in adapter.around:
        if name in adapter.participants:
            raise UsageError(f"{where}: {name!r} is in participants and in around; name it in one of them")
    for name in adapter.isolation:
        if name not in ISOLATION:
            raise UsageError(
                f"{where}: isolation has {name!r}{nearest(name, ISOLATION)}; there is {', '.join(ISOLATION)}"
            )


def _check_named(adapter: Adapter) -> None:
    """Raise UsageError where something is declared of a participant that nobody asks, or that no participant can be."""
    sagas = (adapter.known, *adapter.definitions.values())
    operations = [operation for saga in sagas for operation in saga.by_operation]
    asked = {operation.partition(".")[0] for operation in (*operations, *adapter.operations)}
    for name, scope in adapter.key_scope.items():
        if scope not in KEY_SCOPES:
            raise UsageError(
                f"adapter {adapter.name!r}: key_scope[{name!r}] is {scope!r}{nearest(scope, KEY_SCOPES)}; "
                f"there is {', '.join(KEY_SCOPES)}"
            )
    for name in adapter.tickets:
        if name not in adapter.operations:
            raise UsageError(
                f"adapter {adapter.name!r}: tickets has {name!r}{nearest(name, adapter.operations)}, which is none of "
                f"operations=; write it there too"
            )
    for option in ("expiring", "refusing_repeats", "forgetting_refusals", "key_scope", "participants"):
        for name in getattr(adapter, option):
            if name not in asked:
                raise UsageError(
                    f"adapter {adapter.name!r}: {option} has {name!r}{nearest(name, asked)}; "
                    f"there is {', '.join(sorted(asked))}"
                )


def _check_messages(adapter: Adapter) -> None:
    where = f"adapter {adapter.name!r}"
    for name, topic in adapter.topics.items():
        if not isinstance(topic, Topic):
            raise UsageError(f"{where}: topics[{name!r}] is {topic!r}; write a sagafuzz.Topic(...)")
    for operation, name in adapter.emits.items():
        if operation not in adapter.known.by_operation:
            raise UsageError(
                f"{where}: emits names {operation!r}, which no step of {adapter.saga.name!r} has"
                f"{nearest(operation, adapter.known.by_operation)}"
            )
        if not isinstance(name, str) or not name:
            raise UsageError(f"{where}: emits[{operation!r}] is {name!r}; write the topic, a non-empty string")
    if (adapter.topics or adapter.emits) and not hasattr(adapter.factory, "receive"):
        raise UsageError(f"{where}: it declares messages, and nobody receives them; add 'def receive(self, message)'")


def check_shape(cls: object, name: str) -> None:
    """Raise UsageError unless ``cls`` is a class with ``boot(world)`` and ``run(order)``."""
    if not inspect.isclass(cls):
        raise UsageError(f"adapter {name!r} is no class; put @sagafuzz.adapter(saga=...) above a class")
    for method, parameter in (("boot", "world"), ("run", "order")):
        found = getattr(cls, method, None)
        if not callable(found):
            raise UsageError(
                f"adapter {name!r} has no method {method!r}; add 'def {method}(self, {parameter}): ...' to the class"
            )
        parameters = [
            p
            for p in list(inspect.signature(found).parameters.values())[1:]
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        ]
        variadic = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(found).parameters.values())
        positional = [p for p in list(inspect.signature(found).parameters.values())[1:] if p.kind is not p.KEYWORD_ONLY]
        if len(parameters) > 1 or (not variadic and not positional):
            raise UsageError(
                f"adapter {name!r}: {method} takes {inspect.signature(found)}; "
                f"write 'def {method}(self, {parameter}): ...'"
            )
