"""The processes that search parts of a test's campaign: copies of its own, so that they see what it has patched."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from ..exploration.events import Listener
from ..exploration.keeping import NOTHING_KEPT, Archive
from ..exploration.pool import Later, Pool, Shelf, copies, cores
from ..exploration.scenarios import every_scenario
from ..exploration.settings import Settings
from ..live.manifest import manifest_of
from ..ports import Adapter


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What other processes bring, if ``listeners`` hear of the campaign."""

    archive: Archive = NOTHING_KEPT
    listeners: tuple[Listener, ...] = ()


@contextmanager
def copied(adapter: Adapter, settings: Settings, jobs: int, stopped: Callable[[], bool]) -> Iterator[Copied]:
    """The parts of a campaign that takes long, searched by ``jobs`` processes (0: as many as suit), if there can be
    any."""
    count = jobs or cores()
    if count == 1 or not _can_be_copied(adapter):
        yield Copied()
        return
    settled = replace(settings, scenarios=every_scenario(adapter, settings))
    shelf = Shelf()
    with ExitStack() as started:

        def begin() -> Pool:
            crew = started.enter_context(copies(count, adapter, settled))
            return Pool(settled, crew, kept=shelf.get, keep=shelf.keep, stopped=stopped, complain=lambda text: None)

        parts = Later(shelf.get, begin)
        yield Copied(archive=Archive(parts.get, parts.expect), listeners=(shelf,))


def _can_be_copied(adapter: Adapter) -> bool:
    """True if a copy of this process is whole: no other thread is lost to it, and no connection to a server shared."""
    alone = sys.platform == "linux" and threading.active_count() == 1
    connected = adapter.service is not None and "SAGAFUZZ_POSTGRES" in os.environ
    return alone and not connected and manifest_of(adapter) is None
