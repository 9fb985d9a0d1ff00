"""A campaign from end to end, as values."""

from __future__ import annotations

import gc
import itertools
import os
import subprocess
import sys
from collections import Counter

import pytest

import sagafuzz
from sagafuzz.adapters.checkout import CHECKOUT
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.cases import Case
from sagafuzz.exploration.events import CaseJudged, Event, PartFinished
from sagafuzz.exploration.replay import from_text, replay, to_text
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import as_adapter, load
from sagafuzz.verdict import Report


def campaign(adapter: object, **settings: object) -> Report:
    chosen = {"max_faults": 1, "examples": 0, **settings}
    return Campaign(as_adapter(adapter), Settings(**chosen)).run()  # type: ignore[arg-type]


def test_the_reference_is_consistent_and_every_fault_fired() -> None:
    report = campaign("reference")
    assert (report.verdict, report.complete, report.findings) == ("consistent", True, ())
    assert report.counts.planned == report.counts.run == report.counts.fired > 300
    assert 0 < report.counts.consequential < report.counts.run


def test_each_finding_of_the_seed_needs_at_most_two_faults_and_all_of_them() -> None:
    report = campaign("seed", max_faults=2, scenarios=(load("seed").scenario("declined"),))
    assert {"I1", "I5", "I13"} <= set(report.distinct_invariants)
    for finding in report.findings:
        assert finding.plan is not None and 1 <= len(finding.plan) <= 2
        assert finding.necessary


def test_a_finding_can_be_replayed_and_is_fixed_on_the_reference() -> None:
    finding = campaign("seed").findings[0]
    recorded = from_text(to_text(finding, "seed"), "test")
    assert replay(recorded, load("seed")).result == "STILL FAILS"
    assert replay(recorded, load("reference")).result == "FIXED"


ONE_FAULT = """
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
reference = load("reference")
settings = Settings(max_faults=1, examples=0, random_plans=20, scenarios=(reference.scenario("declined"),))
digest = Campaign(reference, settings).run().digest
"""


def test_three_campaigns_have_one_digest_of_all_histories_whatever_they_hash_by() -> None:
    words = [sys.executable, "-c", f"{ONE_FAULT}\nprint(digest)"]
    started = [
        subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "PYTHONHASHSEED": seed}) for seed in "12"
    ]
    names: dict[str, str] = {}
    exec(ONE_FAULT, names)
    digests = [names["digest"]]
    digests += [process.communicate(timeout=100)[0].decode().strip() for process in started]
    assert len(digests) == 3 and len(set(digests)) == 1
    assert len(digests[0]) == 32


def test_every_plan_with_one_fault_comes_before_the_first_with_two() -> None:
    sizes: list[tuple[str, int]] = []

    def note(event: object) -> None:
        if isinstance(event, CaseJudged):
            sizes.append((event.setup.scenario.name, len(event.case.plan)))

    settings = Settings(max_faults=2, examples=0, kinds=("lost-ack",))
    report = Campaign(load("seed"), settings, listeners=(note,)).run()
    first_pair = next(place for place, (_, faults) in enumerate(sizes) if faults == 2)
    assert all(faults == 2 for _, faults in sizes[first_pair:])
    assert {name for name, faults in sizes[:first_pair]} == {found.scenario.name for found in report.scenarios}
    by_scenario = {found.scenario.name: found.counts.run + found.counts.idle for found in report.scenarios}
    assert by_scenario == dict(Counter(name for name, _ in sizes))


def test_what_was_not_exercised_is_said() -> None:
    report = campaign("seed", scenarios=(load("seed").scenario("succeeds"),))
    said = "\n".join(report.not_exercised)
    assert "crash-after-log" in said and "I12" in said
    assert {entry.id for entry in report.invariants if entry.status == "not exercised"} >= {"I12"}


def test_a_campaign_holds_no_history_that_was_judged_and_no_case_of_a_part_that_is_over() -> None:
    seed = load("seed")
    kinds = ("lost-ack", "lost-request", "crash-after-effect")
    settings = Settings(examples=0, random_plans=700, kinds=kinds, scenarios=(seed.scenario("declined"),))
    before, parts, held = _cases(), list[int](), list[int]()

    def listen(event: Event) -> None:
        if isinstance(event, PartFinished):
            assert not any(case.run.rows for case, _ in event.record.cases)
            parts.append(len(event.record.cases))
            held.append(_cases() - before)

    Campaign(seed, settings, listeners=(listen,)).run()
    assert sum(parts) > 3 * max(parts) and len(parts) > 10
    assert [cases for cases, part in zip(held, parts, strict=True) if cases > parts[0] + part + 3] == []


def _cases() -> int:
    """How many cases anybody holds."""
    return sum(type(each) is Case for each in gc.get_objects())


def test_without_faults_a_broken_rollback_is_still_found() -> None:
    report = campaign(NeverUndoes, max_faults=0)
    assert report.verdict == "violated"
    assert "every fault" in report.not_exercised[0]


def test_a_campaign_that_is_stopped_says_so() -> None:
    asked = itertools.count()
    report = Campaign(load("reference"), Settings(examples=0), stopped=lambda: next(asked) > 20).run()
    assert not report.complete
    assert report.verdict == "inconclusive"
    assert report.counts.run <= 21


def test_a_finding_is_kept_when_the_campaign_is_stopped() -> None:
    asked = itertools.count()
    report = Campaign(load("seed"), Settings(examples=0), stopped=lambda: next(asked) > 20).run()
    assert (report.verdict, report.complete) == ("violated", False)


def test_an_adapter_that_is_not_deterministic_is_named() -> None:
    report = campaign(Whimsical)
    assert "event" in report.nondeterministic
    assert not report.complete


@sagafuzz.adapter(saga=CHECKOUT)
class NeverUndoes:
    """Gives up at the first refusal."""

    def boot(self, world: sagafuzz.World) -> None:
        self.world = world

    def run(self, order: sagafuzz.Order) -> bool:
        try:
            for step in CHECKOUT.steps:
                self.world.call(step.operation, key=f"{order.id}/{step.name}")
        except sagafuzz.Rejected:
            return False
        return True


@sagafuzz.adapter(saga=CHECKOUT)
class Whimsical:
    """Sends a number that no plan determines."""

    numbers = itertools.count()

    def boot(self, world: sagafuzz.World) -> None:
        self.world = world

    def run(self, order: sagafuzz.Order) -> bool:
        self.world.call("order.create", number=next(self.numbers))
        return True


@pytest.mark.parametrize("spec", ["reference", "seed", "simple-saga"])
def test_built_in_adapters_load(spec: str) -> None:
    assert load(spec).spec == spec
