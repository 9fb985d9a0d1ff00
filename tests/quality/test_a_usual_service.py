"""A service as people write it and a short adapter: it survives what it is made for; what is made wrong is found, where
it is written."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.faults import FAULT_KINDS, kind_groups
from sagafuzz.loading import as_adapter
from sagafuzz.verdict import Report

from ..services import web_orders_adapter


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the service; the file of its clients."""
    shutil.copytree(Path(__file__).parents[1] / "services" / "web_orders", tmp_path / "usual_orders")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [each for each in sys.modules if each.partition(".")[0] == "usual_orders"]:
        monkeypatch.delitem(sys.modules, module)
    return tmp_path / "usual_orders" / "clients.py"


def search(scenario: str, *kinds: str) -> Report:
    adapter = as_adapter(web_orders_adapter.Orders)
    chosen = (adapter.scenario(scenario),)
    with quiet():
        return Campaign(adapter, Settings(max_faults=1, examples=0, scenarios=chosen, kinds=kinds)).run()


def test_the_adapter_is_short() -> None:
    lines = Path(web_orders_adapter.__file__).read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 20


NOT_SURVIVED = ("undo-fails", "store-error-before-commit", "store-error-after-commit")
"""What the service is not right under: it gives an undo up, and an error of its database is an error 500."""

BASIC = kind_groups()["basic"]


@pytest.mark.parametrize(
    ("scenario", "kinds"),
    [
        ("declined", BASIC),
        pytest.param("succeeds", FAULT_KINDS, marks=pytest.mark.slow),
        pytest.param("declined", FAULT_KINDS, marks=pytest.mark.slow),
    ],
)
def test_the_service_survives_every_plan_with_one_fault(clients: Path, scenario: str, kinds: Iterable[str]) -> None:
    report = search(scenario, *(kind for kind in kinds if kind not in NOT_SURVIVED))
    assert (report.verdict, report.findings) == ("consistent", ())
    assert report.counts.fired == report.counts.run > 30


@pytest.mark.parametrize("kind", NOT_SURVIVED[:2])
def test_what_it_does_not_survive_is_found(clients: Path, kind: str) -> None:
    assert search("declined", kind).verdict == "violated"


def test_a_key_for_each_try_is_found_and_points_at_the_clients(clients: Path) -> None:
    text = clients.read_text()
    right = 'f"{order_id}-{path}"'
    assert text.count(right) == 1
    clients.write_text(text.replace(right, "str(__import__('uuid').uuid4())"))
    found = [finding for finding in search("succeeds", "lost-ack").findings if finding.violation.invariant == "I1"]
    assert found and all("usual_orders/clients.py" in str(finding.explanation) for finding in found)
