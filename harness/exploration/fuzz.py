"""A campaign without an end of its own: random plans until a budget ends, or nothing new comes any more.

What the plan of a number is depends on the seed alone; a budget only says how many there are. So the campaign that
an hour ended is the one that its number of plans would have ended, and can be run again as that.

A shard runs every n-th part of the plans, each to its end, so that nothing is run that its store does not hold. Time
and plateaus are its own affair; a number of plans is that of all shards. `MergedFuzz` counts what they hold.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from ..plain import to_plain
from ..ports import Adapter
from ..verdict import Report
from .campaign import Campaign
from .part_search import DRAWN_TOGETHER, NO_END
from .parts import Record
from .settings import Settings

PLATEAU: Final = 0.01
"""On a plateau the next run shows a new class of histories with a chance below this, as Good and Turing estimate."""

SHOWN: Final = 3
"""So many reasons for which shards ended are told."""

PLATEAU_RUNS: Final = 2000
"""Before so many runs nothing is taken for a plateau; after so many without a new class anything is."""


ENDED: Final = "ended"
"""The name of the record that a shard keeps last, where its budget ended it."""


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


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a shard ended: ``why``, and after how many random plans of the campaign, where that was ``asked`` for."""

    asked: int | None
    why: str


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
        self._drawing = False
        self._ended = ""
        self._drawn.asked = self._budget.max_plans or NO_END

    def _over(self) -> bool:
        between = self._drawing and self._parts_only  # where a shard's time ends it: whole parts only are kept
        return super()._over() or (self._searching and not between and self._late())

    def _search(self) -> bool:
        whole = self._search_parts()
        self._searching = False  # what was found is made small whatever the time
        if self._parts_only and self._ended:
            asked = self._budget.max_plans if self._all_drawn() else None
            self._keep(ENDED, json.dumps(to_plain(Ending(asked=asked, why=self._ended))))
        return (self._parts_only or self._shrink_all()) and whole

    def _draw(self) -> bool:
        self._drawing = True
        return super()._draw()

    def _all_drawn(self) -> bool:
        return self._budget.max_plans is not None and self._place >= self._budget.max_plans

    def _enough(self) -> bool:
        drawn, budget = self._drawn, self._budget
        if self._all_drawn():
            plans = f"{budget.max_plans:,} random plans"
            self._ended = (
                f"its share of {plans} was run, as asked" if self._parts_only else f"{plans} were run, as asked"
            )
        elif self._parts_only and self._late():
            self._ended = self._time_over()
        elif budget.until_plateau and drawn.run >= PLATEAU_RUNS:
            if drawn.since_new >= PLATEAU_RUNS:
                self._ended = f"a plateau: the last {drawn.since_new:,} random plans showed no new class of histories"
            elif drawn.unseen.next_new < PLATEAU:
                self._ended = f"a plateau: the next random plan shows something new with a chance below {PLATEAU:.0%}"
        return bool(self._ended)

    def _cut_short(self) -> bool:
        if super()._over() or not self._late():
            return False
        self._ended = self._time_over()
        return True

    def _time_over(self) -> str:
        return f"its {self._budget.max_seconds:g} s were over"

    def _interruption(self) -> str:
        if self._stopped() or not self._late():
            return super()._interruption()
        faults = self.settings.max_faults
        return f"{self._time_over()} before every plan with at most {faults} faults was run"

    def report(self) -> Report:
        """As of any campaign, with the reason for its end and the command that ends with the same plan."""
        report = super().report()
        drawn = replace(report.random_plans, asked=self._budget.max_plans or report.random_plans.run, ended=self._ended)
        end = str(self._last_plan())
        command = shlex.join([*shlex.split(report.command), "--max-plans", end]) if report.command else ""
        return replace(report, random_plans=drawn, command=command)

    def _last_plan(self) -> int:
        """The number of the last random plan, from 1."""
        return self._drawn.run


class MergedFuzz(Fuzz):
    """Counts what shards of a campaign hold, of the random parts those with the names ``held``, and searches none.
    ``endings`` are those of the shards that came to one, ``unended`` tells in words of each other shard."""

    def __init__(
        self,
        adapter: Adapter,
        settings: Settings,
        *,
        held: Collection[str],
        endings: Sequence[Ending],
        unended: Sequence[str],
        **listeners: Any,
    ) -> None:
        numbers = {ending.asked for ending in endings}
        asked = numbers.pop() if len(numbers) == 1 else None  # else each ended by itself: all that they hold counts
        super().__init__(adapter, settings, budget=Budget(max_plans=asked), **listeners)
        self._held = held
        self._unended = unended
        self._whys = list(dict.fromkeys(ending.why for ending in endings))
        self._end = asked if asked is not None else max(map(self._end_of, held), default=0)

    def _end_of(self, part: str) -> int:
        """How many random plans there are to the end of that part, in the order of the campaign."""
        index, start = map(int, part.split("/")[1:])
        return start * len(self.scenarios) + (index + 1) * DRAWN_TOGETHER

    def _draw(self) -> bool:
        whole = super()._draw()
        if self._unended:
            self._ended = ""
        return whole and not self._unended

    def _part(self, name: str, search: Callable[[], Record]) -> Record | None:
        return super()._part(name, search) if not self._drawing or name in self._held else None

    def _enough(self) -> bool:
        if self._place < self._end:
            return False
        if self._budget.max_plans is not None:
            return super()._enough()
        self._ended = "; ".join(self._whys[:SHOWN]) + ("; …" if len(self._whys) > SHOWN else "")
        if self._drawn.run < self._end:
            self._ended = f"of the first {self._end:,} its shards ran these before they ended: {self._ended}"
        return True

    def _interruption(self) -> str:
        return "; ".join(self._unended) if self._unended and not self._stopped() else super()._interruption()

    def _last_plan(self) -> int:
        return self._end
