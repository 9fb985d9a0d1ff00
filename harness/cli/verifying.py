"""``sagafuzz verify``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from ..errors import UsageError
from ..exploration.certificate import Verified, from_text
from ..exploration.certificate import verify as run_again
from ..exploration.quiet import quiet
from ..interrupt import interruptible
from ..loading import load
from ..regression import shown
from ..reports.clean import clean, wrap
from ..reports.layout import wrapped
from ..simulator.patches import watchdog
from .arguments import ADAPTER
from .console import columns, say

EXIT_CODES = {"CONFIRMED": 0, "REFUTED": 1, "CANNOT RUN": 3}


@click.command(short_help="Run a part of what a certificate states again.")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option(
    "--sample",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    metavar="N",
    help="Run N random plans of those that it speaks of.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sample.")
@click.option(
    "--adapter", type=ADAPTER, metavar="ADAPTER", help="Verify it for this adapter instead of the one that it names."
)
@click.option("--show-output", is_flag=True, help="Let the code under test print and log.")
def verify(certificate: Path, sample: int, seed: int, adapter: str | None, show_output: bool) -> int:
    """Run a part of what CERTIFICATE (the certificate.json of a report) states again: every plan with one fault,
    which are counted, and a random sample of the others.

    Says CONFIRMED (exit code 0), REFUTED (1) or CANNOT RUN (3), and what differs since it was written.

    \b
    sagafuzz verify sagafuzz-report/certificate.json --sample 1000 --seed 7
    """
    try:
        text = certificate.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"verify: cannot read {str(certificate)!r}: {error}; name the certificate.json of a report"
        ) from None
    recorded = from_text(text, str(certificate))
    loaded = load(adapter or recorded.adapter)
    with interruptible() as interrupt, watchdog(), nullcontext() if show_output else quiet():
        outcome = run_again(recorded, loaded, sample=sample, seed=seed, stopped=interrupt)
    reason = f" ({clean(outcome.reason, 600)})" if outcome.reason and outcome.violation is None else ""
    headline = f"{clean(certificate, 200)} for {clean(loaded.name, 60)}: {outcome.result}{reason}"
    say(wrap(headline, columns(), hanging="  "))
    _show(outcome, seed)
    return interrupt.exit_code if interrupt() else EXIT_CODES[outcome.result]


def _show(outcome: Verified, seed: int) -> None:
    for line in outcome.differences:
        say(wrap(f"differs: {clean(line, 300)}", columns(), indent="  ", hanging="    "))
    say(f"  run: {outcome.singles:,} plans with one fault, {outcome.sampled:,} random plans of seed {seed}")
    for part in shown(outcome, columns()):
        lines = [part, f"plan: {clean(outcome.plan, 300)}"]
        say(part if "\n" in part else wrapped(lines, columns(), indent="  ", hanging="    "))
