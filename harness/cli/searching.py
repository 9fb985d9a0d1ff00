"""A campaign as the command line runs it: in one process or with several, with what it finds out kept in a store."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..exploration.certificate import source_digest, versions
from ..exploration.choosing import run_campaign
from ..exploration.events import Listener
from ..exploration.fuzz import Budget, EndOfBudget, end_of_time
from ..exploration.keeping import Archive, Keeper
from ..exploration.progress import EVERY, Teller
from ..exploration.quiet import nothing_kept, quiet
from ..exploration.settings import Settings
from ..exploration.shards import ALL, Shard
from ..exploration.stopping import AsPlanned, Limits
from ..interrupt import Interrupt
from ..live.manifest import manifest_of
from ..live.sources import installed, sources
from ..loading import load
from ..plain import to_plain
from ..ports import Adapter
from ..store import Store, create, find
from ..verdict import Report
from ..writing import make_folder
from .console import Display, progress, say

if TYPE_CHECKING:
    from ..exploration.part_worker import Roots

REPORT = "report"
"""The name of the record that holds the report, where a campaign came to write one."""


@dataclass(frozen=True, kw_only=True)
class How:
    """How a campaign is carried out, with ``jobs`` processes (None: the machine's cores, where it takes long); of all
    this only ``shard``, ``budget`` and ``pairs`` change what is in its report, and
    ``command``, which makes it again (one without an end of its own with the number of its last random plan)."""

    command: str = ""
    jobs: int | None = 1
    cluster: str = ""
    resume: bool = False
    loud: bool = False
    shard: Shard | None = None
    budget: Budget | None = None
    pairs: int | None = None


def search(adapter: Adapter, settings: Settings, folder: Path, how: How, interrupt: Interrupt) -> Report:
    """Run a campaign whose store is in ``folder``. The report is kept there too, but a shard's: `merge` makes it."""
    budget = how.budget or Budget()
    late = budget.clock()
    limits = _limits(settings, how, budget, late)
    live = manifest_of(adapter) is not None
    with (
        closing(open_store(folder, adapter, settings, how)) as store,
        progress(adapter.name) as display,
        nothing_kept() if settings.examples else nullcontext(),
    ):
        with (
            _parts_of(store, adapter, settings, how, lambda: interrupt() or late(), display) as (archive, others),
            nullcontext() if how.loud else quiet(),
        ):
            report = run_campaign(
                adapter,
                settings,
                stopped=interrupt,
                listeners=(Keeper(store.add), Teller(display, 1 if live else EVERY), *others),
                archive=archive,
                share=how.shard or ALL,
                limits=limits,
                cases=how.jobs or 0,
            )
        report = replace(report, command=repeating(how.command, settings, report.random_plans.run))
        if how.shard is None:
            keep_report(store, report)
        return report


def _limits(settings: Settings, how: How, budget: Budget, late: Callable[[], bool]) -> Limits | None:
    """When the campaign is to end, where that is not after its last plan."""
    if settings.endless:
        return EndOfBudget(budget=budget, faults=settings.max_faults, late=late, shard=how.shard is not None)
    if budget.max_seconds is not None:
        return end_of_time(budget.max_seconds, settings.random_plans, how.pairs)
    return AsPlanned(settings.random_plans, how.pairs) if how.pairs is not None else None


def repeating(command: str, settings: Settings, drawn: int) -> str:
    """The command that makes a report again; of a campaign without an end of its own after so many random plans."""
    return f"{command} --max-plans {drawn}" if command and settings.endless else command


def keep_report(store: Store, report: Report) -> None:
    store.add(REPORT, json.dumps(to_plain(report)))


def keep_report_in(folder: Path, report: Report) -> None:
    """Keep a report that was judged once more, against a baseline, in the store of ``folder``."""
    store = find(folder)
    if store is not None:
        with closing(store):
            keep_report(store, report)


# -- the store ---------------------------------------------------------------------------------


def open_store(folder: Path, adapter: Adapter, settings: Settings, how: How) -> Store:
    """The store in ``folder`` to go on with, or an empty one. Raises UsageError where ``how.resume`` cannot be: the
    store is of another campaign."""
    make_folder(folder, "--report-dir")
    campaign = identity(adapter, settings, how.shard, how.command)
    if not how.resume:
        return create(folder, campaign)
    store = find(folder)
    if store is None:
        say(f"--resume: {folder} holds no campaign yet; this one starts at its beginning", err=True)
        return create(folder, campaign)
    changed = differences(store.campaign, campaign)
    if changed:
        store.close()
        raise UsageError(
            f"--resume: {str(store.path)!r} is of another campaign: {changed}; leave out --resume to start a new one"
        )
    return store


def identity(adapter: Adapter, settings: Settings, shard: Shard | None, command: str) -> dict[str, Any]:
    """All that a campaign's results depend on, and the command that makes its report again."""
    return {
        "adapter": adapter.spec or adapter.name,
        **_system(adapter),
        "versions": versions(),
        "settings": to_plain(replace(settings, scenarios=settings.scenarios or adapter.scenarios)),
        "shard": to_plain(shard),
        "command": command,
    }


def _system(adapter: Adapter) -> dict[str, Any]:
    """The data that tells one system under test from another: its files; of real processes also the packages."""
    manifest = manifest_of(adapter)
    if manifest is None:
        return {"source": source_digest(adapter)}
    files = sources(manifest) if manifest.file.is_file() else source_digest(load(manifest.simulated))
    return {"source": files, "packages": dict(installed())}


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """How two identities differ, in words; "" where they are of one campaign."""
    return "; ".join(
        f"{name} was {_short(one)} and is {_short(other)}"
        for name, one, other in _differences(before, now)
        if name != "command"
    )


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """What differs, by name; inside settings and versions too."""
    for name in {**before, **now}:
        one, other = before.get(name), now.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from _differences(one, other)
        elif one != other:
            yield name, one, other


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


# -- several processes -------------------------------------------------------------------------


@contextmanager
def _parts_of(
    store: Store, adapter: Adapter, settings: Settings, how: How, stopped: Callable[[], bool], display: Display
) -> Iterator[tuple[Archive, tuple[Listener, ...]]]:
    """The parts that are kept; also what other processes bring meanwhile, where ``how`` says so, if the listeners hear
    of the campaign."""
    if manifest_of(adapter) is not None:
        yield Archive(store.get), ()
        return
    from ..exploration.pool import Later, Pool, Rooted, cores

    if not how.cluster and (how.jobs or cores()) == 1:
        yield Archive(store.get), ()
        return

    stderr = sys.stderr  # as it is before the code under test is silenced

    def complain(text: str) -> None:
        stderr.write(f"{text}\n")
        stderr.flush()

    share, roots = how.shard or ALL, Rooted()
    with ExitStack() as started:

        def begin() -> Pool:
            with display.paused():
                crew = started.enter_context(_crew(adapter, settings, how, complain, roots))
            return Pool(settings, crew, kept=store.get, keep=store.add, stopped=stopped, complain=complain, share=share)

        with display.paused():
            copied = not how.cluster and _can_be_copied(adapter)
        parts: Later | Pool
        if copied or (how.jobs is None and not how.cluster):
            at_once, after_roots = how.jobs is not None, copied and settings.max_faults > 1
            parts = Later(store.get, begin, at_once=at_once, after_roots=after_roots)
        else:
            parts = begin()
        yield Archive(parts.get, parts.expect), (roots,)


def _crew(
    adapter: Adapter, settings: Settings, how: How, complain: Callable[[str], None], roots: Roots
) -> AbstractContextManager[Any]:
    """Copies of this process, which go on from ``roots``; where it cannot be copied, or the workers of a cluster are
    asked for, others that begin anew."""
    spec = adapter.spec or adapter.name
    if how.cluster:
        from ..exploration.cluster import cluster

        return cluster(how.cluster, spec, settings, source_digest(adapter), complain, loud=how.loud)
    from ..exploration.pool import copies, cores, processes

    count = how.jobs or cores()
    if _can_be_copied(adapter):
        return copies(count, adapter, settings, roots, loud=how.loud)
    return processes(count, spec, settings, loud=how.loud)


def _can_be_copied(adapter: Adapter) -> bool:
    from ..exploration.part_worker import can_be_copied, has_one_thread

    return can_be_copied(adapter) and has_one_thread()
