"""Which campaign searches an adapter."""

from __future__ import annotations

from collections.abc import Callable

from ..live.manifest import manifest_of
from ..ports import Adapter
from ..verdict import Report
from .campaign import Campaign
from .events import Listener
from .keeping import NOTHING_KEPT, Archive
from .settings import Settings
from .shards import ALL, Share
from .stopping import Limits, never


def run_campaign(
    adapter: Adapter,
    settings: Settings,
    *,
    stopped: Callable[[], bool] = never,
    listeners: tuple[Listener, ...] = (),
    archive: Archive = NOTHING_KEPT,
    share: Share = ALL,
    limits: Limits | None = None,
    cases: int = 0,
) -> Report:
    """Search on real processes for a manifest, of which there are no shares, with so many ``cases``
    at one time (0: as many as suit the machine); else in the simulator, until ``limits`` end it where there are any."""
    if manifest_of(adapter) is None:
        return Campaign(
            adapter,
            settings,
            stopped=stopped,
            listeners=listeners,
            archive=archive,
            share=share,
            limits=limits,
        ).run()
    from .live import LiveCampaign  # its HTTP server is an extra

    return LiveCampaign(adapter, settings, stopped=stopped, listeners=listeners, archive=archive, jobs=cases).run()
