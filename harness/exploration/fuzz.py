"""A campaign without an end of its own: random plans until a budget ends, or nothing new comes any more.

What the plan of a number is depends on the seed alone; a budget only says how many there are. So the campaign that
an hour ended is the one that its number of plans would have ended, and can be run again as that.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ..ports import Adapter
from ..verdict import Report
from .campaign import Campaign, Settings
from .part_search import NO_END

PLATEAU: Final = 0.01
"""On a plateau the next run shows a new class of histories with a chance below this, as Good and Turing estimate."""

PLATEAU_RUNS: Final = 2000
"""Before so many runs nothing is taken for a plateau; after so many without a new class anything is."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When to end: after ``max_seconds`` of real time or ``max_plans`` random plans (None: whenever), or on a
    plateau."""

    max_seconds: float | None = None
    max_plans: int | None = None
    until_plateau: bool = False

    def clock(self) -> Callable[[], bool]:
        """Whether the time is over, counted from now on."""
        if self.max_seconds is None:
            return lambda: False
        end = time.monotonic() + self.max_seconds
        return lambda: time.monotonic() >= end


class Fuzz(Campaign):
    """Searches one adapter to the end of ``budget``; ``late`` is asked whether its time is over."""

    def __init__(
        self,
        adapter: Adapter,
        settings: Settings,
        *,
        budget: Budget | None = None,
        late: Callable[[], bool] = lambda: False,
        **listeners: Any,
    ) -> None:
        super().__init__(adapter, settings, **listeners)
        self._budget = budget or Budget()
        self._late = late
        self._searching = True
        self._ended = ""
        self._drawn.asked = self._budget.max_plans or NO_END

    def _over(self) -> bool:
        return super()._over() or (self._searching and self._late())

    def _search(self) -> bool:
        whole = self._search_parts()
        self._searching = False  # what was found is made small whatever the time
        return self._shrink_all() and whole

    def _enough(self) -> bool:
        drawn, budget = self._drawn, self._budget
        if drawn.run == budget.max_plans:
            self._ended = f"{drawn.run:,} random plans were run, as asked"
        elif budget.until_plateau and drawn.run >= PLATEAU_RUNS:
            if drawn.since_new >= PLATEAU_RUNS:
                self._ended = f"a plateau: the last {drawn.since_new:,} random plans showed no new class of histories"
            elif drawn.unseen.next_new < PLATEAU:
                self._ended = f"a plateau: the next random plan shows something new with a chance below {PLATEAU:.0%}"
        return bool(self._ended)

    def _cut_short(self) -> bool:
        if super()._over() or not self._late():
            return False
        self._ended = f"its {self._budget.max_seconds:g} s were over"
        return True

    def _interruption(self) -> str:
        if self._stopped() or not self._late():
            return super()._interruption()
        faults = self.settings.max_faults
        return f"its {self._budget.max_seconds:g} s were over before every plan with at most {faults} faults was run"

    def report(self) -> Report:
        """As of any campaign, with the reason for its end and the command that ends with the same plan."""
        report = super().report()
        drawn = replace(report.random_plans, asked=self._budget.max_plans or report.random_plans.run, ended=self._ended)
        command = shlex.join([*shlex.split(report.command), "--max-plans", str(drawn.run)]) if report.command else ""
        return replace(report, random_plans=drawn, command=command)
