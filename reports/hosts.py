"""What the hosts of code show beside it: annotations for GitHub Actions, a code-quality report for GitLab."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from ..verdict import INCONCLUSIVE, Finding, Report
from . import facts
from .clean import clean

MAX_ANNOTATIONS: Final = 10
"""GitHub shows ten errors of a step, and drops the rest without a word."""

_WORDS: Final = 600


def render_annotations(report: Report) -> str:
    """Workflow commands, a line each: an error for a finding, a warning where the campaign has no conclusion."""
    place = _at(*_place(report))
    chosen = facts.first_of_each(report.findings)
    chosen += [finding for finding in report.findings if finding not in chosen]
    room = MAX_ANNOTATIONS - 1 if len(chosen) > MAX_ANNOTATIONS else MAX_ANNOTATIONS
    lines = [
        f"::{'notice' if finding.known else 'error'} {_at(*_place(report, finding))}"
        f"title={_property(facts.title(report, finding))}"
        f"::{_data(_said(report, finding))}"
        for finding in chosen[:room]
    ]
    if left := len(chosen) - len(lines):
        lines.append(f"::error {place}title=sagafuzz::{left:,} more findings, in the report")
    if report.verdict == INCONCLUSIVE or not report.complete:
        said = "\n".join([facts.headline(report), *facts.statements(report)])
        lines.append(f"::warning {place}title=sagafuzz::{_data(said)}")
    return "".join(f"{line}\n" for line in lines)


def errors(title: str, said: Sequence[str]) -> list[str]:
    """An error of a workflow for each of these, those that GitHub would drop in one."""
    room = MAX_ANNOTATIONS - 1 if len(said) > MAX_ANNOTATIONS else MAX_ANNOTATIONS
    left = [f"{len(said) - room:,} more"] if len(said) > room else []
    return [f"::error title=sagafuzz%3A {_property(title)}::{_data(line)}" for line in [*said[:room], *left]]


def _place(report: Report, finding: Finding | None = None) -> tuple[str, int]:
    """The file and line of the user's code that a finding points at; else the adapter's, "" where it has none."""
    found = facts.location(finding) if finding is not None else None
    return found or (adapter_file(report), 1)


def _at(file: str, line: int) -> str:
    return f"file={_property(file)},line={line}," if file else ""


def _said(report: Report, finding: Finding) -> str:
    again = facts.replay(report, finding)
    return clean(finding.violation.sentence, _WORDS) + (f" ({again})" if again else "")


def _data(text: str) -> str:
    """A message of a workflow command, as actions/toolkit escapes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def render_code_quality(report: Report) -> str:
    """A JSON array as GitLab reads it: an issue for each finding, at the line that acted, else at the adapter."""
    return json.dumps([_issue(report, finding) for finding in report.findings], indent=2) + "\n"


def _issue(report: Report, finding: Finding) -> dict[str, Any]:
    file, line = _place(report, finding)
    signature = "\0".join((clean(report.adapter, 200), *(clean(part, 200) for part in finding.violation.signature)))
    return {
        "description": f"{facts.title(report, finding)}: {_said(report, finding)}",
        "check_name": clean(finding.violation.invariant, 40),
        "fingerprint": hashlib.blake2b(signature.encode(), digest_size=16).hexdigest(),
        "severity": "info" if finding.known else "critical",
        "location": {"path": file or clean(report.adapter, 200), "lines": {"begin": line}},
    }


def adapter_file(report: Report) -> str:
    """The file that the adapter was named by: of ``file.py:Attr`` the file, of ``package.module:Attr`` the file that
    a module of that name has; "" for a name without a place."""
    place, colon, _ = report.spec.rpartition(":")
    if not colon:
        return ""
    return clean(place if place.endswith(".py") else place.replace(".", "/") + ".py", 200)
