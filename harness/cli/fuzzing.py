"""``sagafuzz fuzz``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..commands import command_line
from ..errors import UsageError
from ..exploration.fuzz import Budget
from ..exploration.scenarios import choose_scenarios
from ..exploration.settings import Settings
from ..live.manifest import manifest_of
from .arguments import ADAPTER
from .campaigns import (
    how_of,
    limited_to,
    loaded_as_asked,
    search_and_conclude,
    search_options,
    seconds_in,
    shard_option,
)
from .concluding import baseline_option, known_findings

USUAL_S = 60.0


@click.command(short_help="Search one adapter ever deeper, until a budget ends.")
@click.argument("adapter", type=ADAPTER)
@click.option(
    "--max-time",
    metavar="TIME",
    help="End after this real time: 90s, 10m, 2h.  [default: 60s, or none where another end is given]",
)
@click.option("--max-plans", type=click.IntRange(0), metavar="N", help="End after N random plans.")
@click.option("--until-plateau", is_flag=True, help="End when hardly anything new is seen any more.")
@click.option(
    "-k",
    "--faults",
    type=click.IntRange(0, 6),
    default=1,
    show_default=True,
    metavar="K",
    help="Before them run every plan with at most K faults.",
)
@click.option(
    "--beyond",
    type=click.IntRange(1, 20),
    default=4,
    show_default=True,
    metavar="N",
    help="Random plans have up to K+N faults.",
)
@baseline_option
@shard_option
@search_options
def fuzz(
    adapter: str,
    max_time: str | None,
    max_plans: int | None,
    until_plateau: bool,
    faults: int,
    beyond: int,
    baseline: Path | None,
    shard: str | None,
    report_dir: Path,
    **options: Any,
) -> int:
    """Search ADAPTER with random plans, deeper than `sagafuzz run`, until a budget ends.

    Which plan comes when depends on --seed alone: the clock only says after which one to end, and the report names
    the command that ends there again. --resume goes on after the last plan. Whatever ends it, the reports are
    written; Ctrl-C and SIGTERM mark them incomplete. Exit codes are those of `sagafuzz run`.

    \b
    sagafuzz fuzz seed --max-time 10m
    sagafuzz fuzz shop/adapter.py:ShopCheckout --until-plateau --max-time 2h -j 8
    sagafuzz fuzz shop/adapter.py:ShopCheckout --max-plans 5000 --seed 7
    sagafuzz fuzz shop/adapter.py:ShopCheckout --max-plans 90000 --shard 2/3

    With --shard only the campaign.sqlite is written. --max-plans counts the plans of all shards; time and plateau are
    those of each, and the merged report tells how far they came.
    """
    known = known_findings(baseline)
    seconds = seconds_in(max_time) if max_time is not None else None
    if seconds is None and max_plans is None and not until_plateau:
        seconds = USUAL_S
    budget = Budget(max_seconds=seconds, max_plans=max_plans, until_plateau=until_plateau)
    loaded = loaded_as_asked(adapter, options)
    if manifest_of(loaded) is not None:
        raise UsageError(f"fuzz: {loaded.name!r} runs in real processes, for which there are no random plans; use run")
    names, sagas, kinds, seed = (options[name] for name in ("scenario_names", "sagas", "kinds", "seed"))
    settings = Settings(
        max_faults=faults,
        beyond=beyond,
        endless=True,
        examples=0,
        seed=seed,
        kinds=limited_to(kinds),
        scenarios=choose_scenarios(loaded, names, sagas),
    )
    command = command_line(
        loaded, command="fuzz", faults=faults, beyond=beyond, seed=seed, scenarios=names, sagas=sagas, kinds=kinds
    )
    how = how_of(loaded, options, command=command, shard=shard, budget=budget)
    return search_and_conclude(loaded, settings, report_dir, how, known)
