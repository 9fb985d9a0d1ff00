"""The part of a past that all runs of a system share: what there can be to remember of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..ports import Adapter
from ..saga import Saga, split


class Asked:
    """See above. ``definitions`` has what each saga that is asked for is to do. ``followed`` says whether the monitor
    (`Past`) can be used: if not, all of the past counts; ``forgets`` is whether failed tries are forgotten then."""

    def __init__(self, adapter: Adapter, definitions: Mapping[str, Saga], *, followed: bool, forgets: bool) -> None:
        declared, known = adapter.declared, adapter.known
        self.sagas = tuple(definitions)
        self.several = len(definitions) > 1
        self.hidden = bool(declared.get("hidden_writes"))
        self.isolation = bool(declared.get("isolation"))
        self.versions = bool(declared.get("definitions"))
        self.followed = followed and not (known.terms or known.groups or known.in_parts)
        self.forgets = forgets
        self._adapter = adapter
        self._definitions = definitions
        self._limit: Any = declared.get("max_attempts")
        self._most: dict[tuple[str, str], int] = {}

    def definition(self, saga: str) -> Saga:
        """The definition of the saga of that id; of one that nobody asked for what the first of the system is."""
        return self._definitions.get(saga, self._adapter.saga)

    def most(self, step: str, direction: str) -> int:
        """How often the step may be asked for, where that is declared; else 0."""
        if self._limit is None:
            return 0
        found = self._most.get((step, direction))
        if found is None:
            limit = self._limit
            if isinstance(limit, Mapping):
                limit = limit.get(split(self._adapter.known.operation(step, direction))[0])
            found = self._most[step, direction] = limit or 0
        return found
