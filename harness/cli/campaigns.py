"""``sagafuzz run`` and ``sagafuzz compare``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..commands import command_line
from ..errors import UsageError, nearest
from ..exploration.fuzz import Budget
from ..exploration.reductions import REDUCTIONS, SYMMETRY
from ..exploration.reductions.symmetry import with_every_order
from ..exploration.scenarios import choose_scenarios
from ..exploration.settings import Settings
from ..exploration.shards import parse
from ..faults import chosen_kinds, kind_groups
from ..interrupt import interruptible
from ..live.manifest import manifest_of
from ..loading import load, with_wrong_answers
from ..ports import Adapter
from ..reports import COMPARISONS, REPORTS, comparison, layout
from ..reports.clean import clean, wrap
from ..verdict import Report
from ..writing import folder_name, make_folder, with_paths, write_file, write_report
from .arguments import ADAPTER, report_dir_option
from .concluding import Baseline, baseline_option, conclude, exit_code, judged_today, known_findings
from .console import columns, say, tell_host
from .planning import run_plan
from .searching import How, keep_report_in, search
from .sharding import conclude_shard

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
VERDICTS = ("consistent", "violated", "inconclusive")


def _decorated(command: Any, *options: Any) -> Any:
    for option in reversed(options):
        command = option(command)
    return command


shard_option = click.option(
    "--shard",
    metavar="I/N",
    help="Search only the I-th of N shares of the campaign, for `sagafuzz merge` to put together.",
)


def search_options(command: Any) -> Any:
    """The options of every command that searches."""
    return _decorated(
        command,
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random parts."),
        click.option(
            "--kinds",
            metavar="KIND,…",
            default="all",
            show_default=True,
            help="Only these kinds of faults, or a group of them: all, basic, wrong-answers.",
        ),
        click.option(
            "--wrong-answers",
            is_flag=True,
            help="Search answers that are wrong as well: malformed, empty, another request's, success without effect.",
        ),
        click.option(
            "--scenario",
            "scenario_names",
            multiple=True,
            metavar="NAME",
            help="Only this scenario of the adapter; may be given again.",
        ),
        click.option("--sagas", type=click.IntRange(1, 8), metavar="N", help="Run N sagas at once in each scenario."),
        report_dir_option(),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(1, 256),
            default=None,
            metavar="N",
            help="Search in N processes; the result is the same. Of a live system N cases run at one time.  [default: "
            "the machine's cores, where it takes long; of a live system four for each]",
        ),
        click.option(
            "--cluster",
            metavar="ADDRESS",
            help="Search with the workers of the Dask scheduler at ADDRESS, such as tcp://10.0.0.5:8786; the result "
            "is the same. Needs sagafuzz[cluster].",
        ),
        click.option("--resume", is_flag=True, help="Go on with the campaign that was interrupted or killed there."),
        click.option("--show-output", is_flag=True, help="Let the code under test print and log."),
    )


def _options(command: Any) -> Any:
    """Those that ``run`` and ``compare`` share."""
    return _decorated(
        search_options(command),
        click.option(
            "--without",
            multiple=True,
            type=click.Choice(list(REDUCTIONS)),
            metavar="REDUCTION",
            help=f"Do not spare plans by this reduction; may be given again. One of {', '.join(REDUCTIONS)}.",
        ),
        click.option(
            "-k",
            "--faults",
            type=click.IntRange(0, 6),
            default=2,
            show_default=True,
            metavar="K",
            help="Run every plan with at most K faults.",
        ),
        click.option(
            "--random",
            "examples",
            type=click.IntRange(0),
            default=100,
            show_default=True,
            metavar="N",
            help="Then run N examples of the Hypothesis state machine.",
        ),
        click.option(
            "--random-plans",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            metavar="N",
            help="Before them run N random plans, independent of one another, with up to K+2 faults; of three sagas "
            "and more each with priorities of its own.",
        ),
    )


@click.command(short_help="Search one adapter, deterministically: for CI.")
@click.argument("adapter", type=ADAPTER)
@click.option("--plan", metavar="FAULTS", help="Run this plan alone and show what happens, failing or not.")
@baseline_option
@shard_option
@click.option(
    "--max-time",
    metavar="TIME",
    help="End after this real time, 90s or 10m, wherever the search is; the report says what share was covered.",
)
@click.option(
    "--pairs",
    type=click.IntRange(1),
    metavar="N",
    help="Of the plans with two faults run about N, those of each scenario and kind evenly: deterministic, as all is.",
)
@_options
def run(
    adapter: str, report_dir: Path, plan: str | None, baseline: Path | None, shard: str | None, **options: Any
) -> int:
    """Search ADAPTER: every plan to K faults, then random examples. Deterministic, for CI.

    ADAPTER is a built-in name (see `sagafuzz adapters`), module:attr, file.py:attr, an entry
    point of the group sagafuzz.adapters, or the manifest.toml of a system of real processes.

    \b
    sagafuzz run reference
    sagafuzz run seed --faults 1 --scenario declined
    sagafuzz run shop/adapter.py:ShopCheckout --random 1000 --seed 7
    sagafuzz run shop/adapter.py:ShopCheckout --baseline known.toml
    sagafuzz run shop/adapter.py:ShopCheckout --shard 2/3 --report-dir shard-2
    sagafuzz run seed --plan "lost-ack@payment forward + duplicate@order"

    The exit code is 0 where it is consistent, 1 violated, 3 inconclusive, 4 not deterministic.
    With --baseline it is 0 where every finding is known, and 1 where one is new, its time is over, or
    an entry is stale: a complete search no longer finds it.

    With --pairs, and with --max-time, the plans with more than one fault are run such that those of each scenario and
    kind are covered evenly, part by part until so many were run, or the time is over; what was found is made small all
    the same. It is consistent where every plan with one fault was run and nothing found, and says that it is
    incomplete. --resume goes on with the others.

    With --shard only the campaign.sqlite is written; it is 1 where a violation was seen, and else 0.

    With --plan nothing is written: one plan is run, its history and its verdict are shown. Faults are joined by " + ",
    each as reports name it, or in short as KIND@WORDS: at the first site that has these words.
    """
    loaded = loaded_as_asked(adapter, options)
    settings = _settings(loaded, options)
    if plan is not None:
        return run_plan(loaded, settings, plan, loud=options["show_output"])
    known = known_findings(baseline)
    command, budget = _command(loaded, options), _time_of(loaded, options["max_time"], shard)
    how = how_of(loaded, options, command=command, shard=shard, budget=budget)
    if options["pairs"] is not None:
        how = replace(how, pairs=_pairs_of(loaded, options["pairs"], shard), jobs=how.jobs or 1)
    return search_and_conclude(loaded, settings, report_dir, how, known)


def search_and_conclude(
    adapter: Adapter, settings: Settings, report_dir: Path, how: How, known: Baseline | None
) -> int:
    """Search one adapter, whole or a shard, and say what was found; the exit code. ``known`` is the baseline."""
    if how.shard is not None and known is not None:
        raise UsageError("--baseline: a shard has no findings yet; give it to `sagafuzz merge`")
    make_folder(report_dir, "--report-dir")
    with interruptible() as interrupt:
        report = search(adapter, settings, report_dir, how, interrupt)
        go_on = _going_on() if interrupt() else ""
        if how.shard is not None:
            code = conclude_shard(report, how.shard, report_dir, go_on)
        else:
            judged = judged_today(report, known)
            if judged is not None:
                keep_report_in(report_dir, judged.report)
            code = conclude(report, report_dir, judged, go_on)
    return interrupt.exit_code if interrupt() else code


def _going_on() -> str:
    """The command that goes on with what was interrupted: as it was typed, with --resume."""
    typed = click.get_current_context().find_root().obj
    return shlex.join(["sagafuzz", *typed, *([] if "--resume" in typed else ["--resume"])])


@click.command(short_help="Search several adapters, side by side.")
@click.argument("adapters", nargs=-1, required=True, type=ADAPTER)
@click.option("--expect", metavar="VERDICT,…", help="Exit with 0 exactly if the verdicts are these, in order.")
@_options
def compare(adapters: Sequence[str], expect: str | None, report_dir: Path, **options: Any) -> int:
    """Search several ADAPTERS in the same way and show them side by side.

    \b
    sagafuzz compare seed simple-saga reference
    sagafuzz compare old.py:Shop new.py:Shop --expect violated,consistent

    The exit code is the greatest of what `sagafuzz run` gives for each; with --expect 0 or 1.
    """
    expected = _expectation(expect, adapters)
    loaded = [loaded_as_asked(name, options) for name in adapters]
    campaigns = [
        (found, _settings(found, options), how_of(found, options, command=_command(found, options))) for found in loaded
    ]
    folders = _folders(loaded, report_dir)
    make_folder(report_dir, "--report-dir")
    reports: list[Report] = []
    with interruptible() as interrupt:
        for (adapter, settings, how), folder in zip(campaigns, folders, strict=True):
            reports.append(search(adapter, settings, folder, how, interrupt))
            write_report(reports[-1], folder)
            if interrupt():
                break
        shown = [with_paths(report, folder) for report, folder in zip(reports, folders, strict=False)]
        for output in COMPARISONS.values():
            if output.file:
                write_file(report_dir / output.file, output.render(shown))
    wide = columns()
    say(comparison.render(shown, wide))
    files = ", ".join(str(report_dir / output.file) for output in COMPARISONS.values() if output.file)
    say(wrap(f"written: {files}, and a report for each in {report_dir}", wide, hanging="  "))
    tell_host(shown, REPORTS)
    if interrupt():
        left = [adapter.name for adapter in loaded[len(reports) :]]
        say(wrap(f"not begun: {', '.join(clean(name, 40) for name in left) or 'none'}", wide, hanging="  "))
        say(layout.command(_going_on(), wide, start="go on: "))
        return interrupt.exit_code
    if expected:
        return _as_expected(reports, expected)
    say(wrap(comparison.last_line(reports), wide, hanging="  "))
    return max(map(exit_code, reports))


def loaded_as_asked(name: str, options: Mapping[str, Any]) -> Adapter:
    """The adapter of that name, with wrong answers where the options ask for them."""
    found = load(name)
    return with_wrong_answers(found) if options["wrong_answers"] else found


def _settings(adapter: Adapter, options: Mapping[str, Any]) -> Settings:
    faults, examples, random_plans, seed = (options[name] for name in ("faults", "examples", "random_plans", "seed"))
    kinds, names, sagas, without = (options[name] for name in ("kinds", "scenario_names", "sagas", "without"))
    scenarios = choose_scenarios(adapter, names, sagas)
    return Settings(
        max_faults=faults,
        examples=examples,
        random_plans=random_plans,
        seed=seed,
        kinds=limited_to(kinds),
        scenarios=with_every_order(scenarios) if SYMMETRY.name in without else scenarios,
        reductions=tuple(name for name in REDUCTIONS if name not in without),
    )


def _time_of(adapter: Adapter, max_time: str | None, shard: str | None) -> Budget | None:
    """What --max-time says, if it is given. Raises UsageError where it cannot be kept."""
    if max_time is None:
        return None
    if shard is not None or manifest_of(adapter) is not None:
        what = "a shard" if shard is not None else f"{adapter.name!r}, which runs in real processes,"
        raise UsageError(f"--max-time: {what} is searched to its end; leave it out")
    return Budget(max_seconds=seconds_in(max_time))


def _pairs_of(adapter: Adapter, pairs: int, shard: str | None) -> int:
    """The number of pairs that --pairs gives. Raises UsageError where there is no choice of plans."""
    if shard is not None or manifest_of(adapter) is not None:
        what = "a shard" if shard is not None else f"{adapter.name!r}, which runs in real processes,"
        raise UsageError(f"--pairs: {what} is searched to its end; leave it out, or write --faults 1")
    return pairs


def _command(adapter: Adapter, options: Mapping[str, Any]) -> str:
    """The command that makes the report again."""
    random_plans = options["random_plans"]
    return command_line(
        adapter,
        scenarios=options["scenario_names"],
        sagas=options["sagas"],
        kinds=options["kinds"],
        faults=options["faults"],
        random=options["examples"],
        seed=options["seed"],
        **({"random_plans": random_plans} if random_plans else {}),
        without=options["without"],
        max_time=options.get("max_time"),
        pairs=options.get("pairs"),
    )


def seconds_in(text: str) -> float:
    """From ``90s``, ``10m``, ``2h``, or a number of seconds. Raises UsageError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    seconds = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not seconds:
        raise UsageError(f"--max-time: {text!r} is no time; write a number with s, m or h, such as 90s or 2h")
    return seconds


def limited_to(kinds: str) -> tuple[str, ...]:
    """The fault kinds that --kinds names, none for all."""
    chosen = chosen_kinds(kinds)
    return () if chosen == kind_groups()["all"] else chosen


def how_of(
    adapter: Adapter,
    options: Mapping[str, Any],
    *,
    command: str,
    shard: str | None = None,
    budget: Budget | None = None,
) -> How:
    """How the options say that a campaign is to be carried out. Raises UsageError."""
    how = How(
        command=command,
        jobs=options["jobs"],
        cluster=options["cluster"] or "",
        resume=options["resume"],
        loud=options["show_output"],
        shard=parse(shard) if shard is not None else None,
        budget=budget,
    )
    if how.cluster and (how.jobs or 1) > 1:
        raise UsageError("--jobs and --cluster: the parts are searched here or there; choose one of the two")
    if manifest_of(adapter) is not None and (how.cluster or shard is not None):
        option = "--cluster" if how.cluster else "--shard"
        raise UsageError(f"{option}: {adapter.name!r} runs in real processes, which are those of one machine")
    return how


def _folders(adapters: Sequence[Adapter], report_dir: Path) -> list[Path]:
    """A folder for each, called as it is; a number tells two of one name apart."""
    names: list[str] = []
    for adapter in adapters:
        name = folder_name(adapter.name)
        number = 2
        while name in names:
            name = f"{folder_name(adapter.name)}-{number}"
            number += 1
        names.append(name)
    return [report_dir / name for name in names]


def _expectation(expect: str | None, adapters: Sequence[str]) -> list[str]:
    if expect is None:
        return []
    verdicts = [word.strip() for word in expect.split(",")]
    for verdict in verdicts:
        if verdict not in VERDICTS:
            raise UsageError(
                f"--expect: {verdict!r} is no verdict{nearest(verdict, VERDICTS)}; write {', '.join(VERDICTS)}"
            )
    if len(verdicts) != len(adapters):
        raise UsageError(f"--expect names {len(verdicts)} verdicts for {len(adapters)} adapters; write one for each")
    return verdicts


def _as_expected(reports: Sequence[Report], expected: Sequence[str]) -> int:
    wrong = [
        f"{report.adapter} is {report.verdict}, not {verdict}"
        for report, verdict in zip(reports, expected, strict=True)
        if report.verdict != verdict
    ]
    if wrong:
        say(wrap(f"not as expected: {'; '.join(wrong)}", columns(), hanging="  "), err=True)
        return 1
    say(wrap(f"as expected: {comparison.last_line(reports)}", columns(), hanging="  "))
    return 0
