"""A campaign in the simulator: every plan to k faults, then random plans, each finding made small, random examples.

It is put together of stages that yield what happens (`events`) and of listeners, who know nothing of one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Final

from ..invariants import catalogue_of
from ..ports import Adapter
from ..simulator.patches import watchdog
from ..verdict import Report, Signature
from .events import Event, FindingShrunk, Listener, Stage, StageEnded
from .examples import Examples
from .findings import as_seen, worth_telling
from .keeping import NOTHING_KEPT, Archive
from .parting import NotDeterministic
from .quiet import fewer_collections
from .report_builder import ReportBuilder
from .scenarios import every_scenario
from .settings import Settings
from .shards import ALL, Share
from .stages import Search
from .statistics import Statistics
from .stopping import AsPlanned, Ends, Limits, Why, never, over_by

_SKIPPED: Final[Mapping[Ends | None, tuple[Stage, ...]]] = {
    Ends.SEARCH: (Stage.EVERY_PLAN, Stage.RANDOM_PLANS),
    Ends.PLANS: (Stage.EVERY_PLAN, Stage.RANDOM_PLANS, Stage.STATE_MACHINE),
}
"""The stages that are left out from then on."""


@dataclass(frozen=True)
class Campaign:
    """Searches one adapter. ``stopped`` is asked before each plan.

    What ``archive`` holds is not searched again; ``share`` says which parts are searched at all, ``limits`` when to
    end before the last plan (none: where the settings say), ``listeners`` hear of all that happens."""

    adapter: Adapter
    settings: Settings
    _: KW_ONLY
    stopped: Callable[[], bool] = never
    archive: Archive = NOTHING_KEPT
    share: Share = ALL
    limits: Limits | None = None
    listeners: tuple[Listener, ...] = ()

    @cached_property
    def settled(self) -> Settings:
        """The settings with the scenarios that are searched."""
        return replace(self.settings, scenarios=every_scenario(self.adapter, self.settings))

    def run(self) -> Report:
        """Search to the end, or until stopped."""
        limits = self.limits or AsPlanned(self.settled.random_plans)
        known = Statistics(self.settled, catalogue_of(self.adapter), limits.asked)
        builder = ReportBuilder(self.adapter, self.settled, known, parts_only=self.share.parts_only)
        with fewer_collections(), watchdog(self.settled.spin_s) as watch:
            search = Search(
                adapter=self.adapter,
                settings=self.settled,
                archive=self.archive,
                share=self.share,
                limits=limits,
                over=over_by(self.stopped, watch),
                watch=watch,
                known=known,
            )
            listeners: tuple[Listener, ...] = (known, builder, *self.listeners)
            for event in self._events(search):
                for listen in listeners:
                    listen(event)
        return builder.report()

    def _events(self, search: Search) -> Iterator[Event]:
        """All that happens; in the end each violation that was seen is told, small or as it was seen."""
        told: set[Signature] = set()
        for event in self._searched(search):
            if isinstance(event, FindingShrunk):
                told.add(event.signature)
            yield event
        for signature, sighting in worth_telling(search.known.sightings):
            if signature not in told:
                yield FindingShrunk(signature, as_seen(sighting, signature), whole=False)

    def _searched(self, search: Search) -> Iterator[Event]:
        """Stage by stage, to the last one or to what ends the campaign."""
        ended: Ends | None = None
        for stage, events in self._stages(search):
            if ended in _SKIPPED and stage in _SKIPPED[ended]:
                continue
            try:
                for event in events:
                    yield event
                    if isinstance(event, StageEnded) and event.stop is not None:
                        ended = event.stop.ends
            except NotDeterministic as error:
                yield StageEnded(stage, Why.NOT_DETERMINISTIC.stop(detail=error))
                return
            if ended is Ends.CAMPAIGN:
                return

    def _stages(self, search: Search) -> Iterator[tuple[Stage, Iterator[Event]]]:
        yield Stage.EVERY_PLAN, search.shallow_plans()
        yield Stage.EVERY_PLAN, search.deeper_plans()
        yield Stage.RANDOM_PLANS, search.random_plans()
        if self.share.parts_only:
            return
        yield Stage.SHRINKING, search.shrinking()
        if self.settled.examples:
            yield Stage.STATE_MACHINE, Examples(search).run()
