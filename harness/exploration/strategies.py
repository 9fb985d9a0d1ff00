"""Hypothesis strategies over plans, for tests that a user writes with ``@given``."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ..faults import Fault, Plan
from ..loading import as_adapter
from ..scenario import Scenario
from ..simulator import Setup, simulate
from .enumerator import Enumerator


@st.composite
def _plans(draw: st.DrawFn, setup: Setup, max_faults: int) -> Plan:
    enumerator = Enumerator(setup, max_faults)
    faults: tuple[Fault, ...] = ()
    for _ in range(draw(st.integers(0, max_faults))):
        run = simulate(setup, Plan(faults=faults))
        start = run.sites.index(faults[-1].site) + 1 if faults else 0
        impossible = {index - start: kinds for index, kinds in run.impossible.items() if index >= start}
        choices = list(enumerator.extensions(run.sites[start:], impossible))
        if not choices:
            break
        faults = (*faults, draw(st.sampled_from(choices)))
    return Plan(faults=faults)


def plans(adapter: Any, scenario: Scenario | None = None, *, max_faults: int = 3) -> st.SearchStrategy[Plan]:
    """Plans of at most ``max_faults`` faults, each at a site that the run under the others reaches.

    Shrinks towards fewer faults at earlier sites.
    """
    declared = as_adapter(adapter)
    return _plans(Setup(adapter=declared, scenario=scenario or declared.scenarios[0]), max_faults)
