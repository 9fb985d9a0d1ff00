"""The tables of outputs: what lists them reads these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..detection import ZooReport
from ..history import History
from ..verdict import Report
from . import comparison, hosts, junit, markdown, mermaid, text, to_html, to_json, trace, zoo
from .diagram import diagram, to_text

__all__ = ["COMPARISONS", "REPORTS", "SCHEDULES", "ZOOS", "ComparisonOutput", "Output", "ScheduleOutput", "ZooOutput"]


@dataclass(frozen=True, kw_only=True)
class Output:
    """One form of the report. ``file`` is its name in the report folder, "" for one that is only printed."""

    file: str
    render: Callable[[Report], str]
    title: str


@dataclass(frozen=True, kw_only=True)
class ComparisonOutput:
    """One form of the comparison of several reports."""

    file: str
    render: Callable[[Sequence[Report]], str]
    title: str


@dataclass(frozen=True, kw_only=True)
class ZooOutput:
    """One form of what became of the bug zoo."""

    render: Callable[[ZooReport], str]
    title: str


@dataclass(frozen=True, kw_only=True)
class ScheduleOutput:
    """One form of the history of a single run."""

    render: Callable[[History], str]
    title: str


REPORTS: Final[Mapping[str, Output]] = {
    "text": Output(file="", render=text.render, title="the consistency report for a terminal"),
    "markdown": Output(file="report.md", render=markdown.render, title="the consistency report as Markdown"),
    "html": Output(file="report.html", render=to_html.render, title="the consistency report for a browser"),
    "json": Output(file="report.json", render=to_json.render, title="the report for machines, by its JSON Schema"),
    "junit": Output(file="report.junit.xml", render=junit.render, title="a test case for each invariant, as JUnit XML"),
    "gitlab": Output(
        file="report.codequality.json", render=hosts.render_code_quality, title="a code-quality report for GitLab"
    ),
    "github": Output(file="", render=hosts.render_annotations, title="annotations, printed in GitHub Actions"),
}

SCHEDULES: Final[Mapping[str, ScheduleOutput]] = {
    "text": ScheduleOutput(render=lambda history: f"{to_text(diagram(history))}\n", title="a space-time diagram"),
    "mermaid": ScheduleOutput(render=mermaid.render, title="a Mermaid sequence diagram, for Markdown"),
    "chrome-trace": ScheduleOutput(render=trace.render_chrome, title="a trace for Perfetto and chrome://tracing"),
    "otlp": ScheduleOutput(render=trace.render_otlp, title="OpenTelemetry spans, as OTLP/JSON"),
    "ndjson": ScheduleOutput(render=History.to_ndjson, title="the events, one a line"),
}

COMPARISONS: Final[Mapping[str, ComparisonOutput]] = {
    "text": ComparisonOutput(file="", render=comparison.render, title="systems side by side, for a terminal"),
    "markdown": ComparisonOutput(
        file="comparison.md", render=comparison.render_markdown, title="systems side by side, as Markdown"
    ),
    "json": ComparisonOutput(
        file="comparison.json", render=comparison.render_json, title="systems side by side, for machines"
    ),
    "html": ComparisonOutput(
        file="comparison.html", render=to_html.render_comparison, title="systems side by side, for a browser"
    ),
    "junit": ComparisonOutput(
        file="comparison.junit.xml", render=junit.render_comparison, title="a suite for each system, as JUnit XML"
    ),
}

ZOOS: Final[Mapping[str, ZooOutput]] = {
    "text": ZooOutput(render=zoo.render, title="a row for each mutant, for a terminal"),
    "json": ZooOutput(render=zoo.render_json, title="the table for machines"),
    "markdown": ZooOutput(render=zoo.render_markdown, title="the table as Markdown"),
    "html": ZooOutput(render=zoo.render_html, title="the table for a browser"),
    "junit": ZooOutput(render=zoo.render_junit, title="a test case for each system, as JUnit XML"),
    "github": ZooOutput(render=zoo.render_annotations, title="annotations, printed in GitHub Actions"),
}
