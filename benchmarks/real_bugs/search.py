"""Searches one system, in the interpreter of its environment, until a bug is found or the time is over.

Reads what to search as a JSON object from standard input, and writes what came of it as one to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from sagafuzz.exploration.events import CaseJudged, Event
from sagafuzz.exploration.live import LiveCampaign, replay
from sagafuzz.exploration.replay import from_text, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.reports import facts
from sagafuzz.verdict import Report
from sagafuzz.writing import write_report


class Watching:
    """Counts the plans of a campaign, and ends it when the invariant is violated, or the time is over."""

    def __init__(self, invariant: str, until: float) -> None:
        self.invariant = invariant
        self.until = until
        self.plans = 0
        self.found = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, CaseJudged) and not self.found:
            self.plans += 1
            self.found = any(each.invariant == self.invariant for each in event.verdict.violations)

    def over(self) -> bool:
        return self.found or time.monotonic() > self.until


def searched(asked: dict[str, Any]) -> dict[str, Any]:
    """What came of it: the ``plans`` that were run, in how many ``seconds``, whether the violation was ``seen`` and how
    often it came ``again``, in words (None: never), whether the search was ``complete`` or ``timed_out``, and else why
    it ended."""
    adapter = load(asked["manifest"])
    scenarios = tuple(adapter.scenario(name) for name in asked["scenarios"])
    settings = Settings(max_faults=asked["faults"], kinds=tuple(asked["kinds"]), scenarios=scenarios)
    began, plans = time.monotonic(), 0
    until = began + asked["budget_s"]
    while True:
        watching = Watching(asked["invariant"], until)
        report = LiveCampaign(adapter, settings, stopped=watching.over, listeners=(watching,)).run()
        plans += watching.plans
        seconds = time.monotonic() - began
        again = confirmed(report, asked["invariant"]) if watching.found else None
        if again is not None or not watching.found or time.monotonic() > until:
            break
    write_report(report, Path(asked["folder"]))
    return {
        "engine": report.engine,
        "plans": plans,
        "seconds": round(seconds),
        "again": again,
        "complete": report.complete,
        "seen": watching.found,
        "timed_out": time.monotonic() > until,
        "reason": " ".join(facts.why(report)),
    }


def confirmed(report: Report, invariant: str) -> str | None:
    """In how many of how many runs its schedule shows the violation again; None where in none."""
    adapter = load(report.spec)
    for finding in report.findings:
        if finding.violation.invariant == invariant:
            result = replay(from_text(to_text(finding, report.spec), finding.id), adapter)
            if result.violation is not None:
                return result.reason
    return None


if __name__ == "__main__":
    said = sys.stdout
    sys.stdout = sys.stderr
    said.write(json.dumps(searched(json.load(sys.stdin))) + "\n")
