"""What was concluded: of one history (Verdict), and of a whole campaign (Report).

All values here are plain and frozen; `sagafuzz.reports` turns a Report into text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from .faults import Plan
from .history import History
from .scenario import Scenario

REPORT_VERSION: Final = 1

Conclusion: TypeAlias = Literal["consistent", "violated", "inconclusive"]
Status: TypeAlias = Literal["holds", "violated", "not exercised", "gave up"]

CONSISTENT: Final = "consistent"
VIOLATED: Final = "violated"
INCONCLUSIVE: Final = "inconclusive"

HOLDS: Final = "holds"
NOT_EXERCISED: Final = "not exercised"
GAVE_UP: Final = "gave up"


@dataclass(frozen=True, kw_only=True)
class Violation:
    """An invariant that a history breaks.

    ``anomaly`` is the kind of breakage in a few words; ``saga``, ``step`` and ``direction`` say where
    (empty where it is of the whole). ``sentence`` is one sentence for a person; ``expected`` and
    ``got`` are short. ``position`` is the index of the event that shows it, -1 for the end.
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

    @property
    def signature(self) -> tuple[str, str, str, str]:
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
        if self.violations:
            return VIOLATED
        return INCONCLUSIVE if self.gave_up else CONSISTENT


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One distinct violation and the smallest schedule known for it.

    ``plan`` is None where the state machine found it; then ``actions`` is its program as (rule, number)
    and ``shown`` the same for people. ``hits`` counts
    the schedules that showed it, ``necessary`` says that it vanishes without any one of the faults.
    ``first_faults`` is the number of faults before shrinking, ``first_events`` that of events.
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


@dataclass(frozen=True, kw_only=True)
class InvariantResult:
    """What a campaign says of one invariant; ``checked`` counts the histories that exercised it."""

    id: str
    name: str
    status: Status
    checked: int = 0
    violated: int = 0
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class PlanCounts:
    """``planned`` were to run, ``run`` did, in ``fired`` every fault struck, in ``consequential`` the
    last fault changed what happened. ``histories`` are the distinct ones."""

    planned: int = 0
    run: int = 0
    fired: int = 0
    consequential: int = 0
    histories: int = 0
    by_faults: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Coverage of one fault kind in one phase of the saga: forward, compensation or recovery."""

    kind: str
    phase: str
    sites: int
    planned: int
    fired: int
    consequential: int


@dataclass(frozen=True, kw_only=True)
class ScenarioResult:
    scenario: Scenario
    counts: PlanCounts
    outcomes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RandomResult:
    """The part driven by Hypothesis: ``asked`` and ``run`` examples, ``steps`` rules executed."""

    asked: int = 0
    run: int = 0
    steps: int = 0
    violated: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a campaign has to say. ``complete`` is False where it was interrupted."""

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
    nondeterministic: str = ""
    digest: str = ""
    version: str = ""
    command: str = ""

    @property
    def distinct_invariants(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(finding.violation.invariant for finding in self.findings))
