"""Priorities among sagas that run at once: which of them goes on first.

The randomised scheduler of Burckhardt, Kothari, Musuvathi and Nagarakatte (A randomized scheduler with
probabilistic guarantees of finding bugs, ASPLOS 2010) gives each thread a priority and lowers it at a few
moments. Here a saga is a thread, and the moments are requests of it that a plan names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ..faults import Site

QUIET_US: Final = 3_000
"""For how long a saga must have sent nothing and heard nothing to count as waiting: longer than a round trip."""


class Priorities:
    """The rank of each saga in one run. It has none, and goes first, until it reaches one of ``yields``; from
    there on its rank is the number of that site, and it lets every saga of a lower one go first."""

    __slots__ = ("_at", "_ranks", "_stirred")

    def __init__(self, yields: Sequence[Site]) -> None:
        self._at = {tuple(site): number for number, site in enumerate(yields, 1)}
        self._ranks: dict[str, int] = {}
        self._stirred: dict[str, int] = {}  # when each saga last sent or heard something

    def reached(self, site: tuple[str, str, str, str, int]) -> None:
        """A request is about to be sent."""
        number = self._at.get(site)
        if number is not None:
            self._ranks[site[0]] = number

    def stir(self, saga: str, now_us: int) -> None:
        """The saga sent something, or had an answer."""
        self._stirred[saga] = now_us

    def waits(self, saga: str, now_us: int) -> bool:
        """True if a saga that goes first is under way."""
        rank = self._ranks.get(saga, 0)
        return rank > 0 and any(
            self._ranks.get(other, 0) < rank and now_us - at_us < QUIET_US for other, at_us in self._stirred.items()
        )
