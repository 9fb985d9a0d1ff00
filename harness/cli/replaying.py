"""``sagafuzz replay``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from ..errors import UsageError
from ..exploration.quiet import quiet
from ..exploration.replay import Replayed, from_text
from ..exploration.replay import replay as run_again
from ..live.manifest import manifest_of
from ..loading import load
from ..reports.diagram import diagram, to_text
from ..simulator.patches import watchdog
from .console import say

EXIT_CODES = {"FIXED": 0, "STILL FAILS": 1, "CANNOT RUN": 3, "FLAKY": 4}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--adapter", metavar="ADAPTER", help="Run it on this adapter instead of the one it was found on.")
@click.option("--show-output", is_flag=True, help="Let the code under test print and log.")
def replay(file: Path, adapter: str | None, show_output: bool) -> int:
    """Run the schedule in FILE (an F-….json of a report) again.

    Says FIXED (exit code 0), STILL FAILS (1), CANNOT RUN (3) or FLAKY (4).
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"replay: cannot read {str(file)!r}: {error}; name an F-….json of a report") from None
    recorded = from_text(text, str(file))
    loaded = load(adapter or recorded.adapter)
    if manifest_of(loaded) is not None:
        from ..exploration.live import replay as run_live

        outcome = run_live(recorded, loaded)
    else:
        with watchdog(), nullcontext() if show_output else quiet():
            outcome = run_again(recorded, loaded)
    say(f"{recorded.id} on {loaded.name}: {outcome.result}" + (f" ({outcome.reason})" if outcome.reason else ""))
    _show(outcome, recorded.sentence)
    return EXIT_CODES[outcome.result]


def _show(outcome: Replayed, sentence: str) -> None:
    if outcome.violation is not None and outcome.history is not None:
        say(f"  {outcome.violation.invariant}: {outcome.violation.sentence}")
        say(to_text(diagram(outcome.history, outcome.violation)))
    else:
        say(f"  it was: {sentence}")
