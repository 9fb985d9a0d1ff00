"""The manifest of a live system: which processes it is made of, what it promises, and its saga as data."""

from __future__ import annotations

import inspect
import os
import re
import sys
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from ..errors import UsageError, nearest
from ..faults import FAULT_KINDS, kind_named
from ..ports import Adapter
from ..saga import Saga, Step
from ..scenario import Scenario, default_scenarios

ROLES: Final = ("store", "server", "worker")
"""In the order in which components start."""

CONTROLS: Final = ("stdio", "http")
PROXIES: Final = ("postgresql", "redis")
SIGNALS: Final = ("KILL", "TERM", "INT")
LOOPBACK: Final = ("127.0.0.1", "localhost")
KINDS: Final = ("compensatable", "pivot", "retriable")


@dataclass(frozen=True, kw_only=True)
class Component:
    """A process of the system, or several alike.

    In ``argv``, ``env`` and ``build`` stand {python} for this interpreter, {here} for the manifest's folder, {dir} for
    the case's, {build} for one that all cases share, {port} for a port of its own, {NAME.port} for where the store or
    server of that name is. ``build`` is run once before the first case.
    ``prefork`` lets a Python worker start as a fork of an interpreter that has its usual modules loaded, and those of
    ``preload``.
    ``shared``: a store or server is started once for all cases. ``address`` is where a store listens that the harness
    does not start, ``proxy`` the protocol that is spoken with it where its commits are to be seen. ``signal`` is what a
    worker is killed with.
    ``ready`` is a line of its output that says that it is ready; a worker is when it has answered ``hello``.
    """

    role: Literal["store", "server", "worker"]
    argv: tuple[str, ...]
    name: str = ""
    env: Mapping[str, str] = field(default_factory=dict, hash=False)
    control: Literal["stdio", "http"] = "stdio"
    ready: str = ""
    ready_ms: int = 10_000
    stop_ms: int = 1_000
    prefork: bool = False
    preload: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    build_ms: int = 300_000
    replicas: int = 1
    max_output_kb: int = 4_096
    shared: bool = False
    address: str = ""
    proxy: Literal["", "postgresql", "redis"] = ""
    signal: Literal["KILL", "TERM", "INT"] = "KILL"

    @property
    def port(self) -> int:
        """Of ``address``; 0 without one."""
        return int(self.address.rpartition(":")[2] or 0)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """A live system. Times are real milliseconds.

    ``resume`` says what drives an unfinished saga on after a restart: the worker by itself (auto), the command
    ``recover`` (on_poke), or nothing. ``call_timeout_ms`` is how long its callers wait for an answer, ``lease_ms``
    for how long it may hold a saga without a sign of life, ``max_recovery_ms`` what it needs at most to finish.
    """

    file: Path
    name: str
    saga: Saga
    components: tuple[Component, ...]
    scenarios: tuple[Scenario, ...]
    about: str = ""
    resume: Literal["auto", "on_poke", "none"] = "auto"
    cancel: bool = False
    records: bool = False
    simulated: str = ""
    store_errors: bool = False
    require_token: bool = False
    call_timeout_ms: int = 1_000
    lease_ms: int = 0
    max_recovery_ms: int = 5_000
    partition_ms: int = 100
    pause_ms: int = 0
    restart_ms: int = 0
    slow_commit_ms: int = 100
    cannot_suffer: tuple[str, ...] = ()
    slow_share: float = 0.6

    def fill(self, text: str, places: Mapping[str, object]) -> str:
        """``text`` with what stands in braces put in."""
        for name, value in {"python": sys.executable, "here": self.folder, **places}.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    @property
    def folder(self) -> Path:
        return self.file.parent

    @property
    def proxied(self) -> tuple[Component, ...]:
        """The stores whose commits are seen."""
        return tuple(component for component in self.components if component.proxy)

    @property
    def worker(self) -> Component:
        return next(component for component in self.components if component.role == "worker")


_CAPABILITIES: Final = (
    "resume",
    "cancel",
    "records",
    "store_errors",
    "require_token",
    "call_timeout_ms",
    "lease_ms",
    "max_recovery_ms",
    "partition_ms",
    "pause_ms",
    "restart_ms",
    "slow_commit_ms",
    "cannot_suffer",
)


def read(path: str) -> Manifest:
    """The manifest in a file. Raises UsageError, with the file and the key, for anything that is none."""
    file = Path(path)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"manifest {path!r}: {error.strerror}; name a file from the current folder") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"manifest {path!r} is no TOML: {error}") from None
    try:
        return _manifest(file.resolve(), data)
    except UsageError as error:
        raise UsageError(f"manifest {path!r}: {error}") from None


def _manifest(file: Path, data: Mapping[str, Any]) -> Manifest:
    _known(data, ("name", "about", "simulated", "saga", "component", "capabilities", "scenario"), "the manifest")
    saga = _saga(_table(data, "saga"))
    components = tuple(_component(entry, number) for number, entry in enumerate(_list(data, "component"), 1))
    workers = [component for component in components if component.role == "worker"]
    if len(workers) != 1:
        raise UsageError(f"{len(workers)} components are workers; write one [[component]] with role = 'worker'")
    names = [component.name for component in components]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{names.count(name)} components are called {name!r}; give each a name = '…' of its own")
    capabilities = _table(data, "capabilities")
    _known(capabilities, _CAPABILITIES, "[capabilities]")
    _check_types(Manifest, capabilities, "[capabilities]")
    if capabilities.get("resume", "auto") not in ("auto", "on_poke", "none"):
        raise UsageError(f"resume = {capabilities['resume']!r}; write 'auto', 'on_poke' or 'none'")
    excluded = tuple(kind_named(kind).name for kind in capabilities.get("cannot_suffer", ()))
    return Manifest(
        file=file,
        name=str(data.get("name", file.stem)),
        about=str(data.get("about", "")),
        simulated=str(data.get("simulated", "")),
        saga=saga,
        components=tuple(sorted(components, key=lambda component: ROLES.index(component.role))),
        scenarios=_scenarios(data, saga),
        **{**capabilities, "cannot_suffer": excluded},
    )


def _saga(data: Mapping[str, Any]) -> Saga:
    _known(data, ("name", "step"), "[saga]")
    steps = []
    for number, entry in enumerate(_list(data, "step"), 1):
        where = f"[[saga.step]] number {number}"
        _known(entry, ("id", "do", "undo", "kind", "after"), where)
        kind = entry.get("kind", "compensatable")
        if kind not in KINDS:
            raise UsageError(f"{where}: kind = {kind!r}; write one of {', '.join(KINDS)}")
        after = entry.get("after")
        steps.append(
            Step(
                str(entry.get("id", "")),
                str(entry.get("do", "")),
                undo=entry.get("undo"),
                pivot=kind == "pivot",
                retriable=kind == "retriable",
                after=None if after is None else tuple(after),
            )
        )
    return Saga(str(data.get("name", "")), steps)


def _component(entry: Mapping[str, Any], number: int) -> Component:
    where = f"[[component]] number {number}"
    _known(entry, [f.name for f in fields(Component)], where)
    _check_types(Component, entry, where)
    if entry.get("role") not in ROLES:
        raise UsageError(f"{where}: role = {entry.get('role')!r}; write one of {', '.join(ROLES)}")
    argv, build, preload = entry.get("argv", []), entry.get("build", []), entry.get("preload", [])
    for name, words in (("argv", argv), ("build", build), ("preload", preload)):
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise UsageError(f"{where}: {name} = {words!r}; write a list of strings, the program first")
    if not argv and not entry.get("address"):
        raise UsageError(f"{where}: argv = {argv!r}; write a list of strings, the program first")
    _check_store(entry, where)
    for key, values in (("control", CONTROLS), ("proxy", ("", *PROXIES)), ("signal", SIGNALS)):
        if entry.get(key, values[0]) not in values:
            raise UsageError(f"{where}: {key} = {entry[key]!r}; write one of {', '.join(filter(None, values))}")
    if entry.get("prefork") and not (argv[0] == "{python}" and len(argv) > 1 and argv[1].endswith(".py")):
        raise UsageError(f"{where}: prefork needs argv = ['{{python}}', 'file.py', …], not {argv!r}")
    if entry.get("replicas", 1) < 1:
        raise UsageError(f"{where}: replicas = {entry['replicas']}; write 1 or more")
    name = entry.get("name", entry["role"])
    if entry.get("address"):
        entry = {**entry, "address": _from_environment(entry["address"], where)}
    return Component(**{**entry, "argv": tuple(argv), "build": tuple(build), "preload": tuple(preload), "name": name})


def _check_store(entry: Mapping[str, Any], where: str) -> None:
    """What only a store can have, or only one that is started here."""
    for key, roles in (("proxy", ("store",)), ("address", ("store",)), ("shared", ("store", "server"))):
        if entry.get(key) and entry["role"] not in roles:
            raise UsageError(f"{where}: {key} is for the role {' or '.join(roles)}, not for a {entry['role']}")
    if entry.get("address") and entry.get("argv"):
        raise UsageError(f"{where}: it has argv and address; write argv where it is to be started, else address")


def _from_environment(address: str, where: str) -> str:
    """An address on loopback, with {env.NAME} put in."""

    def value(found: re.Match[str]) -> str:
        name, _, default = found.group(1).partition("|")
        text = os.environ.get(name, default)
        if not text:
            raise UsageError(
                f"{where}: address = {address!r}, and {name} is not set; set it, or write {{env.{name}|…}}"
            )
        return text

    filled = re.sub(r"\{env\.([^}]+)\}", value, address)
    host, _, port = filled.rpartition(":")
    if host not in LOOPBACK or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{where}: address = {filled!r}; write '127.0.0.1:PORT'")
    return filled


def _scenarios(data: Mapping[str, Any], saga: Saga) -> tuple[Scenario, ...]:
    tables = _list(data, "scenario", required=False)
    if not tables:
        return default_scenarios(saga)
    known = [entry.name for entry in fields(Scenario)]
    made = []
    for number, entry in enumerate(tables, 1):
        _known(entry, known, f"[[scenario]] number {number}")
        values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in entry.items()}
        if "rejections" in values:
            values["rejections"] = tuple(map(tuple, values["rejections"]))
        made.append(Scenario(**values))
    return tuple(made)


# -- reading tables --------------------------------------------------------------------------------


def _known(data: Mapping[str, Any], known: Collection[str], where: str) -> None:
    for key in data:
        if key not in known:
            raise UsageError(f"{where}: unknown key {key!r}{nearest(key, known)}; known are {', '.join(known)}")


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = data.get(key, {})
    if not isinstance(found, dict):
        raise UsageError(f"{key} is {found!r}; write a table, [{key}]")
    return found


def _list(data: Mapping[str, Any], key: str, *, required: bool = True) -> list[Mapping[str, Any]]:
    found = data.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found) or (required and not found):
        raise UsageError(f"{key} is {found!r}; write at least one table, [[{key}]]")
    return found


_TYPES: Final[Mapping[str, type]] = {"int": int, "bool": bool, "str": str, "float": float}


def _check_types(cls: type, data: Mapping[str, Any], where: str) -> None:
    """Whole numbers, truth values and strings are what they should be."""
    declared = {entry.name: str(entry.type) for entry in fields(cls)}
    for key, value in data.items():
        wanted = _TYPES.get(declared.get(key, ""))
        if wanted is not None and type(value) is not wanted:
            raise UsageError(f"{where}: {key} = {value!r}; write a value of type {wanted.__name__}")
        if wanted is int and value < 0:
            raise UsageError(f"{where}: {key} = {value!r}; write 0 or more")


# -- as an adapter ---------------------------------------------------------------------------------


class LiveSystem:
    """What stands in an `Adapter` for a class: a system that only the live world can run."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        own = any(store.argv and not store.shared for store in manifest.proxied)
        self.live_capabilities = frozenset({*(["proxy"] if manifest.proxied else []), *(["store"] if own else [])})
        if manifest.resume != "none":
            self.recover = self._not_here
        if manifest.cancel:
            self.cancel = self._not_here

    def __call__(self) -> Any:
        return self._not_here()

    def _not_here(self) -> Any:
        raise UsageError(
            f"{self.manifest.file.name} describes real processes, which the simulator cannot run; "
            f"use: sagafuzz run {self.manifest.file.name}"
        )


def as_adapter(manifest: Manifest, spec: str) -> Adapter:
    """The system as the harness holds any other, with the kinds of faults that it can be made to suffer."""
    excluded = {kind.name for kind in FAULT_KINDS.values() if not kind.live} | set(manifest.cannot_suffer)
    if not manifest.records and not manifest.proxied:
        excluded |= {"crash-before-log", "crash-after-log"}
    if not manifest.store_errors and not manifest.proxied:
        excluded |= {"store-error-before-commit", "store-error-after-commit"}
    return Adapter(
        name=manifest.name,
        factory=LiveSystem(manifest),
        saga=manifest.saga,
        scenarios=manifest.scenarios,
        call_timeout_ms=manifest.call_timeout_ms,
        restart_ms=manifest.restart_ms,
        cannot_suffer=tuple(sorted(excluded)),
        hidden_writes=not manifest.records,
        about=manifest.about,
        spec=spec,
    )


TIME_SCALE: Final = 20
"""How many times faster the time of a hosted adapter goes than real time does."""

ASYNC_TIME_SCALE: Final = 5
"""The same for an async one, which has time limits of its own: a request takes real milliseconds."""


def hosted(adapter: Adapter, spec: str) -> Adapter:
    """Any adapter on the harness's own participants as a live system of one worker: see `sagafuzz.hosting`."""
    if adapter.around:
        raise UsageError(
            f"{spec!r}: code around participants ({', '.join(adapter.around)}) is simulated only; run {adapter.spec!r}"
        )
    is_async = inspect.iscoroutinefunction(getattr(adapter.factory, "run", None))
    scale = ASYNC_TIME_SCALE if is_async else TIME_SCALE
    words = ("{python}", str(Path(__file__).resolve().parent.parent / "hosting.py"), adapter.spec, str(scale))
    worker = Component(role="worker", name="worker", argv=words, prefork=True, preload=("sagafuzz.loading", "networkx"))
    manifest = Manifest(
        file=Path.cwd() / "hosted",
        name=f"{adapter.name}, live",
        about=adapter.about,
        simulated=adapter.spec,
        saga=adapter.saga,
        scenarios=adapter.scenarios,
        components=(worker,),
        resume="auto" if hasattr(adapter.factory, "recover") else "none",
        cancel=hasattr(adapter.factory, "cancel"),
        records=True,
        call_timeout_ms=500,
        max_recovery_ms=10_000,
        cannot_suffer=adapter.cannot_suffer,
    )
    return as_adapter(manifest, spec)


def manifest_of(adapter: Adapter) -> Manifest | None:
    """The manifest of a live system; None for an adapter that the simulator runs."""
    return adapter.factory.manifest if isinstance(adapter.factory, LiveSystem) else None
