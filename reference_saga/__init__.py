"""A saga orchestrator that is right, to learn from and to compare with."""

from __future__ import annotations

from .orchestrator import Orchestrator, RetryPolicy

__all__ = ["Orchestrator", "RetryPolicy"]
