"""Certificates: what they say, and that a sample confirms or refutes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

import sagafuzz
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.certificate import (
    LIBRARIES,
    Certificate,
    CertifiedSaga,
    certifies,
    differences,
    from_text,
    source_digest,
    to_text,
    verify,
)
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import as_adapter, load
from sagafuzz.verdict import Report

REFERENCE = load("reference")


@cache
def report(adapter: str = "reference", **settings: Any) -> Report:
    loaded = load(adapter)
    chosen = {"max_faults": 1, "examples": 0, "scenarios": (loaded.scenario("succeeds"),), **settings}
    return Campaign(loaded, Settings(**chosen)).run()


def certificate(**changes: Any) -> Certificate:
    return replace(from_text(to_text(report()), "it"), **changes)


def test_only_a_consistent_and_complete_campaign_is_certified() -> None:
    assert certifies(report())
    assert not certifies(report("seed"))
    assert not certifies(replace(report(), complete=False))


def test_it_says_what_was_run_and_no_more() -> None:
    said = json.loads(to_text(report()))
    assert said["sagafuzz_certificate"] == 1
    counts = report().counts
    assert said["plans"] == {
        "run": counts.run,
        "by_faults": list(counts.by_faults),
        "pruned": dict(counts.pruned),
        "fired_share": 1.0,
        "histories": counts.histories,
    }
    assert said["max_faults"] == 1 and "lost-ack" in said["kinds"] and said["sites"] > 15
    assert said["scenarios"][0]["scenario"]["name"] == "succeeds"
    spared = counts.idle + sum(counts.pruned.values())
    assert said["scenarios"][0]["plans_with_one_fault"] == counts.by_faults[1] + spared
    assert set(said["versions"]) == {"sagafuzz", "Python", *LIBRARIES}
    assert said["source"] == source_digest(REFERENCE) != ""
    (statement,) = said["statements"]
    assert statement.startswith(f"no violation in any of the {counts.run:,} plans")
    assert statement.endswith("a statement about this model, not a probability")


def test_one_campaign_gives_one_certificate() -> None:
    again = Campaign(REFERENCE, Settings(max_faults=1, examples=0, scenarios=(REFERENCE.scenario("succeeds"),))).run()
    assert to_text(again) == to_text(report())


def test_a_sample_confirms_it() -> None:
    outcome = verify(certificate(), REFERENCE, sample=30, seed=3)
    assert (outcome.result, outcome.differences, outcome.sampled) == ("CONFIRMED", (), 30)
    assert outcome.singles == certificate().scenarios[0].plans_with_one_fault


def test_a_system_that_fails_refutes_it_with_the_violation() -> None:
    outcome = verify(certificate(), load("seed"), sample=30, seed=3)
    assert outcome.result == "REFUTED"
    assert outcome.violation is not None and outcome.plan is not None and outcome.history is not None
    assert any("file of the adapter" in line for line in outcome.differences)


def test_another_count_refutes_it_where_nothing_else_differs() -> None:
    (scenario,) = certificate().scenarios
    wrong = certificate(scenarios=(replace(scenario, plans_with_one_fault=scenario.plans_with_one_fault + 1),))
    outcome = verify(wrong, REFERENCE, sample=5, seed=0)
    assert outcome.result == "REFUTED"
    assert f"the certificate counts {scenario.plans_with_one_fault + 1}" in outcome.reason
    outcome = verify(replace(wrong, source="other"), REFERENCE, sample=5, seed=0)
    assert outcome.result == "CANNOT RUN" and outcome.reason.startswith("it is of another system")


def test_a_failure_beyond_one_fault_is_found_by_the_sample() -> None:
    """The certificate of a system that two faults break, verified as if it were for two."""
    adapter = as_adapter(TwiceInARow)
    scenarios = adapter.scenarios
    of_one = Campaign(adapter, Settings(max_faults=1, examples=0, kinds=("lost-ack",))).run()
    assert certifies(of_one), of_one.findings
    claimed = replace(from_text(to_text(of_one), "it"), max_faults=2)
    assert verify(claimed, adapter, sample=0, seed=0).result == "CONFIRMED"
    outcome = verify(claimed, adapter, sample=200, seed=0)
    assert (outcome.result, len(outcome.plan or ())) == ("REFUTED", 2)
    assert len(scenarios) == 1


@sagafuzz.adapter(
    saga=sagafuzz.Saga("shop", [sagafuzz.Step("payment", "payment.charge", undo="payment.refund")]),
    scenarios=[sagafuzz.Scenario()],
)
class TwiceInARow:
    """Asks again once, with the same key; then says that nothing happened."""

    def boot(self, world: sagafuzz.World) -> None:
        self.world = world

    def run(self, order: sagafuzz.Order) -> bool:
        for _ in range(2):
            try:
                self.world.call("payment.charge", key=order.id)
            except sagafuzz.CallTimeout:
                continue
            return True
        return False


def test_what_differs_is_said() -> None:
    versions = {**certificate().versions, "greenlet": "0.1", "hypothesis": ""}
    said = list(differences(certificate(versions=versions, source="abc"), REFERENCE))
    assert [line.partition(" was ")[0] for line in said] == ["hypothesis", "greenlet", "the file of the adapter"]
    assert "greenlet was 0.1 and is " in said[1]


def test_a_saga_with_other_steps_cannot_be_run() -> None:
    outcome = verify(certificate(saga=CertifiedSaga(name="x", steps=())), REFERENCE, sample=5, seed=0)
    assert (outcome.result, outcome.reason) == ("CANNOT RUN", "the saga of 'reference' has other steps now")


def test_an_interrupted_verification_says_so() -> None:
    outcome = verify(certificate(), REFERENCE, sample=5, seed=0, stopped=lambda: True)
    assert (outcome.result, outcome.reason) == ("CANNOT RUN", "it was interrupted")


def test_a_scenario_that_the_adapter_has_no_more_is_run_as_written() -> None:
    (scenario,) = certificate().scenarios
    other = replace(scenario, scenario={**scenario.scenario, "name": "gone"})
    assert verify(certificate(scenarios=(other,)), REFERENCE, sample=5, seed=0).result == "CONFIRMED"


def broken() -> Iterator[tuple[str, str]]:
    yield "", "is not JSON"
    yield "[]", "lacks 'sagafuzz_certificate'"
    yield '{"sagafuzz_replay": 1}', "lacks 'sagafuzz_certificate'"
    yield '{"sagafuzz_certificate": 2}', "is a certificate of version 2, and this sagafuzz"
    yield '{"sagafuzz_certificate": 1}', "is no whole certificate: adapter is missing; write a string"
    said = json.loads(to_text(report()))
    yield json.dumps({**said, "scenarios": []}), "names no scenario"
    yield json.dumps({**said, "versions": 3}), "is no whole certificate: versions = 3; write a table"


@pytest.mark.parametrize("number", range(7))
def test_what_is_no_certificate_is_refused_in_one_line(number: int) -> None:
    text, complaint = list(broken())[number]
    with pytest.raises(sagafuzz.UsageError) as refused:
        from_text(text, "certificate.json")
    assert complaint in str(refused.value) and "\n" not in str(refused.value)


def test_what_json_has_no_form_for_is_kept_as_words() -> None:
    odd = sagafuzz.Scenario(name="odd", data={"when": range(2), "which": {2, 1}})
    said = Campaign(REFERENCE, Settings(max_faults=0, examples=0, scenarios=(odd,))).run()
    assert json.loads(to_text(said))["scenarios"][0]["scenario"]["data"] == {"when": "range(0, 2)", "which": [1, 2]}
