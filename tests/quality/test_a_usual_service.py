"""A service as people write it, with one line made wrong: what is wrong is found, where it is written."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from sagafuzz import Saga, Step, service
from sagafuzz.exploration.campaign import Campaign
from sagafuzz.exploration.quiet import quiet
from sagafuzz.exploration.settings import Settings
from sagafuzz.loading import as_adapter
from sagafuzz.verdict import Report

ORDER = Saga(
    "order",
    [
        Step("reserve", "inventory.reserve", undo="inventory.release"),
        Step("charge", "payment.charge", undo="payment.refund"),
        Step("book", "shipping.book", undo="shipping.cancel"),
    ],
)
ROUTES = {f"POST {operation.replace('.', '/')}": operation for operation in ORDER.by_operation}
KINDS = ("lost-ack", "timeout", "crash-after-effect")


@service(saga=ORDER, http=ROUTES, saga_id="json:order", code=["usual_orders"])
class Orders:
    app = "usual_orders.app:create_app"

    def submit(self, order):  # type: ignore[no-untyped-def]
        return "POST", "/orders", {"id": order.id, "sku": order.item, "qty": order.quantity, "cents": order.amount}


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the service; the file of its clients."""
    shutil.copytree(Path(__file__).parents[1] / "services" / "web_orders", tmp_path / "usual_orders")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in [each for each in sys.modules if each.partition(".")[0] == "usual_orders"]:
        monkeypatch.delitem(sys.modules, module)
    return tmp_path / "usual_orders" / "clients.py"


def search() -> Report:
    adapter = as_adapter(Orders)
    chosen = (adapter.scenario("succeeds"),)
    with quiet():
        return Campaign(adapter, Settings(max_faults=1, examples=0, scenarios=chosen, kinds=KINDS)).run()


def test_a_key_for_all_tries_of_a_request_is_right(clients: Path) -> None:
    report = search()
    assert (report.verdict, report.findings) == ("consistent", ())
    assert report.counts.fired == report.counts.run > 5


def test_a_key_for_each_try_is_found_and_points_at_the_clients(clients: Path) -> None:
    text = clients.read_text()
    right = 'f"{order_id}-{path}"'
    assert text.count(right) == 1
    clients.write_text(text.replace(right, "str(__import__('uuid').uuid4())"))
    found = [finding for finding in search().findings if finding.violation.invariant == "I1"]
    assert found and all("usual_orders/clients.py" in str(finding.explanation) for finding in found)
