"""The states that runs came by: a run that comes into a known one has a known future.

The state is that of every store and participant, the messages in flight, the timers relative to now, the answers that
each process has had, and the past as far as an invariant asks.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import Final

from ...simulator import Observer
from ...simulator.state import restart_due, state_keys

TRIALS: Final = 12
WORTH: Final = 8
"""Of how many runs a state is looked at before judging by the share of known ones, which is to be one in so many
at least."""

GLANCES: Final = 2
"""How many states of a run that no fault may follow are looked at, at the most."""


class StateMemo:
    """The states that were explored, with how many further faults, and how many plans that spares."""

    def __init__(self) -> None:
        # each state with whether a restart is due (see `restart_due`) -> (faults still to strike, plans of one more)
        self._known: dict[tuple[bytes, bool], tuple[int, int]] = {}
        self._ends: set[tuple[bytes, bool]] = set()  # the same of states after which no fault is to strike
        self._new: list[tuple[tuple[bytes, ...], bool, int]] = []  # those of the current run, with their sites
        self._seen: list[tuple[bytes, bool]] = []  # what `glance` saw of the current run
        self._place = ("", 0)  # the kind of its last fault, and how many states it came by since
        self._remaining = 0
        self._spared = 0
        self._asked: Counter[tuple[str, int]] = Counter()  # by place, of runs that no fault may follow
        self._found: Counter[tuple[str, int]] = Counter()

    def __len__(self) -> int:
        return len(self._known)

    def copy(self) -> StateMemo:
        """What is known by now, to go on from."""
        memo = copy(self)
        for name, value in vars(memo).items():
            if isinstance(value, (dict, list, set)):
                setattr(memo, name, copy(value))
        return memo

    def begin(self, remaining: int) -> None:
        """A run starts after which ``remaining`` faults may follow."""
        self._remaining = remaining
        self._new = []
        self._spared = 0

    def watch(self, observer: Observer) -> bool:
        """Is the state known? Only earlier runs count: a state that recurs within one run is a loop."""
        keys = state_keys(observer, min(self._remaining, 2))
        if not keys:
            return False
        due = restart_due(observer.sim)
        known = self._known.get((keys[-1], due))
        if known is not None and known[0] >= self._remaining:
            self._spared = known[1]
            return True
        self._new.append((keys, due, len(observer.sim.trace.sites)))
        return False

    def end(self, after: list[int], *, settled: bool) -> int:
        """Keep what the run came by; ``after[n]`` is the number of faults at its site n or later. Where it ended
        ``settled``, and nothing was restarted for that, it makes no difference whether that was due. Returns how many
        plans of one more fault were spared."""
        spared = self._spared
        for keys, seen, site in self._new:
            if site >= len(after):
                continue
            for due in (False, True) if settled else (seen,):
                self._ends.add((keys[0], due))
                for key in keys[1:]:
                    self._known[key, due] = (self._remaining, after[site] + spared)
        return spared

    # -- runs that no fault may follow: fewer of their states are met again, so the first few alone are looked at,
    #    and those only where it pays: to tell a state costs a fraction of what a known one saves

    def begin_last(self, kind: str) -> None:
        """A run starts whose last fault is of ``kind``, and after which none may follow."""
        self._place = (kind, 0)
        self._seen = []

    def glance(self, observer: Observer) -> bool:
        """Is the state known, if it is looked at? Only earlier runs count, as with `watch`."""
        kind, number = place = self._place
        self._place = (kind, number + 1)
        if number + 1 >= GLANCES:
            observer.look_away()
        if self._found[place] * WORTH < self._asked[place] >= TRIALS:
            return False
        keys = state_keys(observer, 0)
        if not keys:
            return False
        seen = (keys[0], restart_due(observer.sim))
        self._asked[place] += 1
        if seen in self._ends:
            self._found[place] += 1
            return True
        self._seen.append(seen)
        return False

    def end_last(self) -> None:
        """Keep what `glance` saw."""
        self._ends.update(self._seen)
