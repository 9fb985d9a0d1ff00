"""The simulated world: virtual time, a network, participants, a durable store, processes that die."""

from __future__ import annotations

from .registers import Register
from .simulation import Run, Setup, Simulation, simulate

__all__ = ["Register", "Run", "Setup", "Simulation", "simulate"]
