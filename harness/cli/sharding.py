"""The shards of one campaign: what each says of itself, and ``sagafuzz merge``, which puts them together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from pathlib import Path
from typing import Any, Final

import click

from ..errors import UsageError
from ..exploration.campaign import Campaign
from ..exploration.certificate import versions
from ..exploration.keeping import ENDED, Archive, Keeper
from ..exploration.progress import Teller
from ..exploration.quiet import nothing_kept, quiet
from ..exploration.shards import Merged, Shard
from ..interrupt import interruptible
from ..reports import layout
from ..reports.clean import clean, plural, wrap
from ..store import CAMPAIGN, STORE_FILE, Store, create
from ..verdict import Report
from ..writing import make_folder
from .arguments import report_dir_option
from .concluding import baseline_option, conclude, judged_today, known_findings
from .console import columns, progress, say
from .searching import REPORT, differences, identity, keep_report
from .storing import campaign_of, counted, end_of, existing, shard_of, with_command

NO_PARTS: Final = (CAMPAIGN, REPORT, ENDED)
"""The names of the records that are no parts of the campaign."""


def conclude_shard(report: Report, shard: Shard, folder: Path, go_on: str) -> int:
    """Say what a shard came to, and ``go_on``, the command that goes on with what is left; the exit code. Its report
    would be read for that of the campaign."""
    plans = report.counts.run + report.random_plans.run
    seen = len(report.findings)
    said = f"{clean(report.saga, 60)} on {clean(report.adapter, 60)}: shard {shard} ran {plural(plans, 'plan')}"
    wide = columns()
    say(wrap(f"{said} and saw {plural(seen, 'distinct violation')}", wide, hanging="  "))
    made = f"`sagafuzz merge` makes the reports of all {shard.of} shards"
    say(wrap(f"written: {folder / STORE_FILE}; {made}", wide, hanging="  "))
    if go_on:
        say(layout.command(go_on, wide, start="go on: "))
    if report.nondeterministic:
        say(f"sagafuzz: the adapter is not deterministic: {report.nondeterministic}", err=True)
        return 4
    return int(bool(seen))


@click.command(short_help="Put the shards of one campaign together.")
@click.argument("stores", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="STORE...")
@baseline_option
@report_dir_option("Where the reports go, and the store of the whole campaign.")
@click.option("--show-output", is_flag=True, help="Let the code under test print and log.")
def merge(stores: Sequence[Path], baseline: Path | None, report_dir: Path, show_output: bool) -> int:
    """Put the shards of one campaign together: each STORE is the campaign.sqlite of one, or the folder that holds it.

    What they searched is counted as one process would have done, the findings are made small, and the state machine
    is run; so the reports are those of one process. Exit codes are those of `sagafuzz run`. A shard that is missing,
    or was cut short, is reported as not exercised: the result is inconclusive at best.

    \b
    sagafuzz run seed --shard 1/2 --report-dir one
    sagafuzz run seed --shard 2/2 --report-dir two
    sagafuzz merge one two
    """
    known = known_findings(baseline)
    with ExitStack() as opened:
        found = [opened.enter_context(closing(existing(place, "merge"))) for place in stores]
        shards = _shards(found)
        if differing := _differing(found):
            say(f"sagafuzz: {differing}", err=True)
            return 4
        make_folder(report_dir, "--report-dir")
        with interruptible() as interrupt:
            report = _merged(found, shards, report_dir, interrupt, loud=show_output)
            code = conclude(report, report_dir, judged_today(report, known))
    return interrupt.exit_code if interrupt() else code


def _shards(stores: Sequence[Store]) -> Mapping[int, Store]:
    """The stores by the number of their shard; UsageError where they are not the shards of one campaign."""
    by_number: dict[int, Store] = {}
    first = stores[0]
    for store in stores:
        shard = shard_of(store)
        if shard is None:
            raise UsageError(
                f"merge: {str(store.path)!r} is no shard but a whole campaign; `sagafuzz report` makes its reports"
            )
        if differ := differences(_campaign(first), _campaign(store)):
            raise UsageError(
                f"merge: {str(first.path)!r} and {str(store.path)!r} are of different campaigns: {differ}; "
                f"name the shards of one"
            )
        other = by_number.setdefault(shard.number, store)
        if other is not store:
            raise UsageError(
                f"merge: {str(other.path)!r} and {str(store.path)!r} are both shard {shard}; leave one of them out"
            )
    return by_number


def _campaign(store: Store) -> dict[str, Any]:
    """What the shards of one campaign have in common."""
    shard = shard_of(store)
    return {**store.campaign, "shard": None, "shards": shard.of if shard is not None else 0}


def _differing(stores: Sequence[Store]) -> str:
    """Which part was searched by several shards with different results, in words; "" for none."""
    seen: dict[str, tuple[Store, str]] = {}
    for store in stores:
        for name in store.names():
            text = store.get(name) or ""
            if name in NO_PARTS:
                continue
            other, before = seen.setdefault(name, (store, text))
            if before != text:
                return (
                    f"merge: part {name} is different in {str(other.path)!r} and {str(store.path)!r}: the adapter is "
                    f"not deterministic; `sagafuzz doctor` names the first event that differs"
                )
    return ""


def _merged(
    stores: Sequence[Store], shards: Mapping[int, Store], folder: Path, stopped: Callable[[], bool], *, loud: bool
) -> Report:
    """The report of the whole campaign, whose store is made in ``folder``."""
    adapter, settings = campaign_of(stores[0])
    if differ := differences({"versions": stores[0].campaign["versions"]}, {"versions": versions()}):
        raise UsageError(f"merge: the shards were searched with other versions: {differ}; merge with those")
    if any(store.path.parent.resolve() == folder.resolve() for store in stores):
        raise UsageError(f"merge: --report-dir {str(folder)!r} holds one of the shards; name another folder")
    of = stores[0].campaign["shard"]["of"]
    command = str(stores[0].campaign.get("command", ""))
    missing = [f"shard {number}/{of} is missing" for number in range(1, of + 1) if number not in shards]
    ended = end_of(stores, settings, missing)
    with (
        closing(create(folder, identity(adapter, settings, None, command))) as store,
        progress(adapter.name) as listener,
        nothing_kept() if settings.examples else nullcontext(),
        nullcontext() if loud else quiet(),
    ):
        for shard in stores:
            for name in shard.names():
                if name not in NO_PARTS and store.get(name) is None:
                    store.add(name, shard.get(name) or "")
        campaign = Campaign(
            adapter,
            settings,
            stopped=stopped,
            archive=Archive(store.get),
            share=counted(Merged(of=of, present=tuple(shards)), settings),
            limits=ended,
            listeners=(Keeper(store.add), Teller(listener)),
        )
        report = with_command(campaign.run(), stores[0], settings, ended)
        keep_report(store, report)
    return report
