"""Which campaign searches an adapter."""

from __future__ import annotations

from ..live.manifest import manifest_of
from ..ports import Adapter
from .campaign import Campaign
from .fuzz import Fuzz
from .settings import Settings


def campaign_class(adapter: Adapter, settings: Settings) -> type[Campaign]:
    """Real processes for a manifest, the simulator for everything else."""
    if manifest_of(adapter) is None:
        return Fuzz if settings.endless else Campaign
    from .live import LiveCampaign  # its HTTP server is an extra

    return LiveCampaign
