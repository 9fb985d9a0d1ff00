"""Reduce a failing plan to one of which nothing can be taken away.

The result is 1-minimal: without any one of its faults the violation is gone; no smaller scenario
shows it; and no fault of the same kind at an earlier site does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import UsageError
from ..faults import Fault, Plan, Site
from ..history import History
from ..invariants import OURS, Catalogue
from ..scenario import Scenario
from ..simulator import Setup, simulate
from ..verdict import Violation
from .driver import Action, replay_actions
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


def shrink(setup: Setup, plan: Plan, signature: tuple[str, ...], catalogue: Catalogue = OURS) -> Shrunk:
    """Shrink ``plan``, which must violate with ``signature`` under ``setup``."""
    found = violates(setup, plan, signature, catalogue)
    if found is None:
        raise NotDeterministic(f"the plan does not show {signature}: {plan}: {difference(setup, plan)}")
    changed = True
    while changed:
        changed = False
        for candidate_setup, candidate in _smaller(setup, plan):
            better = violates(candidate_setup, candidate, signature, catalogue)
            if better is not None:
                setup, plan, found, changed = candidate_setup, candidate, better, True
                break
    fewer = [*map(plan.without, range(len(plan))), *map(plan.without_yield, range(len(plan.yields)))]
    necessary = all(violates(setup, candidate, signature, catalogue) is None for candidate in fewer)
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


def shrink_actions(
    setup: Setup, actions: Sequence[Action], signature: tuple[str, ...], catalogue: Catalogue = OURS
) -> tuple[Action, ...]:
    """Leave out every action of a program that its violation does not need.

    Hypothesis shrinks what its choices were; this takes single actions away until none can go.
    """
    kept = list(actions)
    index = len(kept) - 1
    while index >= 0:
        candidate = kept[:index] + kept[index + 1 :]
        if _program_violates(setup, candidate, signature, catalogue):
            kept = candidate
            index = len(kept)
        index -= 1
    return tuple(kept)


def _program_violates(
    setup: Setup, actions: Sequence[Action], signature: tuple[str, ...], catalogue: Catalogue
) -> bool:
    try:
        history = replay_actions(setup, actions)
    except UsageError:  # without the action that is gone another one cannot be done
        return False
    return found_in(history, signature, catalogue) is not None
