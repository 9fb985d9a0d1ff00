"""The stages of a campaign in the simulator: each yields what happens in it, and ends by saying why it ended.

A stage reads what was counted of the events before, and nothing else of whoever listens.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial

from ..faults import Plan
from ..ports import Adapter
from ..scenario import Scenario
from ..simulator import Setup
from ..simulator.patches import Watch
from ..verdict import Signature
from .advice import advice
from .cases import Case
from .events import (
    Advised,
    CaseJudged,
    Event,
    FindingShrunk,
    PartFinished,
    PartLeft,
    PlansSpared,
    ScenarioBegan,
    ShareEnded,
    SinglesCounted,
    Stage,
    StageBegan,
    StageEnded,
)
from .findings import as_seen, shrunk, worth_telling
from .judge import Judge
from .keeping import Archive, finding_record
from .part_search import Judged, PartSearch, drawn_parts, drawn_together
from .parts import Record
from .reductions import SYMMETRY
from .reductions.symmetry import every_order, told_by_ids
from .settings import Settings
from .shards import Share
from .statistics import Sighting, Statistics
from .stopping import Limits, Over, Stop

Happened = Generator[Event, None, Stop | None]
"""What happens; returns why it came to no end of its own, None where it did."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """A campaign under way. ``over`` is asked before each plan, ``known`` are the statistics of what has happened by
    now, ``watch`` counts the runs that had to be ended."""

    adapter: Adapter
    settings: Settings
    archive: Archive
    share: Share
    limits: Limits
    over: Over
    watch: Watch
    known: Statistics

    # -- every plan --------------------------------------------------------------------------

    def every_plan(self, index: int, scenario: Scenario) -> Iterator[Event]:
        """Every plan of the scenario of that number, part by part."""
        most = self.settings.max_faults
        yield StageBegan(Stage.EVERY_PLAN, f"{scenario.name}: every plan with at most {most} faults")
        setup = Setup(adapter=self.adapter, scenario=scenario)
        yield ScenarioBegan(setup)
        yield StageEnded(Stage.EVERY_PLAN, (yield from self._exhaust(index, setup)))

    def _exhaust(self, index: int, setup: Setup) -> Happened:
        search = PartSearch(setup, self.settings, self._over_in(drawn=False))
        judge = Judge(setup)
        number, parts, shallow = 0, 1, list[Case]()
        while number < parts:
            record = yield from self._part(f"{index}/{number}", partial(search.plans, number), judge, drawn=False)
            number += 1
            if record is None:
                continue
            if number == 1:
                parts += record.parts
                shallow = [case for case, _ in record.cases]
                yield SinglesCounted(self._singles(search, record))
            yield PlansSpared(record.pruned)
            if not record.whole:
                return record.stop
        yield PlansSpared(self._mirrored(setup, [case.plan for case in shallow]))
        if self.settings.max_faults and not (self.share.parts_only or self.watch.ended):
            yield Advised(tuple(advice(setup, shallow[1:], self.settings.kinds or None)))
        return None

    def _singles(self, search: PartSearch, record: Record) -> int:
        """How many plans with one fault extend the plan without any, the first of the record."""
        if not record.cases or not self.settings.max_faults:
            return 0
        plain = record.cases[0][0].run
        return sum(1 for _ in search.enumerator.extensions(plain.sites, plain.impossible))

    def _mirrored(self, setup: Setup, shallow: list[Plan]) -> dict[str, int]:
        """How many plans symmetry spared beside those of this order of submission: those of the others, where no plan
        of the ``shallow`` ones shows a difference. It is not looked for where it takes as long as the search."""
        others = len(every_order(setup.scenario)) - 1 if SYMMETRY.name in self.settings.reductions else 0
        told = self.watch.ended or self.settings.max_faults < 2 or not others or told_by_ids(setup, shallow)
        if told or not shallow:
            return {}
        counted = self.known.scenarios[-1]
        return {SYMMETRY.name: others * (counted.run + sum(counted.pruned.values()))}

    # -- random plans ------------------------------------------------------------------------

    def random_plans(self) -> Iterator[Event]:
        """The random plans, a like number of each scenario."""
        yield StageBegan(Stage.RANDOM_PLANS, "random plans", self.settings.random_plans)
        stop = self.limits.after_parts((yield from self._draw()))
        if (ending := self.limits.ending(stop)) is not None:
            yield ShareEnded(ending)
        yield StageEnded(Stage.RANDOM_PLANS, stop)

    def _draw(self) -> Happened:
        setups = [Setup(adapter=self.adapter, scenario=scenario) for scenario in self.settings.scenarios]
        over = self._over_in(drawn=True)
        searches = [PartSearch(setup, self.settings, over) for setup in setups]
        judges = list(map(Judge, setups))
        place = 0  # how many random plans come before the next part of them, searched here or not
        for name in drawn_parts(self.settings):
            if stop := self.limits.before_part(self.known.drawn, place):
                return stop
            index, start = map(int, name.split("/")[1:])
            room = self.limits.asked - place
            place += drawn_together(self.settings, index, start)
            record = yield from self._part(
                name, partial(searches[index].drawn, start), judges[index], drawn=True, room=room
            )
            if record is not None and not record.whole:
                return record.stop
        return None

    # -- a part ------------------------------------------------------------------------------

    def _part(
        self, name: str, search: Callable[[Record], Iterator[Judged]], judge: Judge, *, drawn: bool, room: int = -1
    ) -> Generator[Event, None, Record | None]:
        """The part of that name: as it was kept, or searched now. None where it is left. Of a random one only the
        first ``room`` cases count."""
        record = self.archive.part(name)
        kept = record is not None
        if record is None:
            if (why := self.share.leave(name)) is not None:
                yield PartLeft(name, why)
                return None
            record = Record()
        before = self.watch.ended
        judged = iter(list(record.cases)) if kept else search(record)
        for number, (case, verdict) in enumerate(judged):
            if drawn and number >= room:
                continue
            new = not case.known and judge.recall(case.run, case.digest, verdict)
            yield CaseJudged(judge.setup, case, verdict, new, drawn)
        if kept:
            self.watch.ended += record.spins
        else:
            record.spins = self.watch.ended - before
        if record.whole:
            yield PartFinished(name, record, kept)
        return record

    def _over_in(self, *, drawn: bool) -> Over:
        return lambda: self.over() or self.limits.before_plan(drawn=drawn)

    # -- each finding made small ---------------------------------------------------------------

    def shrinking(self) -> Iterator[Event]:
        """Each distinct violation that was seen, made small."""
        sightings = worth_telling(self.known.sightings)
        yield StageBegan(Stage.SHRINKING, "shrinking", len(sightings))
        for signature, sighting in sightings:
            if stop := self.over():
                yield StageEnded(Stage.SHRINKING, stop)
                return
            yield self._finding(signature, sighting)
        yield StageEnded(Stage.SHRINKING)

    def _finding(self, signature: Signature, sighting: Sighting) -> FindingShrunk:
        name = finding_record(signature, sighting)
        known = self.archive.finding(name, sighting.hits)
        if known is not None:
            return FindingShrunk(signature, known, name, kept=True)
        if self.watch.ended and signature[0] == "C3":  # each candidate could take seconds
            return FindingShrunk(signature, as_seen(sighting, signature), name)
        explained = not self.watch.ended  # so could each of the runs that it takes
        small = shrunk(sighting, signature, self.settings.seed, explained=explained)
        return FindingShrunk(signature, small, name)
