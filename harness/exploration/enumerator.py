"""Every plan with at most k faults, each once, by discovered sites.

A run reveals the sites that it reaches. A plan is extended only by faults at sites reached after
the last one that it strikes, so each set of faults is visited exactly once; since the run up to
that site is the same, every site that a longer plan names is one that its run will reach. All that
this needs is a deterministic run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ..effects import AT_SEND, UNSHARED
from ..fault_kinds import NOTHING, Impossible, impossible
from ..faults import FAULT_KINDS, Fault, Plan, Site, feasible_kinds
from ..history import BOOT, BOOT_REASON, DATA, KIND, rows_digest
from ..simulator import (
    HEALING,
    Observed,
    Observer,
    Prefix,
    Run,
    Setup,
    Strayed,
    observe,
    prefixes,
    simulate,
    unsettled,
)
from .cases import Case, mode_of
from .judge import end_of
from .parting import NotDeterministic, difference
from .reductions import (
    ALL,
    CRASH_EQUIVALENCE,
    FORGOTTEN_RETRIES,
    INDEPENDENCE,
    PREFIX_SHARING,
    STATE_MEMO,
    UNREAD_CLOCK,
    Reduction,
)
from .reductions.crashes import visible_before
from .reductions.state_memo import StateMemo

TRIED_EVERY: Final = 199
"""One in so many runs that are ended in a known state is run to its end, and compared."""


@dataclass(slots=True)
class _Node:
    """A plan whose extensions are still to be run, with what its run revealed: the sites from number
    ``first`` on."""

    faults: tuple[Fault, ...]
    first: int
    sites: tuple[Site, ...]
    impossible: dict[int, Impossible]
    digest: bytes
    visible: tuple[int, ...]  # how many events that outlive a crash had happened before each site
    unread: bool  # whether a jump of the clock as a further, last fault would change nothing
    repeated: frozenset[int] = frozenset()  # the indices of sites at which the run does what it did before


class _Shared:
    """The prefixes of one run, in their order."""

    __slots__ = ("_prefixes", "_sites")

    def __init__(self, prefixes: list[Prefix]) -> None:
        self._prefixes = prefixes
        self._sites = [prefix.sites for prefix in prefixes]

    def before(self, site: int) -> Prefix | None:
        """The longest prefix that ends before the site of that number."""
        at = bisect_right(self._sites, site)
        return self._prefixes[at - 1] if at else None


class Enumerator:
    """Runs all plans of one setup, those with fewer faults first, in the order of discovery.

    ``only`` restricts the fault kinds. ``reductions`` are those in use; ``pruned``
    counts the plans that each of them spared, ``resumed`` those that were run from a shared prefix.
    """

    def __init__(
        self,
        setup: Setup,
        max_faults: int,
        only: Collection[str] | None = None,
        reductions: Collection[Reduction] = ALL,
    ) -> None:
        used = {row for row in reductions if row.usable(setup, only)}
        independent = INDEPENDENCE in used
        self.setup = replace(setup, every_pair=not independent, every_try=FORGOTTEN_RETRIES not in used)
        self.only = only
        self.max_faults = max_faults
        self.pruned: Counter[str] = Counter()
        self._crash_classes = CRASH_EQUIVALENCE in used
        self.resumed = 0
        self._merges = 0  # runs that were ended in a known state
        self.mistakes: list[str] = []  # sentences on reductions of ours that turned out to lose something
        self.nodes: list[_Node] = []
        self._shares = PREFIX_SHARING in used
        self._spares_clock = UNREAD_CLOCK in used
        self._clock_read = False  # by any run of a plan with at most one fault
        self._spares_pairs = independent and setup.scenario.sagas > 1
        self._memo = StateMemo() if STATE_MEMO in used else None
        self._kinds: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._faults: dict[tuple[str, Site], Fault] = {}

    def cases(self) -> Iterator[Case]:
        """All of them."""
        yield from self.roots()
        yield from self._deeper(self.nodes)

    def roots(self) -> Iterator[Case]:
        """The plan without faults and those with one. Then ``nodes`` are the latter that can be extended."""
        observed = self._simulate(Plan(), self.max_faults)
        run = observed.run
        digest = rows_digest(run.rows)
        yield Case(Plan(), run, digest, True, False, "")
        self.nodes = []
        if self.max_faults:
            sites = run.sites[: observed.until]
            again = _within(observed, 0)
            root = _Node((), 0, sites, dict(run.impossible), digest, self._visible(run), unread=False, repeated=again)
            yield from self._extended(root, self.nodes)

    def ahead(self) -> tuple[int, ...]:
        """How many plans with one fault more extend each of the ``nodes``."""
        counted, self.pruned = self.pruned, Counter()
        try:
            return tuple(
                0 if self._only_a_jump(node) else sum(1 for _ in self._distinct_extensions(node)) for node in self.nodes
            )
        finally:
            self.pruned = counted

    def subtree(self, number: int) -> Iterator[Case]:
        """What extends the node of that number, once ``roots`` has come to its end. A subtree knows the states of
        the roots and its own, so that it is the same whichever others were run before."""
        before = self._memo
        self._memo = before.copy() if before is not None else None
        self._merges = 37 * number
        try:
            yield from self._deeper([self.nodes[number]])
        finally:
            self._memo = None if self.mistakes else before

    def _deeper(self, level: list[_Node]) -> Iterator[Case]:
        """What extends ``level``, the plans with one fault, those with fewer faults first."""
        for _ in range(self.max_faults - 1):
            following: list[_Node] = []
            for node in level:
                yield from self._extended(node, following)
            level = following

    def _extended(self, node: _Node, following: list[_Node]) -> Iterator[Case]:
        """The plans with one fault more; those that can be extended go into ``following``."""
        if self._only_a_jump(node):
            self.pruned[UNREAD_CLOCK.name] += sum(1 for _ in self.extensions(node.sites, node.impossible))
            return
        shared = self._prefixes(node)
        for index, fault in self._distinct_extensions(node):
            case, child = self._extend(node, fault, shared.before(node.first + index))
            yield case
            if child is not None:
                following.append(child)

    def extensions(self, sites: tuple[Site, ...], impossible: Mapping[int, Impossible]) -> Iterator[Fault]:
        """Each feasible fault at each of ``sites``, in their order."""
        for index, site in enumerate(sites):
            for kind in self._possible(site, impossible.get(index, NOTHING)):
                yield self.fault(kind, site)

    def _prefixes(self, node: _Node) -> _Shared:
        """What the runs of the node's extensions have in common."""
        if not self._shares or not node.sites:
            return _Shared([])
        return _Shared(prefixes(self.setup, Plan(faults=node.faults), node.first + len(node.sites)))

    def _distinct_extensions(self, node: _Node) -> Iterator[tuple[int, Fault]]:
        """The extensions of a node with the indices of their sites, but one of each class of equivalent crashes
        only, and no jump of a clock that nobody reads."""
        seen: set[int] = set()
        unshared = impossible(AT_SEND, UNSHARED)
        for index, site in enumerate(node.sites):
            if index in node.repeated:
                continue
            if self._spares_pairs and node.impossible.get(index) == unshared:
                self.pruned[INDEPENDENCE.name] += sum(kind in unshared for kind in self.kinds(site))
            for kind in self._possible(site, node.impossible.get(index, NOTHING)):
                later = FAULT_KINDS[kind].visible_first if self._crash_classes else None
                if later is not None:
                    moment = node.visible[index] + later
                    if moment in seen:
                        self.pruned[CRASH_EQUIVALENCE.name] += 1
                        continue
                    seen.add(moment)
                elif node.unread and FAULT_KINDS[kind].only_jumps_clock:
                    self.pruned[UNREAD_CLOCK.name] += 1
                    continue
                yield index, self.fault(kind, site)

    def _possible(self, site: Site, excluded: Impossible) -> Collection[str]:
        kinds = self.kinds(site)
        return [kind for kind in kinds if kind not in excluded] if excluded else kinds

    def kinds(self, site: Site) -> tuple[str, ...]:
        shape = (site[3], site[2], site[1] if site[2] else "")
        found = self._kinds.get(shape)
        if found is None:
            found = self._kinds[shape] = tuple(
                kind
                for kind in feasible_kinds(self.setup.adapter.known, Site._make(site), self.setup.capabilities)
                if kind in self.setup.kinds and (self.only is None or kind in self.only)
            )
        return found

    def fault(self, kind: str, site: Site) -> Fault:
        found = self._faults.get((kind, site))
        if found is None:
            found = self._faults[kind, site] = Fault(kind=kind, site=Site._make(site))
        return found

    def _extend(self, node: _Node, fault: Fault, prefix: Prefix | None) -> tuple[Case, _Node | None]:
        faults = (*node.faults, fault)
        plan = Plan(faults=faults)
        observed = self._simulate(plan, self.max_faults - len(faults), prefix)
        run, known_at = observed.run, observed.known_at
        if known_at >= 0 and len(faults) == 1 and FAULT_KINDS[fault.kind].may_be_idle:
            whole = self._run(plan, prefix).run  # only the end of a run shows whether anybody noticed
            run = run._replace(fired=whole.fired, idle=whole.idle)
        self._clock_read = self._clock_read or (run.clock_read and len(faults) == 1)
        digest = prefix.digest(run.rows) if prefix is not None else rows_digest(run.rows)
        fired = run.struck == len(faults)
        try:
            struck = run.sites.index(fault.site, node.first)
        except ValueError:
            before = Plan(faults=node.faults)
            raise NotDeterministic(f"{before}: {difference(self.setup, before)}") from None
        known, changed = known_at >= 0, digest != node.digest
        case = Case(plan, run, digest, fired, changed, mode_of(run, struck), known, observed.projection)
        if not fired or len(faults) == self.max_faults:
            return case, None
        end = observed.until
        rest = {index - struck - 1: kinds for index, kinds in run.impossible.items() if struck < index < end}
        sites, visible = run.sites[struck + 1 : end], self._visible(run)[struck + 1 : end]
        unread = len(faults) + 1 == self.max_faults and not known and self._unread(run)
        return case, _Node(faults, struck + 1, sites, rest, digest, visible, unread, _within(observed, struck + 1))

    def _only_a_jump(self, node: _Node) -> bool:
        """True if each extension of the node is the plan with one fault less that comes of leaving out a jump of the
        clock: none of those reads it."""
        first = FAULT_KINDS[node.faults[0].kind] if self.max_faults == 2 and len(node.faults) == 1 else None
        jump = first is not None and first.only_jumps_clock
        return jump and self._spares_clock and not self._clock_read

    def _unread(self, run: Run) -> bool:
        """True if the clock is asked nowhere in a run, and its end needs no restart."""
        return self._spares_clock and not run.clock_read and not unsettled(self.setup, run.rows)

    def _simulate(self, plan: Plan, remaining: int, prefix: Prefix | None = None) -> Observed:
        """Run a plan; where more faults are to follow, only until a state that is known."""
        memo = self._memo
        if memo is None or not self.max_faults:
            return self._run(plan, prefix)
        if remaining == 0:
            return self._run_last(memo, plan, prefix)
        memo.begin(plan, remaining)
        observed = self._run(plan, prefix, memo.watch)
        run, known_at = observed.run, observed.known_at
        repeated = memo.repeated(observed.stretches, run.sites)
        after = [0]  # how many faults can strike at or after each site
        for index in range(len(run.sites) - 1, -1, -1):
            after.append(after[-1] + len(self._possible(run.sites[index], run.impossible.get(index, NOTHING))))
        after.reverse()
        self.pruned[STATE_MEMO.name] += memo.end(after, repeated, settled=known_at < 0 and self._settled(run))
        self._try_a_merge(memo, plan, known_at)
        return Observed(run, known_at, repeated=repeated)  # each is judged, and what it exercises counted

    def _settled(self, run: Run) -> bool:
        """True if the run came to its end without a restart that only an open saga was the reason for."""
        restarted = any(row[KIND] == BOOT and row[DATA][BOOT_REASON] == HEALING for row in run.rows)
        return not restarted and not unsettled(self.setup, run.rows)

    def _run_last(self, memo: StateMemo, plan: Plan, prefix: Prefix | None) -> Observed:
        """Run a plan that is not extended; one with a single fault to its end, since it shows what the fault does."""
        if len(plan) < 2:
            return self._run(plan, prefix)
        memo.begin_last(plan)
        observed = self._run(plan, prefix, memo.glance)
        memo.end_last()
        self._try_a_merge(memo, plan, observed.known_at)
        return observed

    def _try_a_merge(self, memo: StateMemo, plan: Plan, known_at: int) -> None:
        """One run in so many that were ended in a known state is run to its end: where the other one has another, our
        reading of states is wrong, and no more runs are spared by it."""
        if known_at < 0:
            return
        self._merges += 1
        if self._merges % TRIED_EVERY == 0 and end_of(self.setup, plan) != end_of(self.setup, memo.met):
            self._memo = None
            self.mistakes.append(
                f"a defect of sagafuzz: scenario {self.setup.scenario.name}: the runs of {plan} and {memo.met} were "
                f"taken for equal from some moment on, and end in different ways; no more runs are spared so"
            )

    def _run(self, plan: Plan, prefix: Prefix | None, watch: Callable[[Observer], bool] | None = None) -> Observed:
        if prefix is not None:
            try:
                observed = prefix.resume(plan.faults, watch)
                self.resumed += 1
                return observed
            except Strayed:  # it is not deterministic; then the run from the start shows how
                pass
        if watch is None:
            return Observed(simulate(self.setup, plan))
        return observe(self.setup, plan, watch)

    def _visible(self, run: Run) -> tuple[int, ...]:
        """Before each site, the number of events that outlive the orchestrator."""
        if not self._crash_classes:
            return run.site_rows
        return visible_before(run)


def _within(observed: Observed, first: int) -> frozenset[int]:
    """The sites at which a run does what it did before, counted from site number ``first`` on."""
    return frozenset([site - first for sites in observed.repeated for site in sites])
