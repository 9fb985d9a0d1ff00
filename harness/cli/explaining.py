"""``sagafuzz explain``."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType
from typing import Final

import click

from ..errors import UsageError, nearest
from ..faults import CAPABILITIES, FAULT_KINDS, FaultKind, kind_groups
from ..invariants import INVARIANTS, Invariant
from ..reports.clean import wrap
from ..saga import COMPENSATION, FORWARD, MESSAGE, QUERY
from .arguments import CODE
from .console import columns, say

NATURES: Final = {
    "safety": "safety: a moment shows that it is broken",
    "liveness": "liveness: it is judged when faults have stopped and all is at rest",
    "both": "safety and liveness",
    "meta": "about the search itself, not about the saga",
}

_DIRECTIONS: Final = {
    FORWARD: "forward calls",
    COMPENSATION: "compensations",
    QUERY: "calls of no step",
    MESSAGE: "messages",
    "": "durable writes and starts",
}


@click.command(short_help="Say what an invariant, anomaly or fault is.")
@click.argument("code", nargs=-1, required=True, type=CODE)
def explain(code: tuple[str, ...]) -> int:
    """Say what CODE means: an invariant (I5, or its name), an anomaly that a report names, or a fault kind.

    \b
    sagafuzz explain I5
    sagafuzz explain leaked effect
    """
    asked = " ".join(" ".join(code).split())
    found = _invariant(asked)
    if found is not None:
        say(_of_invariant(found))
    elif asked in FAULT_KINDS:
        say(_of_kind(FAULT_KINDS[asked]))
    elif ids := _by_anomaly(asked):
        for id in ids:
            say(f"{asked!r} is an anomaly of {id}\n\n{_of_invariant(INVARIANTS[id], asked.casefold())}")
    else:
        named = {entry.name for entry in INVARIANTS.values()}
        known = {*INVARIANTS, *named, *FAULT_KINDS, *anomalies()}
        ids = sorted(INVARIANTS, key=lambda id: (id[0] != "I", int(id[1:])))
        raise UsageError(
            f"nothing is called {asked!r}{nearest(asked, known)}; write the id or name of an invariant "
            f"({', '.join(ids)}), an anomaly or a fault kind as reports name them"
        )
    return 0


def _invariant(asked: str) -> Invariant | None:
    for entry in INVARIANTS.values():
        if asked.casefold() in (entry.id.casefold(), entry.name.casefold(), f"{entry.id} {entry.name}".casefold()):
            return entry
    return None


def _of_invariant(entry: Invariant, anomaly: str = "") -> str:
    names = sorted(name for name, ids in anomalies().items() if entry.id in ids)
    usual = entry.usual(anomaly)
    pairs = [
        ("holds when", entry.holds_when),
        ("in detail", entry.judged),
        ("typical cause", usual.cause),
        ("repair", usual.repair),
        ("nature", NATURES[entry.nature]),
        ("anomalies", ", ".join(names)),
        ("explains", ", ".join(f"{id} {INVARIANTS[id].name}" for id in entry.explains if id in INVARIANTS)),
        ("source", entry.source),
    ]
    return _block(f"{entry.id} {entry.name}", pairs)


def _of_kind(kind: FaultKind) -> str:
    groups = [name for name, kinds in kind_groups().items() if kind.name in kinds and name != "all"]
    pairs = [
        ("meaning", kind.meaning),
        ("strikes at", f"{kind.phase}, {' and '.join(_DIRECTIONS[direction] for direction in kind.directions)}"),
        ("needs that", CAPABILITIES.get(kind.needs, "")),
        ("never where", ", ".join(kind.unless.values())),
        ("groups", ", ".join(groups)),
    ]
    return _block(f"{kind.name}, a kind of fault", pairs)


def _block(heading: str, pairs: list[tuple[str, str]]) -> str:
    shown = [(label, words) for label, words in pairs if words]
    column = max(len(label) for label, _ in shown) + 3
    lines = [
        wrap(words, columns(), indent=f"  {label + ':':<{column}}", hanging=" " * (column + 2))
        for label, words in shown
    ]
    return "\n".join([heading, *lines])


def _by_anomaly(asked: str) -> list[str]:
    """The invariants whose checks give that anomaly; ``…`` in the name of one stands for any words."""
    wanted = asked.casefold()
    ids: dict[str, None] = {}
    for name, found in anomalies().items():
        begin, dots, end = name.casefold().partition("…")
        if wanted == begin if not dots else _between(wanted, begin, end):
            ids.update(dict.fromkeys(found))
    return list(ids)


def _between(text: str, begin: str, end: str) -> bool:
    return len(text) > len(begin) + len(end) > 0 and text.startswith(begin) and text.endswith(end)


@cache
def anomalies() -> Mapping[str, tuple[str, ...]]:
    """From the name of an anomaly to the invariants that give it, as the checks themselves spell it, or as the
    catalogue tells it apart."""
    modules = {inspect.getmodule(entry.check) for entry in INVARIANTS.values()}
    ordered = sorted(filter(None, modules), key=lambda module: module.__name__)
    spelt = [pair for module in ordered for pair in _anomalies_in(module)]
    table: dict[str, tuple[str, ...]] = {}
    for name, id in (*spelt, *((name, id) for id, entry in INVARIANTS.items() for name in entry.apart)):
        if id in INVARIANTS and id not in table.get(name, ()):
            table[name] = (*table.get(name, ()), id)
    return table


def _anomalies_in(module: ModuleType) -> Iterator[tuple[str, str]]:
    tree = ast.parse(inspect.getsource(module))
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Violation":
                given = {keyword.arg: keyword.value for keyword in node.keywords}
                for id in _spelt(given.get("invariant")):
                    for name in (*_spelt(given.get("anomaly")), *_values(function, given.get("anomaly"))):
                        yield name, id


def _values(function: ast.FunctionDef, variable: ast.expr | None) -> Iterator[str]:
    """The strings that a variable is given in a function, or that a dict there has for it."""
    if not isinstance(variable, ast.Name):
        return
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _assigned(target, node.value, variable.id)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name) and node.slice.id == variable.id:
            for key in node.value.keys if isinstance(node.value, ast.Dict) else ():
                yield from _spelt(key)


def _assigned(target: ast.expr, value: ast.expr, name: str) -> Iterator[str]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for part, given in zip(target.elts, value.elts, strict=False):
            yield from _assigned(part, given, name)
    elif isinstance(target, ast.Name) and target.id == name:
        yield from _spelt(value)


def _spelt(node: ast.expr | None) -> Iterator[str]:
    """The strings that an expression can be; ``…`` where it is put together at run time."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _spelt(node.body)
        yield from _spelt(node.orelse)
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
