"""What was concluded: of one history (Verdict), and of a whole campaign (Report).

All values here are plain and frozen; `sagafuzz.reports` turns a Report into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from .errors import InternalError
from .faults import Plan, Site
from .frames import Source
from .history import History
from .saga import Saga
from .scenario import Scenario

REPORT_VERSION: Final = 1

Conclusion: TypeAlias = Literal["consistent", "violated", "inconclusive"]
Status: TypeAlias = Literal["holds", "violated", "not exercised", "gave up"]

CONSISTENT: Final = "consistent"
VIOLATED: Final = "violated"
INCONCLUSIVE: Final = "inconclusive"

Signature: TypeAlias = tuple[str, str, str, str]
"""What makes two violations one finding: invariant, anomaly, step, direction."""

HOLDS: Final = "holds"
NOT_EXERCISED: Final = "not exercised"
GAVE_UP: Final = "gave up"

MORE_ORDERS: Final = "more orders of conflicting operations, listed in report.json"
"""How the line ends that counts the orders that are not told one by one."""

MODES: Final = ("forward", "compensation", "recovery")
"""Where in its life a saga is when a fault strikes."""


@dataclass(frozen=True, kw_only=True)
class Violation:
    """An invariant that a history breaks.

    ``anomaly`` is the kind of breakage in a few words; ``saga``, ``step`` and ``direction`` say where
    (empty where it is of the whole), ``harms`` another saga that it takes something from. ``sentence`` is one
    sentence for a person; ``expected`` and ``got`` are short. ``position`` is the index of the event that shows it,
    -1 for the end.
    """

    invariant: str
    anomaly: str
    sentence: str
    expected: str
    got: str
    saga: str = ""
    step: str = ""
    direction: str = ""
    position: int = -1
    harms: str = ""

    def is_about(self, saga: str) -> bool:
        """True if what follows from it can follow on this saga."""
        return saga == self.saga or saga == self.harms != ""

    @property
    def signature(self) -> Signature:
        """What makes two violations the same finding: all but which saga it happened to."""
        return (self.invariant, self.anomaly, self.step, self.direction)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What every invariant says of one history.

    ``violations`` are the minimal ones, ``explained`` those that follow from one of them.
    ``exercised`` are the ids whose precondition occurred; ``gave_up`` maps an id to why its
    check could not finish.
    """

    violations: tuple[Violation, ...] = ()
    explained: tuple[Violation, ...] = ()
    exercised: frozenset[str] = frozenset()
    gave_up: Mapping[str, str] = field(default_factory=dict)

    @property
    def conclusion(self) -> Conclusion:
        """What the history shows as a whole: a violation, nothing wrong, or (a check gave up) neither."""
        if self.violations:
            return VIOLATED
        return INCONCLUSIVE if self.gave_up else CONSISTENT


@dataclass(frozen=True, kw_only=True)
class Removed:
    """A fault of a plan, or an action of a program, and what the run without it shows."""

    what: str
    then: str


EITHER: Final = "0/1"
"""Expected of a step where no outcome was claimed: all steps alike, in effect or not."""


@dataclass(frozen=True, kw_only=True)
class StateRow:
    """The net effects on one saga, a number for each step; ``expected`` is of each step "0", "1",
    "0/1" (all alike), or "any"."""

    saga: str
    expected: tuple[str, ...]
    found: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a schedule fails.

    ``removed`` says for each fault what holds without it. ``passing`` describes the nearest schedule that is
    consistent ("" where none was found), ``passing_plan`` is its plan and ``passing_history`` what happened in
    it; ``parting`` says at which event the two part, ``shared`` counts the events before it. ``states`` compares
    net effects, a column for each of ``steps``. ``cause`` and ``repair`` are for people. ``code`` is the line that
    sent the request in question ("" where there is none, or it is not known), ``source`` shows it. ``lines`` show, by
    the positions of events, where the code under test brought them about.
    """

    removed: tuple[Removed, ...] = ()
    passing: str = ""
    passing_plan: Plan | None = None
    passing_history: History | None = None
    shared: int = 0
    parting: str = ""
    steps: tuple[str, ...] = ()
    states: tuple[StateRow, ...] = ()
    cause: str = ""
    repair: str = ""
    code: str = ""
    source: Source | None = None
    lines: tuple[tuple[int, Source], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One distinct violation and the smallest schedule known for it.

    ``plan`` is None where the state machine found it; then ``actions`` is its program as (rule, number)
    and ``shown`` the same for people. ``hits`` counts
    the schedules that showed it, ``necessary`` says that it vanishes without any one of the faults.
    ``first_faults`` is the number of faults before shrinking, ``first_events`` that of events. ``notes`` say what
    else is known of it: of a live one how often it came again, and whether the simulator shows it too.
    ``known`` is the reason why a baseline accepts it, "" where none does. ``wrote`` is what each process of a live one
    has written, by its name.
    """

    id: str
    violation: Violation
    scenario: Scenario
    history: History
    plan: Plan | None
    actions: tuple[tuple[str, int], ...] = ()
    shown: tuple[str, ...] = ()
    seed: int = 0
    hits: int = 1
    explains: tuple[str, ...] = ()
    necessary: bool = True
    first_events: int = 0
    first_faults: int = 0
    replay: str = ""
    explanation: Explanation | None = None
    notes: tuple[str, ...] = ()
    known: str = ""
    wrote: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class InvariantResult:
    """The result for one invariant; ``checked`` counts the histories that exercised it. ``rule`` is what it
    asks, ``harm`` what can happen where it is broken, {what} standing for operations."""

    id: str
    name: str
    status: Status
    checked: int = 0
    violated: int = 0
    note: str = ""
    rule: str = ""
    harm: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanCounts:
    """``planned`` were to run, ``run`` did, in ``fired`` every fault struck, in ``consequential`` the
    last fault changed what happened. ``histories`` are the distinct ones, ``by_faults`` the plans run with
    0, 1, 2, … faults, ``pruned`` the plans that each reduction spared (without those that would extend them). ``idle``
    are plans of which a fault struck and changed nothing: they count as none of the others."""

    planned: int = 0
    run: int = 0
    fired: int = 0
    consequential: int = 0
    histories: int = 0
    by_faults: tuple[int, ...] = ()
    idle: int = 0
    pruned: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Of ``planned`` plans with two faults ``run`` were run with all that extend them; ``ended`` is why the others were
    not, "" where nothing but an interruption kept them from it."""

    planned: int = 0
    run: int = 0
    ended: str = ""

    @property
    def share(self) -> float | None:
        """None where there are none."""
        return self.run / self.planned if self.planned else None

    @property
    def percent(self) -> str:
        """The share for people, never more than it is: ``34 %``, ``0.4 %``."""
        tenths = 1000 * self.run // (self.planned or 1)
        return f"{tenths // 10} %" if tenths >= 100 or tenths % 10 == 0 else f"{tenths / 10} %"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Coverage of one fault kind in one mode of the saga: forward, compensation or recovery."""

    kind: str
    mode: str
    sites: int
    planned: int
    fired: int
    consequential: int


@dataclass(frozen=True, kw_only=True)
class SiteCell:
    """Coverage of one fault kind at one site of one scenario, in one mode of the saga. ``alone`` says that the
    plan with no fault but this one was judged, ``broken`` what that violated."""

    scenario: str
    site: Site
    kind: str
    mode: str
    planned: int
    fired: int
    consequential: int
    alone: bool = True
    broken: tuple[Signature, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PairCell:
    """Coverage of an ordered pair, of kinds or of modes: plans in which the second follows the first.

    ``consequential`` counts those whose last fault, the second, changed what happened."""

    first: str
    second: str
    planned: int
    fired: int
    consequential: int


@dataclass(frozen=True, kw_only=True)
class OrderCell:
    """One order of two operations of two sagas that conflict at a participant, as "saga operation".

    ``seen`` counts the distinct histories with that order; ``why`` says what is known where it is 0."""

    scenario: str
    participant: str
    first: str
    second: str
    seen: int
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """What a kind of fault was not tried at, and why. ``where`` is empty for everywhere; ``sites`` counts
    the sites that were reached and could not be struck, 0 where none was reached."""

    kind: str
    where: str
    reason: str
    sites: int = 0


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What the plans covered, beside ``Report.coverage``: site × kind, pairs of kinds and of modes, both orders
    of every two operations that conflict, and what could not be reached."""

    sites: tuple[SiteCell, ...] = ()
    kinds: tuple[PairCell, ...] = ()
    modes: tuple[PairCell, ...] = ()
    orders: tuple[OrderCell, ...] = ()
    unreachable: tuple[Unreachable, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    """``singles`` counts the feasible plans with one fault, whatever was pruned of them. ``sends`` says that a request
    was sent without a fault, ``completes`` that a saga completed then, ``ever_completes`` that one did in any run."""

    scenario: Scenario
    counts: PlanCounts
    outcomes: Mapping[str, int] = field(default_factory=dict)
    singles: int = 0
    sends: bool = True
    completes: bool = True
    ever_completes: bool = True


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """How many runs fell into how many classes of traces, ``singletons`` of them into a class of its own."""

    runs: int = 0
    classes: int = 0
    singletons: int = 0

    @property
    def next_new(self) -> float:
        """The chance that the next run shows a new class, as Good and Turing estimate it: f1/N."""
        return self.singletons / self.runs if self.runs else 1.0


@dataclass(frozen=True, kw_only=True)
class RandomResult:
    """The part driven by Hypothesis: ``asked`` and ``run`` examples, ``steps`` rules executed, ``faults`` of them harm.
    Its examples depend on those before them, so no bound on the rate of failures follows from them."""

    asked: int = 0
    run: int = 0
    steps: int = 0
    violated: bool = False
    unseen: Unseen = Unseen()
    faults: int = 0


@dataclass(frozen=True, kw_only=True)
class RandomPlans:
    """Plans drawn independently, each with at most ``max_faults`` faults; ``fired`` are those of which every
    fault struck, ``by_faults`` counts them by size. ``ended`` says why no more were drawn, "" where as many were asked
    for from the start."""

    asked: int = 0
    run: int = 0
    fired: int = 0
    violated: int = 0
    max_faults: int = 0
    by_faults: tuple[int, ...] = ()
    unseen: Unseen = Unseen()
    ended: str = ""

    @property
    def bound(self) -> float | None:
        """What the rate of failures, under the distribution of the plans, is at most, at 95 %: 1 − 0.05^(1/N).
        None where a run failed, or none was made."""
        return None if self.violated or not self.run else 1 - 0.05 ** (1 / self.run)


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What was known after so many plans: distinct histories, and distinct violations."""

    plans: int
    histories: int
    violations: int


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """Histories from elsewhere that were judged: the names of their ``files``, how many ``events`` they tell of how
    many ``sagas``, and how many of these are ``open``: the record ends before they do."""

    files: tuple[str, ...]
    events: int
    sagas: int
    open: int = 0


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a campaign has to say. ``complete`` is False where it was interrupted. ``kinds`` are those it was
    limited to (none: to no choice of them); ``source`` is a hash of the file that holds the adapter, "" for none;
    ``live`` says that real processes ran, not the simulator; then ``engine`` is what the system calls itself, and
    ``packages`` the name and version of each that is installed for Python workers. ``advice`` is what
    `sagafuzz doctor` says of the adapter: it changes no verdict. ``definition`` is the saga under test, ``discovery``
    how much was known when, ever sparser, with all jumps, ``pairs`` how many plans with two faults were run.
    ``recorded`` is what was read where nothing was run, but histories from elsewhere judged."""

    adapter: str
    spec: str
    saga: str
    steps: tuple[tuple[str, str, str], ...]
    verdict: Conclusion
    complete: bool
    max_faults: int
    seed: int
    counts: PlanCounts
    scenarios: tuple[ScenarioResult, ...]
    random: RandomResult
    invariants: tuple[InvariantResult, ...]
    findings: tuple[Finding, ...]
    coverage: tuple[Cell, ...] = ()
    not_exercised: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    nondeterministic: str = ""
    digest: str = ""
    version: str = ""
    command: str = ""
    covered: Coverage = Coverage()
    kinds: tuple[str, ...] = ()
    random_plans: RandomPlans = RandomPlans()
    source: str = ""
    live: bool = False
    engine: str = ""
    packages: tuple[tuple[str, str], ...] = ()
    definition: Saga | None = None
    discovery: tuple[Discovery, ...] = ()
    pairs: Pairs = Pairs()
    recorded: Recorded | None = None

    def __post_init__(self) -> None:
        """Whatever is called consistent was exercised: each scenario asked, completed without a fault unless it is not
        meant to, and faults were injected; of a record, that an invariant was checked. InternalError where that is not
        so."""
        if self.verdict != CONSISTENT:
            return
        if self.recorded is not None:
            if not any(result.checked for result in self.invariants):
                raise InternalError(f"{self.adapter} was about to be called consistent although nothing was checked")
            return
        idle = [found.scenario.name for found in self.scenarios if not (found.sends and found.completes)]
        if idle or not self.injected:
            what = f"nothing came of {', '.join(idle)}" if idle else "no fault struck it"
            raise InternalError(f"{self.adapter} was about to be called consistent although {what}")

    @property
    def injected(self) -> int:
        """How many plans had a fault, and how often the state machine did harm."""
        plans = (*self.counts.by_faults[1:], *self.random_plans.by_faults[1:])
        return sum(plans) + self.random.faults

    @property
    def distinct_invariants(self) -> tuple[str, ...]:
        """The ids of the invariants that findings break, each once, in the order of the findings."""
        return tuple(dict.fromkeys(finding.violation.invariant for finding in self.findings))


def exhaustive_claim(report: Report) -> str:
    """What the plans say of a consistent and complete campaign: a statement about the model."""
    if report.recorded is not None:
        return f"no violation in {_read(report.recorded)}: a statement about what the record shows"
    counts = report.counts
    kinds = len({cell.kind for cell in report.coverage if cell.planned})
    of_kinds = f" of {_plural(kinds, 'kind')}" if kinds else ""
    machine = f", nor in {_plural(report.random.run, 'example')} of the state machine" if report.random.run else ""
    drawn = f", nor in {_plural(report.random_plans.run, 'random plan')}" if report.random_plans.run else ""
    spared = sum(counts.pruned.values())
    what = "these runs of real processes" if report.live else "this model"
    as_well = (
        f" ({spared:,} more {'was' if spared == 1 else 'were'} spared, as equivalent to one of them)" if spared else ""
    )
    return (
        f"no violation in any of the {_plural(counts.run, 'plan')}{as_well} with at most "
        f"{_plural(report.max_faults, 'fault')}{of_kinds}, in {_plural(len(report.scenarios), 'scenario')}"
        f"{drawn}{machine}: a statement about {what}, not a probability"
    )


def partial_claim(report: Report) -> str:
    """What a campaign leaves open that ran every plan with at most one fault, and came to no end of the others."""
    pairs = report.pairs
    if pairs.share is None:
        return ""
    more = ", with all that extend them" if report.max_faults > 2 else ""
    over = ", a like share of each scenario and kind" if pairs.ended else ""
    return (
        f"{pairs.run:,} of the {_plural(pairs.planned, 'plan')} with two faults ({pairs.percent}) were run{more}{over}"
    )


def random_claims(report: Report) -> tuple[str, ...]:
    """What may be said of the random parts beside what they found, by the Good–Turing estimate and, of independent
    runs, by a bound on the rate of failures; never a probability of being correct."""
    said = []
    plans, machine = report.random_plans, report.random
    if plans.ended:
        said.append(f"random plans: they ended at {plans.run:,}: {plans.ended}")
    if plans.run:
        said.append(f"random plans: {_unseen(plans.unseen)}")
        if plans.bound is not None:
            said.append(
                f"random plans: 0 failures in {plans.run:,} independent runs bound the rate of failures, under the "
                f"distribution of these plans, by {plans.bound:.2g} at 95 % (1 − 0.05^(1/N))"
            )
    if machine.unseen.runs:
        said.append(
            f"state machine: {_unseen(machine.unseen)}; its examples are adaptive, so no bound on the rate of failures"
        )
    return tuple(said)


def _unseen(unseen: Unseen) -> str:
    return (
        f"{unseen.runs:,} runs fell into {unseen.classes:,} classes of histories (times apart), {unseen.singletons:,} "
        f"of them seen once: Good and Turing estimate the chance that the next run shows a new one at "
        f"{unseen.next_new:.2g} (f1/N)"
    )


def _read(recorded: Recorded) -> str:
    return f"{_plural(recorded.sagas, 'saga')} of {_plural(recorded.events, 'recorded event')}"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
