"""Plans drawn independently of one another, with more faults than the search enumerates.

Each run has a random source of its own, made of the seed and its number, and draws from it how often and with
which kinds of faults it strikes (swarm testing: Groce et al., ISSTA 2012). Nothing is learnt from one run for the
next and none is left out as a repetition, so that what holds of N independent runs may be said. Where three or
more sagas run at once, each run draws priorities for them as well (see `schedule`).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from ..faults import AT_SEND, Fault, Plan, Site
from ..history import Row, rows_digest
from ..simulator import Run, Setup, simulate
from ..verdict import RandomPlans, Unseen, Verdict
from .cases import Case, mode_of
from .enumerator import Enumerator
from .judge import NotDeterministic, difference
from .reductions import FEASIBLE

SCHEDULED: Final = 3
"""From so many sagas on a plan carries priorities: of two, both orders of what conflicts are enumerated."""

CHANGES: Final = 2
"""How often at most a saga falls behind in the middle of a run: with 2, bugs of depth 3 are hit on purpose."""

_NO_PRIORITIES: Final[tuple[Site, ...]] = ()

RATES: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""How likely a site is to be struck; a run draws one of them."""


@dataclass(frozen=True, kw_only=True)
class Swarm:
    """What one run strikes with: the kinds that it uses, and how likely it strikes a site."""

    kinds: frozenset[str]
    rate: float


def random_plans(
    setup: Setup,
    count: int,
    seed: int,
    max_faults: int,
    only: Collection[str] | None = None,
    *,
    priorities: bool = False,
    start: int = 0,
) -> Iterator[Case]:
    """``count`` independent plans of at most ``max_faults`` faults, each run, in the order of their numbers from
    ``start`` on. With ``priorities`` each carries a schedule of them, where so many sagas run at once that the search
    does not go through their orders."""
    enumerator = Enumerator(setup, max_faults, only, reductions=FEASIBLE)
    plain = simulate(setup)
    for number in range(start, start + count):
        rng = random.Random(f"{seed}/{setup.scenario.name}/{number}")
        run, yields = plain, _NO_PRIORITIES
        if priorities and setup.scenario.sagas >= SCHEDULED:
            yields = schedule(plain, rng)
            run = simulate(setup, Plan(yields=yields))
        yield _walk(enumerator, run, rng, max_faults, yields)


def schedule(run: Run, rng: random.Random) -> tuple[Site, ...]:
    """Priorities drawn as by Burckhardt et al. (ASPLOS 2010): the sagas in any order, of which the first goes
    first, and up to CHANGES requests, anywhere in the run, at which a saga falls behind all others."""
    requests = [Site._make(site) for site in run.sites if site[3] == AT_SEND and site[2]]
    first: dict[str, Site] = {}
    for site in requests:
        first.setdefault(site.saga, site)
    order = list(first.values())
    rng.shuffle(order)
    starts = set(order)
    later = [site for site in requests if site not in starts]
    return (*order[1:], *rng.sample(later, min(rng.randint(0, CHANGES), len(later))))


def swarm(setup: Setup, rng: random.Random, only: Collection[str] | None = None) -> Swarm:
    """Half of the feasible kinds, and a rate."""
    kinds = sorted(kind for kind in setup.kinds if only is None or kind in only)
    return Swarm(kinds=frozenset(kind for kind in kinds if rng.random() < 0.5), rate=rng.choice(RATES))


def _walk(enumerator: Enumerator, run: Run, rng: random.Random, max_faults: int, yields: tuple[Site, ...] = ()) -> Case:
    """Go along the sites of a run, strike some, and go on along those of the run that comes of it."""
    setup = enumerator.setup
    chosen = swarm(setup, rng, enumerator.only)
    faults: tuple[Fault, ...] = ()
    digest = before = rows_digest(run.rows)
    start = struck = 0
    while len(faults) < max_faults:
        fault = _next(enumerator, rng, chosen, run, start)
        if fault is None:
            break
        plan = Plan(faults=(*faults, fault), yields=yields)
        run = simulate(setup, plan)
        if fault.site not in run.sites:
            before_it = Plan(faults=faults, yields=yields)
            raise NotDeterministic(f"{before_it}: {difference(setup, before_it)}")
        faults, before, digest = plan.faults, digest, rows_digest(run.rows)
        struck = run.sites.index(fault.site)
        start = struck + 1
    fired = len(run.fired) == len(faults)
    mode = mode_of(run, struck) if faults else ""
    return Case(Plan(faults=faults, yields=yields), run, digest, fired, bool(faults) and digest != before, mode)


def _next(enumerator: Enumerator, rng: random.Random, chosen: Swarm, run: Run, start: int) -> Fault | None:
    """The fault at the first site from ``start`` on that the dice strike; None where they strike none."""
    for index in range(start, len(run.sites)):
        site = run.sites[index]
        excluded = run.impossible.get(index, ())
        kinds = [kind for kind in enumerator.kinds(site) if kind in chosen.kinds and kind not in excluded]
        if kinds and rng.random() < chosen.rate:
            return enumerator.fault(rng.choice(kinds), site)
    return None


class Drawn:
    """Counts of the random plans of a campaign. ``since_new`` counts those since a new class of histories was seen."""

    def __init__(self, asked: int, max_faults: int) -> None:
        self.asked = asked
        self._max_faults = max_faults
        self.run = self.fired = self.since_new = 0
        self._violated = 0
        self._by_faults: Counter[int] = Counter()
        self._classes: Counter[bytes] = Counter()

    def add(self, case: Case, verdict: Verdict) -> None:
        """Count a run."""
        self.run += 1
        self.fired += case.fired
        self._violated += bool(verdict.violations)
        self._by_faults[len(case.plan)] += 1
        found = trace_class(case.run.rows)
        self._classes[found] += 1
        self.since_new = self.since_new + 1 if self._classes[found] > 1 else 0

    @property
    def unseen(self) -> Unseen:
        return unseen(self._classes)

    def result(self) -> RandomPlans:
        """What is known by now."""
        return RandomPlans(
            asked=self.asked,
            run=self.run,
            fired=self.fired,
            violated=self._violated,
            max_faults=self._max_faults,
            by_faults=tuple(self._by_faults[n] for n in range(max(self._by_faults, default=-1) + 1)),
            unseen=self.unseen,
        )


def trace_class(rows: Iterable[Row]) -> bytes:
    """A hash of what happened in which order, without the times."""
    return rows_digest([row[1:] for row in rows])  # type: ignore[misc]


def unseen(classes: Counter[bytes]) -> Unseen:
    """The counts that the Good–Turing estimate needs, of how often each class of traces was seen."""
    return Unseen(
        runs=classes.total(),
        classes=len(classes),
        singletons=sum(1 for count in classes.values() if count == 1),
    )
