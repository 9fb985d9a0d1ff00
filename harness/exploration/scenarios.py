"""Which scenarios a campaign searches."""

from __future__ import annotations

from collections.abc import Iterable

from ..ports import Adapter
from ..scenario import Scenario
from .reductions import SYMMETRY
from .reductions.symmetry import with_every_order
from .settings import Settings


def choose_scenarios(adapter: Adapter, names: Iterable[str | Scenario], sagas: int | None) -> tuple[Scenario, ...]:
    """Those of the adapter with these ``names``, or all; with that many sagas each, where ``sagas`` says so."""
    wanted = dict.fromkeys(names)
    chosen = tuple(adapter.scenario(name) if isinstance(name, str) else name for name in wanted) or adapter.scenarios
    return chosen if sagas is None else tuple(scenario.with_sagas(sagas) for scenario in chosen)


def every_scenario(adapter: Adapter, settings: Settings) -> tuple[Scenario, ...]:
    """The scenarios that a campaign searches: those of the settings, or of the adapter; in every order of submission
    where symmetry does not spare the others."""
    scenarios = settings.scenarios or adapter.scenarios
    return scenarios if SYMMETRY.name in settings.reductions else with_every_order(scenarios)
