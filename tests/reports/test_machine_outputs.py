"""Outputs for machines, read as their consumers read them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from google.protobuf.json_format import Parse
from junitparser import Error, Failure, JUnitXml, Skipped
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from sagafuzz import Report
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.reports import REPORTS, SCHEDULES
from sagafuzz.reports.hosts import MAX_ANNOTATIONS

SCHEMA = json.loads(files("sagafuzz.reports").joinpath("schema/report.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def real() -> Report:
    """A campaign that uses every part: plans, random plans, the state machine."""
    settings = Settings(max_faults=1, examples=10, random_plans=10, scenarios=load("seed").scenarios[:3])
    with quiet():
        return Campaign(load("seed"), settings).run()


# -- JSON --------------------------------------------------------------------------------------


def test_report_json_is_what_its_schema_says(make: SimpleNamespace, real: Report, hostile: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    unstarted = make.report(scenarios=(), invariants=(), coverage=())
    noted = make.report(make.finding(notes=("it came again",), known="PAY-12"))
    for report in (noted, make.report(make.finding()), make.report(complete=False), real, hostile, unstarted):
        validator.validate(json.loads(REPORTS["json"].render(report)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.pop("verdict"),
        lambda data: data.update(verdict="fine"),
        lambda data: data.update(version=2),
        lambda data: data.update(surprise=1),
        lambda data: data["plans"].update(run="1"),
        lambda data: data["findings"][0].pop("faults"),
        lambda data: data["invariants"]["I1"].update(status="ok"),
    ],
)
def test_the_schema_refuses_what_is_no_report(make: SimpleNamespace, spoil: Any) -> None:
    data = json.loads(REPORTS["json"].render(make.report(make.finding())))
    spoil(data)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(data)


# -- JUnit -------------------------------------------------------------------------------------


def junit(report: Report) -> dict[str, Any]:
    """The cases of the only suite by name, as junitparser reads them."""
    (suite,) = JUnitXml.fromstring(REPORTS["junit"].render(report).encode())
    return {case.name: case.result for case in suite}


def test_junit_has_a_case_for_each_invariant(make: SimpleNamespace) -> None:
    cases = junit(make.report(make.finding(), make.finding("F-2")))
    (failure,) = cases["I1 at most once"]
    assert isinstance(failure, Failure)
    assert failure.message == make.DOUBLE.sentence
    assert "applied again +100" in failure.text and "F-2" in failure.text
    assert isinstance(cases["I12 write ahead"][0], Skipped)
    assert cases["I13 no zombie"] == []
    assert cases["the campaign came to a conclusion"] == []


def test_junit_is_not_green_where_nothing_can_be_concluded(make: SimpleNamespace) -> None:
    for report in (make.report(complete=False), make.report(verdict="inconclusive", reasons=("never fired",))):
        (error,) = junit(report)["the campaign came to a conclusion"]
        assert isinstance(error, Error)


def test_junit_counts_what_it_holds(real: Report) -> None:
    (suite,) = JUnitXml.fromstring(REPORTS["junit"].render(real).encode())
    violated = sum(result.status == "violated" for result in real.invariants)
    assert (suite.tests, suite.failures) == (len(real.invariants) + 1, violated)


# -- hosts of code -----------------------------------------------------------------------------


def test_an_annotation_stands_at_the_file_of_the_adapter(make: SimpleNamespace) -> None:
    line = REPORTS["github"].render(make.report(make.finding(), spec="shop/adapter.py:Shop"))
    assert line == (
        "::error file=shop/adapter.py,line=1,title=F-3k9q  I1 at most once%3A duplicate effect::payment.charge for "
        "saga-1 took effect 2 times; at most 1 is allowed (sagafuzz replay sagafuzz-report/F-3k9q.json)\n"
    )
    assert (
        REPORTS["github"]
        .render(make.report(make.finding(), spec="shop.adapter:Shop"))
        .startswith("::error file=shop/adapter.py,")
    )
    assert REPORTS["github"].render(make.report(make.finding())).startswith("::error title=")
    assert REPORTS["github"].render(make.report()) == ""
    known = make.finding(known="PAY-12: it waits")
    assert REPORTS["github"].render(make.report(known)).startswith("::notice title=F-3k9q")
    assert json.loads(REPORTS["gitlab"].render(make.report(known)))[0]["severity"] == "info"
    assert isinstance(junit(make.report(known))["I1 at most once"][0], Skipped)
    assert isinstance(junit(make.report(known, make.finding("F-2")))["I1 at most once"][0], Failure)


def test_annotations_are_as_many_as_are_shown_and_count_the_rest(make: SimpleNamespace) -> None:
    found = [make.finding(f"F-{n}") for n in range(30)]
    lines = REPORTS["github"].render(make.report(*found)).splitlines()
    assert len(lines) == MAX_ANNOTATIONS
    assert lines[-1].endswith("::21 more findings, in the report")
    assert REPORTS["github"].render(make.report(complete=False)).startswith("::warning title=sagafuzz::checkout on")


def test_no_name_starts_a_workflow_command(hostile: Report, make: SimpleNamespace) -> None:
    evil = replace(make.DOUBLE, sentence="a\n::set-env name=X::y%0A", anomaly="b,file=/etc::c")
    for report in (hostile, make.report(make.finding(violation=evil))):
        for line in REPORTS["github"].render(report).splitlines():
            assert re.match(r"::(error|warning) (file=[^,:]*,line=1,)?title=[^,:]*::", line)


def test_gitlab_issues_have_what_its_report_needs(make: SimpleNamespace, real: Report, hostile: Report) -> None:
    text = {"type": "string", "minLength": 1}
    lines = {"type": "object", "required": ["begin"], "properties": {"begin": {"type": "integer"}}}
    location = {"type": "object", "required": ["path", "lines"], "properties": {"path": text, "lines": lines}}
    schema = {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["description", "check_name", "fingerprint", "severity", "location"],
            "properties": {
                "description": text,
                "check_name": text,
                "fingerprint": text,
                "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
                "location": location,
            },
        },
    }
    for report in (real, hostile, make.report()):
        issues = json.loads(REPORTS["gitlab"].render(report))
        jsonschema.validate(issues, schema)
        assert len(issues) == len(report.findings)
    prints = [issue["fingerprint"] for issue in json.loads(REPORTS["gitlab"].render(real))]
    assert len(set(prints)) == len(prints)


# -- schedules ---------------------------------------------------------------------------------


def test_otlp_is_what_a_collector_takes(make: SimpleNamespace, real: Report, hostile: Report) -> None:
    histories = [make.lost_ack(), make.crash(), *(f.history for f in (*real.findings, *hostile.findings))]
    for history in histories:
        text = SCHEDULES["otlp"].render(history)
        request = Parse(text, ExportTraceServiceRequest())
        spans = [s for r in request.resource_spans for scope in r.scope_spans for s in scope.spans]
        assert spans
        raw = [s for r in json.loads(text)["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
        ids = {span["spanId"] for span in raw}
        assert len(ids) == len(raw)
        assert {span["parentSpanId"] for span in raw if "parentSpanId" in span} <= ids
        assert all(re.fullmatch("[0-9a-f]{32}", span["traceId"]) for span in raw)
        assert all(int(span["endTimeUnixNano"]) >= int(span["startTimeUnixNano"]) for span in raw)


def test_otlp_tells_a_lost_answer_from_a_second_effect(make: SimpleNamespace) -> None:
    data = json.loads(SCHEDULES["otlp"].render(make.lost_ack()))
    told = {
        (r["resource"]["attributes"][0]["value"]["stringValue"], span["name"], attribute["key"], value)
        for r in data["resourceSpans"]
        for span in r["scopeSpans"][0]["spans"]
        for attribute in span["attributes"]
        for value in attribute["value"].values()
    }
    assert ("orchestrator", "payment.charge", "saga.result", "timeout") in told
    assert ("payment", "payment.charge", "saga.effect", True) in told


def test_a_chrome_trace_is_whole(make: SimpleNamespace, real: Report, hostile: Report) -> None:
    for history in (make.lost_ack(), *(f.history for f in (*real.findings, *hostile.findings))):
        trace = json.loads(SCHEDULES["chrome-trace"].render(history))
        events = trace["traceEvents"]
        threads = {event["tid"] for event in events if event["ph"] == "M"}
        for event in events:
            assert event["tid"] in threads and event["pid"] == 1
            assert event["ph"] == "M" or event["ts"] >= 0
            assert event["ph"] != "X" or event["dur"] >= 1
        for start, end in (("s", "f"), ("b", "e")):
            assert sorted(e["id"] for e in events if e["ph"] == start) == sorted(
                e["id"] for e in events if e["ph"] == end
            )
        assert [e for e in events if e["ph"] == "i" and e["name"].startswith("FAULT")] or not history.fired


def test_mermaid_has_an_arrow_for_each_request(make: SimpleNamespace) -> None:
    text = SCHEDULES["mermaid"].render(make.lost_ack())
    assert text.startswith("sequenceDiagram\n    participant p0 as orchestrator\n    participant p1 as payment\n")
    assert "    p0->>p1: 1 ms: charge\n    Note over p1: applied +100, answer lost\n" in text
    assert "    Note over p1: ⚡ fault lost-ack\n" in text
