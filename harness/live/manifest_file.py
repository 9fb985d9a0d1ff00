"""The file of a live system's manifest, TOML: its tables, and the manifest that they make."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal

from ..actors import Actor, Script
from ..errors import UsageError, nearest
from ..importing import import_place
from ..messages import Topic
from ..plain import Malformed, from_plain
from ..rules import as_rule
from ..saga import ALL, OneOf, Optional, Saga, Step
from ..scenario import LOST_CONTROL, Scenario, default_scenarios
from .manifest import ROLES, Capabilities, Component, Manifest, as_adapter
from .presets import SAGAS, filled_in

AT: Final = "@"
"""Between the name of a system and that of the workload that it is to run."""

CLERK: Final = "clerk"
"""Who sends the messages for which steps wait."""

LOOPBACK: Final = ("127.0.0.1", "localhost")


@dataclass(frozen=True, kw_only=True)
class StepTable:
    """``[[saga.step]]``: a step, with ``id`` and ``do``; or a group. An ``optional`` one, with its name, has steps of
    its own; one of which ``one_of`` is done has alternatives, each a step or several. In the place of ``do`` a step may
    have a ``child``: the name of a ``[[definition]]``."""

    id: str = ""
    do: str = ""
    undo: str | None = None
    kind: Literal["compensatable", "pivot", "retriable"] = "compensatable"
    after: tuple[str, ...] | None = None
    many: bool = False
    needs: Literal["all", "any"] = ALL
    amount: str | None = None
    consumes: str | None = None
    part_by_part: bool = False
    optional: str = ""
    one_of: str = ""
    child: str = ""
    step: tuple[StepTable, ...] = ()
    alternative: tuple[StepTable, ...] = ()

    def items(self, named: Callable[[str], Saga]) -> list[Step | Optional | OneOf]:
        """The step, the group, or the several steps of an alternative that it describes. ``named`` gives the definition
        of a name."""
        inner = [item for table in self.step for item in table.items(named)]
        if self.one_of:
            return [OneOf(self.one_of, [table.items(named) for table in self.alternative])]
        if self.optional:
            return [Optional(self.optional, inner)]
        return inner or [self._step(named(self.child) if self.child else None)]

    def check(self, path: tuple[str | int, ...], *, alternative: bool = False) -> None:
        """Raise Malformed where its words do not go together; ``path`` leads to it. An ``alternative`` may be several
        steps."""
        what, words, needed = self._form(alternative)
        written = {entry.name for entry in fields(self) if getattr(self, entry.name) != entry.default}
        for word in sorted(written - words):
            beside = "; a group has optional = 'NAME' or one_of = 'NAME' too" if word in ("step", "alternative") else ""
            raise Malformed(path, f"{word} is no word of {what}{beside}; known are {', '.join(sorted(words))}")
        for word in needed:
            if word not in written:
                inner = "a string" if word in STEP_NEEDS else f"[[{'.'.join((*_tables(path), word))}]] for each"
                raise Malformed(path, f"{word} is missing; write {inner}")
        for word, tables in (("step", self.step), ("alternative", self.alternative)):
            for number, table in enumerate(tables):
                table.check((*path, word, number), alternative=word == "alternative")

    def _form(self, alternative: bool) -> tuple[str, frozenset[str], tuple[str, ...]]:
        """Its form in a few words, the words that it may have, and those that it must have."""
        if self.one_of:
            return f"one_of = {self.one_of!r}", frozenset(("one_of", "alternative")), ("alternative",)
        if self.optional:
            return f"optional = {self.optional!r}", frozenset(("optional", "step")), ("step",)
        if alternative and self.step:
            return "an alternative of several steps", frozenset(("step",)), ("step",)
        if self.child:
            return f"a step with child = {self.child!r}", CHILD_WORDS, ("id",)
        return "a step", STEP_WORDS, STEP_NEEDS

    def _step(self, child: Saga | None) -> Step:
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
            part_by_part=self.part_by_part,
            child=child,
        )


STEP_NEEDS: Final = ("id", "do")
CHILD_WORDS: Final = frozenset(("id", "child", "kind", "after"))
_OTHER_WORDS: Final = frozenset(("optional", "one_of", "child", "step", "alternative"))
STEP_WORDS: Final = frozenset(entry.name for entry in fields(StepTable)) - _OTHER_WORDS


@dataclass(frozen=True, kw_only=True)
class SagaTable:
    """``[saga]``"""

    name: str
    step: tuple[StepTable, ...]
    preset: str = ""
    waits: Mapping[str, int] = field(default_factory=dict)
    attempts: int = 0
    signals: Mapping[str, str] = field(default_factory=dict)
    lazy: bool = False
    note_kb: int = 0
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DefinitionTable:
    """``[[definition]]``: a saga that is a step of another one, or one of which a scenario has orders."""

    name: str
    step: tuple[StepTable, ...]


class _Sagas:
    """The sagas of a file by their names, each made when it is asked for."""

    def __init__(self, table: ManifestTable) -> None:
        self._tables: dict[str, tuple[int, DefinitionTable]] = {}
        for number, each in enumerate(table.definition):
            if each.name in self._tables:
                raise Malformed(("definition", number), f"there is a definition {each.name!r} already; name it apart")
            self._tables[each.name] = number, each
        self._made: dict[str, Saga] = {}
        self._under_way: list[str] = []
        self.children: set[str] = set()
        self.first = self._saga(table.saga, ("saga",))
        asked = {name for scenario in table.scenario for name in scenario.of}
        for name in self._tables:
            self._named(name)
        self.others = tuple(saga for name, saga in self._made.items() if name in asked or name not in self.children)

    def _child(self, name: str) -> Saga:
        if name not in self._tables:
            known = ", ".join(self._tables) or "none"
            raise UsageError(f"child = {name!r} names no [[definition]]{nearest(name, self._tables)}; there is {known}")
        if name in self._under_way:
            raise UsageError(f"definition {name!r} is a part of itself; take its name out of a child = …")
        self.children.add(name)
        return self._named(name)

    def _named(self, name: str) -> Saga:
        if name not in self._made:
            number, table = self._tables[name]
            self._under_way.append(name)
            self._made[name] = self._saga(table, ("definition", number))
            self._under_way.pop()
        return self._made[name]

    def _saga(self, table: SagaTable | DefinitionTable, path: tuple[str | int, ...]) -> Saga:
        for number, step in enumerate(table.step):
            step.check((*path, "step", number))
        return Saga(table.name, [item for step in table.step for item in step.items(self._child)])


@dataclass(frozen=True, kw_only=True)
class ManifestTable:
    """The whole file."""

    name: str = ""
    about: str = ""
    simulated: str = ""
    saga: SagaTable
    definition: tuple[DefinitionTable, ...] = ()
    component: tuple[Component, ...]
    capabilities: Capabilities = field(default_factory=Capabilities)
    scenario: tuple[Scenario, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)
    actors: Mapping[str, str] = field(default_factory=dict)
    participants: Mapping[str, str] = field(default_factory=dict)
    invariants: tuple[str, ...] = ()
    requires: Mapping[str, str] = field(default_factory=dict)
    workloads: tuple[str, ...] = ()


def read(path: str, workload: str = "") -> Manifest:
    """The manifest in a file, with another workload in the place of its saga where one is named. Raises UsageError,
    with the file and the key, for anything that is none."""
    file = Path(path)
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"manifest {path!r}: {error.strerror}; name a file from the current folder") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"manifest {path!r} is no TOML: {error}") from None
    try:
        manifest = _manifest(file.resolve(), from_plain(ManifestTable, filled_in(data, workload)), workload)
        as_adapter(manifest, path)  # for what it refuses
    except Malformed as error:
        raise UsageError(f"manifest {path!r}: {_place(error.path)}{error.problem}") from None
    except UsageError as error:
        raise UsageError(f"manifest {path!r}: {error}") from None
    return manifest


def _place(path: Sequence[str | int]) -> str:
    """``[[component]] number 1: ``, as TOML has it; "" for the whole file."""
    names = ".".join(_tables(path))
    if path and isinstance(path[-1], int):
        return f"[[{names}]] number {path[-1] + 1}: "
    return f"[{names}]: " if names else ""


def _tables(path: Sequence[str | int]) -> list[str]:
    """The names in a path."""
    return [part for part in path if isinstance(part, str)]


def _manifest(file: Path, table: ManifestTable, workload: str) -> Manifest:
    sagas = _Sagas(table)
    table = _with_a_clerk(table, sagas.first)
    _check_messages(table)
    _check_workloads(table, sagas.first)
    components = tuple(_completed(component, number) for number, component in enumerate(table.component))
    workers = [component for component in components if component.role == "worker"]
    if len(workers) != 1:
        raise UsageError(f"{len(workers)} components are workers; write one [[component]] with role = 'worker'")
    names = [component.name for component in components]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{names.count(name)} components are called {name!r}; give each a name = '…' of its own")
    _check_struck(table, components)
    folder = file.parent
    return Manifest(
        file=file,
        name=f"{table.name or file.stem}{AT}{workload}" if workload else table.name or file.stem,
        waits=table.saga.waits,
        attempts=table.saga.attempts,
        awaited=table.saga.signals,
        lazy=table.saga.lazy,
        note_kb=table.saga.note_kb,
        about=table.about,
        simulated=table.simulated,
        saga=sagas.first,
        sagas=sagas.others,
        components=tuple(sorted(components, key=lambda component: ROLES.index(component.role))),
        operations=table.saga.operations,
        scenarios=table.scenario or default_scenarios(sagas.first),
        topics=table.topics,
        actors=_actors(table, folder),
        participants={name: _participant(folder, name, where) for name, where in table.participants.items()},
        invariants=tuple(as_rule(_named(folder, "invariants", where), "invariants") for where in table.invariants),
        requires=table.requires,
        **asdict(table.capabilities),
    )


def _check_struck(table: ManifestTable, components: Sequence[Component]) -> None:
    """Raise Malformed where a crash is to strike what the harness does not start, or take away what is not there."""
    if LOST_CONTROL in table.capabilities.crash_by and any(
        c.role == "worker" and c.control != "stdio" for c in components
    ):
        raise Malformed(
            ("capabilities",), "crash_by has 'EOF', and only a worker with control = \"stdio\" has a channel to lose"
        )
    known = [component.name for component in components if component.argv and not component.shared]
    named: dict[tuple[str | int, ...], tuple[str, tuple[str, ...]]] = {}
    named["capabilities",] = "crash", table.capabilities.crash
    named |= {("scenario", number): ("strikes", each.strikes) for number, each in enumerate(table.scenario)}
    for path, (word, names) in named.items():
        for name in names:
            if name not in known:
                what = f"{word} has {name!r}, which is no component that is started for each case"
                raise Malformed(path, f"{what}{nearest(name, known)}; there is {', '.join(known)}")


def _check_messages(table: ManifestTable) -> None:
    """Raise Malformed where messages are declared that nobody receives."""
    emits = table.capabilities.emits
    if (table.topics or emits) and not table.capabilities.receives:
        what = f"emits = {dict(emits)!r}" if emits else f"there is a table of topics, {', '.join(table.topics)}"
        raise Malformed(("capabilities",), f"{what}, and no worker receives messages; write receives = true")


def _with_a_clerk(table: ManifestTable, saga: Saga) -> ManifestTable:
    """The file, with one who sends the messages for which steps wait, where there are such."""
    if not table.saga.signals:
        return table
    scenarios = table.scenario or default_scenarios(saga)
    return replace(
        table,
        capabilities=replace(table.capabilities, receives=True),
        scenario=tuple(replace(each, actors=(*each.actors, CLERK)) for each in scenarios),
    )


def _actors(table: ManifestTable, folder: Path) -> dict[str, Script]:
    """The scripts that it names, and the clerk for whom steps wait."""
    found = {name: _named(folder, f"actors: {name}", where) for name, where in table.actors.items()}
    topics = tuple(dict.fromkeys(table.saga.signals.values()))

    def clerk(actor: Actor) -> None:
        for order in actor.orders:
            for topic in topics:
                actor.signal(topic, saga=order.id)

    return found if not topics else {**found, CLERK: clerk}


def _check_workloads(table: ManifestTable, saga: Saga) -> None:
    """Raise Malformed for a workload, or a step that waits, that there is not."""
    for name in table.workloads:
        if name not in SAGAS:
            raise Malformed((), f"workloads has {name!r}{nearest(name, SAGAS)}; there is {', '.join(SAGAS)}")
    for word, steps in (("waits", table.saga.waits), ("signals", table.saga.signals)):
        for step in steps:
            if step not in saga.by_name:
                known = ", ".join(saga.by_name)
                raise Malformed(("saga",), f"{word} has {step!r}{nearest(step, saga.by_name)}; a step is {known}")


def _participant(folder: Path, name: str, where: str) -> Any:
    """The class of that participant."""
    found = _named(folder, f"participants: {name}", where, "class")
    if isinstance(found, type) and not callable(getattr(found, "handle", None)):
        raise UsageError(
            f"participants: {name} = {where!r}, which has no method 'handle'; add 'def handle(self, request, tx): ...'"
        )
    return found


def _named(folder: Path, what: str, where: str, kind: Literal["function", "class"] = "function") -> Any:
    """The function or class that ``file.py:name`` names, from the manifest's folder."""
    path, _, name = where.rpartition(":")
    if not path.endswith(".py") or not name or not (folder / path).is_file():
        form = "Class" if kind == "class" else "function"
        raise UsageError(f"{what} = {where!r}; write 'file.py:{form}', from the folder of the manifest")
    module = import_place(str(folder / path), f"{what} = {where!r}")
    found = getattr(module, name, None)
    if not callable(found):
        raise UsageError(f"{what} = {where!r}, and {path} has no {kind} {name!r}{nearest(name, vars(module))}")
    return found


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
