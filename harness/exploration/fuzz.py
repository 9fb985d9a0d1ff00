"""When a campaign without an end of its own ends: at the end of a budget, or where nothing new comes any more.

What the plan of a number is depends on the seed alone; a budget only says how many there are. So the campaign that
an hour ended is the one that its number of plans would have ended, and can be run again as that.

A shard runs every n-th part of the plans, each to its end, so that nothing is run that its store does not hold. Time
and plateaus are its own affair; a number of plans is that of all shards. `EndOfShards` counts what they hold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .drawn import Drawn
from .part_search import DRAWN_TOGETHER, NO_END
from .stopping import Ending, Ends, Stop, Why, never

PLATEAU: Final = 0.01
"""On a plateau the next run shows a new class of histories with a chance below this, as Good and Turing estimate."""

SHOWN: Final = 3
"""So many reasons for which shards ended are told."""

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
        """True if the time is over, counted from now on."""
        if self.max_seconds is None:
            return never
        end = time.monotonic() + self.max_seconds
        return lambda: time.monotonic() >= end


@dataclass(frozen=True, kw_only=True)
class EndOfTime:
    """The end of a campaign that runs every plan, and then ``asked`` random ones, after ``seconds`` of real time: the
    part that is under way is finished, as long as it takes no more than as much time again. ``passed`` gives the
    seconds since its beginning."""

    seconds: float
    asked: int
    passed: Callable[[], float]
    spread: bool = True
    pairs: int | None = None

    def late(self) -> bool:
        return self.passed() >= self.seconds

    def before_plan(self, *, drawn: bool) -> Stop | None:
        return self._stop if self.passed() >= 2 * self.seconds else None

    def before_deeper(self) -> Stop | None:
        return self._stop if self.late() else None

    def before_part(self, drawn: Drawn, place: int) -> Stop | None:
        return self._stop if self.late() else None

    def after_parts(self, stop: Stop | None) -> Stop | None:
        return stop

    def ending(self, stop: Stop | None) -> Ending | None:
        return None

    @property
    def _stop(self) -> Stop:
        return Why.OUT_OF_TIME.stop(seconds=self.seconds)


def end_of_time(seconds: float, random_plans: int, pairs: int | None = None) -> EndOfTime:
    """The time begins now."""
    begun = time.monotonic()
    return EndOfTime(seconds=seconds, asked=random_plans, passed=lambda: time.monotonic() - begun, pairs=pairs)


@dataclass(frozen=True, kw_only=True)
class EndOfBudget:
    """The end of ``budget``; ``late`` is asked whether its time is over. ``faults`` are enumerated before. A ``shard``
    ends between two parts of its random plans, so that it keeps whole ones only."""

    budget: Budget
    faults: int
    late: Callable[[], bool] = never
    shard: bool = False
    spread: bool = False
    pairs: None = None

    @property
    def asked(self) -> int:
        return NO_END if self.budget.max_plans is None else self.budget.max_plans

    def before_plan(self, *, drawn: bool) -> Stop | None:
        if (drawn and self.shard) or not self.late():
            return None
        if drawn:
            return self._time_over()
        return Why.TOO_LATE.stop(seconds=self.budget.max_seconds, faults=self.faults)

    def before_deeper(self) -> Stop | None:
        return None

    def before_part(self, drawn: Drawn, place: int) -> Stop | None:
        if place >= self.asked:
            return (Why.SHARE_AS_ASKED if self.shard else Why.AS_ASKED).stop(plans=self.asked)
        if self.shard and self.late():
            return self._time_over()
        if self.budget.until_plateau and drawn.run >= PLATEAU_RUNS:
            if drawn.since_new >= PLATEAU_RUNS:
                return Why.NOTHING_NEW.stop(plans=drawn.since_new)
            if drawn.unseen.next_new < PLATEAU:
                return Why.HARDLY_NEW.stop(chance=PLATEAU)
        return None

    def after_parts(self, stop: Stop | None) -> Stop | None:
        return stop

    def ending(self, stop: Stop | None) -> Ending | None:
        if not self.shard or stop is None or stop.ends is not Ends.RANDOM_PLANS:
            return None
        asked = self.budget.max_plans if stop.why is Why.SHARE_AS_ASKED else None
        return Ending(asked=asked, why=stop.sentence)

    def _time_over(self) -> Stop:
        return Why.TIME_OVER.stop(seconds=self.budget.max_seconds)


@dataclass(frozen=True, kw_only=True)
class EndOfShards:
    """The end of what shards have drawn: after ``last`` random plans, which were ``planned`` (None: each shard ended
    by itself, for one of ``whys``). ``unended`` tells in words of each shard that came to no end; ``alone`` says that
    it is one shard of several."""

    last: int
    planned: int | None
    whys: Sequence[str]
    unended: Sequence[str] = ()
    alone: bool = False
    spread: bool = False
    pairs: None = None

    @property
    def asked(self) -> int:
        return NO_END if self.planned is None else self.planned

    def before_plan(self, *, drawn: bool) -> Stop | None:
        return None

    def before_deeper(self) -> Stop | None:
        return None

    def before_part(self, drawn: Drawn, place: int) -> Stop | None:
        if place < self.last:
            return None
        if self.planned is not None:
            return (Why.SHARE_AS_ASKED if self.alone else Why.AS_ASKED).stop(plans=self.planned)
        why = "; ".join(self.whys[:SHOWN]) + ("; …" if len(self.whys) > SHOWN else "")
        if drawn.run < self.last:
            why = f"of the first {self.last:,} its shards ran these before they ended: {why}"
        return Why.SHARDS_ENDED.stop(detail=why)

    def after_parts(self, stop: Stop | None) -> Stop | None:
        if not self.unended or (stop is not None and stop.ends is Ends.CAMPAIGN):
            return stop
        return Why.SHARDS_CUT_SHORT.stop(detail="; ".join(self.unended))

    def ending(self, stop: Stop | None) -> Ending | None:
        return None


def end_of_shards(
    endings: Sequence[Ending], held: Iterable[str], scenarios: int, unended: Sequence[str], *, alone: bool
) -> EndOfShards:
    """Where the shards of a campaign of so many scenarios ended, of whose random parts they hold those with the names
    ``held``. Where all were asked for the same number of plans, it is after these."""
    numbers = {ending.asked for ending in endings}
    planned = numbers.pop() if len(numbers) == 1 else None
    return EndOfShards(
        last=planned if planned is not None else max((_end_of(part, scenarios) for part in held), default=0),
        planned=planned,
        whys=tuple(dict.fromkeys(ending.why for ending in endings)),
        unended=tuple(unended),
        alone=alone,
    )


def _end_of(part: str, scenarios: int) -> int:
    """How many random plans there are to the end of that part, in the order of the campaign."""
    index, start = map(int, part.split("/")[1:])
    return start * scenarios + (index + 1) * DRAWN_TOGETHER
