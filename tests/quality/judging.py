"""Assertions about what a search says of a system that is known to be right, or wrong."""

from __future__ import annotations

from sagafuzz import Adapter
from sagafuzz.exploration.detecting import acquit, find_out
from sagafuzz.exploration.quiet import quiet

from ..exercised import unproven


def assert_not_blamed(adapter: Adapter, faults: int, more_than: int = 0) -> None:
    """Nothing is blamed at so many faults, more than so many plans were run, and that says something: each scenario
    comes to its end without a fault, and a fault strikes."""
    with quiet():
        plans, blamed, _ = acquit(adapter, faults)
        why = unproven(adapter, faults)
    assert blamed == ()
    assert plans > more_than
    assert why == []


def assert_found(adapter: Adapter, invariant: str) -> None:
    """A search without faults finds a violation of the invariant."""
    with quiet():
        search = find_out(adapter, (invariant,), 0)
    assert search.shrunk is not None
    assert search.shrunk.violation.invariant == invariant
