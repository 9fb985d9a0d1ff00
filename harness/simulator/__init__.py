"""The simulated world: virtual time, a network, participants, a durable store, processes that die."""

from __future__ import annotations

from ..trace import Run
from .noting import caller_of, callers_of, noted_caller
from .observer import Observed, Observer, observe
from .prefix import Prefix, Strayed, prefixes
from .registers import Register
from .settled import unsettled
from .setup import Setup
from .simulation import HEALING, Simulation, simulate

__all__ = [
    "HEALING",
    "Observed",
    "Observer",
    "Prefix",
    "Register",
    "Run",
    "Setup",
    "Simulation",
    "Strayed",
    "caller_of",
    "callers_of",
    "noted_caller",
    "observe",
    "prefixes",
    "simulate",
    "unsettled",
]
