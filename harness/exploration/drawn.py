"""What random plans came to: how many, of which sizes, and how many classes of histories they fell into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from ..history import Row, rows_digest
from ..verdict import RandomPlans, Unseen, Verdict
from .cases import Case


class Drawn:
    """Counts of the random plans of a campaign, which is to run ``asked``. ``since_new`` counts those since a new class
    of histories was seen."""

    def __init__(self, asked: int, max_faults: int) -> None:
        self.asked = asked
        self._max_faults = max_faults
        self.run = self.fired = self.since_new = 0
        self._violated = 0
        self._by_faults: Counter[int] = Counter()
        self._classes: Counter[bytes] = Counter()

    def add(self, case: Case, verdict: Verdict) -> None:
        """Count a run. A fault that changed nothing is none."""
        self.run += 1
        self.fired += case.fired
        self._violated += bool(verdict.violations)
        self._by_faults[len(case.plan) - len(case.run.idle)] += 1
        found = case.told.trace
        self._classes[found] += 1
        self.since_new = self.since_new + 1 if self._classes[found] > 1 else 0

    @property
    def unseen(self) -> Unseen:
        return unseen(self._classes)

    def result(self) -> RandomPlans:
        """What is known by now."""
        return RandomPlans(
            asked=self.asked,
            run=self.run,
            fired=self.fired,
            violated=self._violated,
            max_faults=self._max_faults,
            by_faults=tuple(self._by_faults[n] for n in range(max(self._by_faults, default=-1) + 1)),
            unseen=self.unseen,
        )


def trace_class(rows: Iterable[Row]) -> bytes:
    """A hash of what happened in which order, without the times."""
    return rows_digest([row[1:] for row in rows])  # type: ignore[misc]


def unseen(classes: Counter[bytes]) -> Unseen:
    """The counts that the Good–Turing estimate needs, of how often each class of traces was seen."""
    return Unseen(
        runs=classes.total(),
        classes=len(classes),
        singletons=sum(1 for count in classes.values() if count == 1),
    )
