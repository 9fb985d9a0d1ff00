"""Two reports of one system, an older and a newer: what is new, what is fixed, and what is no longer tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..errors import UsageError
from ..verdict import GAVE_UP, NOT_EXERCISED, REPORT_VERSION
from .clean import COLUMNS, clean, plural
from .layout import wrapped

MAX_LISTED: Final = 50
_SENTENCE: Final = 160
_SIGNATURE: Final = ("invariant", "anomaly", "step", "direction")
"""By which a finding is known again."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a report.json says of one finding."""

    id: str
    invariant: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Difference:
    """``fixed`` are findings that the newer report no longer has; where ``lost`` is not empty, or the newer campaign
    was incomplete, they may only not have been looked for. ``lost`` says in words what is covered no more."""

    old: str
    new: str
    added: tuple[Known, ...]
    fixed: tuple[Known, ...]
    same: tuple[Known, ...]
    lost: tuple[str, ...]
    complete: bool


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Difference:
    """Of two values read from report.json. Findings are the same where invariant, anomaly, step and direction are, also
    of two adapters, by which their ids differ. UsageError where a value is no report."""
    try:
        before, after = _findings(old), _findings(new)
        return Difference(
            old=_name(old),
            new=_name(new),
            added=tuple(after[key] for key in after if key not in before),
            fixed=tuple(before[key] for key in before if key not in after),
            same=tuple(after[key] for key in after if key in before),
            lost=tuple(_lost(old, new)),
            complete=bool(new["complete"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UsageError(f"diff: a report lacks or misspells {error}; write it again with this sagafuzz") from None


def check_version(data: Any, name: str) -> Mapping[str, Any]:
    """``data`` where it is a report of the version that is read here; UsageError otherwise."""
    if not isinstance(data, dict) or "verdict" not in data or "version" not in data:
        raise UsageError(f"diff: {name!r} is no report; name a report.json, or the folder that holds one")
    if data["version"] != REPORT_VERSION:
        raise UsageError(
            f"diff: {name!r} has version {data['version']!r}, this sagafuzz reads {REPORT_VERSION}; "
            f"make both reports with one version"
        )
    return data


def _name(report: Mapping[str, Any]) -> str:
    return f"{clean(report['saga'], 40)} on {clean(report['adapter'], 40)}, sagafuzz {clean(report['sagafuzz'], 24)}"


def _findings(report: Mapping[str, Any]) -> dict[tuple[str, ...], Known]:
    return {
        tuple(str(entry[part]) for part in _SIGNATURE): Known(
            id=clean(entry["id"], 24),
            invariant=clean(entry["invariant"], 12),
            sentence=clean(entry["sentence"], _SENTENCE),
        )
        for entry in report["findings"]
    }


def _lost(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What the older campaign tried and the newer did not, the largest first."""
    if old["adapter"] != new["adapter"]:
        yield f"another adapter: {clean(new['adapter'], 40)}, it was {clean(old['adapter'], 40)}"
    if new["max_faults"] < old["max_faults"]:
        yield f"plans with at most {plural(new['max_faults'], 'fault')}, it was {old['max_faults']}"
    names = {entry["name"] for entry in new["scenarios"]}
    for scenario in old["scenarios"]:
        if scenario["name"] not in names:
            yield f"scenario {clean(scenario['name'], 40)}: not run"
    for id, result in old["invariants"].items():
        status = new["invariants"].get(id, {}).get("status", NOT_EXERCISED)
        if status in (NOT_EXERCISED, GAVE_UP) and result["status"] not in (NOT_EXERCISED, GAVE_UP):
            yield f"{clean(id, 12)} {clean(result['name'], 32)}: {status}, it was exercised"
    fired = {(cell["kind"], cell["phase"]) for cell in new["coverage"] if cell["fired"]}
    for cell in old["coverage"]:
        if cell["fired"] and (cell["kind"], cell["phase"]) not in fired:
            yield f"{clean(cell['kind'], 40)} in {clean(cell['phase'], 20)}: none fired, {cell['fired']:,} did"
    for part, noun in (("random", "examples of the state machine"), ("random_plans", "random plans")):
        if new[part]["run"] < old[part]["run"]:
            yield f"{noun}: {new[part]['run']:,}, it was {old[part]['run']:,}"


def render(found: Difference, columns: int = COLUMNS) -> str:
    """The difference for a terminal of ``columns``: a section for each part, the new ones first."""
    lines = [f"old: {found.old}", f"new: {found.new}"]
    for heading, group in (("new", found.added), ("fixed", found.fixed), ("same", found.same)):
        lines += ["", f"{heading}: {plural(len(group), 'finding')}"]
        lines += [f"  {known.id}  {known.invariant}: {known.sentence}" for known in group[:MAX_LISTED]]
        if len(group) > MAX_LISTED:
            lines.append(f"  … and {len(group) - MAX_LISTED:,} more")
    lines += ["", f"lost coverage: {len(found.lost) or 'none'}"]
    lines += [f"  {line}" for line in found.lost[:MAX_LISTED]]
    if len(found.lost) > MAX_LISTED:
        lines.append(f"  … and {len(found.lost) - MAX_LISTED:,} more")
    if not found.complete:
        lines.append("  the newer campaign was incomplete")
    if found.fixed and (found.lost or not found.complete):
        lines.append("  so what counts as fixed may only not have been looked for")
    return wrapped(lines, columns, hanging="    ") + "\n"
