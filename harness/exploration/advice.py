"""What `sagafuzz doctor` would say of an adapter, as far as a few more runs of a campaign tell it.

A campaign spares runs by what an adapter declares: that recovery is by durable state alone, that retries are forgotten,
that an id is only a name. Here each of these is tried on a few of the plans that were spared. A run without a fault
shows the coroutines and requests that nobody awaits. None of it changes a verdict: it is said beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Final

from ..faults import FAULT_KINDS, Plan
from ..simulator import Setup, simulate
from .awaits import never_awaited
from .cases import Case
from .checkup import after_the_crash, done_after_last
from .enumerator import Enumerator
from .reductions import SHAPING
from .reductions.crashes import visible_before
from .reductions.symmetry import told_by_ids

TRIED: Final = 6
"""So many of the plans that a declaration spares are run."""


def advice(setup: Setup, singles: Sequence[Case], only: Collection[str] | None = None) -> Iterator[str]:
    """A sentence for each coroutine or request that nobody awaits, and for each declaration that does not hold of one
    scenario. ``singles`` are some of its plans with one fault, as they were run; ``only`` restricts the kinds of
    faults."""
    adapter, name = setup.adapter, setup.scenario.name
    yield from never_awaited(setup)
    if adapter.durable_recovery and (pair := next(_undurable(setup, only), "")):
        yield f"scenario {name}: {undurable(pair)}"
    if adapter.forgets_retries and (pair := next(_remembered(setup, singles), "")):
        yield f"scenario {name}: {remembered(pair)}"
    if found := told_by_ids(setup, [Plan()]):
        yield f"scenario {name}: {by_ids(found)}"


def undurable(pair: str) -> str:
    """What is said of two crashes that leave the same behind, and after which different things happen."""
    return (
        f"recovery is not by durable state alone: {pair} leave the same behind, and different things happen "
        f"afterwards (it may go by the time, or by messages under way); write durable_recovery=False, so that each "
        f"crash is run"
    )


def remembered(pair: str) -> str:
    """What is said of two plans that differ in a retry only, and end in different ways."""
    return (
        f"retries are not forgotten: {pair} end in different ways, although the first fault of the former was got "
        f"over; leave forgets_retries out, so that each retry counts"
    )


def by_ids(difference: str) -> str:
    """What is said of sagas that differ in their ids only, and yet not."""
    return (
        f"its sagas differ in their ids only, and yet it matters which comes first; with --without symmetry a campaign "
        f"submits them in every order. Seen with {difference}"
    )


def _undurable(setup: Setup, only: Collection[str] | None) -> Iterator[str]:
    """Some of the crashes that leave the same world behind, the first and the last of each kind of world."""
    plain = simulate(setup)
    visible = visible_before(plain)
    by_moment: dict[int, list[Plan]] = {}
    for fault in Enumerator(setup, 1, only, reductions=SHAPING).extensions(plain.sites, plain.impossible):
        later = FAULT_KINDS[fault.kind].visible_first
        if later is not None:
            moment = visible[plain.sites.index(fault.site)] + later
            by_moment.setdefault(moment, []).append(Plan(faults=(fault,)))
    alike = [plans for plans in by_moment.values() if len(plans) > 1]
    for one, *_, other in alike[:: len(alike) // TRIED + 1]:
        if _differ(setup, one, other):
            yield f"{one}, and {other}"


def _differ(setup: Setup, one: Plan, other: Plan) -> bool:
    runs = [simulate(setup, plan) for plan in (one, other)]
    return all(run.fired for run in runs) and after_the_crash(runs[0]) != after_the_crash(runs[1])


def _remembered(setup: Setup, singles: Sequence[Case]) -> Iterator[str]:
    """Pairs of faults that a retry gets over, beside the second of them alone."""
    if setup.scenario.sagas > 1:
        return
    passing = [case for case in singles if FAULT_KINDS[case.plan.faults[0].kind].got_over and case.fired]
    for first, second in islice(_pairs(passing), TRIED):
        both = Plan(faults=(*first.plan.faults, *second.plan.faults))
        run, alone = simulate(setup, both), simulate(setup, second.plan)
        if len(run.fired) == 2 and done_after_last(run) != done_after_last(alone):
            yield f"{both}, and {second.plan}"


def _pairs(passing: Sequence[Case]) -> Iterator[tuple[Case, Case]]:
    """Each of them with the first one later that strikes another call."""
    for first in passing:
        site = first.plan.faults[0].site
        after = first.run.sites[first.run.sites.index(site) + 1 :]
        for second in passing:
            other = second.plan.faults[0].site
            if other[1:3] != site[1:3] and other in after:
                yield first, second
                break
