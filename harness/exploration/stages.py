"""The stages of a campaign in the simulator: each yields what happens in it, and ends by saying why it ended.

A stage reads what was counted of the events before, and nothing else of whoever listens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from ..ports import Adapter
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
    PairsRun,
    PartFinished,
    PartLeft,
    PlansSpared,
    RootsKnown,
    ScenarioBegan,
    ShareEnded,
    SinglesCounted,
    Stage,
    StageBegan,
    StageEnded,
)
from .findings import as_seen, shrunk, worth_telling
from .judge import Seen
from .keeping import Archive, finding_record
from .part_search import PartSearch, drawn_parts, drawn_together
from .parts import Record
from .reductions import SYMMETRY
from .reductions.symmetry import every_order, told_by_ids
from .settings import Settings
from .shards import Share
from .spreading import spread
from .statistics import Sighting, Statistics
from .stopping import Limits, Over, Stop, Why

Happened = Generator[Event, None, Stop | None]
"""What happens; returns why it came to no end of its own, None where it did."""


class _Begun:
    """A scenario whose plans are searched: what its `Record` of ``shallow`` cases says of the parts that extend them is
    known once these were run."""

    def __init__(self, index: int, setup: Setup, settings: Settings, over: Over) -> None:
        self.index = index
        self.setup = setup
        self.search = PartSearch(setup, settings, over)
        self.seen = Seen()
        self.extended: tuple[tuple[int, int], ...] = ()
        self.shallow: list[Case] = []

    def part(self, number: int) -> str:
        """The name of that part."""
        return f"{self.index}/{number}"

    def plans(self, number: int) -> int:
        """How many plans with two faults are in that part."""
        return self.extended[number - 1][1]

    def kind(self, number: int) -> tuple[int, str]:
        """The scenario and the kind of the fault that part ``number`` extends."""
        case, _ = self.extended[number - 1]
        return self.index, self.shallow[case].plan.faults[0].kind


def _too_late(stop: Stop | None) -> Stop | None:
    """What ended the plans with at most one fault: of these nothing may be left."""
    return Why.SINGLES_CUT.stop(detail=stop.sentence) if stop is not None and stop.why is Why.OUT_OF_TIME else stop


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
    begun: list[_Begun] = field(default_factory=list)

    # -- every plan --------------------------------------------------------------------------

    def shallow_plans(self) -> Iterator[Event]:
        """The plan without faults of each scenario, and those with one, from which the others come."""
        most = min(1, self.settings.max_faults)
        yield StageBegan(Stage.EVERY_PLAN, f"every plan with at most {most} fault{'s' if most != 1 else ''}")
        yield StageEnded(Stage.EVERY_PLAN, (yield from self._shallow()))

    def _shallow(self) -> Happened:
        for index, scenario in enumerate(self.settings.scenarios):
            setup = Setup(adapter=self.adapter, scenario=scenario)
            begun = _Begun(index, setup, self.settings, self._over_in(drawn=False))
            self.begun.append(begun)
            record = yield from self._plans(begun, 0)
            if record is None:
                continue
            begun.extended = record.extended
            begun.shallow = [case for case, _ in record.cases]
            pairs = sum(plans for _, plans in record.extended)
            yield SinglesCounted(self._singles(begun.search, record), pairs)
            if not record.whole:
                return _too_late(record.stop)
            yield RootsKnown(index, begun.search)
        return None

    def deeper_plans(self) -> Iterator[Event]:
        """The plans with more faults, part by part; scenario by scenario, or spread over them all."""
        most = self.settings.max_faults
        parts, stop = self._deeper_parts()
        pairs = sum(begun.plans(number) for begun, number in parts)
        what = f"plans with {most}" if stop is not None else f"every plan with at most {most}"
        yield StageBegan(Stage.EVERY_PLAN, f"{what} faults", pairs if most == 2 else 0)
        yield StageEnded(Stage.EVERY_PLAN, (yield from self._deeper(parts)) or stop)

    def _deeper_parts(self) -> tuple[list[tuple[_Begun, int]], Stop | None]:
        """The parts to search, in their order, and why these are not all."""
        parts = [(begun, number + 1) for begun in self.begun for number in range(len(begun.extended))]
        if self.limits.spread:
            parts = spread([(begun.kind(number), (begun, number)) for begun, number in parts])
        most = self.limits.pairs
        if most is None:
            return parts, None
        before = accumulate((begun.plans(number) for begun, number in parts), initial=0)
        chosen = [part for part, pairs in zip(parts, before, strict=False) if pairs < most]
        return chosen, Why.PAIRS_AS_ASKED.stop(pairs=most) if len(chosen) < len(parts) else None

    def _deeper(self, parts: list[tuple[_Begun, int]]) -> Happened:
        self.archive.expect(begun.part(number) for begun, number in parts)
        for begun, number in parts:
            record = yield from self._plans(begun, number)
            if record is None:
                continue
            if not record.whole:
                return record.stop
            del record  # before the next part, which may be as large
            yield PairsRun(begun.plans(number))
        for begun in self.begun:
            yield ScenarioBegan(begun.setup)
            yield PlansSpared(self._mirrored(begun))
            if self.settings.max_faults and not (self.share.parts_only or self.watch.ended):
                yield Advised(tuple(advice(begun.setup, begun.shallow[1:], self.settings.kinds or None)))
        return None

    def _plans(self, begun: _Begun, number: int) -> Generator[Event, None, Record | None]:
        """Part ``number`` of a scenario's plans; None where it is left."""
        yield ScenarioBegan(begun.setup)
        record = yield from self._part(begun.part(number), begun.search, number, begun.seen, drawn=False)
        if record is not None:
            yield PlansSpared(record.pruned)
            if record.mistakes:
                yield Advised(record.mistakes)
        return record

    def _singles(self, search: PartSearch, record: Record) -> int:
        """How many plans with one fault extend the plan without any, the first of the record."""
        if not record.cases or not self.settings.max_faults:
            return 0
        plain = record.cases[0][0].run
        return sum(1 for _ in search.enumerator.extensions(plain.sites, plain.impossible))

    def _mirrored(self, begun: _Begun) -> dict[str, int]:
        """How many plans symmetry spared beside those of this order of submission: those of the others, where no plan
        of the shallow ones shows a difference. It is not looked for where it takes as long as the search."""
        shallow = [case.plan for case in begun.shallow]
        others = len(every_order(begun.setup.scenario)) - 1 if SYMMETRY.name in self.settings.reductions else 0
        told = self.watch.ended or self.settings.max_faults < 2 or not others or told_by_ids(begun.setup, shallow)
        if told or not shallow:
            return {}
        counted = self.known.of(begun.setup)
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
        seen = [Seen() for _ in setups]
        place = 0  # how many random plans come before the next part of them, searched here or not
        for name in drawn_parts(self.settings):
            if stop := self.limits.before_part(self.known.drawn, place):
                return stop
            index, start = map(int, name.split("/")[1:])
            room = self.limits.asked - place
            place += drawn_together(self.settings, index, start)
            record = yield from self._part(name, searches[index], start, seen[index], drawn=True, room=room)
            if record is not None and not record.whole:
                return record.stop
            del record
        return None

    # -- a part ------------------------------------------------------------------------------

    def _part(
        self, name: str, search: PartSearch, number: int, seen: Seen, *, drawn: bool, room: int = -1
    ) -> Generator[Event, None, Record | None]:
        """The part of that name: as it was kept, or searched now. None where it is left. Of a random one only the
        first ``room`` cases count."""
        record = self.archive.part(name)
        kept = record is not None
        if record is None:
            if (why := self.share.leave(name)) is not None:
                yield PartLeft(name, why)
                return None
            record = search.record(drawn=drawn)
            if not drawn and number and (stop := self.limits.before_deeper()):
                record.stop = stop
                return record
        before = self.watch.ended
        run = search.drawn if drawn else search.plans
        judged = iter(list(record.cases)) if kept else run(number, record)
        for place, (case, verdict) in enumerate(judged):
            if drawn and place >= room:
                continue
            new = not case.known and seen.is_new(case.run, case.digest)
            yield CaseJudged(search.setup, case, verdict, new, drawn)
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
