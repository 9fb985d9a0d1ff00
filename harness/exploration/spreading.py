"""The order of parts of a campaign that may end among them: whatever was run by then is spread evenly over all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import TypeVar

_T = TypeVar("_T")


def spread(groups: Sequence[tuple[Hashable, _T]]) -> list[_T]:
    """The values such that at each moment a like share of each group has come, and within a group from all over it."""
    members: defaultdict[Hashable, list[int]] = defaultdict(list)
    for place, (group, _) in enumerate(groups):
        members[group].append(place)
    shares = {
        place: (turn + 0.5) / len(places)
        for places in members.values()
        for turn, place in enumerate(map(places.__getitem__, _halving(len(places))))
    }
    return [groups[place][1] for place in sorted(shares, key=lambda place: (shares[place], place))]


def _halving(count: int) -> list[int]:
    """The numbers below ``count`` by their bits in reverse: 0, 4, 2, 6, 1, 5, 3, 7."""
    bits = count.bit_length()
    return sorted(range(count), key=lambda number: f"{number:0{bits}b}"[::-1])
