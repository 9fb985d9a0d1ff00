"""Every plan with at most k faults, each once, by discovered sites.

A run reveals the sites that it reaches. A plan is extended only by faults at sites reached after
the last one that it strikes, so each set of faults is visited exactly once; since the run up to
that site is the same, every site that a longer plan names is one that its run will reach. All that
this needs is a deterministic run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from ..faults import Fault, Plan, Site, feasible_kinds
from ..history import rows_digest
from ..simulator import Run, Setup, simulate
from .judge import NotDeterministic, difference


@dataclass(frozen=True, slots=True)
class Case:
    """One plan that was run. ``consequential`` says that its last fault changed what happened;
    ``phase`` is where in the saga that fault struck: forward, compensation or recovery."""

    plan: Plan
    run: Run
    digest: bytes
    fired: bool
    consequential: bool
    phase: str


@dataclass(slots=True)
class _Node:
    """A plan whose extensions are still to be run, with what its run revealed."""

    faults: tuple[Fault, ...]
    sites: tuple[Site, ...]
    impossible: dict[int, tuple[str, ...]]
    digest: bytes


class Enumerator:
    """Runs all plans of one setup, those with fewer faults first, in the order of discovery."""

    def __init__(self, setup: Setup, max_faults: int, only: Collection[str] | None = None) -> None:
        self.setup = setup
        self.only = only
        self.max_faults = max_faults
        self._kinds: dict[tuple[str, str, str], tuple[str, ...]] = {}
        self._faults: dict[tuple[str, Site], Fault] = {}

    def cases(self) -> Iterator[Case]:
        run = simulate(self.setup)
        digest = rows_digest(run.rows)
        yield Case(Plan(), run, digest, True, False, "")
        level = [_Node((), run.sites, dict(run.impossible), digest)]
        for depth in range(1, self.max_faults + 1):
            following: list[_Node] = []
            for node in level:
                for fault in self.extensions(node.sites, node.impossible):
                    case, child = self._extend(node, fault)
                    yield case
                    if depth < self.max_faults and child is not None:
                        following.append(child)
            level = following

    def extensions(self, sites: tuple[Site, ...], impossible: dict[int, tuple[str, ...]]) -> Iterator[Fault]:
        """Each feasible fault at each of ``sites``, in their order."""
        for index, site in enumerate(sites):
            excluded = impossible.get(index, ())
            for kind in self.kinds(site):
                if kind not in excluded:
                    yield self.fault(kind, site)

    def kinds(self, site: Site) -> tuple[str, ...]:
        shape = (site[3], site[2], site[1] if site[2] else "")
        found = self._kinds.get(shape)
        if found is None:
            found = self._kinds[shape] = tuple(
                kind
                for kind in feasible_kinds(self.setup.adapter.saga, Site._make(site), self.setup.capabilities)
                if kind in self.setup.kinds and (self.only is None or kind in self.only)
            )
        return found

    def fault(self, kind: str, site: Site) -> Fault:
        found = self._faults.get((kind, site))
        if found is None:
            found = self._faults[kind, site] = Fault(kind=kind, site=Site._make(site))
        return found

    def _extend(self, node: _Node, fault: Fault) -> tuple[Case, _Node | None]:
        faults = (*node.faults, fault)
        plan = Plan(faults=faults)
        run = simulate(self.setup, plan)
        digest = rows_digest(run.rows)
        fired = len(run.fired) == len(faults)
        if fault.site not in run.sites:
            before = Plan(faults=node.faults)
            raise NotDeterministic(f"{before}: {difference(self.setup, before)}")
        struck = run.sites.index(fault.site)
        case = Case(plan, run, digest, fired, digest != node.digest, phase_of(run, struck))
        if not fired:
            return case, None
        rest = {index - struck - 1: kinds for index, kinds in run.impossible.items() if index > struck}
        return case, _Node(faults, run.sites[struck + 1 :], rest, digest)


def phase_of(run: Run, index: int) -> str:
    """Where in the life of a saga the site at ``index`` lies."""
    if 0 <= run.recovery <= index:
        return "recovery"
    direction = run.sites[index][2]
    if direction == "C" or (not direction and 0 <= run.compensation <= index):
        return "compensation"
    return "forward"
