"""The states that runs came by: a run that comes into a known one has a known future.

The state is that of every store and participant, the messages in flight, the timers relative to now, the answers that
each process has had, and the past as far as an invariant asks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import copy, deepcopy
from typing import Final, TypeAlias

from ...faults import Plan, Site
from ...simulator import Observer
from ...simulator.readings import Readings
from ...simulator.simulation import Stretch
from ...simulator.state import State, restart_due
from ...trace import SiteKind

TRIALS: Final = 2
WORTH: Final = 3
"""Of how many runs a state is looked at before judging by the share of known ones, which is to be one in so many
at least."""

TRIALS_OF_FRAMES: Final = 60
"""After so many looks at frames, wherever that was, it is judged whether they are worth it at all."""

GLANCES: Final = 2
"""How many states of a run that no fault may follow are looked at, at the most."""

Place: TypeAlias = tuple[str, int]
"""Where a run that no fault may follow is looked at: the kind of its last fault, and how many looks came before."""


class _Looks:
    """How often it was looked somewhere, and how often that ``paid``."""

    __slots__ = ("made", "paid")

    def __init__(self) -> None:
        self.made = self.paid = 0

    def are_in_vain(self, trials: int = TRIALS, worth: int = WORTH) -> bool:
        """True if, of enough of them, fewer than one in ``worth`` paid."""
        return self.made >= trials and self.paid * worth < self.made


class StateMemo:
    """The states that were explored, with how many further faults, and how many plans that spares."""

    def __init__(self) -> None:
        # each state with whether a restart is due (see `restart_due`) -> (faults still to strike, plans of one more)
        self._known: dict[tuple[bytes, bool], tuple[int, int]] = {}
        self._ends: dict[tuple[bytes, bool], Plan] = {}  # of states after which no fault is to strike: whose they were
        self._worlds: set[bytes] = set()  # around the processes, of those states in which a fault may follow
        self._new: list[tuple[tuple[bytes, ...], bool, int]] = []  # those of the current run, with their sites
        self._own: dict[tuple[bytes, bool], int] = {}  # the first site at which the current run was in each
        self._loops: list[int] = []  # the sites at which it came into one of them again
        self._own_worlds: set[bytes] = set()  # around the processes, in the current run
        self._seen: list[tuple[bytes, bool]] = []  # what `glance` saw of the current run
        self._place: Place = ("", 0)
        self._finders: dict[tuple[bytes, bool], Place] = {}  # of the states that were noted there: where that was
        self._plan = Plan()  # of the current run
        self.met = Plan()  # the plan whose run was in the state in which the last one was ended
        self._remaining = 0
        self._spared = 0
        self._glances: defaultdict[Place, _Looks] = defaultdict(_Looks)  # what was known, or was met again later
        self._glances_at_frames: defaultdict[Place, _Looks] = defaultdict(_Looks)  # what was known by nothing else
        self._at_frames = _Looks()  # the same, wherever it was
        self._readings = Readings()

    def __len__(self) -> int:
        return len(self._known)

    def copy(self) -> StateMemo:
        """What is known by now, to go on from."""
        memo = copy(self)
        for name, value in vars(memo).items():
            if isinstance(value, (defaultdict, _Looks)):
                setattr(memo, name, deepcopy(value))
            elif isinstance(value, (dict, list, set)):
                setattr(memo, name, copy(value))
        return memo

    def begin(self, plan: Plan, remaining: int) -> None:
        """A run of ``plan`` starts, after which ``remaining`` faults may follow."""
        self._plan = plan
        self._remaining = remaining
        self._new = []
        self._own = {}
        self._loops = []
        self._own_worlds = set()
        self._spared = 0

    def watch(self, observer: Observer) -> bool:
        """Is the state known? Only earlier runs count: a state that recurs within one run is a loop, in which a later
        fault does what the same fault does a round earlier."""
        state = State(observer, min(self._remaining, 2))
        due, site = restart_due(observer.sim), len(observer.sim.trace.sites)
        by_answers = state.by_answers()
        if self._is_explored(by_answers, due, site):
            return True
        self._worlds.add(state.world)
        return self._frames_may_tell(state, by_answers, observer) and self._is_explored(
            state.by_frames(self._readings), due, site
        )

    def _frames_may_tell(self, state: State, by_answers: tuple[bytes, ...], observer: Observer) -> bool:
        """True if it pays to tell a state by its frames. Where the answers tell it, and what was tried in vain is
        forgotten, they tell more of who polls alone, around whom nothing is another in the next round."""
        came_back = state.world in self._own_worlds
        self._own_worlds.add(state.world)
        enough = by_answers and observer.sim.setup.forgets_retries and not came_back
        return not enough and not self._at_frames.are_in_vain(TRIALS_OF_FRAMES)

    def _is_explored(self, keys: tuple[bytes, ...], due: bool, site: int) -> bool:
        """True if the state of these keys is known, with as many faults to come; else it is noted."""
        if not keys:
            return False
        known = self._known.get((keys[-1], due))
        if known is not None and known[0] >= self._remaining:
            self._spared = known[1]
            self.met = self._ends[keys[0], due]
            return True
        self._new.append((keys, due, site))
        if self._own.setdefault((keys[-1], due), site) < site:
            self._loops.append(site)
        return False

    def repeated(self, stretches: Iterable[Stretch], sites: Sequence[Site]) -> tuple[range, ...]:
        """The numbers of the ``sites`` at which the current run did what it had done before, but for the time: in each
        stretch those from a state on in which it had been, and after it those of the same kinds: with a fault for one
        it is not told that it goes round, and that strikes a round. What the harness does when a run is at rest comes
        once."""
        begun, found, foretold = 0, [], frozenset[SiteKind]()
        for until, at, foretold_by_then in stretches:
            first = min((site for site in (*self._loops, at) if begun <= site < until), default=until)
            found += [range(n, n + 1) for n in range(begun, first) if sites[n][:3] in foretold]
            if first < until:
                found.append(range(first, until))
            begun, foretold = until, foretold_by_then
        return tuple(found)

    def end(self, after: list[int], repeated: Iterable[range], *, settled: bool) -> int:
        """Keep what the run came by; ``after[n]`` is the number of faults at its site n or later, and at the sites
        ``repeated`` none is to strike. Where it ended ``settled``, and nothing was restarted for that, it makes no
        difference whether that was due. Returns how many plans of one more fault were spared."""
        spared = self._spared + sum(after[sites.start] - after[sites.stop] for sites in repeated)
        for keys, seen, site in self._new:
            if site >= len(after):
                continue
            for due in (False, True) if settled else (seen,):
                self._ends.setdefault((keys[0], due), self._plan)
                for key in keys[1:]:
                    self._known[key, due] = (self._remaining, after[site] + spared)
        return spared

    # -- runs that no fault may follow: fewer of their states are met again, so the first few alone are looked at,
    #    and those only where it pays: to tell a state costs a fraction of what a known one saves

    def begin_last(self, plan: Plan) -> None:
        """A run of ``plan`` starts, after whose last fault none may follow."""
        self._plan = plan
        self._place = (plan.faults[-1].kind, 0)
        self._seen = []

    def glance(self, observer: Observer) -> bool:
        """Is the state known, if it is looked at? Only earlier runs count, as with `watch`."""
        kind, number = self._place
        if number + 1 >= GLANCES:
            observer.look_away()
        try:
            return self._is_met_again(observer)
        finally:
            self._place = (kind, number + 1)

    def _is_met_again(self, observer: Observer) -> bool:
        place = self._place
        glances = self._glances[place]
        if glances.are_in_vain():
            return False
        glances.made += 1
        state = State(observer, 0)
        due = restart_due(observer.sim)
        if self._is_known(state.by_answers(), due):
            return True
        if state.world not in self._worlds:
            self._worlds.add(state.world)  # whose processes are looked at when it is met again
            return False
        at_frames = self._glances_at_frames[place]
        vain = at_frames.are_in_vain() or self._at_frames.are_in_vain(TRIALS_OF_FRAMES)
        keys = () if vain else state.by_frames(self._readings)
        known = self._is_known(keys, due)
        for looks in (at_frames, self._at_frames) if keys else ():
            looks.made += 1
            looks.paid += known
        return known

    def _is_known(self, keys: tuple[bytes, ...], due: bool) -> bool:
        """True if the state of these keys is known; else it is noted. That pays here, and where it was noted."""
        if not keys:
            return False
        seen = keys[0], due
        if seen not in self._ends:
            self._seen.append(seen)
            self._finders[seen] = self._place
            return False
        self._glances[self._place].paid += 1
        finder = self._finders.get(seen)
        if finder is not None:
            self._glances[finder].paid += 1
        self.met = self._ends[seen]
        return True

    def end_last(self) -> None:
        """Keep what `glance` saw."""
        for seen in self._seen:
            self._ends.setdefault(seen, self._plan)
