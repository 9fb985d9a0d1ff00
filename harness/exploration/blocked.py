"""The figures of I26 over a whole campaign: how many locks there were, for how long, and how long in doubt."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from statistics import median

from ..history import History
from ..invariants import blocking
from .cases import Hold


@dataclass
class Blocked:
    """What the distinct histories show. ``held_us`` has an entry for each lock; ``in_doubt_us`` one for each that was
    held while no orchestrator ran that could have decided. ``waits`` counts the requests that were sent under a lock
    for its saga."""

    histories: int = 0
    waits: int = 0
    held_us: list[int] = field(default_factory=list)
    in_doubt_us: list[int] = field(default_factory=list)

    def add(self, holds: Collection[Hold]) -> None:
        """Count the locks of a history."""
        self.histories += bool(holds)
        for waits, held_us, in_doubt_us in holds:
            self.waits += waits
            self.held_us.append(held_us)
            if in_doubt_us:
                self.in_doubt_us.append(in_doubt_us)

    def note(self) -> str:
        """All of it in a line; "" where there was no lock."""
        if not self.held_us:
            return ""
        doubt = f"for {_spread(self.in_doubt_us)}" if self.in_doubt_us else "by no crash"
        return (
            f"a metric: {len(self.held_us):,} locks, each over {self.waits / len(self.held_us):.1f} requests, for "
            f"{_spread(self.held_us)}; {len(self.in_doubt_us):,} in doubt, {doubt}"
        )


def holds_in(history: History) -> tuple[Hold, ...]:
    """The locks that a history shows."""
    return tuple((hold.waits, hold.held_us, hold.in_doubt_us) for hold in blocking(history))


def _spread(times_us: list[int]) -> str:
    return f"{_in_words(median(times_us))} (median), {_in_words(max(times_us))} at most"


def _in_words(us: float) -> str:
    return f"{us / 1e3:,.0f} ms" if us < 1e7 else f"{us / 1e6:,.0f} s"
