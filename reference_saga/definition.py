"""What an orchestrator is given: a saga, its version, and how its steps are retried."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from typing import Any

from ..errors import UsageError, nearest
from ..saga import Saga, Step
from .cached import compute_all

Arguments = Callable[[Step, str, Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]
"""Makes a request's payload from the step, the direction ("F" or "C"), what the saga was asked for, and the
answers of the steps before it (for an undo also of its own)."""


def everything(step: Step, direction: str, request: Mapping[str, Any], answers: Mapping[str, Any]) -> dict[str, Any]:
    """The payload where none is chosen: what the saga was asked for, and the answers so far as ``answers``."""
    return {**request, "answers": dict(answers)}


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often a request is made in all, over every restart, and how long is waited in between (seconds,
    doubled each time). The budget does not bind the pivot, retriable steps and what comes after the pivot:
    these are asked until they answer, since nothing else would be right. A compensation may be asked for once
    more by each owner that takes its saga over."""

    attempts: int = 3
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise UsageError(f"RetryPolicy: attempts={self.attempts!r}; write a whole number, 1 or more")
        if not 0 <= self.first_backoff_s <= self.longest_backoff_s:
            raise UsageError(
                f"RetryPolicy: first_backoff_s={self.first_backoff_s!r}, longest_backoff_s="
                f"{self.longest_backoff_s!r}; write seconds, the first not above the longest"
            )

    def backoff_s(self, attempt: int) -> float:
        """The wait after the given attempt, counted from 1."""
        doublings = min(attempt - 1, 64)
        return min(self.first_backoff_s * 2.0**doublings, self.longest_backoff_s)


@dataclass(frozen=True)
class Definition:
    """A saga as one version of a program knows it.

    ``version`` is kept with every saga that begins under it. ``forward`` and ``undo`` are the usual policies,
    ``retries`` those of single operations. ``deadline_s`` counts from the start: after it no step begins, and
    what was done is undone, save where the pivot has begun.
    """

    saga: Saga
    _: KW_ONLY
    version: str = "1"
    forward: RetryPolicy = RetryPolicy()
    undo: RetryPolicy = RetryPolicy(attempts=5)
    retries: Mapping[str, RetryPolicy] = field(default_factory=dict)
    deadline_s: float | None = None
    arguments: Arguments = everything

    def __post_init__(self) -> None:
        where = f"Definition of {self.saga.name!r}"
        pivots = [step.name for step in self.saga.steps if step.pivot]
        if len(pivots) > 1:
            raise UsageError(
                f"{where}: {pivots[0]!r} and {pivots[1]!r} are both pivots, and the second could be refused "
                f"after the first; keep one and make the other retriable=True"
            )
        if self.saga.groups:
            raise UsageError(
                f"{where}: group {self.saga.groups[0].name!r}; this orchestrator does every step of a saga"
            )
        for step in self.saga.steps:
            if step.many:
                raise UsageError(f"{where}: step {step.name!r} has parts; this orchestrator asks once a step")
        for operation in self.retries:
            if operation not in self.saga.by_operation:
                raise UsageError(
                    f"{where}: retries has {operation!r}, which no step has{nearest(operation, self.saga.by_operation)}"
                )
        if self.deadline_s is not None and self.deadline_s <= 0:
            raise UsageError(f"{where}: deadline_s={self.deadline_s!r}; write seconds, more than 0, or leave it out")
        compute_all(self)

    @cached_property
    def pivot(self) -> str | None:
        return next((step.name for step in self.saga.steps if step.pivot), None)

    @cached_property
    def endless(self) -> frozenset[str]:
        """The steps that are asked until they answer."""
        return frozenset(
            step.name
            for step in self.saga.steps
            if step.pivot or step.retriable or self.pivot in self.saga.ancestors[step.name]
        )

    @cached_property
    def users(self) -> dict[str, frozenset[str]]:
        """For each step those that use it up."""
        steps = self.saga.steps
        return {name: frozenset(step.name for step in steps if step.consumes == name) for name in self.saga.sequence}

    @cached_property
    def waits_for(self) -> dict[str, frozenset[str]]:
        """For each step what must be done before it begins: its predecessors, and for the pivot also every
        step beside it that could still be refused."""
        table = {name: frozenset(before) for name, before in self.saga.predecessors.items()}
        if self.pivot is not None:
            open_still = {name for name in table if name not in self.endless}
            table[self.pivot] |= open_still
        return table

    @cached_property
    def known_to(self) -> dict[str, tuple[str, ...]]:
        """For each step those whose answers its requests can rest on: all before it, and for its undo itself."""
        sequence, ancestors = self.saga.sequence, self.saga.ancestors
        return {name: tuple(n for n in sequence if n in ancestors[name] or n == name) for name in sequence}

    @cached_property
    def descendants(self) -> dict[str, frozenset[str]]:
        ancestors = self.saga.ancestors
        return {name: frozenset(later for later in ancestors if name in ancestors[later]) for name in ancestors}

    def policy(self, step: str, *, undo: bool) -> RetryPolicy:
        found = self.saga.by_name[step]
        operation = (found.undo or "") if undo else found.operation
        return self.retries.get(operation, self.undo if undo else self.forward)
