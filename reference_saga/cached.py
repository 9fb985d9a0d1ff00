"""Cached properties of values that all runs share."""

from __future__ import annotations

from functools import cached_property


def compute_all(value: object) -> None:
    """Compute each cached property of ``value`` now. Filled in later, they would make the first run that a process does
    another one than those that follow: what its code can see would be another state."""
    for each in vars(type(value)).values():
        if isinstance(each, cached_property):
            each.__get__(value)
