"""What should happen: a saga, its steps, and what undoes them.

The vocabulary is that of Garcia-Molina & Salem, "Sagas" (1987), with the pivot
and retriable steps of Frank & Zahle (1998) and Richardson.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from typing import Any, Final

from .errors import UsageError, nearest
from .plain import NEWER

FORWARD: Final = "F"
COMPENSATION: Final = "C"
QUERY: Final = "Q"
"""A call that belongs to no step, as a site names it."""

MESSAGE: Final = "M"
"""A message, as a site names it."""

DIRECTION_NAMES: Final = {FORWARD: "forward", COMPENSATION: "compensation", QUERY: "query", MESSAGE: "message"}


class Outcome(enum.Enum):
    """What a saga tells its client."""

    COMPLETED = "completed"
    COMPENSATED = "compensated"
    PENDING = "pending"  # accepted; the end is not known yet
    STUCK = "stuck"  # a compensation is dead-lettered; an operator must step in


def about(name: str, undone: str) -> bool:
    """True if an undo of the step or part ``undone`` is about ``name`` as well: it is the same, or a part of it."""
    return name == undone or split(name)[0] == undone


ALL: Final = "all"
ANY: Final = "any"
"""How many of the parts that were asked for a saga needs to complete."""


def instance(step: str, part: str) -> str:
    """How events, sites and facts name one part of a step: ``reserve[line-2]``."""
    return f"{step}[{part}]"


def split(name: str) -> tuple[str, str]:
    """The step and the part that such a name tells; ("reserve", "") for a step that is not of several parts."""
    if not name.endswith("]"):
        return name, ""
    step, _, part = name[:-1].partition("[")
    return step, part


def _before(step: Step, name: str, earlier: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """After which of the parts ``names`` of an earlier step the part ``name`` of ``step`` comes: where they are matched
    part by part after the same one, if it was asked for, else after all."""
    same = instance(earlier, split(name)[1])
    matched = step.many and (step.part_by_part or step.consumes == earlier)
    return (same,) if matched and same in names else names


def problem_with_part(saga: Saga, operation: str, part: object, by: str = "world.call") -> str:
    """What is wrong with asking for ``operation`` with that part, or without one, ``by`` which method; "" where nothing
    is. An undo without a part is of all that were asked for."""
    if part is None:
        forward = saga.by_operation[operation][1] == FORWARD
        asked = f"{by}({operation!r}, ...): its step is asked for in parts; write part='line-1', for example"
        return asked if forward else ""
    if operation not in saga.in_parts:
        return f"{by}({operation!r}, part={part!r}): its step has no parts; write many=True in its Step"
    if not isinstance(part, str) or not part or set(part) & set("[]"):
        return f"{by}({operation!r}, part={part!r}): write a string that is not empty, without brackets"
    return ""


@dataclass(frozen=True)
class Step:
    """One local transaction of a saga and the operation that compensates it.

    ``operation`` and ``undo`` read ``participant.verb``. ``undo=None`` says that there
    is nothing to undo. ``pivot`` marks the step after which the saga must complete;
    ``retriable`` one that cannot be refused and is retried until it succeeds.
    ``after`` names the predecessors; left out, it is the step listed before.

    ``many`` says that it is asked for in parts, a request each: ``world.call(..., part="line-2")``. ``needs`` is "all"
    where the saga completes with all the parts that it asked for, "any" where one is enough. ``part_by_part`` says that
    a part comes after the same part of the steps before it, and not after the others. ``amount`` names the
    field of a request, or of its answer, that says how much: then the step can be undone in parts that add up.
    ``consumes`` names an earlier step that this one uses up: what was captured is not held any more.
    ``child`` says that the step is a saga of its own, in the place of ``operation`` and ``undo``: it is done when the
    child is completed, and undone when the child is compensated.
    """

    name: str
    operation: str = ""
    undo: str | None = None
    _: KW_ONLY
    pivot: bool = False
    retriable: bool = False
    after: tuple[str, ...] | None = None
    many: bool = field(default=False, metadata=NEWER)
    needs: str = field(default=ALL, metadata=NEWER)
    amount: str | None = field(default=None, metadata=NEWER)
    consumes: str | None = field(default=None, metadata=NEWER)
    part_by_part: bool = field(default=False, metadata=NEWER)
    child: Saga | None = field(default=None, metadata=NEWER)

    def __post_init__(self) -> None:
        for label, text in (("name", self.name), ("operation", self.operation)):
            if (not isinstance(text, str) or not text) and (label == "name" or self.child is None):
                raise UsageError(f"step {self.name!r}: its {label} is {text!r}; write a non-empty string")
        if self.child is not None:
            self._check_child()
            return
        if self.undo is not None and not isinstance(self.undo, str):
            raise UsageError(f"step {self.name!r}: its undo is {self.undo!r}; write a string, or leave it out")
        for text in (self.operation, *((self.undo,) if self.undo is not None else ())):
            _check_operation(text, f"step {self.name!r}")
        if self.undo == self.operation:
            raise UsageError(f"step {self.name!r}: its undo is its own operation {self.operation!r}; name the inverse")
        self._take_after()
        self._check_words()

    def _take_after(self) -> None:
        if isinstance(self.after, str):
            raise UsageError(f"step {self.name!r}: after={self.after!r} is a string; write after=({self.after!r},)")
        if self.after is not None:
            object.__setattr__(self, "after", tuple(self.after))

    def _check_child(self) -> None:
        where = f"step {self.name!r}"
        if not isinstance(self.child, Saga):
            raise UsageError(f"{where}: child={self.child!r}; write a Saga, child=Saga(name, [steps])")
        asked = {"operation": self.operation, "undo": self.undo, "many": self.many, "amount": self.amount}
        for label, given in {**asked, "consumes": self.consumes}.items():
            if given:
                raise UsageError(
                    f"{where}: it has a child and {label}={given!r}; what is asked, and undone, are the child's steps: "
                    f"leave {label} out"
                )
        if set(self.name) & set("./:[]"):
            raise UsageError(f"{where}: its name is a part of its child's id; write it without any of . / : [ ]")
        if self.child.has_a_pivot and not (self.pivot or self.retriable):
            raise UsageError(
                f"{where}: its child {self.child.name!r} has a pivot, so it cannot be undone with its parent; "
                f"write pivot=True, or retriable=True after the pivot"
            )
        self._take_after()

    def _check_words(self) -> None:
        if self.needs not in (ALL, ANY):
            raise UsageError(f"step {self.name!r}: needs={self.needs!r}; write {ALL!r} or {ANY!r}")
        if self.needs == ANY and not self.many:
            raise UsageError(f"step {self.name!r}: needs={ANY!r} is about its parts; write many=True as well")
        if self.part_by_part and not self.many:
            raise UsageError(f"step {self.name!r}: part_by_part is about its parts; write many=True as well")
        for label, text in (("amount", self.amount), ("consumes", self.consumes)):
            if text is not None and (not isinstance(text, str) or not text):
                what = "the name of a field" if label == "amount" else "the name of an earlier step"
                raise UsageError(f"step {self.name!r}: {label}={text!r}; write {what}, or leave it out")

    @property
    def notes(self) -> tuple[str, ...]:
        """What else is to be said of it, a few words each, for people."""
        said = {
            "pivot": self.pivot,
            "retriable": self.retriable,
            "in parts": self.many,
            "one part is enough": self.needs == ANY,
            "part by part": self.part_by_part,
            f"amount: {self.amount}": self.amount is not None,
            f"uses up {self.consumes}": self.consumes is not None,
            f"child: {self.child.name if self.child else ''}": self.child is not None,
        }
        return tuple(words for words, holds in said.items() if holds)

    @property
    def participant(self) -> str:
        """Who is asked to do it: what stands before the dot in ``operation``; "" for a child."""
        return self.operation.partition(".")[0]

    @property
    def does(self) -> str:
        """What it does, in words: its operation, of one of its parts with that, or the name of its child."""
        part = split(self.name)[1]
        found = self.operation if self.child is None else self.child.name
        return instance(found, part) if part else found

    @cached_property
    def can_be_undone(self) -> bool:
        """True if it has an undo: of a child, one of its steps."""
        return self.undo is not None if self.child is None else any(step.can_be_undone for step in self.child.steps)


@dataclass(frozen=True)
class Optional:
    """Steps of which all are done or none: the saga may complete without them."""

    name: str
    steps: tuple[Step | Optional | OneOf, ...]

    def __init__(self, name: str, steps: Iterable[Step | Optional | OneOf]) -> None:
        if not isinstance(steps, Iterable):
            raise UsageError(
                f"Optional {name!r}: its steps are {steps!r}; write a list, [Step(name, operation, undo=...)]"
            )
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "steps", tuple(steps))


@dataclass(frozen=True)
class OneOf:
    """Alternatives of which exactly one is done; each is a step, or a list of steps."""

    name: str
    alternatives: tuple[tuple[Step | Optional | OneOf, ...], ...]

    def __init__(self, name: str, alternatives: Iterable[Step | Iterable[Step | Optional | OneOf]]) -> None:
        object.__setattr__(self, "name", name)
        found = tuple((each,) if isinstance(each, Step) else tuple(each) for each in alternatives)
        object.__setattr__(self, "alternatives", found)


@dataclass(frozen=True, kw_only=True)
class Group:
    """What a saga keeps of an `Optional` (one alternative) or a `OneOf`: the names of the steps of each alternative,
    those of groups inside of it too."""

    name: str
    alternatives: tuple[tuple[str, ...], ...]
    optional: bool = False

    @cached_property
    def members(self) -> frozenset[str]:
        """All its steps."""
        return frozenset(name for names in self.alternatives for name in names)


class _Flat:
    """The steps of a saga in the order in which they are listed, and its groups, the inner ones first."""

    def __init__(self, saga: str) -> None:
        self.saga = saga
        self.steps: list[Step] = []
        self.groups: list[Group] = []

    def add(self, items: Iterable[Any], before: tuple[str, ...]) -> tuple[str, ...]:
        """Take in what comes after ``before``; the steps after which the next one comes."""
        for item in items:
            if isinstance(item, Optional):
                first = len(self.steps)
                before = self.add(item.steps, before)
                self._group(item.name, [self._names(first)], optional=True)
            elif isinstance(item, OneOf):
                before = self._alternatives(item, before)
            elif isinstance(item, Step):
                listed = (self.steps[-1].name,) if self.steps else ()
                self.steps.append(item if item.after is not None or before == listed else replace(item, after=before))
                before = (item.name,)
            else:
                raise UsageError(f"saga {self.saga!r}: {item!r} is not a Step; write Step(name, operation, undo=...)")
        return before

    def _alternatives(self, item: OneOf, before: tuple[str, ...]) -> tuple[str, ...]:
        alternatives, last = [], list[str]()
        for steps in item.alternatives:
            first = len(self.steps)
            last += self.add(steps, before)
            alternatives.append(self._names(first))
        if len(alternatives) < 2:
            raise UsageError(f"saga {self.saga!r}: OneOf {item.name!r} has one alternative; write two, or an Optional")
        self._group(item.name, alternatives, optional=False)
        return tuple(last)

    def _names(self, first: int) -> tuple[str, ...]:
        return tuple(step.name for step in self.steps[first:])

    def _group(self, name: str, alternatives: list[tuple[str, ...]], *, optional: bool) -> None:
        if not all(alternatives):
            raise UsageError(f"saga {self.saga!r}: group {name!r} has no steps; list at least one Step")
        self.groups.append(Group(name=name, alternatives=tuple(alternatives), optional=optional))


@dataclass(frozen=True)
class Saga:
    """A named set of steps: a sequence, or a DAG where steps say ``after``. Among them may stand groups, `Optional` and
    `OneOf`; ``steps`` has the steps of all of them.

    Raises UsageError for a cycle, an unknown predecessor, a duplicate name or
    operation, two pivots on one path.
    """

    name: str
    steps: tuple[Step, ...]
    groups: tuple[Group, ...] = field(default=(), metadata=NEWER)

    def __init__(self, name: str, steps: Iterable[Step | Optional | OneOf], groups: Iterable[Group] = ()) -> None:
        if isinstance(steps, (Step, str)) or not isinstance(steps, Iterable):
            raise UsageError(f"saga {name!r}: its steps are {steps!r}; write a list, [Step(name, operation, undo=...)]")
        flat = _Flat(name)
        flat.add(steps, ())
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "steps", tuple(flat.steps))
        object.__setattr__(self, "groups", (*groups, *flat.groups))
        if not isinstance(name, str) or not name:
            raise UsageError(f"saga {name!r}: its name is not a non-empty string")
        if not self.steps:
            raise UsageError(f"saga {name!r} has no steps; give it at least one Step(name, operation, undo=...)")
        self._check_names()
        self._check_graph()

    def _check_names(self) -> None:
        seen: set[str] = set()
        operations: dict[str, str] = {}
        for step in self.steps:
            if step.name in seen:
                raise UsageError(f"saga {self.name!r}: two steps are called {step.name!r}; give each its own name")
            if step.name.endswith("]"):
                raise UsageError(
                    f"saga {self.name!r}: step {step.name!r} is called as a part of a step is; take the brackets out"
                )
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
        try:
            TopologicalSorter(self.predecessors).prepare()
        except CycleError as error:
            *cycle, _ = error.args[1]
            begin = cycle.index(next(step.name for step in self.steps if step.name in cycle))
            told = [*cycle[begin:], *cycle[:begin], cycle[begin]]
            raise UsageError(
                f"saga {self.name!r}: its steps form a cycle {' -> '.join(told)}; take one name out of an 'after'"
            ) from None
        for step in self.steps:
            if step.consumes is None:
                continue
            if step.consumes not in self.ancestors[step.name]:
                raise UsageError(
                    f"saga {self.name!r}: step {step.name!r} consumes {step.consumes!r}, which is no step before it"
                    f"{nearest(step.consumes, self.ancestors[step.name])}"
                )
            if step.consumes in self.children:
                raise UsageError(
                    f"saga {self.name!r}: step {step.name!r} consumes {step.consumes!r}, which is a saga of its own; "
                    f"name a step that asks a participant"
                )
        for step in self.steps:
            if step.part_by_part and not any(self.by_name[one].many for one in self.predecessors[step.name]):
                raise UsageError(
                    f"saga {self.name!r}: step {step.name!r} is part_by_part, and no step right before it is of "
                    f"several parts; write many=True there, or leave part_by_part out"
                )
        pivots = [step.name for step in self.steps if step.pivot]
        for index, first in enumerate(pivots):
            for second in pivots[index + 1 :]:
                if first in self.ancestors[second] or second in self.ancestors[first]:
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
        table = {step.operation: (step, FORWARD) for step in self.steps if step.child is None}
        table.update({step.undo: (step, COMPENSATION) for step in self.steps if step.undo is not None})
        return table

    @cached_property
    def without_undo(self) -> frozenset[str]:
        """The names of the steps that cannot be undone."""
        return frozenset(step.name for step in self.steps if not step.can_be_undone)

    @cached_property
    def pivots(self) -> frozenset[str]:
        """The names of the steps after which the saga goes forward only."""
        return frozenset(step.name for step in self.steps if step.pivot)

    @cached_property
    def sequence(self) -> tuple[str, ...]:
        """The step names in one order that respects ``after``: the listed one where it does."""
        rank = {step.name: index for index, step in enumerate(self.steps)}
        sorter = TopologicalSorter(self.predecessors)
        sorter.prepare()
        ready: list[int] = []
        found: list[str] = []
        while sorter.is_active():
            for name in sorter.get_ready():
                heappush(ready, rank[name])
            found.append(self.steps[heappop(ready)].name)
            sorter.done(found[-1])
        return tuple(found)

    @cached_property
    def in_parts(self) -> frozenset[str]:
        """The operations that are asked for in parts."""
        return frozenset(operation for operation, (step, _) in self.by_operation.items() if step.many)

    @cached_property
    def using_up(self) -> frozenset[str]:
        """The operations that use up what an earlier step holds: what they take cannot run out."""
        return frozenset(step.operation for step in self.steps if step.consumes is not None)

    @cached_property
    def terms(self) -> dict[str, Step]:
        """What a participant has to know of the steps that are asked for in parts, have an amount or use another up, by
        their names. What another participant holds is not its affair."""
        found = (step for step in self.steps if step.many or step.amount is not None or step.consumes is not None)
        return {step.name: step if self._uses_up_its_own(step) else replace(step, consumes=None) for step in found}

    def _uses_up_its_own(self, step: Step) -> bool:
        return step.consumes is not None and self.by_name[step.consumes].participant == step.participant

    @cached_property
    def children(self) -> dict[str, Saga]:
        """The steps that are sagas of their own, by their names."""
        return {step.name: step.child for step in self.steps if step.child is not None}

    @cached_property
    def has_a_pivot(self) -> bool:
        """True if there is a point in it from which there is no way back."""
        return any(step.pivot for step in self.steps)

    @cached_property
    def counted(self) -> bool:
        """True if some step has an amount, or uses another up: then more counts than how often each took effect."""
        return any(step.amount is not None or step.consumes is not None for step in self.steps)

    @cached_property
    def grouped(self) -> frozenset[str]:
        """The steps that are in a group: the saga can complete without some of them."""
        return frozenset(name for group in self.groups for name in group.members)

    @cached_property
    def needing_any(self) -> frozenset[str]:
        """The steps of which one part is enough."""
        return frozenset(split(step.name)[0] for step in self.steps if step.needs == ANY)

    def notes(self, name: str) -> tuple[str, ...]:
        """What else is to be said of a step, a few words each, for people; its groups too, the inner ones first."""
        mine = [group for group in self.groups if name in group.members]
        told = (f"optional: {group.name}" if group.optional else f"one of {group.name}" for group in mine)
        return (*self.by_name[name].notes, *told)

    def step(self, name: str) -> Step | None:
        """The step that an event or a site names, be it by one of its parts; None where it names none."""
        return self.by_name.get(name) or self.by_name.get(split(name)[0])

    def with_parts(self, parts: Mapping[str, tuple[str, ...]]) -> Saga:
        """The saga as it was of one order: with a step for each part that was asked for, named as `instance` does. A
        step of several parts of which none was asked for stays as it is. It is for judging: two of its steps can have
        the same operation."""
        asked = tuple(sorted(parts.items()))
        found = self._unfolded.get(asked)
        if found is None:
            found = self._unfolded[asked] = self._unfold(parts)
        return found

    @cached_property
    def _unfolded(self) -> dict[Any, Saga]:
        return {}

    def _unfold(self, parts: Mapping[str, tuple[str, ...]]) -> Saga:
        names = {
            step.name: tuple(instance(step.name, part) for part in parts.get(step.name, ())) or (step.name,)
            for step in self.steps
        }
        made: Saga = object.__new__(Saga)
        object.__setattr__(made, "name", self.name)
        steps = tuple(replace(step, name=name) for step in self.steps for name in names[step.name])
        object.__setattr__(made, "steps", steps)
        groups = tuple(
            replace(
                group,
                alternatives=tuple(tuple(n for one in names_ for n in names[one]) for names_ in group.alternatives),
            )
            for group in self.groups
        )
        object.__setattr__(made, "groups", groups)
        vars(made)["predecessors"] = {
            name: tuple(
                before for one in self.predecessors[step.name] for before in _before(step, name, one, names[one])
            )
            for step in self.steps
            for name in names[step.name]
        }
        return made

    def operation(self, step: str, direction: str) -> str:
        """The operation of ``step`` in ``direction``, for people to read."""
        found = self.step(step)
        if found is None:
            return step
        does = found.operation if found.child is None else found.child.name
        operation = does if direction == FORWARD else (found.undo or f"{does} (undo)")
        part = split(step)[1]
        return instance(operation, part) if part else operation


def check_operations(saga: Saga, operations: Iterable[str]) -> None:
    """Raise UsageError where one of the calls that are to belong to no step of ``saga`` names no participant, or is a
    step's: then no request of that step would be known as one."""
    for operation in operations:
        _check_operation(operation, f"saga {saga.name!r}: operations")
        if operation in saga.by_operation:
            step, _ = saga.by_operation[operation]
            raise UsageError(
                f"saga {saga.name!r}: operations lists {operation!r}, which belongs to step {step.name!r}; leave it out"
            )


def _check_operation(operation: str, where: str) -> None:
    participant, dot, verb = operation.partition(".")
    if not (participant and dot and verb):
        raise UsageError(
            f"{where}: operation {operation!r} names no participant; "
            f"write 'participant.verb', for example 'payment.charge'"
        )
