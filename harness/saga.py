"""What should happen: a saga, its steps, and what undoes them.

The vocabulary is that of Garcia-Molina & Salem, "Sagas" (1987), with the pivot
and retriable steps of Frank & Zahle (1998) and Richardson.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Final

from .errors import UsageError, nearest

FORWARD: Final = "F"
COMPENSATION: Final = "C"
QUERY: Final = "Q"
"""A call that belongs to no step, as a site names it."""

DIRECTION_NAMES: Final = {FORWARD: "forward", COMPENSATION: "compensation", QUERY: "query"}


class Outcome(enum.Enum):
    """What a saga tells its client."""

    COMPLETED = "completed"
    COMPENSATED = "compensated"
    PENDING = "pending"  # accepted; the end is not known yet
    STUCK = "stuck"  # a compensation is dead-lettered; an operator must step in


@dataclass(frozen=True)
class Step:
    """One local transaction of a saga and the operation that compensates it.

    ``operation`` and ``undo`` read ``participant.verb``. ``undo=None`` says that there
    is nothing to undo. ``pivot`` marks the step after which the saga must complete;
    ``retriable`` one that cannot be refused and is retried until it succeeds.
    ``after`` names the predecessors; left out, it is the step listed before.
    """

    name: str
    operation: str
    undo: str | None = None
    _: KW_ONLY
    pivot: bool = False
    retriable: bool = False
    after: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        for label, text in (("name", self.name), ("operation", self.operation)):
            if not isinstance(text, str) or not text:
                raise UsageError(f"step {self.name!r}: its {label} is {text!r}; write a non-empty string")
        if self.undo is not None and not isinstance(self.undo, str):
            raise UsageError(f"step {self.name!r}: its undo is {self.undo!r}; write a string, or leave it out")
        for text in (self.operation, *((self.undo,) if self.undo is not None else ())):
            participant, dot, verb = text.partition(".")
            if not (participant and dot and verb):
                raise UsageError(
                    f"step {self.name!r}: operation {text!r} names no participant; "
                    f"write 'participant.verb', for example 'payment.charge'"
                )
        if self.undo == self.operation:
            raise UsageError(f"step {self.name!r}: its undo is its own operation {self.operation!r}; name the inverse")
        if isinstance(self.after, str):
            raise UsageError(f"step {self.name!r}: after={self.after!r} is a string; write after=({self.after!r},)")
        if self.after is not None:
            object.__setattr__(self, "after", tuple(self.after))

    @property
    def participant(self) -> str:
        """Who is asked to do it: what stands before the dot in ``operation``."""
        return self.operation.partition(".")[0]


@dataclass(frozen=True)
class Saga:
    """A named set of steps: a sequence, or a DAG where steps say ``after``.

    Raises UsageError for a cycle, an unknown predecessor, a duplicate name or
    operation, two pivots on one path.
    """

    name: str
    steps: tuple[Step, ...]

    def __init__(self, name: str, steps: Iterable[Step]) -> None:
        if isinstance(steps, (Step, str)) or not isinstance(steps, Iterable):
            raise UsageError(f"saga {name!r}: its steps are {steps!r}; write a list, [Step(name, operation, undo=...)]")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "steps", tuple(steps))
        if not isinstance(name, str) or not name:
            raise UsageError(f"saga {name!r}: its name is not a non-empty string")
        if not self.steps:
            raise UsageError(f"saga {name!r} has no steps; give it at least one Step(name, operation, undo=...)")
        for step in self.steps:
            if not isinstance(step, Step):
                raise UsageError(f"saga {name!r}: {step!r} is not a Step; write Step(name, operation, undo=...)")
        self._check_names()
        self._check_graph()

    def _check_names(self) -> None:
        seen: set[str] = set()
        operations: dict[str, str] = {}
        for step in self.steps:
            if step.name in seen:
                raise UsageError(f"saga {self.name!r}: two steps are called {step.name!r}; give each its own name")
            seen.add(step.name)
            for operation in filter(None, (step.operation, step.undo)):
                if operation in operations:
                    raise UsageError(
                        f"saga {self.name!r}: operation {operation!r} belongs to the steps "
                        f"{operations[operation]!r} and {step.name!r}, so a call could not be told apart; "
                        f"name them apart, for example {operation + '-2'!r}"
                    )
                operations[operation] = step.name
        for step in self.steps:
            for name in step.after or ():
                if name not in seen:
                    raise UsageError(
                        f"saga {self.name!r}: step {step.name!r} comes after {name!r}, "
                        f"which is no step of it{nearest(name, seen)}"
                    )

    def _check_graph(self) -> None:
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(step.name for step in self.steps)
        graph.add_edges_from((before, name) for name, befores in self.predecessors.items() for before in befores)
        if not nx.is_directed_acyclic_graph(graph):
            cycle = [edge[0] for edge in nx.find_cycle(graph)]
            raise UsageError(
                f"saga {self.name!r}: its steps form a cycle {' -> '.join([*cycle, cycle[0]])}; "
                f"take one name out of an 'after'"
            )
        pivots = [step.name for step in self.steps if step.pivot]
        for index, first in enumerate(pivots):
            for second in pivots[index + 1 :]:
                if nx.has_path(graph, first, second) or nx.has_path(graph, second, first):
                    raise UsageError(
                        f"saga {self.name!r}: {first!r} and {second!r} are both pivots on one path; "
                        f"keep the first and make the later one retriable=True"
                    )

    @cached_property
    def predecessors(self) -> dict[str, tuple[str, ...]]:
        """For each step the names of those that it directly comes after."""
        result: dict[str, tuple[str, ...]] = {}
        previous: tuple[str, ...] = ()
        for step in self.steps:
            result[step.name] = previous if step.after is None else step.after
            previous = (step.name,)
        return result

    @cached_property
    def ancestors(self) -> dict[str, frozenset[str]]:
        """For each step the names of all that must come before it."""

        result: dict[str, frozenset[str]] = {}
        for name in self.sequence:
            direct = self.predecessors[name]
            result[name] = frozenset(direct).union(*(result[before] for before in direct))
        return result

    @cached_property
    def by_name(self) -> dict[str, Step]:
        """The steps by their names, in the order in which they are listed."""
        return {step.name: step for step in self.steps}

    @cached_property
    def by_operation(self) -> dict[str, tuple[Step, str]]:
        """From an operation to its step and direction ("F" or "C")."""
        table = {step.operation: (step, FORWARD) for step in self.steps}
        table.update({step.undo: (step, COMPENSATION) for step in self.steps if step.undo is not None})
        return table

    @cached_property
    def sequence(self) -> tuple[str, ...]:
        """The step names in one order that respects ``after``: the listed one where it does."""
        import networkx as nx

        rank = {step.name: index for index, step in enumerate(self.steps)}
        graph: nx.DiGraph[str] = nx.DiGraph(
            (before, name) for name, befores in self.predecessors.items() for before in befores
        )
        graph.add_nodes_from(rank)
        return tuple(nx.lexicographical_topological_sort(graph, key=rank.__getitem__))

    def operation(self, step: str, direction: str) -> str:
        """The operation of ``step`` in ``direction``, for people to read."""
        found = self.by_name.get(step)
        if found is None:
            return step
        return found.operation if direction == FORWARD else (found.undo or f"{found.operation} (undo)")
