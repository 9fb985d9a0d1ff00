"""Correct systems, to learn from and to compare with: a durable saga orchestrator and its stores."""

from __future__ import annotations

from .definition import Definition, RetryPolicy
from .orchestrator import Orchestrator
from .stores.port import PortStore

__all__ = ["Definition", "Orchestrator", "PortStore", "RetryPolicy"]
