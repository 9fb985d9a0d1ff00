"""What a conftest.py or another plugin brings to a campaign by the hooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from ..errors import UsageError
from ..invariants import Invariant, catalogue_of
from ..participant import Participant
from ..ports import Adapter


@dataclass(frozen=True, kw_only=True)
class Extended:
    """An adapter with the participants of the hooks, and with their invariants beside its own."""

    adapter: Adapter
    by_hooks: bool
    """True if the hooks brought anything: then the command line, which does not know of them, shows something else."""


def extended(config: pytest.Config, adapter: Adapter) -> Extended:
    """Ask the hooks. Raises UsageError where one gives what cannot be used."""
    invariants: list[Invariant] = []
    for brought in config.hook.pytest_saga_invariants(config=config, adapter=adapter):
        for entry in brought:
            if not isinstance(entry, Invariant):
                raise UsageError(f"pytest_saga_invariants gave {entry!r}; return sagafuzz.invariants.Invariant values")
            invariants.append(entry)
    participants = _participants(config, adapter)
    if participants or invariants:
        adapter = replace(
            adapter,
            participants={**participants, **adapter.participants},
            invariants=(*adapter.invariants, *invariants),
        )
        catalogue_of(adapter)  # which says what does not fit
    return Extended(adapter=adapter, by_hooks=bool(invariants or participants))


def _participants(config: pytest.Config, adapter: Adapter) -> dict[str, Callable[[], Participant]]:
    """Those of the saga that the adapter does not declare itself."""
    operations = [*adapter.known.by_operation, *adapter.operations]
    wanted = {operation.partition(".")[0] for operation in operations} - set(adapter.participants)
    found: dict[str, Callable[[], Participant]] = {}
    for brought in config.hook.pytest_saga_participants(config=config, adapter=adapter):
        for name, factory in brought.items():
            if not callable(factory):
                raise UsageError(f"pytest_saga_participants gave {factory!r} as {name!r}; give a class")
            if name in found:
                raise UsageError(f"two hooks pytest_saga_participants give {name!r}; take it out of one of them")
            if name in wanted:
                found[name] = factory
    return found
