"""The simulated world: virtual time, a network, participants, a durable store, processes that die."""

from __future__ import annotations

from .prefix import Prefix, Strayed, prefixes
from .registers import Register
from .setup import UNSHARED, Setup
from .simulation import HEALING, Run, Simulation, line_of, simulate, unsettled

__all__ = [
    "HEALING",
    "UNSHARED",
    "Prefix",
    "Register",
    "Run",
    "Setup",
    "Simulation",
    "Strayed",
    "line_of",
    "prefixes",
    "simulate",
    "unsettled",
]
