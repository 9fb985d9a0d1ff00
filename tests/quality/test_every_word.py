"""Every word by which sagas and their surroundings are told is known to all that shows, keeps or repeats a finding."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from functools import cache
from importlib.resources import files

import jsonschema
import pytest

from sagafuzz import Finding, History, Report
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.certificate import from_text as certificate_from_text
from sagafuzz.exploration.certificate import to_text as certificate_to_text
from sagafuzz.exploration.certificate import verify
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.replay import from_text, replay, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.exploration.stateful import search
from sagafuzz.invariants import catalogue_of, check
from sagafuzz.reports import REPORTS, SCHEDULES
from sagafuzz.saga import Saga, Step

from .every_word import WORDS, Word

SCHEMA = json.loads(files("sagafuzz.reports").joinpath("schema/report.schema.json").read_text(encoding="utf-8"))
EVERY_WORD = pytest.mark.parametrize("word", WORDS)


@cache
def campaign(word: str) -> Report:
    """What is found in the system that is wrong about a word."""
    told: Word = WORDS[word]
    with quiet():
        return Campaign(told.wrong, Settings(max_faults=told.faults, examples=0)).run()


def finding(word: str) -> Finding:
    """The first finding whose diagram says what is to be shown."""
    shows = WORDS[word].shows
    for found in campaign(word).findings:
        if shows in flat(SCHEDULES["text"].render(found.history)):
            return found
    raise AssertionError(f"no diagram of {len(campaign(word).findings)} says {shows!r}")


def flat(text: str) -> str:
    """``text`` in one line, without what draws lines and pages."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", text))
    return " ".join(re.sub(r"[─▶◀\\|`]+", " ", text).split())


@EVERY_WORD
@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_report_for_people_shows_it(word: str, form: str) -> None:
    assert campaign(word).verdict == "violated"
    assert flat(WORDS[word].shows) in flat(REPORTS[form].render(campaign(word)))


@EVERY_WORD
def test_the_report_for_machines_is_as_its_schema_says_and_shows_it(word: str) -> None:
    data = json.loads(REPORTS["json"].render(campaign(word)))
    jsonschema.Draft202012Validator(SCHEMA).validate(data)
    assert flat(WORDS[word].shows) in flat(" ".join(line for entry in data["findings"] for line in said(entry)))


def said(entry: object) -> list[str]:
    """All strings in a value of JSON."""
    if isinstance(entry, str):
        return [entry]
    inner = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ()
    return [text for each in inner for text in said(each)]


@EVERY_WORD
@pytest.mark.parametrize("form", SCHEDULES)
def test_a_schedule_names_all_who_act(word: str, form: str) -> None:
    history = finding(word).history
    text = SCHEDULES[form].render(history)
    acting = {event.process.partition("#")[0] for event in history.events if event.kind in ("SEND", "APPLY", "PUBLISH")}
    assert len(acting) > 1
    assert not [name for name in acting if name not in text]


@EVERY_WORD
def test_a_history_that_was_written_is_judged_as_before(word: str) -> None:
    history = finding(word).history
    again = History.from_ndjson(history.to_ndjson())
    assert (again.digest, again.saga, again.declared, again.given) == (
        history.digest,
        history.saga,
        history.declared,
        history.given,
    )
    catalogue = catalogue_of(WORDS[word].wrong)
    assert check(again, catalogue=catalogue) == check(history, catalogue=catalogue)


@EVERY_WORD
def test_a_replay_file_still_fails(word: str) -> None:
    recorded = from_text(to_text(finding(word), WORDS[word].spec), "F-x.json")
    with quiet():
        again = replay(recorded, WORDS[word].wrong)
    assert (again.result, again.reason) == ("STILL FAILS", "")


@EVERY_WORD
def test_the_state_machine_flags_nothing_that_is_right(word: str) -> None:
    with quiet():
        failure, steps = search(WORDS[word].right, examples=8, seed=0)
    assert failure is None
    assert steps > 50


@EVERY_WORD
def test_a_certificate_is_confirmed_and_knows_the_definition_again(word: str) -> None:
    right = WORDS[word].right
    with quiet():
        report = Campaign(right, Settings(max_faults=1, examples=0, kinds=("lost-ack", "timeout"))).run()
        assert report.verdict == "consistent", report.reasons
        certificate = certificate_from_text(certificate_to_text(report), "certificate.json")
        found = verify(certificate, right, sample=4, seed=0)
    assert (found.result, found.reason) == ("CONFIRMED", "")
    if right.known.terms or right.known.groups or right.known.children:
        assert certificate.saga.definition == right.known
    if right.saga.terms or right.saga.groups:
        plain = Saga(right.saga.name, [Step(step.name, step.operation, undo=step.undo) for step in right.saga.steps])
        other = verify(certificate, replace(right, saga=plain), sample=1, seed=0)
        assert other.result == "CANNOT RUN" and "say something else now" in other.reason
