"""Plans drawn independently of one another, with more faults than the search enumerates.

Each run has a random source of its own, made of the seed and its number, and draws from it how often and with
which kinds of faults it strikes (swarm testing: Groce et al., ISSTA 2012). Nothing is learnt from one run for the
next and none is left out as a repetition, so that what holds of N independent runs may be said. Where three or
more sagas run at once, each run draws priorities for them as well (see `schedule`).
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from ..faults import AT_SEND, Fault, Plan, Site
from ..history import rows_digest
from ..simulator import Run, Setup, simulate
from .cases import Case, mode_of
from .enumerator import Enumerator
from .parting import NotDeterministic, difference
from .reductions import SHAPING

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
    enumerator = Enumerator(setup, max_faults, only, reductions=SHAPING)
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
    fired = run.struck == len(faults)
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
