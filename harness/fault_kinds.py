"""What a row of the table of kinds says, and what follows from it. The rows are in `sagafuzz.fault_table`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import MappingProxyType
from typing import Final

from .effects import (
    AFTER,
    AT_EFFECT,
    AT_HANDLED,
    AT_PUBLISH,
    AT_SEND,
    BEFORE,
    LIVE,
    REASONS,
    SIMULATED,
    WORLDS,
    Crash,
    CrashAtRest,
    DelayAnswer,
    Effect,
    JumpClock,
    Lag,
    Pause,
    StartSecond,
)
from .saga import COMPENSATION, FORWARD, QUERY

CAPABILITIES: Final[Mapping[str, str]] = {
    "recover": "the adapter has a method recover",
    "cancel": "the adapter has a method cancel, or is async",
    "upgrade": "the adapter declares upgrade=",
    "expiry": "the adapter declares expiring=",
    "resubmit": "the adapter declares resubmits=True: its clients may send an order again",
    "wrong": "wrong answers are asked for: --wrong-answers, or wrong_answers=True",
    "retention": "the adapter declares key_retention_ms=",
    "forgets": "the adapter declares forgetting_refusals=",
    "repeats": "the adapter declares refusing_repeats=",
    "sagas": "the scenario runs more than one saga, or one in another",
    "apps": "the service declares apps=",
    "proxy": "the manifest of a live system puts a store behind a proxy",
    "processes": "it is a live system, of real processes",
    "store": "the manifest of a live system starts such a store anew for each case",
    "messages": "the adapter has a method receive",
    "lossy": "the adapter has a method receive, and a topic that is declared may_lose=True",
    "dead-letters": "the adapter has a method receive, and a topic that is declared with max_deliveries=",
    "sockets": "the adapter is a service as it is: its clients have sockets",
}
"""What an adapter or scenario may be able to suffer, and how that is known."""


@dataclass(frozen=True, kw_only=True)
class FaultKind:
    """A row of the table.

    ``phase`` is where it strikes, ``directions`` which calls can suffer it ("" for writes and starts), ``effects`` what
    it does, in this order. ``unless`` names the step properties (``retriable``, ``pivot``) under which the kind is
    impossible, with the reason. ``needs`` is the capability (a key of CAPABILITIES) without which an adapter cannot
    suffer it. ``basic``: any saga must survive it, wherever it runs. ``got_over``: whoever asks once more has got over
    it. ``moment`` says when it strikes, with {call} or {write} for what.
    """

    name: str
    phase: str
    effects: tuple[Effect, ...]
    meaning: str
    directions: tuple[str, ...] = (FORWARD, COMPENSATION, QUERY)
    needs: str = ""
    unless: Mapping[str, str] = field(default_factory=dict, hash=False)
    basic: bool = False
    got_over: bool = False
    moment: str = ""

    def __post_init__(self) -> None:
        if not self.effects:
            raise ValueError(f"fault kind {self.name!r} has no effect; name one of sagafuzz.effects in effects=")
        for effect in self.effects:
            if not effect.fits(self.phase):
                raise ValueError(f"fault kind {self.name!r}: {effect} cannot be done at {self.phase!r}")
        if not self.worlds:
            raise ValueError(f"fault kind {self.name!r}: no world can do all of {self.effects}")
        if self.needs and self.needs not in CAPABILITIES:
            raise ValueError(f"fault kind {self.name!r} needs {self.needs!r}, which is none of {list(CAPABILITIES)}")

    def __str__(self) -> str:
        return self.name

    @cached_property
    def before(self) -> tuple[Effect, ...]:
        """What it does before what its site stands for happens."""
        return tuple(effect for effect in self.effects if effect.at(self.phase) == BEFORE)

    @cached_property
    def after(self) -> tuple[Effect, ...]:
        """What it does afterwards."""
        return tuple(effect for effect in self.effects if effect.at(self.phase) == AFTER)

    @cached_property
    def worlds(self) -> frozenset[str]:
        """The worlds in which it can strike: those that can do each of its effects."""
        return WORLDS.intersection(*(effect.worlds for effect in self.effects))

    @cached_property
    def simulated(self) -> bool:
        """True if the simulator can do it."""
        return SIMULATED in self.worlds

    @cached_property
    def live(self) -> bool:
        """True if a system of real processes can be made to suffer it."""
        return LIVE in self.worlds

    @cached_property
    def crash(self) -> bool:
        """True if the orchestrator dies of it."""
        return any(isinstance(effect, Crash) for effect in self.effects)

    @cached_property
    def kills(self) -> bool:
        """True if a process dies of it while it asks for something or writes, and nothing else happens."""
        return all(isinstance(effect, Crash) for effect in self.effects)

    @cached_property
    def takes_over(self) -> bool:
        """True if another process goes on with what the orchestrator was about: it died, paused, was doubled, or the
        one that starts reads old records."""
        return any(isinstance(effect, Crash | Pause | StartSecond | Lag) for effect in self.effects)

    @cached_property
    def at_rest(self) -> bool:
        """True if a process dies of it only when it has come to wait, some time after its site."""
        return any(isinstance(effect, CrashAtRest) for effect in self.effects)

    @cached_property
    def only_crash(self) -> Crash | None:
        """The crash, where that is all that it does."""
        (first, *others) = self.effects
        return first if isinstance(first, Crash) and not others else None

    @cached_property
    def visible_first(self) -> int | None:
        """Of a kind that is a crash and no more: how many events that outlive the process happen at its own site
        before it dies. None for every other kind."""
        if self.only_crash is None:
            return None
        return int(self.only_crash.when == AFTER and self.phase in (AT_SEND, AT_EFFECT, AT_PUBLISH, AT_HANDLED))

    @cached_property
    def only_delays(self) -> bool:
        """True if it keeps a saga waiting for as long as being overtaken does, and does no more."""
        return all(isinstance(effect, DelayAnswer) and not effect.late for effect in self.effects)

    @cached_property
    def only_jumps_clock(self) -> bool:
        """True if nobody can notice it who does not read the wall clock."""
        return all(isinstance(effect, JumpClock) for effect in self.effects)

    @cached_property
    def may_be_idle(self) -> bool:
        """True if it can strike and change nothing, which shows when the run is over."""
        return all(effect.noticed_later for effect in self.effects)

    @cached_property
    def barred_by(self) -> int:
        """The circumstances in which one of its effects changes nothing: bits of `sagafuzz.effects.REASONS`."""
        found = 0
        for effect in self.effects:
            found |= effect.barred_by(self.phase)
        return found


_table: Final[dict[str, FaultKind]] = {}

FAULT_KINDS: Final[Mapping[str, FaultKind]] = MappingProxyType(_table)
"""All kinds by name, in the order in which they are searched and shown."""


def register(*kinds: FaultKind) -> None:
    """Add rows to the table. ValueError for a name that it has."""
    for kind in kinds:
        if kind.name in _table:
            raise ValueError(f"fault kind {kind.name!r} is registered twice")
        _table[kind.name] = kind
    impossible.cache_clear()


@contextmanager
def registered(*kinds: FaultKind) -> Iterator[None]:
    """Have more rows in the table meanwhile."""
    register(*kinds)
    try:
        yield
    finally:
        for kind in kinds:
            del _table[kind.name]
        impossible.cache_clear()


def kind_groups() -> dict[str, tuple[str, ...]]:
    """Names for several kinds at once: ``basic`` are those that any saga must survive, wherever it runs,
    ``wrong-answers`` those that are searched only where somebody asks for them."""
    return {
        "all": tuple(_table),
        "basic": tuple(kind.name for kind in _table.values() if kind.basic),
        "wrong-answers": tuple(kind.name for kind in _table.values() if kind.needs == "wrong"),
    }


# -- what cannot act as things stand -----------------------------------------------------------------


class Impossible(dict[str, str]):
    """Kinds that could not take effect at a site, each with the reason. Many runs share one: never change it."""

    __slots__ = ("_hash",)

    def __init__(self, reasons: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(reasons)
        self._hash = hash(tuple(self.items()))

    def __hash__(self) -> int:  # type: ignore[override]
        return self._hash

    def __reduce__(self) -> tuple[type[Impossible], tuple[dict[str, str]]]:
        return Impossible, (dict(self),)


NOTHING: Final = Impossible()
"""All kinds can act."""


@cache
def impossible(phase: str, circumstances: int) -> Impossible:
    """The kinds that change nothing at a site of that phase in those circumstances (bits of REASONS), each with the
    reason. The same ones are one object, so that a search may ask at each site."""
    return Impossible(
        (kind.name, next(text for bit, text in REASONS.items() if kind.barred_by & circumstances & bit))
        for kind in _table.values()
        if kind.phase == phase and kind.barred_by & circumstances
    )
