"""``sagafuzz report``, which makes the reports of what is in the store of a campaign."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click

from ..errors import UsageError
from ..exploration.campaign import Campaign
from ..exploration.certificate import source_digest
from ..exploration.fuzz import Budget, EndOfBudget, EndOfShards, end_of_shards
from ..exploration.keeping import ENDED, Archive
from ..exploration.quiet import quiet
from ..exploration.settings import Settings
from ..exploration.shards import ALL, OnlyDrawnSoFar, Shard, Share, is_drawn
from ..exploration.stopping import Ending
from ..interrupt import interruptible
from ..live.manifest import manifest_of
from ..loading import load
from ..plain import from_plain
from ..ports import Adapter
from ..store import STORE_FILE, Store, find
from ..verdict import Report
from ..writing import make_folder
from .concluding import baseline_option, conclude, judged_today, known_findings
from .searching import REPORT, repeating


@click.command(short_help="Make the reports of a campaign again from its store.")
@click.argument("store", type=click.Path(path_type=Path))
@baseline_option
@click.option(
    "--report-dir",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    allow_from_autoenv=False,  # what is configured for campaigns would be written over
    help="Where the reports go.  [default: the folder of the store]",
)
def report(store: Path, baseline: Path | None, report_dir: Path | None) -> int:
    """Make every report again from STORE, the campaign.sqlite of a campaign or the folder that holds it.

    Nothing is run, but where the campaign was killed before it could report: then its adapter is loaded, and each
    violation that was seen is shown by the plan that it was seen with. With --baseline the findings are judged by it
    anew; exit codes are those of `sagafuzz run`.

    \b
    sagafuzz report sagafuzz-report
    sagafuzz report shared/campaign.sqlite --report-dir copy
    """
    known = known_findings(baseline)
    with closing(existing(store, "report")) as found:
        said = stored_report(found)
        folder = report_dir or found.path.parent
    make_folder(folder, "--report-dir")
    return conclude(said, folder, judged_today(said, known))


def existing(place: Path, command: str) -> Store:
    """The store at ``place``; UsageError where there is none."""
    found = find(place)
    if found is None:
        raise UsageError(f"{command}: {str(place)!r} holds no campaign; name a report folder or its {STORE_FILE}")
    return found


def stored_report(store: Store) -> Report:
    """The report of what is in the store."""
    text = store.get(REPORT) if store.last == REPORT else None
    if text is not None:
        try:
            known: Report = from_plain(Report, json.loads(text))
        except UsageError as error:
            raise UsageError(f"the store {str(store.path)!r} holds a report that is none: {error}") from None
        return known
    adapter, settings = campaign_of(store)
    shard = shard_of(store)
    limits = EndOfBudget(budget=Budget(), faults=settings.max_faults) if settings.endless else None
    ended = end_of([store], settings, alone=True) if shard is not None else None
    campaign = Campaign(
        adapter,
        settings,
        stopped=lambda: True,
        archive=Archive(store.get),
        share=counted(shard or ALL, settings),
        limits=ended or limits,
    )
    with interruptible(), quiet():
        found = campaign.run()
    return with_command(found, store, settings, ended)


def campaign_of(store: Store) -> tuple[Adapter, Settings]:
    """The adapter, loaded, and the settings of a campaign that has not reported. UsageError where the adapter is not
    what it was."""
    campaign = store.campaign
    try:
        settings: Settings = from_plain(Settings, campaign["settings"])
        spec = str(campaign["adapter"])
        source = campaign["source"]
    except (KeyError, UsageError) as error:
        raise UsageError(f"the store {str(store.path)!r} holds no campaign: {error}; run it again") from None
    adapter = load(spec)
    if manifest_of(adapter) is not None:
        raise UsageError(
            f"the campaign in {str(store.path)!r} was killed, and is of real processes; let it go on by: "
            f"{campaign['command']} --report-dir {shlex.quote(str(store.path.parent))} --resume"
        )
    if source != source_digest(adapter):
        raise UsageError(
            f"the campaign in {str(store.path)!r} was not reported yet, and the file of {spec!r} "
            f"has changed since; bring it back as it was, or run the campaign again"
        )
    return adapter, settings


def end_of(
    stores: Sequence[Store], settings: Settings, missing: Sequence[str] = (), *, alone: bool = False
) -> EndOfShards | None:
    """Where the random plans of shards ended, None for a campaign with an end of its own; ``missing`` tells in words
    of each shard that has no store, ``alone`` says that it is one of several that is asked for."""
    if not settings.endless:
        return None
    texts = [(store.get(ENDED) if store.last == ENDED else None) for store in stores]
    cut = [f"shard {shard_of(store)} was cut short" for store, text in zip(stores, texts, strict=True) if not text]
    return end_of_shards(
        [from_plain(Ending, json.loads(text)) for text in texts if text],
        {name for store in stores for name in store.names() if is_drawn(name)},
        len(settings.scenarios),
        [*cut, *missing],
        alone=alone,
    )


def counted(share: Share, settings: Settings) -> Share:
    """What there is of a share to be counted."""
    return OnlyDrawnSoFar(share) if settings.endless and share is not ALL else share


def with_command(report: Report, store: Store, settings: Settings, ended: EndOfShards | None) -> Report:
    """The report of what is in stores such as this one, with the command that makes it again."""
    last = report.random_plans.run if ended is None else ended.last
    return replace(report, command=repeating(str(store.campaign.get("command", "")), settings, last))


def shard_of(store: Store) -> Shard | None:
    """Which shard a store is of, None for a whole campaign."""
    found: Shard | None = from_plain(Shard | None, store.campaign.get("shard"))
    return found
