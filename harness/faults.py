"""What is injected, and where it strikes.

A fault is a kind at a site. A site names a moment by meaning, never by a global
counter, so that one plan means the same on every adapter and in every world.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from . import fault_table  # noqa: F401, which fills FAULT_KINDS
from .effects import (
    AT_ACK,
    AT_BOOT,
    AT_COMMIT,
    AT_EFFECT,
    AT_HANDLED,
    AT_LOG,
    AT_LOGGED,
    AT_PUBLISH,
    AT_RECEIPT,
    AT_SEND,
)
from .errors import UsageError, nearest
from .fault_kinds import CAPABILITIES, FAULT_KINDS, FaultKind, kind_groups
from .saga import DIRECTION_NAMES, Saga, Step

__all__ = [
    "AT_ACK",
    "AT_BOOT",
    "AT_COMMIT",
    "AT_EFFECT",
    "AT_HANDLED",
    "AT_LOG",
    "AT_LOGGED",
    "AT_PUBLISH",
    "AT_RECEIPT",
    "AT_SEND",
    "CAPABILITIES",
    "FAULT_KINDS",
    "Fault",
    "FaultKind",
    "Plan",
    "Site",
    "chosen_kinds",
    "feasible_kinds",
    "given_way",
    "infeasible",
    "kind_groups",
    "kind_named",
]


class Site(NamedTuple):
    """A moment that a fault can strike.

    For a call ``subject`` is the step, ``direction`` "F" or "C" and ``occurrence`` the attempt
    (from 1, counted over all incarnations of the orchestrator). For a call of no step ``subject`` is the operation and
    ``direction`` "Q"; for a message it is the topic and "M". For a durable write ``subject``
    is the kind of record and ``direction`` is empty. A tuple, so that the simulator can look a
    site up without building one.
    """

    saga: str
    subject: str
    direction: str
    phase: str
    occurrence: int

    def __str__(self) -> str:
        ordinal = f" #{self.occurrence}" if self.occurrence > 1 else ""
        if self.phase == AT_BOOT:
            return f"start {self.occurrence} of the {self.subject}"
        if not self.direction:
            whose = f"{self.saga}: " if self.saga else ""
            return f"{whose}write {self.subject!r}{ordinal}"
        direction = DIRECTION_NAMES.get(self.direction, self.direction)
        return f"{self.saga}: {self.subject} {direction}, {self.phase}{ordinal}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A kind at a site."""

    kind: str
    site: Site

    def __post_init__(self) -> None:
        kind = kind_named(self.kind)
        if kind.phase != self.site.phase:
            raise UsageError(
                f"fault {self.kind!r} strikes at {kind.phase!r}, not at {self.site.phase!r} ({self.site}); "
                f"name a site of that phase"
            )
        reason = infeasible(kind, phase=self.site.phase, direction=self.site.direction, step=None)
        if reason is not None:
            raise UsageError(f"fault {self.kind!r} cannot strike {self.site}: {reason}")

    def __str__(self) -> str:
        return f"{self.kind} at {self.site}"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which faults strike, in the order in which a run reaches their sites; at most one a site.

    ``yields`` is a schedule of priorities for sagas that run at once: requests (sites of the phase "send")
    from which on their saga goes last. A later one of the tuple goes behind an earlier one.
    """

    faults: tuple[Fault, ...] = ()
    yields: tuple[Site, ...] = ()

    def __post_init__(self) -> None:
        for site in self.yields:
            if site.phase != AT_SEND or not site.direction:
                raise UsageError(f"plan: a saga cannot give way at {site}; name a request as it is sent")
        sites = [fault.site for fault in self.faults]
        for site in sites:
            if sites.count(site) > 1:
                raise UsageError(f"plan: two faults strike {site}; keep one of them")

    def __len__(self) -> int:
        return len(self.faults)

    def without(self, index: int) -> Plan:
        """The plan without the fault of that index."""
        return Plan(faults=self.faults[:index] + self.faults[index + 1 :], yields=self.yields)

    def without_yield(self, index: int) -> Plan:
        """The plan without the entry of that index in its schedule of priorities."""
        return Plan(faults=self.faults, yields=self.yields[:index] + self.yields[index + 1 :])

    def __str__(self) -> str:
        return " + ".join([*map(str, self.faults), *map(given_way, self.yields)]) or "no fault"


def given_way(site: Site) -> str:
    """``saga-2 goes last from order forward on``: an entry of a schedule of priorities, in words."""
    ordinal = f" #{site.occurrence}" if site.occurrence > 1 else ""
    direction = DIRECTION_NAMES.get(site.direction, site.direction)
    return f"{site.saga} goes last from {site.subject} {direction}{ordinal} on"


def kind_named(name: str) -> FaultKind:
    """The fault kind of that name; UsageError with the nearest name otherwise."""
    try:
        return FAULT_KINDS[name]
    except KeyError:
        raise UsageError(f"unknown fault kind {name!r}{nearest(name, FAULT_KINDS)}") from None


def chosen_kinds(text: str) -> tuple[str, ...]:
    """The kinds that ``lost-ack,reject`` or a group names, in the order of the table. UsageError, with the
    nearest name, for a name that there is not."""
    wanted: set[str] = set()
    groups = kind_groups()
    for word in text.split(","):
        name = word.strip()
        if name in groups:
            wanted.update(groups[name])
        elif name in FAULT_KINDS:
            wanted.add(name)
        else:
            known = (*FAULT_KINDS, *groups)
            raise UsageError(
                f"unknown fault kind {name!r}{nearest(name, known)}; "
                f"write kinds with commas between them, or one of the groups {' and '.join(groups)}"
            )
    return tuple(kind for kind in FAULT_KINDS if kind in wanted)


def infeasible(kind: FaultKind, *, phase: str, direction: str, step: Step | None) -> str | None:
    """Why ``kind`` cannot strike such a site, or None where it can."""
    if kind.phase != phase:
        return f"it strikes at {kind.phase}"
    if direction not in kind.directions:
        return f"it strikes {' and '.join(DIRECTION_NAMES.get(d, 'writes') for d in kind.directions)} only"
    for condition, reason in kind.unless.items():
        if step is not None and getattr(step, condition):
            return reason
    return None


def feasible_kinds(saga: Saga, site: Site, capabilities: Collection[str] = CAPABILITIES) -> tuple[str, ...]:
    """The kinds that can strike ``site`` where those ``capabilities`` are given, in the order of the table."""
    step = saga.step(site.subject) if site.direction else None
    return tuple(
        kind.name
        for kind in FAULT_KINDS.values()
        if infeasible(kind, phase=site.phase, direction=site.direction, step=step) is None
        and (not kind.needs or kind.needs in capabilities)
    )
