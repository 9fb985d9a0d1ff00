"""A campaign: every plan to k faults, then random examples, then each finding made small.

`Campaign.run` can be stopped at any time; `Campaign.report` tells what is known by then.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from base64 import b32encode
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from .. import __version__
from ..faults import Plan
from ..invariants import OURS, Catalogue
from ..plain import from_plain, to_plain
from ..ports import Adapter
from ..scenario import Scenario
from ..simulator import Setup, simulate
from ..simulator.patches import Watch, watchdog
from ..verdict import (
    CONSISTENT,
    INCONCLUSIVE,
    NOT_EXERCISED,
    VIOLATED,
    Conclusion,
    Explanation,
    Finding,
    RandomResult,
    Report,
)
from .certificate import source_digest
from .driver import expect_program_again, perform
from .explain import explain, explain_program
from .judge import Judge, NotDeterministic, first_difference, found_in, violates
from .part_search import PartSearch, drawn_parts, drawn_together
from .parts import Record, from_text, to_text
from .quiet import fewer_collections
from .random_plans import Drawn, unseen
from .reductions import SYMMETRY
from .settings import Settings
from .shrink import shrink, shrink_actions
from .statistics import ScenarioStatistics, Sighting, Signature, Statistics
from .symmetry import every_order, told_by_ids, with_every_order

if TYPE_CHECKING:
    from .stateful import Failure

MAX_SPINS: Final = 3
"""A campaign ends after so many runs that the watchdog had to end: each takes seconds."""

RANDOM_ROUNDS: Final = 4
"""How often the random part goes on after a finding, with that finding set aside."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a campaign is: ``done`` of ``expected`` (0: not known) in ``stage``."""

    stage: str
    done: int
    expected: int
    findings: int


class Campaign:
    """Searches one adapter. ``listen`` hears of progress; ``stopped`` is asked before each plan.

    ``keep`` is given each result by name as soon as it stands, ``kept`` is asked for it before it is looked for: so
    a campaign that was killed goes on. ``leave`` says of a part that was not kept why it is not searched, "" for one
    that is; a report says what was left. With ``parts_only`` nothing is made of the parts: another campaign does."""

    def __init__(
        self,
        adapter: Adapter,
        settings: Settings,
        *,
        listen: Callable[[Progress], None] = lambda progress: None,
        stopped: Callable[[], bool] = lambda: False,
        kept: Callable[[str], str | None] = lambda name: None,
        keep: Callable[[str, str], None] = lambda name, text: None,
        leave: Callable[[str], str] = lambda name: "",
        parts_only: bool = False,
        catalogue: Catalogue = OURS,
    ) -> None:
        self.adapter = adapter
        scenarios = settings.scenarios or adapter.scenarios
        self.scenarios = scenarios if SYMMETRY in settings.reductions else with_every_order(scenarios)
        self.settings = replace(settings, scenarios=self.scenarios)
        self._listen = listen
        self._stopped = stopped
        self._kept = kept
        self._keep = keep
        self._leave = leave
        self._parts_only = parts_only
        self._catalogue = catalogue
        self._left: Counter[str] = Counter()
        self._statistics = Statistics(catalogue)
        self._random = RandomResult(asked=settings.examples)
        self._drawn = Drawn(settings.random_plans, settings.max_faults + settings.beyond)
        self._place = 0  # how many random plans come before the next part of them, searched here or not
        self._random_findings: list[Finding] = []
        self._findings: dict[Signature, Finding] = {}
        self._digest = hashlib.blake2b(digest_size=16)
        self._nondeterministic = ""
        self._watch = Watch()
        self._finished = False

    def run(self) -> Report:
        """Search to the end, or until stopped."""
        with fewer_collections(), watchdog(self.settings.spin_s) as self._watch:
            try:
                self._finished = self._search()
            except NotDeterministic as error:
                self._nondeterministic = str(error)
            return self.report()

    def _over(self) -> bool:
        """Whether to end early: it was asked for, or too much time goes by in runs that spin."""
        return self._stopped() or self._watch.ended >= MAX_SPINS

    def _search(self) -> bool:
        return self._search_parts() and (self._parts_only or (self._shrink_all() and self._examples()))

    def _search_parts(self) -> bool:
        for number, scenario in enumerate(self.scenarios):
            if not self._exhaust(number, Setup(adapter=self.adapter, scenario=scenario)):
                return False
        return self._draw()

    # -- every plan --------------------------------------------------------------------------

    def _exhaust(self, index: int, setup: Setup) -> bool:
        """Every plan of one scenario, part by part."""
        settings = self.settings
        statistics = ScenarioStatistics(setup.scenario)
        self._statistics.scenarios.append(statistics)
        stage = f"{setup.scenario.name}: every plan with at most {settings.max_faults} faults"

        def tell(done: int) -> None:
            self._tell(stage, statistics.run + done, 0)

        search = PartSearch(setup, settings, self._over, tell, self._catalogue)
        judge, spared = Judge(setup), Counter[str]()
        self._statistics.coverage.begin(setup, settings.max_faults, settings.kinds or None, pruned=spared)
        number, parts, shallow = 0, 1, list[Plan]()
        while number < parts:
            record = self._part(f"{index}/{number}", partial(search.plans, number))
            number += 1
            if record is None:
                continue
            if number == 1:
                parts += record.parts
                shallow = [case.plan for case, _ in record.cases]
                plain = [case.run for case, _ in record.cases[:1] if settings.max_faults]
                statistics.singles = sum(
                    sum(1 for _ in search.enumerator.extensions(r.sites, r.impossible)) for r in plain
                )
            spared.update(record.pruned)
            statistics.pruned = dict(spared)
            for case, verdict in record.cases:
                new = not case.known and judge.recall(case.run, case.digest, verdict)
                self._digest.update(case.digest)
                self._statistics.add(statistics, setup, case, verdict, new=new)
            if not record.whole:
                return False
        spared.update(self._mirrored(setup, shallow, statistics.run + sum(spared.values())))
        statistics.pruned = dict(spared)
        return True

    def _mirrored(self, setup: Setup, shallow: list[Plan], plans: int) -> dict[str, int]:
        """How many plans symmetry spared beside ``plans``: those of the other orders of submission, where no plan of
        the ``shallow`` ones shows a difference. It is not looked for where it takes as long as the search."""
        others = len(every_order(setup.scenario)) - 1 if SYMMETRY in self.settings.reductions else 0
        told = self._watch.ended or self.settings.max_faults < 2 or not others or told_by_ids(setup, shallow)
        return {} if told or not shallow else {SYMMETRY: others * plans}

    def _draw(self) -> bool:
        """The random plans, a like number of each scenario."""
        searches = [self._random_search(scenario) for scenario in self.scenarios]
        judges = [Judge(search.setup) for search in searches]
        for name in drawn_parts(self.settings):
            if self._enough():
                return True
            index, start = map(int, name.split("/")[1:])
            record = self._part(name, partial(searches[index].drawn, start))
            first, self._place = self._place, self._place + drawn_together(self.settings, index, start)
            if record is None:
                continue
            for case, verdict in record.cases[: self._drawn.asked - first]:
                new = judges[index].recall(case.run, case.digest, verdict)
                self._digest.update(case.digest)
                self._statistics.add_drawn(searches[index].setup, case, verdict, new=new)
                self._drawn.add(case, verdict)
            if not record.whole:
                return self._cut_short()
        return True

    def _random_search(self, scenario: Scenario) -> PartSearch:
        def tell(done: int) -> None:
            self._tell("random plans", self._drawn.run + done, self.settings.random_plans)

        setup = Setup(adapter=self.adapter, scenario=scenario)
        return PartSearch(setup, self.settings, self._over, tell, self._catalogue)

    def _enough(self) -> bool:
        """Whether to draw no more plans before the last one."""
        return False

    def _cut_short(self) -> bool:
        """Whether a part that came to no end is one where the campaign may end."""
        return False

    def _part(self, name: str, search: Callable[[], Record]) -> Record | None:
        """The part of that name: as it was kept, or searched now, and kept if that came to its end. None where it is
        left."""
        text = self._kept(name)
        if text is not None:
            record = from_text(text)
            self._watch.ended += record.spins
            return record
        if why := self._leave(name):
            self._left[why] += 1
            return None
        before = self._watch.ended
        record = search()
        record.spins = self._watch.ended - before
        if record.whole:
            self._keep(name, to_text(record))
        self._nondeterministic = record.nondeterministic
        return record

    # -- each finding made small ---------------------------------------------------------------

    def _shrink_all(self) -> bool:
        sightings = self._worth_telling()
        for number, (signature, sighting) in enumerate(sightings):
            if self._over():
                return False
            self._tell("shrinking", number, len(sightings))
            self._findings[signature] = self._kept_finding(signature, sighting)
        return True

    def _kept_finding(self, signature: Signature, sighting: Sighting) -> Finding:
        plan = f"{sighting.setup.scenario.name} {sighting.plan}".encode()  # of a longer search it may be a smaller one
        name = f"finding/{finding_id(self.adapter.name, signature)}/{hashlib.blake2b(plan, digest_size=8).hexdigest()}"
        text = self._kept(name)
        if text is not None:
            known: Finding = from_plain(Finding, json.loads(text))
            return replace(known, hits=sighting.hits)
        finding = self._shrunk(signature, sighting)
        self._keep(name, json.dumps(to_plain(finding)))
        return finding

    def _worth_telling(self) -> list[tuple[Signature, Sighting]]:
        """All sightings but those that another of the same step shows with its harm."""
        known = self._statistics.sightings
        return [
            (signature, sighting)
            for signature, sighting in known.items()
            if signature[1] != "false terminal" or (signature[0], "leaked effect", *signature[2:]) not in known
        ]

    def _shrunk(self, signature: Signature, sighting: Sighting) -> Finding:
        if self._watch.ended and signature[0] == "C3":
            # each candidate could take seconds
            return _unshrunk(self.adapter.name, signature, sighting, self._catalogue)
        small = shrink(sighting.setup, sighting.plan, signature, self._catalogue)
        setup = Setup(adapter=self.adapter, scenario=small.scenario)
        if found := first_difference(small.history, simulate(setup, small.plan)):
            raise NotDeterministic(f"{small.scenario.name}, {small.plan}: {found}")
        return Finding(
            id=finding_id(self.adapter.name, signature),
            violation=small.violation,
            scenario=small.scenario,
            history=small.history,
            plan=small.plan,
            seed=self.settings.seed,
            hits=sighting.hits,
            explains=sighting.explains,
            necessary=small.necessary,
            first_events=sighting.events,
            first_faults=len(sighting.plan),
            replay=replay_file(finding_id(self.adapter.name, signature)),
            explanation=self._explain(
                lambda: explain(setup, small.plan, small.violation, small.history, self._catalogue)
            ),
        )

    def _explain(self, explanation: Callable[[], Explanation]) -> Explanation | None:
        """None where each of the runs that it takes could take seconds."""
        return None if self._watch.ended else explanation()

    # -- random examples -----------------------------------------------------------------------

    def _examples(self) -> bool:
        if not self.settings.examples:
            return True
        text = self._kept("examples")
        if text is not None:
            result, findings = json.loads(text)
            self._random = from_plain(RandomResult, result)
            self._random_findings = [from_plain(Finding, finding) for finding in findings]
            return True
        whole = self._search_examples()
        if whole:
            self._keep("examples", json.dumps([to_plain(self._random), to_plain(self._random_findings)]))
        return whole

    def _search_examples(self) -> bool:
        from .stateful import search

        known = frozenset(self._statistics.sightings)
        classes: Counter[bytes] = Counter()
        asked = 0

        def stopped() -> bool:  # asked once before each example
            nonlocal asked
            asked += 1
            return self._over()

        self._tell("state machine", 0, self.settings.examples)
        for attempt in range(RANDOM_ROUNDS):
            if self._over():
                return False
            failure, steps = search(
                self.adapter,
                examples=self.settings.examples,
                seed=self.settings.seed + attempt,
                scenarios=self.scenarios,
                ignore=known,
                stopped=stopped,
                classes=classes,
                catalogue=self._catalogue,
            )
            if failure is not None:
                known |= {failure.violation.signature}
                self._random_findings.append(self._random_finding(failure))
            self._random = RandomResult(
                asked=self.settings.examples,
                run=min(asked - self._over(), self.settings.examples),
                steps=self._random.steps + steps,
                violated=bool(self._random_findings),
                unseen=unseen(classes),
            )
            if failure is None:
                break
        return not self._over()

    def _random_finding(self, failure: Failure) -> Finding:
        violation = failure.violation
        setup = Setup(adapter=self.adapter, scenario=failure.scenario)
        expect_program_again(setup, failure.actions, failure.history)
        actions = failure.actions
        if not self._watch.ended:  # each candidate could take seconds
            actions = shrink_actions(setup, failure.actions, violation.signature, self._catalogue)
        shown, history = perform(setup, actions)
        violation = found_in(history, violation.signature, self._catalogue) or violation
        id = finding_id(self.adapter.name, violation.signature)
        return Finding(
            id=id,
            violation=violation,
            scenario=failure.scenario,
            history=history,
            plan=None,
            actions=actions,
            shown=shown,
            seed=self.settings.seed,
            first_events=len(failure.history.rows),
            first_faults=failure.faults,
            replay=replay_file(id),
            explanation=self._explain(
                lambda: explain_program(setup, actions, shown, violation, history, self._catalogue)
            ),
        )

    # -- what is known -------------------------------------------------------------------------

    def report(self) -> Report:
        """Everything known by now."""
        for signature, sighting in self._worth_telling():
            if signature not in self._findings:
                self._findings[signature] = _unshrunk(self.adapter.name, signature, sighting, self._catalogue)
        findings = (*self._findings.values(), *self._random_findings)
        found = Counter(finding.violation.invariant for finding in self._random_findings)
        invariants = self._statistics.invariants(found)
        reasons = tuple(self._reasons())
        left = tuple(f"{count} of the campaign's parts: {why}" for why, count in self._left.items())
        gone = tuple(f"invariant {i.id} ({i.name})" for i in invariants if i.status == NOT_EXERCISED)
        verdict: Conclusion = VIOLATED if findings else INCONCLUSIVE if reasons else CONSISTENT
        return Report(
            adapter=self.adapter.name,
            spec=self.adapter.spec or self.adapter.name,
            saga=self.adapter.saga.name,
            steps=tuple((step.name, step.operation, step.undo or "") for step in self.adapter.saga.steps),
            verdict=verdict,
            complete=self._finished and not self._left and not self._parts_only,
            max_faults=self.settings.max_faults,
            seed=self.settings.seed,
            counts=self._statistics.counts(),
            scenarios=tuple(statistics.result() for statistics in self._statistics.scenarios),
            random=self._random,
            random_plans=self._drawn.result(),
            invariants=invariants,
            findings=_sorted(findings),
            coverage=self._statistics.coverage.cells(),
            covered=self._statistics.coverage.result(),
            kinds=self.settings.kinds,
            source=source_digest(self.adapter),
            not_exercised=(*left, *self._statistics.not_exercised(self.settings.max_faults), *gone),
            reasons=reasons,
            nondeterministic=self._nondeterministic,
            digest=self._digest.hexdigest(),
            version=__version__,
            command=self.settings.command,
            definition=self.adapter.saga,
            discovery=self._statistics.discovery(),
        )

    def _reasons(self) -> Iterable[str]:
        """Why the campaign cannot call the adapter consistent."""
        counts = self._statistics.counts()
        if self._nondeterministic:
            yield f"the adapter is not deterministic: {self._nondeterministic}"
        elif self._watch.ended >= MAX_SPINS:
            yield f"{self._watch.ended} runs of code that touches no port had to be ended; the rest was not run"
        elif not self._finished:
            yield self._interruption()
        for why, count in self._left.items():
            parts = "1 part of the campaign was" if count == 1 else f"{count} parts of the campaign were"
            yield f"{parts} not searched: {why}"
        if self._parts_only:
            yield "its findings are not made small, and the state machine was not run: sagafuzz merge does that"
        if counts.fired < counts.run:
            yield f"in {counts.run - counts.fired} of {counts.run} plans a fault did not fire"
        if self._drawn.fired < self._drawn.run:
            yield f"in {self._drawn.run - self._drawn.fired} of {self._drawn.run} random plans a fault did not fire"
        for id, why in self._statistics.gave_up.items():
            yield f"the check of {id} gave up: {why}"

    def _interruption(self) -> str:
        """Why it did not come to its end."""
        return "the campaign was interrupted"

    def _tell(self, stage: str, done: int, expected: int) -> None:
        self._listen(Progress(stage=stage, done=done, expected=expected, findings=len(self._statistics.sightings)))


def choose_scenarios(adapter: Adapter, names: Iterable[str | Scenario], sagas: int | None) -> tuple[Scenario, ...]:
    """Those of the adapter with these ``names``, or all; with that many sagas each, where ``sagas`` says so."""
    wanted = dict.fromkeys(names)
    chosen = tuple(adapter.scenario(name) if isinstance(name, str) else name for name in wanted) or adapter.scenarios
    return chosen if sagas is None else tuple(scenario.with_sagas(sagas) for scenario in chosen)


def command_line(
    adapter: Adapter,
    *,
    scenarios: Iterable[str | Scenario],
    sagas: int | None,
    kinds: str = "all",
    command: str = "run",
    without: Iterable[str] = (),
    **numbers: int,
) -> str:
    """The command that makes the same report again, with ``numbers`` as its options; "" where it cannot be written:
    the adapter has no name, or a scenario is not one of its own. Without the folder of the reports, which does not
    matter."""
    named = [scenario if isinstance(scenario, str) else scenario.name for scenario in scenarios]
    foreign = any(not isinstance(scenario, str) and scenario not in adapter.scenarios for scenario in scenarios)
    if not adapter.spec or foreign:
        return ""
    words = ["sagafuzz", command, adapter.spec]
    for option, number in numbers.items():
        words += ["--" + option.replace("_", "-"), str(number)]
    if kinds != "all":
        words += ["--kinds", kinds]
    for name in named:
        words += ["--scenario", name]
    if sagas is not None:
        words += ["--sagas", str(sagas)]
    for name in without:
        words += ["--without", name]
    return shlex.join(words)


def finding_id(adapter: str, signature: Signature) -> str:
    """A short name that stays the same from run to run: F- and four letters of a hash."""
    text = "\0".join((adapter, *signature)).encode()
    return "F-" + b32encode(hashlib.blake2b(text, digest_size=5).digest()).decode().lower()[:5]


def replay_file(id: str) -> str:
    """The name of a finding's replay file in the folder of its report."""
    return f"{id}.json"


def _unshrunk(adapter: str, signature: Signature, sighting: Sighting, catalogue: Catalogue) -> Finding:
    """A finding as it was first seen, for a campaign that was stopped before it could be shrunk."""
    shown = violates(sighting.setup, sighting.plan, signature, catalogue)
    if shown is None:  # not deterministic: this run shows something else
        run = simulate(sighting.setup, sighting.plan)
        shown = (replace(sighting.violation, position=-1), run.history(sighting.setup, sighting.plan))
    return Finding(
        id=finding_id(adapter, signature),
        violation=shown[0],
        scenario=sighting.setup.scenario,
        history=shown[1],
        plan=sighting.plan,
        hits=sighting.hits,
        explains=sighting.explains,
        necessary=False,
        first_events=sighting.events,
        first_faults=len(sighting.plan),
        replay=replay_file(finding_id(adapter, signature)),
    )


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By invariant; within one the fewest faults first, then the latest step: what it does is hardest to take back."""

    findings = tuple(findings)

    def rank(finding: Finding) -> tuple[object, ...]:
        violation = finding.violation
        id = violation.invariant
        faults = len(finding.plan) if finding.plan is not None else len(finding.actions)
        last_step_first = -steps.get(violation.step, -1)
        return (id[:1] != "I", int(id[1:]), finding.plan is None, faults, last_step_first, violation.signature)

    steps = {step.name: n for finding in findings for n, step in enumerate(finding.history.saga.steps)}

    return tuple(sorted(findings, key=rank))
