"""What cannot be read is told by its line, with what to write."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sagafuzz import UsageError
from sagafuzz.loading import load
from sagafuzz.recorded import Sources, check_record
from sagafuzz.recorded.ledger import COLUMNS
from sagafuzz.recorded.spans import ATTRIBUTES

from .conftest import Record, history, spans

PAGE = Path(__file__).parents[2] / "docs" / "check.md"


def test_the_page_lists_what_is_read() -> None:
    rows = dict(re.findall(r"(?m)^\| `([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8")))
    assert rows == {**ATTRIBUTES, **COLUMNS}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("not json", "record-0.jsonl line 2: it is not JSON"),
        ("[1]", "record-0.jsonl line 2: it is list, not an object"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_nothing_is_consistent(judge: Record, line: str, expected: str) -> None:
    report = judge(spans(history("reference")) + line + "\n", saga="reference")
    assert report.verdict == "inconclusive"
    assert report.reasons[0].startswith(expected)


@pytest.mark.parametrize(
    ("said", "instead", "expected"),
    [
        ('"payment"', '"paymnt"', "did you mean 'payment'?"),
        ('"completed"', '"done"', "write completed, compensated, pending, stuck"),
        ('"forward"', '"back"', "write forward or compensation"),
    ],
)
def test_a_word_that_is_none_is_told_with_what_to_write(judge: Record, said: str, instead: str, expected: str) -> None:
    text = spans(history("reference")).replace('{"stringValue":' + said, '{"stringValue":' + instead)
    report = judge(text, saga="reference")
    assert report.verdict == "inconclusive"
    assert expected in report.reasons[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("saga,step\n1,order\n", "has no column 'time'"),
        ("saga,time\n1,2\n", "has no column 'step'"),
        ("hello\n", "is no record"),
        ("", "is empty"),
    ],
)
def test_a_file_that_is_no_record_is_refused(judge: Record, tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(expected)):
        judge(file)


def test_a_row_that_cannot_be_read_is_told_by_its_line(judge: Record, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("saga,time,step\n1,2026-11-27T10:00:00Z,order\n1,yesterday,payment\n")
    report = judge(file)
    assert report.reasons == ("rows.csv line 3: its time is 'yesterday'; write ISO 8601, or seconds since 1970",)


def test_whose_saga_it_is_must_be_said(judge: Record) -> None:
    with pytest.raises(UsageError, match="--saga ADAPTER"):
        judge(spans(history("reference")), saga=None)


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("order_id,at,operation\n1,1,order.create\n1,2,payment.charge\n1,3,payment.charge\n")
    sources = Sources(files=(str(file),), columns={"saga": "order_id", "time": "at"})
    report = check_record(sources, load("seed"))
    assert [finding.violation.step for finding in report.findings] == ["payment"]


def test_spans_without_a_saga_tell_nothing(judge: Record) -> None:
    report = judge('{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"GET /"}]}]}]}\n')
    assert report.verdict == "inconclusive"
    assert "the record tells of no saga" in report.reasons[0]


def test_a_document_over_many_lines_is_read_as_one(judge: Record) -> None:
    text = json.dumps(json.loads(spans(history("reference"))), indent=2)
    assert judge(text, saga="reference").verdict == "consistent"
