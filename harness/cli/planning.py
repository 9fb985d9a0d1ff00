"""``sagafuzz run --plan``, which runs one plan and shows it."""

from __future__ import annotations

from contextlib import nullcontext

from ..exploration.one_plan import Tried, try_plan
from ..exploration.quiet import quiet
from ..exploration.settings import Settings
from ..ports import Adapter
from ..reports.clean import clean, wrap
from ..reports.diagram import diagram, to_text
from ..simulator import Setup
from ..simulator.patches import watchdog
from .console import columns, say

EXIT_CODES = {"consistent": 0, "violated": 1, "inconclusive": 3}


def run_plan(adapter: Adapter, settings: Settings, text: str, *, loud: bool) -> int:
    """Run the plan that ``text`` names in the first of the scenarios; say what happened; the exit code."""
    scenario = (settings.scenarios or adapter.scenarios)[0]
    setup = Setup(adapter=adapter, scenario=scenario)
    with watchdog(), nullcontext() if loud else quiet():
        tried = try_plan(setup, text)
    conclusion = tried.verdict.conclusion
    if tried.idle and conclusion == "consistent":
        conclusion = "inconclusive"
    wide = columns()
    where = f"{clean(adapter.name, 60)}, {clean(scenario.name, 40)}"
    say(wrap(f"{conclusion.upper()}: {where}, {tried.plan}", wide, hanging="  "))
    for line in _said(tried):
        say(wrap(line, wide, hanging="    "))
    first = tried.verdict.violations[0] if tried.verdict.violations else None
    say(to_text(diagram(tried.history, first) if first is not None else diagram(tried.history), wide))
    say(wrap(f"exercised: {', '.join(sorted(tried.verdict.exercised))}", wide, hanging="  "))
    say(f"{conclusion.upper()}: {where}")
    return EXIT_CODES[conclusion]


def _said(tried: Tried) -> list[str]:
    """The lines that tell of the run below its headline."""
    verdict = tried.verdict
    lines = [f"  {clean(fault, 160)}: it changed nothing, or never struck" for fault in tried.idle]
    lines += [f"  {found.invariant} {found.anomaly}: {clean(found.sentence, 600)}" for found in verdict.violations]
    if verdict.explained:
        lines.append(
            f"  and as a consequence {', '.join(dict.fromkeys(found.invariant for found in verdict.explained))}"
        )
    lines += [f"  {id} gave up: {clean(why, 300)}" for id, why in verdict.gave_up.items()]
    return lines
