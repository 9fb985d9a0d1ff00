"""``sagafuzz replay``."""

from __future__ import annotations

import json
import pprint
import re

import click

from ..errors import UsageError
from ..exploration.replay import Replay, from_text
from ..invariants import INVARIANTS
from ..loading import load
from ..regression import headline, recorded_file, run_again, shown
from ..reports import SCHEDULES
from ..reports.clean import clean, wrap
from .arguments import ADAPTER, FINDING
from .console import columns, say

EXIT_CODES = {"FIXED": 0, "STILL FAILS": 1, "CANNOT RUN": 3, "FLAKY": 4}


@click.command(short_help="Run a recorded schedule again.")
@click.argument("file", metavar="ID|FILE", type=FINDING)
@click.option(
    "--adapter", type=ADAPTER, metavar="ADAPTER", help="Run it on this adapter instead of the one it was found on."
)
@click.option("--as", "form", type=click.Choice(list(SCHEDULES)), help="Print only what happened, in this form.")
@click.option("--emit-test", is_flag=True, help="Print a pytest test that asserts the invariant; run nothing.")
@click.option("--show-output", is_flag=True, help="Let the code under test print and log.")
def replay(file: str, adapter: str | None, form: str | None, emit_test: bool, show_output: bool) -> int:
    """Run a recorded schedule again: FILE, an F-….json of a report, or the finding of that ID in a report here.

    Says FIXED (exit code 0), STILL FAILS (1), CANNOT RUN (3) or FLAKY (4).

    \b
    sagafuzz replay sagafuzz-report/F-wmx2y.json
    sagafuzz replay F-wmx2y --emit-test > test_f_wmx2y.py
    sagafuzz replay F-wmx2y --as chrome-trace > trace.json
    """
    path = recorded_file(file)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"replay: cannot read {str(path)!r}: {error}; name an F-….json of a report") from None
    recorded = from_text(text, str(path))
    if emit_test:
        say(as_test(recorded, text).rstrip("\n"))
        return 0
    loaded = load(adapter or recorded.adapter)
    outcome = run_again(recorded, loaded, show_output=show_output)
    if form is not None and outcome.history is not None:
        say(SCHEDULES[form].render(outcome.history).rstrip("\n"))
        return EXIT_CODES[outcome.result]
    wide = columns()
    say(wrap(headline(recorded, loaded, outcome), wide, hanging="  "))
    for part in shown(outcome, wide) or [f"it was: {clean(recorded.violation.sentence, 600)}"]:
        say(part if "\n" in part else wrap(part, wide, indent="  "))
    return EXIT_CODES[outcome.result]


def as_test(recorded: Replay, text: str) -> str:
    """A Python file with one test, whole in itself: it runs the schedule and asserts the invariant."""
    known = INVARIANTS.get(recorded.signature[0])
    name = re.sub(r"\W", "_", clean(f"{recorded.id} {known.name if known else ''}".lower(), 80).strip())
    about = f"{recorded.id}: {clean(recorded.violation.sentence, 400)}"
    schedule = pprint.pformat(json.loads(text), width=110, sort_dicts=False)
    head = f"{about!r}\n\nimport sagafuzz\n\nSCHEDULE = {schedule}\n"
    return f"{head}\n\ndef test_{name}():\n    sagafuzz.assert_fixed(SCHEDULE)\n"
