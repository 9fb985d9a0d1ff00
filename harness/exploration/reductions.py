"""What need not be run, and why that loses nothing.

Each reduction can be switched off, and each is compared with the unreduced search in the tests: the
same outcomes, the same anomalies.

*Crash equivalence.* Crashes with no event between them that outlives the process (no durable write,
no message, nothing at a participant) leave the same world behind. One of them is run. It needs
that recovery reads durable state only, which an adapter declares.

*State memo.* A run that comes, after all its faults, into a state that an earlier run was in has the
same future. It ends there: what follows was judged, and longer plans that strike later were run
from there. The state is that of every store and participant, the messages in flight, the timers
relative to now, the answers that each process has had, and the past as far as an invariant asks.

*Forgotten retries.* Where an adapter declares that a request or write that failed, is made again in the same words and
then answered leaves no more in its process than an answer at the first time (``forgets_retries``), the failed tries
are no part of a state: the run comes back into that of the run without the fault. They are kept where a promise
counts requests, for a request without a key, and as long as what became of the failed one is under way.

*Prefix sharing.* The runs of all extensions of a plan are the same until the fault that is added strikes.
That part is not repeated: see `sagafuzz.simulator.Prefix`. It spares no plan; each run is what it would be
from the start.

*Symmetry.* Of sagas that differ in their ids only, one order of submission is searched. Every other is the same under
other names, unless ids reach an ordering: whether a run of a plan with one fault or none is another when the names
are exchanged is looked at before these plans count as spared (`sagafuzz.exploration.symmetry`). Nothing is merged
within one order: there the sagas are not alike, for one came first. Calling two states equal that are so under
exchanged names would spare 2 of 100 plans with two faults on the reference, and take longer.

*Unread clock.* Where no code asks for the time of day, a jump of the clock changes nothing: the run with it is
the run without, and one event that nobody sees. It is spared as the last of two faults or more, where the
run without it was judged, and has settled its sagas, so that no restart is due to the jump. With two faults it is
spared as the first as well, where no run with one fault reads the clock: the plan without it was among those.

*Independence.* Only requests of different sagas on the same data are delivered in both orders (the
kinds "overtaken"); all others commute. The simulator tells which share data (`Setup.unshared`); without this
reduction each request is overtaken by those of other sagas at its participant, whatever their data (`every_pair`).
Who is overtaken is late as well, and a crash that comes before the answer is an event of that process. So the kind
"slow-answer" is to be among those that are searched: it is the same delay, without the other order.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from typing import Final

from ..history import ACK, CLOCK, DELIVER, DOWN, LOG, LOST, TIMEOUT
from ..simulator import Observer
from ..simulator.state import restart_due, state_keys

CRASH_EQUIVALENCE: Final = "crash equivalence"
STATE_MEMO: Final = "state memo"
FORGOTTEN_RETRIES: Final = "forgotten retries"
PREFIX_SHARING: Final = "prefix sharing"
UNREAD_CLOCK: Final = "unread clock"
SYMMETRY: Final = "symmetry"
INDEPENDENCE: Final = "independence"
REDUCTIONS: Final = (
    CRASH_EQUIVALENCE,
    STATE_MEMO,
    FORGOTTEN_RETRIES,
    PREFIX_SHARING,
    UNREAD_CLOCK,
    SYMMETRY,
    INDEPENDENCE,
)

FEASIBLE: Final = (SYMMETRY, INDEPENDENCE)
"""Those without which the space of plans is another one; with them alone, every plan of a scenario is run."""

WHATEVER_IS_ASKED: Final = (PREFIX_SHARING, *FEASIBLE)
"""Those that are left where somebody else's invariants judge too: the others know what ours ask of a history."""

LATER_BY: Final = {
    "crash-before-send": 0,
    "crash-after-send": 1,
    "crash-after-effect": 1,
    "crash-after-ack": 0,
    "crash-before-log": 0,
    "crash-after-log": 0,
}
"""The crashes that are compared, and how many visible events each lets happen at its own site first."""

DELAY: Final = "slow-answer"
"""The kind that keeps a saga waiting for as long as being overtaken does."""

CLOCK_JUMPS: Final = frozenset({"clock-forward", "clock-back"})

GONE_WITH_THE_PROCESS: Final = frozenset({LOG, ACK, TIMEOUT, DELIVER, LOST, DOWN, CLOCK})
"""Events that leave nothing behind when the orchestrator dies: it knew of them, or nobody did."""


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
            observer.watch = None
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
