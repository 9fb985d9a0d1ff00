"""The one table of invariants, what an entry of it says, and what users bring beside it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from ..errors import UsageError
from ..rules import HISTORY, READS
from ..verdict import Violation
from .facts import Facts
from .memories import MEMORIES

Checked: TypeAlias = tuple[bool, Sequence[Violation]]
"""What a check returns: whether its precondition occurred, and the violations."""

Check: TypeAlias = Callable[[Facts], Checked]


class Usual(NamedTuple):
    """The usual cause of an anomaly, and its repair."""

    cause: str
    repair: str


@dataclass(frozen=True, kw_only=True)
class Invariant:
    """A row of the catalogue.

    ``holds_when`` is the rule, ``harm`` what can happen where it is broken, {what} standing for operations; ``cause``
    is what usually breaks it, ``repair`` what to do; ``apart`` has both for those of its anomalies that have others.
    ``explains`` lists the invariants whose violation on the same saga follows from a violation of this one.
    A ``meta`` invariant is about the campaign and is judged there. ``by_prefix`` says that what it finds in the
    beginning of a history still stands at the end, so that the state machine may ask it after each action. ``reads``
    says of one that a user brings how much of a run it asks for (`rules.READS`): the search knows what ours ask.
    ``remembers`` names what it must know of the past to judge what comes (keys of MEMORIES); None: all of it.
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
    by_prefix: bool = False
    reads: str = HISTORY
    remembers: tuple[str, ...] | None = None
    apart: Mapping[str, Usual] = field(default_factory=dict, hash=False)
    harm: str = ""

    def usual(self, anomaly: str) -> Usual:
        """What usually brings out that anomaly of it, and what to do then."""
        return self.apart.get(anomaly) or Usual(cause=self.cause, repair=self.repair)

    @property
    def judged(self) -> str:
        """How it is judged where two readings are possible: what its check says of itself, less what is for who
        maintains it ("Needed: …")."""
        about = inspect.getdoc(self.check) or ""
        return " ".join(about.partition("Needed:")[0].replace("``", "`").split())


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
    by_prefix: bool = False,
    remembers: tuple[str, ...] | None = None,
    apart: Mapping[str, Usual] = MappingProxyType({}),
    harm: str = "",
) -> Callable[[Check], Check]:
    """Register the decorated check under ``id``."""

    def register(check: Check) -> Check:
        if unknown := set(remembers or ()) - MEMORIES.keys():
            raise ValueError(f"invariant {id} remembers {min(unknown)!r}, which MEMORIES does not have")
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
            by_prefix=by_prefix,
            remembers=remembers,
            apart=apart,
            harm=harm,
        )
        return check

    return register


@dataclass(frozen=True)
class Catalogue:
    """What histories are judged by: the invariants of the table, and beside them those that a user brought (see
    `catalogue_with`)."""

    own: tuple[Invariant, ...] = ()

    @property
    def by_id(self) -> Mapping[str, Invariant]:
        """All of them, those of the table first."""
        return {**INVARIANTS, **{entry.id: entry for entry in self.own}} if self.own else INVARIANTS

    @cached_property
    def by_prefix(self) -> frozenset[str]:
        """The ids of those that may be asked of the beginning of a history."""
        return frozenset(entry.id for entry in self.by_id.values() if entry.by_prefix)

    @cached_property
    def remembers(self) -> frozenset[str] | None:
        """The memories that all of them together need of a past (keys of MEMORIES); None where one does not say."""
        judging = [entry.remembers for entry in self.by_id.values() if entry.nature != "meta"]
        return None if None in judging else frozenset(name for names in judging for name in names or ())

    @cached_property
    def reads(self) -> str:
        """The most that one of a user's reads (of `rules.READS`), "" where there is none: what those of the table ask
        of a history the search knows."""
        return max((entry.reads for entry in self.own), key=READS.index, default="")


OURS: Final = Catalogue()


def catalogue_with(own: Iterable[Invariant]) -> Catalogue:
    """The table with ``own`` beside it. UsageError where one does not fit beside the others: its id is no capital
    letter and a number, is taken, or it explains what there is not."""
    given: dict[str, Invariant] = {}
    for entry in own:
        taken = entry.id in INVARIANTS or entry.id in given
        if taken or not re.fullmatch(r"[A-Z][0-9]{1,4}", entry.id):
            reason = "is taken" if taken else "is no capital letter and a number"
            raise UsageError(f"invariant {entry.id!r}: its id {reason}; write another, S1 for instance")
        given[entry.id] = replace(entry, check=_speaking_for_itself(entry))
    for id, entry in given.items():
        if unknown := set(entry.explains) - {*INVARIANTS, *given}:
            raise UsageError(f"invariant {id!r} explains {min(unknown)!r}, which is none; take it out")
    return Catalogue(own=tuple(given.values()))


def _speaking_for_itself(entry: Invariant) -> Check:
    """Its check, which may give no violation of another invariant."""

    def check(facts: Facts) -> Checked:
        exercised, violations = entry.check(facts)
        for violation in violations:
            if violation.invariant != entry.id:
                raise ValueError(f"it gave a violation of {violation.invariant!r}")
        return exercised, violations

    return check


@cache
def consequences(id: str, catalogue: Catalogue = OURS) -> frozenset[str]:
    """All invariants whose violation follows, directly or not, from that of ``id``."""
    reached: set[str] = set()
    todo = [id]
    while todo:
        for follower in catalogue.by_id[todo.pop()].explains:
            if follower not in reached:
                reached.add(follower)
                todo.append(follower)
    return frozenset(reached - {id})
