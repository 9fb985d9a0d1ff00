"""The stage in which Hypothesis drives the simulator: each violation that it comes upon, made small."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..simulator import Setup
from ..verdict import Finding, RandomResult
from .drawn import unseen
from .driver import FAULTY_ACTIONS, expect_program_again, perform
from .events import Event, ExamplesFinished, ExamplesRun, ProgramShrunk, Stage, StageBegan, StageEnded
from .explain import explain_program
from .findings import finding_id, replay_file
from .judge import found_in
from .shrink import shrink_actions
from .stages import Happened, Search
from .stopping import Why

if TYPE_CHECKING:
    from .stateful import Failure

ROUNDS: Final = 4
"""How often the random part goes on after a finding, with that finding set aside."""


@dataclass(frozen=True)
class Examples:
    """The examples of the state machine in a campaign."""

    search: Search

    def run(self) -> Iterator[Event]:
        """What happens in them; there is one at least."""
        yield StageBegan(Stage.STATE_MACHINE, "state machine", self.search.settings.examples)
        known = self.search.archive.examples()
        if known is not None:
            yield ExamplesRun(known.result)
            yield from map(ProgramShrunk, known.findings)
            yield StageEnded(Stage.STATE_MACHINE)
            return
        yield StageEnded(Stage.STATE_MACHINE, (yield from self._search()))

    def _search(self) -> Happened:
        from .stateful import Livelocks, search  # it loads Hypothesis

        settings, over = self.search.settings, self.search.over
        known = frozenset(self.search.known.sightings)
        classes: Counter[bytes] = Counter()
        actions: Counter[str] = Counter()
        findings: list[Finding] = []
        result = RandomResult(asked=settings.examples)
        asked, livelocks = 0, Livelocks()

        def stopped() -> bool:  # asked once before each example
            nonlocal asked
            asked += 1
            return over() is not None

        for attempt in range(ROUNDS):
            if stop := over():
                return stop
            failure, steps = search(
                self.search.adapter,
                examples=settings.examples,
                seed=settings.seed + attempt,
                scenarios=settings.scenarios,
                ignore=known,
                stopped=stopped,
                classes=classes,
                actions=actions,
                livelocks=livelocks,
            )
            if failure is not None:
                known |= {failure.violation.signature}
                findings.append(self._finding(failure))
                yield ProgramShrunk(findings[-1])
            result = RandomResult(
                asked=settings.examples,
                run=min(asked - (over() is not None), settings.examples),
                steps=result.steps + steps,
                violated=bool(findings),
                unseen=unseen(classes),
                faults=sum(actions[name] for name in FAULTY_ACTIONS),
            )
            yield ExamplesRun(result)
            if failure is None or livelocks.too_many:
                break
        if livelocks.too_many:
            return Why.LIVELOCKS.stop(examples=livelocks.count)
        if (stop := over()) is None:
            yield ExamplesFinished(result, tuple(findings))
        return stop

    def _finding(self, failure: Failure) -> Finding:
        violation = failure.violation
        setup = Setup(adapter=self.search.adapter, scenario=failure.scenario)
        expect_program_again(setup, failure.actions, failure.history)
        quick = not self.search.watch.ended  # else each run that is made could take seconds
        actions, attempts, whole = failure.actions, 0, False
        if quick:
            actions, attempts, whole = shrink_actions(setup, failure.actions, violation.signature)
        shown, history = perform(setup, actions)
        violation = found_in(setup, history, violation.signature) or violation
        id = finding_id(self.search.adapter.name, violation.signature)
        return Finding(
            id=id,
            violation=violation,
            scenario=failure.scenario,
            history=history,
            plan=None,
            actions=actions,
            shown=shown,
            seed=self.search.settings.seed,
            first_events=len(failure.history.rows),
            first_faults=failure.faults,
            replay=replay_file(id),
            necessary=whole,
            notes=() if whole else (f"it may not be the smallest: {attempts} attempts were made to shorten it",),
            explanation=explain_program(setup, actions, shown, violation, history) if quick else None,
        )
