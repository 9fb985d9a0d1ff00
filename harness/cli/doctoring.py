"""``sagafuzz doctor``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial

import click

from ..exploration.advice import by_ids, remembered, undurable
from ..exploration.checkup import Checkup, check_up
from ..exploration.choosing import run_campaign
from ..exploration.progress import Teller, counted
from ..exploration.quiet import quiet
from ..exploration.settings import Settings
from ..exploration.vacuity import NOTHING_INJECTED
from ..faults import FAULT_KINDS
from ..live.manifest import Manifest, manifest_of
from ..loading import load
from ..ports import Adapter
from ..reports.clean import clean, wrap
from ..reports.facts import Table
from ..reports.layout import table, wrapped
from ..simulator import Setup
from ..simulator.patches import watchdog
from .arguments import ADAPTER
from .console import columns, progress, say

NOT_DETERMINISTIC, DOUBTFUL = 4, 3
NAME_COLUMNS = 60


@click.command(short_help="Look at an adapter before a campaign.")
@click.argument("adapter", type=ADAPTER)
@click.option("--show-output", is_flag=True, help="Let the code under test print and log.")
def doctor(adapter: str, show_output: bool) -> int:
    """Look at ADAPTER before a campaign: does it load, does it do the same when asked the same, which sites has it,
    what can it suffer, how many plans would a search run, and does it recover from durable state only, as it declares?
    Of a manifest each scenario is run on its real processes, without a fault: does it start, and complete?

    Exit code 0 where all is well, 3 where a declaration does not hold or a coroutine is never awaited, 4 where it is
    not deterministic.

    \b
    sagafuzz doctor path/to/adapter.py:YourAdapter
    """
    loaded = load(adapter)
    if (manifest := manifest_of(loaded)) is not None:
        return _doctor_live(loaded, manifest, loud=show_output)
    with progress(loaded.name) as listen, watchdog(), nullcontext() if show_output else quiet():
        checkups = [check_up(loaded, scenario, partial(counted, listen)) for scenario in loaded.scenarios]
    setup = Setup(adapter=loaded, scenario=loaded.scenarios[0])
    wide = columns()
    about = clean(loaded.about or "no docstring", 200)
    say(wrap(f"{clean(loaded.name, NAME_COLUMNS)}: {about}", wide, hanging="  "))
    say("\n".join(wrap(line, wide, indent="  ", hanging="    ") for line in _shape(setup)))
    say(table(Table(headers=_HEADERS, rows=tuple(map(_row, checkups)), numbers=frozenset({3, 4})), wide))
    say("\n".join(_suffers(loaded, checkups)))
    for line in _by_ids(checkups):
        say(line)
    ill = dict.fromkeys(line for found in checkups for line in _ills(found))
    fit = "\n" + wrap(f"fit: two runs of each plan were equal{_recovery(loaded)}", wide, hanging="  ")
    say("\n".join(ill) if ill else fit)
    if any(found.difference for found in checkups):
        return NOT_DETERMINISTIC
    return DOUBTFUL if ill else 0


def _doctor_live(loaded: Adapter, manifest: Manifest, *, loud: bool) -> int:
    """Run each scenario of a manifest without a fault, and say what came of it; the exit code."""
    with progress(loaded.name) as listen, nullcontext() if loud else quiet():
        report = run_campaign(loaded, Settings(max_faults=0, examples=0), listeners=(Teller(listen, 1),))
    wide = columns()
    steps = ", ".join(clean(step.name, NAME_COLUMNS) for step in loaded.saga.steps)
    lines = [f"{clean(loaded.name, NAME_COLUMNS)}: {clean(manifest.file, 200)}, on real processes"]
    lines.append(f"  saga {clean(loaded.saga.name, NAME_COLUMNS)!r}: {steps}")
    setups = [Setup(adapter=loaded, scenario=scenario) for scenario in loaded.scenarios]
    kinds = [kind for kind in FAULT_KINDS if any(kind in setup.kinds for setup in setups)]
    lines.append(f"  can be struck by {len(kinds)} of {len(FAULT_KINDS)} kinds of faults: {', '.join(kinds)}")
    say(wrapped(lines, wide, hanging="    "))
    rows = tuple(
        (clean(each.scenario.name, NAME_COLUMNS), ", ".join(clean(told, NAME_COLUMNS) for told in each.outcomes))
        for each in report.scenarios
    )
    say(table(Table(headers=_HEADERS[:2], rows=rows), wide))
    ill = [f"{found.violation.invariant} without a fault: {found.violation.sentence}" for found in report.findings]
    ill += [reason for reason in report.reasons if reason != NOTHING_INJECTED]
    said = [clean(line, 600) for line in ill] or ["fit: each scenario ran without a fault, and broke no rule"]
    say("\n" + wrapped(said, wide, hanging="  "))
    return DOUBTFUL if ill else 0


_HEADERS = ("scenario", "without a fault", "sites", "plans with 1 fault", "with 2")


def _shape(setup: Setup) -> list[str]:
    adapter = setup.adapter
    steps = ", ".join(clean(step.name, NAME_COLUMNS) for step in adapter.saga.steps)
    return [
        f"saga {clean(adapter.saga.name, NAME_COLUMNS)!r}: {steps}",
        *(["wrong answers are asked for, and searched with the others"] if adapter.wrong_answers else []),
        "an order is a request to the app, which recovers what it recovers when it starts"
        if adapter.service is not None
        else f"run is {'async' if setup.is_async else 'sync'}; it {'has' if setup.recovers else 'has no'} recover",
    ]


def _row(found: Checkup) -> tuple[str, ...]:
    sites = ", ".join(f"{count} {phase}" for phase, count in sorted(found.sites.items()))
    return (
        clean(found.scenario.name, NAME_COLUMNS),
        clean(found.outcome, NAME_COLUMNS),
        sites,
        f"{found.plans[1]:,}",
        f"{found.plans[2]:,}",
    )


def _suffers(adapter: Adapter, checkups: list[Checkup]) -> Iterator[str]:
    struck = {kind for found in checkups for kind in found.kinds}
    yield f"\nstruck by {len(struck)} of {len(FAULT_KINDS)} kinds of faults; not by:"
    setups = [Setup(adapter=adapter, scenario=found.scenario) for found in checkups]
    spared: dict[str, list[str]] = {}
    for kind in FAULT_KINDS:
        if kind not in struck:
            refused = next((setup.refusal(kind) for setup in setups if kind not in setup.kinds), "")
            spared.setdefault(refused or "no plan with one fault has a site for it", []).append(kind)
    for reason, kinds in spared.items():
        yield wrap(f"{', '.join(kinds)}: {clean(reason, 300)}", columns(), indent="  ", hanging="    ")


def _by_ids(checkups: list[Checkup]) -> Iterator[str]:
    for found in checkups:
        if found.told_by_ids:
            note = f"scenario {clean(found.scenario.name, NAME_COLUMNS)}: {by_ids(clean(found.told_by_ids, 600))}"
            yield "\n" + wrap(note, columns(), hanging="  ")


def _ills(found: Checkup) -> Iterator[str]:
    where = f"\nscenario {clean(found.scenario.name, NAME_COLUMNS)}: "
    if not found.sites:
        yield f"{where}NOTHING TO STRIKE: without a fault it asks no participant and writes to no store"
    elif not found.completes:
        yield (
            f"{where}NEVER COMPLETES: nothing refuses its orders, and without a fault it does not complete; look at "
            f"how the code under test is wired, or write succeeds=False in the Scenario"
        )
    if found.difference:
        first, *causes = found.difference.splitlines()
        yield f"{where}NOT DETERMINISTIC: {clean(first, 600)}"
        yield from (f"  {clean(cause, 600)}" for cause in causes)
    for made in found.never_awaited:
        yield "\n" + clean(made, 600)  # the same in each scenario, as a rule
    for pair in found.undurable:
        yield where + undurable(clean(pair, 600))
    for pair in found.remembered:
        yield where + remembered(clean(pair, 600))


def _recovery(adapter: Adapter) -> str:
    return ", and crashes that leave the same behind are recovered alike" if adapter.durable_recovery else ""
