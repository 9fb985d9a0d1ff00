"""What is said of a record: what the run of it says, or less."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sagafuzz.adapters.zoo import ZOO
from sagafuzz.history import History
from sagafuzz.invariants import check
from sagafuzz.loading import load
from sagafuzz.recorded import ours

from .conftest import Record, changed, charged_twice, histories, history, ledger, log, spans, without


def broken(report: Any) -> set[str]:
    return {finding.violation.invariant for finding in report.findings}


def test_a_double_charge_is_found_in_spans(judge: Record) -> None:
    report = judge(spans(charged_twice()))
    assert report.verdict == "violated"
    assert ("I1", "payment") in {(f.violation.invariant, f.violation.step) for f in report.findings}


def test_a_double_charge_is_found_in_a_ledger(judge: Record, tmp_path: Path) -> None:
    report = judge(ledger(charged_twice(), tmp_path / "ledger.csv"))
    assert broken(report) == {"I1"}
    assert "payment.charge for saga-1 took effect 2 times" in report.findings[0].violation.sentence


def test_a_double_charge_is_found_in_a_history_of_sagafuzz(judge: Record) -> None:
    assert "I1" in broken(judge(charged_twice().to_ndjson(), saga=None))


@pytest.mark.parametrize("scenario", ["succeeds", "declined"])
def test_a_correct_saga_is_consistent_in_each_form(judge: Record, tmp_path: Path, scenario: str) -> None:
    found = history("reference", scenario)
    of_rows = judge(ledger(found, tmp_path / "l.csv"), log(found, tmp_path / "o.csv"), saga="reference")
    for report in (judge(spans(found), saga="reference"), judge(found.to_ndjson(), saga=None), of_rows):
        assert report.verdict == "consistent"
        assert report.recorded is not None
        assert report.recorded.sagas == 1


def unseen(found: History, judge: Record, spec: str) -> tuple[set[str], set[str]]:
    """What its spans are told to break that the run itself does not, and what the run breaks."""
    adapter = load(spec)
    verdict = check(found)
    known = {violation.invariant for violation in (*verdict.violations, *verdict.explained)}
    return broken(judge(spans(found), saga=adapter.spec or spec)) - known, known


@pytest.mark.parametrize(
    ("spec", "scenario"), [("reference", "succeeds"), ("reference", "declined"), ("seed", "declined")]
)
def test_spans_of_a_run_are_blamed_for_nothing_that_the_run_is_not(judge: Record, spec: str, scenario: str) -> None:
    for found in list(histories(spec, scenario))[::5]:
        extra, _ = unseen(found, judge, spec)
        assert not extra, found.fired


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ZOO][::3])
def test_spans_of_what_is_right_are_never_blamed(judge: Record, name: str) -> None:
    spec = f"zoo:{name}"
    for scenario in load(spec).scenarios[:2]:
        for found in list(histories(spec, scenario.name))[::9]:
            extra, known = unseen(found, judge, spec)
            assert known or not extra, (found.fired, extra)


@pytest.mark.parametrize("forward", [True, False], ids=["ahead", "behind"])
def test_clocks_that_differ_change_no_verdict(judge: Record, forward: bool) -> None:
    by = 5_000_000_000 if forward else -5_000_000_000

    def skewed(span: dict[str, Any]) -> dict[str, Any]:
        if span["kind"] != 2:
            return span
        return {**span, **{name: str(int(span[name]) + by) for name in ("startTimeUnixNano", "endTimeUnixNano")}}

    for spec, found in (("reference", history("reference", "declined")), ("seed", charged_twice())):
        one, other = judge(spans(found), saga=spec), judge(changed(spans(found), skewed), saga=spec)
        assert (one.verdict, broken(one)) == (other.verdict, broken(other))


def test_the_order_of_lines_does_not_matter(judge: Record) -> None:
    lines = [spans(history("seed")).replace("saga-1", f"order-{n}") for n in range(3)]
    lines.append(spans(charged_twice()).replace("saga-1", "order-3"))
    assert judge("".join(lines)).digest == judge("".join(reversed(lines))).digest


def test_who_dies_with_a_request_open_is_not_blamed_for_what_is_not_recorded(judge: Record) -> None:
    def cut(span: dict[str, Any]) -> dict[str, Any] | None:
        return None if span["kind"] == 3 and span["name"] == "payment.charge" else span

    report = judge(changed(spans(history("reference")), cut), saga="reference")
    assert report.verdict == "consistent"
    assert any("how each of their requests ended" in line for line in report.not_exercised)


def test_without_saga_effect_nothing_is_said_of_effects(judge: Record) -> None:
    report = judge(changed(spans(charged_twice()), without("saga.effect")))
    assert "I1" not in broken(report)
    assert any("I1" in line and "saga.effect" in line for line in report.not_exercised)


def test_where_one_participant_does_not_tell_its_effects_no_saga_is_called_partial(judge: Record) -> None:
    def deaf(span: dict[str, Any]) -> dict[str, Any]:
        return without("saga.effect")(span) if span["name"] == "inventory.reserve" else span

    report = judge(changed(spans(history("reference")), deaf), saga="reference")
    assert report.verdict == "consistent"
    assert any("the requests for inventory that were handled" in line for line in report.not_exercised)


def test_a_saga_that_has_no_end_yet_is_left_open(judge: Record) -> None:
    def endless(span: dict[str, Any]) -> dict[str, Any] | None:
        return without("saga.outcome")(span) if span["name"] != "payment.charge" else None

    ended = spans(history("reference", "declined")).replace("saga-1", "order-2")
    record = changed(spans(history("reference")), endless) + ended
    report = judge(record, saga="reference")
    assert report.verdict == "consistent"
    assert report.recorded is not None
    assert report.recorded.open == 1
    assert any("1 of 2 sagas end" in line for line in report.not_exercised)
    assert {"I2", "I3"} & broken(judge(record, saga="reference", at_rest=True))


def test_effects_that_add_up_need_their_amounts(judge: Record) -> None:
    spec = "zoo:rounds-each-part"
    found = history(spec, "unpacked")
    assert judge(changed(spans(found), without("saga.amount")), saga=spec).verdict != "violated"
    assert any(
        "saga.amount" in line for line in judge(changed(spans(found), without("saga.amount")), saga=spec).not_exercised
    )


def test_sagas_of_one_shape_are_each_counted(judge: Record, tmp_path: Path) -> None:
    rows = ["saga,time,step,key"]
    for n in range(50):
        rows += [f"{n},{n},{step},{n}/{step}" for step in ("order", "inventory", "payment")]
        rows += [f"{n},{n + 1},payment,{n}/again"] if n % 10 == 0 else []
    file = tmp_path / "ledger.csv"
    file.write_text("\n".join(rows))
    report = judge(file)
    assert [finding.hits for finding in report.findings] == [5]
    assert next(result for result in report.invariants if result.id == "I1").checked == 50


def test_a_long_run_is_judged_saga_by_saga(judge: Record, monkeypatch: pytest.MonkeyPatch) -> None:

    text = charged_twice().to_ndjson()
    monkeypatch.setattr(ours, "AT_ONCE", 10)
    report = judge(text, saga=None)
    assert "I1" in broken(report)
    assert any("judged by itself" in line for line in report.not_exercised)


def test_ids_with_dots_are_orders_of_their_own(judge: Record) -> None:
    text = spans(history("reference"))
    two = text.replace("saga-1", "eu.1") + text.replace("saga-1", "eu.2")
    report = judge(two, saga="reference")
    assert report.recorded is not None
    assert (report.verdict, report.recorded.sagas) == ("consistent", 2)
