"""The simulated world: virtual time, a network, participants, a durable store, processes that die."""

from __future__ import annotations

from ..trace import Run
from .observer import Observer, simulate
from .prefix import Prefix, Strayed, prefixes
from .registers import Register
from .settled import unsettled
from .setup import UNSHARED, Setup
from .simulation import HEALING, Simulation, line_of

__all__ = [
    "HEALING",
    "UNSHARED",
    "Observer",
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
