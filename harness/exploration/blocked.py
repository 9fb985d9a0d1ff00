"""The figures of I26 over a whole campaign: how many locks there were, for how long, and how long in doubt."""

from __future__ import annotations

from dataclasses import dataclass

from ..history import History
from ..invariants import blocking


@dataclass
class Blocked:
    """Sums over the distinct histories; times in µs. ``in_doubt`` counts the locks that were held while no
    orchestrator ran that could have decided, ``waits`` the requests that were sent under a lock for its saga."""

    histories: int = 0
    locks: int = 0
    held_us: int = 0
    longest_us: int = 0
    waits: int = 0
    in_doubt: int = 0
    doubt_us: int = 0
    longest_doubt_us: int = 0

    def add(self, history: History) -> None:
        holds = blocking(history)
        self.histories += bool(holds)
        self.locks += len(holds)
        for hold in holds:
            self.held_us += hold.held_us
            self.longest_us = max(self.longest_us, hold.held_us)
            self.waits += hold.waits
            self.in_doubt += hold.in_doubt_us > 0
            self.doubt_us += hold.in_doubt_us
            self.longest_doubt_us = max(self.longest_doubt_us, hold.in_doubt_us)

    def note(self) -> str:
        """All of it in a line."""
        if not self.locks:
            return ""
        said = (
            f"a metric: {self.locks:,} locks, held for {_ms(self.held_us / self.locks)} in the mean, "
            f"{_ms(self.longest_us)} at most, over {self.waits / self.locks:.1f} requests each"
        )
        if not self.in_doubt:
            return f"{said}; none in doubt"
        mean = _ms(self.doubt_us / self.in_doubt)
        return f"{said}; {self.in_doubt:,} in doubt, for {mean} in the mean, {_ms(self.longest_doubt_us)} at most"


def _ms(us: float) -> str:
    return f"{us / 1000:,.0f} ms"
