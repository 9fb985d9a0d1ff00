"""The bug zoo: systems that are wrong in one thing each, as systems in the field were."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from . import (
    accounts,
    additions,
    asking,
    barriers,
    beside,
    families,
    holds,
    lines,
    owners,
    payments,
    races,
    trips,
    undoing,
    webhooks,
    wrong,
)
from .parts import Mutant, by_name

ZOO: Mapping[str, Mutant] = MappingProxyType(
    by_name(
        mutant
        for module in (
            asking,
            undoing,
            barriers,
            owners,
            races,
            additions,
            beside,
            families,
            lines,
            payments,
            trips,
            webhooks,
            wrong,
            accounts,
            holds,
        )
        for mutant in module.MUTANTS
    )
)
"""The mutants by name."""

__all__ = ["ZOO", "Mutant"]
