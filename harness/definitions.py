"""Several definitions beside one another: those of an adapter, and the children that are steps of others.

A child's id is made of its parent's and of the step: ``saga-1.ship``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

from .errors import UsageError
from .saga import Saga, Step
from .scenario import Order


def child_id(parent: str, step: str) -> str:
    """The id of the saga that such a step of the parent is: ``saga-1.ship``."""
    return f"{parent}.{step}"


def root_of(saga: str) -> str:
    """The id of the order that a saga belongs to: its own, or that of the one at the top."""
    return saga.partition(".")[0]


def parent_of(saga: str) -> str:
    """The id of the saga of which this one is a step; "" for an order."""
    return saga.rpartition(".")[0]


def definition_of(root: Saga, saga: str) -> Saga:
    """The definition of the saga of that id, where its order is to do ``root``."""
    found = root
    for step in saga.split(".")[1:]:
        found = found.children.get(step, found)
    return found


@cache
def united(sagas: tuple[Saga, ...]) -> Saga:
    """All steps of some definitions and of their children, to look up by name and by operation; a single definition
    without children is itself. Raises UsageError where two have one name, or call two things the same."""
    if len(sagas) == 1 and not sagas[0].children:
        return sagas[0]
    names: dict[str, Saga] = {}
    steps: dict[str, tuple[Step, Saga]] = {}
    operations: dict[str, tuple[Step, Saga]] = {}
    for saga in [each for root in sagas for each in _with_children(root)]:
        if names.setdefault(saga.name, saga) != saga:
            raise UsageError(f"two sagas are called {saga.name!r} and differ; name them apart")
        for step in saga.steps:
            _check_same(step, saga, *steps.setdefault(step.name, (step, saga)))
            for operation in filter(None, (step.operation, step.undo)):
                other, of = operations.setdefault(operation, (step, saga))
                if other.name != step.name:
                    raise UsageError(
                        f"operation {operation!r} is step {other.name!r} of saga {of.name!r} and step {step.name!r} of "
                        f"saga {saga.name!r}; call the step the same in both"
                    )
    return _merged(names)


def _with_children(saga: Saga) -> Iterator[Saga]:
    yield saga
    for child in saga.children.values():
        yield from _with_children(child)


def _check_same(step: Step, saga: Saga, first: Step, of: Saga) -> None:
    """A step's name tells what is asked, in whichever saga it stands; where it stands there may differ."""
    if replace(step, after=None, pivot=first.pivot, retriable=first.retriable) != replace(first, after=None):
        raise UsageError(
            f"step {step.name!r} of saga {saga.name!r} is another one than step {step.name!r} of saga {of.name!r}; "
            f"name them apart, or write the same operation, undo and words"
        )


def _merged(sagas: Mapping[str, Saga]) -> Saga:
    """It is for look-ups: some of its steps belong to other sagas than others."""
    made: Saga = object.__new__(Saga)
    first: dict[str, Step] = {}
    for saga in sagas.values():
        for step in saga.steps:
            first.setdefault(step.name, replace(step, after=saga.predecessors[step.name]))
    object.__setattr__(made, "name", next(iter(sagas)))
    object.__setattr__(made, "steps", tuple(first.values()))
    object.__setattr__(made, "groups", tuple(group for saga in sagas.values() for group in saga.groups))
    return made


def placed(order: Order, definition: Saga) -> Order:
    """An order that knows what it is of, and its children."""
    children = {
        step: placed(replace(order, id=child_id(order.id, step), parent=order.id), child)
        for step, child in definition.children.items()
    }
    return replace(order, saga=definition.name, children=children)


def with_children(order: Order) -> Iterator[Order]:
    """An order, then those of its children and theirs."""
    yield order
    for child in order.children.values():
        yield from with_children(child)
