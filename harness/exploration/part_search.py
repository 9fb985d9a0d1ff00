"""The parts of one scenario, searched in any order and each with the same result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import copy
from itertools import count as numbers
from typing import Final

from ..simulator import Setup, simulate
from ..verdict import Verdict
from .cases import Case
from .enumerator import Enumerator
from .judge import Judge
from .parting import NotDeterministic, parted
from .parts import Record
from .random_plans import random_plans
from .reductions.table import named
from .settings import Settings
from .stopping import Over, Why
from .telling import Telling
from .vacuity import completes, sends

REPEAT_EVERY: Final = 101
"""One plan in so many runs twice, to see that the adapter is deterministic."""

DRAWN_TOGETHER: Final = 200
"""How many random plans are one part."""

NO_END: Final = 1 << 62
"""How many random plans a campaign without an end has."""

KNOWN: Final = Verdict()
"""The verdict on a run that ended in a state whose future was judged before: nothing that is new."""


def drawn_parts(settings: Settings) -> Iterator[str]:
    """The names of the parts of random plans, ``drawn/SCENARIO/FIRST``, in the order of the campaign: scenario by
    scenario; where there is no end, a part of each in turn."""
    scenarios = range(len(settings.scenarios))
    if settings.endless:
        yield from (f"drawn/{index}/{start}" for start in numbers(0, DRAWN_TOGETHER) for index in scenarios)
        return
    for index in scenarios:
        for start in range(0, drawn_share(settings, index), DRAWN_TOGETHER):
            yield f"drawn/{index}/{start}"


def drawn_share(settings: Settings, index: int) -> int:
    """How many random plans the scenario of that number has."""
    if settings.endless:
        return NO_END
    scenarios = len(settings.scenarios)
    return int(settings.random_plans // scenarios + (index < settings.random_plans % scenarios))


def drawn_together(settings: Settings, index: int, start: int) -> int:
    """How many random plans are in the part that begins with number ``start``."""
    return min(DRAWN_TOGETHER, drawn_share(settings, index) - start)


Judged = tuple[Case, Verdict]


class PartSearch:
    """Searches parts of ``setup`` as the settings of a campaign say. ``over`` is asked before each plan."""

    def __init__(self, setup: Setup, settings: Settings, over: Over) -> None:
        self.setup = setup
        self._settings = settings
        self._over = over
        reductions = named(settings.reductions)
        self.enumerator = Enumerator(setup, settings.max_faults, settings.kinds or None, reductions=reductions)
        self._rooted = False
        self._shown = False  # whether the run without a fault shows that the scenario asks and completes
        self._judge_drawn = Judge(setup)

    def under(self, over: Over) -> PartSearch:
        """The same, in a copy of this process: it knows what this one does by now, and asks ``over``."""
        search = copy(self)
        search._over = over
        return search

    def record(self, *, drawn: bool) -> Record:
        """An empty one, for a part of random plans where it is ``drawn``. Of plans that are extended, and of those with
        one fault, their sites are asked."""
        return Record(told_sites=0 if drawn else max(self._settings.max_faults, 2))

    def plans(self, number: int, record: Record) -> Iterator[Judged]:
        """The cases of part ``number`` of the enumeration with their verdicts, without the rows of their runs. They are
        written into ``record``, which is whole in the end unless the search was to stop."""
        if number and not self._rooted:  # another process ran part 0, or an earlier one
            for _ in self._roots():
                pass
            self._rooted = True
        before = Counter(self.enumerator.pruned)
        cases = self.enumerator.subtree(number - 1) if number else self._roots()
        judge = Judge(self.setup)  # whose word depends on what was before: on this part
        yield from self._run(cases, judge, Telling(self.setup, shown=self._shown), record, 37 * number)
        self._rooted = self._rooted or record.whole
        record.mistakes, self.enumerator.mistakes = tuple(self.enumerator.mistakes), []
        spared = self.enumerator.pruned
        record.pruned = {name: spared[name] - before[name] for name in spared}
        if not number:
            at = {case.plan.faults: place for place, (case, _) in enumerate(record.cases)}
            nodes = (at[node.faults] for node in self.enumerator.nodes)
            record.extended = tuple(zip(nodes, self.enumerator.ahead(), strict=True))

    def _roots(self) -> Iterator[Case]:
        """The cases of part 0."""
        for case in self.enumerator.roots():
            if not case.plan.faults:
                self._shown = sends(case.run) and completes(case.run, self.setup)
            yield case

    def drawn(self, start: int, record: Record) -> Iterator[Judged]:
        """The same of the part of random plans from number ``start`` on."""
        settings = self._settings
        count = drawn_together(settings, settings.scenarios.index(self.setup.scenario), start)
        most = settings.max_faults + settings.beyond
        cases = random_plans(
            self.setup, count, settings.seed, most, settings.kinds or None, priorities=True, start=start
        )
        yield from self._run(cases, self._judge_drawn, Telling(self.setup, drawn=True), record, None)

    def _run(
        self, cases: Iterator[Case], judge: Judge, telling: Telling, record: Record, repeat_from: int | None
    ) -> Iterator[Judged]:
        try:
            while (stop := self._over()) is None:
                case = next(cases, None)
                if case is None:
                    record.whole = True
                    return
                if repeat_from is not None and repeat_from % REPEAT_EVERY == 0 and not case.known:
                    self._repeat(case)
                repeat_from = repeat_from + 1 if repeat_from is not None else None
                verdict, told = KNOWN, case.told
                if not case.known:
                    verdict = judge.judge(case.plan, case.run, case.digest, case.projection)[0]
                    told = telling.tell(case.plan, case.run, case.digest)
                case = case.kept(told)
                record.cases.append((case, verdict))
                yield case, verdict
        except NotDeterministic as error:
            stop = Why.NOT_DETERMINISTIC.stop(detail=error)
        record.stop = stop

    def _repeat(self, case: Case) -> None:
        """Run a case again; NotDeterministic, with the first difference, where it is another."""
        if found := parted(self.setup, case.plan, case.run, simulate(self.setup, case.plan)):
            raise NotDeterministic(f"{self.setup.scenario.name}, {case.plan}: {found}")
