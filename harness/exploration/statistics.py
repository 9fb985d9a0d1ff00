"""What a campaign counts while it runs, and the report's values that come of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from ..faults import FAULT_KINDS, Plan
from ..invariants import OURS, Catalogue, consequences
from ..simulator import Setup
from ..trace import MAX_ATTEMPT
from ..verdict import (
    GAVE_UP,
    HOLDS,
    NOT_EXERCISED,
    VIOLATED,
    Discovery,
    InvariantResult,
    Pairs,
    PlanCounts,
    ScenarioResult,
    Signature,
    Status,
    Verdict,
    Violation,
)
from .blocked import Blocked
from .cases import Case
from .coverage import CoverageStatistics, in_words, missing_orders
from .drawn import Drawn
from .events import CaseJudged, Event, NeverAgain, PairsRun, PlansSpared, ScenarioBegan, SinglesCounted
from .settings import Settings

NOT_VACUOUS = "I27"
"""The invariant that is about the campaign itself: it is judged on the counts."""


BLOCKING = "I26"
"""The invariant that is a metric: it is judged by nobody, and has figures."""

STEP = 1.1
"""By which factor the numbers of plans grow at which it is noted how much is known."""


@dataclass
class Sighting:
    """The first, and so smallest, plan that showed a violation, and how many did."""

    setup: Setup
    plan: Plan
    violation: Violation
    events: int
    explains: tuple[str, ...]
    hits: int = 0


@dataclass
class ScenarioStatistics:
    """Counts of one scenario's exhaustive search."""

    setup: Setup
    run: int = 0
    idle: int = 0
    fired: int = 0
    consequential: int = 0
    histories: int = 0
    singles: int = 0
    by_faults: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    pruned: Counter[str] = field(default_factory=Counter)
    sends: bool = False
    completes: bool = False
    ever_completes: bool = False

    def result(self) -> ScenarioResult:
        return ScenarioResult(
            scenario=self.setup.scenario,
            counts=PlanCounts(
                planned=self.run,
                run=self.run,
                idle=self.idle,
                fired=self.fired,
                consequential=self.consequential,
                histories=self.histories,
                pruned=dict(sorted(self.pruned.items())),
                by_faults=tuple(self.by_faults[n] for n in range(max(self.by_faults, default=0) + 1)),
            ),
            outcomes=dict(sorted(self.outcomes.items())),
            singles=self.singles,
            sends=self.sends,
            completes=self.completes,
            ever_completes=self.ever_completes,
        )

    def look(self, case: Case) -> None:
        """See whether a new history shows that the scenario asks and completes at all."""
        self.sends = self.sends or case.told.sends
        if not self.ever_completes:
            done = case.told.completes or not (case.plan.faults or case.told.meant)
            self.ever_completes = done
            self.completes = self.completes or (done and not case.plan.faults)


class Statistics:
    """Everything that is counted over a whole campaign, whose events it listens to. ``asked`` random plans are to be
    run."""

    def __init__(self, settings: Settings | None = None, catalogue: Catalogue = OURS, asked: int = 0) -> None:
        self._settings = settings or Settings()
        self._catalogue = catalogue
        self.drawn = Drawn(asked, self._settings.max_faults + self._settings.beyond)
        self._pairs = Pairs()
        self._digests = 0  # their sum: the same in whatever order the plans are run
        self.scenarios: list[ScenarioStatistics] = []
        self._by_setup: dict[int, ScenarioStatistics] = {}
        self._current: ScenarioStatistics
        self.sightings: dict[Signature, Sighting] = {}
        self.checked: Counter[str] = Counter()
        self.violated: Counter[str] = Counter()
        self.explained_by: dict[str, set[str]] = {}
        self.gave_up: dict[str, str] = {}
        self.capped = False
        self.coverage = CoverageStatistics()
        self.blocked = Blocked()
        self._run = self._histories = 0
        self.struck = 0  # how many faults fired, in all plans
        self._discovered: list[Discovery] = []

    # -- counting ----------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Count what happened."""
        match event:
            case CaseJudged(drawn=False):
                self._add(event.setup, event.case, event.verdict, new=event.new)
            case CaseJudged():
                self._add_drawn(event.setup, event.case, event.verdict, new=event.new)
            case ScenarioBegan():
                self._begin(event.setup)
            case NeverAgain():
                self._withdraw(event.signature, event.why)
            case PlansSpared():
                self._current.pruned.update(event.counts)
            case SinglesCounted():
                self._current.singles = event.plans
                self._pairs = replace(self._pairs, planned=self._pairs.planned + event.pairs)
            case PairsRun():
                self._pairs = replace(self._pairs, run=self._pairs.run + event.plans)

    def _begin(self, setup: Setup) -> None:
        if id(setup) not in self._by_setup:
            found = self._by_setup[id(setup)] = ScenarioStatistics(setup)
            self.scenarios.append(found)
            kinds = self._settings.kinds or None
            self.coverage.begin(setup, self._settings.max_faults, kinds, pruned=found.pruned)
        self._current = self.of(setup)

    def of(self, setup: Setup) -> ScenarioStatistics:
        """What was counted of the plans of ``setup``."""
        return self._by_setup[id(setup)]

    def _add(self, setup: Setup, case: Case, verdict: Verdict, *, new: bool) -> None:
        """Count one judged case. ``new`` says that its history was not seen before."""
        statistics = self._current
        self._digests += int.from_bytes(case.digest, "big")
        self.capped = self.capped or case.run.capped
        if case.idle:
            statistics.idle += 1
            self.coverage.add(setup, case, verdict, new=False)
            for violation in verdict.violations:  # of an invariant that asks for what others take no notice of
                self._sight(setup, case, verdict, violation)
            return
        self.struck += _certainly_struck(case)
        statistics.run += 1
        self._run += 1
        statistics.by_faults[len(case.plan)] += 1
        statistics.fired += case.fired
        statistics.consequential += case.consequential
        self.coverage.add(setup, case, verdict, new=new)
        if case.known:
            return
        if new:
            statistics.histories += 1
            self._histories += 1
            if not (statistics.sends and statistics.ever_completes):
                statistics.look(case)
            statistics.outcomes[case.told.outcome] += 1
            self._count_verdict(verdict)
            self.blocked.add(case.told.holds)
        known = len(self.sightings)
        for violation in verdict.violations:
            self._sight(setup, case, verdict, violation)
        if len(self.sightings) > known or self._run >= STEP * (self._discovered[-1].plans if self._discovered else 0):
            self._discovered.append(self._discovery())

    def _discovery(self) -> Discovery:
        return Discovery(plans=self._run, histories=self._histories, violations=len(self.sightings))

    def discovery(self) -> tuple[Discovery, ...]:
        """How much was known when; the points stand ever further apart, but where a violation was first seen."""
        last = (self._discovery(),)
        return (*self._discovered, *last) if self._run and last[0] not in self._discovered else (*self._discovered,)

    def _add_drawn(self, setup: Setup, case: Case, verdict: Verdict, *, new: bool) -> None:
        """Count what a random plan showed; it is no part of the plans that were enumerated."""
        self._digests += int.from_bytes(case.digest, "big")
        self.drawn.add(case, verdict)
        self.struck += len(case.run.fired)
        self.capped = self.capped or case.run.capped
        if new:
            self._count_verdict(verdict)
            self.blocked.add(case.told.holds)
        for violation in verdict.violations:
            self._sight(setup, case, verdict, violation)

    def _count_verdict(self, verdict: Verdict) -> None:
        self.checked.update(verdict.exercised)
        self.gave_up.update(verdict.gave_up)
        for id in {v.invariant for v in (*verdict.violations, *verdict.explained)}:
            self.violated[id] += 1
        causes = {v.invariant for v in verdict.violations}
        for violation in verdict.explained:
            of_it = (id for id in causes if violation.invariant in consequences(id, self._catalogue))
            self.explained_by.setdefault(violation.invariant, set()).update(of_it)

    def _sight(self, setup: Setup, case: Case, verdict: Verdict, violation: Violation) -> None:
        seen = self.sightings.get(violation.signature)
        if seen is None or len(case.plan) < len(seen.plan):
            hits = seen.hits if seen is not None else 0
            seen = self.sightings[violation.signature] = Sighting(
                setup=setup,
                plan=case.plan,
                violation=violation,
                events=case.told.events,
                explains=tuple(sorted({v.invariant for v in verdict.explained if violation.is_about(v.saga)})),
                hits=hits,
            )
        seen.hits += 1

    def _withdraw(self, signature: Signature, why: str) -> None:
        """A violation does not count, nor do those that followed from it: the checks say that they gave up."""
        del self.sightings[signature]
        left = {invariant for invariant, *_ in self.sightings}
        for id in [*self.violated]:
            if id not in left and left.isdisjoint(self.explained_by.get(id, ())):
                del self.violated[id]
                self.gave_up[id] = why

    # -- the report's values -----------------------------------------------------------------

    @property
    def pairs(self) -> Pairs:
        """How many of the plans with two faults were run."""
        return self._pairs

    @property
    def digest(self) -> str:
        """A hash of all histories, in hexadecimal."""
        return hashlib.blake2b(str(self._digests).encode(), digest_size=16).hexdigest()

    def counts(self) -> PlanCounts:
        parts = [statistics.result().counts for statistics in self.scenarios]
        longest = max((len(part.by_faults) for part in parts), default=0)
        return PlanCounts(
            planned=sum(part.planned for part in parts),
            run=sum(part.run for part in parts),
            idle=sum(part.idle for part in parts),
            fired=sum(part.fired for part in parts),
            consequential=sum(part.consequential for part in parts),
            histories=sum(part.histories for part in parts),
            pruned=dict(sum((Counter(part.pruned) for part in parts), Counter())),
            by_faults=tuple(
                sum(part.by_faults[n] for part in parts if n < len(part.by_faults)) for n in range(longest)
            ),
        )

    def invariants(self, found: Counter[str]) -> tuple[InvariantResult, ...]:
        """One result an invariant. ``found`` adds what the random part found, by id."""
        known = self._catalogue.by_id
        return tuple(
            replace(self._invariant(id, found[id]), rule=known[id].holds_when, harm=known[id].harm)
            for id in sorted(known, key=by_number)
        )

    def _invariant(self, id: str, found: int) -> InvariantResult:
        name = self._catalogue.by_id[id].name
        violated = self.violated[id] + found
        status: Status
        note = ""
        if id == NOT_VACUOUS:
            counts = self.counts()
            missed = counts.fired < counts.run
            injected = any(counts.by_faults[1:])
            status = GAVE_UP if missed else HOLDS if injected else NOT_EXERCISED
            note = f"{counts.fired} of {counts.run} plans fired in full" if injected else "no plan had a fault"
            return InvariantResult(id=id, name=name, status=status, checked=counts.run, note=note)
        if id == BLOCKING:
            checked, note = self.blocked.histories, self.blocked.note()
            status = HOLDS if checked else NOT_EXERCISED
            return InvariantResult(id=id, name=name, status=status, checked=checked, note=note)
        if violated:
            status = VIOLATED
            direct = found or any(signature[0] == id for signature in self.sightings)
            if not direct:
                note = f"follows from {', '.join(sorted(self.explained_by.get(id, ()), key=by_number))}"
        elif id in self.gave_up:
            status, note = GAVE_UP, self.gave_up[id]
        else:
            status = HOLDS if self.checked[id] else NOT_EXERCISED
        return InvariantResult(id=id, name=name, status=status, checked=self.checked[id], violated=violated, note=note)

    def not_exercised(self) -> Iterator[str]:
        """In words: what this campaign cannot speak of."""
        if not self._settings.max_faults:
            yield "every fault: the search was bounded to none"
            return
        covered = self.coverage.result()
        yield from in_words(covered.unreachable)
        yield from missing_orders(covered.orders)
        if self.capped:
            yield f"faults at attempts beyond number {MAX_ATTEMPT} of one call: not struck"


def _certainly_struck(case: Case) -> int:
    """How many of its faults fired; of a run that was ended in a known state those that cannot come to nothing."""
    faults = case.plan.faults
    fired = (FAULT_KINDS[faults[number].kind] for _, number in case.run.fired)
    return sum(not (case.known and kind.may_be_idle) for kind in fired)


def by_number(id: str) -> tuple[bool, str, int]:
    """Where an invariant stands among others."""
    return (id[:1] != "I", id[:1], int(id[1:]))
