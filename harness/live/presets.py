"""What a manifest need not spell out: sagas and components that go by a name, and the programs that these need."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError, nearest
from ..plain import Malformed

_ORDER: Final = {"id": "order", "do": "order.create", "undo": "order.cancel"}
_INVENTORY: Final = {"id": "inventory", "do": "inventory.reserve", "undo": "inventory.release"}
_PAYMENT: Final = {"id": "payment", "do": "payment.charge", "undo": "payment.refund"}
_STEPS: Final = [_ORDER, _INVENTORY, _PAYMENT]

_PARCEL: Final = {"id": "parcel", "do": "warehouse.pack", "undo": "warehouse.unpack"}
_PICKUP: Final = {"id": "pickup", "do": "carrier.order", "undo": "carrier.cancel"}

SAGAS: Final[Mapping[str, Mapping[str, Any]]] = {
    "checkout": {"name": "checkout", "step": _STEPS},
    "parallel": {"name": "checkout", "step": [_ORDER, _INVENTORY, {**_PAYMENT, "after": ["order"]}]},
    "timer": {"name": "checkout", "step": _STEPS, "waits": {"payment": 300}},
    "retries": {"name": "checkout", "step": _STEPS, "attempts": 3},
    "approval": {"name": "checkout", "step": _STEPS, "signals": {"payment": "approved"}},
    "child": {"name": "checkout", "step": [_ORDER, {"id": "shipment", "child": "shipment"}, _PAYMENT]},
    "lazy": {"name": "checkout", "step": _STEPS, "lazy": True},
    "large": {"name": "checkout", "step": _STEPS, "note_kb": 256},
}
"""By the name of the preset: what ``[saga]`` then says. These are also the workloads that an engine may be able to
run: steps at once, a timer between two steps, a step that is given up after some attempts, one that waits for a message
of a clerk, one that is a saga of its own, state of the engine that is read when it is needed, an order of many
kilobytes."""

DEFINITIONS: Final[Mapping[str, Sequence[Mapping[str, Any]]]] = {
    "child": [{"name": "shipment", "step": [_PARCEL, _PICKUP]}],
}
"""By the name of the preset: the ``[[definition]]`` tables that it needs."""

_TEMPORAL: Final[Mapping[str, Any]] = {
    "role": "server",
    "argv": [
        *("{program.temporal}", "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--log-level", "error"),
        *("--port", "{port}", "--http-port", "{port.http}", "--metrics-port", "{port.metrics}"),
    ],
    "ready_url": "tcp://127.0.0.1:{port}",
    "ready_ms": 60_000,
    "shared": True,
}

COMPONENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "postgresql": {
        "role": "store",
        "argv": ["{python}", "-m", "sagafuzz.adapters.postgres_server", "{build}/postgres", "{port}"],
        "ready": "ready to accept connections",
        "ready_ms": 60_000,
        "max_output_kb": 65_536,
        "shared": True,
        "proxy": "postgresql",
    },
    "redis": {
        "role": "store",
        "argv": [
            *("{program.redis-server}", "--bind", "127.0.0.1", "--port", "{port}", "--dir", "{dir}", "--save", ""),
            *("--appendonly", "yes", "--appendfsync", "always"),
        ],
        "ready": "Ready to accept connections",
        "proxy": "redis",
    },
    "temporal": _TEMPORAL,
    "temporal-kept": {
        **_TEMPORAL,
        "argv": [*_TEMPORAL["argv"], "--db-filename", "{dir}/temporal.sqlite"],
        "shared": False,
    },
    "restate": {
        "role": "server",
        "argv": ["{program.restate-server}", "--no-logo", "--base-dir", "{dir}/restate"],
        "env": {
            "RESTATE_INGRESS__BIND_ADDRESS": "127.0.0.1:{port}",
            "RESTATE_ADMIN__BIND_ADDRESS": "127.0.0.1:{port.admin}",
            "RESTATE_BIND_ADDRESS": "127.0.0.1:{port.node}",
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "error",
            "RESTATE_DEFAULT_NUM_PARTITIONS": "2",
            "RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE": "256MB",
            "RESTATE_DEFAULT_RETRY_POLICY__INITIAL_INTERVAL": "50ms",
            "RESTATE_DEFAULT_RETRY_POLICY__MAX_INTERVAL": "250ms",
            "RESTATE_DEFAULT_RETRY_POLICY__MAX_ATTEMPTS": "1000",  # as long as the usual 70 with usual pauses
        },
        "ready_url": "http://127.0.0.1:{port}/restate/health",
        "ready_ms": 60_000,
        "max_output_kb": 65_536,
        "shared": True,
    },
    "dtm": {
        "role": "server",
        "argv": ["sh", "-c", "cd '{dir}' && exec '{program.dtm}'"],  # it writes where it is
        "env": {
            "STORE_DRIVER": "boltdb",
            "HTTP_PORT": "{port}",
            "GRPC_PORT": "{port.grpc}",
            "TRANS_CRON_INTERVAL": "1",
            "RETRY_INTERVAL": "10",
            "REQUEST_TIMEOUT": "3",
            "LOG_LEVEL": "error",
        },
        "ready_url": "http://127.0.0.1:{port}/api/dtmsvr/newGid",
        "ready_ms": 60_000,
        "max_output_kb": 65_536,
        "shared": True,
    },
    "lra": {
        "role": "server",
        "argv": ["{program.lra-coordinator}", "{port}", "{dir}/lra"],
        "ready_url": "http://127.0.0.1:{port}/version",
        "ready_ms": 60_000,
        "max_output_kb": 65_536,
        "shared": True,
    },
}
"""By the name of the preset: what ``[[component]]`` then says, where the manifest does not say otherwise."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that is no part of sagafuzz. ``install`` is what to type where it is missing."""

    name: str
    install: str


PROGRAMS: Final = {
    program.name: program
    for program in (
        Program(name="redis-server", install="apt-get install redis-server"),
        Program(name="temporal", install="tools/engines.sh temporal"),
        Program(name="restate-server", install="tools/engines.sh restate"),
        Program(name="dtm", install="tools/engines.sh dtm"),
        Program(name="lra-coordinator", install="tools/engines.sh lra"),
        Program(name="dbos-ts", install="tools/engines.sh dbos-ts"),
    )
}


def cache() -> Path:
    """Where tools/engines.sh keeps programs, each version in a folder of its own."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sagafuzz" / "engines"


def found(program: str) -> Path | None:
    """Where a program is: on the PATH, or in the newest folder of `cache` that has it."""
    if path := shutil.which(program):
        return Path(path)
    kept = [file for file in cache().glob(f"*/{program}") if os.access(file, os.X_OK)]
    return max(kept, key=_version, default=None)


def _version(file: Path) -> tuple[int, ...]:
    """Of a file in a folder called ``NAME-1.2.3``."""
    return tuple(int(part) for part in file.parent.name.rpartition("-")[2].split(".") if part.isdecimal())


def check_installed(name: str, programs: Iterable[str], requires: Mapping[str, str]) -> None:
    """Raise UsageError where the system ``name`` needs what is not there: a program, or a module of ``requires``."""
    missing = {word: PROGRAMS[word].install for word in programs if found(word) is None}
    missing |= {module: how for module, how in requires.items() if importlib.util.find_spec(module) is None}
    for what, how in missing.items():
        raise UsageError(f"{name} needs {what}, which is not installed; run: {how}")


def filled_in(data: Mapping[str, Any], workload: str = "") -> dict[str, Any]:
    """The content of a manifest with what its presets say, under what it says itself; with another ``workload`` in the
    place of its saga, where it lists that. Raises Malformed for a preset that there is not, and for a workload that it
    does not list."""
    filled = dict(data)
    if workload:
        able = data.get("workloads", ())
        if workload not in able:
            runs = ", ".join(able) or "its saga only"
            raise Malformed((), f"it does not run the workload {workload!r}; it runs {runs}")
        filled["saga"] = {"preset": workload}
        data = filled
    if isinstance(saga := data.get("saga"), Mapping):
        filled["saga"] = _under(SAGAS, saga, ("saga",))
        if definitions := DEFINITIONS.get(str(saga.get("preset"))):
            filled["definition"] = [*data.get("definition", ()), *definitions]
    if isinstance(components := data.get("component"), list):
        filled["component"] = [
            _under(COMPONENTS, component, ("component", number)) for number, component in enumerate(components)
        ]
    return filled


def _under(presets: Mapping[str, Mapping[str, Any]], table: Any, path: tuple[str | int, ...]) -> Any:
    """A table over the preset that it names; its ``env`` is added to the preset's."""
    name = table.get("preset") if isinstance(table, Mapping) else None
    if not isinstance(name, str):
        return table
    if name not in presets:
        raise Malformed(path, f"preset = {name!r}{nearest(name, presets)}; there is {', '.join(presets)}")
    preset = dict(presets[name])
    if isinstance(table.get("env"), Mapping):
        preset["env"] = {**preset.get("env", {}), **table["env"]}
        table = {word: value for word, value in table.items() if word != "env"}
    if path[0] == "component":
        preset["name"] = name
    return {**preset, **table}
