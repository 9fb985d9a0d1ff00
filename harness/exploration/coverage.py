"""What the plans of a campaign covered, and what they could not reach.

Counting costs a few dictionary updates a plan. Only the orders of conflicting operations are read off the
events, of distinct histories of scenarios with several sagas.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import permutations
from types import MappingProxyType
from typing import Any, Final

from ..effects import SIMULATED
from ..fault_kinds import Impossible
from ..faults import FAULT_KINDS, Fault, FaultKind, Plan, Site, infeasible
from ..history import APPLY, DIRECTION, KIND, PROCESS, REJECT, SAGA, STEP, Row
from ..saga import DIRECTION_NAMES, split
from ..simulator import Setup
from ..verdict import MODES, MORE_ORDERS, Cell, Coverage, OrderCell, PairCell, Signature, SiteCell, Unreachable, Verdict
from .cases import Case, Operation, Told
from .judge import end_of
from .reductions import CRASH_EQUIVALENCE, STATE_MEMO, UNREAD_CLOCK

NOT_REACHED: Final = "no site that it could strike was reached"
SPARED: Final = "each of its plans is equivalent to one of another crash, which was run"
OR_SPARED: Final = ", or it is equivalent to another crash's"
IDLE: Final = "it changed nothing wherever it struck"
OR_IDLE: Final = ", or it changed nothing there"
OR_UNREAD: Final = ", or nobody reads the clock after it"
STRIKES: Final = "it strikes"
LEFT_OUT: Final = "left out of this search by the choice of kinds"

Counts = list[int]
"""Planned, fired, consequential."""


class ScenarioCoverage:
    """The coverage of one scenario."""

    def __init__(self, setup: Setup, max_faults: int, only: Collection[str] | None, pruned: Mapping[str, int]) -> None:
        self.setup = setup
        self.only = only
        self.max_faults = max_faults
        self.pruned = pruned
        self.cells: dict[tuple[str, Site, str], Counts] = {}
        self.broken: dict[tuple[str, Site, str], tuple[Signature, ...]] = {}  # by a fault alone
        self._judged: set[tuple[str, Site]] = set()  # faults that were run alone, and judged
        self._plain: frozenset[Any] = frozenset()  # the sites of the run without a fault
        self.reached: Counter[Site] = Counter()
        self.barred: Counter[tuple[Site, Impossible]] = Counter()
        self.orders = Orders(setup) if len(setup.known) > 1 else None
        self._modes: dict[tuple[str, Site], str] = {}
        self.idle: set[str] = set()  # kinds that struck, and changed nothing

    def add(
        self, case: Case, verdict: Verdict, *, new: bool, kinds: dict[tuple[str, str], Counts], modes: dict[Any, Counts]
    ) -> None:
        """Count a case; ``kinds`` and ``modes`` take its ordered pairs."""
        faults = case.plan.faults
        if case.idle:
            self.idle.update(faults[number].kind for number in case.run.idle)
        elif faults:
            last = faults[-1]
            _count(self.cells, (last.kind, last.site, case.mode), case)
            if len(faults) == 1:
                self._modes[last.kind, last.site] = case.mode
                if not case.known:
                    self._judged.add((last.kind, last.site))
                if verdict.violations:
                    signatures = tuple(violation.signature for violation in verdict.violations)
                    self.broken[last.kind, last.site, case.mode] = signatures
            for number, earlier in enumerate(faults[:-1]):
                _count(kinds, (earlier.kind, last.kind), case)
                before = self._modes.get((earlier.kind, earlier.site)) if number == 0 else None
                _count(modes, (before or case.mode_before(number), case.mode), case)
        if not faults:
            self._plain = frozenset(case.run.sites)
        if len(faults) < self.max_faults:  # a leaf's sites are those that nothing strikes
            run = case.run
            self.reached.update(run.sites)
            for index, excluded in run.impossible.items():
                self.barred[run.sites[index], excluded] += 1
        if new and self.orders is not None:
            self.orders.count(case.told)

    def site_cells(self) -> Iterator[SiteCell]:
        name = self.setup.scenario.name
        for key, (planned, fired, consequential) in self.cells.items():
            kind, site, mode = key
            yield SiteCell(
                scenario=name,
                site=site,
                kind=kind,
                mode=mode,
                planned=planned,
                fired=fired,
                consequential=consequential,
                alone=(kind, site) in self._judged or self._can_be_judged(site),
                broken=self.broken.get(key, ()),
            )

    def judge_the_spared(self) -> None:
        """Judge the plans with one fault that a reduction spared, or ended in a known state."""
        for key in self.cells:
            kind, site, _ = key
            if (kind, site) not in self._judged and self._can_be_judged(site):
                self._judged.add((kind, site))
                _, signatures = end_of(self.setup, Plan(faults=(Fault(kind=kind, site=site),)))
                if signatures:
                    self.broken[key] = tuple(sorted(signatures))

    def _can_be_judged(self, site: Site) -> bool:
        """True if the simulator comes to the site without another fault."""
        return self.setup.world == SIMULATED and site in self._plain

    def by_step(self) -> dict[tuple[str, str, str], set[Site]]:
        """Kinds that a property of the step rules out, as (kind, where, reason): the sites reached there."""
        found: dict[tuple[str, str, str], set[Site]] = {}
        saga = self.setup.adapter.known
        conditional = [kind for kind in FAULT_KINDS.values() if kind.unless and kind.name in self.setup.kinds]
        for site in map(Site._make, self.reached):
            step = saga.step(site.subject) if site.direction else None
            for kind in conditional:
                if step is not None and kind.phase == site.phase and site.direction in kind.directions:
                    reason = infeasible(kind, phase=site.phase, direction=site.direction, step=step)
                    if reason is not None:
                        found.setdefault((kind.name, _where(site), reason), set()).add(site)
        return found

    def by_now(self) -> dict[tuple[str, str], set[Site]]:
        """Kinds that could never have taken effect at a site, as (kind, reason): those sites."""
        found: dict[tuple[str, str], set[Site]] = {}
        for (name, site), reason in self._always_barred().items():
            found.setdefault((name, reason), set()).add(site)
        return found

    def ruled_out(self, kind: FaultKind) -> bool:
        """True if a site of the kind was reached at which the step or the moment ruled it out."""
        found = [*self.by_step(), *self.by_now()]
        return any(entry[0] == kind.name for entry in found)

    def crashes(self) -> set[str]:
        """The kinds of crashes that can strike a site that was reached."""
        barred, sites = self._always_barred(), [Site._make(site) for site in self.reached]
        return {
            kind.name
            for kind in FAULT_KINDS.values()
            if kind.crash and self._wanted(kind.name)
            if any(self._fits(kind, site) and (kind.name, site) not in barred for site in sites)
        }

    def _always_barred(self) -> dict[tuple[str, Site], str]:
        """Why a kind could not take effect at a site, wherever a run reached it in vain for that kind."""
        times: Counter[tuple[str, Site]] = Counter()
        reasons: dict[tuple[str, Site], str] = {}
        for (raw, excluded), count in self.barred.items():
            site = Site._make(raw)
            for name, reason in excluded.items():
                if self._wanted(name) and self._fits(FAULT_KINDS[name], site):
                    times[name, site] += count
                    reasons.setdefault((name, site), reason)
        return {key: reasons[key] for key, count in times.items() if count == self.reached[key[1]]}

    def _wanted(self, kind: str) -> bool:
        return kind in self.setup.kinds and (self.only is None or kind in self.only)

    def _fits(self, kind: FaultKind, site: Site) -> bool:
        step = self.setup.adapter.known.step(site.subject) if site.direction else None
        return infeasible(kind, phase=site.phase, direction=site.direction, step=step) is None


class CoverageStatistics:
    """The coverage of a campaign."""

    def __init__(self) -> None:
        self._of: dict[int, ScenarioCoverage] = {}  # by the id of its setup, which it holds
        self._kinds: dict[tuple[str, str], Counts] = {}
        self._modes: dict[tuple[str, str], Counts] = {}
        self._violated = False

    def begin(
        self,
        setup: Setup,
        max_faults: int,
        only: Collection[str] | None = None,
        pruned: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """There will be cases of ``setup``. ``pruned`` will count the plans that reductions spare."""
        self._of[id(setup)] = ScenarioCoverage(setup, max_faults, only, pruned)

    @property
    def scenarios(self) -> list[ScenarioCoverage]:
        """In the order in which they were begun."""
        return list(self._of.values())

    def add(self, setup: Setup, case: Case, verdict: Verdict, *, new: bool) -> None:
        """Count one case of ``setup``; ``new`` says that its history was not seen before."""
        self._violated = self._violated or bool(verdict.violations)
        self._of[id(setup)].add(case, verdict, new=new, kinds=self._kinds, modes=self._modes)

    def cells(self) -> tuple[Cell, ...]:
        """Kind × mode, over all scenarios."""
        totals: dict[tuple[str, str], Counts] = {}
        sites: Counter[tuple[str, str]] = Counter()
        for scenario in self.scenarios:
            for (kind, _, mode), counts in scenario.cells.items():
                sums = totals.setdefault((kind, mode), [0, 0, 0])
                for number, count in enumerate(counts):
                    sums[number] += count
                sites[kind, mode] += 1
        return tuple(
            Cell(
                kind=kind,
                mode=mode,
                sites=sites[kind, mode],
                planned=total[0],
                fired=total[1],
                consequential=total[2],
            )
            for kind in FAULT_KINDS
            for mode in MODES
            if (total := totals.get((kind, mode))) is not None
        )

    def result(self) -> Coverage:
        """All that is known by now."""
        if self._violated:  # else what spares a plan leads to nothing wrong either
            for scenario in self.scenarios:
                scenario.judge_the_spared()
        return Coverage(
            sites=tuple(cell for scenario in self.scenarios for cell in scenario.site_cells()),
            kinds=tuple(_pairs(self._kinds, list(FAULT_KINDS))),
            modes=tuple(_pairs(self._modes, list(MODES))),
            orders=tuple(cell for scenario in self.scenarios if scenario.orders for cell in scenario.orders.cells()),
            unreachable=tuple(self.unreachable()),
        )

    # -- what could not be reached ---------------------------------------------------------------

    def unreachable(self) -> Iterator[Unreachable]:
        """Each kind and mode without a plan, with the reason; then what the steps and the moment ruled out."""
        if not self.scenarios or not any(scenario.max_faults for scenario in self.scenarios):
            return
        seen = {(cell.kind, cell.mode) for cell in self.cells()}
        only = self.scenarios[0].only
        sparing = [s for s in self.scenarios if any(s.pruned.get(row.name) for row in (CRASH_EQUIVALENCE, STATE_MEMO))]
        spared = {name for scenario in sparing for name in scenario.crashes()}
        for kind in FAULT_KINDS.values():
            if only is not None and kind.name not in only:
                yield Unreachable(kind=kind.name, where="", reason=LEFT_OUT)
            elif all(kind.name not in scenario.setup.kinds for scenario in self.scenarios):
                yield Unreachable(kind=kind.name, where="", reason=self.scenarios[0].setup.refusal(kind.name))
            else:
                yield from self._modes_without(kind, seen, spared=kind.name in spared)
        yield from self._ruled_out_by_steps()
        yield from self._ruled_out_by_the_moment()

    def _modes_without(
        self, kind: FaultKind, seen: Collection[tuple[str, str]], *, spared: bool
    ) -> Iterator[Unreachable]:
        possible = [mode for mode in MODES if mode not in _NEVER.get(kind.directions, ())]
        missing = [mode for mode in possible if (kind.name, mode) not in seen]
        unread = kind.only_jumps_clock and any(s.pruned.get(UNREAD_CLOCK.name) for s in self.scenarios)
        idle = any(kind.name in scenario.idle for scenario in self.scenarios)
        unless = OR_IDLE if idle else OR_UNREAD if unread else OR_SPARED if spared else ""
        if len(missing) == len(possible):
            if idle:
                yield Unreachable(kind=kind.name, where="", reason=IDLE)
            elif spared or not any(scenario.ruled_out(kind) for scenario in self.scenarios):  # else that is the reason
                yield Unreachable(kind=kind.name, where="", reason=SPARED if spared else NOT_REACHED)
            return
        for mode in MODES:
            if mode in missing:
                yield Unreachable(kind=kind.name, where=mode, reason=f"{NOT_REACHED}{unless}")
            elif mode not in possible:
                words = " and ".join(DIRECTION_NAMES.get(direction, "writes") for direction in kind.directions)
                yield Unreachable(kind=kind.name, where=mode, reason=f"{STRIKES} {words} only")

    def _ruled_out_by_steps(self) -> Iterator[Unreachable]:
        found: dict[tuple[str, str, str], int] = {}
        for scenario in self.scenarios:
            for key, sites in scenario.by_step().items():
                found[key] = found.get(key, 0) + len(sites)
        for (kind, where, reason), count in sorted(found.items()):
            yield Unreachable(kind=kind, where=where, reason=reason, sites=count)

    def _ruled_out_by_the_moment(self) -> Iterator[Unreachable]:
        sites: Counter[tuple[str, str]] = Counter()
        places: dict[tuple[str, str], set[str]] = {}
        for scenario in self.scenarios:
            for key, found in scenario.by_now().items():
                sites[key] += len(found)
                places.setdefault(key, set()).update(map(_where, found))
        for kind, reason in sorted(places, key=lambda key: (list(FAULT_KINDS).index(key[0]), key[1])):
            where = ", ".join(sorted(places[kind, reason]))
            yield Unreachable(kind=kind, where=where, reason=reason, sites=sites[kind, reason])


class Orders:
    """In which orders the operations of two sagas on the same data were handled."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._saga = setup.adapter.known
        ledgers = setup.ledgers()
        self._subject: dict[tuple[str, str], str] = {
            (service, id): ledgers[service].subject(order)
            for service in setup.services
            for id, order in setup.known.items()
        }
        self._several = frozenset(
            service
            for service in setup.services
            if len({self._subject[service, id] for id in setup.known}) < len(setup.known)
        )
        self.seen: Counter[tuple[Operation, Operation]] = Counter()
        self.handled: set[Operation] = set()

    def count(self, told: Told) -> None:
        """Count what `read` gave of a history."""
        self.seen.update(told.orders)
        self.handled.update(told.handled)

    def read(self, rows: Sequence[Row]) -> tuple[list[tuple[Operation, Operation]], list[Operation]]:
        """The orders that a history shows, each once, and all operations that were handled; both sorted."""
        several = self._several
        before: dict[str, list[Operation]] = {}
        found: set[tuple[Operation, Operation]] = set()
        for row in rows:
            if (row[KIND] == APPLY or row[KIND] == REJECT) and row[PROCESS] in several and row[STEP]:
                operation = (row[SAGA], split(row[STEP])[0], row[DIRECTION])
                earlier = before.setdefault(row[PROCESS], [])
                for other in earlier:
                    if other[0] != operation[0]:
                        found.add((other, operation))
                if operation not in earlier:
                    earlier.append(operation)
        handled = {operation for operations in before.values() for operation in operations}
        return sorted(pair for pair in found if self._conflict(*pair)), sorted(handled)

    def _conflict(self, one: Operation, other: Operation) -> bool:
        service = self._saga.by_name[one[1]].participant
        return self._subject[service, one[0]] == self._subject[service, other[0]]

    def cells(self) -> Iterator[OrderCell]:
        """Both orders of every conflicting pair, seen or not."""
        for one, other in self._pairs():
            seen = self.seen[one, other]
            yield OrderCell(
                scenario=self._setup.scenario.name,
                participant=self._saga.by_name[one[1]].participant,
                first=self._name(one),
                second=self._name(other),
                seen=seen,
                why="" if seen else self._why(one, other),
            )

    def _pairs(self) -> Iterator[tuple[Operation, Operation]]:
        operations = {
            id: [(step.name, direction) for step, direction in self._setup.definition(id).by_operation.values()]
            for id in self._setup.known
        }
        for one, other in permutations(operations, 2):
            for step, direction in operations[one]:
                for beside, back in operations[other]:
                    pair = ((one, step, direction), (other, beside, back))
                    together = self._saga.by_name[step].participant == self._saga.by_name[beside].participant
                    if together and self._conflict(*pair):
                        yield pair

    def _why(self, one: Operation, other: Operation) -> str:
        never = [self._name(operation) for operation in (one, other) if operation not in self.handled]
        if never:
            return f"{' and '.join(never)} {'was' if len(never) == 1 else 'were'} never handled"
        return "both were handled, never in this order"

    def _name(self, operation: Operation) -> str:
        return f"{operation[0]} {self._saga.operation(operation[1], operation[2])}"


def in_words(unreachable: Iterable[Unreachable]) -> Iterator[str]:
    """A line for each reason, the kinds that share it together."""
    places: dict[tuple[str, str], list[str]] = {}  # of a kind and a reason
    at: dict[tuple[str, str], list[str]] = {}  # the kinds of a place and a reason
    for entry in unreachable:
        if entry.sites:
            at.setdefault((entry.where, f"{entry.reason} ({entry.sites:,} sites)"), []).append(entry.kind)
        elif not entry.reason.startswith(STRIKES):  # that is what the kind means, not what was missed
            places.setdefault((entry.kind, entry.reason), []).append(entry.where)
    together: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for (kind, reason), where in places.items():
        together.setdefault((tuple(where), reason), []).append(kind)
    for (modes, reason), kinds in together.items():
        where_not = f"in {' and '.join(modes)}" if any(modes) else "anywhere"
        names = ", ".join(kinds)
        many = len(kinds) > _KINDS_FIRST
        yield f"{len(kinds)} kinds {where_not}: {reason}: {names}" if many else f"{names} {where_not}: {reason}"
    for (place, reason), kinds in at.items():
        yield f"{', '.join(kinds)} at {place}: {reason}"


def missing_orders(orders: Iterable[OrderCell]) -> Iterator[str]:
    """A line for the orders of conflicting operations that were not seen, by reason."""
    left = [cell for cell in orders if not cell.seen]
    for cell in left[:_ORDERS_TOLD]:
        yield f"{cell.scenario}, {cell.first} before {cell.second}: {cell.why}"
    if len(left) > _ORDERS_TOLD:
        yield f"{len(left) - _ORDERS_TOLD} {MORE_ORDERS}"


_ORDERS_TOLD: Final = 4
_KINDS_FIRST: Final = 12
"""Of more kinds than these the reason stands first: a report cuts a line that is long."""

_NEVER: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {("F",): ("compensation",), ("C",): ("forward",)}
"""The modes in which a kind that strikes one direction only can never be seen."""


def _count(table: dict[Any, Counts], key: Any, case: Case) -> None:
    counts = table.get(key)
    if counts is None:
        counts = table[key] = [0, 0, 0]
    counts[0] += 1
    counts[1] += case.fired
    counts[2] += case.consequential


def _pairs(table: dict[tuple[str, str], Counts], order: list[str]) -> Iterator[PairCell]:
    for first in order:
        for second in order:
            counts = table.get((first, second))
            if counts is not None:
                yield PairCell(first=first, second=second, planned=counts[0], fired=counts[1], consequential=counts[2])


def _where(site: Site) -> str:
    """``payment compensation``: the call, whichever saga's and attempt."""
    if not site.direction:
        return "durable writes"
    return f"{site.subject} {DIRECTION_NAMES.get(site.direction, site.direction)}"
