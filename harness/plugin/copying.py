"""The processes that search parts of a test's campaign: copies of its own, so that they see what it has patched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from ..exploration.events import Listener
from ..exploration.keeping import NOTHING_KEPT, Archive
from ..exploration.part_worker import can_be_copied
from ..exploration.pool import Later, Pool, Rooted, Shelf, copies, cores
from ..exploration.scenarios import every_scenario
from ..exploration.settings import Settings
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
    if count == 1 or not can_be_copied(adapter):
        yield Copied()
        return
    settled = replace(settings, scenarios=every_scenario(adapter, settings))
    shelf, roots = Shelf(), Rooted()
    with ExitStack() as started:

        def begin() -> Pool:
            crew = started.enter_context(copies(count, adapter, settled, roots))
            return Pool(settled, crew, kept=shelf.get, keep=shelf.keep, stopped=stopped, complain=lambda text: None)

        parts = Later(shelf.get, begin, after_roots=settings.max_faults > 1)
        yield Copied(archive=Archive(parts.get, parts.expect), listeners=(shelf, roots))
