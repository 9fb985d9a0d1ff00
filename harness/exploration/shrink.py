"""Reduce a failing plan to one of which nothing can be taken away.

The result is 1-minimal: without any one of its faults the violation is gone; no smaller scenario
shows it; and no fault of the same kind at an earlier site does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from ..errors import UsageError
from ..faults import Fault, Plan, Site
from ..history import History
from ..scenario import Scenario
from ..simulator import Setup, simulate
from ..verdict import Violation
from .driver import MESSAGE_ACTIONS, Action, replay_counted
from .enumerator import Enumerator
from .judge import found_in, violates
from .parting import NotDeterministic, difference


@dataclass(frozen=True, kw_only=True)
class Shrunk:
    """The smallest scenario and plan that show a violation of the same signature."""

    scenario: Scenario
    plan: Plan
    violation: Violation
    history: History
    necessary: bool


def shrink(setup: Setup, plan: Plan, signature: tuple[str, ...]) -> Shrunk:
    """Shrink ``plan``, which must violate with ``signature`` under ``setup``."""
    found = violates(setup, plan, signature)
    if found is None:
        raise NotDeterministic(f"the plan does not show {signature}: {plan}: {difference(setup, plan)}")
    changed = True
    while changed:
        changed = False
        for candidate_setup, candidate in _smaller(setup, plan):
            better = violates(candidate_setup, candidate, signature)
            if better is not None:
                setup, plan, found, changed = candidate_setup, candidate, better, True
                break
    fewer = [*map(plan.without, range(len(plan))), *map(plan.without_yield, range(len(plan.yields)))]
    necessary = all(violates(setup, candidate, signature) is None for candidate in fewer)
    violation, history = found
    return Shrunk(scenario=setup.scenario, plan=plan, violation=violation, history=history, necessary=necessary)


def _smaller(setup: Setup, plan: Plan) -> Iterator[tuple[Setup, Plan]]:
    """Candidates, the boldest first."""
    for index in range(len(plan)):
        yield setup, plan.without(index)
    for index in range(len(plan.yields)):
        yield setup, plan.without_yield(index)
    for number in range(setup.scenario.sagas if setup.scenario.sagas > 1 else 0):
        fewer = Setup(adapter=setup.adapter, scenario=setup.scenario.with_sagas(setup.scenario.sagas - 1))
        rest = _without_saga(plan, number + 1)
        if all(fault.kind in fewer.kinds for fault in rest.faults):  # one saga has none to be overtaken by
            yield fewer, rest
    for scenario in _smaller_scenarios(setup.scenario):
        yield Setup(adapter=setup.adapter, scenario=scenario), plan
    for index in range(len(plan)):
        for site in _earlier_sites(setup, plan, index):
            moved = Fault(kind=plan.faults[index].kind, site=site)
            yield setup, replace(plan, faults=(*plan.faults[:index], moved, *plan.faults[index + 1 :]))


def _without_saga(plan: Plan, number: int) -> Plan:
    """The plan for a scenario that lacks saga ``number``: the later ones move up by one."""
    faults = [Fault(kind=fault.kind, site=site) for fault in plan.faults if (site := _renumbered(fault.site, number))]
    yields = [site for entry in plan.yields if (site := _renumbered(entry, number))]
    return Plan(faults=tuple(faults), yields=tuple(yields))


def _renumbered(site: Site, gone: int) -> Site | None:
    """The site where saga ``gone`` is no more; None for one of its own."""
    name, _, own = site.saga.rpartition("-")
    if own == str(gone):
        return None
    return site._replace(saga=f"{name}-{int(own) - 1}") if own.isdigit() and int(own) > gone else site


def _smaller_scenarios(scenario: Scenario) -> Iterator[Scenario]:
    for index in range(len(scenario.rejections)):
        yield replace(scenario, rejections=scenario.rejections[:index] + scenario.rejections[index + 1 :])
    if scenario.limit is not None and any(amount > scenario.limit for amount in scenario.amounts):
        yield replace(scenario, amounts=tuple(min(amount, scenario.limit) for amount in scenario.amounts))
    if scenario.quantity > 1:
        yield replace(scenario, quantity=1)


def _earlier_sites(setup: Setup, plan: Plan, index: int) -> Iterator[Site]:
    """The sites before the one of fault ``index`` that its kind could strike, first ones first."""
    before = replace(plan, faults=plan.faults[:index])
    run = simulate(setup, before)
    enumerator = Enumerator(setup, 0)
    fault = plan.faults[index]
    last = before.faults[-1].site if before.faults else None
    start = run.sites.index(last) + 1 if last in run.sites else 0
    for position in range(start, len(run.sites)):
        site = run.sites[position]
        if site == fault.site:
            return
        if fault.kind in enumerator.kinds(site) and fault.kind not in run.impossible.get(position, ()):
            yield Site._make(site)


SHRINK_TICKS: Final = 400_000
"""Timers that may fire in all attempts to make a program smaller: some seconds, where each of them runs for ever."""


class Smaller(NamedTuple):
    """A program made small in so many ``attempts``; ``whole`` says that there was no smaller one to try."""

    actions: tuple[Action, ...]
    attempts: int
    whole: bool


def shrink_actions(
    setup: Setup,
    actions: Sequence[Action],
    signature: tuple[str, ...],
    *,
    ticks: int = SHRINK_TICKS,
) -> Smaller:
    """Leave out every action of a program that its violation does not need, many at once first, then one by one until
    none can go; then make the numbers of the others smaller. It ends when ``ticks`` timers have fired."""
    kept = list(actions)
    attempts = 0
    for candidate in _smaller_programs(kept):
        if ticks <= 0:
            return Smaller(tuple(kept), attempts, whole=False)
        attempts += 1
        violates_too, spent = _program_violates(setup, candidate, signature)
        ticks -= spent
        if violates_too:
            kept[:] = candidate
    return Smaller(tuple(kept), attempts, whole=True)


def _smaller_programs(kept: list[Action]) -> Iterator[list[Action]]:
    """Candidates smaller than ``kept``, which becomes the one asked for last where that still violates."""
    size = (len(kept) + 1) // 2
    while size:
        before = len(kept)
        end = before
        while end > 0:
            start = max(end - size, 0)
            yield kept[:start] + kept[end:]
            end = start
        size = size if size == 1 and len(kept) < before else size // 2
    for index, (name, number) in enumerate(kept):
        for lower in range(number) if name in MESSAGE_ACTIONS else (ms for ms in _STEPS_MS if ms < number):
            if kept[index] == (name, number):
                yield [*kept[:index], (name, lower), *kept[index + 1 :]]


_STEPS_MS: Final = (1, 100, 1000)


def _program_violates(setup: Setup, actions: Sequence[Action], signature: tuple[str, ...]) -> tuple[bool, int]:
    """True if a program violates with that signature, and how many timers fired."""
    try:
        history, ticks = replay_counted(setup, actions)
    except UsageError:  # without the action that is gone another one cannot be done
        return False, 0
    return found_in(setup, history, signature) is not None, ticks
