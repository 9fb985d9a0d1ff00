"""The file of a live system's manifest, TOML: its tables, and the manifest that they make."""

from __future__ import annotations

import importlib.util
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from ..actors import Script
from ..errors import UsageError
from ..plain import Malformed, from_plain
from ..saga import ALL, Saga, Step, check_operations
from ..scenario import Scenario, default_scenarios
from .manifest import ROLES, Capabilities, Component, Manifest

LOOPBACK: Final = ("127.0.0.1", "localhost")


@dataclass(frozen=True, kw_only=True)
class StepTable:
    """``[[saga.step]]``"""

    id: str
    do: str
    undo: str | None = None
    kind: Literal["compensatable", "pivot", "retriable"] = "compensatable"
    after: tuple[str, ...] | None = None
    many: bool = False
    needs: Literal["all", "any"] = ALL
    amount: str | None = None
    consumes: str | None = None

    @property
    def step(self) -> Step:
        """The step that it describes."""
        pivot, retriable = self.kind == "pivot", self.kind == "retriable"
        return Step(
            self.id,
            self.do,
            undo=self.undo,
            pivot=pivot,
            retriable=retriable,
            after=self.after,
            many=self.many,
            needs=self.needs,
            amount=self.amount,
            consumes=self.consumes,
        )


@dataclass(frozen=True, kw_only=True)
class SagaTable:
    """``[saga]``"""

    name: str
    step: tuple[StepTable, ...]
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ManifestTable:
    """The whole file."""

    name: str = ""
    about: str = ""
    simulated: str = ""
    saga: SagaTable
    component: tuple[Component, ...]
    capabilities: Capabilities = field(default_factory=Capabilities)
    scenario: tuple[Scenario, ...] = ()
    actors: Mapping[str, str] = field(default_factory=dict)


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
        return _manifest(file.resolve(), from_plain(ManifestTable, data))
    except Malformed as error:
        raise UsageError(f"manifest {path!r}: {_place(error.path)}{error.problem}") from None
    except UsageError as error:
        raise UsageError(f"manifest {path!r}: {error}") from None


def _place(path: Sequence[str | int]) -> str:
    """``[[component]] number 1: ``, as TOML has it; "" for the whole file."""
    names = ".".join(part for part in path if isinstance(part, str))
    if path and isinstance(path[-1], int):
        return f"[[{names}]] number {path[-1] + 1}: "
    return f"[{names}]: " if names else ""


def _manifest(file: Path, table: ManifestTable) -> Manifest:
    saga = Saga(table.saga.name, [entry.step for entry in table.saga.step])
    check_operations(saga, table.saga.operations)
    components = tuple(_completed(component, number) for number, component in enumerate(table.component))
    workers = [component for component in components if component.role == "worker"]
    if len(workers) != 1:
        raise UsageError(f"{len(workers)} components are workers; write one [[component]] with role = 'worker'")
    names = [component.name for component in components]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{names.count(name)} components are called {name!r}; give each a name = '…' of its own")
    return Manifest(
        file=file,
        name=table.name or file.stem,
        about=table.about,
        simulated=table.simulated,
        saga=saga,
        components=tuple(sorted(components, key=lambda component: ROLES.index(component.role))),
        operations=table.saga.operations,
        scenarios=table.scenario or default_scenarios(saga),
        actors={name: _script(file.parent, name, where) for name, where in table.actors.items()},
        **asdict(table.capabilities),
    )


def _script(folder: Path, name: str, where: str) -> Script:
    """The function that ``file.py:function`` names, from the manifest's folder."""
    path, _, function = where.rpartition(":")
    file = folder / path
    if not path.endswith(".py") or not function or not file.is_file():
        raise UsageError(f"actors: {name} = {where!r}; write 'file.py:function', from the folder of the manifest")
    spec = importlib.util.spec_from_file_location(f"sagafuzz_actors_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if not callable(found):
        raise UsageError(f"actors: {name} = {where!r}, and {path} has no function {function!r}")
    script: Script = found
    return script


def _completed(component: Component, number: int) -> Component:
    """With its name, and its address as the environment has it."""
    address = component.address and _from_environment(component.address, ("component", number))
    return replace(component, name=component.name or component.role, address=address)


def _from_environment(address: str, path: tuple[str, int]) -> str:
    """An address on loopback, with {env.NAME} put in."""

    def value(found: re.Match[str]) -> str:
        name, _, default = found.group(1).partition("|")
        text = os.environ.get(name, default)
        if not text:
            what = f"address = {address!r}, and {name} is not set; set it, or write {{env.{name}|…}}"
            raise Malformed(path, what)
        return text

    filled = re.sub(r"\{env\.([^}]+)\}", value, address)
    host, _, port = filled.rpartition(":")
    if host not in LOOPBACK or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Malformed(path, f"address = {filled!r}; write '127.0.0.1:PORT'")
    return filled
