"""What a run records while it goes on, in the simulator as in the live world.

A `Trace` holds the events, the sites that were reached, and the faults that struck; in the end it makes a `Run` of
them. It knows neither world: the time comes from a clock that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from .fault_kinds import NOTHING, FaultKind, Impossible
from .faults import AT_LOG, AT_SEND, Fault, Plan, Site, kind_named
from .history import ALERT, DEAD_LETTER, KIND, SAGA, STEP, Fired, History, Row
from .saga import COMPENSATION

MAX_ATTEMPT: Final = 6
"""Attempts of one call at which faults are injected; later ones are reported as not struck."""

MAX_OCCURRENCE: Final = 64
"""The same for the writes of one record, and the starts of a process: more than attempts."""

_ABOUT_TO_ACT: Final = (AT_SEND, AT_LOG)

SiteKey = tuple[str, str, str, str, int]
"""A site as a plain tuple: (saga, subject, direction, phase, occurrence)."""

SiteKind = tuple[str, str, str]
"""A site but for its phase and its number: whatever is of one kind is counted together."""


class Tried(Protocol):
    """An adapter and a scenario of it."""

    @property
    def without_events(self) -> History:
        """The history of a run in which nothing has happened yet."""


class Call(Protocol):
    """A request, as far as its events tell of it."""

    saga: str
    step: str
    direction: str
    attempt: int
    key: str | None
    id: int


class Run(NamedTuple):
    """What one run leaves. ``sites`` are those it reached; from ``recovery`` on they lie after a restart, from
    ``compensation`` on after the first undo was asked (-1: none). ``fired`` are (rows before it, index of the fault in
    the plan). ``impossible`` maps the index of a site to the kinds that could not have taken effect there. ``capped``
    says that there were more attempts or writes than are struck. ``site_rows`` are the rows before each site,
    ``clock_read`` says whether the code under test asked for the wall clock. ``handed`` are the sites that were reached
    before each time that a process which had booted was handed orders that waited for it. ``idle`` are the indices of
    faults that struck and changed nothing; none of them counts as fired."""

    rows: tuple[Row, ...]
    sites: tuple[Site, ...]
    recovery: int
    compensation: int
    fired: tuple[tuple[int, int], ...]
    capped: bool
    impossible: Mapping[int, Impossible]
    site_rows: tuple[int, ...]
    clock_read: bool = False
    handed: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()

    @property
    def without_rows(self) -> Run:
        """The same without its events."""
        _, sites, recovery, compensation, fired, capped, impossible, _, clock_read, handed, idle = self
        return Run((), sites, recovery, compensation, fired, capped, impossible, (), clock_read, handed, idle)

    @property
    def struck(self) -> int:
        """How many faults struck, whether anything came of them or not."""
        return len(self.fired) + len(self.idle)

    def history(self, setup: Tried, plan: Plan) -> History:
        fired = [Fired(position=position, fault=plan.faults[index]) for position, index in self.fired]
        return setup.without_events.of_events(self.rows, tuple(fired))


def called_to(failing: Collection[tuple[str, str]], rows: Iterable[Row]) -> set[tuple[str, str]]:
    """Those of the ``failing`` compensations, as (saga, step), to which a person was called: by an alert or a dead
    letter that names the step, or the saga as a whole."""
    called = {(row[SAGA], row[STEP]) for row in rows if row[KIND] in (ALERT, DEAD_LETTER)}
    return {(saga, step) for saga, step in failing if (saga, step) in called or (saga, "") in called}


class Strike(NamedTuple):
    """A fault that the plan has for a site: its kind, and its number in the plan."""

    kind: FaultKind
    number: int


class Extent(NamedTuple):
    """How far a trace had come: how many rows, sites and strikes there were, and the fields of `Trace`."""

    rows: int
    sites: int
    fired: int
    impossible: dict[int, Impossible]
    recovery: int
    compensation: int
    capped: bool


class Trace:
    """See above. ``clock`` gives the time in µs since the run began; at the sites of the ``undisturbed`` sagas nothing
    strikes. ``record`` takes a row as it is. ``on_act(site)`` is called before a site counts at which a process is
    about to act, ``on_ask()`` before a process asks a port to act; None where nobody looks."""

    __slots__ = (
        "_clock",
        "_faults",
        "_undisturbed",
        "capped",
        "compensation",
        "fired",
        "handed",
        "impossible",
        "may_be_idle",
        "on_act",
        "on_ask",
        "record",
        "recovery",
        "rows",
        "site_rows",
        "sites",
    )

    def __init__(
        self, faults: Sequence[Fault], clock: Callable[[], int], undisturbed: frozenset[str] = frozenset()
    ) -> None:
        self._clock = clock
        self._undisturbed = undisturbed
        self._faults: dict[SiteKey, Strike] = {}
        self.may_be_idle = False  # whether one of the faults can strike and change nothing
        for number, fault in enumerate(faults):
            kind = kind_named(fault.kind)
            self._faults[fault.site] = Strike(kind, number)
            if kind.may_be_idle:
                self.may_be_idle = True
        self.rows: list[Row] = []
        self.record = self.rows.append
        self.sites: list[Any] = []
        self.site_rows: list[int] = []
        self.impossible: dict[int, Impossible] = {}
        self.fired: list[tuple[int, int]] = []
        self.handed: dict[str, int] = {}  # by the process
        self.recovery = -1
        self.compensation = -1
        self.capped = False
        self.on_act: Callable[[SiteKey], object] | None = None
        self.on_ask: Callable[[], object] | None = None

    def add(
        self,
        kind: str,
        process: str,
        data: tuple[Any, ...] = (),
        *,
        saga: str = "",
        step: str = "",
        direction: str = "",
        msg: int = 0,
    ) -> None:
        """Note an event of ``process``, now."""
        record, clock = self.record, self._clock  # locals: else Python looks for methods of these names
        record((clock(), kind, process, saga, step, direction, 0, None, msg, data))

    def handed_over(self, process: str, ticket: str, *, saga: str, step: str) -> None:
        """Note what a request that calls a person comes to once its service has taken it: the saga, or the step of it
        that the ticket names, is put aside, with an alert."""
        for kind in (DEAD_LETTER, ALERT):
            self.add(kind, process, (ticket,), saga=saga, step=step)

    def add_of(self, call: Call, kind: str, process: str, data: tuple[Any, ...]) -> None:
        """Note an event of a request, now."""
        about = (call.saga, call.step, call.direction, call.attempt, call.key, call.id)
        self.record((self._clock(), kind, process, *about, data))

    def visit(self, site: SiteKey, impossible: Impossible = NOTHING) -> Strike | None:
        """A site is reached: what the plan has for it. ``impossible`` are the kinds that could not take effect here, as
        things stand, with the reasons; none of them strikes."""
        direction, occurrence = site[2], site[4]
        if self._undisturbed and site[0] in self._undisturbed:
            return None
        if occurrence > MAX_ATTEMPT and (direction or occurrence > MAX_OCCURRENCE):
            self.capped = True
            return None
        sites = self.sites
        if direction == COMPENSATION and self.compensation < 0:
            self.compensation = len(sites)
        if self.on_act is not None and site[3] in _ABOUT_TO_ACT:
            self.on_act(site)
        if impossible:
            self.impossible[len(sites)] = impossible
        sites.append(site)
        self.site_rows.append(len(self.rows))
        strike = self._faults.get(site)
        return None if strike is None or strike.kind.name in impossible else strike

    @property
    def spent(self) -> bool:
        """True if every fault of the plan has struck."""
        return len(self.fired) >= len(self._faults)

    def nears(self, since: int) -> bool:
        """True if one of the sites ``since`` that number is of a kind at which a fault is still to strike."""
        struck = {number for _, number in self.fired}
        planned = {site[:3] for site, strike in self._faults.items() if strike.number not in struck}
        return any(site[:3] in planned for site in self.sites[since:])

    def struck(self, number: int) -> None:
        """The fault of that number takes its effect now."""
        self.fired.append((len(self.rows), number))

    def restarted(self) -> None:
        """A process starts in place of another: the sites from here on lie after a restart."""
        if self.recovery < 0:
            self.recovery = len(self.sites)

    def hands_over(self, process: str) -> None:
        """Orders that waited are handed to a process: again, where it is made anew in a copy of its run."""
        self.handed.setdefault(process, len(self.sites))

    def extent(self) -> Extent:
        """How far it has come, for `repeat`."""
        return Extent(
            rows=len(self.rows),
            sites=len(self.sites),
            fired=len(self.fired),
            impossible=self.impossible.copy(),
            recovery=self.recovery,
            compensation=self.compensation,
            capped=self.capped,
        )

    def repeat(self, other: Trace, until: Extent) -> None:
        """Take over what ``other`` had recorded by then."""
        self.rows += other.rows[: until.rows]
        self.sites += other.sites[: until.sites]
        self.site_rows += other.site_rows[: until.sites]
        self.fired += other.fired[: until.fired]
        self.handed |= {process: sites for process, sites in other.handed.items() if sites <= until.sites}
        self.impossible.update(until.impossible)
        self.recovery, self.compensation, self.capped = until[4:]

    def strikes(self) -> list[tuple[int, SiteKey, Strike]]:
        """The faults that struck: the rows before each, its site, and what the plan has for it."""
        sites = {strike.number: (site, strike) for site, strike in self._faults.items()}
        return [(position, *sites[number]) for position, number in self.fired]

    def run(self, *, clock_read: bool = False) -> Run:
        """What is recorded so far; only who runs the code under test knows whether it asked for the wall clock."""
        return Run(
            rows=tuple(self.rows),
            sites=tuple(self.sites),
            recovery=self.recovery,
            compensation=self.compensation,
            fired=tuple(self.fired),
            capped=self.capped,
            impossible=self.impossible,
            site_rows=tuple(self.site_rows),
            clock_read=clock_read,
            handed=tuple(self.handed.values()),
        )
