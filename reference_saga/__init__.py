"""Correct systems, to learn from and to compare with: durable sagas, their stores, and two-phase commit."""

from __future__ import annotations

from .definition import Definition, RetryPolicy
from .orchestrator import Orchestrator
from .stores.port import PortStore

__all__ = ["Definition", "Orchestrator", "PortStore", "RetryPolicy"]
