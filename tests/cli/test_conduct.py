"""A system under test that misbehaves gets a verdict about itself, never a traceback of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import load
from sagafuzz.reports import REPORTS

from .conftest import Run

BODIES = {
    "raises": ("raise ZeroDivisionError('theirs')", "C1", "run: shop.py:16 raised ZeroDivisionError: theirs"),
    "exits": ("import sys\nsys.exit(7)", "C1", "raised SystemExit: 7"),
    "lets a refusal pass": ("raise sagafuzz.Rejected('no')", "C1", "return False where the saga was refused"),
    "answers nothing": ("pass", "C2", "run answered None for saga-1"),
    "answers nonsense": ("return {'ok': 1}", "C2", "run answered an object of type dict for saga-1"),
    "polls for ever": ("while True:\n    self.world.sleep(0.01)", "C3", "run for saga-1 never returned"),
    "recurses": ("return self.run(order)", "C1", "RecursionError"),
    "throws away what it is told": (
        "try:\n    self.world.call('order.create')\nexcept:\n    pass\nreturn 1",
        "C2",
        "1",
    ),
}


@pytest.mark.parametrize("name", BODIES)
def test_it_is_judged(sagafuzz: Run, shop: Callable[..., str], name: str) -> None:
    body, invariant, sentence = BODIES[name]
    result = sagafuzz("run", shop(body), "--faults", 0, "--random", 0)
    assert (result.code, result.err) == (1, "")
    findings = json.loads(Path("sagafuzz-report/report.json").read_text())["findings"]
    said = [finding["sentence"] for finding in findings if finding["invariant"] == invariant]
    assert any(sentence in line for line in said), findings
    assert "Traceback" not in result.out


def test_it_is_judged_in_the_state_machine_too(sagafuzz: Run, shop: Callable[..., str]) -> None:
    result = sagafuzz("run", shop("raise ZeroDivisionError('theirs')"), "--faults", 0, "--random", 5)
    assert result.code == 1
    assert "state machine: 5 of 5 examples" in result.out


def test_it_may_fail_at_its_first_line(sagafuzz: Run) -> None:
    Path("shop.py").write_text(
        "import sagafuzz\n\nSAGA = sagafuzz.Saga('shop', [sagafuzz.Step('order', 'order.create')])\n\n\n"
        "@sagafuzz.adapter(saga=SAGA)\nclass Shop:\n    def __init__(self):\n        self.absent()\n\n"
        "    def boot(self, world): ...\n    def run(self, order): ...\n"
    )
    result = sagafuzz("run", "shop.py:Shop", "--faults", 1, "--random", 5)
    assert result.code == 1
    assert "boot: shop.py:9 raised AttributeError" in result.out


SPINS = {
    "without a port": "while True:\n    pass",
    "after a port": "self.world.call('order.create')\nwhile True:\n    pass",
    "blocked for real": "import threading\nthreading.Event().wait()",
}


@pytest.mark.parametrize("name", SPINS)
def test_one_that_computes_for_ever_is_ended(shop: Callable[..., str], name: str) -> None:
    campaign = Campaign(load(shop(SPINS[name])), Settings(max_faults=1, examples=5, spin_s=0.2))
    report = campaign.run()
    assert (report.verdict, report.complete) == ("violated", False)
    assert "C3" in report.distinct_invariants
    assert "had to be ended" in report.reasons[0]
    assert "computes for ever" in REPORTS["text"].render(report)


def test_an_async_one_that_computes_for_ever_is_ended(shop: Callable[..., str]) -> None:
    shop("await self.world.call('order.create')\nwhile True:\n    pass")
    file = Path("shop.py")
    file.write_text(file.read_text().replace("    def ", "    async def "))
    report = Campaign(load("shop.py:Shop"), Settings(max_faults=1, examples=0, spin_s=0.2)).run()
    assert (report.verdict, report.complete) == ("violated", False)
    assert "C3" in report.distinct_invariants
