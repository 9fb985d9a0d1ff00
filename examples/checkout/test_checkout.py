"""An order that goes through, one that is declined, and one that a killed process left behind."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent

DIES = """
import os, checkout
from sagafuzz.reference_saga.runtime import Runtime

def sends_and_dies(request):
    checkout.services.operations["shipping.send"](request)
    os.kill(os.getpid(), 9)

ports = Runtime({**checkout.services.operations, "shipping.send": sends_and_dies})
orchestrator = checkout.Orchestrator(checkout.Definition(checkout.CHECKOUT), ports=ports, store=checkout.STORE)
orchestrator.execute("order-9", {"item": "55", "quantity": 1, "account": "customer", "amount": 10})
"""

SHOWS = """
import checkout
checkout.orchestrator.resume_pending()
sent = checkout.services.ledger().count(("order-9", "shipping.send"))
print(checkout.orchestrator.execute("order-9", {}).value, sent)
"""


def python(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_orders_end(tmp_path):
    result = python(tmp_path, str(HERE / "checkout.py"), "100", "1500")
    assert result.stdout.split() == ["order-1:", "completed", "order-2:", "compensated"], result.stderr


def test_a_killed_process_leaves_nothing_behind(tmp_path):
    assert python(tmp_path, "-c", DIES).returncode == -9
    assert python(tmp_path, "-c", SHOWS).stdout.split() == ["completed", "1"]
