"""``sagafuzz explain``: every id, name, anomaly and kind of fault; the nearest for what is none."""

from __future__ import annotations

import pytest

from sagafuzz.cli.explaining import anomalies
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import FAULT_KINDS
from sagafuzz.invariants import INVARIANTS
from sagafuzz.loading import load

from .conftest import Run


@pytest.mark.parametrize("id", INVARIANTS)
def test_every_invariant_by_id_and_name(sagafuzz: Run, id: str) -> None:
    entry = INVARIANTS[id]
    by_id, by_name = sagafuzz("explain", id.lower()), sagafuzz("explain", *entry.name.split())
    assert by_id.code == 0 and by_id.out == by_name.out
    assert by_id.out.startswith(f"{id} {entry.name}\n")
    text = " ".join(by_id.out.split())
    assert entry.judged, "the check says how it is judged where two readings are possible"
    for part in (entry.holds_when, entry.judged, entry.cause, entry.repair, entry.source):
        assert " ".join(part.split()) in text
    assert max(map(len, by_id.out.splitlines())) <= 100


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_every_kind_of_fault(sagafuzz: Run, kind: str) -> None:
    result = sagafuzz("explain", kind)
    assert result.code == 0
    assert FAULT_KINDS[kind].meaning in " ".join(result.out.split())


def test_every_anomaly_that_a_campaign_finds(sagafuzz: Run) -> None:
    found = {f.violation for f in Campaign(load("seed"), Settings(max_faults=1, examples=0)).run().findings}
    assert found
    for violation in found:
        result = sagafuzz("explain", violation.anomaly)
        assert result.code == 0
        assert f"{violation.anomaly!r} is an anomaly of {violation.invariant}\n" in result.out


def test_an_anomaly_that_is_put_together(sagafuzz: Run) -> None:
    assert "told …" in anomalies()
    assert sagafuzz("explain", "told", "completed").out.startswith("'told completed' is an anomaly of I16\n")


def test_the_nearest_is_named(sagafuzz: Run) -> None:
    result = sagafuzz("explain", "leaked efect")
    assert result.code == 2
    assert result.complaint.startswith("nothing is called 'leaked efect' (did you mean 'leaked effect'?)")


def test_an_anomaly_with_a_cause_of_its_own_is_told_with_that(sagafuzz: Run) -> None:
    apart = {(id, anomaly): usual for id, entry in INVARIANTS.items() for anomaly, usual in entry.apart.items()}
    assert {id for id, _ in apart} >= {"I5", "I15"}
    for (id, anomaly), usual in apart.items():
        told = " ".join(sagafuzz("explain", anomaly).out.split())
        assert f"is an anomaly of {id}" in told
        assert usual.cause in told and usual.repair in told
        assert INVARIANTS[id].cause not in told
