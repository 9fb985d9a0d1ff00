"""The report of a campaign, made of what happened in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

from .. import __version__
from ..ports import Adapter
from ..verdict import (
    CONSISTENT,
    INCONCLUSIVE,
    NOT_EXERCISED,
    VIOLATED,
    Conclusion,
    Finding,
    PlanCounts,
    RandomPlans,
    RandomResult,
    Report,
    ScenarioResult,
    Signature,
)
from .certificate import source_digest
from .events import Advised, Event, ExamplesRun, FindingShrunk, PartLeft, ProgramShrunk, StageEnded
from .findings import ranked
from .part_search import NO_END
from .settings import Settings
from .statistics import Statistics, by_number
from .stopping import Ends, Stop, Why
from .vacuity import NOTHING_INJECTED, doubted, vacuous


class ReportBuilder:
    """Listens to a campaign. ``known`` are its statistics; where ``parts_only`` another campaign makes something of
    what it searched."""

    def __init__(self, adapter: Adapter, settings: Settings, known: Statistics, *, parts_only: bool = False) -> None:
        self._adapter = adapter
        self._settings = settings
        self._known = known
        self._parts_only = parts_only
        self._left: Counter[str] = Counter()
        self._random = RandomResult(asked=settings.examples)
        self._random_findings: list[Finding] = []
        self._findings: dict[Signature, Finding] = {}
        self._stop: Stop | None = None
        self._advice: dict[str, None] = {}  # one scenario may say what another one did
        self._cut = ""  # why not every plan was run
        self._ended = ""  # why no more random plans were drawn

    def __call__(self, event: Event) -> None:
        match event:
            case FindingShrunk():
                self._findings[event.signature] = event.finding
            case ProgramShrunk():
                self._random_findings.append(event.finding)
            case ExamplesRun():
                self._random = event.result
            case Advised():
                self._advice |= dict.fromkeys(event.sentences)
            case PartLeft(why=why) if why:
                self._left[why] += 1
            case StageEnded(stop=Stop() as stop):
                if stop.ends is Ends.RANDOM_PLANS:
                    self._ended = stop.sentence
                elif stop.ends in (Ends.PLANS, Ends.PAIRS):
                    self._cut = self._cut or stop.sentence
                else:
                    self._stop = self._stop or stop

    def report(self) -> Report:
        """Everything known by now."""
        known, adapter, settings = self._known, self._adapter, self._settings
        findings = (*self._findings.values(), *self._random_findings)
        found = Counter(finding.violation.invariant for finding in self._random_findings)
        invariants = known.invariants(found)
        reasons = tuple(self._reasons(findings))
        left = tuple(f"{count} of the campaign's parts: {why}" for why, count in self._left.items())
        gone = tuple(f"invariant {i.id} ({i.name})" for i in invariants if i.status == NOT_EXERCISED)
        parted = self._stop.detail if self._stop and self._stop.why is Why.NOT_DETERMINISTIC else ""
        verdict: Conclusion = VIOLATED if findings else INCONCLUSIVE if reasons else CONSISTENT
        return Report(
            adapter=adapter.name,
            spec=adapter.spec or adapter.name,
            saga=adapter.saga.name,
            steps=tuple((step.name, step.operation, step.undo or "") for step in adapter.known.steps),
            verdict=verdict,
            complete=not (self._stop or self._cut or self._left or self._parts_only),
            max_faults=settings.max_faults,
            seed=settings.seed,
            counts=known.counts(),
            pairs=replace(known.pairs, ended=self._cut),
            scenarios=self._scenarios,
            random=self._random,
            random_plans=self._random_plans(),
            invariants=invariants,
            findings=ranked([doubted(finding, self._scenarios) for finding in findings]),
            coverage=known.coverage.cells(),
            covered=known.coverage.result(),
            kinds=settings.kinds,
            source=source_digest(adapter),
            not_exercised=(*left, *known.not_exercised(), *gone),
            reasons=reasons,
            advice=tuple(self._advice),
            nondeterministic=parted.splitlines()[0] if parted else "",
            digest=known.digest,
            version=__version__,
            definition=adapter.known,
            discovery=known.discovery(),
        )

    @property
    def _scenarios(self) -> tuple[ScenarioResult, ...]:
        """Those that were begun, and of what was interrupted the others too, with nothing run."""
        begun = tuple(statistics.result() for statistics in self._known.scenarios)
        if self._stop is None or self._stop.why is not Why.INTERRUPTED:
            return begun
        named = [result.scenario for result in begun]
        return (
            *begun,
            *(
                ScenarioResult(scenario=each, counts=PlanCounts())
                for each in self._settings.scenarios
                if each not in named
            ),
        )

    def _random_plans(self) -> RandomPlans:
        drawn = self._known.drawn.result()
        return replace(drawn, asked=drawn.asked if drawn.asked < NO_END else drawn.run, ended=self._ended)

    def _reasons(self, findings: Collection[Finding]) -> Iterator[str]:
        """Why the campaign cannot call the adapter consistent, beside the findings."""
        if self._stop is not None:
            yield from self._stop.sentence.splitlines()
            if self._stop.why is Why.BLOCKED:
                return
        for why, count in self._left.items():
            parts = "1 part of the campaign was" if count == 1 else f"{count} parts of the campaign were"
            yield f"{parts} not searched: {why}"
        if self._parts_only:
            yield "its findings are not made small, and the state machine was not run: `sagafuzz merge` does that"
        counts, drawn = self._known.counts(), self._known.drawn
        if counts.fired < counts.run:
            yield f"in {counts.run - counts.fired} of {counts.run} plans a fault did not fire"
        if drawn.fired < drawn.run:
            yield f"in {drawn.run - drawn.fired} of {drawn.run} random plans a fault did not fire"
        for why in dict.fromkeys(self._known.gave_up.values()):
            ids = sorted((id for id, other in self._known.gave_up.items() if other == why), key=by_number)
            yield f"the check{'s' if len(ids) > 1 else ''} of {', '.join(ids)} gave up: {why}"
        if self._stop is None:
            yield from vacuous(self._scenarios)
            if not (findings or self._known.struck or self._random.faults):
                yield NOTHING_INJECTED
