"""The simulated world: virtual time, a network, participants, a durable store, processes that die."""

from __future__ import annotations

from .simulation import Run, Setup, Simulation, simulate

__all__ = ["Run", "Setup", "Simulation", "simulate"]
