"""What was written before a step had parts, amounts and groups is read as ever: the files in ``old`` are from then."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from sagafuzz import History
from sagafuzz.cli.main import main
from sagafuzz.exploration import certificate
from sagafuzz.exploration.replay import from_text, replay
from sagafuzz.invariants import check
from sagafuzz.loading import load

OLD = Path(__file__).with_name("old")


def text(name: str) -> str:
    return (OLD / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["plan.json", "machine.json"])
def test_a_replay_file_fails_as_it_did(name: str) -> None:
    recorded = from_text(text(name), name)
    found = replay(recorded, load("seed"))
    assert found.result == "STILL FAILS"
    assert found.violation is not None
    assert found.violation.invariant == recorded.violation.invariant


def test_a_history_is_judged_and_written_as_it_was() -> None:
    history = History.from_ndjson(text("plan.ndjson"))
    assert history.to_ndjson() == text("plan.ndjson")
    assert from_text(text("plan.json"), "plan.json").violation.invariant in {
        v.invariant for v in check(history).violations
    }


def test_a_certificate_is_confirmed() -> None:
    old = certificate.from_text(text("certificate.json"), "certificate.json")
    assert old.saga.definition is None
    assert certificate.verify(old, load("reference"), sample=4, seed=0).result == "CONFIRMED"


def test_a_report_is_of_the_schema_of_today_and_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    schema = files("sagafuzz.reports").joinpath("schema/report.schema.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json.loads(schema)).validate(json.loads(text("report.json")))
    with pytest.raises(SystemExit) as left:
        main(["diff", str(OLD / "report.json"), str(OLD / "report.json")])
    assert left.value.code == 0
    assert "new: 0 findings" in capsys.readouterr().out
