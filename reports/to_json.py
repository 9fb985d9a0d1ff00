"""The report for machines: JSON whose keys stand in a fixed order, the same bytes on every machine.

A value that is written as it is, `to_plain` writes; here stands what the report calls or orders otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..plain import to_brief, to_plain
from ..saga import Saga
from ..verdict import (
    REPORT_VERSION,
    Cell,
    Coverage,
    Explanation,
    Finding,
    InvariantResult,
    PairCell,
    PlanCounts,
    RandomPlans,
    Report,
    ScenarioResult,
    SiteCell,
    Unseen,
    random_claims,
)
from . import facts
from .clean import clean
from .diagram import diagram
from .line import Line

STRING_COLUMNS = 1_000


def render(report: Report) -> str:
    """An object, indented by two spaces, ending in a line end. Strings are cleaned and ASCII only."""
    return json.dumps(_inert(to_value(report)), indent=2) + "\n"


def to_value(report: Report) -> dict[str, Any]:
    """The report as plain data. Neither times nor paths of the machine are in it."""
    return {
        "version": REPORT_VERSION,
        "sagafuzz": report.version,
        "adapter": report.adapter,
        "saga": report.saga,
        "steps": [_step(report.definition, *step) for step in report.steps],
        **({"groups": to_plain(report.definition.groups)} if report.definition and report.definition.groups else {}),
        "verdict": report.verdict,
        "complete": report.complete,
        "reasons": facts.why(report),
        "look_at": facts.look_at(report),
        "nondeterministic": report.nondeterministic,
        "max_faults": report.max_faults,
        "seed": report.seed,
        "digest": report.digest,
        "engine": report.engine,
        "packages": dict(report.packages),
        "plans": _counts(report.counts),
        "scenarios": [_scenario(result) for result in report.scenarios],
        "random": {**to_plain(report.random), "unseen": _unseen(report.random.unseen)},
        "pairs": {**to_plain(report.pairs), "share": report.pairs.share},
        "random_plans": _random_plans(report.random_plans),
        "statements": list(random_claims(report)),
        "invariants": {result.id: _invariant(result) for result in report.invariants},
        "findings": [_finding(finding) for finding in report.findings],
        "coverage": [_mode_cell(cell) for cell in report.coverage],
        "covered": _covered(report.covered),
        "kinds": list(report.kinds),
        "not_exercised": list(report.not_exercised),
        **({"advice": list(report.advice)} if report.advice else {}),
        **({"recorded": to_plain(report.recorded)} if report.recorded is not None else {}),
        "discovery": [[point.plans, point.histories, point.violations] for point in report.discovery],
    }


def _step(saga: Saga | None, name: str, operation: str, undo: str) -> dict[str, Any]:
    """A step, with the words of its definition that are not as by default."""
    words = to_brief(saga.by_name[name]) if saga is not None else {}
    if saga is not None and name in saga.children:
        words["child"] = saga.children[name].name
    return {**words, "name": name, "operation": operation, "undo": undo}


def _scenario(result: ScenarioResult) -> dict[str, Any]:
    return {
        "name": result.scenario.name,
        "about": result.scenario.about,
        "sagas": result.scenario.sagas,
        "plans": _counts(result.counts),
        "outcomes": dict(sorted(result.outcomes.items())),
    }


def _random_plans(plans: RandomPlans) -> dict[str, Any]:
    written = {**to_plain(plans), "unseen": _unseen(plans.unseen), "bound": plans.bound}
    del written["ended"]
    return written


def _invariant(result: InvariantResult) -> dict[str, Any]:
    written: dict[str, Any] = to_plain(result)
    for name in ("id", "rule", "harm"):  # the texts of the catalogue are the same in each report
        del written[name]
    return written


def _mode_cell(cell: Cell) -> dict[str, Any]:
    return {"phase" if name == "mode" else name: value for name, value in to_plain(cell).items()}


def _unseen(unseen: Unseen) -> dict[str, Any]:
    return {**to_plain(unseen), "next_new": unseen.next_new if unseen.runs else None}


def _covered(covered: Coverage) -> dict[str, Any]:
    """Cells are written as "planned/fired/consequential": there are thousands."""
    sites: dict[str, dict[str, dict[str, str]]] = {}
    for cell in covered.sites:
        at = sites.setdefault(cell.scenario, {}).setdefault(str(cell.site), {})
        at[f"{cell.kind}, {cell.mode}"] = _cell(cell)
    return {
        "cells": "planned/fired/consequential",
        "sites": sites,
        "kinds": _pairs(covered.kinds),
        "phases": _pairs(covered.modes),
        "orders": to_plain(covered.orders),
        "unreachable": to_plain(covered.unreachable),
    }


def _pairs(cells: tuple[PairCell, ...]) -> dict[str, dict[str, str]]:
    table: dict[str, dict[str, str]] = {}
    for cell in cells:
        table.setdefault(cell.first, {})[cell.second] = _cell(cell)
    return table


def _cell(cell: Cell | SiteCell | PairCell) -> str:
    return f"{cell.planned}/{cell.fired}/{cell.consequential}"


def _explanation(explanation: Explanation) -> dict[str, Any]:
    plan = explanation.passing_plan
    return {
        "removed": to_plain(explanation.removed),
        "passing": explanation.passing,
        "passing_faults": to_brief(plan.faults) if plan is not None else None,
        "shared_events": explanation.shared,
        "parting": explanation.parting,
        "net_effects": [
            {
                "saga": row.saga,
                "expected": dict(zip(explanation.steps, row.expected, strict=False)),
                "found": dict(zip(explanation.steps, row.found, strict=False)),
            }
            for row in explanation.states
        ],
        "cause": explanation.cause,
        "repair": explanation.repair,
        "code": explanation.code,
        "source": explanation.source._asdict() if explanation.source is not None else None,
    }


def _counts(counts: PlanCounts) -> dict[str, Any]:
    written: dict[str, Any] = to_plain(counts)
    pruned, idle = written.pop("pruned"), written.pop("idle")
    return {
        **written,
        **({"idle": idle} if idle else {}),
        **({"pruned": dict(sorted(pruned.items()))} if pruned else {}),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    violation, plan = finding.violation, finding.plan
    return {
        "id": finding.id,
        "invariant": violation.invariant,
        "anomaly": violation.anomaly,
        "sentence": violation.sentence,
        "expected": violation.expected,
        "got": violation.got,
        "saga": violation.saga,
        "step": violation.step,
        "direction": violation.direction,
        "scenario": finding.scenario.name,
        "faults": to_brief(plan.faults) if plan is not None else [],
        **({"yields": to_brief(plan.yields)} if plan is not None and plan.yields else {}),
        "actions": [[name, number] for name, number in finding.actions],
        "shown": list(finding.shown),
        "seed": finding.seed,
        "events": len(finding.history.rows),
        "first_events": finding.first_events,
        "first_faults": finding.first_faults,
        "necessary": finding.necessary,
        "hits": finding.hits,
        "explains": list(finding.explains),
        **({"notes": list(finding.notes)} if finding.notes else {}),
        "replay": Path(finding.replay).name,  # beside this file
        "known": finding.known,
        "schedule": [_line(line) for line in diagram(finding.history, violation).lines],
        "explanation": _explanation(finding.explanation) if finding.explanation is not None else None,
    }


def _line(line: Line) -> dict[str, Any]:
    """A line of the diagram, as text and picture show it."""
    return {
        "t_us": line.t_us,
        "kind": line.kind,
        "text": line.text,
        "to": line.target,
        "there": line.fate,
        "faults": [mark.text for mark in line.marks if mark.kind == "fault"],
        "violation": any(mark.kind == "violation" for mark in line.marks),
    }


def _inert(value: Any) -> Any:
    """``value`` with every string cleaned, keys too."""
    if isinstance(value, str):
        return clean(value, STRING_COLUMNS)
    if isinstance(value, dict):
        return {clean(key, STRING_COLUMNS): _inert(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_inert(item) for item in value]
    return value
