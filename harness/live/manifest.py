"""What a live system is made of, what it promises, and its saga: values, and the adapter that they make."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from ..actors import Script
from ..effects import AT_LOG, AT_LOGGED, NO_STORE_ERRORS
from ..errors import UsageError, nearest
from ..faults import FAULT_KINDS, kind_named
from ..messages import Topic
from ..participant import Participant
from ..plain import Malformed
from ..ports import Adapter, check_declared
from ..saga import Saga
from ..scenario import Scenario
from .presets import PROGRAMS, check_installed, found

ROLES: Final = ("store", "server", "worker")
"""In the order in which components start."""

STORES: Final = ("store",)
KNOWN_AHEAD: Final = ("python", "here", "build")
"""What may stand in braces in ``argv`` of a worker that starts before its case, beside programs."""

STARTED_ONCE: Final = ("store", "server")


@dataclass(frozen=True, kw_only=True)
class Component:
    """A process of the system, or several alike.

    In ``argv``, ``env`` and ``build`` stand {python} for this interpreter, {here} for the manifest's folder, {dir} for
    the case's, {build} for one that all cases share, {port} for a port of its own and {port.WORD} for further ones,
    {NAME.port} and {NAME.port.WORD} for those of the component of that name, {program.NAME} for where a program is.
    A port is the same for every process of a component in a case. ``build`` is run once before the first case.
    ``prefork`` lets a Python worker start as a fork of an interpreter that has its usual modules loaded, and those of
    ``preload``.
    ``ahead`` lets a worker in another language start before a case needs it: the package for that language waits.
    ``shared``: a store or server is started once for all cases. ``address`` is where a store listens that the harness
    does not start, ``proxy`` the protocol that is spoken with it where its commits are to be seen. ``signal`` is what a
    worker is killed with.
    ``ready`` is a line of its output that says that it is ready, ``ready_url`` where it then answers: http:// and more
    for an answer of 200, tcp://127.0.0.1:PORT for a port that is open. A worker is when it has answered ``hello``.
    ``preset`` names the ready-made one that it was made of.
    """

    role: Literal["store", "server", "worker"]
    preset: str = ""
    argv: tuple[str, ...] = ()
    name: str = ""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    control: Literal["stdio", "http"] = "stdio"
    ready: str = ""
    ready_url: str = ""
    ready_ms: int = 10_000
    stop_ms: int = 1_000
    prefork: bool = False
    ahead: bool = False
    preload: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    build_ms: int = 300_000
    replicas: int = 1
    max_output_kb: int = 4_096
    shared: bool = False
    address: str = ""
    proxy: Literal["", "postgresql", "redis"] = ""
    signal: Literal["KILL", "TERM", "INT"] = "KILL"

    def __post_init__(self) -> None:
        _no_negatives(self)
        if not self.argv and not self.address:
            raise Malformed((), "argv = []; write a list of strings, the program first")
        if self.argv and self.address:
            raise Malformed((), "it has argv and address; write argv where it is to be started, else address")
        for key, roles in (("proxy", STORES), ("address", STORES), ("shared", STARTED_ONCE)):
            if getattr(self, key) and self.role not in roles:
                raise Malformed((), f"{key} is for the role {' or '.join(roles)}, not for a {self.role}")
        if self.prefork and not (self.argv[0] == "{python}" and len(self.argv) > 1 and self.argv[1].endswith(".py")):
            raise Malformed((), f"prefork needs argv = ['{{python}}', 'file.py', …], not {list(self.argv)!r}")
        if self.ahead:
            self._check_ahead()
        if self.replicas < 1:
            raise Malformed((), f"replicas = {self.replicas}; write 1 or more")
        if self.ready_url and not self.ready_url.startswith(("http://127.0.0.1:", "tcp://127.0.0.1:")):
            raise Malformed(
                (), f"ready_url = {self.ready_url!r}; write 'http://127.0.0.1:PORT/…' or 'tcp://127.0.0.1:PORT'"
            )
        for program in self.programs:
            if program not in PROGRAMS:
                raise Malformed(
                    (), f"{{program.{program}}}{nearest(program, PROGRAMS)}; known are {', '.join(PROGRAMS)}"
                )

    def _check_ahead(self) -> None:
        if self.role != "worker" or self.control != "stdio" or self.prefork:
            raise Malformed((), "ahead = true is for a worker with control = 'stdio' and without prefork; leave it out")
        for place in re.findall(r"\{(?!program\.)([^}]+)\}", " ".join(self.argv)):
            if place not in KNOWN_AHEAD:
                raise Malformed((), f"argv has {{{place}}}, which is not known before the case; write it into env")

    @property
    def port(self) -> int:
        """Of ``address``; 0 without one."""
        return int(self.address.rpartition(":")[2] or 0)

    @cached_property
    def words(self) -> str:
        """All its texts in which something in braces may stand."""
        return "\n".join((*self.argv, *self.build, *self.env.values(), self.ready_url))

    @property
    def programs(self) -> tuple[str, ...]:
        """The names of the programs that it needs, as {program.NAME}."""
        return tuple(re.findall(r"\{program\.([^}]+)\}", self.words))


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What a live system can do, and how long it takes. Times are real milliseconds.

    ``resume`` says what drives an unfinished saga on after a restart: the worker by itself (auto), the command
    ``recover`` (on_poke), or nothing.
    ``resubmits``: its clients may send an order again; ``wrong_answers``: search answers that are wrong too.
    ``crash`` names components that a crash is to kill, in the place of the process that acts, ``crash_by`` what it is
    to send beside SIGKILL: processes that hear it may act until they end. EOF is the loss of the control channel.
    ``supervised``: something outside restarts it where a saga is stuck. ``tickets`` are operations that call a person.
    ``forgetting_refusals`` are the participants that do not remember what they refused, ``expiring`` those whose
    reservations may run out, ``key_scope`` says how widely a participant knows a key, where that is not the usual.
    ``envelope`` names the fields of a request that are headers: they may differ from attempt to attempt.
    ``receives``: the worker knows the command ``receive``; ``emits`` says which operation publishes which topic.
    ``max_attempts``, ``min_backoff_ms`` and ``isolation`` are promises, as those of an adapter; ``durable_execution``
    is the one that a crash changes nothing.
    ``call_timeout_ms`` is how long its callers wait for an answer, ``lease_ms``
    for how long it may hold a saga without a sign of life, ``max_recovery_ms`` what it needs at most to finish.
    ``settle_ms`` is for how long nothing may happen before all is at rest, None where it follows from these.
    """

    resume: Literal["auto", "on_poke", "none"] = "auto"
    supervised: bool = False
    resubmits: bool = False
    wrong_answers: bool = False
    envelope: tuple[str, ...] = ()
    receives: bool = False
    emits: Mapping[str, str] = field(default_factory=dict, hash=False)
    cancel: bool = False
    records: bool = False
    store_errors: bool = False
    require_token: bool = False
    call_timeout_ms: int = 1_000
    lease_ms: int = 0
    max_recovery_ms: int = 5_000
    settle_ms: int | None = None
    partition_ms: int = 100
    pause_ms: int = 0
    restart_ms: int = 0
    crash: tuple[str, ...] = ()
    crash_by: tuple[Literal["TERM", "INT", "EOF"], ...] = ()
    slow_commit_ms: int = 100
    tickets: tuple[str, ...] = ()
    forgetting_refusals: tuple[str, ...] = ()
    expiring: tuple[str, ...] = ()
    key_scope: Mapping[str, str] = field(default_factory=dict)
    max_attempts: int | Mapping[str, int] | None = None
    min_backoff_ms: float | None = None
    isolation: tuple[str, ...] = ()
    durable_execution: bool = False
    cannot_suffer: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _no_negatives(self)
        for kind in self.cannot_suffer:
            kind_named(kind)


@dataclass(frozen=True, kw_only=True)
class Manifest(Capabilities):
    """A live system. ``operations`` are calls that belong to no step. ``simulated`` names the adapter that the
    simulator runs in its place, "" where there is none.
    ``requires`` are the modules that must be installed, and by what command each is. ``waits`` says how many real
    milliseconds the saga is to wait before a step, by its name; ``awaited`` for a message of which topic; ``attempts``
    after how many a step is given up (0: never). ``lazy``: how far it has come is to lie in the engine's state.
    ``note_kb`` is how long the note is that comes with an order.
    ``actors`` are the scripts of who acts beside it; their seconds, and those of its ``participants``, are
    ``actor_scale`` times shorter than real ones. ``participants`` are its own, ``invariants`` its own rules,
    ``sagas`` further definitions of which it serves orders."""

    file: Path
    name: str
    saga: Saga
    components: tuple[Component, ...]
    scenarios: tuple[Scenario, ...]
    operations: tuple[str, ...] = ()
    about: str = ""
    simulated: str = ""
    topics: Mapping[str, Topic] = field(default_factory=dict, hash=False)
    slow_share: float = 0.6
    actors: Mapping[str, Script] = field(default_factory=dict, hash=False)
    actor_scale: float = 1.0
    participants: Mapping[str, Callable[[], Participant]] = field(default_factory=dict, hash=False)
    invariants: tuple[Any, ...] = ()
    sagas: tuple[Saga, ...] = ()
    requires: Mapping[str, str] = field(default_factory=dict, hash=False)
    waits: Mapping[str, int] = field(default_factory=dict, hash=False)
    attempts: int = 0
    awaited: Mapping[str, str] = field(default_factory=dict, hash=False)
    lazy: bool = False
    note_kb: int = 0

    def check_installed(self) -> None:
        """Raise UsageError where a program or a module that it needs is missing."""
        programs = [program for component in self.components for program in component.programs]
        check_installed(self.name, programs, self.requires)

    def fill(self, text: str, places: Mapping[str, object]) -> str:
        """``text`` with what stands in braces put in."""
        programs = {f"program.{name}": found(name) for name in PROGRAMS if f"{{program.{name}}}" in text}
        for name, value in {"python": sys.executable, "here": self.folder, **programs, **places}.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    @property
    def folder(self) -> Path:
        """Where its file is."""
        return self.file.parent

    @property
    def settling_ms(self) -> float:
        """For how long nothing may happen before all is at rest: whoever slept has noticed by then that it did."""
        if self.settle_ms is not None:
            return self.settle_ms
        return max(self.call_timeout_ms, self.pause_ms, 1.2 * self.lease_ms)

    @property
    def standing_ms(self) -> int:
        """How long a process that is paused stands still at most: until another one has taken over, where one does."""
        return self.pause_ms or max(2 * self.lease_ms, self.max_recovery_ms)

    @property
    def alone(self) -> bool:
        """True if its workers wait for nobody but the harness, and for one another."""
        return all(component.role == "worker" for component in self.components)

    @property
    def proxied(self) -> tuple[Component, ...]:
        """The stores whose commits are seen."""
        return tuple(component for component in self.components if component.proxy)

    @property
    def worker(self) -> Component:
        """Its one component that drives sagas."""
        return next(component for component in self.components if component.role == "worker")


def _no_negatives(values: Component | Capabilities) -> None:
    for entry in fields(values):
        value = getattr(values, entry.name)
        if isinstance(value, int) and value < 0:
            raise Malformed((), f"{entry.name} = {value}; write 0 or more")


class LiveSystem:
    """What stands in an `Adapter` for a class: a system that only the live world can run."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        own = any(store.argv and not store.shared for store in manifest.proxied)
        found = {"processes": True, "proxy": bool(manifest.proxied), "store": own}
        self.live_capabilities = frozenset(name for name, present in found.items() if present)
        if manifest.resume != "none":
            self.recover = self._not_here
        if manifest.cancel:
            self.cancel = self._not_here
        if manifest.receives:
            self.receive = self._not_here

    def __call__(self) -> Any:
        return self._not_here()

    def _not_here(self) -> Any:
        raise UsageError(
            f"{self.manifest.file.name} describes real processes, which the simulator cannot run; "
            f"use: sagafuzz run {shlex.quote(os.path.relpath(self.manifest.file))}"
        )


def as_adapter(manifest: Manifest, spec: str) -> Adapter:
    """The system as the harness holds any other, with the kinds of faults that it can be made to suffer."""
    excluded = set(manifest.cannot_suffer)
    if not manifest.proxied:
        if not manifest.records:
            excluded |= {kind.name for kind in FAULT_KINDS.values() if kind.crash and kind.phase in (AT_LOG, AT_LOGGED)}
        if not manifest.store_errors:
            excluded |= {kind.name for kind in FAULT_KINDS.values() if kind.barred_by & NO_STORE_ERRORS}
    adapter = Adapter(
        name=manifest.name,
        factory=LiveSystem(manifest),
        saga=manifest.saga,
        scenarios=manifest.scenarios,
        operations=manifest.operations,
        call_timeout_ms=manifest.call_timeout_ms,
        restart_ms=manifest.restart_ms,
        tickets=manifest.tickets,
        forgetting_refusals=manifest.forgetting_refusals,
        expiring=manifest.expiring,
        key_scope=manifest.key_scope,
        cannot_suffer=tuple(sorted(excluded)),
        supervised=manifest.supervised,
        envelope=manifest.envelope,
        actors=manifest.actors,
        resubmits=manifest.resubmits,
        wrong_answers=manifest.wrong_answers,
        topics=manifest.topics,
        emits=manifest.emits,
        participants=manifest.participants,
        invariants=manifest.invariants,
        sagas=manifest.sagas,
        max_attempts=manifest.max_attempts,
        min_backoff_ms=manifest.min_backoff_ms,
        isolation=manifest.isolation,
        hidden_writes=not manifest.records,
        about=manifest.about,
        spec=spec,
    )
    check_declared(adapter, adapter.name)
    return adapter


TIME_SCALE: Final = 20
"""How many times faster the time of a hosted adapter goes than real time does."""

ASYNC_TIME_SCALE: Final = 5
"""The same for an async one, which has time limits of its own: a request takes real milliseconds."""


HOSTED: Final = ("sagafuzz.loading", "sagafuzz.simulator.patches")
"""The modules that `sagafuzz.hosting` needs to load an adapter: each of its processes finds them imported."""


def hosted(adapter: Adapter, spec: str) -> Adapter:
    """Any adapter on the harness's own participants as a live system of one worker: see `sagafuzz.hosting`."""
    if adapter.around:
        raise UsageError(
            f"{spec!r}: code around participants ({', '.join(adapter.around)}) is simulated only; run {adapter.spec!r}"
        )
    is_async = inspect.iscoroutinefunction(getattr(adapter.factory, "run", None))
    scale = ASYNC_TIME_SCALE if is_async else TIME_SCALE
    words = ("{python}", str(Path(__file__).resolve().parent.parent / "hosting.py"), adapter.spec, str(scale))
    worker = Component(role="worker", name="worker", argv=words, prefork=True, preload=HOSTED)
    manifest = Manifest(
        file=Path.cwd() / "hosted",
        name=f"{adapter.name}, live",
        about=adapter.about,
        simulated=adapter.spec,
        saga=adapter.saga,
        scenarios=adapter.scenarios,
        operations=adapter.operations,
        components=(worker,),
        resume="auto" if hasattr(adapter.factory, "recover") else "none",
        cancel=hasattr(adapter.factory, "cancel"),
        records=True,
        store_errors=True,
        call_timeout_ms=500,
        max_recovery_ms=10_000,
        tickets=adapter.tickets,
        forgetting_refusals=adapter.forgetting_refusals,
        expiring=adapter.expiring,
        key_scope=adapter.key_scope,
        cannot_suffer=adapter.cannot_suffer,
        supervised=adapter.supervised,
        envelope=adapter.envelope,
        actors=adapter.actors,
        actor_scale=scale,
        resubmits=adapter.resubmits,
        wrong_answers=adapter.wrong_answers,
        receives=hasattr(adapter.factory, "receive"),
        topics=adapter.topics,
        emits=adapter.emits,
        participants=adapter.participants,
        invariants=adapter.invariants,
        sagas=adapter.sagas,
        max_attempts=adapter.max_attempts,
        isolation=adapter.isolation,
    )
    return as_adapter(manifest, spec)


def manifest_of(adapter: Adapter) -> Manifest | None:
    """The manifest of a live system; None for an adapter that the simulator runs."""
    return adapter.factory.manifest if isinstance(adapter.factory, LiveSystem) else None
