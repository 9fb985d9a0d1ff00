"""A certificate of a consistent and complete campaign, and its verification by a random sample.

It says what was run, with which versions, and what may be concluded; no more. Whoever doubts it runs a sample.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import platform
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final, Literal, TypeAlias

from .. import __version__
from ..errors import UsageError
from ..faults import FAULT_KINDS, Plan
from ..history import History
from ..invariants import check
from ..plain import NEWER, Malformed, from_plain, frozen, to_brief, to_plain
from ..ports import Adapter
from ..saga import Saga
from ..scenario import Scenario
from ..simulator import Setup, simulate
from ..verdict import CONSISTENT, Report, Violation, exhaustive_claim, random_claims
from ..versioned import FileForm
from .enumerator import Enumerator
from .parting import NotDeterministic
from .random_plans import random_plans
from .reductions import SHAPING
from .vacuity import NOTHING_INJECTED, vacuous_run

CERTIFICATE_VERSION: Final = 1
CERTIFICATE_FILE: Final = "certificate.json"
LIBRARIES: Final = ("hypothesis", "networkx", "greenlet")

Result: TypeAlias = Literal["CONFIRMED", "REFUTED", "CANNOT RUN"]


# -- what stands in it -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class CertifiedSaga:
    """The saga; each step as (name, operation, undo), and the whole ``definition`` where its steps say more."""

    name: str
    steps: tuple[tuple[str, str, str], ...]
    definition: Saga | None = field(default=None, metadata=NEWER)


@dataclass(frozen=True, kw_only=True)
class CertifiedPlans:
    """How many plans were run, and spared; ``fired_share`` is the share of those in which every fault struck."""

    run: int
    by_faults: tuple[int, ...]
    pruned: Mapping[str, int]
    fired_share: float | None
    histories: int


@dataclass(frozen=True, kw_only=True)
class CertifiedScenario:
    """A scenario as `to_brief` writes it, how many plans were run of it, and how many with one fault it has."""

    scenario: Mapping[str, object]
    run: int
    plans_with_one_fault: int


@dataclass(frozen=True, kw_only=True)
class CertifiedRandom:
    """How many random plans were run, and how many examples of the state machine."""

    plans: int
    examples: int


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """All that stands in the file. ``kinds`` are the kinds of faults that were planned, ``limited_to`` those to which
    the campaign was limited, none where it was not; ``source`` is the hash of the adapter's file."""

    sagafuzz_certificate: int
    adapter: str
    saga: CertifiedSaga
    statements: tuple[str, ...]
    max_faults: int
    seed: int
    kinds: tuple[str, ...]
    limited_to: tuple[str, ...]
    sites: int
    plans: CertifiedPlans
    scenarios: tuple[CertifiedScenario, ...]
    random: CertifiedRandom
    digest: str
    versions: Mapping[str, str]
    source: str

    def __post_init__(self) -> None:
        if not self.scenarios:
            raise Malformed((), "it names no scenario; write it again")


FORM: Final = FileForm(
    called="certificate",
    marker="sagafuzz_certificate",
    version=CERTIFICATE_VERSION,
    kind=Certificate,
    instead="the one of a report folder",
)


def certifies(report: Report) -> bool:
    """True if a report is worth a certificate: consistent, searched to the end, and such that it can be repeated."""
    searched = report.recorded is None and not report.live
    return report.verdict == CONSISTENT and report.complete and searched


def to_text(report: Report) -> str:
    """The certificate of a report that `certifies`, as JSON that is the same for the same campaign."""
    counts = report.counts
    certificate = Certificate(
        sagafuzz_certificate=CERTIFICATE_VERSION,
        adapter=report.spec,
        saga=CertifiedSaga(name=report.saga, steps=report.steps, definition=_worded(report.definition)),
        statements=(exhaustive_claim(report), *random_claims(report)),
        max_faults=report.max_faults,
        seed=report.seed,
        kinds=tuple(sorted({cell.kind for cell in report.coverage if cell.planned}, key=list(FAULT_KINDS).index)),
        limited_to=report.kinds,
        sites=len({(cell.scenario, cell.site) for cell in report.covered.sites}),
        plans=CertifiedPlans(
            run=counts.run,
            by_faults=counts.by_faults,
            pruned=dict(sorted(counts.pruned.items())),
            fired_share=counts.fired / counts.run if counts.run else None,
            histories=counts.histories,
        ),
        scenarios=tuple(
            CertifiedScenario(
                scenario=to_brief(result.scenario), run=result.counts.run, plans_with_one_fault=result.singles
            )
            for result in report.scenarios
        ),
        random=CertifiedRandom(plans=report.random_plans.run, examples=report.random.run),
        digest=report.digest,
        versions=versions(),
        source=report.source,
    )
    return json.dumps(to_plain(certificate), indent=2) + "\n"


def _worded(saga: Saga | None) -> Saga | None:
    """``saga`` where its steps have parts, amounts, groups or children, or use one another up; None where names tell
    all."""
    return saga if saga is not None and (saga.terms or saga.groups or saga.children) else None


def from_text(text: str, name: str) -> Certificate:
    """Read the certificate called ``name``. Raises UsageError in one line for anything else."""
    certificate: Certificate = FORM.read(text, name)
    return certificate


def versions() -> dict[str, str]:
    """What a run depends on besides the adapter."""
    found = {"sagafuzz": __version__, "Python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def source_digest(adapter: Adapter) -> str:
    """A hash of the file that holds the adapter's class; "" where it was made in no file."""
    try:
        file = inspect.getsourcefile(adapter.factory)
        return hashlib.blake2b(Path(file or "").read_bytes(), digest_size=16).hexdigest()
    except (OSError, TypeError):
        return ""


# -- verifying it ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of it. ``differences`` are what is not as it was when the certificate was written; ``sampled``
    counts the random plans, ``singles`` the plans with one fault that were run."""

    result: Result
    reason: str = ""
    differences: tuple[str, ...] = ()
    sampled: int = 0
    singles: int = 0
    plan: Plan | None = None
    violation: Violation | None = None
    history: History | None = None


def differences(certificate: Certificate, adapter: Adapter) -> Iterator[str]:
    """What has changed since, one line each."""
    for name, now in versions().items():
        before = certificate.versions.get(name, "")
        if before != now:
            yield f"{name} was {before or 'unknown'} and is {now or 'not installed'}"
    now = source_digest(adapter)
    if now != certificate.source:
        yield f"the file of the adapter was {certificate.source or 'none'} and is {now or 'none'} (BLAKE2 of its bytes)"


def verify(
    certificate: Certificate,
    adapter: Adapter,
    *,
    sample: int,
    seed: int,
    stopped: Callable[[], bool] = lambda: False,
) -> Verified:
    """Run all plans with one fault, count them, and run ``sample`` random ones of the certificate's size."""
    changed = tuple(differences(certificate, adapter))
    checker = _Checker(certificate, sample, seed, stopped)
    try:
        outcome = checker.check(adapter)
    except NotDeterministic as error:
        outcome = Verified(result="CANNOT RUN", reason=f"the adapter is not deterministic: {error}")
    except UsageError as error:
        outcome = Verified(result="CANNOT RUN", reason=str(error))
    if changed and outcome.result == "REFUTED" and outcome.violation is None:  # other counts, of another system
        outcome = Verified(result="CANNOT RUN", reason=f"it is of another system: {outcome.reason}")
    return Verified(
        result=outcome.result,
        reason=outcome.reason,
        differences=changed,
        sampled=checker.sampled,
        singles=checker.singles,
        plan=outcome.plan,
        violation=outcome.violation,
        history=outcome.history,
    )


class _Checker:
    """One verification, with what was run by now."""

    def __init__(self, certificate: Certificate, sample: int, seed: int, stopped: Callable[[], bool]) -> None:
        self._certificate = certificate
        self._sample = sample
        self._seed = seed
        self._stopped = stopped
        self._seen: set[tuple[str, str, bool]] = set()
        self._struck = 0  # how many faults struck, and changed something
        self.sampled = 0
        self.singles = 0

    def check(self, adapter: Adapter) -> Verified:
        certificate = self._certificate
        steps = tuple((step.name, step.operation, step.undo or "") for step in adapter.known.steps)
        if steps != certificate.saga.steps:
            return Verified(result="CANNOT RUN", reason=f"the saga of {adapter.name!r} has other steps now")
        if certificate.saga.definition not in (None, adapter.known):
            return Verified(result="CANNOT RUN", reason=f"the steps of {adapter.name!r} say something else now")
        setups = [Setup(adapter=adapter, scenario=_scenario(adapter, entry)) for entry in certificate.scenarios]
        for setup, entry in zip(setups, certificate.scenarios, strict=True):
            found = self._one_fault(setup, entry)
            if found is not None:
                return found
        for number, setup in enumerate(setups):
            share = self._sample // len(setups) + (number < self._sample % len(setups))
            found = self._random(setup, share)
            if found is not None:
                return found
        if not self._struck:
            return Verified(result="CANNOT RUN", reason=NOTHING_INJECTED)
        return Verified(result="CONFIRMED")

    def _one_fault(self, setup: Setup, entry: CertifiedScenario) -> Verified | None:
        """The plan without faults, and every plan with one."""
        run = simulate(setup)
        found = self._judge(setup, Plan(), run.history(setup, Plan()), complete=True)
        if found is None and (nothing := vacuous_run(run, setup)):
            found = Verified(result="CANNOT RUN", reason=nothing)
        if found is not None or not self._certificate.max_faults:
            return found
        enumerator = Enumerator(setup, 1, self._only, reductions=SHAPING)
        count = 0
        for fault in enumerator.extensions(run.sites, run.impossible):
            if self._stopped():
                return _STOPPED
            plan = Plan(faults=(fault,))
            struck = simulate(setup, plan)
            found = self._judge(setup, plan, struck.history(setup, plan), complete=struck.struck == 1)
            if found is not None:
                return found
            count += 1
            self.singles += 1
            self._struck += len(struck.fired)
        if count != entry.plans_with_one_fault:
            where = f"scenario {setup.scenario.name!r} has {count:,} plans with one fault"
            return Verified(result="REFUTED", reason=f"{where}; the certificate counts {entry.plans_with_one_fault:,}")
        return None

    def _random(self, setup: Setup, share: int) -> Verified | None:
        most = self._certificate.max_faults
        for case in random_plans(setup, share, self._seed, most, self._only):
            if self._stopped():
                return _STOPPED
            found = self._judge(setup, case.plan, case.run.history(setup, case.plan), complete=case.fired)
            if found is not None:
                return found
            self.sampled += 1
            self._struck += len(case.run.fired)
        return None

    def _judge(self, setup: Setup, plan: Plan, history: History, *, complete: bool) -> Verified | None:
        """None where the run bears the certificate out."""
        if not complete:
            return Verified(result="CANNOT RUN", reason=f"a fault never fired: {plan}", plan=plan, history=history)
        key = (setup.scenario.name, history.digest, bool(plan))
        if key in self._seen:
            return None
        self._seen.add(key)
        verdict = check(history, catalogue=setup.catalogue)
        if verdict.violations:
            violation = verdict.violations[0]
            return Verified(
                result="REFUTED", reason=violation.sentence, plan=plan, violation=violation, history=history
            )
        if verdict.gave_up:
            id, why = next(iter(verdict.gave_up.items()))
            return Verified(result="CANNOT RUN", reason=f"the check of {id} gave up: {why}", plan=plan)
        return None

    @property
    def _only(self) -> Collection[str] | None:
        return self._certificate.limited_to or None


_STOPPED: Final = Verified(result="CANNOT RUN", reason="it was interrupted")


def _scenario(adapter: Adapter, entry: CertifiedScenario) -> Scenario:
    """The adapter's own scenario where it reads the same (it may hold what JSON does not), else as written."""
    for own in adapter.scenarios:
        if frozen(to_brief(own)) == entry.scenario:
            return own
    scenario: Scenario = from_plain(Scenario, entry.scenario)
    return scenario
