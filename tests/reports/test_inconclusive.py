"""An inconclusive verdict says why, whatever the reason, and where to look, on the first screen of every form."""

from __future__ import annotations

import html
import itertools
import json
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from junitparser import Error, JUnitXml

from sagafuzz import Report
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.exploration.stopping import Why
from sagafuzz.loading import load
from sagafuzz.reports import REPORTS
from sagafuzz.reports.facts import LOOK_AT
from sagafuzz.reports.markdown import escape

SCREEN = 40

REASONS = (
    "scenario succeeds never completes, not even without a fault: look at what the adapter returns for it",
    "no request was sent in scenario declined: look at whether its client uses the port of the world " + "at all " * 40,
    "a reason that nobody has thought of yet, with <b>, | and `x`",
)


def words(text: str) -> str:
    return " ".join(text.split())


def in_text(report: Report) -> str:
    return words("\n".join(REPORTS["text"].render(report).splitlines()[:SCREEN]))


def in_markdown(report: Report) -> str:
    """What stands before the first heading of a section."""
    return words(REPORTS["markdown"].render(report).partition("\n## ")[0])


def in_html(report: Report) -> str:
    """What stands in the header."""
    page = REPORTS["html"].render(report)
    (header,) = re.findall(r"<header.*?</header>", page, re.DOTALL)
    return words(html.unescape(re.sub(r"<[^>]*>", " ", header)))


def in_junit(report: Report) -> str:
    """What the case that errs says."""
    (suite,) = JUnitXml.fromstring(REPORTS["junit"].render(report).encode())
    (error,) = next(case.result for case in suite if case.name == "the campaign came to a conclusion")
    assert isinstance(error, Error)
    return words(error.text)


def in_json(report: Report) -> str:
    data = json.loads(REPORTS["json"].render(report))
    assert data["verdict"] == "inconclusive"
    return words("\n".join([*data["reasons"], data["look_at"]]))


def in_annotations(report: Report) -> str:
    (line,) = [line for line in REPORTS["github"].render(report).splitlines() if line.startswith("::warning ")]
    return words(unquote(line))


FORMS: Mapping[str, Callable[[Report], str]] = {
    "text": in_text,
    "markdown": in_markdown,
    "html": in_html,
    "junit": in_junit,
    "json": in_json,
    "github": in_annotations,
}


def says(name: str, said: str, sentence: str) -> bool:
    return words(escape(sentence) if name == "markdown" else sentence) in said


def test_every_form_that_gives_a_verdict_is_tried() -> None:
    assert set(REPORTS) - set(FORMS) == {"gitlab"}  # it lists findings, and nothing else


@pytest.mark.parametrize("name", FORMS)
def test_whatever_the_reasons_each_is_said_first_with_where_to_look(make: SimpleNamespace, name: str) -> None:
    said = FORMS[name](make.report(verdict="inconclusive", reasons=REASONS))
    for sentence in (*REASONS, LOOK_AT):
        assert says(name, said, sentence), said


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("why", Why)
def test_each_reason_for_which_a_campaign_ends_is_said(make: SimpleNamespace, name: str, why: Why) -> None:
    values = {
        "spins": 3,
        "detail": "one run sent 2 requests, another 3",
        "seconds": 5,
        "faults": 2,
        "plans": 70,
        "pairs": 9,
    }
    sentence = why.stop(**values, chance=0.01, examples=4).sentence
    said = FORMS[name](make.report(verdict="inconclusive", complete=False, reasons=(sentence,)))
    assert says(name, said, sentence), said


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("complete", [True, False])
def test_without_a_reason_it_says_at_least_where_to_look(make: SimpleNamespace, name: str, complete: bool) -> None:
    said = FORMS[name](make.report(verdict="inconclusive", complete=complete))
    assert says(name, said, LOOK_AT), said


@pytest.mark.parametrize("name", FORMS)
def test_a_campaign_that_was_stopped_says_so_everywhere(name: str) -> None:
    asked = itertools.count()
    with quiet():
        report = Campaign(load("reference"), Settings(examples=0), stopped=lambda: next(asked) > 20).run()
    assert report.verdict == "inconclusive"
    said = FORMS[name](report)
    for reason in report.reasons:
        assert says(name, said, reason), said


def test_a_verdict_that_concludes_says_nothing_of_where_to_look(make: SimpleNamespace) -> None:
    for report in (make.report(), make.report(make.finding())):
        assert not any(LOOK_AT in output.render(report) for output in REPORTS.values())
        assert json.loads(REPORTS["json"].render(report))["look_at"] == ""
