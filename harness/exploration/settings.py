"""What a campaign is to search."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ..ports import Adapter
from ..scenario import Scenario
from ..simulator.patches import SPIN_SECONDS
from .reductions import REDUCTIONS

BEYOND: Final = 2
"""A campaign draws plans with at most so many faults more than it enumerates."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to search: plans to ``max_faults``, then ``random_plans`` with up to ``beyond`` more, then ``examples`` of
    the state machine, both from ``seed``. ``endless`` says that there is no last random plan.

    ``kinds`` restricts the fault kinds (none: all that the adapter can suffer), ``reductions`` names those
    that spare plans. ``spin_s`` is the real time after which code under test that touches no port is ended."""

    max_faults: int = 2
    examples: int = 100
    random_plans: int = 0
    seed: int = 0
    scenarios: tuple[Scenario, ...] = ()
    kinds: tuple[str, ...] = ()
    reductions: tuple[str, ...] = REDUCTIONS
    spin_s: float = SPIN_SECONDS
    beyond: int = BEYOND
    endless: bool = False


def choose_scenarios(adapter: Adapter, names: Iterable[str | Scenario], sagas: int | None) -> tuple[Scenario, ...]:
    """Those of the adapter with these ``names``, or all; with that many sagas each, where ``sagas`` says so."""
    wanted = dict.fromkeys(names)
    chosen = tuple(adapter.scenario(name) if isinstance(name, str) else name for name in wanted) or adapter.scenarios
    return chosen if sagas is None else tuple(scenario.with_sagas(sagas) for scenario in chosen)
