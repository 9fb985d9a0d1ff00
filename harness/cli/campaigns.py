"""``sagafuzz run`` and ``sagafuzz compare``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import click

from ..baseline import Judged, concerning, in_words, judge, read
from ..errors import UsageError, nearest
from ..exploration.campaign import Campaign, Settings, choose_scenarios, command_line
from ..exploration.certificate import CERTIFICATE_FILE, certifies
from ..exploration.quiet import nothing_kept, quiet
from ..faults import KIND_GROUPS, chosen_kinds
from ..interrupt import Interrupt, interruptible
from ..live.manifest import manifest_of
from ..loading import load
from ..ports import Adapter
from ..reports import COMPARISONS, REPORTS
from ..reports.clean import clean
from ..verdict import INCONCLUSIVE, VIOLATED, Report
from ..writing import folder_name, make_folder, with_paths, write_file, write_report
from .arguments import ADAPTER
from .console import progress, say, tell_host
from .storing import keep_report, keep_report_in, open_store, parts_of

VERDICTS = ("consistent", "violated", "inconclusive")


def _options(command: Any) -> Any:
    """The options that ``run`` and ``compare`` share."""
    options = (
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
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random parts."),
        click.option(
            "--kinds",
            metavar="KIND,…",
            default="all",
            show_default=True,
            help="Only these kinds of faults, or a group of them: all, basic.",
        ),
        click.option(
            "--scenario",
            "scenario_names",
            multiple=True,
            metavar="NAME",
            help="Only this scenario of the adapter; may be given again.",
        ),
        click.option("--sagas", type=click.IntRange(1, 8), metavar="N", help="Run N sagas at once in each scenario."),
        click.option(
            "--report-dir",
            type=click.Path(path_type=Path, file_okay=False),
            metavar="DIR",
            default=Path("sagafuzz-report"),
            show_default=True,
            help="Where the reports go.",
        ),
        click.option(
            "-j",
            "--jobs",
            type=click.IntRange(1, 256),
            default=1,
            show_default=True,
            metavar="N",
            help="Search in N processes; the result is the same.",
        ),
        click.option("--resume", is_flag=True, help="Go on with the campaign that was interrupted or killed there."),
        click.option("--show-output", is_flag=True, help="Let the code under test print and log."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(short_help="Search one adapter, deterministically: for CI.")
@click.argument("adapter", type=ADAPTER)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Known findings, a TOML file of [[known]] tables with id, reason and expires.",
)
@_options
def run(adapter: str, report_dir: Path, baseline: Path | None, **options: Any) -> int:
    """Search ADAPTER: every plan to K faults, then random examples. Deterministic, for CI.

    ADAPTER is a built-in name (see `sagafuzz adapters`), module:attr, file.py:attr, an entry
    point of the group sagafuzz.adapters, or the manifest.toml of a system of real processes.

    \b
    sagafuzz run reference
    sagafuzz run seed --faults 1 --scenario declined
    sagafuzz run shop/adapter.py:ShopCheckout --random 1000 --seed 7
    sagafuzz run shop/adapter.py:ShopCheckout --baseline known.toml

    The exit code is 0 where it is consistent, 1 violated, 3 inconclusive, 4 not deterministic.
    With --baseline it is 0 where every finding is known, and 1 where one is new, its time is over, or
    an entry is stale: a complete search no longer finds it.
    """
    known = read(baseline, "--baseline") if baseline is not None else ()
    loaded = load(adapter)
    known = concerning(known, loaded.name)
    choose_scenarios(loaded, options["scenario_names"], options["sagas"])
    chosen_kinds(options["kinds"])
    make_folder(report_dir, "--report-dir")
    with interruptible() as interrupt:
        judged = judge(_campaign(loaded, interrupt, report_dir, **options), known, dt.datetime.now(dt.UTC).date())
        report = judged.report
        if baseline is not None:
            keep_report_in(report_dir, report)
        write_report(report, report_dir)
    say(REPORTS["text"].render(with_paths(report, report_dir)))
    say(written(report, report_dir))
    for line in in_words(judged) if baseline is not None else ():
        say(clean(line, 300))
    tell_host([with_paths(report, report_dir)])
    if interrupt():
        return interrupt.exit_code
    return exit_code(report) if baseline is None else _exit_code_with(judged)


def _exit_code_with(judged: Judged) -> int:
    """As without a baseline, but known findings alone are no violation, and a stale entry is one."""
    report = judged.report
    if report.nondeterministic:
        return 4
    if judged.new or judged.stale:
        return 1
    return 3 if report.verdict == INCONCLUSIVE or report.reasons else 0


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
    chosen_kinds(options["kinds"])
    loaded = [load(name) for name in adapters]
    for found in loaded:
        choose_scenarios(found, options["scenario_names"], options["sagas"])
    folders = _folders(loaded, report_dir)
    make_folder(report_dir, "--report-dir")
    reports: list[Report] = []
    with interruptible() as interrupt:
        for adapter, folder in zip(loaded, folders, strict=True):
            reports.append(_campaign(adapter, interrupt, folder, **options))
            write_report(reports[-1], folder)
            if interrupt():
                break
        for output in COMPARISONS.values():
            if output.file:
                write_file(report_dir / output.file, output.render(reports))
    shown = [with_paths(report, folder) for report, folder in zip(reports, folders, strict=False)]
    say(COMPARISONS["text"].render(shown))
    files = ", ".join(str(report_dir / output.file) for output in COMPARISONS.values() if output.file)
    say(f"written: {files}, and a report for each in {report_dir}")
    tell_host(shown)
    if interrupt():
        return interrupt.exit_code
    if expected:
        return _as_expected(reports, expected)
    return max(map(exit_code, reports))


def _campaign(
    adapter: Adapter,
    interrupt: Interrupt,
    folder: Path,
    *,
    faults: int,
    examples: int,
    random_plans: int,
    seed: int,
    kinds: str,
    scenario_names: Sequence[str],
    sagas: int | None,
    jobs: int,
    resume: bool,
    show_output: bool,
) -> Report:
    settings = Settings(
        max_faults=faults,
        examples=examples,
        random_plans=random_plans,
        seed=seed,
        kinds=() if chosen_kinds(kinds) == KIND_GROUPS["all"] else chosen_kinds(kinds),
        scenarios=choose_scenarios(adapter, scenario_names, sagas),
        command=command_line(
            adapter,
            faults=faults,
            random=examples,
            seed=seed,
            scenarios=scenario_names,
            sagas=sagas,
            random_plans=random_plans,
            kinds=kinds,
        ),
    )
    with (
        closing(open_store(folder, adapter, settings, resume=resume)) as store,
        progress(adapter.name) as listener,
        nothing_kept() if examples else nullcontext(),
    ):
        with (
            parts_of(store, adapter, settings, jobs=jobs, stopped=interrupt, loud=show_output) as kept,
            nullcontext() if show_output else quiet(),
        ):
            campaign = _campaign_class(adapter)(
                adapter, settings, listen=listener, stopped=interrupt, kept=kept, keep=store.add
            )
            report = campaign.run()
        keep_report(store, report)
        return report


def written(report: Report, folder: Path) -> str:
    """Which files ``write_report`` wrote."""
    files = [output.file for output in REPORTS.values() if output.file]
    files += [CERTIFICATE_FILE] if certifies(report) else []
    return f"written: {', '.join(str(folder / file) for file in files)}"


def _campaign_class(adapter: Adapter) -> type[Campaign]:
    """Real processes for a manifest, the simulator for everything else."""
    if manifest_of(adapter) is None:
        return Campaign
    from ..exploration.live import LiveCampaign

    return LiveCampaign


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


def exit_code(report: Report) -> int:
    """0 consistent, 1 violated, 3 inconclusive, 4 not deterministic."""
    if report.nondeterministic:
        return 4
    return {VIOLATED: 1, INCONCLUSIVE: 3}.get(report.verdict, 0)


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
        say(f"not as expected: {'; '.join(wrong)}", err=True)
        return 1
    say("as expected: " + ", ".join(f"{report.adapter} {report.verdict}" for report in reports))
    return 0
