"""The one table of invariants, and what an entry of it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..verdict import Violation
from .facts import Facts

Checked: TypeAlias = tuple[bool, Sequence[Violation]]
"""What a check returns: whether its precondition occurred, and the violations."""

Check: TypeAlias = Callable[[Facts], Checked]


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """A row of the catalogue.

    ``holds_when`` is the rule, ``cause`` what usually breaks it, ``repair`` what to do. ``explains``
    lists the invariants whose violation on the same saga follows from a violation of this one.
    A ``meta`` invariant is about the campaign and is judged there.
    """

    id: str
    name: str
    holds_when: str
    cause: str
    repair: str
    nature: Literal["safety", "liveness", "both", "meta"]
    check: Check
    explains: tuple[str, ...] = ()
    source: str = ""


INVARIANTS: dict[str, Invariant] = {}


def invariant(
    id: str,
    name: str,
    *,
    holds_when: str,
    cause: str,
    repair: str,
    nature: Literal["safety", "liveness", "both", "meta"] = "safety",
    explains: tuple[str, ...] = (),
    source: str = "",
) -> Callable[[Check], Check]:
    """Register the decorated check under ``id``."""

    def register(check: Check) -> Check:
        if id in INVARIANTS:
            raise ValueError(f"invariant {id} is registered twice")
        INVARIANTS[id] = Invariant(
            id=id,
            name=name,
            holds_when=holds_when,
            cause=cause,
            repair=repair,
            nature=nature,
            check=check,
            explains=explains,
            source=source,
        )
        return check

    return register
