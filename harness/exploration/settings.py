"""What a campaign is to search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
    reductions: tuple[str, ...] = tuple(REDUCTIONS)
    spin_s: float = SPIN_SECONDS
    beyond: int = BEYOND
    endless: bool = False
