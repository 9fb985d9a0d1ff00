"""Is an adapter fit to be searched? What a few hundred runs tell of it before a campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from ..faults import FAULT_KINDS, Plan, Site
from ..history import ALERT, CLIENT_ACK, CRASH, DEAD_LETTER, KEY, KIND, LOGACK, SEND, TERMINAL, Row
from ..ports import Adapter
from ..scenario import Scenario
from ..simulator import Run, Setup, simulate
from .awaits import never_awaited
from .cases import Case
from .enumerator import Enumerator
from .judge import outcome_of
from .parting import parted
from .reductions import SHAPING
from .reductions.crashes import GONE_WITH_THE_PROCESS, visible_before
from .reductions.symmetry import told_by_ids
from .vacuity import completes, meant_to_succeed

Counting = Callable[[str, Iterable[Any], int], Iterable[Any]]

_DOINGS: Final = frozenset({SEND, LOGACK, TERMINAL, CLIENT_ACK, DEAD_LETTER, ALERT})


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """What was found of one scenario.

    ``outcome`` is what the clients were told without a fault. ``sites`` counts the sites of that run by phase,
    ``kinds`` the sites that each kind can strike. ``plans`` are the numbers of plans with exactly 0, 1 and 2 faults,
    before any reduction. ``difference`` is the first event in which two runs of one plan differ ("" where none do);
    ``undurable`` the crashes after which recovery went different ways although they left the same behind;
    ``remembered`` the plans that went another way after a retry than without one, where the adapter says that it
    forgets them;
    ``never_awaited`` a sentence for each coroutine or request that nobody awaits;
    ``told_by_ids`` the first event that is another where identical sagas exchange their ids. ``completes``: that the
    scenario completed without a fault, or is not meant to.
    """

    scenario: Scenario
    outcome: str
    sites: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    plans: tuple[int, int, int] = (1, 0, 0)
    difference: str = ""
    undurable: tuple[str, ...] = ()
    remembered: tuple[str, ...] = ()
    never_awaited: tuple[str, ...] = ()
    told_by_ids: str = ""
    completes: bool = True


def check_up(adapter: Adapter, scenario: Scenario, counting: Counting = lambda _, things, __: things) -> Checkup:
    """Run every plan with at most one fault, each twice, and pairs of those that a retry gets over. Each stage goes
    over ``counting(its name, its things, how many they are)``; 0 where that is not known."""
    setup = Setup(adapter=adapter, scenario=scenario)
    enumerator = Enumerator(setup, 1, reductions=SHAPING)
    cases = list(counting(f"{scenario.name}: plans with at most one fault", enumerator.cases(), 0))
    again = counting(f"{scenario.name}: the same again", cases, len(cases))
    exchanged = counting(f"{scenario.name}: with ids exchanged", [case.plan for case in cases], len(cases))
    plain, *struck = cases
    twice = (parted(setup, case.plan, case.run, simulate(setup, case.plan)) for case in again)
    return Checkup(
        scenario=scenario,
        outcome=outcome_of(plain.run, setup),
        sites=Counter(Site._make(site).phase for site in plain.run.sites),
        kinds=Counter(case.plan.faults[0].kind for case in struck),
        plans=(1, len(struck), sum(extensions(enumerator, case) for case in struck)),
        difference=next(filter(None, twice), ""),
        undurable=tuple(_undurable(struck)) if adapter.durable_recovery else (),
        remembered=tuple(islice(_remembered(setup, struck), 3)) if adapter.forgets_retries else (),
        never_awaited=never_awaited(setup),
        told_by_ids=told_by_ids(setup, exchanged, {case.plan: case.run for case in cases}),
        completes=completes(plain.run, setup) or not meant_to_succeed(plain.run, setup),
    )


def extensions(enumerator: Enumerator, case: Case) -> int:
    """How many plans extend that of ``case`` by one fault."""
    after = case.run.sites.index(case.plan.faults[-1].site) + 1
    impossible = {index - after: kinds for index, kinds in case.run.impossible.items()}
    return sum(1 for _ in enumerator.extensions(case.run.sites[after:], impossible))


def _undurable(struck: list[Case]) -> list[str]:
    """Pairs of crashes that left the same world behind, and after which different things happened."""
    first: dict[int, tuple[Plan, list[object]]] = {}
    found = []
    for case in struck:
        later = FAULT_KINDS[case.plan.faults[0].kind].visible_first
        if later is None or not case.fired:
            continue
        moment = visible_before(case.run)[case.run.sites.index(case.plan.faults[0].site)] + later
        after = after_the_crash(case.run)
        plan, expected = first.setdefault(moment, (case.plan, after))
        if expected != after:
            found.append(f"{plan}, and {case.plan}")
    return found


def after_the_crash(run: Run) -> list[object]:
    """What happened after the crash, but for times and the numbers of attempts and messages."""
    at = next(number for number, row in enumerate(run.rows) if row[KIND] == CRASH)
    return [_told(row) for row in run.rows[at + 1 :] if row[KIND] not in GONE_WITH_THE_PROCESS]


def _told(row: Row) -> object:
    return (*row[1:6], row[KEY])


def _remembered(setup: Setup, struck: list[Case]) -> Iterator[str]:
    """Pairs of faults that a retry gets over, where after the second other things are done than without the first.
    The process has then kept something of the first one's retry: a count, a time, a flag. Several sagas at once meet in
    another order after a retry, so only one is looked at."""
    if setup.scenario.sagas > 1:
        return
    passing = [case for case in struck if FAULT_KINDS[case.plan.faults[0].kind].got_over and case.fired]
    for first in passing:
        fault = first.plan.faults[0]
        later = first.run.sites[first.run.sites.index(fault.site) + 1 :]
        for second in passing:
            site = second.plan.faults[0].site
            if site[1:3] == fault.site[1:3] or site not in later:
                continue
            both = Plan(faults=(fault, *second.plan.faults))
            run = simulate(setup, both)
            if len(run.fired) == 2 and done_after_last(run) != done_after_last(second.run):
                yield f"{both}, and {second.plan}"


def done_after_last(run: Run) -> list[object]:
    """What the orchestrator did after the last fault, but for times and numbers."""
    return [_told(row) for row in run.rows[run.fired[-1][0] :] if row[KIND] in _DOINGS]
