"""The store of a campaign, and ``sagafuzz report``, which makes the reports of what is in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..exploration.campaign import Campaign, Settings
from ..exploration.certificate import source_digest, versions
from ..exploration.quiet import quiet
from ..interrupt import interruptible
from ..live.manifest import manifest_of
from ..loading import load
from ..plain import from_plain, to_plain
from ..ports import Adapter
from ..reports import REPORTS
from ..store import STORE_FILE, Store, create, find
from ..verdict import Report
from ..writing import make_folder, with_paths, write_report
from .console import say

REPORT = "report"
"""The name of the record that holds the report, where a campaign came to write one."""


def open_store(folder: Path, adapter: Adapter, settings: Settings, *, resume: bool) -> Store:
    """The store in ``folder`` to go on with, or an empty one. Raises UsageError where ``resume`` cannot be: the store
    is of another campaign, or real processes run."""
    make_folder(folder, "--report-dir")
    campaign = _identity(adapter, settings)
    if not resume:
        return create(folder, campaign)
    if manifest_of(adapter) is not None:
        raise UsageError(f"--resume: {adapter.name!r} runs in real processes, whose runs are not kept; leave it out")
    store = find(folder)
    if store is None:
        say(f"--resume: {folder} holds no campaign yet; this one starts at its beginning", err=True)
        return create(folder, campaign)
    changed = [
        f"{name} was {_short(before)} and is {_short(now)}"
        for name, before, now in _differences(store.campaign, campaign)
        if name != "command"
    ]
    if changed:
        store.close()
        raise UsageError(
            f"--resume: {str(store.path)!r} is of another campaign: {'; '.join(changed)}; "
            f"leave out --resume to start a new one"
        )
    return store


@contextmanager
def parts_of(
    store: Store, adapter: Adapter, settings: Settings, *, jobs: int, stopped: Callable[[], bool], loud: bool
) -> Iterator[Callable[[str], str | None]]:
    """What is kept, by name; with several ``jobs`` also what processes of that number bring meanwhile."""
    if jobs == 1 or manifest_of(adapter) is not None:
        yield store.get
        return
    from ..exploration.pool import Pool, workers

    stderr = sys.stderr  # as it is before the code under test is silenced

    def complain(text: str) -> None:
        stderr.write(f"{text}\n")
        stderr.flush()

    pool = Pool(settings, kept=store.get, keep=store.add, stopped=stopped, complain=complain)
    with workers(jobs, adapter.spec or adapter.name, settings, pool, loud=loud):
        yield pool.get


def keep_report(store: Store, report: Report) -> None:
    store.add(REPORT, json.dumps(to_plain(report)))


def keep_report_in(folder: Path, report: Report) -> None:
    """Keep a report that was judged once more, against a baseline, in the store of ``folder``."""
    store = find(folder)
    if store is not None:
        with closing(store):
            keep_report(store, report)


@click.command(short_help="Make the reports of a campaign again from its store.")
@click.argument("store", type=click.Path(path_type=Path))
@click.option(
    "--report-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    allow_from_autoenv=False,  # what is configured for campaigns would be written over
    help="Where the reports go.  [default: the folder of the store]",
)
def report(store: Path, report_dir: Path | None) -> int:
    """Make every report again from STORE, the campaign.sqlite of a campaign or the folder that holds it.

    Nothing is run, but where the campaign was killed before it could report: then its adapter is loaded, and each
    violation that was seen is shown by the plan that it was seen with. The exit code is the one that the campaign had.

    \b
    sagafuzz report sagafuzz-report
    sagafuzz report shared/campaign.sqlite --report-dir copy
    """
    from .campaigns import exit_code, written

    found = find(store)
    if found is None:
        raise UsageError(f"report: {str(store)!r} holds no campaign; name a report folder or its {STORE_FILE}")
    with closing(found):
        said = stored_report(found)
    folder = report_dir or found.path.parent
    make_folder(folder, "--report-dir")
    write_report(said, folder)
    say(REPORTS["text"].render(with_paths(said, folder)))
    say(written(said, folder))
    return exit_code(said)


def stored_report(store: Store) -> Report:
    """The report of what is in the store."""
    text = store.get(REPORT) if store.last == REPORT else None
    if text is not None:
        known: Report = from_plain(Report, json.loads(text))
        return known
    campaign = store.campaign
    try:
        settings: Settings = from_plain(Settings, campaign["settings"])
        spec = str(campaign["adapter"])
    except KeyError as error:
        raise UsageError(f"the store {str(store.path)!r} lacks {error}; run the campaign again") from None
    adapter = load(spec)
    if manifest_of(adapter) is not None:
        raise UsageError(f"the campaign in {str(store.path)!r} was killed, and runs of real processes are not kept")
    if campaign["source"] != source_digest(adapter):
        raise UsageError(
            f"the campaign in {str(store.path)!r} was killed before it could report, and the file of {spec!r} "
            f"has changed since; bring it back as it was, or run the campaign again"
        )
    with interruptible(), quiet():
        return Campaign(adapter, settings, stopped=lambda: True, kept=store.get).run()


def _identity(adapter: Adapter, settings: Settings) -> dict[str, Any]:
    """All that a campaign's results depend on."""
    return {
        "adapter": adapter.spec or adapter.name,
        "source": source_digest(adapter),
        "versions": versions(),
        "settings": to_plain(replace(settings, scenarios=settings.scenarios or adapter.scenarios)),
    }


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs, by name; inside settings and versions too."""
    found: list[tuple[str, Any, Any]] = []
    for name, other in now.items():
        one = before.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other)
        elif one != other:
            found.append((name, one, other))
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
