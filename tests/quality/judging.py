"""Assertions about what a search says of a system that is known to be right, or wrong."""

from __future__ import annotations

from sagafuzz import Adapter
from sagafuzz.exploration.detecting import acquit, find_out
from sagafuzz.exploration.quiet import quiet


def assert_not_blamed(adapter: Adapter, faults: int, more_than: int = 0) -> None:
    """Nothing is blamed at so many faults, and more than so many plans were run."""
    with quiet():
        plans, blamed, _ = acquit(adapter, faults)
    assert blamed == ()
    assert plans > more_than


def assert_found(adapter: Adapter, invariant: str) -> None:
    """A search without faults finds a violation of the invariant."""
    with quiet():
        search = find_out(adapter, (invariant,), 0)
    assert search.shrunk is not None
    assert search.shrunk.violation.invariant == invariant
