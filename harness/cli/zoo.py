"""``sagafuzz zoo``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import click

from .. import __version__
from ..adapters.zoo import ZOO, Mutant
from ..detection import Acquittal, Detection, ZooReport
from ..errors import UsageError, nearest
from ..exploration.detecting import acquit, find_out
from ..exploration.quiet import quiet
from ..interrupt import interruptible
from ..ports import Adapter
from ..reports import ZOOS
from ..reports import zoo as tables
from ..simulator.patches import watchdog
from ..writing import write_file
from .console import columns, say, tell_host

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Measure sagafuzz itself on known bugs.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--json", type=FILE, help="Write the table as JSON.")
@click.option("--markdown", type=FILE, help="Write the table as Markdown.")
@click.option("--html", type=FILE, help="Write the table as an HTML page.")
@click.option("--junit", type=FILE, help="Write a test case for each mutant and each correct system, as JUnit XML.")
def zoo(names: tuple[str, ...], **files: Path | None) -> int:
    """Measure sagafuzz itself: find each bug of the zoo, or those with the given NAMEs, and flag none of the correct
    systems that they differ from in one thing.

    Exit code 0 only when every mutant is found and nothing correct is flagged, else 1. A mutant is an adapter
    too:

    \b
    sagafuzz zoo
    sagafuzz zoo unstable-key --json table.json
    sagafuzz run zoo:unstable-key --faults 1
    """
    mutants = [_named(name) for name in names] or list(ZOO.values())
    with interruptible() as interrupt, watchdog(), quiet():
        detections = [_detect(mutant) for mutant in mutants if not interrupt()]
        acquittals = [_acquit(twin, of) for twin, of in _twins(mutants) if not interrupt()]
    report = ZooReport(
        version=__version__,
        detections=tuple(detections),
        acquittals=tuple(acquittals),
        complete=not interrupt(),
    )
    for form, path in files.items():
        if path is not None:
            write_file(path, ZOOS[form].render(report))
    say(tables.render(report, columns()))
    tell_host([report], ZOOS)
    return interrupt.exit_code if interrupt() else int(not report.passed)


def _named(name: str) -> Mutant:
    if name not in ZOO:
        raise UsageError(f"zoo: there is no mutant {name!r}{nearest(name, ZOO)}; without a name all are measured")
    return ZOO[name]


def _twins(mutants: Iterable[Mutant]) -> list[tuple[Adapter, list[Mutant]]]:
    """Each correct system once, with the mutants that differ from it."""
    found: dict[int, tuple[Adapter, list[Mutant]]] = {}
    for mutant in mutants:
        found.setdefault(id(mutant.twin), (mutant.twin, []))[1].append(mutant)
    return list(found.values())


def _detect(mutant: Mutant) -> Detection:
    search = find_out(mutant.adapter, mutant.invariants, mutant.faults)
    detection = Detection(
        name=mutant.name,
        about=mutant.about,
        source=mutant.source,
        expected=mutant.invariants,
        max_faults=mutant.faults,
        schedules=search.schedules,
        seconds=search.seconds,
        late=mutant.late,
    )
    if search.shrunk is None:
        return detection
    return replace(
        detection,
        found=True,
        invariant=search.shrunk.violation.invariant,
        sentence=search.shrunk.violation.sentence,
        schedule=str(search.shrunk.plan),
        size=len(search.shrunk.plan),
    )


def _acquit(twin: Adapter, mutants: list[Mutant]) -> Acquittal:
    most = max(mutant.faults for mutant in mutants)
    plans, flagged, seconds = acquit(twin, max(most, 1))
    return Acquittal(
        about=twin.about,
        mutants=tuple(mutant.name for mutant in mutants),
        max_faults=max(most, 1),
        plans=plans,
        flagged=flagged,
        seconds=seconds,
    )
