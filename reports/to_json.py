"""The report for machines: JSON whose keys stand in a fixed order, the same bytes on every machine."""

from __future__ import annotations

import json
from typing import Any

from ..history import fault_to_json
from ..verdict import (
    REPORT_VERSION,
    Cell,
    Coverage,
    Explanation,
    Finding,
    PairCell,
    PlanCounts,
    Report,
    SiteCell,
    Unseen,
    random_claims,
)
from .clean import clean

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
        "steps": [{"name": name, "operation": operation, "undo": undo} for name, operation, undo in report.steps],
        "verdict": report.verdict,
        "complete": report.complete,
        "reasons": list(report.reasons),
        "nondeterministic": report.nondeterministic,
        "max_faults": report.max_faults,
        "seed": report.seed,
        "digest": report.digest,
        "engine": report.engine,
        "packages": dict(report.packages),
        "plans": _counts(report.counts),
        "scenarios": [
            {
                "name": result.scenario.name,
                "about": result.scenario.about,
                "sagas": result.scenario.sagas,
                "plans": _counts(result.counts),
                "outcomes": dict(sorted(result.outcomes.items())),
            }
            for result in report.scenarios
        ],
        "random": {
            "asked": report.random.asked,
            "run": report.random.run,
            "steps": report.random.steps,
            "violated": report.random.violated,
            "unseen": _unseen(report.random.unseen),
        },
        "random_plans": {
            "asked": report.random_plans.asked,
            "run": report.random_plans.run,
            "fired": report.random_plans.fired,
            "violated": report.random_plans.violated,
            "max_faults": report.random_plans.max_faults,
            "by_faults": list(report.random_plans.by_faults),
            "unseen": _unseen(report.random_plans.unseen),
            "bound": report.random_plans.bound,
        },
        "statements": list(random_claims(report)),
        "invariants": {
            result.id: {
                "name": result.name,
                "status": result.status,
                "checked": result.checked,
                "violated": result.violated,
                "note": result.note,
            }
            for result in report.invariants
        },
        "findings": [_finding(finding) for finding in report.findings],
        "coverage": [_phase_cell(cell) for cell in report.coverage],
        "covered": _covered(report.covered),
        "kinds": list(report.kinds),
        "not_exercised": list(report.not_exercised),
        "discovery": [[point.plans, point.histories, point.violations] for point in report.discovery],
    }


def _phase_cell(cell: Cell) -> dict[str, Any]:
    return {
        "kind": cell.kind,
        "phase": cell.mode,
        "sites": cell.sites,
        "planned": cell.planned,
        "fired": cell.fired,
        "consequential": cell.consequential,
    }


def _unseen(unseen: Unseen) -> dict[str, Any]:
    return {
        "runs": unseen.runs,
        "classes": unseen.classes,
        "singletons": unseen.singletons,
        "next_new": unseen.next_new if unseen.runs else None,
    }


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
        "orders": [
            {
                "scenario": order.scenario,
                "participant": order.participant,
                "first": order.first,
                "second": order.second,
                "seen": order.seen,
                "why": order.why,
            }
            for order in covered.orders
        ],
        "unreachable": [
            {"kind": entry.kind, "where": entry.where, "reason": entry.reason, "sites": entry.sites}
            for entry in covered.unreachable
        ],
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
        "removed": [{"what": entry.what, "then": entry.then} for entry in explanation.removed],
        "passing": explanation.passing,
        "passing_faults": [fault_to_json(fault) for fault in plan.faults] if plan is not None else None,
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
    }


def _counts(counts: PlanCounts) -> dict[str, Any]:
    return {
        "planned": counts.planned,
        "run": counts.run,
        "fired": counts.fired,
        "consequential": counts.consequential,
        "histories": counts.histories,
        "by_faults": list(counts.by_faults),
        **({"pruned": dict(sorted(counts.pruned.items()))} if counts.pruned else {}),
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
        "faults": [fault_to_json(fault) for fault in plan.faults] if plan is not None else [],
        **({"yields": [site._asdict() for site in plan.yields]} if plan is not None and plan.yields else {}),
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
        "replay": finding.replay,
        "known": finding.known,
        "explanation": _explanation(finding.explanation) if finding.explanation is not None else None,
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
