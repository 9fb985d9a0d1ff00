"""What is injected, and where it strikes.

A fault is a kind at a site. A site names a moment by meaning, never by a global
counter, so that one plan means the same on every adapter and in every world.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .errors import UsageError, nearest
from .saga import COMPENSATION, DIRECTION_NAMES, FORWARD, Saga, Step

# The phases at which a site can lie.
AT_SEND: Final = "send"  # the orchestrator is about to send a request
AT_EFFECT: Final = "effect"  # the participant is about to handle the first delivery of it
AT_ACK: Final = "ack"  # its answer is about to reach the orchestrator
AT_LOG: Final = "log"  # the orchestrator asks its store to make a record durable
AT_LOGGED: Final = "logged"  # that record has just become durable
AT_BOOT: Final = "boot"  # a new incarnation of the orchestrator starts


class Site(NamedTuple):
    """A moment that a fault can strike.

    For a call ``subject`` is the step, ``direction`` "F" or "C" and ``occurrence`` the attempt
    (from 1, counted over all incarnations of the orchestrator). For a durable write ``subject``
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
class FaultKind:
    """A row of the fault model.

    ``phase`` is where it strikes; ``directions`` which calls can suffer it ("" for writes).
    ``crash`` says that the orchestrator dies of it. ``unless`` names the step properties
    (``retriable``, ``pivot``) under which the kind is impossible, with the reason. ``needs`` is the
    capability (a key of CAPABILITIES) without which an adapter cannot suffer it.
    """

    name: str
    phase: str
    meaning: str
    directions: tuple[str, ...] = (FORWARD, COMPENSATION)
    crash: bool = False
    needs: str = ""
    unless: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.name


CAPABILITIES: Final[Mapping[str, str]] = {
    "recover": "the adapter has a method recover",
    "cancel": "the adapter has a method cancel, or is async",
    "upgrade": "the adapter declares upgrade=",
    "expiry": "the adapter declares expiring=",
    "retention": "the adapter declares key_retention_ms=",
    "sagas": "the scenario runs more than one saga",
    "proxy": "the manifest of a live system puts a store behind a proxy",
    "store": "the manifest of a live system starts such a store anew for each case",
}
"""What an adapter or scenario may be able to suffer, and how that is known."""

LIVE_ONLY: Final = ("proxy", "store")
"""Those that only a system of real processes can have."""


def _kinds(*kinds: FaultKind) -> dict[str, FaultKind]:
    return {kind.name: kind for kind in kinds}


FAULT_KINDS: Final[Mapping[str, FaultKind]] = _kinds(
    FaultKind(
        name="crash-before-send",
        phase=AT_SEND,
        crash=True,
        meaning="the orchestrator dies; nothing was sent",
    ),
    FaultKind(
        name="crash-after-send",
        phase=AT_SEND,
        crash=True,
        meaning="the orchestrator dies; the request is in the network and will be applied",
    ),
    FaultKind(
        name="lost-request",
        phase=AT_SEND,
        meaning="the request is never delivered; the caller times out",
    ),
    FaultKind(
        name="timeout",
        phase=AT_SEND,
        meaning="the request is so slow that the caller gives up; it is applied afterwards",
    ),
    FaultKind(
        name="duplicate",
        phase=AT_SEND,
        meaning="the request is delivered twice, one right after the other",
    ),
    FaultKind(
        name="delayed-duplicate",
        phase=AT_SEND,
        meaning="a second copy of the request is delivered after the compensation, or at the very end",
    ),
    FaultKind(
        name="reject",
        phase=AT_EFFECT,
        directions=(FORWARD,),
        meaning="the participant refuses for a business reason: definite, and without effect",
        unless={"retriable": "a retriable step cannot be refused"},
    ),
    FaultKind(
        name="error-before-effect",
        phase=AT_EFFECT,
        meaning="the participant fails before it applies anything; the caller sees a transient error",
    ),
    FaultKind(
        name="error-after-effect",
        phase=AT_EFFECT,
        meaning="the participant applies and then fails; the caller sees the same transient error",
    ),
    FaultKind(
        name="crash-after-effect",
        phase=AT_EFFECT,
        crash=True,
        meaning="the participant applies; the orchestrator dies before the answer",
    ),
    FaultKind(
        name="undo-fails",
        phase=AT_EFFECT,
        directions=(COMPENSATION,),
        meaning="this compensation fails at every attempt until an operator steps in",
    ),
    FaultKind(
        name="lost-ack",
        phase=AT_ACK,
        meaning="the participant has answered and the answer is lost; the caller times out",
    ),
    FaultKind(
        name="crash-after-ack",
        phase=AT_ACK,
        crash=True,
        meaning="the orchestrator dies when it has the answer and has not yet recorded it",
    ),
    FaultKind(
        name="crash-before-log",
        phase=AT_LOG,
        directions=("",),
        crash=True,
        meaning="the orchestrator dies before the record is durable",
    ),
    FaultKind(
        name="crash-after-log",
        phase=AT_LOGGED,
        directions=("",),
        crash=True,
        meaning="the orchestrator dies right after the record is durable",
    ),
    FaultKind(
        name="reordered",
        phase=AT_SEND,
        directions=(FORWARD,),
        meaning="the request is overtaken by its own compensation, and delivered after it",
    ),
    FaultKind(
        name="partition",
        phase=AT_SEND,
        meaning="the participant cannot be reached, nor its answers heard, for five seconds from here on",
    ),
    FaultKind(
        name="partition-answers",
        phase=AT_SEND,
        meaning="requests reach the participant, its answers are lost, for five seconds from here on",
    ),
    FaultKind(
        name="pause",
        phase=AT_SEND,
        needs="recover",
        meaning="the process stands still for ten seconds, longer than any lease, while another starts; then it wakes",
    ),
    FaultKind(
        name="cancel",
        phase=AT_SEND,
        directions=(FORWARD,),
        needs="cancel",
        meaning="the client cancels the saga as the request is about to be sent",
    ),
    FaultKind(
        name="clock-forward",
        phase=AT_SEND,
        meaning="the wall clock jumps ahead by an hour; the monotonic one does not",
    ),
    FaultKind(
        name="clock-back",
        phase=AT_SEND,
        meaning="the wall clock jumps back by an hour; the monotonic one does not",
    ),
    FaultKind(
        name="overtaken",
        phase=AT_SEND,
        needs="sagas",
        meaning="the request waits until the next one of another saga on the same data was handled",
    ),
    FaultKind(
        name="overtaken-twice",
        phase=AT_SEND,
        needs="sagas",
        meaning="the request waits until the next two of another saga on the same data were handled",
    ),
    FaultKind(
        name="participant-outage",
        phase=AT_EFFECT,
        meaning="the participant is down when the request arrives, and for two seconds; it forgets nothing",
    ),
    FaultKind(
        name="participant-restart",
        phase=AT_EFFECT,
        meaning="the participant applies and restarts before it answers; what it held in memory only is gone",
    ),
    FaultKind(
        name="expiry",
        phase=AT_EFFECT,
        directions=(FORWARD,),
        needs="expiry",
        meaning="the reservation that the request makes runs out while the saga goes on",
    ),
    FaultKind(
        name="key-expiry",
        phase=AT_EFFECT,
        needs="retention",
        meaning="the participant has forgotten the idempotency key, as its retention allows, before a retry comes",
    ),
    FaultKind(
        name="slow-answer",
        phase=AT_ACK,
        meaning="the answer comes just before the caller would give up",
    ),
    FaultKind(
        name="late-answer",
        phase=AT_ACK,
        meaning="the answer comes just after the caller gave up",
    ),
    FaultKind(
        name="store-error-before-commit",
        phase=AT_LOG,
        directions=("",),
        meaning="the store answers with an error; nothing is durable",
    ),
    FaultKind(
        name="torn-write",
        phase=AT_LOG,
        directions=("",),
        crash=True,
        meaning="the orchestrator dies in the middle of the write; the file holds a part of it",
    ),
    FaultKind(
        name="store-error-after-commit",
        phase=AT_LOGGED,
        directions=("",),
        meaning="the record is durable, but the store's answer is an error",
    ),
    FaultKind(
        name="lost-write",
        phase=AT_LOGGED,
        directions=("",),
        crash=True,
        meaning="the store had acknowledged the record; it dies with the orchestrator",
    ),
    FaultKind(
        name="store-outage",
        phase=AT_LOG,
        directions=("",),
        needs="proxy",
        meaning="nobody can reach the store from here on, for a while; nothing is durable",
    ),
    FaultKind(
        name="store-restart",
        phase=AT_LOGGED,
        directions=("",),
        needs="store",
        meaning="the record is durable; the store is killed before it can say so, and starts again",
    ),
    FaultKind(
        name="slow-commit",
        phase=AT_LOGGED,
        directions=("",),
        needs="proxy",
        meaning="the record is durable, and the store is slow to say so",
    ),
    FaultKind(
        name="second-orchestrator",
        phase=AT_LOGGED,
        directions=("",),
        needs="recover",
        meaning="another process starts and recovers while this one lives on",
    ),
    FaultKind(
        name="stale-read",
        phase=AT_BOOT,
        directions=("",),
        needs="recover",
        meaning="recovery reads from a replica that lags by one write",
    ),
    FaultKind(
        name="upgrade",
        phase=AT_BOOT,
        directions=("",),
        needs="upgrade",
        meaning="the new incarnation runs the next version of the definition",
    ),
)


KIND_GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "all": tuple(FAULT_KINDS),
    "basic": (
        "crash-before-send",
        "crash-after-send",
        "lost-request",
        "timeout",
        "duplicate",
        "delayed-duplicate",
        "reject",
        "error-before-effect",
        "error-after-effect",
        "crash-after-effect",
        "undo-fails",
        "lost-ack",
        "crash-after-ack",
        "crash-before-log",
        "crash-after-log",
    ),
}
"""Names for several kinds at once: ``basic`` are those that any saga must survive, wherever it runs."""


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
        return Plan(faults=self.faults[:index] + self.faults[index + 1 :], yields=self.yields)

    def without_yield(self, index: int) -> Plan:
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
    for word in text.split(","):
        name = word.strip()
        if name in KIND_GROUPS:
            wanted.update(KIND_GROUPS[name])
        elif name in FAULT_KINDS:
            wanted.add(name)
        else:
            known = (*FAULT_KINDS, *KIND_GROUPS)
            raise UsageError(
                f"unknown fault kind {name!r}{nearest(name, known)}; "
                f"write kinds with commas between them, or one of the groups {' and '.join(KIND_GROUPS)}"
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
    step = saga.by_name.get(site.subject) if site.direction else None
    return tuple(
        kind.name
        for kind in FAULT_KINDS.values()
        if infeasible(kind, phase=site.phase, direction=site.direction, step=step) is None
        and (not kind.needs or kind.needs in capabilities)
    )
