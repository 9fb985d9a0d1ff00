"""Sagas that differ in their ids only: the orders of submission that need not be searched, and whether that is so.

Let such sagas change their names, in the scenario and in the plan. A system to which an id is only a name does then
what it did before, under the other names. So of the orders in which they can be submitted one is enough.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import permutations
from types import MappingProxyType
from typing import Any

from ...faults import Plan
from ...scenario import Scenario
from ...simulator import Run, Setup, simulate
from ..parting import first_difference

_ID = re.compile(r"saga-\d+")  # a key may be made of an id and anything before or after


def every_order(scenario: Scenario) -> tuple[Scenario, ...]:
    """The scenario, and one for each other order in which its identical sagas can be submitted; none more where it
    has an order of its own."""
    if scenario.submitted:
        return (scenario,)
    alike = [_but_for_its_id(scenario, number) for number in range(1, scenario.sagas + 1)]
    found = [scenario]
    for order in permutations(range(1, scenario.sagas + 1)):
        if order != tuple(sorted(order)) and [alike[number - 1] for number in order] == alike:
            shown = ", ".join(f"saga-{number}" for number in order)
            found.append(replace(scenario, name=f"{scenario.name} ({shown})", submitted=order))
    return tuple(found)


def _but_for_its_id(scenario: Scenario, number: int) -> object:
    order = scenario.orders[number - 1]
    return replace(order, id=""), frozenset(operation for saga, operation in scenario.rejections if saga == number)


def with_every_order(scenarios: Iterable[Scenario]) -> tuple[Scenario, ...]:
    """Each of ``scenarios`` in every order of submission, and none twice."""
    return tuple(dict.fromkeys(other for scenario in scenarios for other in every_order(scenario)))


def told_by_ids(setup: Setup, plans: Iterable[Plan], known: Mapping[Plan, Run] = MappingProxyType({})) -> str:
    """True if it matters which of the identical sagas has which id: the first event in the run of one of ``plans``
    that is another where the names are exchanged, in words; "" where there is none. Those of ``known``
    were run already."""
    others = [Setup(adapter=setup.adapter, scenario=other) for other in every_order(setup.scenario)[1:]]
    for plan in plans if others else ():
        run = known.get(plan) or simulate(setup, plan)
        for other in others:
            names = {f"saga-{n}": f"saga-{m}" for n, m in enumerate(other.scenario.submitted, 1)}
            renamed = run._replace(rows=_renamed(run.rows, names))
            if found := first_difference(renamed, simulate(other, _plan(plan, names))):
                return f"{plan}, submitted as {', '.join(names.values())}: {found}"
    return ""


def _plan(plan: Plan, names: Mapping[str, str]) -> Plan:
    """The plan that strikes the sagas of the other names."""
    faults = (replace(fault, site=fault.site._replace(saga=_renamed(fault.site.saga, names))) for fault in plan.faults)
    return Plan(faults=tuple(faults))


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _ID.sub(lambda found: names.get(found[0], found[0]), value)
    if isinstance(value, tuple):
        return tuple(_renamed(entry, names) for entry in value)
    return value
