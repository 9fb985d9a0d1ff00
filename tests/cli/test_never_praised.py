"""However a campaign is run, what was not exercised is not called consistent, and no report of ours can say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sagafuzz.errors import InternalError
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.verdict import CONSISTENT, PlanCounts, RandomResult

from .conftest import Result, Run

FILE = """
import sagafuzz
from sagafuzz.faults import FAULT_KINDS

SAGA = sagafuzz.Saga("shop", [
    sagafuzz.Step("order", "order.create", undo="order.cancel"),
    sagafuzz.Step("payment", "payment.charge", undo="payment.refund"),
])
SUFFERS = {suffers!r}


@sagafuzz.adapter(saga=SAGA, scenarios=[sagafuzz.Scenario()],
                  cannot_suffer=[kind for kind in FAULT_KINDS if kind != SUFFERS])
class Shop:
    def boot(self, world):
        self.world = world

    def run(self, order):
        for operation in {asks!r}:
            self.world.call(operation, saga=order.id, key=order.id + operation)
        return {completes!r}
"""

EXERCISED = {"suffers": "duplicate", "asks": ("order.create", "payment.charge"), "completes": True}

VACUOUS = {
    "asks nobody": ({"asks": (), "completes": False}, "scenario succeeds sent no request"),
    "never completes": ({"asks": ("order.create", "order.cancel"), "completes": False}, "never completes, not even"),
    "is struck by nothing": ({"suffers": ""}, "no fault was injected"),
}

BARE = ("--random", 0, "--faults", 1)


def written(**changes: object) -> str:
    Path("shop.py").write_text(FILE.format(**{**EXERCISED, **changes}), encoding="utf-8")
    return "shop.py:Shop"


def run(sagafuzz: Run, spec: str) -> Result:
    return sagafuzz("run", spec, *BARE)


def several_processes(sagafuzz: Run, spec: str) -> Result:
    return sagafuzz("run", spec, *BARE, "--jobs", 2)


def shards(sagafuzz: Run, spec: str) -> Result:
    for number in (1, 2):
        sagafuzz("run", spec, *BARE, "--shard", f"{number}/2", "--report-dir", number)
    return sagafuzz("merge", "1", "2", "--report-dir", "whole")


def resumed(sagafuzz: Run, spec: str) -> Result:
    sagafuzz("run", spec, *BARE)
    return sagafuzz("run", spec, *BARE, "--resume")


def random_plans(sagafuzz: Run, spec: str) -> Result:
    return sagafuzz("run", spec, "--faults", 0, "--random", 0, "--random-plans", 40)


def fuzz(sagafuzz: Run, spec: str) -> Result:
    return sagafuzz("fuzz", spec, "--faults", 1, "--max-plans", 40)


def live(sagafuzz: Run, spec: str) -> Result:
    return sagafuzz("run", f"live:{spec}", "--faults", 1)


def verify(sagafuzz: Run, spec: str) -> Result:
    """What was certified was exercised; the system that is looked at in its place is not."""
    Path("shop.py").rename("other.py")
    sagafuzz("run", written(), *BARE)
    return sagafuzz("verify", "sagafuzz-report/certificate.json", "--sample", 5, "--adapter", "other.py:Shop")


WAYS: tuple[Callable[[Run, str], Result], ...] = (
    run,
    several_processes,
    shards,
    resumed,
    random_plans,
    fuzz,
    live,
    verify,
)


@pytest.mark.parametrize("system", VACUOUS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_it_is_inconclusive_and_says_why(sagafuzz: Run, way: Callable[[Run, str], Result], system: str) -> None:
    changes, why = VACUOUS[system]
    result = way(sagafuzz, written(**changes))
    assert (result.code, result.err) == (3, "")
    said = " ".join(result.out.split())
    assert why in said or (way is verify and "has 0 plans with one fault; the certificate counts" in said)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_was_exercised_is_consistent_in_the_same_way(sagafuzz: Run, way: Callable[[Run, str], Result]) -> None:
    assert way(sagafuzz, written()).code == 0


def test_no_report_can_praise_what_was_not_exercised() -> None:
    good = Campaign(
        load("reference"), Settings(max_faults=1, examples=0, scenarios=load("reference").scenarios[:1])
    ).run()
    assert good.verdict == CONSISTENT
    (found,) = good.scenarios
    unstruck = PlanCounts(planned=1, run=1, fired=1, by_faults=(1,))
    for changes, complaint in (
        ({"scenarios": (replace(found, sends=False),)}, "nothing came of succeeds"),
        ({"scenarios": (replace(found, completes=False),)}, "nothing came of succeeds"),
        ({"counts": unstruck}, "no fault struck it"),
    ):
        with pytest.raises(InternalError, match=complaint):
            replace(good, **changes)
        assert replace(good, verdict="inconclusive", **changes)
    assert replace(good, counts=unstruck, random=RandomResult(run=1, faults=2)).injected == 2
